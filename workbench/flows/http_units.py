"""Cutting HTTP/1: heads, and how their bodies are delimited (RFC 9112, 6)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from workbench.decode.bits import i64, kernel
from workbench.flows.units import find_end

_CR: Final = 13
_LF: Final = 10
_SPACE: Final = 32
_COLON: Final = 58

NO_BODY: Final = 0
SIZED: Final = 1
CHUNKED: Final = 2
TO_THE_END: Final = 3

_CONTENT_LENGTH: Final = np.frombuffer(b"content-length", np.uint8)
_TRANSFER_ENCODING: Final = np.frombuffer(b"transfer-encoding", np.uint8)


@kernel
def head_end(buf: Any, at: Any, start: Any, end: Any) -> Any:
    """Behind the empty line that ends a head; -1 where there is none yet. start: where to look on from."""
    for place in range(max(at, start), end):
        if buf[place] == _LF and place > at:
            if buf[place - 1] == _LF:
                return place + 1
            if buf[place - 1] == _CR and place - 1 > at and buf[place - 2] == _LF:
                return place + 1
    return -1


@kernel
def _named(buf: Any, at: Any, end: Any, name: Any) -> Any:
    """Whether a field line has this name (lower case), in any case."""
    if end - at <= len(name) or buf[at + len(name)] != _COLON:
        return False
    for i in range(len(name)):
        byte = i64(buf[at + i])
        if 65 <= byte <= 90:
            byte += 32
        if byte != name[i]:
            return False
    return True


@kernel
def _decimal(buf: Any, at: Any, end: Any) -> Any:
    """The number in a field's value; -1 where there is none."""
    value: Any = np.int64(-1)
    for place in range(at, end):
        byte = i64(buf[place])
        if 48 <= byte <= 57:
            value = byte - 48 if value < 0 else min(value * 10 + byte - 48, np.int64(1) << 60)
        elif value >= 0 or byte not in (_SPACE, 9):
            break
    return value


@kernel
def _ends_chunked(buf: Any, at: Any, end: Any) -> Any:
    """Whether the last coding named is chunked."""
    stop = end
    while stop > at and buf[stop - 1] in (_CR, _LF, _SPACE, 9):
        stop -= 1
    if stop - at < 7:
        return False
    word = stop - 7
    return (
        (i64(buf[word]) | 32) == 99
        and (i64(buf[word + 1]) | 32) == 104
        and (i64(buf[word + 2]) | 32) == 117
        and (i64(buf[word + 3]) | 32) == 110
        and (i64(buf[word + 4]) | 32) == 107
        and (i64(buf[word + 5]) | 32) == 101
        and (i64(buf[word + 6]) | 32) == 100
    )


@kernel
def is_response(buf: Any, at: Any, end: Any) -> Any:
    """Whether a head begins as a response does."""
    return (
        end - at >= 12 and buf[at] == 72 and buf[at + 1] == 84 and buf[at + 2] == 84 and buf[at + 3] == 80 and buf[at + 4] == 47
    )


@kernel
def status_of(buf: Any, at: Any, end: Any) -> Any:
    """The status code of a response's first line; 0 where it has none."""
    place = at
    while place < min(end, at + 16) and buf[place] != _SPACE:
        place += 1
    if place + 4 > end:
        return 0
    value = 0
    for i in range(3):
        byte = i64(buf[place + 1 + i])
        if byte < 48 or byte > 57:
            return 0
        value = value * 10 + byte - 48
    return value


@kernel
def body_of(buf: Any, at: Any, end: Any) -> Any:
    """(how the body behind a head is delimited by its fields, its length): NO_BODY where no field says."""
    length = np.int64(-1)
    place = find_end(buf, at, end)
    while 0 <= place < end:
        past = find_end(buf, place, end)
        if past < 0:
            break
        if _named(buf, place, past, _TRANSFER_ENCODING):
            if _ends_chunked(buf, place + 18, past):
                return CHUNKED, np.int64(0)
            return TO_THE_END, np.int64(0)
        if _named(buf, place, past, _CONTENT_LENGTH):
            length = _decimal(buf, place + 15, past)
        place = past
    if length >= 0:
        return SIZED, length
    return NO_BODY, np.int64(0)


@kernel
def chunk_size(buf: Any, at: Any, end: Any) -> Any:
    """The size in a chunk's first line; -1 where it is none."""
    value: Any = np.int64(-1)
    for place in range(at, end):
        byte = i64(buf[place])
        if 48 <= byte <= 57:
            digit = byte - 48
        elif 97 <= (byte | 32) <= 102:
            digit = (byte | 32) - 87
        else:
            break
        value = digit if value < 0 else (value << 4) | digit
        if value > 1 << 56:
            return -1
    return value
