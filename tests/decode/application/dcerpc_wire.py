"""Writes DCE/RPC PDUs, for tests of what reads them."""

from __future__ import annotations

import struct
from uuid import UUID

SVCCTL = "367abb81-9844-35f1-ad32-98f038001003"
NETLOGON = "12345678-1234-abcd-ef00-01234567cffb"
NDR = "8a885d04-1ceb-11c9-9fe8-08002b104860"
FIRST, LAST, OBJECT = 1, 2, 0x80


def named(uuid: str, order: str = "<") -> bytes:
    return UUID(uuid).bytes_le if order == "<" else UUID(uuid).bytes


def pdu(kind: int, body: bytes, *, call: int = 1, flags: int = FIRST | LAST, order: str = "<", token: bytes = b"",
        auth: tuple[int, int] = (10, 6), pad: int = 0) -> bytes:  # fmt: skip
    """A connection-oriented PDU; token: security token, auth: provider and level, pad: bytes that fill the stub."""
    trailer = b"\0" * pad + struct.pack("BBBBI", *auth, pad, 0, 0) + token if token else b""
    drep = b"\x10\0\0\0" if order == "<" else b"\0\0\0\0"
    size = 16 + len(body) + len(trailer)
    return struct.pack("BBBB", 5, 0, kind, flags) + drep + struct.pack(order + "HHI", size, len(token), call) + body + trailer


def bind(*contexts: tuple[int, str, int], kind: int = 11, order: str = "<", **more: object) -> bytes:
    """contexts: number, interface, major version."""
    body = struct.pack(order + "HHIBBH", 4280, 4280, 0, len(contexts), 0, 0)
    for number, uuid, major in contexts:
        body += struct.pack(order + "HBB", number, 1, 0) + named(uuid, order) + struct.pack(order + "HH", major, 0)
        body += named(NDR, order) + struct.pack(order + "I", 2)
    return pdu(kind, body, order=order, **more)  # type: ignore[arg-type]


def bound(*results: int, kind: int = 12, order: str = "<", address: bytes = b"135\0", **more: object) -> bytes:
    body = struct.pack(order + "HHIH", 4280, 4280, 1, len(address)) + address
    body += b"\0" * (-(len(body) + 16) % 4) + struct.pack("BBBB", len(results), 0, 0, 0)
    for result in results:
        body += struct.pack(order + "HH", result, 0) + named(NDR, order) + struct.pack(order + "I", 2)
    return pdu(kind, body, order=order, **more)  # type: ignore[arg-type]


def request(
    opnum: int, stub: bytes = b"", *, context: int = 0, order: str = "<", flags: int = FIRST | LAST, **more: object
) -> bytes:
    body = struct.pack(order + "IHH", len(stub), context, opnum) + (b"\0" * 16 if flags & OBJECT else b"") + stub
    return pdu(0, body, order=order, flags=flags, **more)  # type: ignore[arg-type]


def response(stub: bytes = b"", *, order: str = "<", **more: object) -> bytes:
    return pdu(2, struct.pack(order + "IHBB", len(stub), 0, 0, 0) + stub, order=order, **more)  # type: ignore[arg-type]


def fault(status: int, *, order: str = "<", **more: object) -> bytes:
    return pdu(3, struct.pack(order + "IHBBII", 0, 0, 0, 0, status, 0), order=order, **more)  # type: ignore[arg-type]


def datagram(
    kind: int, opnum: int, body: bytes, *, sequence: int = 0, fragment: int = 0, order: str = "<", uuid: str = NETLOGON
) -> bytes:
    """A connectionless PDU."""
    drep = b"\x10\0\0" if order == "<" else b"\0\0\0"
    ends = struct.pack(order + "IIIHHHHH", 0, 1, sequence, opnum, 0xFFFF, 0xFFFF, len(body), fragment)
    return struct.pack("BBBB", 4, kind, 0, 0) + drep + b"\0" + b"\0" * 16 + named(uuid, order) + b"a" * 16 + ends + b"\0\0" + body
