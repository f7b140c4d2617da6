"""DNS messages built by hand, and messages of any kind as the engine hands them to a batch reader."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.records.message import CUT, MESSAGE

SECOND = 1_000_000_000


@dataclass(frozen=True)
class Said:
    """One message of a flow: ts in seconds; `whole` where more was on the wire."""

    n: int
    ts: float
    data: bytes
    side: int = 0
    ports: tuple[int, int] = (40000, 53)
    proto: int = 17
    whole: int = 0


def handed_over(said: Sequence[Said]) -> tuple[NDArray[np.void], NDArray[np.uint8]]:
    """MESSAGE rows and their arena."""
    rows = np.zeros(len(said), MESSAGE)
    at = 0
    for row, one in zip(rows, said, strict=True):
        row["n"], row["ts"], row["at"], row["size"] = one.n, round(one.ts * SECOND), at, len(one.data)
        row["whole"] = max(one.whole, len(one.data))
        row["flags"] = CUT if one.whole > len(one.data) else 0
        row["src_port"], row["dst_port"] = one.ports
        row["side"], row["proto"] = one.side, one.proto
        at += len(one.data)
    return rows, np.frombuffer(b"".join(one.data for one in said) or b"\0", np.uint8)


def name(text: str) -> bytes:
    """Labels of a plain name."""
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".") if label) + b"\0"


def netbios(text: str, suffix: int = 0) -> bytes:
    """The first-level encoding of a NetBIOS name."""
    raw = text.upper().encode().ljust(15)[:15] + bytes([suffix])
    return b"\x20" + bytes(65 + half for byte in raw for half in (byte >> 4, byte & 15)) + b"\0"


def question(text: str | bytes, qtype: int = 1, qclass: int = 1) -> bytes:
    return (text if isinstance(text, bytes) else name(text)) + struct.pack(">HH", qtype, qclass)


def record(rtype: int, data: bytes, owner: bytes = b"\xc0\x0c", ttl: int = 300, rclass: int = 1) -> bytes:
    return owner + struct.pack(">HHIH", rtype, rclass, ttl, len(data)) + data


def address(text: str, ttl: int = 300, owner: bytes = b"\xc0\x0c") -> bytes:
    packed = ipaddress.ip_address(text).packed
    return record(1 if len(packed) == 4 else 28, packed, owner, ttl)


def message(
    ident: int,
    flags: int,
    questions: Iterable[bytes] = (),
    answers: Iterable[bytes] = (),
    authority: Iterable[bytes] = (),
    additional: Iterable[bytes] = (),
) -> bytes:
    sections = [list(section) for section in (questions, answers, authority, additional)]
    return struct.pack(">HHHHHH", ident, flags, *map(len, sections)) + b"".join(b"".join(section) for section in sections)


def query(text: str | bytes, qtype: int = 1, ident: int = 7, flags: int = 0x0100) -> bytes:
    return message(ident, flags, [question(text, qtype)])


def answer(text: str | bytes, records: Iterable[bytes] = (), qtype: int = 1, ident: int = 7, flags: int = 0x8180) -> bytes:
    return message(ident, flags, [question(text, qtype)], records)


def framed(data: bytes) -> bytes:
    """As over TCP."""
    return struct.pack(">H", len(data)) + data
