"""Bytes of one file, FIFO or standard input in order, decompressed; what it is is told by its magic.

A plain file is read straight into the caller's buffer. A compressed one is streamed in bounded memory,
whatever it would expand to. Damage never costs bytes that were good: everything that decompresses is
handed out first, then SourceError says where it stopped.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable
from typing import Final, Protocol

from workbench.errors import MissingPathError, SourceError, UsageError

OnRaw = Callable[[memoryview], object]

#: Bytes that tell every format that is known apart.
MAGIC_BYTES: Final = 16
_FD_FOLDER: Final = "/dev/fd/"


class Decoder(Protocol):
    """Decompression of one format over a RawBytes."""

    def readinto(self, into: memoryview, /) -> int:
        """Fill the start of `into`; 0 at the end; SourceError behind the last good byte."""


class RawBytes:
    """The bytes as they lie on disk, with the first ones to be looked at beforehand.

    position: bytes taken so far. size: bytes from where reading began to the end, None where that is
    unknown (a pipe). rereadable: opening the path again gives the same bytes from the start; mtime_ns: when
    such a file was changed. on_raw sees every byte once, in order, as it is read.
    """

    def __init__(self, path: str, on_raw: OnRaw | None = None) -> None:
        self.path = path
        self.on_raw = on_raw
        self.position = 0
        self.mtime_ns: int | None = None
        self._file = _open(path)
        fd = self._file.fileno()
        status = os.fstat(fd)
        try:
            _refuse_unreadable(path, status)
            if stat.S_ISREG(status.st_mode):
                start = os.lseek(fd, 0, os.SEEK_CUR)
                self.size: int | None = max(0, status.st_size - start)
                self.head = os.pread(fd, MAGIC_BYTES, start)
                self.rereadable = path != "-" and not path.startswith(_FD_FOLDER)
                self.mtime_ns = status.st_mtime_ns if self.rereadable else None
                self._ahead = b""
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
            else:
                self.size = None
                self.rereadable = False
                self.head = self._ahead = self._peek()
        except OSError as error:
            self._file.close()
            raise self._failed(error) from error
        except BaseException:
            self._file.close()
            raise

    def readinto(self, view: memoryview) -> int:
        """Fill the start of `view`; 0 at the end. Raises SourceError where the system cannot read on."""
        if self._ahead:
            n = min(len(self._ahead), len(view))
            view[:n] = self._ahead[:n]
            self._ahead = self._ahead[n:]
        else:
            try:
                n = self._file.readinto(view) or 0
            except OSError as error:
                raise self._failed(error) from error
        if n and self.on_raw is not None:
            self.on_raw(view[:n])
        self.position += n
        return n

    def close(self) -> None:
        """Give the file back; more than once does no harm."""
        self._file.close()

    def _peek(self) -> bytes:
        """The first bytes of something that cannot be read twice."""
        head = b""
        while len(head) < MAGIC_BYTES and (more := self._file.read(MAGIC_BYTES - len(head))):
            head += more
        return head

    def _failed(self, error: OSError) -> SourceError:
        return SourceError(
            f"{self.path}: reading failed at byte {self.position}: {error.strerror}", "Check the disk or copy the file again."
        )


class ByteReader:
    """What open_bytes gives.

    plain: the bytes are handed out as they lie on disk. compression: name of the format, None for
    plain. raw_position, raw_size: progress in bytes on disk; raw_size is None for a pipe.
    """

    def __init__(self, raw: RawBytes, compression: str | None, decoder: Decoder | None) -> None:
        self.compression = compression
        self.plain = decoder is None
        self._raw = raw
        self._decoder: Decoder | RawBytes = decoder or raw

    def readinto(self, into: memoryview, /) -> int:
        """Fill the start of `into` with the next bytes; 0 at the end.

        Raises SourceError where the data is damaged or cut, or cannot be read; never before every good
        byte in front of that was handed out.
        """
        return self._decoder.readinto(into)

    @property
    def raw_position(self) -> int:
        """Bytes read from disk so far."""
        return self._raw.position

    @property
    def mtime_ns(self) -> int | None:
        """When the file was changed, ns since 1970; None for what cannot be opened again."""
        return self._raw.mtime_ns

    @property
    def raw_size(self) -> int | None:
        """Bytes on disk; None where only the end will tell."""
        return self._raw.size

    def close(self) -> None:
        """Give the file back; more than once does no harm."""
        self._raw.close()


def open_bytes(path: str, on_raw: OnRaw | None = None) -> ByteReader:
    """Open a file, a FIFO, `/dev/fd/N` or `-` (standard input) for reading from where it stands.

    on_raw: called with each piece of a compressed file as it lies on disk (for its hash); a plain
    file's bytes are what readinto gives, so it is not called. The piece is only valid during the call.
    Raises MissingPathError for what does not exist or may not be read, UsageError for a folder, a disk
    or a terminal, SourceError where the first bytes cannot be read or are of a kind that is not taken.
    """
    raw = RawBytes(path)
    compression = compression_of(raw.head)
    if compression is None:
        return ByteReader(raw, None, None)
    raw.on_raw = on_raw
    return ByteReader(raw, compression, _decoder(compression, raw))


def compression_of(head: bytes) -> str | None:
    """The compression whose magic these first bytes are (at least MAGIC_BYTES, or all there are)."""
    if head[:2] == b"\x1f\x8b":
        return "gzip"
    if head[:4] == b"\x28\xb5\x2f\xfd" or (head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50):
        return "zstd"  # RFC 8878, also behind a skippable frame
    if head[:6] == b"\xfd7zXZ\x00":
        return "xz"
    if head[:4] == b"\x04\x22\x4d\x18":
        return "lz4"
    if head[:3] == b"BZh" and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
        return "bzip2"
    # The old .lzma has no magic: its usual properties byte, and a size that is unknown or below 2^48.
    if head[:3] == b"\x5d\x00\x00" and (head[5:13] == b"\xff" * 8 or (len(head) >= 13 and head[11:13] == b"\x00\x00")):
        return "lzma"
    return None


def _decoder(compression: str, raw: RawBytes) -> Decoder:
    """Formats load their library only where they are met."""
    if compression in ("zstd", "lz4"):
        from workbench.sources import compressed_blocks

        return compressed_blocks.decoder(compression, raw)
    from workbench.sources import compressed_streams

    return compressed_streams.decoder(compression, raw)


def _open(path: str) -> io.FileIO:
    try:
        if path == "-":
            return io.FileIO(os.dup(0), "rb")
        if path.startswith(_FD_FOLDER) and path[len(_FD_FOLDER) :].isdigit():
            return io.FileIO(os.dup(int(path[len(_FD_FOLDER) :])), "rb")
        return io.FileIO(path, "rb")
    except IsADirectoryError as error:
        raise UsageError(f"{path} is a folder", "Name the files in it, or index the folder.") from error
    except FileNotFoundError as error:
        raise MissingPathError(f"{path} does not exist", "Check the path.") from error
    except OSError as error:
        raise MissingPathError(f"{path} cannot be opened: {error.strerror}", "Check the path and its permissions.") from error


def _refuse_unreadable(path: str, status: os.stat_result) -> None:
    """What opens but holds no capture to be read."""
    if stat.S_ISDIR(status.st_mode):
        raise UsageError(f"{path} is a folder", "Name the files in it, or index the folder.")
    if stat.S_ISBLK(status.st_mode):
        raise UsageError(f"{path} is a disk", "Mount it and name the captures on it.")
    if path == "-" and stat.S_ISCHR(status.st_mode) and os.isatty(0):
        raise UsageError("standard input is a terminal", "Pipe a capture into it, or name a file.")
