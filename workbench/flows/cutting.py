"""Recognising a direction and cutting what lies at hand of it into messages."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from workbench.decode.application.probes import MORE as PROBE_MORE
from workbench.decode.application.probes import NO, probe
from workbench.decode.bits import i64, kernel
from workbench.flows.http_units import (
    CHUNKED,
    NO_BODY,
    SIZED,
    TO_THE_END,
    body_of,
    chunk_size,
    head_end,
    is_response,
    status_of,
)
from workbench.flows.memory import cold_at, end_at, framing_at, hot_at, message_at, signature_at, stream_at
from workbench.flows.stream_rows import BUFFER, DEAF
from workbench.flows.units import LOST, MORE, ber_unit, find_end, hello_unit, length_unit, line_unit, ssh_unit
from workbench.records.message import BODY_END, CUT, ENCRYPTED

_TCP: Final = 6
_UDP: Final = 17
_HEAD, _LENGTH, _BER, _LINES, _HTTP, _TLS, _SSH = range(1, 8)
_HELLO: Final = 0x16
_ENCRYPTED_TOLD: Final = 12  # sizes of encrypted segments that are told
_LOOK: Final = 256  # bytes by which a signature that wants more must have made up its mind
_PLAIN: Final = 4  # bytes of a signature that speaks against what the other direction is
_MOST_HEAD: Final = 512  # empty lines and sizes of chunks: a line of those is no longer

# STREAM.sub under HTTP
_AT_HEAD, _IN_BODY, _AT_SIZE, _IN_CHUNK, _TRAILERS, _TO_END, _CHUNK_END = range(7)


@kernel
def name_service(stream: Any, code: Any) -> Any:
    """Note a recognised protocol, behind those that are noted already."""
    known = np.uint64(stream.services)
    shift = np.uint64(0)
    while shift < np.uint64(64):
        held = (known >> shift) & np.uint64(255)
        if held == np.uint64(code):
            return
        if held == np.uint64(0):
            stream.services = known | (np.uint64(code) << shift)
            return
        shift += np.uint64(8)


@kernel
def give(state: Any, slot: Any, side: Any, stream: Any, buf: Any, at: Any, size: Any, whole: Any, flags: Any, arena: Any) -> Any:
    """Write a message of buf[at:at + size]."""
    used = state.arena_used
    if used + size > state.arena_size or state.message_count >= state.messages_rows:
        state.unheard += 1
        return
    hot = hot_at(state, slot)
    row = message_at(state, state.message_count)
    row.n = cold_at(state, slot).n
    row.ts = stream.since
    row.at = used
    row.whole = whole
    row.size = size
    row.number = stream.count
    row.stream = (np.int64(end_at(state, 2 * slot + side).stream) & 0x7FFFFFFF) - 1
    row.src_port = hot.src_port
    row.dst_port = hot.dst_port
    row.protocol = stream.protocol
    row.side = side
    row.flags = flags | (CUT if size < whole and (flags & (BODY_END | ENCRYPTED)) == 0 else 0)
    row.proto = hot.proto
    row.vouched = stream.vouched
    began = stream.services & np.uint64(0xFF)
    row.within = 0 if began == np.uint64(stream.protocol) else began
    if size > 0:
        arena[used : used + size] = buf[at : at + size]
    state.arena_used = used + size
    state.message_count += 1
    if (flags & BODY_END) == 0:
        stream.count += 1


@kernel
def _fits(signature: Any, buf: Any, at: Any, end: Any) -> Any:
    """NO, YES or MORE of one signature."""
    size = np.int64(signature.size)
    first = at + np.int64(signature.at)
    for i in range(min(size, end - first)):
        if (i64(buf[first + i]) & i64(signature.mask[i])) != signature.value[i]:
            return NO
    if end - at < max(np.int64(signature.least), np.int64(signature.at) + size):
        return PROBE_MORE
    if signature.probe == 0:
        return 1
    return probe(np.int64(signature.probe), buf, at, end)


@kernel
def _at_port(signature: Any, src: Any, dst: Any) -> Any:
    """Whether the signature may be asked for these ports."""
    count = np.int64(signature.port_count)
    if count == 0:
        return True
    for i in range(count):
        port = signature.ports[i]
        if port in (src, dst):
            return True
    return False


@kernel
def _beside(state: Any, slot: Any, side: Any, stream: Any, other: Any, buf: Any, at: Any, end: Any) -> Any:
    """Recognise a direction whose other one is: the same protocol, but where TCP begins with another's beyond doubt.

    An HTTP client at an SSH server is two protocols: the server's banner is one whatever it was asked. Only signatures count
    that leave no doubt without a port; they are few and told apart by their first byte. Returns as `listen`.
    """
    hot = hot_at(state, slot)
    waits = False
    for i in range(state.tcp_signatures if hot.proto == _TCP else np.int64(0)):
        signature = signature_at(state, i)
        if signature.strong == 0:  # those come first
            break
        if (buf[at] & signature.lead_mask) != signature.lead or signature.size < _PLAIN or signature.port_count != 0:
            continue
        if signature.protocol == other.protocol or (signature.side != 0 and signature.side != side + 1):
            continue
        fits = _fits(signature, buf, at, end)
        if fits == 1:
            stream.protocol = signature.protocol
            stream.vouched = 1
            name_service(stream, np.int64(signature.protocol))
            return 1
        waits = waits or fits == PROBE_MORE
    if waits and 1 < end - at < _LOOK:  # a single byte is a whole answer in some (PostgreSQL's S)
        return 2
    stream.protocol = other.protocol
    stream.vouched = other.vouched
    return 1


@kernel
def listen(state: Any, slot: Any, side: Any, stream: Any, buf: Any, at: Any, end: Any) -> Any:
    """Recognise a direction by its first bytes: 1 done, 0 nothing fits, 2 more bytes are needed. end > at."""
    hot = hot_at(state, slot)
    peer = np.int64(end_at(state, 2 * slot + (1 - side)).stream)
    if peer != 0 and peer != DEAF:
        other = stream_at(state, (peer & 0x7FFFFFFF) - 1)
        if other.protocol != 0:
            return _beside(state, slot, side, stream, other, buf, at, end)
    if hot.proto == _TCP:
        low, high = np.int64(0), state.tcp_signatures
    elif hot.proto == _UDP:
        low, high = state.tcp_signatures, state.udp_signatures
    else:
        low, high = state.udp_signatures, state.all_signatures
    waits = False
    for i in range(low, high):
        signature = signature_at(state, i)
        if (buf[at] & signature.lead_mask) != signature.lead:
            continue
        if signature.side != 0 and signature.side != side + 1:
            continue
        if not _at_port(signature, hot.src_port, hot.dst_port):
            continue
        fits = _fits(signature, buf, at, end)
        if fits == 1:
            stream.protocol = signature.protocol
            stream.vouched = signature.strong
            if signature.strong:
                name_service(stream, np.int64(signature.protocol))
            return 1
        if fits == PROBE_MORE:
            waits = True
    return 2 if waits and hot.proto == _TCP and end - at < _LOOK else 0


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
        if stream.skip != 0 or stream.left <= length or (stream.sub != _IN_BODY and stream.sub != _IN_CHUNK):
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
        return _http(state, slot, side, stream, framing, buf, at, end, arena)
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


# -- HTTP ------------------------------------------------------------------------------------------


@kernel
def _peer(state: Any, slot: Any, side: Any) -> Any:
    """Row of the other direction, -1 where there is none."""
    heard = np.int64(end_at(state, 2 * slot + (1 - side)).stream)
    if heard == 0 or heard == DEAF:
        return np.int64(-1)
    return (heard & 0x7FFFFFFF) - 1


@kernel
def _end_body(state: Any, slot: Any, side: Any, stream: Any, buf: Any, at: Any, arena: Any) -> Any:
    """The body of the last message is over."""
    stream.count -= 1
    give(state, slot, side, stream, buf, at, np.int64(0), stream.body, BODY_END, arena)
    stream.count += 1
    stream.body = 0
    stream.left = 0
    stream.sub = _AT_HEAD


@kernel
def _http(state: Any, slot: Any, side: Any, stream: Any, framing: Any, buf: Any, at: Any, end: Any, arena: Any) -> Any:
    """Heads are given, bodies counted; returns where to go on, `at` where bytes are missing."""
    sub = stream.sub
    if sub == _AT_HEAD:
        return _http_head(state, slot, side, stream, framing, buf, at, end, arena)
    if sub == _TO_END:
        stream.body += end - at
        return end
    if sub in (_IN_BODY, _IN_CHUNK):
        step = min(stream.left, end - at)
        stream.left -= step
        stream.body += step
        at += step
        if stream.left == 0:
            if sub == _IN_BODY:
                _end_body(state, slot, side, stream, buf, at, arena)
            else:
                stream.sub = _CHUNK_END
        return at
    past = find_end(buf, at, min(end, at + _MOST_HEAD))
    if past < 0:
        if end - at >= _MOST_HEAD:
            stream.done = 1
            return end
        return at
    if sub == _CHUNK_END:
        stream.sub = _AT_SIZE
    elif sub == _TRAILERS:
        if past - at <= 2:
            _end_body(state, slot, side, stream, buf, at, arena)
    else:
        size = chunk_size(buf, at, past)
        if size < 0:
            stream.done = 1
            return end
        stream.left = size
        stream.sub = _IN_CHUNK if size > 0 else _TRAILERS
    return past


@kernel
def _http_head(state: Any, slot: Any, side: Any, stream: Any, framing: Any, buf: Any, at: Any, end: Any, arena: Any) -> Any:
    if buf[at] == 13 or buf[at] == 10:  # empty lines before a request (RFC 9112, 2.2)
        return at + 1
    past = head_end(buf, at, at + max(0, stream.scan), min(end, at + framing.keep))
    if past < 0:
        if end - at < framing.keep:
            stream.scan = max(np.int64(0), end - at - 3)
            return at
        give(state, slot, side, stream, buf, at, framing.keep, framing.keep + 1, 0, arena)
        stream.done = 1
        return end
    stream.scan = 0
    answer = is_response(buf, at, past)
    if not answer and not (65 <= i64(buf[at]) <= 90):
        stream.done = 1
        return end
    give(state, slot, side, stream, buf, at, past - at, past - at, 0, arena)
    name_service(stream, np.int64(stream.protocol))
    kind, length = body_of(buf, at, past)
    if answer:
        kind = _answer_body(state, slot, side, stream, buf, at, past, kind)
    else:
        _note_request(stream, buf, at)
        if kind == TO_THE_END:
            kind = NO_BODY
    stream.body = 0
    if kind == SIZED and length > 0:
        stream.left = length
        stream.sub = _IN_BODY
    elif kind == CHUNKED:
        stream.sub = _AT_SIZE
    elif kind == TO_THE_END:
        stream.sub = _TO_END
    return past


@kernel
def _note_request(stream: Any, buf: Any, at: Any) -> Any:
    """Remember whether the answer to this request has no body (HEAD) or ends HTTP (CONNECT)."""
    bit = np.int64(1) << ((stream.count - 1) & 31)
    head = buf[at] == 72 and buf[at + 1] == 69 and buf[at + 2] == 65 and buf[at + 3] == 68
    connect = buf[at] == 67 and buf[at + 1] == 79 and buf[at + 2] == 78 and buf[at + 3] == 78
    kept = stream.heads & ~(bit | (bit << 32))
    stream.heads = kept | (bit if head else 0) | (bit << 32 if connect else 0)


@kernel
def _answer_body(state: Any, slot: Any, side: Any, stream: Any, buf: Any, at: Any, past: Any, kind: Any) -> Any:
    """How the body of a response is delimited, given what its fields say (RFC 9112, 6.3)."""
    status = status_of(buf, at, past)
    if 100 <= status < 200:
        if status == 101:
            stream.done = 1
        return NO_BODY
    bit = np.int64(1) << (np.int64(stream.answers) & 31)
    stream.answers += 1
    row = _peer(state, slot, side)
    if row >= 0:
        request = stream_at(state, row)
        if request.heads & bit:
            return NO_BODY
        if (request.heads & (bit << 32)) != 0 and 200 <= status < 300:
            _forget(request)
            _forget(stream)
            return NO_BODY
    if status == 204 or status == 304:
        return NO_BODY
    return TO_THE_END if kind == NO_BODY else kind


@kernel
def _forget(stream: Any) -> Any:
    """A tunnel begins (CONNECT): what is spoken in it must be recognised anew."""
    if not stream.done:
        stream.protocol = 0
        stream.sub = 0
        stream.scan = 0


@kernel
def finish_stream(state: Any, slot: Any, side: Any, stream: Any, pool: Any, arena: Any) -> Any:
    """Nothing more will come: give what was collected."""
    if stream.protocol == 0:
        return
    framing = framing_at(state, 4 * np.int64(stream.protocol))
    if framing.cut == _HTTP and stream.sub != _AT_HEAD:
        if stream.body > 0 or stream.left > 0:
            _end_body(state, slot, side, stream, pool, np.int64(0), arena)
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
