"""What stands in DNS messages, written as text into a byte buffer, inside kernels.

Every function writes at `at` and returns where the text ends; the caller has left room: MOST_NAME bytes for a name, 40 for
anything else.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from workbench.decode.application.dns_names import KNOWN_TYPES, TYPES
from workbench.decode.bits import be16, i64, kernel

#: Bytes of a name as text: 255 on the wire, each at most four characters, and NetBIOS's suffix.
MOST_NAME: Final = 1024
_HEX: Final = np.frombuffer(b"0123456789abcdef", np.uint8).copy()
#: NetBIOS's node status, whose number is SRV's.
NBSTAT: Final = KNOWN_TYPES
#: Type names by number, filled up with zeros; nothing where it has none.
_TYPES: Final = np.zeros((KNOWN_TYPES + 1, 12), np.uint8)
for _number, _name in {**TYPES, NBSTAT: "NBSTAT"}.items():
    _TYPES[_number, : len(_name)] = np.frombuffer(_name.encode(), np.uint8)
#: How a byte of a label is written: 0 as it is, 1 behind a backslash, 2 as three decimal digits (RFC 1035, 5.1). A comma is
#: 2, since lists of names are separated by it.
_ESCAPE: Final = np.full(256, 2, np.uint8)
_ESCAPE[0x21:0x7F] = 0
_ESCAPE[list(b'."$();@\\')] = 1
_ESCAPE[ord(",")] = 2
_DOT, _BACKSLASH, _ZERO, _COLON, _SPACE, _LESS, _GREATER, _T, _Y, _P, _E = b".\\0: <>TYPE"


@kernel
def put_number(out: NDArray[np.uint8], at: int, value: int) -> int:
    """A number that is not negative, in decimal digits."""
    digits = 1
    rest = value
    while rest >= 10:
        rest //= 10
        digits += 1
    for k in range(digits):
        out[at + digits - 1 - k] = _ZERO + value % 10
        value //= 10
    return at + digits


@kernel
def put_ipv4(out: NDArray[np.uint8], at: int, buf: NDArray[np.uint8], o: int) -> int:
    """The four bytes at o as an address."""
    for k in range(4):
        if k:
            out[at] = _DOT
            at += 1
        at = put_number(out, at, i64(buf[o + k]))
    return at


@kernel
def _longest_zeros(buf: NDArray[np.uint8], o: int) -> int:
    """The first of the longest runs of at least two zero groups: its first group times 16 plus its length; 0 without."""
    best = run = 0
    for k in range(8):
        run = run + 1 if be16(buf, o + 2 * k) == 0 else 0
        if run > 1 and run > best & 15:
            best = (k + 1 - run) * 16 + run
    return best


@kernel
def put_ipv6(out: NDArray[np.uint8], at: int, buf: NDArray[np.uint8], o: int) -> int:
    """The sixteen bytes at o as an address (RFC 5952); IPv4-mapped ones end in dotted decimals."""
    zeros = _longest_zeros(buf, o)
    first, length = zeros >> 4, zeros & 15
    groups = 6 if zeros == 5 and be16(buf, o + 10) == 0xFFFF else 8
    k = 0
    while k < groups:
        if length and k == first:
            out[at] = _COLON
            out[at + 1] = _COLON
            at += 2
            k += length
            continue
        if k and not (length and k == first + length):
            out[at] = _COLON
            at += 1
        value = be16(buf, o + 2 * k)
        shift = 12
        while shift and not value >> shift:
            shift -= 4
        while shift >= 0:
            out[at] = _HEX[(value >> shift) & 15]
            at += 1
            shift -= 4
        k += 1
    if groups == 6:
        out[at] = _COLON
        at = put_ipv4(out, at + 1, buf, o + 12)
    return at


@kernel
def put_byte(out: NDArray[np.uint8], at: int, value: int) -> int:
    """One byte of a label, escaped where it has to be."""
    how = _ESCAPE[value]
    if how:
        out[at] = _BACKSLASH
        at += 1
    if how == 2:
        out[at] = _ZERO + value // 100
        out[at + 1] = _ZERO + value // 10 % 10
        out[at + 2] = _ZERO + value % 10
        return at + 3
    out[at] = value
    return at + 1


@kernel
def put_name(out: NDArray[np.uint8], at: int, name: NDArray[np.uint8], size: int) -> int:
    """A name of `size` bytes as `dns_wire.expand` leaves it: labels with dots between, the root as one dot."""
    if size <= 1:
        out[at] = _DOT
        return at + 1
    o = i64(0)
    while o < size:
        length = i64(name[o])
        if length == 0:
            break
        if o:
            out[at] = _DOT
            at += 1
        for k in range(o + 1, min(o + 1 + length, size)):
            at = put_byte(out, at, i64(name[k]))
        o += 1 + length
    return at


@kernel
def put_netbios(out: NDArray[np.uint8], at: int, name: NDArray[np.uint8], size: int) -> int:
    """A NetBIOS name (RFC 1001, 14.1): fifteen characters and the suffix, `wpad<00>`, then its scope; others as any name."""
    if size < 34 or name[0] != 32:
        return put_name(out, at, name, size)
    for k in range(1, 33):
        if name[k] < 97 or name[k] > 112:  # a to p: half a byte each, lower case by now
            return put_name(out, at, name, size)
    last = 15
    while last and (_netbios(name, last - 1) == 0x20 or _netbios(name, last - 1) == 0):
        last -= 1
    for k in range(last):
        value = _netbios(name, k)
        at = put_byte(out, at, value + 32 if 65 <= value <= 90 else value)
    suffix = _netbios(name, 15)
    out[at] = _LESS
    out[at + 1] = _HEX[suffix >> 4]
    out[at + 2] = _HEX[suffix & 15]
    out[at + 3] = _GREATER
    at += 4
    if size > 34:
        out[at] = _DOT
        at = put_name(out, at + 1, name[33:], size - 33)
    return at


@kernel
def _netbios(name: NDArray[np.uint8], k: int) -> int:
    """Byte k of the sixteen that the first label encodes."""
    return ((i64(name[1 + 2 * k]) - 97) << 4) | (i64(name[2 + 2 * k]) - 97)


@kernel
def put_size(out: NDArray[np.uint8], at: int, kind: int, size: int) -> int:
    """Data that is not shown: its type (264, which nobody has, is NBSTAT) and size, `TXT 32`."""
    if kind <= KNOWN_TYPES and _TYPES[kind, 0]:
        k = 0
        while k < 12 and _TYPES[kind, k]:
            out[at] = _TYPES[kind, k]
            at += 1
            k += 1
    else:
        out[at], out[at + 1], out[at + 2], out[at + 3] = _T, _Y, _P, _E
        at = put_number(out, at + 4, kind)
    out[at] = _SPACE
    return put_number(out, at + 1, size)
