"""TLS messages built byte by byte (RFC 8446, 5246, 6066, 7301), and the MESSAGE rows that a flow table makes of them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from workbench.records.message import MESSAGE

X25519, P256 = 29, 23


def vec(data: bytes, width: int) -> bytes:
    """A vector: its size in `width` bytes, then itself."""
    return len(data).to_bytes(width, "big") + data


def numbers(*values: int) -> bytes:
    return b"".join(v.to_bytes(2, "big") for v in values)


def extension(kind: int, body: bytes = b"") -> bytes:
    return numbers(kind) + vec(body, 2)


def sni(name: bytes) -> bytes:
    return extension(0, vec(b"\0" + vec(name, 2), 2))


def alpn(*names: bytes) -> bytes:
    return extension(16, vec(b"".join(vec(n, 1) for n in names), 2))


def groups(*values: int) -> bytes:
    return extension(10, vec(numbers(*values), 2))


def formats(*values: int) -> bytes:
    return extension(11, vec(bytes(values), 1))


def signatures(*values: int) -> bytes:
    return extension(13, vec(numbers(*values), 2))


def versions(*values: int) -> bytes:
    return extension(43, vec(numbers(*values), 1))


def handshake(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + vec(body, 3)


def record(kind: int, body: bytes, version: int = 0x0303) -> bytes:
    return bytes([kind]) + numbers(version) + vec(body, 2)


def client_hello(
    *extensions: bytes, ciphers: tuple[int, ...] = (0x1301, 0xC02F), version: int = 0x0303, session: bytes = b""
) -> bytes:
    """A ClientHello as a handshake message."""
    body = numbers(version) + bytes(range(32)) + vec(session, 1) + vec(numbers(*ciphers), 2) + b"\x01\0"
    return handshake(1, body + vec(b"".join(extensions), 2))


RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


def server_hello(
    *extensions: bytes, cipher: int = 0x1301, version: int = 0x0303, session: bytes = b"", random: bytes = bytes(32)
) -> bytes:
    """A ServerHello as a handshake message; without extensions there is no list of them."""
    body = numbers(version) + random + vec(session, 1) + numbers(cipher) + b"\0"
    return handshake(2, body + (vec(b"".join(extensions), 2) if extensions else b""))


def certificates(*ders: bytes) -> bytes:
    """A Certificate message up to TLS 1.2."""
    return handshake(11, vec(b"".join(vec(d, 3) for d in ders), 3))


CHANGE = record(20, b"\x01")
DATA = record(23, bytes(32))
DONE = handshake(14, b"")


def alert(number: int, level: int = 2) -> bytes:
    return record(21, bytes([level, number]))


def messages(*said: tuple[int, int, bytes], ts: int = 1, port: int = 443, flags: int = 0) -> tuple[NDArray, NDArray]:  # type: ignore[type-arg]
    """MESSAGE rows and the arena: (flow, side, bytes) each; ts in seconds."""
    rows = np.zeros(len(said), MESSAGE)
    arena = b""
    for row, (n, side, data) in zip(rows, said, strict=True):
        row["n"], row["side"], row["at"], row["size"], row["whole"] = n, side, len(arena), len(data), len(data)
        row["ts"], row["dst_port"], row["src_port"], row["proto"], row["flags"] = ts * 10**9, port, 40000, 6, flags
        arena += data
    return rows, np.frombuffer(arena or b"\0", np.uint8)


def listed(table: dict[str, object]) -> list[dict[str, object]]:
    """A reader's columns as rows, without what is null."""
    columns = {name: _plain(column) for name, column in table.items()}
    count = len(columns["n"])
    return [{name: values[i] for name, values in columns.items() if values[i] is not None} for i in range(count)]


def _plain(column: object) -> list[object]:
    if isinstance(column, np.ndarray):
        return list(column.tolist())
    return column.to_pylist()  # type: ignore[attr-defined, no-any-return]


def flows(numbers_of: Iterable[int]) -> NDArray[np.int64]:
    return np.array(sorted(numbers_of), np.int64)
