"""HTTP/1 in order: heads are given, bodies counted (RFC 9112)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from workbench.decode.bits import i64, kernel
from workbench.flows.giving import give, name_service
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
from workbench.flows.memory import end_at, stream_at
from workbench.flows.stream_rows import DEAF
from workbench.flows.units import find_end
from workbench.records.message import BODY_END

_MOST_HEAD: Final = 512  # empty lines and sizes of chunks: a line of those is no longer

# STREAM.sub under HTTP
AT_HEAD, IN_BODY, _AT_SIZE, IN_CHUNK, _TRAILERS, _TO_END, _CHUNK_END = range(7)


@kernel
def _peer(state: Any, slot: Any, side: Any) -> Any:
    """Row of the other direction, -1 where there is none."""
    heard = np.int64(end_at(state, 2 * slot + (1 - side)).stream)
    if heard == 0 or heard == DEAF:
        return np.int64(-1)
    return (heard & 0x7FFFFFFF) - 1


@kernel
def end_body(state: Any, slot: Any, side: Any, stream: Any, buf: Any, at: Any, arena: Any) -> Any:
    """The body of the last message is over."""
    stream.count -= 1
    give(state, slot, side, stream, buf, at, np.int64(0), stream.body, BODY_END, arena)
    stream.count += 1
    stream.body = 0
    stream.left = 0
    stream.sub = AT_HEAD


@kernel
def http_unit(state: Any, slot: Any, side: Any, stream: Any, framing: Any, buf: Any, at: Any, end: Any, arena: Any) -> Any:
    """Heads are given, bodies counted; returns where to go on, `at` where bytes are missing."""
    sub = stream.sub
    if sub == AT_HEAD:
        return _http_head(state, slot, side, stream, framing, buf, at, end, arena)
    if sub == _TO_END:
        stream.body += end - at
        return end
    if sub in (IN_BODY, IN_CHUNK):
        step = min(stream.left, end - at)
        stream.left -= step
        stream.body += step
        at += step
        if stream.left == 0:
            if sub == IN_BODY:
                end_body(state, slot, side, stream, buf, at, arena)
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
            end_body(state, slot, side, stream, buf, at, arena)
    else:
        size = chunk_size(buf, at, past)
        if size < 0:
            stream.done = 1
            return end
        stream.left = size
        stream.sub = IN_CHUNK if size > 0 else _TRAILERS
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
        stream.sub = IN_BODY
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
