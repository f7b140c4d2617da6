"""Where one record ends and the next begins: what every capture format's reader offers.

Pure: bytes come in as ranges of a buffer, FRAME rows go out. The formats stand in `framing_pcap` and
`framing_pcapng`; `open_framer` tells them apart by their first bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.errors import BadInputError
from workbench.records.reasons import LedgerLine

#: The longest packet that is believed where the file itself does not say more (libpcap's own bound).
LONGEST_PACKET: Final = 262_144
#: The longest packet that is believed at all, whatever snap length a file names.
LONGEST_BELIEVED: Final = 16 << 20

_REMEDY: Final = "Give a pcap or pcapng file, plain or compressed (gz, zst, xz, lz4); `file` may tell what this is."

#: First bytes of what people give by mistake.
_LOOKALIKES: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x1f\x8b", "gzip data inside another compression"),
    (b"\x28\xb5\x2f\xfd", "zstd data inside another compression"),
    (b"\xfd7zXZ\x00", "xz data inside another compression"),
    (b"BZh", "bzip2 data"),
    (b"PK\x03\x04", "a zip archive"),
    (b"snoop\x00\x00\x00", "a Solaris snoop capture"),
    (b"\x54\x52\x53\x4e\x49\x46\x46", "a Sniffer capture"),
    (b"RTSS", "a Network Monitor capture"),
    (b"GMBU", "a Network Monitor capture"),
    (b"XCP\x00", "a Network Associates capture"),
    (b"\x7fELF", "a program"),
    (b"%PDF", "a PDF document"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"{", "JSON text"),
    (b"#separator", "a Zeek log"),
    (b"<", "XML or HTML text"),
)


@dataclass(frozen=True, slots=True)
class Interface:
    """One capturing interface. snaplen: 0 where unlimited. tsresol: time units a second. tsoffset: seconds.

    comments: what people noted about it, the first few.
    """

    link_type: int
    snaplen: int = 0
    name: str = ""
    description: str = ""
    tsresol: int = 1_000_000
    tsoffset: int = 0
    comments: tuple[str, ...] = ()


class Framer:
    """The reader of one stream of records; `frame` is called with range after range of it, in order."""

    kind: str = ""
    #: The byte order of what the stream's own header says.
    big_endian: bool = False

    def __init__(self) -> None:
        self.interfaces: list[Interface] = []
        self.comments = 0
        self.needs = 24
        self.frames = 0  # rows written so far
        self.offset = 0  # bytes of the stream taken so far
        self._base = 0  # where buf[0] of the present call stands in the stream
        self._cut: LedgerLine | None = None
        self._damaged = 0
        self._damaged_frames: list[int] = []
        self._damaged_detail: list[str] = []

    @property
    def dropped(self) -> int | None:
        """Packets that the capturing side says it lost; None where it says nothing."""
        return None

    def frame(self, buf: NDArray[np.uint8], start: int, end: int, eof: bool, frames: NDArray[Any]) -> tuple[int, int]:
        """Find the records in buf[start:end]: how many rows of `frames` were filled, and the new start.

        (0, start): more bytes are needed, `needs` of them from `start` on. At `eof` a record that is not
        all there is counted as cut and the new start is `end`.
        """
        self._base = self.offset - start
        n, at = self._frame(buf, start, end, eof, frames)
        self.frames += n
        self.offset += at - start
        return n, at

    def _frame(self, buf: NDArray[np.uint8], start: int, end: int, eof: bool, frames: NDArray[Any]) -> tuple[int, int]:
        raise NotImplementedError

    def section(self, record: int) -> tuple[int | None, int]:  # noqa: ARG002  of formats that have sections
        """What must be known before the record at that offset of the stream, which the last call framed, can be read.

        Where its section starts, None where the format has none, and how many interfaces that described until there.
        Asked for records in order.
        """
        return None, len(self.interfaces)

    def enter(self, frame: int, ts_ns: int) -> None:  # noqa: ARG002  of formats that go by it
        """The next call brings bytes from a record further on: number (from 1) and time of that record."""
        self.frames = frame - 1

    def ledger(self) -> list[LedgerLine]:
        """What was cut, damaged, skipped or worth telling."""
        lines = [self._cut] if self._cut else []
        if self._damaged:
            lines.append(LedgerLine("damaged", self._damaged, tuple(self._damaged_frames), "; ".join(self._damaged_detail)))
        return lines

    def _count_damage(self, frame: int, detail: str) -> None:
        """frame: number, from 1, of the first frame behind the damage. The first five are told."""
        self._damaged += 1
        if len(self._damaged_frames) < 5:
            self._damaged_frames.append(frame)
            self._damaged_detail.append(detail)

    def _count_cut(self, have: int, want: int, frame: int) -> None:
        """The stream ends inside a record; said once."""
        if self._cut is None:
            of = f" of {want}" if want > have else ""
            self._cut = LedgerLine("cut", 1, (frame,), f"the last record has {have}{of} bytes")


def open_framer(head: bytes) -> Framer:
    """The framer for a stream that begins with `head` (24 bytes or more, or everything there is).

    BadInputError where it is neither pcap nor pcapng, or of a version that cannot be read; the message
    says what the bytes look like.
    """
    from workbench.decode.framing_pcap import PcapFramer, is_pcap
    from workbench.decode.framing_pcapng import PcapngFramer, is_pcapng

    if is_pcapng(head):
        return PcapngFramer(head)
    if is_pcap(head):
        return PcapFramer(head)
    raise BadInputError(f"not a capture: {_looks_like(head)}", _REMEDY)


def _looks_like(head: bytes) -> str:
    if not head:
        return "there are no bytes in it"
    for magic, name in _LOOKALIKES:
        if head.startswith(magic):
            return f"it looks like {name}"
    if head[:512].isascii() and all(b >= 32 or b in b"\t\r\n" for b in head[:512]):
        return "it looks like text"
    return f"it begins with {head[:8].hex(' ')}"
