"""Tests that a signature may ask for beyond comparing bytes. Each gets a range of bytes and says NO, YES or MORE."""

from __future__ import annotations

from typing import Any, Final

from workbench.decode.bits import be16, be32, i64, kernel

NO: Final = 0
YES: Final = 1
MORE: Final = 2

_DNS, _DNS_TCP, _BER, _RECORD, _TEXT, _QUIC, _TLS, _SSH, _HTTP, _NTP, _DTLS, _NBNS, _RTCP, _IRC = range(1, 15)


@kernel
def _dns(buf: Any, at: Any, end: Any) -> Any:
    """DNS: no opcode but those in use."""
    if end - at < 12:
        return NO
    opcode = (be16(buf, at + 2) >> 11) & 15
    return NO if opcode > 6 or opcode == 3 else _names(buf, at, end)


@kernel
def _names(buf: Any, at: Any, end: Any) -> Any:
    """A header whose counts the bytes could hold, and a first name that is one (RFC 1035, 4.1; RFC 2136 counts alike)."""
    if end - at < 12:
        return NO
    flags = be16(buf, at + 2)
    opcode = (flags >> 11) & 15
    if (flags & 0x0040) != 0:
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
            if back - place < 9:
                return _old_request(buf, at, place, back)
            if i64(buf[back - 8]) == 72 and i64(buf[back - 4]) == 47 and i64(buf[back - 2]) == 46:
                return YES
            return _old_request(buf, at, place, back)
        if byte < 32 and byte != 13 and byte != 9:
            return NO
        line += 1
    return MORE if line - at < 8192 else NO


@kernel
def _old_request(buf: Any, at: Any, place: Any, back: Any) -> Any:
    """A first line without a whole version: ``GET /path``, as HTTP/0.9 had it, or ``HTTP/1.``: scanners send both.

    place: of the first space.
    """
    if back - place >= 9 and i64(buf[back - 7]) == 72 and i64(buf[back - 3]) == 47 and i64(buf[back - 1]) == 46:
        return YES
    get = place - at == 3 and i64(buf[at]) == 71 and i64(buf[at + 1]) == 69 and i64(buf[at + 2]) == 84
    return YES if get and place + 1 < back and i64(buf[place + 1]) == 47 else NO


@kernel
def _ssh(buf: Any, at: Any, end: Any) -> Any:
    """A version behind ``SSH-``, whatever stands behind it: there are servers that fill their line with NULs."""
    if end - at < 6:
        return MORE
    return YES if 48 <= i64(buf[at + 4]) <= 57 and i64(buf[at + 5]) == 46 else NO


@kernel
def _rtcp(buf: Any, at: Any, end: Any) -> Any:
    """Packets of version 2 and known types whose lengths fill the datagram (RFC 3550, 6.1)."""
    place = at
    while place + 4 <= end:
        if (i64(buf[place]) & 0xC0) != 0x80 or not 200 <= i64(buf[place + 1]) <= 207:
            return NO
        place += 4 * (be16(buf, place + 2) + 1)
    return YES if place == end else NO


@kernel
def _irc(buf: Any, at: Any, end: Any) -> Any:
    """A client's USER with its four parameters, or a server's prefix with NOTICE or a number behind it (RFC 2812)."""
    spaces = 0
    word = end
    for place in range(at, min(end, at + 512)):
        byte = i64(buf[place])
        if byte == 32:
            spaces += 1
            if spaces == 1:
                word = place + 1
        elif byte == 10:
            if i64(buf[at]) != 58:
                return YES if spaces >= 4 else NO
            if word + 4 > place:
                return NO
            notice = i64(buf[word]) == 78 and i64(buf[word + 1]) == 79 and i64(buf[word + 2]) == 84
            number = 48 <= i64(buf[word]) <= 57 and 48 <= i64(buf[word + 1]) <= 57 and 48 <= i64(buf[word + 2]) <= 57
            return YES if notice or (number and i64(buf[word + 3]) == 32) else NO
        elif byte < 32 and byte != 13 and byte > 3:
            return NO
    return MORE if end - at < 512 else NO


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
    if kind == _TEXT:
        return _text(buf, at, end)
    if kind == _SSH:
        return _ssh(buf, at, end)
    if kind == _QUIC:
        return _quic(buf, at, end)
    if kind == _TLS:
        return _tls(buf, at, end)
    if kind == _HTTP:
        return _http(buf, at, end)
    if kind == _NTP:
        return _ntp(buf, at, end)
    if kind == _NBNS:
        return _names(buf, at, end)
    if kind == _RTCP:
        return _rtcp(buf, at, end)
    if kind == _IRC:
        return _irc(buf, at, end)
    if kind == _DTLS:
        return _dtls(buf, at, end)
    return YES
