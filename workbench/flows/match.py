"""Which packets belong to which of some flows that are known already: the way back from rows to packets.

Within a source the flows of one key (tuple, network, kind of ICMP) follow each other without overlapping in the order of
the capture, whatever its clocks say, since a new one begins only after the last one ended. So the key and the place of
a packet tell its flow: no time is compared, and packets of equal or backward time stamps fall to the right one.
Fragments without ports go where their first one went, by the rules of `sides`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numba import from_dtype, types
from numpy.typing import NDArray

from workbench.decode.bits import Numbers, exported, i64, kernel
from workbench.flows.index import hash_key, network_key
from workbench.flows.rows import FRAGMENT_AGE, FRAGMENT_SETS
from workbench.records.packet import FLOW, FRAG_FIRST, FRAG_LATER, ICMP_PAIRED, PACKET, PORTS

#: A flow to look for. Offsets are those of its first and last record in the source. Both ends in the row's own direction.
WANTED: Final = np.dtype(
    [
        ("src_hi", np.uint64),
        ("src_lo", np.uint64),
        ("dst_hi", np.uint64),
        ("dst_lo", np.uint64),
        ("network", np.uint64),  # see `index.network_key`
        ("first", np.int64),
        ("last", np.int64),
        ("src_seen", np.int64),  # packets found so far
        ("dst_seen", np.int64),
        ("next", np.int64),  # the next flow of the same key, -1 where it is the last
        ("src_port", np.uint16),
        ("dst_port", np.uint16),
        ("proto", np.uint8),
        ("one_way", np.uint8),  # an ICMP type without a counterpart
    ],
    align=True,
)

#: A first fragment that was seen; flow: its row of WANTED, -1 where it is none of them.
_FRAGMENT: Final = np.dtype([("key", np.uint64), ("ts", np.int64), ("flow", np.int64)], align=True)

#: ICMP types that are one half of an exchange (as `decode.transport` pairs them), by protocol number.
_PAIRED: Final = {1: (0, 8, 9, 10, 13, 14, 15, 16, 17, 18), 58: (*range(128, 132), *range(133, 137), 139, 140, 144, 145)}
_SCOPES: Final = {"none": 0, "vni": 1, "vlan": 2, "both": 3}

_WANTED_TYPE: Final = types.Array(from_dtype(WANTED), 1, "C")
_FRAGMENTS_TYPE: Final = types.Array(from_dtype(_FRAGMENT), 1, "C")
_PACKETS_TYPE: Final = types.Array(from_dtype(PACKET), 1, "C")
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_SHIFT: Final = np.uint64(40)


@kernel
def _row_hash(row: Any, seed: Any, seed_2: Any) -> Any:
    return hash_key(
        seed, seed_2, row.src_hi, row.src_lo, row.src_port, row.dst_hi, row.dst_lo, row.dst_port, row.proto, row.network
    )


@kernel
def _side(flow: Any, row: Any, network: Any, one_way: Any) -> int:
    """0 or 1: which end of the flow sent what `row` (a packet, or another flow) describes; -1 where the keys differ."""
    if flow.network != network or flow.proto != row.proto or (flow.one_way != 0) != one_way:
        return -1
    if (
        flow.src_lo == row.src_lo
        and flow.dst_lo == row.dst_lo
        and flow.src_port == row.src_port
        and flow.dst_port == row.dst_port
        and flow.src_hi == row.src_hi
        and flow.dst_hi == row.dst_hi
    ):
        return 0
    if (
        not one_way
        and flow.src_lo == row.dst_lo
        and flow.dst_lo == row.src_lo
        and flow.src_port == row.dst_port
        and flow.dst_port == row.src_port
        and flow.src_hi == row.dst_hi
        and flow.dst_hi == row.src_hi
    ):
        return 1
    return -1


@exported(types.void(_WANTED_TYPE, types.int64[::1], types.int64[::1], types.uint64, types.uint64))
def _enter(flows: NDArray[Any], index: Numbers, tails: Numbers, seed: Any, seed_2: Any) -> None:
    """Fill the empty index; flows come by first offset. tails: scratch of the index's size."""
    mask = np.uint64(len(index) - 1)
    for i in range(len(flows)):
        row = flows[i]
        row.next = -1
        at = _row_hash(row, seed, seed_2) & mask
        while index[at] != 0:
            head = flows[index[at] - 1]
            if _side(head, row, row.network, row.one_way != 0) >= 0:
                flows[tails[at]].next = i
                break
            at = (at + np.uint64(1)) & mask
        if index[at] == 0:
            index[at] = i + 1
        tails[at] = i


@kernel
def _find(flows: NDArray[Any], index: Numbers, packet: Any, network: Any, offset: int, seed: Any, seed_2: Any) -> Any:
    """2 * row + side of the flow that has this packet, or -1. Offsets only grow, so flows that are over are passed for good."""
    one_way = (packet.proto == 1 or packet.proto == 58) and (packet.marks & (PORTS | ICMP_PAIRED)) == PORTS
    mask = np.uint64(len(index) - 1)
    at = (
        hash_key(
            seed,
            seed_2,
            packet.src_hi,
            packet.src_lo,
            packet.src_port,
            packet.dst_hi,
            packet.dst_lo,
            packet.dst_port,
            packet.proto,
            network,
        )
        & mask
    )
    while index[at] != 0:
        i = index[at] - 1
        if _side(flows[i], packet, network, one_way) >= 0:
            while flows[i].last < offset and flows[i].next >= 0:
                i = flows[i].next
            index[at] = i + 1
            if flows[i].first <= offset <= flows[i].last:
                return 2 * i + _side(flows[i], packet, network, one_way)
            return i64(-1)
        at = (at + np.uint64(1)) & mask
    return i64(-1)


@kernel
def _note_fragment(fragments: NDArray[Any], packet: Any, flow: int) -> None:
    """As `sides.note_fragment`: every first fragment counts, since a later one's goes to the newest of its key."""
    at = 4 * i64(((packet.frag_key * _MIX) >> _SHIFT) & np.uint64(FRAGMENT_SETS - 1))
    place = at
    for way in range(at, at + 4):
        if fragments[way].key == packet.frag_key:
            place = way
            break
        if fragments[way].ts < fragments[place].ts:
            place = way
    row = fragments[place]
    row.key = packet.frag_key
    row.ts = packet.ts
    row.flow = flow


@kernel
def _find_fragment(fragments: NDArray[Any], flows: NDArray[Any], packet: Any, offset: int) -> int:
    """2 * row + side of the flow whose first fragment had this key, or -1."""
    at = 4 * i64(((packet.frag_key * _MIX) >> _SHIFT) & np.uint64(FRAGMENT_SETS - 1))
    for way in range(at, at + 4):
        row = fragments[way]
        if row.key == packet.frag_key and row.ts != 0:
            i = i64(row.flow)
            if i < 0 or i >= len(flows) or packet.ts - row.ts > FRAGMENT_AGE:
                return i64(-1)
            flow = flows[i]
            if not flow.first <= offset <= flow.last:
                return i64(-1)
            return 2 * i + (0 if flow.src_lo == packet.src_lo and flow.src_hi == packet.src_hi else 1)
    return i64(-1)


@exported(
    types.int64(
        _PACKETS_TYPE,
        types.int64,
        types.int64,
        types.int64,
        types.int64,
        _WANTED_TYPE,
        types.int64[::1],
        _FRAGMENTS_TYPE,
        types.int64[::1],
        types.int64[::1],
        types.uint64,
        types.uint64,
    )
)
def _match(
    packets: NDArray[Any],
    n: int,
    base: int,
    scope: int,
    sides: int,
    flows: NDArray[Any],
    index: Numbers,
    fragments: NDArray[Any],
    chosen: Numbers,
    found: Numbers,
    seed: Any,
    seed_2: Any,
) -> int:
    m = i64(0)
    for i in range(min(n, len(packets), len(chosen), len(found))):
        packet = packets[i]
        if packet.status != FLOW:
            continue
        offset = base + i64(packet.rec)
        if packet.marks & FRAG_LATER:
            at = _find_fragment(fragments, flows, packet, offset)
        else:
            network = network_key(scope, packet.tunnel, packet.vni, packet.vlan, packet.inner_vlan)
            at = _find(flows, index, packet, network, offset, seed, seed_2)
            if packet.marks & FRAG_FIRST:
                _note_fragment(fragments, packet, at >> 1 if at >= 0 else i64(-1))
        if at < 0:
            continue
        if at & 1:
            flows[at >> 1].dst_seen += 1
        else:
            flows[at >> 1].src_seen += 1
        if sides & (1 << (at & 1)):
            chosen[m] = i
            found[m] = at
            m += 1
    return m


@dataclass(frozen=True, slots=True)
class Ends:
    """What a set of flows of one source is found by, as columns of `flows` in any one order; absent numbers are -1.

    addresses: 16 bytes each, as (n, 2) big-endian halves. first, last: first_offset, last_offset.
    """

    src: NDArray[Any]
    dst: NDArray[Any]
    src_port: NDArray[np.int64]
    dst_port: NDArray[np.int64]
    proto: NDArray[np.int64]
    vni: NDArray[np.int64]
    vlan: NDArray[np.int64]
    inner_vlan: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]


class FlowMatcher:
    """Finds the packets of some flows of one source among all its packets, given in the order of the capture.

    rows: WANTED rows by first offset; order: where each of them stands in the given columns. About 150 bytes a flow.
    """

    def __init__(self, ends: Ends, key_scope: str, sides: int = 3) -> None:
        """key_scope: of the source. sides: 1 src, 2 dst, 3 both: whose packets are given back; all are counted."""
        self.order = np.argsort(ends.first, kind="stable")
        self.rows = _wanted(ends, self.order, _SCOPES[key_scope])
        size = 1 << max(4, (2 * len(self.rows)).bit_length())
        self._index = np.zeros(size, np.int64)
        self._fragments = np.zeros(4 * FRAGMENT_SETS, _FRAGMENT)
        self._seeds = np.frombuffer(os.urandom(16), np.uint64)  # whoever sent the packets chose the keys
        self._scope = _SCOPES[key_scope]
        self._sides = sides
        _enter(self.rows, self._index, np.zeros(size, np.int64), self._seeds[0], self._seeds[1])

    def match(self, packets: NDArray[Any], n: int, base: int, chosen: NDArray[np.int64], found: NDArray[np.int64]) -> int:
        """How many of packets[:n] are wanted; base: source offset of their buffer.

        chosen: their places in `packets`; found: 2 * row + side (1: the responder sent it). Both hold n or more.
        """
        if n > min(len(packets), len(chosen), len(found)):
            raise ValueError(f"{n} packets, {len(packets)} given, room for {min(len(chosen), len(found))}")
        return int(
            _match(
                packets,
                n,
                base,
                self._scope,
                self._sides,
                self.rows,
                self._index,
                self._fragments,
                chosen,
                found,
                self._seeds[0],
                self._seeds[1],
            )
        )


def _wanted(ends: Ends, order: NDArray[np.int64], scope: int) -> NDArray[Any]:
    rows = np.zeros(len(order), WANTED)
    for side, addresses in (("src", ends.src), ("dst", ends.dst)):
        rows[f"{side}_hi"] = addresses[order, 0]
        rows[f"{side}_lo"] = addresses[order, 1]
    rows["src_port"] = np.maximum(ends.src_port[order], 0)
    rows["dst_port"] = np.maximum(ends.dst_port[order], 0)
    proto = ends.proto[order]
    rows["proto"] = proto
    for number, paired in _PAIRED.items():
        rows["one_way"] |= (proto == number) & (ends.src_port[order] >= 0) & ~np.isin(ends.src_port[order], paired)
    rows["network"] = _networks(ends.vni[order], ends.vlan[order], ends.inner_vlan[order], scope)
    rows["first"], rows["last"] = ends.first[order], ends.last[order]
    return rows


def _networks(vni: NDArray[np.int64], vlan: NDArray[np.int64], inner: NDArray[np.int64], scope: int) -> NDArray[np.uint64]:
    """`index.network_key` of columns of `flows`, where a network id is only there with its tunnel."""
    key = np.zeros(len(vni), np.int64)
    if scope & 2:
        outer = np.where(vlan > 0, vlan, inner)
        inside = np.where(vlan > 0, inner, 0)
        key = np.where(outer > 0, (outer & 4095) << 12 | np.where(inside > 0, inside & 4095, 0), key)
    if scope & 1:
        key |= np.where(vni >= 0, (vni + 1) << 24, 0)
    return key.astype(np.uint64)
