"""Bytes of a file from any place on, decompressed: what was indexed once is read again in parts.

A plain file is entered where it is wanted. Of a compressed one everything before that is decompressed and dropped, in
bounded memory; going back begins again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from workbench.errors import SourceError
from workbench.sources.bytes import ByteReader, open_bytes

#: Bytes dropped at once on the way to a place, between two looks at whether to go on.
_STEP: Final = 1 << 20


class SeekingBytes:
    """One file, to be read at rising offsets (others cost more). Closed by whoever opened it.

    plain: whether it lies on disk as it is read. position: offset of the next byte, decompressed.
    """

    def __init__(self, path: str) -> None:
        """Raises what `open_bytes` raises."""
        self._path = path
        self._reader: ByteReader | None = open_bytes(path)
        self.plain = self._reader.plain
        self.compression = self._reader.compression
        self.position = 0
        self._fd = -1
        if self.plain:
            self._reader.close()
            self._reader = None
            self._fd = os.open(Path(path), os.O_RDONLY | os.O_CLOEXEC)

    def seek(self, to: int, stop: Callable[[], bool] | None = None) -> bool:
        """Go to an offset. False where `stop` said so on the way, or the file ends before it. SourceError as reading."""
        if self.plain:
            self.position = to
            return True
        assert self._reader is not None
        if to < self.position:
            self._reader.close()
            self._reader = open_bytes(self._path)
            self.position = 0
        scratch = memoryview(bytearray(min(_STEP, max(1, to - self.position))))
        while self.position < to:
            if stop is not None and stop():
                return False
            n = self._reader.readinto(scratch[: min(len(scratch), to - self.position)])
            if n == 0:
                return False
            self.position += n
        return True

    def readinto(self, into: memoryview) -> int:
        """Fill the start of `into`; 0 at the end. SourceError where the data is damaged or cannot be read."""
        if self._reader is not None:
            n = self._reader.readinto(into)
        else:
            try:
                n = os.preadv(self._fd, [into], self.position)
            except OSError as error:
                why = f"{self._path}: reading failed at byte {self.position}: {error.strerror}"
                raise SourceError(why, "Check the disk or copy the file again.") from error
        self.position += n
        return n

    def close(self) -> None:
        """Give the file back; more than once does no harm."""
        if self._reader is not None:
            self._reader.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
