"""DHCP messages built by hand."""

from __future__ import annotations

import ipaddress
import struct

COOKIE = b"\x63\x82\x53\x63"
MAC = bytes.fromhex("02005e001234")


def ip(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


def option4(code: int, data: bytes) -> bytes:
    return bytes([code, len(data)]) + data


def option6(code: int, data: bytes) -> bytes:
    return struct.pack(">HH", code, len(data)) + data


def bootp(
    options: bytes = b"",
    op: int = 1,
    client: str = "0.0.0.0",
    yours: str = "0.0.0.0",
    relay: str = "0.0.0.0",
    sname: bytes = b"",
    file: bytes = b"",
    cookie: bytes = COOKIE,
) -> bytes:
    head = struct.pack(">BBBBIHH", op, 1, 6, 0, 0xDEADBEEF, 0, 0) + ip(client) + ip(yours) + ip("192.0.2.66") + ip(relay)
    return head + MAC.ljust(16, b"\0") + sname.ljust(64, b"\0") + file.ljust(128, b"\0") + cookie + options


def version6(kind: int, *options: bytes) -> bytes:
    return bytes([kind]) + b"\x12\x34\x56" + b"".join(options)


def relayed(kind: int, link: str, *options: bytes) -> bytes:
    return bytes([kind, 0]) + ip(link) + ip("fe80::1") + b"".join(options)


def lease6(address: str, valid: int, code: int = 3) -> bytes:
    inner = option6(5, ip(address) + struct.pack(">II", valid // 2, valid))
    return option6(code, bytes({3: 12, 4: 4}[code]) + inner)


def prefix6(prefix: str, length: int, valid: int) -> bytes:
    return option6(25, bytes(12) + option6(26, struct.pack(">IIB", valid // 2, valid, length) + ip(prefix)))
