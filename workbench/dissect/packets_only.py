"""A capture cut down to its packets before tshark sees it: no decryption secrets, no names, no comments, no other formats.

tshark reads some eighty file formats and would use secrets that stand in a pcapng file. What is handed to it here
is pcapng made of sections, interfaces and packets only; everything else is left out, damage ends it.
"""

from __future__ import annotations

import struct
from typing import Final

from workbench.errors import BadInputError

#: The most that is dissected at once, bytes.
LARGEST: Final = 64 << 20
_SECTION: Final = 0x0A0D0D0A
#: Interface description, simple packet, enhanced packet: what may stand in a section.
_KEPT: Final = (1, 3, 6)
_ORDER: Final = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
#: Options of an interface that say how to read its packets: if_tsresol, if_fcslen, if_tsoffset.
_OPTIONS: Final = (9, 13, 14)


def packets_only(data: bytes) -> bytes:
    """The pcapng with nothing but sections, interfaces and packets, up to the first damage.

    BadInputError where it is no pcapng, holds no whole section, or is too large.
    """
    if len(data) > LARGEST:
        raise BadInputError(f"{len(data)} bytes are too many to dissect at once", "Choose fewer packets.")
    out: list[bytes] = []
    at, order = 0, ""
    while at + 12 <= len(data):
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = _ORDER.get(data[at + 8 : at + 12], "")
        if not order:
            break
        kind, size = struct.unpack_from(order + "II", data, at)
        if size < 12 or size % 4 or at + size > len(data) or data[at + size - 4 : at + size] != data[at + 4 : at + 8]:
            break
        block = data[at : at + size]
        if kind == _SECTION or kind in _KEPT:
            plain = _plain(block, kind, order)
            if plain is None:
                break
            out.append(plain)
        at += size
    if not out:
        raise BadInputError("there is no pcapng section to dissect", "Carve the packets again.")
    return b"".join(out)


def _plain(block: bytes, kind: int, order: str) -> bytes | None:
    """The block without options but those that its packets need to be read; None where it is damaged."""
    if kind == _SECTION:
        if len(block) < 28:
            return None
        body = block[8:16] + b"\xff" * 8  # the section's length is no longer what it was: unknown
    elif kind == 1 and len(block) >= 20:
        body = block[8:16] + _needed(block[16:-4], order)
    elif kind == 6:
        captured = struct.unpack_from(order + "I", block, 20)[0] if len(block) >= 32 else len(block)
        end = 28 + captured + (-captured % 4)
        if end > len(block) - 4:
            return None
        body = block[8:end]
    else:
        body = block[8:-4]
    size = struct.pack(order + "I", len(body) + 12)
    return block[:4] + size + body + size


def _needed(options: bytes, order: str) -> bytes:
    out, at = b"", 0
    while at + 4 <= len(options):
        code, length = struct.unpack_from(order + "HH", options, at)
        end = at + 4 + length + (-length % 4)
        if code == 0 or end > len(options):
            break
        if code in _OPTIONS:
            out += options[at:end]
        at = end
    return out + bytes(4) if out else b""
