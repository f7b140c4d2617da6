"""The lines of a text file in chunks, decompressed, in bounded memory whatever a line or the file is.

A line is what ends with LF; a CR before it is left for whoever reads the line. Bytes that are no UTF-8 are spelled out (\\xff).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.sources.bytes import ByteReader, OnRaw

#: Bytes of a chunk, and of the longest line that is read; longer ones are counted.
CHUNK: Final = 8 << 20
LONGEST: Final = 1 << 20
_LF: Final = 10


@dataclass(frozen=True, slots=True)
class Lines:
    """Some lines. n: their numbers in the file, from 1; text: with what ends them; too_long: numbers of lines passed over."""

    n: NDArray[np.int64]
    text: pa.StringArray
    too_long: tuple[int, ...] = ()


class LineReader:
    """Iterate once; `read` is how many lines there were so far. Raises SourceError behind the last good line."""

    def __init__(self, reader: ByteReader, chunk: int = CHUNK, longest: int = LONGEST, on_bytes: OnRaw | None = None) -> None:
        """on_bytes: given every byte as it is read, for a hash."""
        self.read = 0
        self.cut = False  # whether the last line has no end
        self._reader = reader
        self._chunk = max(chunk, 2 * longest)
        self._longest = longest
        self._on_bytes = on_bytes
        self._end = 0  # of the last whole line in the buffer
        self._skipping = False  # inside a line that is too long

    def __iter__(self) -> Iterator[Lines]:
        buffer = np.empty(self._chunk, np.uint8)
        kept = 0
        failed: Exception | None = None
        while True:
            filled, over = kept, False
            view = memoryview(buffer)  # type: ignore[arg-type]
            while filled < len(buffer):
                try:
                    got = self._reader.readinto(view[filled:])
                except Exception as error:  # what came before it is read first
                    failed, got = error, 0
                if not got:
                    over = True
                    break
                if self._on_bytes is not None:
                    self._on_bytes(view[filled : filled + got])
                filled += got
            yield from self._lines(buffer[:filled], over=over)
            if over:
                break
            kept = self._rest(buffer, filled)
        if failed is not None:
            raise failed

    def _rest(self, buffer: NDArray[np.uint8], filled: int) -> int:
        """Move what is behind the last line's end to the front; how much that is."""
        start = self._end
        rest = filled - start
        buffer[:rest] = buffer[start:filled].copy()
        return rest

    def _lines(self, data: NDArray[np.uint8], *, over: bool) -> Iterator[Lines]:
        ends = np.flatnonzero(data == _LF) + 1
        if over and len(data) and (not len(ends) or ends[-1] != len(data)):
            ends = np.append(ends, len(data))
            self.cut = True
        first = self.read + 1
        long: list[int] = []
        if not len(ends):
            self._end = 0
            if len(data) > self._longest:  # nothing but the middle of a line: it is dropped as it comes
                if not self._skipping:
                    self._skipping = True
                self._end = len(data)
            return
        starts = np.concatenate((np.zeros(1, ends.dtype), ends[:-1]))
        n = np.arange(first, first + len(ends), dtype=np.int64)
        self.read += len(ends)
        self._end = int(ends[-1])
        bad = ends - starts > self._longest
        if self._skipping:
            bad[0], self._skipping = True, False
        if bad.any():
            long = n[bad].tolist()
            pieces = [data[s:e] for s, e in zip(starts[~bad], ends[~bad], strict=True)]
            data = np.concatenate(pieces) if pieces else data[:0]
            lengths = (ends - starts)[~bad]
            n = n[~bad]
        else:
            data, lengths = data[: self._end].copy(), ends - starts
        rest = len(data)
        assert rest == int(lengths.sum())
        yield Lines(n, _texts(data, lengths), tuple(long))


def _texts(data: NDArray[np.uint8], lengths: NDArray[np.int64]) -> pa.StringArray:
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    made = pa.Array.from_buffers(pa.utf8(), len(lengths), [None, pa.py_buffer(offsets), pa.py_buffer(data)], 0)
    try:
        made.validate(full=True)
    except pa.ArrowInvalid:
        raw = data.tobytes()
        texts = [raw[s:e].decode("utf-8", "backslashreplace") for s, e in pairwise(offsets)]
        made = pa.array(texts, pa.utf8())
    return made
