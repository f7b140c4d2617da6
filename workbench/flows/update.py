"""One chunk of packets into the flow table.

Packets go in groups: a first pass asks for their index lines, a second one for their rows, a third does the work,
so that the waits for memory overlap. The rows of thousands of open flows do not stay in a cache through which the capture
itself streams: without this, most of the time would go into waiting.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import types, uint8, uint64

from workbench.decode.bits import exported, kernel
from workbench.flows.history import LETTER_C, LETTER_D, LETTER_FLIP, add_byte, add_letter, first_letter, power_of_ten
from workbench.flows.holes import endpoint_state, has_bit
from workbench.flows.index import find, insert, packet_hash, packet_network, remove
from workbench.flows.memory import (
    PACKETS_TYPE,
    STATE_TYPE,
    cold_at,
    end_at,
    ended_at,
    entry_at,
    free_at,
    hot_at,
    inlined,
    prefetch,
    server_at,
)
from workbench.flows.rows import (
    ACTIVE,
    BLOCK_SHIFT,
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
    FACT_DOUBTED,
    FACT_DST_RIGHT,
    FACT_PORTS,
    FACT_SRC_RIGHT,
    FACT_VOUCHED,
    INACTIVE,
    MINUTE,
    NEVER,
    REASON_END,
    REASON_FORCED,
    REASON_IDLE,
    REASON_RESOURCES,
    RESET,
    SEEN_DATA,
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
from workbench.flows.stream_rows import DEAF, HEARD
from workbench.flows.streams import tap
from workbench.flows.tcp import plain_segment, process_tcp, start_end, starts_anew, tcp_flips
from workbench.records.packet import (
    ARP,
    FLOW,
    FRAG_FIRST,
    FRAG_LATER,
    ICMP_PAIRED,
    INNER_UNDECODED,
    L4_OFFLOAD,
    L4_UNCHECKED,
    PORTS,
)

_TCP: Final = 6
_UDP: Final = 17
_SCTP: Final = 132
_ICMP: Final = 1
_ICMP6: Final = 58
_GROUP: Final = 32  # packets whose rows are asked for together: 6 cache lines each, well inside L1
_SYN: Final = 2
_CONTROL: Final = 7  # FIN, SYN, RST
_SWEEP_EVERY: Final = 64  # packets
_SWEEP_SLOTS: Final = 128  # twice as many slots as packets, or the hand would follow right behind the newest flows
_EVICT_LOOK: Final = 4
_EVICT_AT_ONCE: Final = 64
_BROADCAST: Final = np.uint64(0x0000FFFFFFFFFFFF)
_MAX_MINUTE: Final = 65535


@kernel
def _idle_limit(state: Any, hot: Any) -> Any:
    proto = hot.proto
    if proto == _TCP:
        return state.tcp_idle if hot.marks & CONN_SETTLED else state.udp_idle
    if proto in (_ICMP, _ICMP6):
        return state.icmp_idle
    return state.udp_idle


@kernel
def over(state: Any, hot: Any, now: Any) -> Any:
    """end_reason of a flow whose time is up at `now` (ns), or 0."""
    if now >= hot.deadline:
        if not (hot.marks & CONN_ATTEMPT):
            return REASON_END
        if endpoint_state(hot, 0) <= SYN_ACK_SENT and endpoint_state(hot, 1) == INACTIVE:
            return REASON_IDLE
        hot.deadline = NEVER
        hot.marks = np.int64(hot.marks) & ~CONN_ATTEMPT
    quiet = now - hot.last
    if hot.bits and hot.proto == _TCP and quiet > state.tcp_close:
        a = endpoint_state(hot, 0)
        b = endpoint_state(hot, 1)
        one = has_bit(hot, 0, END_CLOSED)
        two = has_bit(hot, 1, END_CLOSED)
        if (one and two) or ((one or two) and (a in (RESET, INACTIVE) or b in (RESET, INACTIVE))):
            return REASON_END
    return REASON_IDLE if quiet >= _idle_limit(state, hot) else 0


@kernel
def end_flow(state: Any, slot: Any, reason: Any) -> Any:
    """Take a flow out of the index; its row stays where it is until it was emitted."""
    remove(state, slot)
    hot = hot_at(state, slot)
    hot.marks = np.int64(hot.marks) & ~CONN_OPEN
    cold_at(state, slot).reason = reason
    ended_at(state, state.ended_count).value = slot
    state.ended_count += 1
    state.open -= 1


@kernel
def _sweep(state: Any, now: Any, count: Any) -> Any:
    """Look at the next `count` slots and end what is over; keeps memory flat where nobody comes back."""
    used = state.slots
    at = state.hand
    soonest = state.soonest
    for _ in range(min(count, used)):
        if at >= used:
            at = 0
        hot = hot_at(state, at)
        if now - hot.last >= soonest and (hot.marks & CONN_OPEN) != 0:
            reason = over(state, hot, now)
            if reason:
                end_flow(state, at, reason)
        at += 1
    state.hand = at


@kernel
def _evict(state: Any, number: Any) -> Any:
    """Make room: of each of the next few groups of open flows, end the one that was silent longest.

    Near the oldest, at the cost of reading _EVICT_LOOK rows in order for each; several at once, so that the accesses
    to the index overlap.
    """
    used = state.slots
    at = state.evict_hand
    first = state.ended_count
    victims = min(_EVICT_AT_ONCE, max(1, state.max_open // (4 * _EVICT_LOOK)))
    for i in range(victims):
        best = np.int64(-1)
        looked = 0
        while looked < _EVICT_LOOK:
            if at >= used:
                at = 0
            hot = hot_at(state, at)
            if hot.marks & CONN_OPEN:
                looked += 1
                if best < 0 or hot.last < hot_at(state, best).last:
                    best = at
            at += 1
        ended_at(state, first + i).value = best
        hot = hot_at(state, best)
        hot.marks = np.int64(hot.marks) & ~CONN_OPEN
        prefetch(state.index_at + 8 * (np.int64(cold_at(state, best).tag) >> (32 - state.bits)))
    state.evict_hand = at
    for i in range(victims):
        end_flow(state, np.int64(ended_at(state, first + i).value), REASON_RESOURCES)
        note_frame(state, F_EVICTED, state.evicted, number)
        state.evicted += 1


@kernel
def _new_slot(state: Any, number: Any) -> Any:
    if state.open >= state.max_open:
        _evict(state, number)
    state.open += 1
    if state.free_count > 0:
        state.free_count -= 1
        return np.int64(free_at(state, state.free_count).value)
    slot = state.slots
    state.slots = slot + 1
    return slot


@kernel
def _flips(state: Any, packet: Any) -> Any:
    """Whether the sender of a tuple's first packet is the responder (Zeek's WantConnection)."""
    if packet.proto == _TCP:
        src = (server_at(state, packet.src_port).value & 1) != 0
        flips = src and tcp_flips(packet, src, (server_at(state, packet.dst_port).value & 1) != 0)
    elif packet.proto == _UDP:
        flips = (server_at(state, packet.src_port).value & 2) != 0 and (server_at(state, packet.dst_port).value & 2) == 0
    else:
        return False
    broadcast = packet.dst_hi == np.uint64(0) and packet.dst_lo == np.uint64(0x0000FFFFFFFFFFFF)
    return flips and not broadcast


@kernel
def _new_flow(state: Any, packet: Any, network: Any, key_hash: Any, one_way: Any, offset: Any, number: Any) -> Any:
    """A row for the first packet of a tuple; returns 2 * slot + side of its sender."""
    slot = _new_slot(state, number)
    flips = _flips(state, packet)
    hot = hot_at(state, slot)
    cold = cold_at(state, slot)
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
    hot.facts = FACT_PORTS if packet.marks & PORTS else 0
    hot.src_state = 0
    hot.dst_state = 0
    hot.bits = 0
    hot.blocks = 1
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
        hot.deadline = ts + state.tcp_close
        hot.marks |= CONN_ATTEMPT
    begun = 1 if packet.proto == _TCP else 0
    heard = 0 if state.listening and packet.proto in (_TCP, _UDP, _SCTP) else DEAF
    start_end(end_at(state, 2 * slot), begun, heard)
    start_end(end_at(state, 2 * slot + 1), begun, heard)
    cold.n = state.flows
    state.flows += 1
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
    cold.letters = 0
    cold.reason = 0
    if packet.tunnel:
        note_outer(state, cold, packet, flips)
    insert(state, key_hash, slot)
    if flips:
        add_byte(state, slot, LETTER_FLIP)
    return 2 * slot + (1 if flips else 0)


@inlined
def _count(state: Any, hot: Any, slot: Any, side: Any, packet: Any, offset: Any) -> Any:
    """Counters, times and places of one packet."""
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


@kernel
def _doubtful(state: Any, slot: Any, side: Any, packet: Any, number: Any) -> Any:
    """A packet with a wrong checksum: whether it is believed all the same."""
    note_frame(state, F_BAD, state.bad, number)
    state.bad += 1
    hot = hot_at(state, slot)
    facts = np.int64(hot.facts)
    end = end_at(state, 2 * slot + side)
    if end.bad_sums < 65535:
        end.bad_sums += 1
    control = packet.proto == _TCP and (packet.flags & _CONTROL) != 0
    if state.believing and not (control and (facts & (FACT_DST_RIGHT if side else FACT_SRC_RIGHT)) != 0):
        hot.facts = facts | FACT_DOUBTED | (FACT_VOUCHED if side else 0)
        return True
    if packet.proto in (_TCP, _UDP) and power_of_ten(np.int64(end.bad_sums)):
        add_letter(state, slot, side, LETTER_C)
    return False


@inlined
def _believed(state: Any, hot: Any, slot: Any, side: Any, packet: Any, number: Any) -> Any:
    """Judge the packet's checksum (the rule is in `table`); False: it is counted and marked, nothing in it is used."""
    marks = np.int64(packet.marks)
    facts = np.int64(hot.facts)
    right = FACT_DST_RIGHT if side else FACT_SRC_RIGHT
    if (marks & state.bad_mask) == 0 or (marks & state.good_mask) != 0:
        told = facts | FACT_VOUCHED | (0 if marks & (L4_UNCHECKED | L4_OFFLOAD) else right)
        if told != facts:
            hot.facts = told
        return True
    return _doubtful(state, slot, side, packet, number)


@inlined
def _datagram(state: Any, hot: Any, slot: Any, side: Any, packet: Any) -> Any:
    """Every transport but TCP: the side is active, its payload adds up."""
    hot.last = packet.ts
    if side:
        hot.dst_state = ACTIVE
    else:
        hot.src_state = ACTIVE
    end_at(state, 2 * slot + side).delivered += packet.payload
    if packet.proto == _UDP and (hot.seen & (SEEN_DATA << (8 * side))) == 0:
        first_letter(state, slot, side, SEEN_DATA, LETTER_D)


@kernel
def _later_fragment(state: Any, packet: Any, offset: Any, number: Any) -> Any:
    """A fragment without ports joins the flow of its first one, or is an orphan."""
    slot = find_fragment(state, packet)
    if slot < 0:
        note_frame(state, F_ORPHANS, state.orphans, number)
        state.orphans += 1
        return
    hot = hot_at(state, slot)
    side = 0 if hot.src_lo == packet.src_lo and hot.src_hi == packet.src_hi else 1
    _count(state, hot, slot, side, packet, offset)
    state.packets += 1
    if packet.proto != _TCP:
        end_at(state, 2 * slot + side).delivered += packet.payload
        hot.last = packet.ts


@kernel
def _enter(state: Any, found: Any, packet: Any, key_hash: Any, network: Any, one_way: Any, offset: Any, number: Any) -> Any:
    """2 * slot + side of the flow a packet belongs to, once what is over was ended and what is new was begun."""
    if found >= 0:
        slot = found >> 1
        reason = over(state, hot_at(state, slot), packet.ts)
        if reason == 0 and packet.proto == _TCP and (packet.flags & _SYN) != 0 and starts_anew(state, slot, packet):
            reason = REASON_END
        if reason == 0:
            return found
        end_flow(state, slot, reason)
    return _new_flow(state, packet, network, key_hash, one_way, offset, number)


@inlined
def _one(state: Any, packet: Any, key_hash: Any, network: Any, offset: Any, number: Any, buf: Any, pool: Any, arena: Any) -> Any:
    """One packet of a flow."""
    ts = packet.ts
    one_way = False
    if packet.proto in (_ICMP, _ICMP6):
        one_way = (packet.marks & (PORTS | ICMP_PAIRED)) == PORTS
    found = find(state, key_hash, packet, network, one_way)
    known = False
    if found >= 0:
        old = hot_at(state, found >> 1)
        known = ts < old.deadline and ts - old.last < state.soonest and (packet.flags & _SYN) == 0
    if not known:
        found = _enter(state, found, packet, key_hash, network, one_way, offset, number)
    slot = found >> 1
    side = found & 1
    hot = hot_at(state, slot)
    believed = _believed(state, hot, slot, side, packet, number)
    if packet.proto == _TCP:
        end = end_at(state, found)
        end.flags = np.int64(end.flags) | np.int64(packet.flags)
        if believed and not plain_segment(hot, end, end_at(state, found ^ 1), side, packet, ts):
            side = process_tcp(state, slot, side, packet, ts)
    elif believed:
        _datagram(state, hot, slot, side, packet)
    _count(state, hot, slot, side, packet, offset)
    if packet.payload != 0 and end_at(state, 2 * slot + side).stream < HEARD and believed:
        tap(state, slot, side, packet, buf, pool, arena)
    if (packet.marks & FRAG_FIRST) != 0 or packet.tunnel != 0:
        _note_sides(state, slot, packet, number)


@kernel
def _note_sides(state: Any, slot: Any, packet: Any, number: Any) -> Any:
    """Fragments and tunnels of a packet."""
    if packet.marks & FRAG_FIRST:
        note_fragment(state, packet, slot)
    if packet.tunnel:
        count_tunnel(state, packet, number)


@kernel
def _special(state: Any, buf: Any, packet: Any, offset: Any, number: Any) -> Any:
    """ARP and later fragments; returns whether the packet was one of them."""
    if packet.status == ARP:
        push_arp(state, buf, packet, packet_network(state, packet), offset - packet.rec)
        state.arp_packets += 1
        return True
    if packet.marks & FRAG_LATER:
        _later_fragment(state, packet, offset, number)
        if packet.tunnel:
            count_tunnel(state, packet, number)
        return True
    if packet.marks & INNER_UNDECODED:
        note_frame(state, F_INNER, state.inner, number)
        state.inner += 1
    if packet.marks & L4_OFFLOAD and not (packet.marks & state.bad_mask):
        note_frame(state, F_OFFLOADED, state.offloaded, number)
        state.offloaded += 1
    return False


@inlined
def _prefetch_rows(state: Any, place: Any) -> Any:
    """Ask for the rows of the flow that an index entry names."""
    entry = entry_at(state, place).value & np.uint64(0xFFFFFFFF)
    if entry != 0:
        slot = np.int64(entry) - 1
        prefetch(state.hot_at + 128 * slot)
        prefetch(state.hot_at + 128 * slot + 64)
        prefetch(state.ends_at + 128 * slot)
        prefetch(state.ends_at + 128 * slot + 64)
        prefetch(state.cold_at + 96 * slot + 80)  # the history


@exported(
    types.void(STATE_TYPE, uint8[::1], PACKETS_TYPE, types.int64, types.int64, uint64[::1], uint64[::1], uint8[::1], uint8[::1])
)
def update_flows(
    states: Any, buf: Any, packets: Any, n: Any, base: Any, hashes: Any, networks: Any, pool: Any, arena: Any
) -> Any:
    """packets[:n], in order; base: source offset of buf[0]; hashes and networks: scratch of at least n.

    pool, arena: where directions are collected, and what was heard of them is put (`streams`).

    The caller has made room: for n more flows in the slots and the index, n slices, n ARP rows and 17 n blocks.
    """
    state = states[0]
    shift = np.uint64(64 - state.bits)
    number = state.seen
    previous = state.ts_previous
    if number == 0 and n > 0:
        previous = packets[0].ts
        state.ts_first = previous
        state.ts_last = previous
    earliest = state.ts_first
    latest = state.ts_last
    counted = 0
    for first in range(0, n, _GROUP):
        upto = min(n, first + _GROUP)
        for i in range(first, upto):
            packet = packets[i]
            hashes[i] = 0
            if packet.status == FLOW:
                network = packet_network(state, packet)
                networks[i] = network
                key_hash = packet_hash(state, packet, network)
                hashes[i] = key_hash
                prefetch(state.index_at + 8 * np.int64(key_hash >> shift))
        for i in range(first, upto):
            _prefetch_rows(state, np.int64(hashes[i] >> shift))
        for i in range(first, upto):
            packet = packets[i]
            number += 1
            ts = packet.ts
            if ts < previous:
                note_frame(state, F_BACK, state.back, number)
                state.back += 1
                earliest = min(earliest, ts)
            elif ts > latest:
                latest = ts
            previous = ts
            if (number & (_SWEEP_EVERY - 1)) == 0:
                _sweep(state, ts, _SWEEP_SLOTS)
            if packet.status != FLOW and packet.status != ARP:
                continue
            offset = base + packet.rec
            rare = packet.status == ARP or (packet.marks & (FRAG_LATER | INNER_UNDECODED | L4_OFFLOAD)) != 0
            if rare and _special(state, buf, packet, offset, number):
                continue
            _one(state, packet, hashes[i], networks[i], offset, number, buf, pool, arena)
            counted += 1
    state.packets += counted
    state.seen = number
    state.ts_previous = previous
    state.ts_first = earliest
    state.ts_last = latest


@exported(types.void(STATE_TYPE, types.int64))
def end_all(states: Any, now: Any) -> Any:
    """End every open flow at the end of the source: idle or closed where that is so, else forced."""
    state = states[0]
    for slot in range(state.slots):
        hot = hot_at(state, slot)
        if hot.marks & CONN_OPEN:
            reason = over(state, hot, now)
            if reason == 0:
                closing = hot.proto == _TCP and hot.deadline != NEVER and not (hot.marks & CONN_ATTEMPT)
                reason = REASON_END if closing else REASON_FORCED
            end_flow(state, slot, reason)
