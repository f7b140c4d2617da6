"""What is said in a flow, direction by direction: recognised by its first bytes, put in order, cut into messages.

A direction costs nothing until its first payload, and nothing any more once its protocol has said what we listen for or no
signature fits. What is complete in one packet is cut where it lies; only a unit that spans packets is copied, into one of a
bounded number of buffers. Segments above a hole are held, a few; a hole that stays ends the listening, or is passed over where
it lies inside a body.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from workbench.decode.bits import be16, i64, kernel
from workbench.flows.cutting import cut_stream, finish_stream, pass_over
from workbench.flows.giving import give
from workbench.flows.holes import ahead
from workbench.flows.memory import end_at, framing_at, held_at, hot_at, stream_at
from workbench.flows.pools import drop_buffer, drop_held, drop_stream, take_buffer, take_stream
from workbench.flows.recognising import listen
from workbench.flows.stream_rows import (
    BUFFER,
    DEAF,
    HEARD,
    HELD_BYTES,
    MOST_HOLDING,
    MOST_TRIES,
)
from workbench.records.packet import FRAG_FIRST

_TCP: Final = 6
_UDP: Final = 17
_FAR: Final = 1 << 20  # a jump of sequence numbers too large to be of this stream
_SYN: Final = 2


@kernel
def stop(state: Any, slot: Any, side: Any, stream: Any) -> Any:
    """Nobody listens to this direction any more; its row stays where it has something to tell."""
    drop_buffer(state, stream)
    drop_held(state, stream)
    stream.done = 1
    end = end_at(state, 2 * slot + side)
    if stream.protocol == 0 and stream.services == 0:
        drop_stream(state, slot, side)
    else:
        end.stream = np.int64(end.stream) | HEARD


@kernel
def _feed(state: Any, slot: Any, side: Any, stream: Any, buf: Any, at: Any, end: Any, ts: Any, pool: Any, arena: Any) -> Any:
    """The next bytes of a direction, in order."""
    while at < end and not stream.done:
        if stream.have == 0:
            stream.since = ts
            at = cut_stream(state, slot, side, stream, buf, at, end, ts, arena)
            rest = end - at
            if stream.done or rest <= 0:
                break
            if rest > BUFFER or not take_buffer(state, stream):
                state.unheard += 1
                stream.done = 1
                break
            base = np.int64(stream.buffer) * BUFFER
            pool[base : base + rest] = buf[at:end]
            stream.have = rest
            return
        base = np.int64(stream.buffer) * BUFFER
        have = np.int64(stream.have)
        more = min(end - at, BUFFER - have)
        pool[base + have : base + have + more] = buf[at : at + more]
        have += more
        at += more
        stream.have = have
        used = cut_stream(state, slot, side, stream, pool, base, base + have, ts, arena) - base
        if stream.done:
            break
        if used > 0:
            stream.since = ts
            for i in range(have - used):
                pool[base + i] = pool[base + used + i]
            stream.have = have - used
            if stream.have == 0:
                drop_buffer(state, stream)
        elif have >= BUFFER:
            state.unheard += 1
            stream.done = 1
    if stream.done:
        stop(state, slot, side, stream)


@kernel
def _hold(state: Any, stream: Any, buf: Any, at: Any, end: Any, seq: Any, ts: Any) -> Any:
    """Keep a segment above a hole, in order of sequence numbers; False where there is no room."""
    while at < end:
        if stream.holding >= MOST_HOLDING:
            return False
        row = state.held_free
        if row >= 0:
            state.held_free = held_at(state, row).next
        else:
            row = state.held_used
            if row >= state.held_rows:
                return False
            state.held_used = row + 1
        held = held_at(state, row)
        size = min(end - at, HELD_BYTES)
        held.ts = ts
        held.seq = seq
        held.size = size
        for i in range(size):
            held.data[i] = buf[at + i]
        before = np.int64(-1)
        following = np.int64(stream.held)
        while following >= 0 and ahead(held_at(state, following).seq, seq) <= 0:
            before = following
            following = np.int64(held_at(state, following).next)
        held.next = following
        if before < 0:
            stream.held = row
        else:
            held_at(state, before).next = row
        stream.holding += 1
        at += size
        seq = np.uint32((np.int64(seq) + size) & 0xFFFFFFFF)
    return True


@kernel
def _release(state: Any, slot: Any, side: Any, stream: Any, pool: Any, arena: Any) -> Any:
    """Feed what was held, as far as there is no hole."""
    scratch = np.int64(len(pool)) - BUFFER
    while stream.held >= 0 and not stream.done:
        row = np.int64(stream.held)
        held = held_at(state, row)
        distance = ahead(held.seq, stream.seq)
        if distance > 0:
            return
        stream.held = held.next
        stream.holding -= 1
        old = -distance
        size = np.int64(held.size)
        ts = held.ts
        if old < size:
            for i in range(size - old):
                pool[scratch + i] = held.data[old + i]
        held.next = state.held_free
        state.held_free = row
        if old < size:
            stream.seq = np.uint32((np.int64(stream.seq) + size - old) & 0xFFFFFFFF)
            _feed(state, slot, side, stream, pool, scratch, scratch + size - old, ts, pool, arena)


@kernel
def _miss(state: Any, slot: Any, side: Any, stream: Any, missing: Any, pool: Any, arena: Any) -> Any:
    """Bytes of a direction will never come: passed over inside a body, otherwise the end of listening."""
    if stream.skip >= missing:
        stream.skip -= missing
        return
    if stream.left >= missing:
        stream.left -= missing
        stream.body += missing
        return
    state.holes += 1
    finish_stream(state, slot, side, stream, pool, arena)
    stop(state, slot, side, stream)


@kernel
def _give_up_hole(state: Any, slot: Any, side: Any, stream: Any, pool: Any, arena: Any) -> Any:
    """The hole below what is held stays."""
    missing = ahead(held_at(state, stream.held).seq, stream.seq)
    if missing > 0:
        stream.seq = held_at(state, stream.held).seq
        _miss(state, slot, side, stream, missing, pool, arena)
    if not stream.done:
        _release(state, slot, side, stream, pool, arena)


@kernel
def _segment(state: Any, slot: Any, side: Any, stream: Any, packet: Any, buf: Any, pool: Any, arena: Any) -> Any:
    """Payload of a TCP segment."""
    end = end_at(state, 2 * slot + side)
    syn = (packet.flags & _SYN) != 0
    seq = np.uint32((np.int64(packet.seq) + 1) & 0xFFFFFFFF) if syn else packet.seq
    if not stream.started:
        stream.started = 1
        begun = (np.int64(end.flags) & _SYN) != 0
        stream.seq = np.uint32((np.int64(end.start) + 1) & 0xFFFFFFFF) if begun else seq
    distance = ahead(seq, stream.seq)
    if distance > _FAR or distance < -_FAR:
        return
    at = np.int64(packet.pay)
    past = min(at + np.int64(packet.pay_cap), np.int64(len(buf)))
    length = np.int64(packet.payload)
    if distance == 0 and stream.held < 0 and past - at == length and pass_over(state, stream, length, packet.ts):
        stream.seq = np.uint32((np.int64(seq) + length) & 0xFFFFFFFF)
        return
    if distance > 0:
        if _hold(state, stream, buf, at, past, seq, packet.ts):
            return
        if stream.held < 0:
            stream.seq = seq
            _miss(state, slot, side, stream, distance, pool, arena)
        else:
            _give_up_hole(state, slot, side, stream, pool, arena)
        if stream.done:
            return
        distance = ahead(seq, stream.seq)
        if distance > 0:
            _hold(state, stream, buf, at, past, seq, packet.ts)
            return
    if distance + length <= 0:
        return
    at -= distance
    length += distance
    stream.seq = np.uint32((np.int64(stream.seq) + length) & 0xFFFFFFFF)
    if at < past:
        _feed(state, slot, side, stream, buf, at, past, packet.ts, pool, arena)
    missing = length - max(np.int64(0), past - at)
    if missing > 0 and not stream.done:
        _miss(state, slot, side, stream, missing, pool, arena)
    if stream.held >= 0 and not stream.done:
        _release(state, slot, side, stream, pool, arena)


@kernel
def _datagram(state: Any, slot: Any, side: Any, stream: Any, packet: Any, buf: Any, arena: Any) -> Any:
    """Payload of a datagram: a message as it is."""
    at = np.int64(packet.pay)
    past = min(at + np.int64(packet.pay_cap), np.int64(len(buf)))
    if past <= at:
        return
    if stream.protocol == 0 and listen(state, slot, side, stream, buf, at, past) != 1:
        stream.tries += 1
        if stream.tries >= MOST_TRIES:
            stop(state, slot, side, stream)
        return
    hot = hot_at(state, slot)
    framing = framing_at(state, 4 * np.int64(stream.protocol) + (1 if hot.proto == 17 else 2))
    if framing.while_set != 0 and (i64(buf[at]) & i64(framing.while_set)) == 0:
        stop(state, slot, side, stream)
        return
    size = min(past - at, framing.keep)
    stream.since = packet.ts
    whole: Any = np.int64(packet.payload)
    header: Any = at - 8
    if packet.marks & FRAG_FIRST and hot.proto == _UDP:  # its header, just ahead, says how long it is with all its fragments
        whole = max(whole, be16(buf, header + 4) - 8)
    give(state, slot, side, stream, buf, at, size, whole, 0, arena)
    if stream.count >= framing.most:
        stop(state, slot, side, stream)


@kernel
def tap(state: Any, slot: Any, side: Any, packet: Any, buf: Any, pool: Any, arena: Any) -> Any:
    """A believed packet with payload, in a direction to which somebody listens, or nobody has yet."""
    end = end_at(state, 2 * slot + side)
    heard = np.int64(end.stream)
    if heard == 0:
        row = take_stream(state)
        if row < 0:
            state.unheard += 1
            end.stream = DEAF
            return
        heard = row + 1
        end.stream = heard
    stream = stream_at(state, heard - 1)
    if hot_at(state, slot).proto == _TCP:
        _segment(state, slot, side, stream, packet, buf, pool, arena)
    else:
        _datagram(state, slot, side, stream, packet, buf, arena)


@kernel
def hang_up(state: Any, slot: Any, side: Any, pool: Any, arena: Any) -> Any:
    """A flow ended: what a direction still collects is given as it is."""
    heard = np.int64(end_at(state, 2 * slot + side).stream)
    if heard == 0 or heard >= HEARD:
        return
    stream = stream_at(state, heard - 1)
    rounds = 0
    while stream.held >= 0 and not stream.done and rounds < MOST_HOLDING:
        _give_up_hole(state, slot, side, stream, pool, arena)
        rounds += 1
    if not stream.done:
        finish_stream(state, slot, side, stream, pool, arena)
        stop(state, slot, side, stream)
