"""QUIC's Initial packets: headers, their protection taken off, frames (RFC 9000, 9001, 9369 and the drafts from 23 on).

What protects an Initial packet is made of numbers that stand in it and in the specification: anybody may read it.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from workbench.decode.application.protocol import Malformed

V1: Final = 0x00000001
V2: Final = 0x6B3343CF
_DRAFT: Final = 0xFF000000
_MVFST: Final = 0xFACEB002  # what Meta calls its draft 27

_SALT_23: Final = bytes.fromhex("c3eef712c72ebb5a11a7d2432bb46365bef9f502")
_SALT_29: Final = bytes.fromhex("afbfec289993d24c9e9786f19c6111e04390a899")
_SALT_1: Final = bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a")
_SALT_2: Final = bytes.fromhex("0dede3def700a6db819381be6e269dcbf9bd2ed9")

_MOST_ID: Final = 20
_SAMPLE: Final = 16
_TAG: Final = 16
#: Frames of a packet that are looked at; a run of padding counts as one.
_MOST_FRAMES: Final = 512

INITIAL, ZERO_RTT, HANDSHAKE, RETRY = range(4)


def version_name(version: int) -> str:
    """A version as people call it: 1, 2, draft-29, Q046; else in hexadecimal."""
    if version in (V1, V2):
        return "1" if version == V1 else "2"
    if version & 0xFFFFFF00 == _DRAFT:
        return f"draft-{version & 0xFF}"
    letters = version.to_bytes(4, "big")
    if letters[:1] in (b"Q", b"T") and letters[1:].isdigit():
        return letters.decode("ascii")
    return f"0x{version:08x}"


def salt(version: int) -> bytes | None:
    """The salt of a version's initial secret (RFC 9001, 5.2); None where it is not known."""
    if version == V1 or _DRAFT + 33 <= version <= _DRAFT + 34:
        return _SALT_1
    if version == V2:
        return _SALT_2
    if _DRAFT + 29 <= version <= _DRAFT + 32:
        return _SALT_29
    return _SALT_23 if _DRAFT + 23 <= version <= _DRAFT + 28 or version == _MVFST else None


@dataclass(frozen=True, slots=True)
class Header:
    """A long header. kind: INITIAL...; number_at, end: where the protected part begins and ends in the datagram."""

    version: int
    kind: int
    dcid: bytes
    scid: bytes
    start: int
    number_at: int
    end: int


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """A number of variable length (RFC 9000, 16), and where it ends."""
    if at >= end:
        raise Malformed("a number ends early")
    width = 1 << (data[at] >> 6)
    if at + width > end:
        raise Malformed("a number ends early")
    return int.from_bytes(data[at : at + width], "big") & ((1 << 8 * width - 2) - 1), at + width


def ids(data: bytes, at: int) -> tuple[bytes, bytes, int]:
    """Destination and source connection ids of a long header at `at`, and where they end."""
    found: list[bytes] = []
    at += 5
    for _ in range(2):
        if at >= len(data) or data[at] > _MOST_ID or at + 1 + data[at] > len(data):
            raise Malformed("a connection id that does not fit")
        found.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return found[0], found[1], at


def headers(data: bytes) -> Iterator[Header]:
    """The long headers of a datagram, which may hold several packets (RFC 9000, 12.2)."""
    at = 0
    while at + 7 <= len(data) and data[at] & 0xC0 == 0xC0:
        version = int.from_bytes(data[at + 1 : at + 5], "big")
        if salt(version) is None:
            return
        kind = data[at] >> 4 & 3
        if version == V2:
            kind = (kind - 1) & 3
        dcid, scid, walk = ids(data, at)
        if kind == RETRY:
            yield Header(version, kind, dcid, scid, at, walk, len(data))
            return
        if kind == INITIAL:
            token, walk = varint(data, walk, len(data))
            walk += token
        length, walk = varint(data, walk, len(data))
        if walk + length > len(data):
            raise Malformed("a packet is longer than its datagram")
        yield Header(version, kind, dcid, scid, at, walk, walk + length)
        at = walk + length


def offered(data: bytes) -> list[int]:
    """Versions that a version negotiation packet lists, at most sixteen."""
    _, _, at = ids(data, 0)
    return [int.from_bytes(data[i : i + 4], "big") for i in range(at, min(len(data), at + 64) - 3, 4)]


def _expand(secret: bytes, label: bytes, size: int) -> bytes:
    """HKDF-Expand-Label of at most one block (RFC 8446, 7.1)."""
    name = b"tls13 " + label
    info = size.to_bytes(2, "big") + bytes([len(name)]) + name + b"\0\1"
    return hmac.digest(secret, info, "sha256")[:size]


class Keys:
    """What protects the client's Initial packets to one connection id."""

    def __init__(self, version: int, dcid: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        label = b"quicv2 " if version == V2 else b"quic "
        secret = _expand(hmac.digest(salt(version) or b"", dcid, "sha256"), b"client in", 32)
        self.version = version
        self.dcid = dcid
        self._aead = AESGCM(_expand(secret, label + b"key", 16))
        self._iv = int.from_bytes(_expand(secret, label + b"iv", 12), "big")
        self._mask: Any = Cipher(algorithms.AES(_expand(secret, label + b"hp", 16)), modes.ECB()).encryptor()  # noqa: S305

    def open(self, data: bytes, header: Header) -> bytes | None:
        """The payload of a packet; None where these keys don't open it."""
        from cryptography.exceptions import InvalidTag

        at = header.number_at
        if at + 4 + _SAMPLE > header.end:
            return None
        mask = self._mask.update(data[at + 4 : at + 4 + _SAMPLE])
        first = data[header.start] ^ (mask[0] & 0x0F)
        width = (first & 3) + 1
        number = bytes(a ^ b for a, b in zip(data[at : at + width], mask[1:], strict=False))
        if header.end - at - width < _TAG:
            return None
        plain_header = bytes([first]) + data[header.start + 1 : at] + number
        nonce = (self._iv ^ int.from_bytes(number, "big")).to_bytes(12, "big")
        try:
            return self._aead.decrypt(nonce, data[at + width : header.end], plain_header)
        except InvalidTag:
            return None


def crypto(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """CRYPTO frames of an Initial packet: (offset, bytes). Frames that may not stand there end it (RFC 9000, 17.2.2)."""
    at, end = 0, len(payload)
    for _ in range(_MOST_FRAMES):
        while at < end and payload[at] == 0:
            at += 1
        if at >= end:
            return
        kind = payload[at]
        at += 1
        if kind == 6:
            offset, at = varint(payload, at, end)
            size, at = varint(payload, at, end)
            if at + size > end:
                raise Malformed("a CRYPTO frame is longer than its packet")
            yield offset, payload[at : at + size]
            at += size
        elif kind in (2, 3):
            at = _past_ack(payload, at, end, 3 if kind == 3 else 0)
        elif kind != 1:
            return


def _past_ack(payload: bytes, at: int, end: int, counts: int) -> int:
    """Where an ACK frame ends (RFC 9000, 19.3)."""
    _, at = varint(payload, at, end)
    _, at = varint(payload, at, end)
    ranges, at = varint(payload, at, end)
    for _ in range(min(1 + 2 * ranges + counts, 2 * end)):  # every number has a byte: more would end early anyway
        _, at = varint(payload, at, end)
    return at
