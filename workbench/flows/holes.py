"""What was seen of a TCP byte stream: how far without a hole, which ranges above it, what was given up.

No byte is kept. The rules are those of a reassembler that delivers in order and trims on
acknowledgement, because Zeek's gap letter, the moment a close counts, and so the timeouts hang on it:
an acknowledgement of bytes never seen is a gap; a FIN counts once nothing is missing below it.

Sequence numbers are relative to the first one and compared modulo 2^32, which holds as long as
what is compared lies within 2 GiB, as TCP itself demands.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from workbench.decode.bits import kernel
from workbench.flows.history import LETTER_G, add_letter, power_of_ten
from workbench.flows.memory import cold_at, end_at, holes_at, hot_at
from workbench.flows.pools import give_holes, take_holes
from workbench.flows.rows import CLOSED, CONN_PARTIAL, END_FIN, END_SKIP, ESTABLISHED, INACTIVE, MAX_RANGES, RESET, SYN_SENT

_UNACKED_WINDOW: Final = 16384  # data this far above a hole without any ack: we do not see the other direction
_UNACKED_TOTAL: Final = 10 << 20  # data held without an ack before the stream is given up


@kernel
def ahead(a: Any, b: Any) -> Any:
    """Signed distance a - b of two 32-bit sequence numbers."""
    distance = (np.int64(a) - np.int64(b)) & 0xFFFFFFFF
    return distance - ((distance & 0x80000000) << 1)


@kernel
def endpoint_state(hot: Any, side: Any) -> Any:
    """State of an endpoint."""
    return np.int64(hot.dst_state if side else hot.src_state) & 15


@kernel
def previous_state(hot: Any, side: Any) -> Any:
    """State an endpoint had before its current one."""
    return np.int64(hot.dst_state if side else hot.src_state) >> 4


@kernel
def has_bit(hot: Any, side: Any, bit: Any) -> Any:
    """Whether an END_* bit of a side is set."""
    return ((np.int64(hot.bits) >> (4 * side)) & bit) != 0


@kernel
def set_bit(hot: Any, side: Any, bit: Any) -> Any:
    """Set an END_* bit of a side."""
    hot.bits = np.int64(hot.bits) | (bit << (4 * side))


@kernel
def nothing_acked(end: Any) -> Any:
    """Whether nothing but perhaps the SYN was acknowledged."""
    acked = (np.int64(end.ack_wraps) << 32) + np.int64(end.ack) - np.int64(end.start)
    return acked in (0, 1)


@kernel
def stream_size(state: Any, slot: Any, side: Any) -> Any:
    """Payload bytes by sequence numbers, holes included, SYN and FIN not."""
    hot = hot_at(state, slot)
    end = end_at(state, 2 * slot + side)
    now = endpoint_state(hot, side)
    aborted = now == RESET and previous_state(hot, side) == SYN_SENT and endpoint_state(hot, 1 - side) == INACTIVE
    if aborted and not nothing_acked(end):
        return np.int64(0)  # a half-open connection: its numbers mean nothing
    last = (np.int64(end.seq_wraps) << 32) + np.int64(end.last)
    ack = (np.int64(end.ack_wraps) << 32) + np.int64(end.ack)
    size = max(last, ack) - np.int64(end.start)
    if size < 0:  # joined mid-stream at sequence number 0: the number before it is the largest
        size += 1 << 32
    if size != 0:
        size -= 1
    if size != 0 and has_bit(hot, side, END_FIN):
        size -= 1
    return size


@kernel
def holds_unacked(end: Any) -> Any:
    """Whether bytes were seen that no acknowledgement covers."""
    return ahead(end.top, end.trimmed) > 0


@kernel
def close_waits(state: Any, slot: Any, side: Any) -> Any:
    """Whether a close of this side must wait: bytes below it are missing, or the peer's are not acknowledged."""
    hot = hot_at(state, slot)
    if has_bit(hot, side, END_SKIP):
        return False
    end = end_at(state, 2 * slot + side)
    sent = (np.int64(end.seq_wraps) << 32) + np.int64(end.last) - np.int64(end.start)
    if sent < 0:
        return False  # numbered from beyond its end: a reset told the first number, or a SYN with data wrapped
    missing = sent - end.delivered
    if missing < 0:
        return False
    if missing > 1:
        return True
    if endpoint_state(hot, side) == RESET:
        return False
    return holds_unacked(end_at(state, 2 * slot + 1 - side))


@kernel
def _clean(hot: Any, side: Any) -> Any:
    now = endpoint_state(hot, side)
    return now == ESTABLISHED or (now == CLOSED and previous_state(hot, side) == ESTABLISHED)


@kernel
def _gap(state: Any, slot: Any, side: Any) -> Any:
    hot = hot_at(state, slot)
    if _clean(hot, 0) and _clean(hot, 1):
        end = end_at(state, 2 * slot + side)
        if end.gaps < 65535:
            end.gaps += 1
            if power_of_ten(np.int64(end.gaps)):
                add_letter(state, slot, side, LETTER_G)


@kernel
def _holes_row(cold: Any, side: Any) -> Any:
    return np.int64(cold.dst_holes if side else cold.src_holes)


@kernel
def _set_holes_row(cold: Any, side: Any, row: Any) -> Any:
    if side:
        cold.dst_holes = row
    else:
        cold.src_holes = row


@kernel
def _deliver(state: Any, slot: Any, side: Any) -> Any:
    """Take ranges that begin at or below what is delivered; give the row back when none is left."""
    cold = cold_at(state, slot)
    row = _holes_row(cold, side)
    if row < 0:
        return
    end = end_at(state, 2 * slot + side)
    holes = holes_at(state, row)
    count = np.int64(holes.count)
    taken = 0
    while taken < count and ahead(holes.low[taken], end.delivered) <= 0:
        if ahead(holes.high[taken], end.delivered) > 0:
            end.delivered += ahead(holes.high[taken], end.delivered)
        taken += 1
    if taken:
        for i in range(taken, count):
            holes.low[i - taken] = holes.low[i]
            holes.high[i - taken] = holes.high[i]
        holes.count = count - taken
        if count == taken:
            give_holes(state, row)
            _set_holes_row(cold, side, -1)


@kernel
def drop_ranges(state: Any, slot: Any, side: Any) -> Any:
    """Forget what lies above the hole."""
    cold = cold_at(state, slot)
    row = _holes_row(cold, side)
    if row >= 0:
        give_holes(state, row)
        _set_holes_row(cold, side, -1)


@kernel
def _keep_range(state: Any, slot: Any, side: Any, low: Any, high: Any) -> Any:
    """Note data above a hole, merged with what touches it. Beyond MAX_RANGES the two highest become one."""
    cold = cold_at(state, slot)
    row = _holes_row(cold, side)
    if row < 0:
        row = take_holes(state)
        if row < 0:  # no memory for holes: taken as filled
            end_at(state, 2 * slot + side).delivered = high
            return
        _set_holes_row(cold, side, row)
    holes = holes_at(state, row)
    count = np.int64(holes.count)
    at = count
    while at > 0 and ahead(holes.high[at - 1], low) >= 0:
        at -= 1
    upto = at
    while upto < count and ahead(holes.low[upto], high) <= 0:
        if ahead(low, holes.low[upto]) > 0:
            low = np.int64(holes.low[upto])
        if ahead(holes.high[upto], high) > 0:
            high = np.int64(holes.high[upto])
        upto += 1
    if upto == at:
        if count == MAX_RANGES:
            holes.high[count - 2] = holes.high[count - 1]
            count -= 1
            if at >= count:  # it belongs to what has just become one
                if ahead(high, holes.high[count - 1]) > 0:
                    holes.high[count - 1] = np.uint32(high & 0xFFFFFFFF)
                holes.count = count
                return
        for i in range(count, at, -1):
            holes.low[i] = holes.low[i - 1]
            holes.high[i] = holes.high[i - 1]
        count += 1
    elif upto > at + 1:
        for i in range(upto, count):
            holes.low[i - upto + at + 1] = holes.low[i]
            holes.high[i - upto + at + 1] = holes.high[i]
        count -= upto - at - 1
    holes.low[at] = np.uint32(low & 0xFFFFFFFF)
    holes.high[at] = np.uint32(high & 0xFFFFFFFF)
    holes.count = count


@kernel
def _trim(state: Any, slot: Any, side: Any, upto: Any) -> Any:
    """Bytes below `upto` were acknowledged: what was not seen of them is a gap."""
    hot = hot_at(state, slot)
    end = end_at(state, 2 * slot + side)
    if upto > end.delivered:
        # mid-stream the first number is a guess: an ack at or just above it shows no loss
        guess = upto <= 2 and (hot.marks & CONN_PARTIAL) != 0
        if not guess:
            if not has_bit(hot, side, END_SKIP):
                row = _holes_row(cold_at(state, slot), side)
                while row >= 0 and ahead(upto, holes_at(state, row).low[0]) > 0:
                    _gap(state, slot, side)
                    end.delivered += ahead(holes_at(state, row).low[0], end.delivered)
                    _deliver(state, slot, side)
                    row = _holes_row(cold_at(state, slot), side)
                if upto > end.delivered:
                    _gap(state, slot, side)
            if upto > end.delivered:
                end.delivered = upto
    _deliver(state, slot, side)
    end.trimmed = np.uint32(upto & 0xFFFFFFFF)


@kernel
def acknowledged(state: Any, slot: Any, side: Any, relative: Any) -> Any:
    """This side's bytes below `relative` were acknowledged; returns whether that was new."""
    hot = hot_at(state, slot)
    end = end_at(state, 2 * slot + side)
    if has_bit(hot, side, END_FIN):
        beyond = ahead(relative, end.fin_seq)
        if beyond >= 0:
            relative -= beyond + 1
    if ahead(relative, end.trimmed) <= 0:
        return False
    _trim(state, slot, side, relative)
    return True


@kernel
def data_sent(state: Any, slot: Any, side: Any, low: Any, length: Any) -> Any:
    """This side sent `length` bytes from relative number `low`, wholly captured."""
    hot = hot_at(state, slot)
    if has_bit(hot, side, END_SKIP):
        return
    end = end_at(state, 2 * slot + side)
    high = low + length
    if ahead(high, end.trimmed) <= 0:
        return
    known = ahead(low, end.trimmed)
    if known < 0:
        low -= known
    if ahead(high, end.top) > 0:
        end.top = np.uint32(high & 0xFFFFFFFF)
    if low <= end.delivered:
        if high > end.delivered:
            end.delivered = high
            _deliver(state, slot, side)
            if nothing_acked(end) and stream_size(state, slot, side) > _UNACKED_WINDOW:
                end.trimmed = np.uint32(end.delivered & 0xFFFFFFFF)
    else:
        _keep_range(state, slot, side, low, high)
    unseen = ahead(end.top, end.delivered)
    if (unseen > _UNACKED_WINDOW and nothing_acked(end)) or ahead(end.top, end.trimmed) > _UNACKED_TOTAL:
        drop_ranges(state, slot, side)
        end.top = end.trimmed
        set_bit(hot, side, END_SKIP)
