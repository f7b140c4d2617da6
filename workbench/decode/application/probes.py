"""Tests that a signature may ask for beyond comparing bytes. Each gets a range of bytes and says NO, YES or MORE."""

from __future__ import annotations

from typing import Any, Final

from workbench.decode.bits import be16, be32, i64, kernel

NO: Final = 0
YES: Final = 1
MORE: Final = 2

_DNS, _DNS_TCP, _BER, _RECORD, _TEXT, _QUIC, _TLS, _SSH, _HTTP, _NTP, _DTLS = range(1, 12)


@kernel
def _dns(buf: Any, at: Any, end: Any) -> Any:
    """A header whose counts the bytes could hold, and a first name that is one (RFC 1035, 4.1; RFC 2136 counts alike)."""
    if end - at < 12:
        return NO
    flags = be16(buf, at + 2)
    opcode = (flags >> 11) & 15
    if opcode > 6 or opcode == 3 or (flags & 0x0040) != 0:
        return NO
    questions = be16(buf, at + 4)
    records = be16(buf, at + 6) + be16(buf, at + 8) + be16(buf, at + 10)
    if questions > 32 or questions * 5 + records * 11 > end - at - 12 + 64:
        return NO
    if questions + records == 0:
        return YES if end - at == 12 and (flags & 0x8000) != 0 else NO
    if (flags & 0x8000) == 0 and questions == 0 and opcode == 0:
        return NO
    place = at + 12
    while place < end:
        length = i64(buf[place])
        if length == 0:
            return YES if place + 5 <= end else NO
        if length >= 0xC0:
            return YES if place + 6 <= end else NO
        if length > 63 or place - at > 270:
            return NO
        place += length + 1
    return NO


@kernel
def _dns_stream(buf: Any, at: Any, end: Any) -> Any:
    if end - at < 14:
        return MORE
    length = be16(buf, at)
    if length < 12:
        return NO
    return _dns(buf, at + 2, min(end, at + 2 + length))


@kernel
def _ber(buf: Any, at: Any, end: Any) -> Any:
    """A definite length, of at most four bytes, that is believable."""
    if end - at < 2:
        return MORE
    length = i64(buf[at + 1])
    if length < 0x80:
        return YES if length > 0 else NO
    more = length & 0x7F
    if more == 0 or more > 4:
        return NO
    if end - at < 2 + more:
        return MORE
    length = 0
    for i in range(more):
        length = (length << 8) | i64(buf[at + 2 + i])
    return YES if 0 < length <= 65536 * 16 else NO


@kernel
def _record(buf: Any, at: Any, end: Any) -> Any:
    if end - at < 6:
        return MORE
    length = be32(buf, at)
    if length < 4 or length > 1 << 20:
        return NO
    return _ber(buf, at + 4, end)


@kernel
def _text(buf: Any, at: Any, end: Any) -> Any:
    """Printable up to the line's end: bytes above 126 are allowed, which names may hold."""
    for place in range(at, min(end, at + 512)):
        byte = i64(buf[place])
        if byte == 10:
            return YES
        if byte < 32 and byte != 13 and byte != 9:
            return NO
    return YES


@kernel
def _quic(buf: Any, at: Any, end: Any) -> Any:
    """A long header with the fixed bit, a version of QUIC, and connection ids of at most 20 bytes (RFC 9000, 17.2)."""
    if end - at < 16:
        return NO
    version = be32(buf, at + 1)
    first = i64(buf[at])
    if (first & 0x80) == 0:
        return NO
    ids = i64(buf[at + 5])
    if version == 0:  # version negotiation
        if ids > 20 or at + 7 + ids > end:
            return NO
        other = i64(buf[at + 6 + ids])
        rest = end - (at + 7 + ids + other)
        return YES if other <= 20 and rest > 0 and rest % 4 == 0 else NO
    known = version == 1 or version == 0x6B3343CF or (version >> 8) == 0xFF0000 or (version >> 8) == 0xFACEB0
    if not known or (first & 0x40) == 0 or ids > 20:
        return NO
    if at + 6 + ids >= end:
        return NO
    return YES if i64(buf[at + 6 + ids]) <= 20 else NO


@kernel
def _tls(buf: Any, at: Any, end: Any) -> Any:
    """A handshake record that begins with a hello of either side."""
    if end - at < 6:
        return MORE
    if i64(buf[at]) != 0x16 or i64(buf[at + 1]) != 3 or i64(buf[at + 2]) > 4:
        return NO
    length = be16(buf, at + 3)
    if length < 4 or length > 16384 + 2048:
        return NO
    kind = i64(buf[at + 5])
    return YES if kind == 1 or kind == 2 else NO


@kernel
def _dtls(buf: Any, at: Any, end: Any) -> Any:
    """A handshake record of DTLS 1.0 or 1.2 that fits its datagram (RFC 6347, 4.1)."""
    if end - at < 25:
        return NO
    if i64(buf[at]) != 0x16 or i64(buf[at + 1]) != 0xFE or i64(buf[at + 2]) not in (0xFF, 0xFD):
        return NO
    if at + 13 + be16(buf, at + 11) > end:
        return NO
    kind = i64(buf[at + 13])
    return YES if kind == 1 or kind == 2 or kind == 3 else NO


@kernel
def _http(buf: Any, at: Any, end: Any) -> Any:
    """An upper-case method, a space, and a target that begins as one (RFC 9112, 3)."""
    place = at
    while place < end and place - at < 20:
        byte = i64(buf[place])
        if byte == 32:
            break
        if not (65 <= byte <= 90 or byte == 45 or byte == 95):
            return NO
        place += 1
    if place >= end:
        return MORE
    if place - at < 3 or place - at >= 20:
        return NO
    if place + 1 >= end:
        return MORE
    line = place + 1
    while line < end and line - at < 8192:
        byte = i64(buf[line])
        if byte == 10:
            back = line - 1 if i64(buf[line - 1]) == 13 else line
            if back - place < 10:
                return NO
            return YES if i64(buf[back - 8]) == 72 and i64(buf[back - 4]) == 47 and i64(buf[back - 2]) == 46 else NO
        if byte < 32 and byte != 13 and byte != 9:
            return NO
        line += 1
    return MORE if line - at < 8192 else NO


@kernel
def _ntp(buf: Any, at: Any, end: Any) -> Any:
    """Versions 1 to 4 with a mode, at a length that such a message has (RFC 5905, 7.3; control and private: RFC 9327)."""
    size = end - at
    first = i64(buf[at])
    version = (first >> 3) & 7
    mode = first & 7
    if version < 1 or version > 4 or mode == 0:
        return NO
    if mode == 6:
        return YES if size >= 12 else NO
    if mode == 7:
        return YES if size >= 8 else NO
    return YES if size >= 48 and i64(buf[at + 1]) <= 16 else NO


@kernel
def probe(kind: Any, buf: Any, at: Any, end: Any) -> Any:
    """What a test says of buf[at:end]. end > at."""
    if kind == _DNS:
        return _dns(buf, at, end)
    if kind == _DNS_TCP:
        return _dns_stream(buf, at, end)
    if kind == _BER:
        return _ber(buf, at, end)
    if kind == _RECORD:
        return _record(buf, at, end)
    if kind in (_TEXT, _SSH):
        return _text(buf, at, end)
    if kind == _QUIC:
        return _quic(buf, at, end)
    if kind == _TLS:
        return _tls(buf, at, end)
    if kind == _HTTP:
        return _http(buf, at, end)
    if kind == _NTP:
        return _ntp(buf, at, end)
    if kind == _DTLS:
        return _dtls(buf, at, end)
    return YES
