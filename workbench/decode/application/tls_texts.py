"""Kernels that write fingerprint texts and key them: decimal and hexadecimal numbers, a sort, SipHash.

Every `put_*` writes at `at` and returns where it stopped; whoever calls has made room (`tls_kernels.ROOM`).
"""

from __future__ import annotations

from typing import Any, Final

from workbench.decode.bits import be64, i64, kernel, u64

_COMMA: Final = 44
_DASH: Final = 45


@kernel
def grease(value: Any) -> Any:
    """Whether a number is one of the sixteen that mean nothing (RFC 8701, 2)."""
    return (value & 0x0F0F) == 0x0A0A and (value >> 8) == (value & 0xFF)


@kernel
def put_decimal(out: Any, at: Any, value: Any) -> Any:
    """A number of up to five digits."""
    digits = 1
    top = 10
    while value >= top:
        top *= 10
        digits += 1
    for place in range(at + digits - 1, at - 1, -1):
        out[place] = 48 + value % 10
        value //= 10
    return at + digits


@kernel
def put_hex(out: Any, at: Any, value: Any) -> Any:
    """Four hexadecimal digits."""
    for place in range(4):
        digit = (value >> (12 - 4 * place)) & 15
        out[at + place] = digit + (48 if digit < 10 else 87)
    return at + 4


@kernel
def put_two(out: Any, at: Any, count: Any) -> Any:
    """A count as two decimal digits, 99 at most."""
    count = min(count, 99)
    out[at] = 48 + count // 10
    out[at + 1] = 48 + count % 10
    return at + 2


@kernel
def put_listed(out: Any, at: Any, work: Any, count: Any) -> Any:
    """The first numbers of `work` in hexadecimal, comma separated."""
    for place in range(count):
        if place:
            out[at] = _COMMA
            at += 1
        at = put_hex(out, at, i64(work[place]))
    return at


@kernel
def put_dashed(out: Any, at: Any, work: Any, count: Any) -> Any:
    """The first numbers of `work` in decimal, separated by dashes."""
    for place in range(count):
        if place:
            out[at] = _DASH
            at += 1
        at = put_decimal(out, at, i64(work[place]))
    return at


@kernel
def put_byte(out: Any, at: Any, value: Any) -> Any:
    """One byte."""
    out[at] = value
    return at + 1


@kernel
def sort_first(work: Any, count: Any) -> None:
    """Put the first numbers of `work` in order: Shell's sort, which no order of the input makes quadratic in practice."""
    gap = 1
    while 3 * gap + 1 < count:
        gap = 3 * gap + 1
    while gap > 0:
        for at in range(gap, count):
            value = work[at]
            place = at
            while place >= gap and work[place - gap] > value:
                work[place] = work[place - gap]
                place -= gap
            work[place] = value
        gap //= 3


@kernel
def _turn(value: Any, bits: Any) -> Any:
    return (value << u64(bits)) | (value >> u64(64 - bits))


@kernel
def _round(a: Any, b: Any, c: Any, d: Any) -> Any:
    a += b
    c += d
    b = _turn(b, 13) ^ a
    d = _turn(d, 16) ^ c
    a = _turn(a, 32)
    a += d
    c += b
    d = _turn(d, 21) ^ a
    b = _turn(b, 17) ^ c
    return a, b, _turn(c, 32), d


@kernel
def keyed(buf: Any, at: Any, size: Any, key: Any) -> Any:
    """SipHash-1-3 of some bytes, its words read most significant byte first: nobody without the key makes two texts share it.

    Zero is kept free: it means that there is no text.
    """
    a = key[0] ^ u64(0x736F6D6570736575)
    b = key[1] ^ u64(0x646F72616E646F6D)
    c = key[0] ^ u64(0x6C7967656E657261)
    d = key[1] ^ u64(0x7465646279746573)
    whole = size // 8
    for word in range(whole):
        value = be64(buf, at + 8 * word)
        d ^= value
        a, b, c, d = _round(a, b, c, d)
        a ^= value
    value = u64(size & 0xFF) << u64(56)
    for place in range(8 * whole, size):
        value |= u64(buf[at + place]) << u64(8 * (place & 7))
    d ^= value
    a, b, c, d = _round(a, b, c, d)
    a ^= value
    c ^= u64(0xFF)
    for _ in range(3):
        a, b, c, d = _round(a, b, c, d)
    result = a ^ b ^ c ^ d
    return result if result != u64(0) else u64(1)
