"""SSH packets in the clear."""

from __future__ import annotations

from collections.abc import Sequence


def packet(kind: int, body: bytes = b"") -> bytes:
    """A binary packet (RFC 4253, 6)."""
    payload = bytes([kind]) + body
    padding = 8 - (5 + len(payload)) % 8 + 8
    return (1 + len(payload) + padding).to_bytes(4, "big") + bytes([padding]) + payload + bytes(padding)


def kexinit(lists: Sequence[bytes]) -> bytes:
    """KEXINIT with up to ten lists; those left out are empty."""
    body = b"c" * 16
    for names in [*lists, *[b""] * (10 - len(lists))]:
        body += len(names).to_bytes(4, "big") + names
    return packet(20, body + b"\0" + bytes(4))
