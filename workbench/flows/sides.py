"""What a flow needs besides its row: slices of its life, blocks of the source, fragments, tunnels, ARP."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from workbench.decode.bits import kernel
from workbench.flows.memory import (
    arp_row_at,
    block_row_at,
    cold_at,
    fragment_at,
    hot_at,
    outer_at,
    slice_at,
    slice_row_at,
    tunnel_at,
)
from workbench.flows.pools import take_outer, take_slice
from workbench.flows.rows import (
    BITMAP_BLOCKS,
    BLOCK_SHIFT,
    CONN_OPEN,
    F_TUNNELS,
    FIRST_FRAMES,
    FRAGMENT_AGE,
    FRAGMENT_SETS,
    MINUTE,
    TUNNEL_ROWS,
)

_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_SHIFT: Final = np.uint64(40)
_LAST_MINUTE: Final = 65535


@kernel
def note_frame(state: Any, kind: Any, count: Any, number: Any) -> Any:
    """Remember the first frame numbers of a kind; count: how many came before."""
    if count < FIRST_FRAMES:
        state.frames[FIRST_FRAMES * kind + count] = number


@kernel
def push_slice(state: Any, hot: Any, cold: Any, minute: Any) -> Any:
    """Write the slice that began at `minute` of the flow's life: what was counted since."""
    at = state.slice_count
    row = slice_row_at(state, at)
    row.n = cold.n
    row.ts = hot.first + minute * MINUTE
    row.src_pkts = hot.src_pkts
    row.dst_pkts = hot.dst_pkts
    row.src_bytes = hot.src_bytes
    row.dst_bytes = hot.dst_bytes
    if cold.slice >= 0:
        base = slice_at(state, cold.slice)
        row.src_pkts -= base.src_pkts
        row.dst_pkts -= base.dst_pkts
        row.src_bytes -= base.src_bytes
        row.dst_bytes -= base.dst_bytes
    if row.src_pkts or row.dst_pkts:
        state.slice_count = at + 1


@kernel
def next_slice(state: Any, slot: Any, ts: Any) -> Any:
    """The flow entered a later minute of its life (before this packet is counted)."""
    hot = hot_at(state, slot)
    cold = cold_at(state, slot)
    minute = min(_LAST_MINUTE, (ts - hot.first) // MINUTE)
    begun = np.int64(0)
    if cold.slice >= 0:
        begun = np.int64(slice_at(state, cold.slice).minute)
        push_slice(state, hot, cold, begun)
    else:
        fresh = take_slice(state)
        if fresh < 0:
            hot.minute = _LAST_MINUTE  # no room: the flow stays without slices
            return
        push_slice(state, hot, cold, begun)
        cold.slice = fresh
    base = slice_at(state, cold.slice)
    base.src_pkts = hot.src_pkts
    base.dst_pkts = hot.dst_pkts
    base.src_bytes = hot.src_bytes
    base.dst_bytes = hot.dst_bytes
    base.minute = minute
    hot.minute = minute


@kernel
def _push_block(state: Any, n: Any, block: Any) -> Any:
    at = state.block_count
    row = block_row_at(state, at)
    row.n = n
    row.block = block
    state.block_count = at + 1


@kernel
def note_block(state: Any, slot: Any, offset: Any) -> Any:
    """The flow has a packet in another 4 MiB block than its last one. Offsets only grow."""
    hot = hot_at(state, slot)
    block = offset >> BLOCK_SHIFT
    step = block - (hot.last_offset >> BLOCK_SHIFT)
    blocks = np.int64(hot.blocks)
    if blocks == 0:
        _push_block(state, cold_at(state, slot).n, block)
    elif step < BITMAP_BLOCKS and (blocks << step) < (1 << BITMAP_BLOCKS):
        hot.blocks = (blocks << step) | 1
    else:
        n = cold_at(state, slot).n
        for i in range(BITMAP_BLOCKS - 1, -1, -1):
            if (blocks >> i) & 1:
                _push_block(state, n, block - step - i)
        _push_block(state, n, block)
        hot.blocks = 0


@kernel
def _fragment_set(key: Any) -> Any:
    return 4 * np.int64(((key * _MIX) >> _SHIFT) & np.uint64(FRAGMENT_SETS - 1))


@kernel
def note_fragment(state: Any, packet: Any, slot: Any) -> Any:
    """A first fragment: its later ones belong to this flow. The oldest of a full set gives way."""
    at = _fragment_set(packet.frag_key)
    place = at
    for way in range(at, at + 4):
        row = fragment_at(state, way)
        if row.key == packet.frag_key:
            place = way
            break
        if row.ts < fragment_at(state, place).ts:
            place = way
    row = fragment_at(state, place)
    row.key = packet.frag_key
    row.ts = packet.ts
    row.slot = slot
    row.n = cold_at(state, slot).n


@kernel
def find_fragment(state: Any, packet: Any) -> Any:
    """Slot of the flow whose first fragment had this key, or -1: too old, gone, or never seen."""
    at = _fragment_set(packet.frag_key)
    for way in range(at, at + 4):
        row = fragment_at(state, way)
        if row.key == packet.frag_key and row.ts != 0:
            slot = np.int64(row.slot)
            gone = (hot_at(state, slot).marks & CONN_OPEN) == 0 or cold_at(state, slot).n != row.n
            if gone or packet.ts - row.ts > FRAGMENT_AGE:
                return -1
            return slot
    return -1


@kernel
def note_outer(state: Any, cold: Any, packet: Any, flipped: Any) -> Any:
    """Keep the outer side of a new flow, turned so that src is the originator's side."""
    row = take_outer(state)
    cold.outer = row
    if row < 0:
        return
    outer = outer_at(state, row)
    outer.tunnel = packet.tunnel
    outer.vlan = packet.outer_vlan
    if flipped:
        outer.src_hi = packet.outer_dst_hi
        outer.src_lo = packet.outer_dst_lo
        outer.dst_hi = packet.outer_src_hi
        outer.dst_lo = packet.outer_src_lo
        outer.src_mac = packet.outer_dst_mac
        outer.dst_mac = packet.outer_src_mac
    else:
        outer.src_hi = packet.outer_src_hi
        outer.src_lo = packet.outer_src_lo
        outer.dst_hi = packet.outer_dst_hi
        outer.dst_lo = packet.outer_dst_lo
        outer.src_mac = packet.outer_src_mac
        outer.dst_mac = packet.outer_dst_mac


@kernel
def count_tunnel(state: Any, packet: Any, number: Any) -> Any:
    """Add a packet to the sums of its outer side; endpoints beyond the bound are only counted as lost."""
    key = (packet.outer_src_lo * _MIX) ^ (packet.outer_dst_lo + packet.tunnel + np.uint64(packet.vni + 1))
    key = ((key ^ packet.outer_src_hi) * _MIX) ^ packet.outer_dst_hi
    at = np.int64(((key * _MIX) >> _SHIFT) & np.uint64(TUNNEL_ROWS - 1))
    while True:
        row = tunnel_at(state, at)
        if row.tunnel == 0:
            break
        same = row.src_lo == packet.outer_src_lo and row.dst_lo == packet.outer_dst_lo and row.tunnel == packet.tunnel
        if same and row.vni == packet.vni and row.src_hi == packet.outer_src_hi and row.dst_hi == packet.outer_dst_hi:
            row.packets += 1
            row.bytes += packet.wire
            row.first = min(row.first, packet.ts)
            row.last = max(row.last, packet.ts)
            return
        at = (at + 1) & (TUNNEL_ROWS - 1)
    if state.tunnel_count >= TUNNEL_ROWS // 2:
        note_frame(state, F_TUNNELS, state.tunnels_lost, number)
        state.tunnels_lost += 1
        return
    state.tunnel_count += 1
    row.src_hi = packet.outer_src_hi
    row.src_lo = packet.outer_src_lo
    row.dst_hi = packet.outer_dst_hi
    row.dst_lo = packet.outer_dst_lo
    row.tunnel = packet.tunnel
    row.vni = packet.vni
    row.first = packet.ts
    row.last = packet.ts
    row.packets = 1
    row.bytes = packet.wire


@kernel
def _read_mac(buf: Any, at: Any) -> Any:
    value = np.int64(0)
    for i in range(6):
        value = (value << 8) | np.int64(buf[at + i])
    return value


@kernel
def push_arp(state: Any, buf: Any, packet: Any, network: Any, base: Any) -> Any:
    """One row of `arp`; hardware addresses are read from the ARP body (RFC 826) where it was captured."""
    at = state.arp_count
    row = arp_row_at(state, at)
    row.ts = packet.ts
    row.network = network
    row.operation = packet.src_port
    row.src_ip = packet.src_lo
    row.dst_ip = packet.dst_lo
    row.eth_src = packet.src_mac
    row.eth_dst = packet.dst_mac
    row.src_mac = -1
    row.dst_mac = -1
    start = packet.pay
    if start >= 0 and start + 28 <= packet.end and packet.end <= len(buf):
        row.src_mac = _read_mac(buf, start + 8)
        row.dst_mac = _read_mac(buf, start + 18)
    row.vlan = packet.vlan
    row.offset = base + packet.rec
    state.arp_count = at + 1
