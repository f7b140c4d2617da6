"""QUIC's versions and what protects Initial packets (RFC 9001, 5.2; RFC 9369, 3.3; the drafts from 23 on).

It is made of numbers that stand in the packet and in the specification: anybody may read it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

V1: Final = 0x00000001
V2: Final = 0x6B3343CF
_DRAFT: Final = 0xFF000000
_MVFST: Final = 0xFACEB002  # what Meta calls its draft 27

_SALT_23: Final = bytes.fromhex("c3eef712c72ebb5a11a7d2432bb46365bef9f502")
_SALT_29: Final = bytes.fromhex("afbfec289993d24c9e9786f19c6111e04390a899")
_SALT_1: Final = bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a")
_SALT_2: Final = bytes.fromhex("0dede3def700a6db819381be6e269dcbf9bd2ed9")

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


#: First and last version, and the salt of their initial secrets (RFC 9001, 5.2).
_SALTED: Final = (
    (V1, V1, _SALT_1),
    (V2, V2, _SALT_2),
    (_DRAFT + 33, _DRAFT + 34, _SALT_1),
    (_DRAFT + 29, _DRAFT + 32, _SALT_29),
    (_DRAFT + 23, _DRAFT + 28, _SALT_23),
    (_MVFST, _MVFST, _SALT_23),
)


def salt(version: int) -> bytes | None:
    """The salt of a version's initial secret; None where it is not known."""
    return next((salted for first, last, salted in _SALTED if first <= version <= last), None)


def salts() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The same for kernels: salts, 20 bytes each; rows of first version, last version, row of their salt."""
    rows = np.array([list(salted) for _, _, salted in _SALTED], np.uint8)
    return rows, np.array([(first, last, row) for row, (first, last, _) in enumerate(_SALTED)], np.int64)


def info(new: bool) -> list[list[int]]:
    """What HKDF is asked for (RFC 8446, 7.1; RFC 9001, 5.1): the client's secret, key, IV, header protection key.

    new: version 2's labels (RFC 9369, 3.3.2). 32 numbers each: the size, then so many bytes, with the counter of the only block.
    """
    label = b"quicv2 " if new else b"quic "
    rows = []
    for name, size in ((b"client in", 32), (label + b"key", 16), (label + b"iv", 12), (label + b"hp", 16)):
        said = size.to_bytes(2, "big") + bytes([6 + len(name)]) + b"tls13 " + name + b"\0\1"
        rows.append([len(said), *said.ljust(31, b"\0")])
    return rows


def offered(listed: bytes) -> list[int]:
    """Versions that a version negotiation packet lists behind its ids, at most sixteen."""
    return [int.from_bytes(listed[i : i + 4], "big") for i in range(0, min(len(listed), 64) - 3, 4)]
