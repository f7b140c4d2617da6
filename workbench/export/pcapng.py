"""Packets as pcapng (draft-ietf-opsawg-pcapng): one section, little-endian, interfaces described when they are first needed.

What is written says which program wrote it and nothing about the machine, the system or the person. There is no way to
write decryption secrets, name resolution or custom blocks.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import BinaryIO, Final

_SECTION: Final = 0x0A0D0D0A
_INTERFACE: Final = 1
_ENHANCED: Final = 6
_LONGEST_TEXT: Final = 65_532
_LATEST: Final = (1 << 64) - 1


class PcapngWriter:
    """Writes to `out` as it goes; nothing is kept but the interfaces' clocks.

    application: what the section says wrote it.
    """

    def __init__(self, out: BinaryIO, *, application: str) -> None:
        self._out = out
        self._units: list[int] = []
        self.bytes = 0
        head = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
        self._block(_SECTION, head + _options([(4, _text(application))]))

    def interface(
        self,
        link_type: int,
        snaplen: int = 0,
        name: str = "",
        description: str = "",
        tsresol: int = 1_000_000,
        comments: Sequence[str] = (),
    ) -> int:
        """Describe an interface; its number. snaplen: 0 where unlimited. tsresol: units a second.

        Powers of ten up to nanoseconds are kept; any other clock is told in nanoseconds.
        """
        exponent = next((e for e in range(10) if 10**e == tsresol), 9)
        options = [(1, _text(c)) for c in comments]
        options += [(code, _text(text)) for code, text in ((2, name), (3, description)) if text]
        options.append((9, bytes((exponent,))))
        head = struct.pack("<HHI", link_type & 0xFFFF, 0, min(max(0, snaplen), 0xFFFFFFFF))
        self._block(_INTERFACE, head + _options(options))
        self._units.append(10 ** (9 - exponent))
        return len(self._units) - 1

    def unit(self, interface: int) -> int:
        """Nanoseconds a tick of that interface's clock."""
        return self._units[interface]

    def packet(self, interface: int, ts_ns: int, data: bytes, wire: int, comments: Sequence[str] = ()) -> None:
        """One packet. ts_ns: since 1970; what is finer than the interface's clock is lost. wire: its length on the wire."""
        ticks = min(max(0, ts_ns) // self._units[interface], _LATEST)
        head = struct.pack("<IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, len(data), min(max(0, wire), 0xFFFFFFFF))
        options = _options([(1, _text(c)) for c in comments]) if comments else b""
        self._block(_ENHANCED, head + data + b"\0" * (-len(data) % 4) + options)

    def blocks(self, made: memoryview) -> None:
        """Packet blocks that were made elsewhere, of interfaces described here."""
        self._out.write(made)
        self.bytes += len(made)

    def _block(self, kind: int, body: bytes) -> None:
        length = len(body) + 12
        self._out.write(struct.pack("<II", kind, length) + body + struct.pack("<I", length))
        self.bytes += length


def _text(text: str) -> bytes:
    """As an option holds it: UTF-8 without a broken end, no longer than its length field can say."""
    coded = text.encode("utf-8", "replace")
    return coded if len(coded) <= _LONGEST_TEXT else coded[:_LONGEST_TEXT].decode("utf-8", "ignore").encode()


def _options(options: Sequence[tuple[int, bytes]]) -> bytes:
    if not options:
        return b""
    parts = [struct.pack("<HH", code, len(value)) + value + b"\0" * (-len(value) % 4) for code, value in options]
    return b"".join(parts) + b"\0\0\0\0"
