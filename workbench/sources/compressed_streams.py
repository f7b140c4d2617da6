"""gzip, xz, lzma and bzip2: formats whose library keeps the position inside its own stream.

A file may be several streams behind each other (bgzip, pigz, `cat a.gz b.gz`), with zero padding between
and behind them. A library that meets damage throws away what it had decoded in that call, so the last
bytes before the damage are decoded again in smaller steps: from a copy of the state where there is one
(zlib), else from the start of the file where it can be read twice.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any, Final

from workbench.errors import SourceError, WorkbenchError
from workbench.sources.bytes import Decoder, RawBytes

_CHUNK: Final = 256 << 10
#: liblzma allocates its dictionary, up to 4 GiB by the header alone; `xz -9` needs 65 MiB to decompress.
_LZMA_MEMORY: Final = 512 << 20
#: Bytes asked of liblzma and bzip2 at once: what is lost to damage in a pipe, at a few percent in speed.
_STEP: Final = 8 << 10

_MAGIC: Final = {"gzip": b"\x1f\x8b", "xz": b"\xfd7zXZ\x00", "bzip2": b"BZh", "lzma": b"\x5d\x00\x00"}


def decoder(compression: str, raw: RawBytes) -> Decoder:
    """The decoder of `compression` over `raw`, which stands at its first byte."""
    return _Gzip(raw) if compression == "gzip" else _Stepped(raw, compression)


class _Streams:
    """One stream behind the other; `_decode` is what the formats differ in."""

    def __init__(self, raw: RawBytes, name: str) -> None:
        self._raw = raw
        self._name = name
        self._buffer = memoryview(bytearray(_CHUNK))
        self._input: memoryview = self._buffer[:0]
        self._ended = False  # no more bytes on disk
        self._failure: WorkbenchError | None = None
        self._stream: Any = None

    def readinto(self, into: memoryview, /) -> int:
        """Fill the start of `into`; 0 at the end; SourceError behind the last good byte."""
        got = 0
        while into and got == 0 and self._failure is None:
            try:
                if self._stream is None and not self._next_stream():
                    return 0
                got = self._decode(into)
                if got == 0 and self._stream is not None:
                    self._more()
            except WorkbenchError as failure:
                self._failure = failure
        if got == 0 and self._failure is not None:
            raise self._failure
        return got

    def _decode(self, into: memoryview) -> int:
        """Decode of what is in `_input`; 0 = nothing came, or the stream ended (`_stream` is None).

        What was decoded before damage comes out, with `_failure` set.
        """
        raise NotImplementedError

    def _open_stream(self) -> Any:
        raise NotImplementedError

    def _more(self) -> None:
        """The next bytes into `_input`; SourceError where the file ends inside a stream."""
        if self._ended:
            raise SourceError(
                f"{self._raw.path}: the {self._name} data is cut: the file ends at byte {self._raw.position} inside it",
                "Copy it again; what was there is used.",
            )
        if not self._input:
            self._fill()

    def _fill(self) -> None:
        n = self._raw.readinto(self._buffer[: self._most()])
        self._input = self._buffer[:n]
        self._ended = n == 0

    def _most(self) -> int:
        """How much to read at once."""
        return _CHUNK

    def _next_stream(self) -> bool:
        """Step over padding to the next stream; False at the end of the file."""
        while True:
            zeros = len(self._input) - len(bytes(self._input).lstrip(b"\0"))
            self._input = self._input[zeros:]
            if self._input:
                break
            if self._ended:
                return False
            self._fill()
        self._gather(len(_MAGIC[self._name]))
        if not bytes(self._input).startswith(_MAGIC[self._name]):
            raise SourceError(
                f"{self._raw.path}: {self._raw.position - len(self._input)} bytes into it the {self._name} data ends and"
                " something else follows",
                "Check how the file was put together.",
            )
        self._stream = self._open_stream()
        return True

    def _gather(self, n: int) -> None:
        """At least n bytes into `_input`, where the file has them: a magic may lie across two reads."""
        while len(self._input) < n and not self._ended:
            kept = bytes(self._input)
            self._buffer[: len(kept)] = kept
            more = self._raw.readinto(self._buffer[len(kept) : len(kept) + self._most()])
            self._input = self._buffer[: len(kept) + more]
            self._ended = more == 0

    def _damaged(self, error: Exception) -> SourceError:
        at = self._raw.position - len(self._input)
        if "emory" in str(error):
            return SourceError(
                f"{self._raw.path}: its {self._name} data needs more than {_LZMA_MEMORY >> 20} MiB to decompress",
                "Decompress it beforehand.",
            )
        return SourceError(
            f"{self._raw.path}: the {self._name} data is damaged at about byte {at} of the file: {error}",
            "Copy it again; what was before the damage is used.",
        )


class _Gzip(_Streams):
    """gzip (RFC 1952) through zlib, whose state can be copied."""

    def __init__(self, raw: RawBytes) -> None:
        super().__init__(raw, "gzip")

    def _open_stream(self) -> Any:
        return zlib.decompressobj(wbits=31)

    def _decode(self, into: memoryview) -> int:
        before = self._stream.copy()  # 40 KB per 256 KiB of input
        try:
            out = self._stream.decompress(self._input, len(into))
        except zlib.error as error:
            out = self._until_damage(before, len(into))
            self._failure = self._damaged(error)
            into[: len(out)] = out
            return len(out)
        if self._stream.eof:
            left = self._stream.unused_data
            self._stream = None
        else:
            left = self._stream.unconsumed_tail
        self._input = self._input[len(self._input) - len(left) :]
        into[: len(out)] = out
        return len(out)

    def _until_damage(self, before: Any, most: int) -> bytes:
        """All that decodes: the most input that meets no damage, then the most output of the byte behind it."""
        given = _largest(len(self._input), lambda n: before.copy().decompress(self._input[:n], most))
        out: bytes = before.decompress(self._input[:given], most)
        self._input = self._input[given:]
        room = most - len(out)
        more = _largest(room, lambda n: before.copy().decompress(self._input[:1], n) if n else b"")
        return out + (before.decompress(self._input[:1], more) if more else b"")


def _largest(most: int, attempt: Callable[[int], bytes]) -> int:
    """The largest n below `most` for which the attempt meets no damage; 0 is taken to meet none."""
    good, bad = 0, most
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            attempt(middle)
        except zlib.error:
            bad = middle
        else:
            good = middle
    return good


class _Stepped(_Streams):
    """xz, lzma and bzip2, whose decoders cannot be copied: small steps, and a second pass to the damage."""

    def __init__(self, raw: RawBytes, name: str, step: int = _STEP) -> None:
        super().__init__(raw, name)
        self.step = step  # bytes asked for at once
        self.careful_from: int | None = None  # byte of the file from which they are taken one by one
        self._given = 0  # bytes handed out so far
        self._second: _Stepped | None = None

    def _most(self) -> int:
        if self.careful_from is None:
            return _CHUNK
        return max(1, min(_CHUNK, self.careful_from - self._raw.position))

    def _open_stream(self) -> Any:
        opener: dict[str, Callable[[], Any]] = {
            "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _LZMA_MEMORY),
            "lzma": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, _LZMA_MEMORY),
            "bzip2": bz2.BZ2Decompressor,
        }
        return opener[self._name]()

    def _decode(self, into: memoryview) -> int:
        if self._second is not None:
            return self._second.readinto(into)
        got = 0
        while got < len(into):
            try:
                out = self._stream.decompress(self._input, min(self.step, len(into) - got))
            except (lzma.LZMAError, OSError, EOFError) as error:
                return self._at_damage(error, got) or self._decode_second(into)
            self._input = self._input[:0]  # the decoder keeps what it did not need yet
            into[got : got + len(out)] = out
            got += len(out)
            self._given += len(out)
            if self._stream.eof:
                self._input = memoryview(self._stream.unused_data)
                self._stream = None
                break
            if not out:
                break
        return got

    def _at_damage(self, error: Exception, got: int) -> int:
        """Begin the second pass where there can be one, else say what is wrong; `got` bytes were good."""
        if self.step == 1 or not self._raw.rereadable:
            self._failure = self._damaged(error)
        else:
            self._second = _Stepped(RawBytes(self._raw.path), self._name)
            self._second.careful_from = self._raw.position - 2 * _CHUNK
            left, scratch = self._given, memoryview(bytearray(_CHUNK))
            while left and (n := self._second.readinto(scratch[: min(left, _CHUNK)])):
                left -= n
            self._second.step = 1
        return got

    def _decode_second(self, into: memoryview) -> int:
        return 0 if self._second is None else self._second.readinto(into)
