"""zstd (RFC 8878) and lz4 (its frame format): split into their blocks here, decoded one block at a time.

Feeding whole blocks bounds what comes out of one step (128 KiB for zstd, 4 MiB for lz4) whatever the
input, loses nothing in front of damage, and names the byte of the file at which it begins. The layout
is walked here; the blocks themselves are decoded by the libraries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from workbench.errors import SourceError
from workbench.sources.bytes import Decoder, RawBytes

#: What a zstd frame may ask for as its window: `zstd --ultra -22` uses 128 MiB; `--long=31` 2 GiB.
MAX_WINDOW: Final = 512 << 20

_ZSTD_BLOCK: Final = 128 << 10
_LZ4_BLOCKS: Final = {4: 64 << 10, 5: 256 << 10, 6: 1 << 20, 7: 4 << 20}
_SKIPPABLE: Final = 0x184D2A50
_ZSTD: Final = 0xFD2FB528
_LZ4: Final = 0x184D2204
_READ: Final = 1 << 20


def decoder(compression: str, raw: RawBytes) -> Decoder:
    """The decoder of `compression` over `raw`, which stands at its first byte."""
    return _Blocks(raw, compression)


class _Cut(Exception):  # noqa: N818  carries the bytes that are there to the end of this module
    """The file ends inside a frame."""

    def __init__(self, rest: bytes) -> None:
        super().__init__()
        self.rest = rest


class _Input:
    """Exact numbers of bytes from the file, read in large pieces."""

    def __init__(self, raw: RawBytes) -> None:
        self._raw = raw
        self._buffer = bytearray(_READ)
        self._start = self._end = 0
        self.position = 0  # bytes taken

    def take(self, n: int) -> bytes:
        """The next n bytes; _Cut with what there is where the file has fewer."""
        if self._end - self._start < n:
            self._fill(n)
        there = min(n, self._end - self._start)
        out = bytes(memoryview(self._buffer)[self._start : self._start + there])
        self._start += there
        self.position += there
        if there < n:
            raise _Cut(out)
        return out

    def skip(self, n: int) -> None:
        """Step over n bytes; _Cut where the file has fewer."""
        while n:
            n -= len(self.take(min(n, _READ)))

    def _fill(self, n: int) -> None:
        kept = self._buffer[self._start : self._end]
        if n > len(self._buffer):  # a block of at most 4 MiB: its size was checked before it is taken
            self._buffer = bytearray(n + _READ)
        self._buffer[: len(kept)] = kept
        self._start, self._end = 0, len(kept)
        view = memoryview(self._buffer)
        while self._end < n and (got := self._raw.readinto(view[self._end :])):
            self._end += got


class _Blocks:
    """Hand out what the blocks of every frame decode to."""

    def __init__(self, raw: RawBytes, name: str) -> None:
        self._raw = raw
        self._name = name
        self._input = _Input(raw)
        self._pieces = self._decoded()
        self._rest = memoryview(b"")
        self._failure: SourceError | None = None

    def readinto(self, into: memoryview, /) -> int:
        """Fill the start of `into`; 0 at the end; SourceError behind the last good byte."""
        got = 0
        while got < len(into) and self._failure is None:
            if not self._rest:
                try:
                    piece = next(self._pieces, None)
                except SourceError as failure:
                    self._failure = failure
                    break
                if piece is None:
                    break
                self._rest = memoryview(piece)
            n = min(len(self._rest), len(into) - got)
            into[got : got + n] = self._rest[:n]
            self._rest = self._rest[n:]
            got += n
        if got == 0 and self._failure is not None:
            raise self._failure
        return got

    def _decoded(self) -> Iterator[bytes]:
        """What every unit decodes to. Raises SourceError where a unit is cut or damaged."""
        units = _zstd_units if self._name == "zstd" else _lz4_units
        opener = _zstd_stream if self._name == "zstd" else _lz4_stream
        give: Callable[[bytes], bytes] | None = None
        at = 0
        try:
            for unit, starts in units(self._input):
                if starts or give is None:
                    give = opener()
                yield give(unit)
                at = self._input.position
        except _Cut as cut:
            if give is not None and cut.rest and (last := self._last(give, cut.rest)):
                yield last
            raise self._failed("is cut: the file ends", self._raw.position, "inside it") from None
        except _Wrong as wrong:
            raise SourceError(f"{self._raw.path}: {wrong} (at byte {at} of the file)", wrong.remedy) from None
        except SourceError:
            raise
        except _library_errors() as error:
            raise self._failed("is damaged", at, str(error)) from error

    def _last(self, give: Callable[[bytes], bytes], rest: bytes) -> bytes:
        """What the beginning of a block decodes to: something only where it is stored as it is."""
        try:
            return give(rest)
        except _library_errors():
            return b""

    def _failed(self, what: str, at: int, why: str) -> SourceError:
        return SourceError(
            f"{self._raw.path}: the {self._name} data {what} at byte {at} of the file: {why}",
            "Copy it again; what was before that is used.",
        )


class _Wrong(Exception):  # noqa: N818  becomes a SourceError with the place
    """The layout of a frame is not what it should be."""

    def __init__(self, message: str, remedy: str = "Copy it again; what was before that is used.") -> None:
        super().__init__(message)
        self.remedy = remedy


def _library_errors() -> tuple[type[Exception], ...]:
    """What the libraries raise for damaged data."""
    import zstandard

    return (zstandard.ZstdError, RuntimeError, ValueError, MemoryError)


def _zstd_stream() -> Callable[[bytes], bytes]:
    import zstandard

    stream: Any = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).decompressobj(write_size=_ZSTD_BLOCK)
    return lambda unit: bytes(stream.decompress(unit))


def _lz4_stream() -> Callable[[bytes], bytes]:
    import lz4.frame

    opener: Any = lz4.frame.LZ4FrameDecompressor  # the module has no types
    stream = opener()
    return lambda unit: bytes(stream.decompress(unit))


def _magic(source: _Input, name: str) -> int | None:
    """The magic of the next frame; None at the end of the file. Zero padding is stepped over."""
    while True:
        try:
            value = int.from_bytes(source.take(4), "little")
        except _Cut as cut:
            if cut.rest.strip(b"\0"):
                raise
            return None
        if value & 0xFFFFFFF0 == _SKIPPABLE:
            source.skip(int.from_bytes(source.take(4), "little"))
        elif value == (_ZSTD if name == "zstd" else _LZ4):
            return value
        elif value:
            raise _Wrong(f"the {name} data ends and something else follows", "Check how the file was put together.")


def _zstd_units(source: _Input) -> Iterator[tuple[bytes, bool]]:
    """Frame headers, blocks and checksums of a zstd file; the flag says that a frame begins."""
    while (magic := _magic(source, "zstd")) is not None:
        descriptor = source.take(1)
        flags = descriptor[0]
        single = bool(flags & 0x20)
        content = (1 if single else 0, 2, 4, 8)[flags >> 6]
        header = source.take((0 if single else 1) + (0, 1, 2, 4)[flags & 3] + content)
        _check_window(header, single, content)
        yield magic.to_bytes(4, "little") + descriptor + header, True
        last = False
        while not last:
            head = source.take(3)
            value = int.from_bytes(head, "little")
            last, kind, size = bool(value & 1), value >> 1 & 3, value >> 3
            if kind == 3 or size > _ZSTD_BLOCK:
                raise _Wrong("the zstd data is damaged: no such block")
            try:
                yield head + source.take(1 if kind == 1 else size), False
            except _Cut as cut:
                raise _Cut(head + cut.rest) from None
        if flags & 4:
            yield source.take(4), False


def _check_window(header: bytes, single: bool, content: int) -> None:
    if single:
        size = int.from_bytes(header[len(header) - content :], "little") + (256 if content == 2 else 0)
        window = min(size, 1 << 62)
    else:
        base = 1 << (10 + (header[0] >> 3))
        window = base + base // 8 * (header[0] & 7)
    if window > MAX_WINDOW:
        raise _Wrong(
            f"its zstd window of {window >> 20} MiB is beyond the {MAX_WINDOW >> 20} MiB that are taken",
            "Decompress it beforehand, for example with zstd -d --long=31.",
        )


def _lz4_units(source: _Input) -> Iterator[tuple[bytes, bool]]:
    """Frame headers, blocks and checksums of an lz4 file; the flag says that a frame begins."""
    while (magic := _magic(source, "lz4")) is not None:
        descriptor = source.take(2)
        flags, largest = descriptor[0], _LZ4_BLOCKS.get(descriptor[1] >> 4 & 7)
        if flags >> 6 != 1 or largest is None:
            raise _Wrong("the lz4 data is damaged: no such frame header")
        yield magic.to_bytes(4, "little") + descriptor + source.take((8 if flags & 8 else 0) + (4 if flags & 1 else 0) + 1), True
        while True:
            head = source.take(4)
            size = int.from_bytes(head, "little") & 0x7FFFFFFF
            if size == 0:
                yield head + (source.take(4) if flags & 4 else b""), False
                break
            if size > largest:
                raise _Wrong("the lz4 data is damaged: no such block")
            try:
                yield head + source.take(size + (4 if flags & 16 else 0)), False
            except _Cut as cut:
                raise _Cut(head + cut.rest) from None
