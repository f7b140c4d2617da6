"""Flow rows to columns: one kernel reads the scattered rows once and writes every number of theirs."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import float64, int32, int64, types, uint8, uint64
from numpy.typing import NDArray

from workbench.decode.bits import exported, kernel
from workbench.flows.history import LETTER_C, LETTER_FLIP
from workbench.flows.holes import endpoint_state, stream_size
from workbench.flows.memory import (
    STATE_TYPE,
    cold_at,
    end_at,
    hot_at,
    inlined,
    letters_at,
    outer_at,
    prefetch,
    stream_at,
)
from workbench.flows.rows import (
    ACTIVE,
    CHAINED_LETTERS,
    CLOSED,
    CONN_ONE_WAY,
    CONN_OPEN,
    ESTABLISHED,
    FACT_DOUBTED,
    FACT_PORTS,
    FACT_VOUCHED,
    INACTIVE,
    INLINE_LETTERS,
    PARTIAL,
    RESET,
    SYN_ACK_SENT,
    SYN_SENT,
)
from workbench.flows.stream_rows import DEAF

_TCP: Final = 6
AHEAD: Final = 12
_UDP: Final = 17

#: Codes of conn_state, in this order.
CONN_STATES: Final = ("OTH", "S0", "S1", "SF", "REJ", "S2", "S3", "RSTO", "RSTR", "RSTOS0", "RSTRH", "SH", "SHR")
_OTH, _S0, _S1, _SF, _REJ, _S2, _S3, _RSTO, _RSTR, _RSTOS0, _RSTRH, _SH, _SHR = range(13)

#: Columns of the three number blocks, by name of the column of `flows` they become.
LONGS: Final = (
    "n",
    "ts",
    "ts_end",
    "src_pkts",
    "dst_pkts",
    "src_bytes",
    "dst_bytes",
    "src_payload",
    "dst_payload",
    "first_offset",
    "last_offset",
    "src_mac",
    "dst_mac",
    "outer_src_mac",
    "outer_dst_mac",
)
INTS: Final = (
    "src_port",
    "dst_port",
    "proto",
    "vlan",
    "inner_vlan",
    "outer_vlan",
    "vni",
    "src_flags",
    "dst_flags",
    "rtt_us",
    "retransmits",
    "end_reason",
    "conn_state",
)
WORDS: Final = (
    "src_hi",
    "src_lo",
    "dst_hi",
    "dst_lo",
    "outer_src_hi",
    "outer_src_lo",
    "outer_dst_hi",
    "outer_dst_lo",
    "network",
    "tunnel",
    "services",
)
#: What INTS hold where the column is null.
ABSENT: Final = -1


@inlined
def ask(state: Any, slot: Any) -> Any:
    """Ask for the cold row of a slot, which is needed a few rounds later: ended flows lie anywhere."""
    prefetch(state.cold_at + 96 * np.int64(slot))
    prefetch(state.cold_at + 96 * np.int64(slot) + 64)


@inlined
def _ask_all(state: Any, slot: Any) -> Any:
    """Ask for all rows of a slot."""
    at = 128 * np.int64(slot)
    prefetch(state.hot_at + at)
    prefetch(state.hot_at + at + 64)
    prefetch(state.ends_at + at)
    prefetch(state.ends_at + at + 64)
    ask(state, slot)


@kernel
def _letter(state: Any, slot: Any, place: Any) -> Any:
    """A letter of the history."""
    cold = cold_at(state, slot)
    if place < INLINE_LETTERS:
        return np.int64(cold.history[place])
    place -= INLINE_LETTERS
    row = np.int64(cold.more_letters)
    while place >= CHAINED_LETTERS:
        row = np.int64(letters_at(state, row).next)
        place -= CHAINED_LETTERS
    return np.int64(letters_at(state, row).text[place])


@kernel
def _attempt_then_reset(state: Any, slot: Any) -> Any:
    """Whether the history is ``^?S[^HAFGIQ]*R`` and anything: a SYN, no answer, a reset by the same side."""
    length = np.int64(cold_at(state, slot).letters)
    at = 0
    if length and _letter(state, slot, 0) == 94:
        at = 1
    if at >= length or _letter(state, slot, at) != 83:
        return False
    for i in range(at + 1, length):
        letter = _letter(state, slot, i)
        if letter == 82:
            return True
        if letter == 72 or letter == 65 or letter == 70 or letter == 71 or letter == 73 or letter == 81:
            return False
    return False


@kernel
def in_doubt(hot: Any) -> Any:
    """Whether all there is of the flow is packets with wrong checksums that nobody answered."""
    return (np.int64(hot.facts) & (FACT_DOUBTED | FACT_VOUCHED)) == FACT_DOUBTED


@kernel
def _doubt_letters(state: Any, slot: Any) -> Any:
    """How many letters C such a flow has: one for the 1st, 10th, 100th ... wrong checksum."""
    letters = 0
    step = 1
    while step <= np.int64(end_at(state, 2 * slot).bad_sums):
        letters += 1
        step *= 10
    return letters


@kernel
def _flipped(state: Any, slot: Any) -> Any:
    return cold_at(state, slot).letters > 0 and cold_at(state, slot).history[0] == LETTER_FLIP


@kernel
def conn_state(state: Any, slot: Any) -> Any:
    """Zeek's conn_state (scripts/base/protocols/conn/main.zeek), as a place in CONN_STATES."""
    hot = hot_at(state, slot)
    src = endpoint_state(hot, 0)
    dst = endpoint_state(hot, 1)
    if in_doubt(hot):
        return _OTH
    if hot.proto == _UDP:
        if src == ACTIVE:
            return _SF if dst == ACTIVE else _S0
        return _SHR if dst == ACTIVE else _OTH
    if hot.proto != _TCP:
        return _OTH
    src_silent = src in (INACTIVE, PARTIAL)
    dst_silent = dst in (INACTIVE, PARTIAL)
    if dst == RESET:
        if src in (SYN_SENT, SYN_ACK_SENT):
            return _REJ
        if src == RESET and stream_size(state, slot, 0) == 0 and stream_size(state, slot, 1) == 0:
            return _REJ
        return _RSTRH if src_silent else _RSTR
    if src == RESET:
        if dst_silent:
            return _RSTOS0 if _attempt_then_reset(state, slot) else _OTH
        return _RSTO
    if src == CLOSED:
        if dst == CLOSED:
            return _SF
        return _SH if dst_silent else _S2
    if dst == CLOSED:
        return _SHR if src_silent else _S3
    if src == SYN_SENT and dst == INACTIVE:
        return _S0
    return _S1 if src == ESTABLISHED and dst == ESTABLISHED else _OTH


@kernel
def _both_retransmits(src: Any, dst: Any) -> Any:
    return min(np.int64(0x7FFFFFFF), np.int64(src.retransmits) + np.int64(dst.retransmits))


@kernel
def _outer_columns(state: Any, row: Any, i: Any, longs: Any, ints: Any, words: Any) -> None:
    outer = outer_at(state, row)
    longs[13, i] = outer.src_mac
    longs[14, i] = outer.dst_mac
    ints[5, i] = outer.vlan if outer.vlan > 0 else ABSENT
    words[4, i] = outer.src_hi
    words[5, i] = outer.src_lo
    words[6, i] = outer.dst_hi
    words[7, i] = outer.dst_lo
    words[9, i] = outer.tunnel


@kernel
def _services_of(state: Any, end: Any) -> Any:
    heard = np.int64(end.stream)
    if heard == 0 or heard == DEAF:
        return np.uint64(0)
    return np.uint64(stream_at(state, (heard & 0x7FFFFFFF) - 1).services)


@kernel
def _services(state: Any, src: Any, dst: Any) -> Any:
    """Codes of what both directions were recognised as, one a byte: the longer list, then what only the other one has."""
    one = _services_of(state, src)
    two = _services_of(state, dst)
    if one == two or two == np.uint64(0):
        return one
    if one == np.uint64(0):
        return two
    if two > one:
        one, two = two, one
    while two != np.uint64(0):
        code = two & np.uint64(255)
        shift = np.uint64(0)
        while shift < np.uint64(64):
            held = (one >> shift) & np.uint64(255)
            if held == code:
                break
            if held == np.uint64(0):
                one |= code << shift
                break
            shift += np.uint64(8)
        two >>= np.uint64(8)
    return one


@exported(types.void(STATE_TYPE, int32[::1], int64[:, ::1], int32[:, ::1], uint64[:, ::1], float64[::1], uint8[::1]))
def gather(
    states: Any,
    slots: NDArray[np.int32],
    longs: NDArray[np.int64],
    ints: NDArray[np.int32],
    words: NDArray[np.uint64],
    durations: NDArray[np.float64],
    kinds: NDArray[np.uint8],
) -> None:
    """Numbers of the flows in `slots`: LONGS, INTS and WORDS by rows; kinds as `community_ids` wants them."""
    state = states[0]
    for i in range(len(slots)):
        if i + AHEAD < len(slots):
            _ask_all(state, slots[i + AHEAD])
        slot = np.int64(slots[i])
        hot = hot_at(state, slot)
        cold = cold_at(state, slot)
        src = end_at(state, 2 * slot)
        dst = end_at(state, 2 * slot + 1)
        tcp = hot.proto == _TCP
        longs[0, i] = cold.n
        longs[1, i] = hot.first // 1000
        longs[2, i] = hot.end // 1000
        longs[3, i] = hot.src_pkts
        longs[4, i] = hot.dst_pkts
        longs[5, i] = hot.src_bytes
        longs[6, i] = hot.dst_bytes
        doubt = in_doubt(hot)
        longs[7, i] = 0 if doubt else stream_size(state, slot, 0) if tcp else src.delivered
        longs[8, i] = 0 if doubt else stream_size(state, slot, 1) if tcp else dst.delivered
        longs[9, i] = cold.first_offset
        longs[10, i] = hot.last_offset
        longs[11, i] = cold.src_mac
        longs[12, i] = cold.dst_mac
        longs[13, i] = -1
        longs[14, i] = -1
        ints[0, i] = hot.src_port if hot.facts & FACT_PORTS else ABSENT
        ints[1, i] = hot.dst_port if hot.facts & FACT_PORTS else ABSENT
        ints[2, i] = hot.proto
        ints[3, i] = cold.vlan if cold.vlan >= 0 else ABSENT
        ints[4, i] = cold.inner_vlan if cold.inner_vlan >= 0 else ABSENT
        ints[5, i] = ABSENT
        ints[6, i] = cold.vni
        ints[7, i] = src.flags if tcp else ABSENT
        ints[8, i] = dst.flags if tcp else ABSENT
        ints[9, i] = cold.rtt_us
        ints[10, i] = _both_retransmits(src, dst) if tcp else ABSENT
        ints[11, i] = cold.reason or ABSENT
        ints[12, i] = conn_state(state, slot)
        words[0, i] = hot.src_hi
        words[1, i] = hot.src_lo
        words[2, i] = hot.dst_hi
        words[3, i] = hot.dst_lo
        words[8, i] = hot.network
        words[9, i] = 0
        words[10, i] = _services(state, src, dst)
        if cold.outer >= 0:
            _outer_columns(state, np.int64(cold.outer), i, longs, ints, words)
        durations[i] = 0.0 if doubt else max(np.int64(0), hot.last - hot.first) / 1e9
        kinds[i] = (1 if hot.facts & FACT_PORTS else 0) | (2 if hot.marks & CONN_ONE_WAY else 0)


@kernel
def _write_doubt(state: Any, slot: Any, data: Any, at: Any) -> Any:
    """History of a flow in doubt: only letters C, and the flip if there was one; nothing for other transports."""
    proto = hot_at(state, slot).proto
    if proto in (_TCP, _UDP):
        if _flipped(state, slot):
            data[at] = LETTER_FLIP
            at += 1
        for _ in range(_doubt_letters(state, slot)):
            data[at] = LETTER_C
            at += 1
    return at


@exported(int64(STATE_TYPE, int32[::1]))
def history_size(states: Any, slots: NDArray[np.int32]) -> int:
    """Bytes that the histories of these flows take at most."""
    state = states[0]
    total = 0
    for i in range(len(slots)):
        if i + AHEAD < len(slots):
            prefetch(state.hot_at + 128 * np.int64(slots[i + AHEAD]))
            ask(state, slots[i + AHEAD])
        slot = np.int64(slots[i])
        if in_doubt(hot_at(state, slot)):
            total += 6
        else:
            total += cold_at(state, slot).letters
    return total


@exported(int64(STATE_TYPE, int32[::1], int32[::1], uint8[::1], uint8[::1]))
def history_texts(
    states: Any, slots: NDArray[np.int32], offsets: NDArray[np.int32], data: NDArray[np.uint8], present: NDArray[np.uint8]
) -> int:
    """Histories into Arrow buffers of the size that `history_size` told; an empty one is null. Returns the bytes used."""
    state = states[0]
    at = 0
    offsets[0] = 0
    for i in range(len(slots)):
        if i + AHEAD < len(slots):
            prefetch(state.hot_at + 128 * np.int64(slots[i + AHEAD]))
            ask(state, slots[i + AHEAD])
        slot = np.int64(slots[i])
        length: Any = np.int64(cold_at(state, slot).letters)
        cold = cold_at(state, slot)
        if in_doubt(hot_at(state, slot)):
            at = _write_doubt(state, slot, data, at)
            present[i] = at > offsets[i]
            offsets[i + 1] = at
            continue
        if length <= INLINE_LETTERS:
            for place in range(length):
                data[at + place] = cold.history[place]
        else:
            for place in range(length):
                data[at + place] = _letter(state, slot, place)
        at += length
        present[i] = length > 0
        offsets[i + 1] = at
    return at


@exported(int64(STATE_TYPE, int32[::1]))
def open_slots(states: Any, slots: NDArray[np.int32]) -> int:
    """Fill `slots` (as long as there are slots in use) with the open flows; returns how many."""
    state = states[0]
    count = 0
    for slot in range(len(slots)):
        if hot_at(state, slot).marks & CONN_OPEN:
            slots[count] = slot
            count += 1
    return count
