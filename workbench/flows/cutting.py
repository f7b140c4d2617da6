"""Cutting what lies at hand of a direction into messages."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from workbench.decode.application.probes import MORE as PROBE_MORE
from workbench.decode.application.probes import NO
from workbench.decode.bits import kernel
from workbench.flows.giving import give, name_service
from workbench.flows.http_cutting import AT_HEAD, IN_BODY, IN_CHUNK, end_body, http_unit
from workbench.flows.memory import framing_at
from workbench.flows.recognising import listen
from workbench.flows.stream_rows import BUFFER
from workbench.flows.units import LOST, MORE, ber_unit, find_end, hello_unit, length_unit, line_unit, ssh_unit
from workbench.records.message import ENCRYPTED

_HEAD, _LENGTH, _BER, _LINES, _HTTP, _TLS, _SSH = range(1, 8)
_HELLO: Final = 0x16
_ENCRYPTED_TOLD: Final = 12  # sizes of encrypted segments that are told


@kernel
def _begins_tls(buf: Any, at: Any, end: Any) -> Any:
    """Whether a hello of TLS begins here: NO, YES or MORE."""
    if buf[at] != _HELLO:
        return NO
    if end - at < 6:
        return PROBE_MORE
    right = buf[at + 1] == 3 and buf[at + 2] <= 4 and (buf[at + 5] == 1 or buf[at + 5] == 2)
    return 1 if right else NO


@kernel
def _switch(stream: Any, code: Any) -> Any:
    """From here on another protocol is spoken."""
    stream.protocol = code
    stream.vouched = 1
    stream.sub = 0
    stream.scan = 0
    stream.count = 0
    name_service(stream, code)


@kernel
def pass_over(state: Any, stream: Any, length: Any, ts: Any) -> Any:
    """Pass over the next `length` bytes, in order, if they are all inside a body or what is skipped; returns whether they were.

    What `cut_stream` would do with them, without looking: most packets of a flow are such.
    """
    if stream.have != 0 or stream.protocol == 0:
        return False
    if stream.skip >= length:
        stream.skip -= length
    else:
        if stream.skip != 0 or stream.left <= length or (stream.sub != IN_BODY and stream.sub != IN_CHUNK):
            return False
        if framing_at(state, 4 * np.int64(stream.protocol)).cut != _HTTP:
            return False
        stream.left -= length
        stream.body += length
    stream.since = ts
    return True


@kernel
def cut_stream(state: Any, slot: Any, side: Any, stream: Any, buf: Any, at: Any, end: Any, ts: Any, arena: Any) -> Any:
    """Give the messages in buf[at:end], bytes in order; returns behind the last that was understood. ts: the packet's time."""
    while at < end and not stream.done:
        if stream.skip > 0:
            step = min(stream.skip, end - at)
            stream.skip -= step
            at += step
            stream.since = ts
            continue
        if stream.protocol == 0:
            found = listen(state, slot, side, stream, buf, at, end)
            if found == 2:
                return at
            if found == 0:
                stream.done = 1
                return end
        framing = framing_at(state, 4 * np.int64(stream.protocol))
        if state.tls != 0 and stream.protocol != state.tls and stream.sub == 0 and framing.cut != _HEAD:
            turns = _begins_tls(buf, at, end)
            if turns == PROBE_MORE:
                return at
            if turns == 1:
                _switch(stream, state.tls)
                framing = framing_at(state, 4 * np.int64(stream.protocol))
        before = at
        at = _one_unit(state, slot, side, stream, framing, buf, at, end, arena)
        if at == before and not stream.done:
            return at
        if at > before:
            stream.since = ts
        if stream.count >= framing.most:
            stream.done = 1
    return at


@kernel
def _one_unit(state: Any, slot: Any, side: Any, stream: Any, framing: Any, buf: Any, at: Any, end: Any, arena: Any) -> Any:
    """Give one message; returns where the next one begins, `at` where bytes are missing."""
    cut = framing.cut
    if cut == _HTTP:
        return http_unit(state, slot, side, stream, framing, buf, at, end, arena)
    if cut == _TLS:
        kept, whole, encrypted = hello_unit(stream, framing, buf, at, end)
        if kept > 0:
            give(state, slot, side, stream, buf, at, kept, whole, ENCRYPTED if encrypted else 0, arena)
        if kept != MORE:
            stream.done = 1
        return at
    if cut == _SSH:
        return _ssh(state, slot, side, stream, framing, buf, at, end, arena)
    if cut == _LINES and stream.sub == 1:
        past = find_end(buf, at, end)
        if past < 0:
            return end
        stream.sub = 0
        return past
    if cut == _LENGTH:
        kept, whole = length_unit(framing, buf, at, end)
    elif cut == _BER:
        kept, whole = ber_unit(framing, buf, at, end)
    elif cut == _LINES:
        kept, whole = line_unit(stream, framing, buf, at, end)
    else:
        kept = framing.keep if end - at >= framing.keep else np.int64(MORE)
        whole = kept
    if kept == LOST:
        stream.done = 1
        return end
    if kept == MORE:
        return at
    give(state, slot, side, stream, buf, at, kept, whole, 0, arena)
    if cut == _HEAD:
        stream.done = 1
    stream.skip = whole - kept
    return at + kept


@kernel
def _ssh(state: Any, slot: Any, side: Any, stream: Any, framing: Any, buf: Any, at: Any, end: Any, arena: Any) -> Any:
    if stream.sub == 2:  # encrypted: only how much comes at a time is told
        give(state, slot, side, stream, buf, at, np.int64(0), end - at, ENCRYPTED, arena)
        stream.left += 1
        if stream.left >= _ENCRYPTED_TOLD:
            stream.done = 1
        return end
    kept, whole, given = ssh_unit(stream, framing, buf, at, end)
    if kept == MORE:
        return at
    if kept == LOST:
        stream.done = 1
        return end
    if given:
        give(state, slot, side, stream, buf, at, kept, whole, 0, arena)
    if stream.sub == 9:
        stream.done = 1
    stream.skip = whole - kept
    return at + kept


@kernel
def finish_stream(state: Any, slot: Any, side: Any, stream: Any, pool: Any, arena: Any) -> Any:
    """Nothing more will come: give what was collected."""
    if stream.protocol == 0:
        return
    framing = framing_at(state, 4 * np.int64(stream.protocol))
    if framing.cut == _HTTP and stream.sub != AT_HEAD:
        if stream.body > 0 or stream.left > 0:
            end_body(state, slot, side, stream, pool, np.int64(0), arena)
        return
    have = np.int64(stream.have)
    if have == 0 or (stream.sub != 0 and framing.cut == _LINES):
        return
    base = np.int64(stream.buffer) * BUFFER
    whole = have
    if framing.cut == _LENGTH:
        _, whole = length_unit(framing, pool, base, base + have)
    elif framing.cut == _BER:
        _, whole = ber_unit(framing, pool, base, base + have)
    elif framing.cut != _HEAD and framing.cut != _TLS:
        whole = have + 1
    size = min(have, framing.keep)
    give(state, slot, side, stream, pool, base, size, max(whole, size), 0, arena)
