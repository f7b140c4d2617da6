"""Ended rows of the pairing table as rows of `flows` and `flow_slices`."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.flows import arrays as a
from workbench.flows.batches import network_name, record_batch, tunnel_name
from workbench.flows.protocols import protocol_name
from workbench.flows.telemetry import rows as f
from workbench.flows.telemetry.states import CONN_STATES, conn_states
from workbench.records.telemetry import OVS_TUNNELS, VERDICTS

_TCP, _UDP, _SCTP, _DCCP, _ICMP4, _ICMP6 = 6, 17, 132, 33, 1, 58
_PORTED: Final = np.array([_TCP, _UDP, _SCTP], np.int64)
_SYN, _ACK = 2, 16
_VRF_SHIFT: Final = 62

Rows = NDArray[np.int64]


class Ended:
    """Flows that ended, and for each which side is the originator.

    rows: of the pairing table. servers: by protocol and port, which are likely servers. asks: ICMP types that ask.
    """

    def __init__(self, rows: Rows, servers: NDArray[np.bool_], asks: Rows) -> None:
        self.rows = rows
        self.pieces = np.empty((0, f.PIECE_WIDTH), np.int64)
        told = [rows[:, f.SIDE + side * f.SIDE_WIDTH + f.PIECES] > 0 for side in range(2)]
        start = [np.where(told[side], self._side(side, f.START), np.iinfo(np.int64).max) for side in range(2)]
        end = [np.where(told[side], self._side(side, f.END), 0) for side in range(2)]
        self.first = np.minimum(start[0], start[1])
        self.last = np.maximum(end[0], end[1])
        self.both = told[0] & told[1]
        self.unpaired = ~self.both & (rows[:, f.KNOWN] & f.TOLD_BOTH == 0)
        self.flip = self._flip(start, told, servers, asks)

    def _side(self, side: int, column: int) -> Rows:
        return self.rows[:, f.SIDE + side * f.SIDE_WIDTH + column]

    def _flip(
        self, start: list[Rows], told: list[NDArray[np.bool_]], servers: NDArray[np.bool_], asks: Rows
    ) -> NDArray[np.bool_]:
        """Whether side 1 is the originator: as the exporter says, else by earlier start, SYN, server port."""
        rows = self.rows
        proto = rows[:, f.PROTO]
        likely = [self._likely(n, proto, servers, asks) for n in (f.A_PORT, f.B_PORT)]
        ports = likely[0].astype(np.int8) - likely[1]  # above 0: side 0 comes from a server
        syn = [_opened(self._side(side, f.FLAGS)) for side in range(2)]
        flags = syn[1].astype(np.int8) - syn[0]
        began = np.sign(np.where(self.both, start[0] - start[1], 0)).astype(np.int8)
        vote = np.where(began != 0, began, np.where(flags != 0, flags, ports))
        alone = ~self.both  # its one direction is the originator's, unless it comes from a server
        flags_alone = np.where(told[0], self._side(0, f.FLAGS), self._side(1, f.FLAGS))
        opened = _opened(flags_alone) & (flags_alone & _ACK == 0)
        vote = np.where(
            alone, np.where(opened, np.where(told[0], -1, 1), np.where(ports != 0, ports, np.where(told[0], -1, 1))), vote
        )
        known = rows[:, f.KNOWN]
        vote = np.where(known & f.INITIATOR != 0, np.where(known & f.INITIATOR_B != 0, 1, -1), vote)
        vote = np.where(rows[:, f.ONE_WAY] == 1, -1, vote)
        flipped: NDArray[np.bool_] = vote > 0
        return flipped

    def _likely(self, column: int, proto: Rows, servers: NDArray[np.bool_], asks: Rows) -> NDArray[np.bool_]:
        """Whether that end's port is a server's; an ICMP type that answers counts as one."""
        port = self.rows[:, column]
        found: NDArray[np.bool_] = servers[proto, np.clip(port, 0, 65535)] & (port >= 0)
        icmp = (proto == _ICMP4) | (proto == _ICMP6)
        if icmp.any():
            kinds = np.clip(port, 0, 255)
            answers = np.where(proto == _ICMP6, asks[1, kinds], asks[0, kinds]) == 0
            found = np.where(icmp, answers & (self.rows[:, f.ONE_WAY] == 0), found)
        return found

    def part(self, start: int, stop: int) -> Ended:
        """The flows from start to stop, with their pieces."""
        new = object.__new__(Ended)
        new.rows = self.rows[start:stop]
        for name in ("first", "last", "both", "unpaired", "flip"):
            setattr(new, name, getattr(self, name)[start:stop])
        mine = (self.pieces[:, 0] >= start) & (self.pieces[:, 0] < stop)
        new.pieces = self.pieces[mine] - np.array([start, 0, 0, 0, 0])
        return new

    def sides(self, column: int) -> Rows:
        """A column of both sides, 2 x flows: the originator's, the responder's."""
        pair = np.stack((self._side(0, column), self._side(1, column)))
        return np.where(self.flip, pair[::-1], pair)

    def ends(self, one: int, other: int) -> tuple[Rows, Rows]:
        """Two columns, of end a and of end b, as the originator's and the responder's."""
        rows = self.rows
        return np.where(self.flip, rows[:, other], rows[:, one]), np.where(self.flip, rows[:, one], rows[:, other])


def _opened(flags: Rows) -> NDArray[np.bool_]:
    """Sides that sent a SYN."""
    found: NDArray[np.bool_] = (flags > 0) & (flags & _SYN != 0)
    return found


def flow_batch(ended: Ended) -> pa.RecordBatch:
    """Rows of `flows`; flow_id holds n alone, and source_id 0: who stores them knows the source."""
    rows, count = ended.rows, len(ended.rows)
    columns = _identity(ended) | _counts(ended)
    columns |= {
        "flow_id": a.numbers(_column(rows, f.N), pa.int64()),
        "source_id": a.numbers(np.zeros(count, np.int64), pa.int64()),
        "sensor": a.constant("", count),
        "ts": a.times(ended.first // 1000),
        "ts_end": a.times(ended.last // 1000),
        "duration": a.numbers((ended.last - ended.first) / 1e9, pa.float64()),
        "conn_state": _states(ended),
        "sampling": a.numbers(np.clip(rows[:, f.SAMPLING], 1, 1 << 30).astype(np.int32), pa.int32()),
        "verdict": _verdicts(rows[:, f.VERDICT]),
        "rule_id": _rules(rows[:, f.RULE]),
    }
    return record_batch("flows", columns, count)


def _column(rows: Rows, column: int) -> Rows:
    return np.ascontiguousarray(rows[:, column])


def _small(values: Rows, low: int = 0, high: int = (1 << 31) - 1) -> pa.Array:
    """Integers of 32 bits; those out of range are null."""
    return a.optional(np.where((values >= low) & (values <= high), values, -1).astype(np.int32))


def _identity(ended: Ended) -> dict[str, pa.Array]:
    """Who with whom, in which network."""
    rows = ended.rows
    src_hi, dst_hi = (half.view(np.uint64) for half in ended.ends(f.A_HI, f.B_HI))
    src_lo, dst_lo = (half.view(np.uint64) for half in ended.ends(f.A_LO, f.B_LO))
    src_port, dst_port = ended.ends(f.A_PORT, f.B_PORT)
    proto = rows[:, f.PROTO].astype(np.int32)
    src_mac, dst_mac = ended.ends(f.A_MAC, f.B_MAC)
    names = pa.array([protocol_name(n) for n in range(256)], pa.utf8())
    ported = np.isin(proto, _PORTED) | (proto == _ICMP4) | (proto == _ICMP6)
    kinds = (ported | (rows[:, f.ONE_WAY] == 1) << 1).astype(np.uint8)
    ports = np.stack((np.maximum(src_port, 0), np.maximum(dst_port, 0), proto)).astype(np.int32)
    found = {
        "network": _networks(rows),
        "src_ip": a.addresses(src_hi, src_lo),
        "dst_ip": a.addresses(dst_hi, dst_lo),
        "src_addr": a.blobs(src_hi, src_lo),
        "dst_addr": a.blobs(dst_hi, dst_lo),
        "src_port": _small(src_port),
        "dst_port": _small(dst_port),
        "proto": a.numbers(proto, pa.int32()),
        "proto_name": a.dictionary(proto, names),
        "src_mac": a.macs(np.where(src_mac > 0, src_mac, -1)),
        "dst_mac": a.macs(np.where(dst_mac > 0, dst_mac, -1)),
        "vlan": _small(rows[:, f.VLAN], 1, 4095),
        "inner_vlan": _small(rows[:, f.INNER_VLAN], 1, 4095),
        "vni": _small(rows[:, f.VNI]),
        "community_id": a.communities(np.stack((src_hi, src_lo, dst_hi, dst_lo)), ports, kinds),
    }
    for name, half in (("src_hi", src_hi), ("src_lo", src_lo), ("dst_hi", dst_hi), ("dst_lo", dst_lo)):
        found[name] = a.numbers(half.view(np.int64), pa.int64())
    return found | _tunnels(ended)


def _networks(rows: Rows) -> pa.Array:
    """Tenant scope: the VRF where there is one, else VNI and VLANs as for packets."""
    vrf = rows[:, f.VRF]
    tenant = (vrf > 0) & ~np.isin(vrf, f.DEFAULT_VRFS)
    keys = np.where(tenant, vrf | (1 << _VRF_SHIFT), rows[:, f.NETWORK]).view(np.uint64)
    return a.named(np.ascontiguousarray(keys), _network)


def _network(key: int) -> str:
    return f"vrf:{key & ((1 << _VRF_SHIFT) - 1)}" if key >> _VRF_SHIFT else network_name(key)


def _tunnels(ended: Ended) -> dict[str, pa.Array]:
    """Tunnel endpoints, where the exporter told them."""
    rows = ended.rows
    src_hi, dst_hi = (half.view(np.uint64) for half in ended.ends(f.OUTER_A_HI, f.OUTER_B_HI))
    src_lo, dst_lo = (half.view(np.uint64) for half in ended.ends(f.OUTER_A_LO, f.OUTER_B_LO))
    outer = (rows[:, f.OUTER_A_LO] != -1) & (rows[:, f.OUTER_B_LO] != -1)
    if not outer.any():
        return {}
    codes = np.zeros(len(rows), np.uint64)
    for theirs, ours in OVS_TUNNELS.items():
        codes[rows[:, f.TUNNEL] == theirs] = ours
    shown = outer.view(np.uint8)
    return {
        "outer_src_ip": a.addresses(src_hi, src_lo, shown),
        "outer_dst_ip": a.addresses(dst_hi, dst_lo, shown),
        "tunnel": a.named(codes, tunnel_name, null_zero=True),
    }


def _counts(ended: Ended) -> dict[str, pa.Array]:
    found: dict[str, pa.Array] = {}
    for name, column in (("pkts", f.PKTS), ("bytes", f.BYTES)):
        src, dst = ended.sides(column)
        found[f"src_{name}"] = a.numbers(np.ascontiguousarray(src), pa.int64())
        found[f"dst_{name}"] = a.numbers(np.ascontiguousarray(dst), pa.int64())
    tcp = ended.rows[:, f.PROTO] == _TCP
    src, dst = np.where(tcp, ended.sides(f.FLAGS), -1)
    found["src_flags"], found["dst_flags"] = _small(src), _small(dst)
    ends, reasons = ended.sides(f.END), ended.sides(f.REASON)
    later = np.where(ends[1] > ends[0], reasons[1], reasons[0])
    reason = np.where(later > 0, later, np.maximum(reasons[0], reasons[1]))
    found["end_reason"] = _small(np.where((reason >= 1) & (reason <= 5), reason, _FORCED), 1, 5)
    return found


#: Where an exporter does not say why it told of a flow: the flow ends here because nothing more came.
_FORCED: Final = 4


def _states(ended: Ended) -> pa.Array:
    codes = conn_states(ended.rows[:, f.PROTO], ended.sides(f.FLAGS), ended.sides(f.PKTS), ~ended.unpaired)
    return a.dictionary(np.maximum(codes, 0), pa.array(CONN_STATES, pa.utf8()), (codes >= 0).view(np.uint8))


def _verdicts(values: Rows) -> pa.Array:
    names: list[Any] = [None, *(VERDICTS[n] for n in sorted(VERDICTS))]
    if (values <= 0).all():
        return pa.nulls(len(values), pa.utf8())
    return pa.array([names[n] if 0 < n < len(names) else None for n in values.tolist()], pa.utf8())


def _rules(values: Rows) -> pa.Array:
    if (values < 0).all():
        return pa.nulls(len(values), pa.utf8())
    return pa.array([str(n) if n >= 0 else None for n in values.tolist()], pa.utf8())


def slice_batch(ended: Ended) -> pa.RecordBatch:
    """Rows of `flow_slices`: one a piece."""
    pieces = ended.pieces[np.lexsort((ended.pieces[:, 2], ended.pieces[:, 0]))]
    flows = pieces[:, 0]
    responder = (pieces[:, 1] == 1) != ended.flip[flows]
    columns = {
        "flow_id": a.numbers(np.ascontiguousarray(ended.rows[flows, f.N]), pa.int64()),
        "ts": a.times(pieces[:, 2] // 1000),
    }
    for name, column in (("pkts", 3), ("bytes", 4)):
        columns[f"src_{name}"] = a.numbers(np.where(responder, 0, pieces[:, column]), pa.int64())
        columns[f"dst_{name}"] = a.numbers(np.where(responder, pieces[:, column], 0), pa.int64())
    return record_batch("flow_slices", columns, len(pieces))
