"""The kernel that puts a client's hello together from the CRYPTO frames of opened packets (RFC 9000, 19.6).

Frames come in any order, overlap, and are spread over packets: old clients by size, new ones on purpose.
"""

from __future__ import annotations

from typing import Any, Final

from numba import types

from workbench.decode.application.quic_kernels import varint
from workbench.decode.application.tls_kernels import MOST_MESSAGE
from workbench.decode.bits import be16, exported, i64, kernel

#: Pieces of a hello that are held.
MOST_PIECES: Final = 128
#: Frames of a packet that are looked at; a run of padding counts as one.
_MOST_FRAMES: Final = 512
_PADDING, _PING, _ACK, _ACK_ECN, _CRYPTO = 0, 1, 2, 3, 6

#: What `joined` says of a connection: the payload that made it whole (-1: none), place and size of the hello, whether it may
#: hold a client's name (RFC 9000, 18: parameter 0x3129, which is 0x7129 as it is written).
WHOLE_BY, AT, SIZE, NAMED = range(4)
_NAME: Final = 0x7129

_BYTES: Final = types.Array(types.uint8, 1, "C", readonly=True)
_OUT: Final = types.Array(types.uint8, 1, "C")
_PLACES: Final = types.Array(types.int64, 1, "C", readonly=True)
_TABLE: Final = types.Array(types.int64, 2, "C")


@kernel
def _keep(pieces: Any, count: Any, held: Any, offset: Any, at: Any, size: Any) -> Any:
    """Note a piece, in the order of offsets; of two at one offset the longer: (count, bytes held)."""
    if offset + size > MOST_MESSAGE or count >= MOST_PIECES or held + size > 2 * MOST_MESSAGE:
        return count, held
    place = count
    while place > 0 and pieces[place - 1, 0] >= offset:
        place -= 1
    if place < count and pieces[place, 0] == offset:
        if pieces[place, 2] >= size:
            return count, held
    elif size == 0:
        return count, held
    else:
        for i in range(count, place, -1):
            for field in range(3):
                pieces[i, field] = pieces[i - 1, field]
        count += 1
    pieces[place, 0] = offset
    pieces[place, 1] = at
    pieces[place, 2] = size
    return count, held + size


@kernel
def _copy(buf: Any, pieces: Any, count: Any, out: Any, to: Any, most: Any) -> Any:
    """Copy what there is without a hole, at most `most` bytes, and say how much there is."""
    reach = i64(0)
    for i in range(count):
        if pieces[i, 0] > reach:
            break
        skip = reach - pieces[i, 0]
        for byte in range(skip, min(pieces[i, 2], most - pieces[i, 0])):
            out[to + pieces[i, 0] + byte] = buf[pieces[i, 1] + byte]
        reach = max(reach, pieces[i, 0] + pieces[i, 2])
    return reach


@kernel
def _hello(buf: Any, pieces: Any, count: Any, out: Any, to: Any) -> Any:
    """Bytes of the hello, put to out[to:], once it is there to its end; else 0."""
    reach = _copy(buf, pieces, count, out, to, i64(4))
    if reach < 4 or out[to] != 1:
        return i64(0)
    size = 4 + (i64(out[to + 1]) << 16) + be16(out, to + 2)
    if reach < size:
        return i64(0)
    _copy(buf, pieces, count, out, to, size)
    return size


@kernel
def _past_ack(buf: Any, at: Any, stop: Any, counts: Any) -> Any:
    """Where an ACK frame ends (RFC 9000, 19.3); -1 where it ends early."""
    _, at = varint(buf, at, stop)
    _, at = varint(buf, at, stop)
    ranges, at = varint(buf, at, stop)
    if ranges < 0 or ranges > stop - at:  # every number has a byte
        return i64(-1)
    for _ in range(1 + 2 * ranges + counts):
        value, at = varint(buf, at, stop)
        if value < 0:
            return i64(-1)
    return at


@kernel
def _frames(buf: Any, at: Any, stop: Any, pieces: Any, count: Any, held: Any, out: Any, to: Any) -> Any:
    """The frames of one payload: (pieces, bytes held, size of the hello or 0, whether it lies).

    Frames that may not stand in an Initial packet end it (RFC 9000, 17.2.2).
    """
    for _ in range(_MOST_FRAMES):
        while at < stop and buf[at] == _PADDING:
            at += 1
        if at >= stop:
            break
        kind = i64(buf[at])
        at += 1
        if kind == _CRYPTO:
            offset, at = varint(buf, at, stop)
            size, at = varint(buf, at, stop)
            if offset < 0 or size < 0 or size > stop - at:
                return count, held, i64(0), True
            before = held
            count, held = _keep(pieces, count, held, offset, at, size)
            if held != before:
                whole = _hello(buf, pieces, count, out, to)
                if whole > 0:
                    return count, held, whole, False
            at += size
        elif kind in (_ACK, _ACK_ECN):
            at = _past_ack(buf, at, stop, 3 if kind == _ACK_ECN else 0)
            if at < 0:
                return count, held, i64(0), True
        elif kind != _PING:
            break
    return count, held, i64(0), False


@exported((_BYTES, _PLACES, _PLACES, _TABLE, _OUT, _OUT, _TABLE))
def join_hellos(payloads: Any, ends: Any, parts: Any, pieces: Any, out: Any, lies: Any, joined: Any) -> None:
    """Put hellos together. payloads: one behind another, where each ends; parts: the last payload of each connection, plus one.

    pieces: room, MOST_PIECES x 3. out: as many bytes as payloads has. lies: 1 for payloads whose frames don't fit. joined: a row
    for each connection.
    """
    to = i64(0)
    one = i64(0)
    for row in range(parts.size):
        count = held = i64(0)
        joined[row, WHOLE_BY] = -1
        joined[row, AT] = to
        joined[row, SIZE] = joined[row, NAMED] = 0
        while one < parts[row]:
            at = ends[one - 1] if one > 0 else i64(0)
            if joined[row, WHOLE_BY] < 0:
                count, held, size, wrong = _frames(payloads, at, ends[one], pieces, count, held, out, to)
                lies[one] = 1 if wrong else 0
                if size > 0:
                    joined[row, WHOLE_BY] = one
                    joined[row, SIZE] = size
            one += 1
        for at in range(to, to + joined[row, SIZE] - 1):
            if be16(out, at) == _NAME:
                joined[row, NAMED] = 1
        to += joined[row, SIZE]
