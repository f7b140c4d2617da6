"""What Google's QUIC said in the clear before the IETF's: the tags of a client's hello (QUIC Crypto, revision 2016)."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import text

_MOST_TAGS: Final = 64


def version(data: bytes) -> int | None:
    """The version in a packet of a client: behind a public header with an eight-byte id, or in a long header."""
    if len(data) >= 13 and data[0] & 0x89 == 0x09 and data[9:10] in (b"Q", b"T") and data[10:13].isdigit():
        return int.from_bytes(data[9:13], "big")
    if len(data) >= 5 and data[0] & 0x80 and data[1:2] in (b"Q", b"T") and data[2:5].isdigit():
        return int.from_bytes(data[1:5], "big")
    return None


def hello(data: bytes) -> tuple[str | None, str | None]:
    """Server name and user agent of a CHLO, where there is one in the clear."""
    at = data.find(b"CHLO", 0, 256)
    if at < 0 or at + 8 > len(data):
        return None, None
    count = min(int.from_bytes(data[at + 4 : at + 6], "little"), _MOST_TAGS)
    values = at + 8 + 8 * count
    said: dict[bytes, str] = {}
    begin = 0
    for tag in range(at + 8, values, 8):
        if tag + 8 > len(data):
            break
        end = int.from_bytes(data[tag + 4 : tag + 8], "little")
        if begin <= end <= len(data) - values and data[tag : tag + 4] in (b"SNI\0", b"UAID"):
            said[data[tag : tag + 4]] = text(data[values + begin : values + end])
        begin = end
    return said.get(b"SNI\0") or None, said.get(b"UAID") or None


def user_agent(client_hello: bytes) -> str | None:
    """Google's transport parameter 0x3129 in a ClientHello, which old clients sent: the name of the client."""
    at = client_hello.find(b"\x71\x29")  # that number as a varint
    if at < 0 or at + 3 > len(client_hello):
        return None
    size = client_hello[at + 2]
    if size & 0x40:
        size, at = (size & 0x3F) << 8 | (client_hello[at + 3] if at + 3 < len(client_hello) else 0), at + 1
    said = client_hello[at + 3 : at + 3 + size]
    plain = len(said) == size and size > 3 and all(32 <= byte < 127 for byte in said)
    return text(said) if plain else None
