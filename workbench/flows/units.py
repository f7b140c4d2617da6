"""Cutting a direction into the units of its protocol: how many of the bytes at hand are the next one.

Each cutter gets bytes in order, buf[at:end], and says how many of them begin the next message (`kept`) and how long the
unit is (`whole`): kept 0 means that more bytes are needed, -1 that this is not the protocol's form any more.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from workbench.decode.bits import be16, be32, i64, kernel

MORE: Final = 0
LOST: Final = -1

_LF: Final = 10
_MOST_RECORD: Final = 16384 + 2048  # TLS (RFC 8446, 5.2; RFC 5246, 6.2.3)
_MOST_PACKET: Final = (256 << 10) + 4  # SSH: RFC 4253 (6.1) has 35,000 read, and more where it is needed; OpenSSH takes this
_MOST_LINE: Final = 8192
_NEWKEYS: Final = 21


@kernel
def number_at(framing: Any, buf: Any, unit: Any) -> Any:
    """The length field of a unit that begins at `unit`, of `width` bytes."""
    value = np.int64(0)
    at = unit + framing.at
    little = (i64(buf[unit + framing.order_at]) & 0x10) != 0 if framing.order_at != 0 else framing.little != 0
    for i in range(framing.width):
        if little:
            value |= i64(buf[at + i]) << (8 * i)
        else:
            value = (value << 8) | i64(buf[at + i])
    return value


@kernel
def length_unit(framing: Any, buf: Any, at: Any, end: Any) -> Any:
    """Units with their length at a fixed place: (kept, whole)."""
    head = framing.at + framing.width
    if end - at < head:
        return MORE, np.int64(0)
    whole = (number_at(framing, buf, at) & framing.mask) * framing.scale + framing.add
    if whole < head:
        return LOST, np.int64(0)
    kept = min(framing.keep, whole)
    if end - at < kept:
        return MORE, whole
    return kept, whole


@kernel
def ber_unit(framing: Any, buf: Any, at: Any, end: Any) -> Any:
    """Units of BER with a one-byte tag and a definite length: (kept, whole)."""
    if end - at < 2:
        return MORE, np.int64(0)
    length = i64(buf[at + 1])
    head = 2
    if length >= 0x80:
        more = length & 0x7F
        if more == 0 or more > 4:
            return LOST, np.int64(0)
        if end - at < 2 + more:
            return MORE, np.int64(0)
        length = 0
        for i in range(more):
            length = (length << 8) | i64(buf[at + 2 + i])
        head += more
    whole = head + length
    kept = min(framing.keep, whole)
    if end - at < kept:
        return MORE, whole
    return kept, whole


@kernel
def find_end(buf: Any, at: Any, end: Any) -> Any:
    """Where the line that begins at `at` ends, behind its LF; -1 where it does not."""
    for place in range(at, end):
        if buf[place] == _LF:
            return place + 1
    return -1


@kernel
def line_unit(stream: Any, framing: Any, buf: Any, at: Any, end: Any) -> Any:
    """Lines: (kept, whole). A line longer than is kept is given cut, and its rest passed over (sub 1)."""
    past = find_end(buf, at + stream.scan, min(end, at + framing.keep))
    if past >= 0:
        stream.scan = 0
        return past - at, past - at
    if end - at >= framing.keep:
        stream.scan = 0
        stream.sub = 1
        return framing.keep, framing.keep
    stream.scan = end - at
    return MORE, np.int64(0)


@kernel
def hello_unit(stream: Any, framing: Any, buf: Any, at: Any, end: Any) -> Any:
    """TLS records from the direction's start up to the first that is encrypted: (kept, whole, whether encryption follows)."""
    walk = at + stream.scan
    if walk == at and end - at >= 3 and (i64(buf[at]) & 0x80) != 0 and buf[at + 2] == 1:
        walk = at + 2 + (be16(buf, at) & 0x7FFF)  # a hello in the form of SSL 2 (RFC 5246, E.2)
        if walk > end:
            return MORE, np.int64(0), False
    while walk + 5 <= end:
        kind = i64(buf[walk])
        if kind == 20 or kind == 23:
            return (walk - at if walk > at else LOST), walk - at, True
        length = be16(buf, walk + 3)
        if kind not in (21, 22, 24) or buf[walk + 1] != 3 or length > _MOST_RECORD or length == 0:
            return (walk - at if walk > at else LOST), walk - at, False
        if walk + 5 + length - at > framing.keep:
            if end - at >= framing.keep:
                return framing.keep, walk + 5 + length - at, False
            return MORE, np.int64(0), False
        if walk + 5 + length > end:
            break
        walk += 5 + length
        stream.scan = walk - at
    return MORE, np.int64(0), False


@kernel
def ssh_unit(stream: Any, framing: Any, buf: Any, at: Any, end: Any) -> Any:
    """SSH: (kept, whole, whether it is given). sub 0: lines up to the banner; 1: packets in the clear."""
    if stream.sub == 0:
        past = find_end(buf, at, min(end, at + _MOST_LINE))
        if past < 0:
            return (LOST if end - at >= _MOST_LINE else MORE), np.int64(0), False
        banner = past - at > 4 and buf[at] == 83 and buf[at + 1] == 83 and buf[at + 2] == 72 and buf[at + 3] == 45
        if banner:
            old = past - at > 7 and buf[at + 4] == 49 and buf[at + 6] != 57  # SSH-1.5, but not SSH-1.99
            stream.sub = 9 if old else 1
        return past - at, past - at, banner
    if end - at < 6:
        return MORE, np.int64(0), False
    whole = be32(buf, at) + 4
    if whole < 12 or whole > _MOST_PACKET:
        return LOST, np.int64(0), False
    kept = min(framing.keep, whole)
    if end - at < kept:
        return MORE, whole, False
    if buf[at + 5] == _NEWKEYS:
        stream.sub = 2
    return kept, whole, True
