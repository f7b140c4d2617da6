"""One chunk of packets into the flow table.

A first pass asks for the index lines of all packets, a second one for the rows a few packets ahead,
so that memory latency overlaps: with a million open flows every access would otherwise be a miss.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import types, uint8, uint64

from workbench.decode.bits import exported, kernel
from workbench.flows.history import LETTER_C, LETTER_D, LETTER_FLIP, add_byte, add_letter, first_letter, power_of_ten
from workbench.flows.holes import endpoint_state, has_bit
from workbench.flows.index import find, hash_key, insert, packet_network, prefetch, remove
from workbench.flows.rows import (
    ACTIVE,
    BLOCK_SHIFT,
    C_ARP,
    C_BACK,
    C_BAD,
    C_BITS,
    C_ENDED,
    C_EVICT,
    C_EVICTED,
    C_FLOWS,
    C_FREE,
    C_HAND,
    C_INNER,
    C_OFFLOADED,
    C_OPEN,
    C_ORPHANS,
    C_PACKETS,
    C_SEEN,
    C_SLOTS,
    C_TS_FIRST,
    C_TS_LAST,
    C_TS_PREVIOUS,
    CONN_ATTEMPT,
    CONN_ONE_WAY,
    CONN_OPEN,
    CONN_SETTLED,
    END_CLOSED,
    F_BACK,
    F_BAD,
    F_EVICTED,
    F_INNER,
    F_OFFLOADED,
    F_ORPHANS,
    INACTIVE,
    MINUTE,
    NEVER,
    PACKETS_TYPE,
    REASON_END,
    REASON_FORCED,
    REASON_IDLE,
    REASON_RESOURCES,
    RESET,
    S_BAD_MASK,
    S_GOOD_MASK,
    S_ICMP_IDLE,
    S_MAX_OPEN,
    S_SEED,
    S_SEED_2,
    S_TCP_CLOSE,
    S_TCP_IDLE,
    S_UDP_IDLE,
    SEEN_DATA,
    STATE_TYPE,
    SYN_ACK_SENT,
)
from workbench.flows.sides import (
    count_tunnel,
    find_fragment,
    next_slice,
    note_block,
    note_fragment,
    note_frame,
    note_outer,
    push_arp,
)
from workbench.flows.tcp import process_tcp, start_end, starts_anew, tcp_flips
from workbench.records.packet import ARP, FLOW, FRAG_FIRST, FRAG_LATER, ICMP_PAIRED, INNER_UNDECODED, L4_OFFLOAD, PORTS

_TCP: Final = 6
_UDP: Final = 17
_ICMP: Final = 1
_ICMP6: Final = 58
_AHEAD: Final = 8
_SWEEP_EVERY: Final = 64  # packets
_SWEEP_SLOTS: Final = 128  # twice as many slots as packets: a full round outruns new flows
_EVICT_LOOK: Final = 4
_BROADCAST: Final = np.uint64(0x0000FFFFFFFFFFFF)
_MAX_MINUTE: Final = 65535


@kernel
def _idle_limit(config: Any, hot: Any) -> Any:
    proto = hot.proto
    if proto == _TCP:
        return config[S_TCP_IDLE] if hot.marks & CONN_SETTLED else config[S_UDP_IDLE]
    if proto == _ICMP or proto == _ICMP6:
        return config[S_ICMP_IDLE]
    return config[S_UDP_IDLE]


@kernel
def over(config: Any, hot: Any, now: Any) -> Any:
    """end_reason of a flow whose time is up at `now` (ns), or 0."""
    if now >= hot.deadline:
        if not (hot.marks & CONN_ATTEMPT):
            return REASON_END
        if endpoint_state(hot, 0) <= SYN_ACK_SENT and endpoint_state(hot, 1) == INACTIVE:
            return REASON_IDLE
        hot.deadline = NEVER
        hot.marks = np.int64(hot.marks) & ~CONN_ATTEMPT
    quiet = now - hot.last
    if quiet >= _idle_limit(config, hot):
        return REASON_IDLE
    if hot.bits and hot.proto == _TCP and quiet > config[S_TCP_CLOSE]:
        a = endpoint_state(hot, 0)
        b = endpoint_state(hot, 1)
        one = has_bit(hot, 0, END_CLOSED)
        two = has_bit(hot, 1, END_CLOSED)
        if (one and two) or ((one or two) and (a == RESET or b == RESET or a == INACTIVE or b == INACTIVE)):
            return REASON_END
    return 0


@kernel
def end_flow(state: Any, slot: Any, reason: Any) -> Any:
    """Take a flow out of the index; its row stays where it is until it was emitted."""
    remove(state, slot)
    hot = state.hot[slot]
    hot.marks = np.int64(hot.marks) & ~CONN_OPEN
    state.cold[slot].reason = reason
    counts = state.counts
    state.ended[counts[C_ENDED]] = slot
    counts[C_ENDED] += 1
    counts[C_OPEN] -= 1


@kernel
def _sweep(state: Any, now: Any, count: Any) -> Any:
    """Look at the next `count` slots and end what is over; keeps memory flat where nobody comes back."""
    counts = state.counts
    used = counts[C_SLOTS]
    at = counts[C_HAND]
    for _ in range(min(count, used)):
        if at >= used:
            at = 0
        hot = state.hot[at]
        if hot.marks & CONN_OPEN:
            reason = over(state.config, hot, now)
            if reason:
                end_flow(state, at, reason)
        at += 1
    counts[C_HAND] = at


@kernel
def _evict(state: Any, number: Any) -> Any:
    """End the longest silent of the next few open flows: near the oldest, at the cost of four cache lines."""
    counts = state.counts
    used = counts[C_SLOTS]
    at = counts[C_EVICT]
    best = np.int64(-1)
    looked = 0
    while looked < _EVICT_LOOK:
        if at >= used:
            at = 0
        hot = state.hot[at]
        if hot.marks & CONN_OPEN:
            looked += 1
            if best < 0 or hot.last < state.hot[best].last:
                best = at
        elif best >= 0 and looked + 1 == _EVICT_LOOK:
            break
        at += 1
    counts[C_EVICT] = at
    end_flow(state, best, REASON_RESOURCES)
    note_frame(state.frames, F_EVICTED, counts[C_EVICTED], number)
    counts[C_EVICTED] += 1


@kernel
def _new_slot(state: Any, number: Any) -> Any:
    counts = state.counts
    if counts[C_OPEN] >= state.config[S_MAX_OPEN]:
        _evict(state, number)
    counts[C_OPEN] += 1
    if counts[C_FREE] > 0:
        counts[C_FREE] -= 1
        return np.int64(state.free[counts[C_FREE]])
    slot = counts[C_SLOTS]
    counts[C_SLOTS] = slot + 1
    return slot


@kernel
def _flips(state: Any, packet: Any) -> Any:
    """Whether the sender of a tuple's first packet is the responder (Zeek's WantConnection)."""
    if packet.proto == _TCP:
        src = (state.servers[packet.src_port] & 1) != 0
        flips = src and tcp_flips(packet, src, (state.servers[packet.dst_port] & 1) != 0)
    elif packet.proto == _UDP:
        flips = (state.servers[packet.src_port] & 2) != 0 and (state.servers[packet.dst_port] & 2) == 0
    else:
        return False
    broadcast = packet.dst_hi == np.uint64(0) and packet.dst_lo == np.uint64(0x0000FFFFFFFFFFFF)
    return flips and not broadcast


@kernel
def _new_flow(state: Any, packet: Any, network: Any, key_hash: Any, one_way: Any, offset: Any, number: Any) -> Any:
    """A row for the first packet of a tuple; returns 2 * slot + side of its sender."""
    slot = _new_slot(state, number)
    flips = _flips(state, packet)
    hot = state.hot[slot]
    cold = state.cold[slot]
    if flips:
        hot.src_hi, hot.src_lo, hot.src_port = packet.dst_hi, packet.dst_lo, packet.dst_port
        hot.dst_hi, hot.dst_lo, hot.dst_port = packet.src_hi, packet.src_lo, packet.src_port
        cold.src_mac, cold.dst_mac = packet.dst_mac, packet.src_mac
    else:
        hot.src_hi, hot.src_lo, hot.src_port = packet.src_hi, packet.src_lo, packet.src_port
        hot.dst_hi, hot.dst_lo, hot.dst_port = packet.dst_hi, packet.dst_lo, packet.dst_port
        cold.src_mac, cold.dst_mac = packet.src_mac, packet.dst_mac
    ts = packet.ts
    hot.network = network
    hot.last = ts
    hot.proto = packet.proto
    hot.marks = CONN_OPEN | (CONN_ONE_WAY if one_way else 0)
    hot.ports = 1 if packet.marks & PORTS else 0
    hot.src_state = 0
    hot.dst_state = 0
    hot.bits = 0
    hot.letters = 0
    hot.seen = 0
    hot.minute = 0
    hot.first = ts
    hot.end = ts
    hot.src_pkts = 0
    hot.dst_pkts = 0
    hot.src_bytes = 0
    hot.dst_bytes = 0
    hot.last_offset = offset
    hot.deadline = NEVER
    if packet.proto == _TCP:
        hot.deadline = ts + state.config[S_TCP_CLOSE]
        hot.marks |= CONN_ATTEMPT
    start_end(state.ends[2 * slot])
    start_end(state.ends[2 * slot + 1])
    counts = state.counts
    cold.n = counts[C_FLOWS]
    counts[C_FLOWS] += 1
    cold.first_offset = offset
    cold.syn = 0
    cold.rtt_us = -1
    cold.vni = packet.vni if packet.tunnel else -1
    cold.outer = -1
    cold.slice = -1
    cold.src_holes = -1
    cold.dst_holes = -1
    cold.more_letters = -1
    cold.vlan = packet.vlan
    cold.inner_vlan = packet.inner_vlan
    cold.blocks = 1
    cold.listing = 0
    cold.reason = 0
    if packet.tunnel:
        note_outer(state, cold, packet, flips)
    insert(state, key_hash, slot)
    if flips:
        add_byte(state, slot, LETTER_FLIP)
    return 2 * slot + (1 if flips else 0)


@kernel
def _count(state: Any, slot: Any, side: Any, packet: Any, offset: Any) -> Any:
    """Counters, times and places of one packet."""
    hot = state.hot[slot]
    ts = packet.ts
    if ts - hot.first >= (np.int64(hot.minute) + 1) * MINUTE and hot.minute < _MAX_MINUTE:
        next_slice(state, slot, ts)
    if side:
        hot.dst_pkts += 1
        hot.dst_bytes += packet.ip_bytes
    else:
        hot.src_pkts += 1
        hot.src_bytes += packet.ip_bytes
    if ts > hot.end:
        hot.end = ts
    if (offset >> BLOCK_SHIFT) != (hot.last_offset >> BLOCK_SHIFT):
        note_block(state, slot, offset)
    hot.last_offset = offset
    state.counts[C_PACKETS] += 1


@kernel
def _bad_checksum(state: Any, slot: Any, side: Any, packet: Any, number: Any) -> Any:
    """Counted and marked; nothing else in it is believed."""
    counts = state.counts
    note_frame(state.frames, F_BAD, counts[C_BAD], number)
    counts[C_BAD] += 1
    end = state.ends[2 * slot + side]
    if (packet.proto == _TCP or packet.proto == _UDP) and end.bad_sums < 65535:
        end.bad_sums += 1
        if power_of_ten(np.int64(end.bad_sums)):
            add_letter(state, slot, side, LETTER_C)


@kernel
def _datagram(state: Any, slot: Any, side: Any, packet: Any) -> Any:
    """Every transport but TCP: the side is active, its payload adds up."""
    hot = state.hot[slot]
    hot.last = packet.ts
    if side:
        hot.dst_state = ACTIVE
    else:
        hot.src_state = ACTIVE
    state.ends[2 * slot + side].payload += packet.payload
    if packet.proto == _UDP:
        first_letter(state, slot, side, SEEN_DATA, LETTER_D)


@kernel
def _later_fragment(state: Any, packet: Any, offset: Any, number: Any) -> Any:
    """A fragment without ports joins the flow of its first one, or is an orphan."""
    counts = state.counts
    slot = find_fragment(state, packet)
    if slot < 0:
        note_frame(state.frames, F_ORPHANS, counts[C_ORPHANS], number)
        counts[C_ORPHANS] += 1
        return
    hot = state.hot[slot]
    side = 0 if hot.src_lo == packet.src_lo and hot.src_hi == packet.src_hi else 1
    _count(state, slot, side, packet, offset)
    if packet.proto != _TCP:
        state.ends[2 * slot + side].payload += packet.payload
        hot.last = packet.ts


@kernel
def _one(state: Any, packet: Any, key_hash: Any, network: Any, offset: Any, number: Any) -> Any:
    """One packet of a flow."""
    config = state.config
    ts = packet.ts
    one_way = (
        (packet.proto == _ICMP or packet.proto == _ICMP6) and (packet.marks & PORTS) != 0 and (packet.marks & ICMP_PAIRED) == 0
    )
    found = find(state, key_hash, packet, network, one_way)
    if found >= 0:
        slot = found >> 1
        reason = over(config, state.hot[slot], ts)
        if reason == 0 and packet.proto == _TCP and (packet.flags & 2) != 0 and starts_anew(state, slot, packet):
            reason = REASON_END
        if reason:
            end_flow(state, slot, reason)
            found = -1
    if found < 0:
        found = _new_flow(state, packet, network, key_hash, one_way, offset, number)
    slot = found >> 1
    side = found & 1
    bad = (packet.marks & config[S_BAD_MASK]) != 0 and (packet.marks & config[S_GOOD_MASK]) == 0
    if packet.proto == _TCP:
        end = state.ends[found]
        end.flags = np.int64(end.flags) | np.int64(packet.flags)
        if bad:
            _bad_checksum(state, slot, side, packet, number)
        else:
            before = side
            state_side = process_tcp(state, slot, side, packet, ts)
            side = state_side if state_side != before else before
    elif bad:
        _bad_checksum(state, slot, side, packet, number)
    else:
        _datagram(state, slot, side, packet)
    _count(state, slot, side, packet, offset)
    if packet.marks & FRAG_FIRST:
        note_fragment(state, packet, slot)
    if packet.tunnel:
        count_tunnel(state, packet, number)


@kernel
def _clock(counts: Any, frames: Any, ts: Any, number: Any) -> Any:
    if number == 1:
        counts[C_TS_FIRST] = ts
        counts[C_TS_LAST] = ts
    elif ts < counts[C_TS_PREVIOUS]:
        note_frame(frames, F_BACK, counts[C_BACK], number)
        counts[C_BACK] += 1
    counts[C_TS_PREVIOUS] = ts
    if ts < counts[C_TS_FIRST]:
        counts[C_TS_FIRST] = ts
    if ts > counts[C_TS_LAST]:
        counts[C_TS_LAST] = ts


@kernel
def _special(state: Any, buf: Any, packet: Any, offset: Any, number: Any) -> Any:
    """ARP and later fragments; returns whether the packet was one of them."""
    counts = state.counts
    if packet.status == ARP:
        push_arp(state, buf, packet, packet_network(state.config, packet), offset - packet.rec)
        counts[C_ARP] += 1
        return True
    if packet.marks & FRAG_LATER:
        _later_fragment(state, packet, offset, number)
        if packet.tunnel:
            count_tunnel(state, packet, number)
        return True
    if packet.marks & INNER_UNDECODED:
        note_frame(state.frames, F_INNER, counts[C_INNER], number)
        counts[C_INNER] += 1
    if packet.marks & L4_OFFLOAD and not (packet.marks & state.config[S_BAD_MASK]):
        note_frame(state.frames, F_OFFLOADED, counts[C_OFFLOADED], number)
        counts[C_OFFLOADED] += 1
    return False


@exported(types.void(STATE_TYPE, uint8[::1], PACKETS_TYPE, types.int64, types.int64, uint64[::1], uint64[::1]))
def update_flows(state: Any, buf: Any, packets: Any, n: Any, base: Any, hashes: Any, networks: Any) -> Any:
    """packets[:n], in order; base: source offset of buf[0]; hashes and networks: scratch of at least n.

    The caller has made room: for n more flows in the slots and the index, n slices, n ARP rows and 17 n blocks.
    """
    config = state.config
    seed = np.uint64(config[S_SEED])
    seed_2 = np.uint64(config[S_SEED_2])
    shift = np.uint64(64 - state.counts[C_BITS])
    for i in range(n):
        packet = packets[i]
        if packet.status == FLOW:
            network = packet_network(config, packet)
            networks[i] = network
            key_hash = hash_key(
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
            hashes[i] = key_hash
            prefetch(state.index, np.int64(key_hash >> shift))
        else:
            hashes[i] = 0
    counts = state.counts
    for i in range(n):
        if i + _AHEAD < n:
            entry = state.index[np.int64(hashes[i + _AHEAD] >> shift)] & np.uint64(0xFFFFFFFF)
            if entry != 0:
                slot = np.int64(entry) - 1
                prefetch(state.hot, slot)
                prefetch(state.ends, 2 * slot)
        packet = packets[i]
        counts[C_SEEN] += 1
        number = counts[C_SEEN]
        ts = packet.ts
        _clock(counts, state.frames, ts, number)
        if number % _SWEEP_EVERY == 0:
            _sweep(state, ts, _SWEEP_SLOTS)
        if packet.status != FLOW and packet.status != ARP:
            continue
        offset = base + packet.rec
        if (packet.marks | (packet.status << 15)) & (FRAG_LATER | INNER_UNDECODED | L4_OFFLOAD | (ARP << 15)):
            if _special(state, buf, packet, offset, number):
                continue
        _one(state, packet, hashes[i], networks[i], offset, number)


@exported(types.void(STATE_TYPE, types.int64))
def end_all(state: Any, now: Any) -> Any:
    """End every open flow at the end of the source: idle or closed where that is so, else forced."""
    for slot in range(state.counts[C_SLOTS]):
        hot = state.hot[slot]
        if hot.marks & CONN_OPEN:
            reason = over(state.config, hot, now)
            if reason == 0:
                closing = hot.proto == _TCP and hot.deadline != NEVER and not (hot.marks & CONN_ATTEMPT)
                reason = REASON_END if closing else REASON_FORCED
            end_flow(state, slot, reason)
