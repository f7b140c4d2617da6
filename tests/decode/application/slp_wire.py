"""SLP messages built by hand."""

from __future__ import annotations

import struct

FUNCTION = {
    name: number
    for number, name in enumerate(
        ["SrvRqst", "SrvRply", "SrvReg", "SrvDeReg", "SrvAck", "AttrRqst", "AttrRply", "DAAdvert", "SrvTypeRqst", "SrvTypeRply",
         "SAAdvert"], 1,
    )
}  # fmt: skip


def string(data: bytes, claim: int | None = None) -> bytes:
    return struct.pack(">H", len(data) if claim is None else claim) + data


def entry(url: bytes, claim: int | None = None, blocks: bytes = b"\0") -> bytes:
    return b"\0" + struct.pack(">H", 300) + string(url, claim) + blocks


def version2(function: str, body: bytes, claim: int | None = None, extension: int = 0, language: bytes = b"en") -> bytes:
    rest = struct.pack(">H", 0) + extension.to_bytes(3, "big") + struct.pack(">H", 0x1234) + string(language) + body
    length = len(rest) + 5 if claim is None else claim
    return bytes([2, FUNCTION[function]]) + length.to_bytes(3, "big") + rest


def version1(function: str, body: bytes) -> bytes:
    return struct.pack(">BBHBB2sHH", 1, FUNCTION[function], 12 + len(body), 0, 0, b"en", 106, 0x1234) + body
