"""Ranges of a source read again, record by record: entered at a known place, framed and decoded by the same kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.decode.framing import Framer, open_framer
from workbench.decode.packets import decode_frames
from workbench.errors import CancelledError, SourceError
from workbench.records.packet import FRAME, PACKET, UNDECODED
from workbench.sources.seeking import SeekingBytes
from workbench.workflows.captured import BLOCK_SHIFT, Capture, Place

if TYPE_CHECKING:
    from workbench.workflows.selection import Selection

#: Packets a chunk, as when indexing.
CHUNK: Final = 2048
#: Bytes read at once; less for the first piece of a range, which somebody may be waiting for.
_READ: Final = 2 << 20
_FIRST_READ: Final = 256 << 10
_HEADERS: Final = 64 << 10

Cancel = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Span:
    """Records to read: those that start in [first, last]; `place`: where to enter."""

    first: int
    last: int
    place: Place


@dataclass(slots=True)
class Chunk:
    """Some decoded records in a row. Good until the next one is asked for.

    frames[i] and packets[i] are of one record, i < n. base: source offset of buf[0]. number: of the first frame.
    file: number of the file among the source's. framer: knows the interfaces that frames.iface counts.
    """

    buf: NDArray[np.uint8]
    frames: NDArray[Any]
    packets: NDArray[Any]
    n: int
    base: int
    number: int
    file: int
    framer: Framer


@dataclass(slots=True)
class _Open:
    """The file being read, and how far it was skipped."""

    number: int = -1
    bytes: SeekingBytes | None = None


@dataclass(slots=True)
class RangeReader:
    """Reads spans of one capture, in rising order. Close it.

    What a capture filter left out when it was indexed comes as undecoded: it is in no flow.

    skipping: told (path, compression) when a compressed file must be read through to reach a span. notes: what went wrong.
    """

    capture: Capture
    cancel: Cancel | None = None
    skipping: Callable[[str, str], None] | None = None
    notes: list[str] = field(default_factory=list)
    bytes_read: int = 0
    _open: _Open = field(default_factory=_Open)
    _buf: NDArray[np.uint8] = field(default_factory=lambda: np.empty(2 * _READ, np.uint8))
    _frames: NDArray[Any] = field(default_factory=lambda: np.empty(CHUNK, FRAME))
    _packets: NDArray[Any] = field(default_factory=lambda: np.empty(CHUNK, PACKET))
    _selection: Selection | None = None

    def __post_init__(self) -> None:
        if self.capture.bpf is not None:
            from workbench.workflows.selection import selection_of

            self._selection = selection_of(self.capture.bpf)

    def chunks(self, spans: Sequence[Span]) -> Iterator[Chunk]:
        """Every record of the spans, decoded. CancelledError where `cancel` said so."""
        for span in spans:
            yield from self._span(span)

    def close(self) -> None:
        """Give the file back."""
        if self._open.bytes is not None:
            self._open.bytes.close()
            self._open = _Open()

    def _span(self, span: Span) -> Iterator[Chunk]:
        files = self.capture.files
        number = self.capture.file_at(span.place.record_offset)
        place: Place | None = span.place if span.place.frame else None
        seen = span.place.frame - 1 if place else 0  # frames of the source before the next one
        while number < len(files) and (number == 0 or files[number].first_offset <= span.last):
            framer: Framer | None = None
            for chunk in self._file(number, place, span, seen):
                framer = chunk.framer
                if chunk.n:
                    yield chunk
            seen = framer.frames if framer is not None else seen
            number += 1
            place = None

    def _file(self, number: int, place: Place | None, span: Span, seen: int) -> Iterator[Chunk]:
        """Chunks of one file from a place in it (None: its beginning) to the end of the span or of the file."""
        origin = self.capture.files[number].first_offset
        stream = self._stream(number)
        try:
            framer = self._framer(stream, place, origin)
            at = place.record_offset - origin if place else 0
            if not self._seek(stream, at):
                return
        except SourceError as error:
            self.notes.append(error.message)
            return
        framer.offset = at
        framer.frames = seen
        end, start, eof, size = 0, 0, False, _FIRST_READ
        while not eof:
            self._check_cancel()
            end, eof = self._fill(stream, end, size)
            size = _READ
            base = origin + stream.position - end
            start = 0
            while True:
                n, moved = framer.frame(self._buf, start, end, eof, self._frames)
                if n:
                    last = int(self._frames["rec"][n - 1]) + base
                    yield self._decoded(framer, span, base, n, number)
                    if last >= span.last:
                        return
                elif moved == start:
                    break
                start = moved
            self._buf[: end - start] = self._buf[start:end].copy()
            end -= start
            if framer.needs + _READ > len(self._buf):
                self._buf = np.concatenate((self._buf[:end], np.empty(framer.needs + 2 * _READ - end, np.uint8)))

    def _decoded(self, framer: Framer, span: Span, base: int, n: int, number: int) -> Chunk:
        """The part of the framed records that lies in the span, decoded."""
        records = self._frames["rec"][:n]
        low = int(np.searchsorted(records, span.first - base))
        high = int(np.searchsorted(records, span.last - base, side="right"))
        high = max(low, high)
        frames = self._frames[low:high]
        decode_frames(self._buf, frames, high - low, self._packets, 0)
        if self._selection is not None:
            kept = self._selection.keep(framer, self._buf, frames, high - low)
            self._packets["status"][: high - low][~kept] = UNDECODED
        return Chunk(self._buf, frames, self._packets, high - low, base, framer.frames - n + low + 1, number, framer)

    def _fill(self, stream: SeekingBytes, end: int, size: int) -> tuple[int, bool]:
        view = memoryview(self._buf)  # type: ignore[arg-type]
        stop = min(len(self._buf), end + size)
        while end < stop:
            try:
                got = stream.readinto(view[end:stop])
            except SourceError as error:  # what was indexed lies before it; the count will tell whether all was found
                self.notes.append(error.message)
                return end, True
            if got == 0:
                return end, True
            end += got
            self.bytes_read += got
        return end, False

    def _stream(self, number: int) -> SeekingBytes:
        if self._open.number != number or self._open.bytes is None:
            self.close()
            self._open = _Open(number, SeekingBytes(self.capture.files[number].path))
        assert self._open.bytes is not None
        return self._open.bytes

    def _seek(self, stream: SeekingBytes, to: int) -> bool:
        if not stream.plain and to - stream.position > _READ and self.skipping is not None:
            self.skipping(self.capture.files[self._open.number].path, stream.compression or "")
        there = stream.seek(to, self.cancel)
        self._check_cancel()
        return there

    def _framer(self, stream: SeekingBytes, place: Place | None, origin: int) -> Framer:
        """A framer that knows what it must to read on at the place: the section's interfaces as described before it."""
        start = place.section_offset - origin if place and place.section_offset is not None else 0
        if not self._seek(stream, start):
            raise SourceError("the file ends before the place where it was to be entered", "")
        head = np.empty(_HEADERS, np.uint8)
        got = self._headers(stream, head, 0)
        framer = open_framer(head[: min(got, 4096)].tobytes())
        if place is None:
            return framer
        stop = place.record_offset - origin - start
        if framer.kind == "pcapng":
            self._describe(stream, framer, head, got, stop, place.interfaces)
        framer.enter(place.frame, place.ts_ns)
        return framer

    def _headers(self, stream: SeekingBytes, into: NDArray[np.uint8], at: int) -> int:
        view = memoryview(into)  # type: ignore[arg-type]
        while at < len(into) and (n := stream.readinto(view[at:])):
            at += n
        return at

    def _describe(self, stream: SeekingBytes, framer: Framer, buf: NDArray[np.uint8], end: int, stop: int, wanted: int) -> None:
        """Read on from the section's start until its interfaces are known; never beyond the place itself.

        They nearly always stand right behind the header; where they do not, everything up to the last is framed.
        """
        scratch = np.empty(64, FRAME)
        start, behind = 0, 0  # behind: bytes of the section before buf[0]
        while len(framer.interfaces) < wanted and behind + start < stop:
            self._check_cancel()
            n, moved = framer.frame(buf, start, min(end, stop - behind), False, scratch)
            if n == 0 and moved == start:
                rest = buf[start:end].copy()
                behind += start
                buf = np.empty(max(len(buf), framer.needs + _HEADERS), np.uint8)
                buf[: len(rest)] = rest
                start, end = 0, self._headers(stream, buf, len(rest))
                if end == len(rest):
                    return
            else:
                start = moved

    def _check_cancel(self) -> None:
        if self.cancel is not None and self.cancel():
            raise CancelledError("reading the packets was stopped")


def spans_of(capture: Capture, blocks: NDArray[np.int64], first: int, last: int) -> list[Span]:
    """Spans that cover the given blocks (sorted, each once) between two offsets; neighbours are read in one go.

    So are those between which no place to enter is known.
    """
    if not len(blocks):
        return []
    cuts = np.flatnonzero(np.diff(blocks) > 1)
    starts, ends = blocks[np.r_[0, cuts + 1]].tolist(), blocks[np.r_[cuts, len(blocks) - 1]].tolist()
    spans: list[Span] = []
    for a, b in zip(starts, ends, strict=True):
        low, high = max(first, a << BLOCK_SHIFT), min(last, ((b + 1) << BLOCK_SHIFT) - 1)
        place = capture.place_before(low) if low > a << BLOCK_SHIFT else capture.place_of_block(a)
        if spans and place.record_offset <= spans[-1].last:
            spans[-1] = Span(spans[-1].first, high, spans[-1].place)
        else:
            spans.append(Span(low, high, place))
    return spans
