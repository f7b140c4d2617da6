"""The parts of a DNS message (RFC 1035, 4.1), read inside kernels: names, the question, records.

Offsets are absolute in the buffer; `base` is where the message starts, `end` where what is there of it ends. A function that
cannot go on returns SHORT (the bytes end) or WRONG (they cannot be), both negative.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from workbench.decode.application import dns_names as names
from workbench.decode.application.dns_text import MOST_NAME, NBSTAT, put_ipv4, put_ipv6, put_name, put_number, put_size
from workbench.decode.bits import Numbers, be16, be32, i64, kernel, u64

SHORT: Final = -1
WRONG: Final = -2
#: Bytes of a name (RFC 1035, 2.3.4).
MOST_WIRE: Final = 255
#: Pointers followed for one name: more than any message has, few enough for one that goes round in circles.
_MOST_POINTERS: Final = 64
#: Characters of answers, or of their times to live, behind which no further record is written.
MOST_ANSWERS: Final = 4096
#: Room that must be there for the answers of one message: the last record may begin just below the limit.
ROOM: Final = MOST_ANSWERS + MOST_NAME + 64

#: Scratch of a message: where its next part begins, where what follows a name begins, the first question (size 0 without), the
#: header's second word, the response code, and the cursors in the texts of answers and times to live.
NEXT, AFTER, SIZE, QTYPE, QCLASS, FLAGS, RCODE, ANSWERS, TTLS, SCRATCH = range(10)

_NS, _CNAME, _SOA, _PTR, _MX, _AAAA, _NB, _SRV, _DNAME, _OPT = 2, 5, 6, 12, 15, 28, 32, 33, 39, 41
_NBNS: Final = names.NBNS
_MDNS: Final = names.MDNS
_COMMA, _SPACE, _POINT = b", ."


@kernel
def expand(buf: NDArray[np.uint8], base: int, end: int, at: int, name: NDArray[np.uint8], w: Numbers) -> int:
    """Put the name at `at` into `name`: its labels as on the wire, lower case, without pointers; returns its bytes.

    w[AFTER]: where what follows begins. A pointer should lead to what came before (RFC 1035, 4.1.4), but not everybody insists,
    so what hides a name that way is read too; only so many are followed.
    """
    size, after, pointers = i64(0), i64(-1), i64(0)
    while True:
        if at >= end:
            return SHORT
        length = i64(buf[at])
        if length >= 0xC0:
            if at + 2 > end:
                return SHORT
            if after < 0:
                after = at + 2
            at = base + (be16(buf, at) & 0x3FFF)
            pointers += 1
            if pointers > _MOST_POINTERS or at < base + 12:
                return WRONG
            continue
        if length > 63 or size + length + 1 > MOST_WIRE:
            return WRONG
        if at + 1 + length > end:
            return SHORT
        name[size] = length
        for k in range(1, length + 1):
            letter = buf[at + k]
            name[size + k] = letter + 32 if 65 <= letter <= 90 else letter
        size += length + 1
        at += length + 1
        if length == 0:
            break
    w[AFTER] = at if after < 0 else after
    return size


@kernel
def skip(buf: NDArray[np.uint8], end: int, at: int) -> int:
    """Where what follows the name at `at` begins; pointers are not followed."""
    while True:
        if at >= end:
            return SHORT
        length = i64(buf[at])
        if length == 0:
            return at + 1
        if length >= 0xC0:
            return at + 2 if at + 2 <= end else SHORT
        if length > 63:
            return WRONG
        at += length + 1


@kernel
def key_of(name: NDArray[np.uint8], size: int, qtype: int) -> int:
    """A question as a number (FNV-1a): a query and its answer have the same."""
    value = u64(0xCBF29CE484222325) ^ u64(qtype)
    for k in range(size):
        value = (value ^ u64(name[k])) * u64(0x100000001B3)
    return i64(value)


@kernel
def question(buf: NDArray[np.uint8], base: int, end: int, kind: int, name: NDArray[np.uint8], w: Numbers) -> int:
    """Header and questions: the first one's name in `name`, its type and class; w[NEXT] behind the last. 0, SHORT or WRONG."""
    w[SIZE], w[QTYPE], w[QCLASS], w[NEXT] = 0, -1, -1, base + 12
    if end - base < 12:
        return SHORT
    w[FLAGS] = be16(buf, base + 2)
    w[RCODE] = w[FLAGS] & 15
    for k in range(be16(buf, base + 4)):
        if k == 0:
            size = expand(buf, base, end, w[NEXT], name, w)
            at = w[AFTER] if size > 0 else size
        else:
            at = skip(buf, end, w[NEXT])
        if at < 0:
            return at
        if at + 4 > end:
            return SHORT
        if k == 0:
            w[SIZE] = size
            w[QTYPE] = be16(buf, at)
            w[QCLASS] = be16(buf, at + 2) & (0x7FFF if kind == _MDNS else 0xFFFF)  # the upper bit asks for unicast (RFC 6762)
        w[NEXT] = at + 4
    return 0


@kernel
def answers(
    buf: NDArray[np.uint8],
    base: int,
    end: int,
    kind: int,
    name: NDArray[np.uint8],
    other: NDArray[np.uint8],
    w: Numbers,
    text: NDArray[np.uint8],
    ttls: NDArray[np.uint8],
) -> int:
    """Write the answer section; w[ANSWERS], w[TTLS]: where in both buffers, moved on. 0, SHORT or WRONG.

    NetBIOS answers repeat no question: the name that the first record is about becomes it.
    """
    first, first_ttl = w[ANSWERS], w[TTLS]
    for _ in range(be16(buf, base + 6)):
        if kind == _NBNS and w[SIZE] == 0:
            size = expand(buf, base, end, w[NEXT], name, w)
            at = w[AFTER] if size > 0 else size
        else:
            size, at = i64(0), skip(buf, end, w[NEXT])
        if at < 0:
            return at
        if at + 10 > end:
            return SHORT
        rtype, data = be16(buf, at), at + 10
        if size > 0:
            w[SIZE], w[QTYPE], w[QCLASS] = size, rtype, be16(buf, at + 2)
        if data + be16(buf, at + 8) > end:
            return SHORT
        w[NEXT] = data + be16(buf, at + 8)
        if w[ANSWERS] - first > MOST_ANSWERS or w[TTLS] - first_ttl > MOST_ANSWERS:
            continue
        code = _record(buf, base, data, be16(buf, at + 8), rtype, kind, other, w, text, first)
        if code < 0:
            return code
        if w[TTLS] > first_ttl:
            ttls[w[TTLS]] = _COMMA
            w[TTLS] += 1
        w[TTLS] = put_number(ttls, w[TTLS], be32(buf, at + 4))
        if w[ANSWERS] - first > MOST_ANSWERS or w[TTLS] - first_ttl > MOST_ANSWERS:
            _more(text, w)
    return 0


@kernel
def _more(text: NDArray[np.uint8], w: Numbers) -> None:
    """Three points: the list goes on."""
    at = w[ANSWERS]
    text[at] = _COMMA
    for k in range(1, 4):
        text[at + k] = _POINT
    w[ANSWERS] = at + 4


@kernel
def _record(
    buf: NDArray[np.uint8],
    base: int,
    data: int,
    size: int,
    rtype: int,
    kind: int,
    other: NDArray[np.uint8],
    w: Numbers,
    text: NDArray[np.uint8],
    first: int,
) -> int:
    """Write one record's data behind those written from `first` on; SHORT or WRONG, and nothing written, where it is no such."""
    at = w[ANSWERS]
    if at > first:
        text[at] = _COMMA
        at += 1
    if rtype == 1 and size == 4:
        at = put_ipv4(text, at, buf, data)
    elif rtype == _AAAA and size == 16:
        at = put_ipv6(text, at, buf, data)
    elif rtype == _NB and kind == _NBNS and size >= 6:
        at = put_ipv4(text, at, buf, data + 2)
    elif rtype == _SRV and kind == _NBNS:
        at = put_size(text, at, NBSTAT, size)
    else:
        ahead = _numbers_ahead(rtype)
        if ahead < 0 or size <= 2 * ahead:
            at = put_size(text, at, rtype, size)
        else:
            length = expand(buf, base, data + size, data + 2 * ahead, other, w)
            if length < 0:
                return WRONG
            for k in range(ahead):
                at = put_number(text, at, be16(buf, data + 2 * k))
                text[at] = _SPACE
                at += 1
            at = put_name(text, at, other, length)
    w[ANSWERS] = at
    return 0


@kernel
def _numbers_ahead(rtype: int) -> int:
    """How many 16-bit numbers stand ahead of the name in data of this type; -1 where none is shown."""
    if rtype in (_NS, _CNAME, _SOA, _PTR, _DNAME):
        return 0
    if rtype == _MX:
        return 1
    return 3 if rtype == _SRV else -1


@kernel
def walk(buf: NDArray[np.uint8], end: int, count: int, w: Numbers) -> int:
    """Pass over records; EDNS adds its eight bits to w[RCODE]. 0, SHORT or WRONG."""
    for _ in range(count):
        at = skip(buf, end, w[NEXT])
        if at < 0:
            return at
        if at + 10 > end or at + 10 + be16(buf, at + 8) > end:
            return SHORT
        if be16(buf, at) == _OPT:
            w[RCODE] = (w[RCODE] & 15) | (i64(buf[at + 4]) << 4)
        w[NEXT] = at + 10 + be16(buf, at + 8)
    return 0
