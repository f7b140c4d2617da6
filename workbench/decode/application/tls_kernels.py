"""TLS hellos, certificates and alerts out of the handshake's clear bytes, many messages at a time (RFC 8446, 5246, 6066, 7301).

The records of a message are joined into one run of handshake bytes (`joined`), which is then walked once. What a table needs
as text stays where it is, by place and size; fingerprint texts are written beside. Every text gets a keyed hash, by which the
reader knows those that it has seen: most hellos are.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import from_dtype, types

from workbench.decode.application.tls_print_kernels import NAMED, find, inside_of, list_kinds, put_ja3, put_ja4
from workbench.decode.application.tls_texts import grease, keyed, put_byte, put_dashed, put_decimal
from workbench.decode.bits import be16, be64, exported, i64, kernel
from workbench.records.message import MESSAGE

#: HALF.role
CLIENT: Final = 1
SERVER: Final = 2
OTHER: Final = 3  # no hello: an alert or a certificate without one

#: HALF.flags, ORed; NAMED is 2
WHOLE: Final = 1  # the hello is there to its end
HIDDEN: Final = 4  # encrypted_client_hello extension
RESUMES: Final = 8  # pre_shared_key extension
RETRY: Final = 16  # the ServerHello is a HelloRetryRequest
DONE: Final = 32  # ServerHelloDone
SECRET: Final = 64  # encrypted records follow
OLD: Final = 128  # in the form of SSL 2
BAD: Final = 256  # lengths contradict each other

#: What one message says: one half of a handshake. Numbers are -1 where nothing was said.
HALF: Final = np.dtype(
    [
        ("n", np.int64),
        ("ts", np.int64),  # us
        ("place", np.int64),  # the message among those of this call; -1 of an earlier one
        ("role", np.int32),
        ("flags", np.int32),
        ("legacy", np.int32),  # version field of the hello
        ("version", np.int32),  # highest offered, or chosen
        ("cipher", np.int32),  # chosen
        ("group", np.int32),  # chosen
        ("alert", np.int32),
        ("certs", np.int32),  # certificates
        ("port", np.int32),  # the responder's
        ("sni", np.int32),  # once known: numbers of texts; -1
        ("alpn", np.int32),
        ("print", np.int32),
        ("cert", np.int32),
        ("sni_size", np.int32),
        ("alpn_size", np.int32),
        ("print_size", np.int32),  # JA3's text, or JA3S's
        ("more_size", np.int32),  # JA4's behind it
        ("cert_size", np.int32),  # of it, what is there
        ("cert_whole", np.int32),
        ("within", np.int32),  # code of the protocol that it began with; 0
        ("sni_at", np.int64),  # in `joined`
        ("alpn_at", np.int64),
        ("cert_at", np.int64),
        ("print_at", np.int64),  # in `texts`
        ("sni_key", np.uint64),
        ("alpn_key", np.uint64),
        ("print_key", np.uint64),
        ("cert_key", np.uint64),
    ],
    align=True,
)

#: Room in `texts` a message: so many bytes, and so many more for each of its own.
ROOM: Final = 256
ROOM_PER_BYTE: Final = 6
#: Numbers that `work` must hold: half as many as a message has bytes.
MOST_MESSAGE: Final = 16_384

_ENCRYPTED: Final = 4  # MESSAGE.flags: encrypted records follow
_CHANGE_CIPHER, _ALERT, _HANDSHAKE, _DATA = 20, 21, 22, 23
_RANDOM: Final = 34  # bytes of a hello up to its session id
_RETRY_1, _RETRY_2 = np.uint64(0xCF21AD74E59A6111), np.uint64(0xBE1D8C021E65B891)

_BYTES: Final = types.Array(types.uint8, 1, "C", readonly=True)
_OUT: Final = types.Array(types.uint8, 1, "C")
_ROWS: Final = types.Array(from_dtype(MESSAGE), 1, "C", readonly=True)
_HALVES: Final = types.Array(from_dtype(HALF), 1, "C")
_KEYS: Final = types.Array(types.uint64, 1, "C")
_WORK: Final = types.Array(types.int32, 1, "C")


@kernel
def _blank(half: Any) -> None:
    half.role = 0
    half.flags = 0
    half.legacy = half.version = half.cipher = half.group = half.alert = -1
    half.sni = half.alpn = half.print = half.cert = -1
    half.certs = 0
    half.sni_size = half.alpn_size = half.print_size = half.more_size = half.cert_size = half.cert_whole = 0
    half.sni_at = half.alpn_at = half.cert_at = half.print_at = 0
    half.sni_key = half.alpn_key = half.print_key = half.cert_key = np.uint64(0)


@kernel
def _join(arena: Any, at: Any, stop: Any, joined: Any, to: Any, half: Any) -> Any:
    """Copy what the handshake records from `at` on hold; returns where the copy ends. Stops at the first encrypted record."""
    while at + 5 <= stop:
        kind = i64(arena[at])
        end = min(at + 5 + be16(arena, at + 3), stop)
        if kind in (_CHANGE_CIPHER, _DATA):
            half.flags |= SECRET
            break
        if arena[at + 1] != 3:
            half.flags |= BAD
            break
        if kind == _ALERT and half.alert < 0 and end - at == 7:
            half.alert = i64(arena[at + 6])
        if kind == _HANDSHAKE:
            size = end - at - 5
            joined[to : to + size] = arena[at + 5 : end]
            to += size
        at = end
    return to


@kernel
def _server_name(buf: Any, at: Any, end: Any, half: Any) -> None:
    """The host name of a server_name extension (RFC 6066, 3)."""
    inside, stop = inside_of(buf, at, end, 2)
    while inside + 3 <= stop:
        size = be16(buf, inside + 1)
        if inside + 3 + size > stop:
            half.flags |= BAD
            return
        if buf[inside] == 0:
            half.sni_at = inside + 3
            half.sni_size = size
            return
        inside += 3 + size


@kernel
def _highest(buf: Any, at: Any, end: Any, legacy: Any) -> Any:
    """The highest version of supported_versions (RFC 8446, 4.2.1), else the hello's own."""
    inside, stop = inside_of(buf, at, end, 1)
    best = i64(-1)
    while inside + 2 <= stop:
        value = be16(buf, inside)
        if not grease(value) and value > best:
            best = value
        inside += 2
    return best if best >= 0 else legacy


@kernel
def _client_extensions(buf: Any, at: Any, end: Any, half: Any) -> None:
    """What the table has of a client's extensions."""
    found, stop = find(buf, at, end, 0)
    if found >= 0:
        half.flags |= NAMED
        _server_name(buf, found, stop, half)
    found, stop = find(buf, at, end, 16)
    inside, stop = inside_of(buf, found, stop, 2)
    half.alpn_at = inside
    half.alpn_size = max(stop - inside, 0)
    found, stop = find(buf, at, end, 43)
    half.version = _highest(buf, found, stop, i64(half.legacy))
    if find(buf, at, end, 0xFE0D)[0] >= 0:
        half.flags |= HIDDEN


@kernel
def _well_formed(buf: Any, at: Any, end: Any) -> Any:
    """Whether extensions fill their list exactly."""
    while at + 4 <= end:
        at += 4 + be16(buf, at + 2)
    return at == end


@kernel
def _client_hello(buf: Any, at: Any, end: Any, whole: Any, half: Any, texts: Any, to: Any, work: Any) -> Any:
    """A ClientHello's body; whole: its end is there. Returns how far `texts` was written."""
    half.role = CLIENT
    if at + _RANDOM + 1 > end:
        return to
    half.legacy = half.version = be16(buf, at)
    ciphers = at + _RANDOM + 1 + i64(buf[at + _RANDOM])
    if ciphers + 2 > end:
        half.flags |= BAD if whole else 0
        return to
    ciphers_end = ciphers + 2 + be16(buf, ciphers)
    ciphers += 2
    if ciphers_end + 1 > end:
        half.flags |= BAD if whole else 0
        return to
    at = ciphers_end + 1 + i64(buf[ciphers_end])
    stop = at
    if at + 2 <= end:
        stop = at + 2 + be16(buf, at)
        at += 2
    if whole and (stop > end or not _well_formed(buf, at, stop)):
        half.flags |= BAD
        whole = False
    _client_extensions(buf, at, min(stop, end), half)
    if not whole:
        return to
    half.flags |= WHOLE
    half.print_at = to
    more = put_ja3(buf, half, ciphers, ciphers_end, at, stop, texts, to, work)
    last = put_ja4(buf, half, ciphers, ciphers_end, at, stop, texts, more, work)
    half.print_size = more - to
    half.more_size = last - more
    return last


@kernel
def _server_extensions(buf: Any, at: Any, end: Any, half: Any) -> None:
    """What the table has of a server's extensions: version, group, protocol, resumption."""
    found, stop = find(buf, at, end, 43)
    if found >= 0 and found + 2 <= stop:
        half.version = be16(buf, found)
    found, stop = find(buf, at, end, 51)
    if found < 0:
        found, stop = find(buf, at, end, 40)  # where key_share stood up to draft 22
    if found >= 0 and found + 2 <= stop:
        half.group = be16(buf, found)
    if find(buf, at, end, 41)[0] >= 0:
        half.flags |= RESUMES
    found, stop = find(buf, at, end, 16)
    inside, stop = inside_of(buf, found, stop, 2)
    half.alpn_at = inside
    half.alpn_size = max(stop - inside, 0)


@kernel
def _server_hello(buf: Any, at: Any, end: Any, whole: Any, half: Any, texts: Any, to: Any, work: Any) -> Any:
    """A ServerHello's body, or a HelloRetryRequest's; returns how far `texts` was written."""
    half.role = SERVER
    if at + _RANDOM + 1 > end:
        return to
    half.legacy = half.version = be16(buf, at)
    half.flags &= ~(RETRY | RESUMES)
    if be64(buf, at + 2) == _RETRY_1 and be64(buf, at + 10) == _RETRY_2:
        half.flags |= RETRY
    draft = (half.legacy >> 8) == 0x7F and (half.legacy & 0xFF) < 22  # no session id and no compression
    at += _RANDOM + (0 if draft else 1 + i64(buf[at + _RANDOM]))
    if at + 2 > end:
        half.flags |= BAD if whole else 0
        return to
    half.cipher = be16(buf, at)
    at += 2 if draft else 3
    stop = at
    if at + 2 <= end:
        stop = at + 2 + be16(buf, at)
        at += 2
    if whole and (stop > end or not _well_formed(buf, at, stop)):
        half.flags |= BAD
        whole = False
    _server_extensions(buf, at, min(stop, end), half)
    if not whole:
        return to
    half.flags |= WHOLE
    half.print_at = to
    last = put_byte(texts, put_decimal(texts, to, i64(half.legacy)), 44)
    last = put_byte(texts, put_decimal(texts, last, i64(half.cipher)), 44)
    last = put_dashed(texts, last, work, list_kinds(buf, at, stop, work))
    half.print_size = last - to
    return last


@kernel
def _certificates(buf: Any, at: Any, end: Any, half: Any) -> None:
    """A Certificate message up to TLS 1.2: the first one's place, and how many (RFC 5246, 7.4.2)."""
    if at + 3 > end:
        return
    stop = min(at + 3 + ((i64(buf[at]) << 16) | be16(buf, at + 1)), end)
    at += 3
    while at + 3 <= stop:
        size = (i64(buf[at]) << 16) | be16(buf, at + 1)
        at += 3
        if half.certs == 0:
            half.cert_at = at
            half.cert_whole = size
            half.cert_size = min(size, stop - at)
        half.certs += 1
        at += size


@kernel
def _walk(buf: Any, at: Any, stop: Any, half: Any, texts: Any, to: Any, work: Any) -> Any:
    """The handshake messages of one direction; returns how far `texts` was written."""
    while at + 4 <= stop:
        kind = i64(buf[at])
        end = at + 4 + ((i64(buf[at + 1]) << 16) | be16(buf, at + 2))
        whole = end <= stop
        inner = min(end, stop)
        if kind == 1 and half.role == 0:
            to = _client_hello(buf, at + 4, inner, whole, half, texts, to, work)
        elif kind == 2 and half.role != CLIENT:
            to = _server_hello(buf, at + 4, inner, whole, half, texts, to, work)
        elif kind == 11 and half.certs == 0:
            _certificates(buf, at + 4, inner, half)
        elif kind == 12 and half.group < 0 and at + 7 <= inner and buf[at + 4] == 3:
            half.group = be16(buf, at + 5)  # a named curve (RFC 8422, 5.4)
        elif kind == 14:
            half.flags |= DONE
        at = end
    return to


@kernel
def _old_hello(buf: Any, at: Any, end: Any, half: Any) -> None:
    """A ClientHello in the form of SSL 2, whatever version it offers (RFC 5246, E.2)."""
    if at + 11 > end or buf[at + 2] != 1:
        return
    ciphers, session, challenge = be16(buf, at + 5), be16(buf, at + 7), be16(buf, at + 9)
    if ciphers % 3 or ciphers == 0 or 9 + ciphers + session + challenge != (be16(buf, at) & 0x7FFF):
        return
    half.role = CLIENT
    half.flags |= OLD
    half.legacy = half.version = be16(buf, at + 3)


@kernel
def _key_texts(joined: Any, texts: Any, half: Any, key: Any) -> None:
    """Keys of the texts that are there."""
    if half.sni_size:
        half.sni_key = keyed(joined, half.sni_at, i64(half.sni_size), key)
    if half.alpn_size:
        half.alpn_key = keyed(joined, half.alpn_at, i64(half.alpn_size), key)
    if half.print_size:
        half.print_key = keyed(texts, half.print_at, i64(half.print_size) + i64(half.more_size), key)
    if half.cert_size:
        half.cert_key = keyed(joined, half.cert_at, i64(half.cert_size), key)


@exported((_ROWS, _BYTES, types.boolean, _KEYS, _OUT, _OUT, _WORK, _HALVES))
def read_halves(rows: Any, arena: Any, records: bool, key: Any, joined: Any, texts: Any, work: Any, halves: Any) -> int:
    """What each message says. Returns how many hold contradicting lengths.

    records: TLS records; else bare handshake messages (QUIC). joined: as many bytes as all messages; texts: ROOM for each and
    ROOM_PER_BYTE for each byte; work: numbers for the longest message. Rows whose bytes aren't in the arena are blank.
    """
    bad = 0
    to = i64(0)
    written = i64(0)
    for place in range(rows.size):
        row = rows[place]
        half = halves[place]
        _blank(half)
        half.n = row.n
        half.ts = row.ts // 1000
        half.place = place
        half.port = i64(row.dst_port)
        half.within = i64(row.within)
        at = i64(row.at)
        stop = at + i64(row.size)
        if at < 0 or stop > arena.size or to + i64(row.size) > joined.size or 2 * work.size < i64(row.size):
            continue
        if written + ROOM + ROOM_PER_BYTE * i64(row.size) > texts.size:
            continue
        start = to
        if row.flags & _ENCRYPTED:
            half.flags |= SECRET
        if not records:
            joined[to : to + i64(row.size)] = arena[at:stop]
            to += i64(row.size)
        elif stop - at > 2 and (i64(arena[at]) & 0x80):
            _old_hello(arena, at, stop, half)
            to = _join(arena, at + 2 + (be16(arena, at) & 0x7FFF), stop, joined, to, half)
        else:
            to = _join(arena, at, stop, joined, to, half)
        written = _walk(joined, start, to, half, texts, written, work)
        if half.role == 0 and (half.alert >= 0 or half.certs):
            half.role = OTHER
        _key_texts(joined, texts, half, key)
        bad += 1 if half.flags & BAD else 0
    return bad
