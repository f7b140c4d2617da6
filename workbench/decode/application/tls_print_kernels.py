"""Kernels for the lists of a hello, and for the texts that JA3 and JA4 are hashed from.

JA3: Salesforce's definition. JA4: FoxIO's technical details, TLS clients only. Numbers that mean nothing (RFC 8701) are left
out of both.
"""

from __future__ import annotations

from typing import Any, Final

from workbench.decode.application.tls_texts import (
    grease,
    put_byte,
    put_dashed,
    put_decimal,
    put_listed,
    put_two,
    sort_first,
)
from workbench.decode.bits import be16, i64, kernel

#: HALF.flags: there is a server_name extension.
NAMED: Final = 2


@kernel
def list_numbers(buf: Any, at: Any, stop: Any, work: Any) -> Any:
    """The two-byte numbers of a list that mean something, to `work`; returns how many."""
    count = 0
    while at + 2 <= stop:
        value = be16(buf, at)
        if not grease(value):
            work[count] = value
            count += 1
        at += 2
    return count


@kernel
def list_kinds(buf: Any, at: Any, stop: Any, work: Any) -> Any:
    """The types of extensions that mean something, to `work`; returns how many."""
    count = 0
    while at + 4 <= stop:
        value = be16(buf, at)
        if not grease(value):
            work[count] = value
            count += 1
        at += 4 + be16(buf, at + 2)
    return count


@kernel
def find(buf: Any, at: Any, stop: Any, wanted: Any) -> Any:
    """The body of the first extension of a type: (at, end); (-1, -1) where there is none."""
    while at + 4 <= stop:
        end = at + 4 + be16(buf, at + 2)
        if end > stop:
            break
        if be16(buf, at) == wanted:
            return at + 4, end
        at = end
    return i64(-1), i64(-1)


@kernel
def inside_of(buf: Any, at: Any, end: Any, width: Any) -> Any:
    """The inside of a list with its size in front: (at, end), no further than it is there."""
    if at < 0 or at + width > end:
        return i64(0), i64(0)
    size = be16(buf, at) if width == 2 else i64(buf[at])
    return at + width, min(at + width + size, end)


@kernel
def _put_version(texts: Any, to: Any, version: Any) -> Any:
    """JA4's two letters for a version."""
    first, second = 48, 48  # 00
    if 0x0301 <= version <= 0x0304:
        first, second = 49, 48 + version - 0x0301
    elif version == 0x0300:
        first, second = 115, 51
    elif version == 0x0002:
        first, second = 115, 50
    elif 0xFEFC <= version <= 0xFEFF and version != 0xFEFE:
        first, second = 100, (49 if version == 0xFEFF else 48 + 0xFEFF - version)
    texts[to] = first
    texts[to + 1] = second
    return to + 2


@kernel
def _plain(value: Any) -> Any:
    """Whether a byte is an ASCII letter or digit."""
    return 48 <= value <= 57 or 65 <= value <= 90 or 97 <= value <= 122


@kernel
def _hex_digit(value: Any) -> Any:
    return value + (48 if value < 10 else 87)


@kernel
def _put_alpn(buf: Any, at: Any, end: Any, texts: Any, to: Any) -> Any:
    """JA4's two letters for the first protocol offered: its first and last, or those of its bytes in hexadecimal."""
    inside, stop = inside_of(buf, at, end, 2)
    first, last = i64(48), i64(48)
    while inside < stop:
        size = i64(buf[inside])
        if inside + 1 + size > stop or size == 0:
            break
        if size == 2 and grease(be16(buf, inside + 1)):
            inside += 3
            continue
        first, last = i64(buf[inside + 1]), i64(buf[inside + size])
        if not _plain(first) or not _plain(last):
            first, last = _hex_digit(first >> 4), _hex_digit(last & 15)
        break
    texts[to] = first
    texts[to + 1] = last
    return to + 2


@kernel
def put_ja3(buf: Any, half: Any, ciphers: Any, ciphers_end: Any, at: Any, end: Any, texts: Any, to: Any, work: Any) -> Any:
    """JA3's text: version, ciphers, extensions, groups, point formats."""
    to = put_byte(texts, put_decimal(texts, to, i64(half.legacy)), 44)
    to = put_byte(texts, put_dashed(texts, to, work, list_numbers(buf, ciphers, ciphers_end, work)), 44)
    to = put_byte(texts, put_dashed(texts, to, work, list_kinds(buf, at, end, work)), 44)
    found, stop = find(buf, at, end, 10)
    inside, stop = inside_of(buf, found, stop, 2)
    to = put_byte(texts, put_dashed(texts, to, work, list_numbers(buf, inside, stop, work)), 44)
    found, stop = find(buf, at, end, 11)
    inside, stop = inside_of(buf, found, stop, 1)
    for place in range(inside, stop):
        if place > inside:
            to = put_byte(texts, to, 45)
        to = put_decimal(texts, to, i64(buf[place]))
    return to


@kernel
def put_ja4(buf: Any, half: Any, ciphers: Any, ciphers_end: Any, at: Any, end: Any, texts: Any, to: Any, work: Any) -> Any:
    """JA4's three parts before they are hashed, without the letter of the transport: joined by underscores."""
    to = _put_version(texts, to, i64(half.version))
    to = put_byte(texts, to, 100 if half.flags & NAMED else 105)
    count = list_numbers(buf, ciphers, ciphers_end, work)
    kinds_at = put_two(texts, to, count)
    found, stop = find(buf, at, end, 16)
    to = put_byte(texts, _put_alpn(buf, found, stop, texts, kinds_at + 2), 95)
    sort_first(work, count)
    to = put_byte(texts, put_listed(texts, to, work, count), 95)
    count = list_kinds(buf, at, end, work)
    put_two(texts, kinds_at, count)
    kept = 0
    for place in range(count):
        if work[place] != 0 and work[place] != 16:
            work[kept] = work[place]
            kept += 1
    sort_first(work, kept)
    to = put_listed(texts, to, work, kept)
    found, stop = find(buf, at, end, 13)
    inside, stop = inside_of(buf, found, stop, 2)
    count = list_numbers(buf, inside, stop, work)
    if count:
        to = put_byte(texts, to, 95)
    return put_listed(texts, to, work, count)
