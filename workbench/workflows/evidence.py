"""Packets of a live source kept as they are decoded: pcapng files whose records are where the index says they are.

Each packet becomes one block without options, its application payload zeroed unless it is to be kept; nothing else of what
the capturing program wrote gets in (no secrets, names, comments). The files one behind another are the source whose offsets
flows carry: the first record of the second file stands behind the first file's last byte and the second's own header.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import io
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import numpy as np
from numpy.typing import NDArray

from workbench import __version__
from workbench.decode.blanking import AROUND, blank_payloads
from workbench.decode.framing import Interface
from workbench.decode.pcapng_copy import DONE, NUMBER, STATE_SLOTS, TARGET_COLUMNS, UNIT, copy_packets
from workbench.errors import InternalError
from workbench.export.pcapng import PcapngWriter
from workbench.records.reasons import LedgerLine

_FIRST_ROOM: Final = 4 << 20
#: Seconds after a failure until a new file is tried: somebody may have made room.
_AGAIN: Final = 30.0
#: Failures that are told one by one.
_TOLD: Final = 5
#: Characters of an interface's name that are kept.
_NAME: Final = 64


@dataclass(frozen=True, slots=True)
class EvidencePlan:
    """Where and how evidence is kept. folder: of the case; None = not at all. A file ends at its size or age.

    keep_payload: packets as they were; only with a reason that is in the audit log.
    """

    folder: str | None
    file_bytes: int = 64 << 20
    file_seconds: float = 600.0
    keep_payload: bool = False


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """A file of the ring. done: nothing is added any more; bytes and mtime_ns are then what they stay.

    first_offset: of its first byte in the source. ts_last: ns, of the latest packet in it.
    """

    n: int
    path: str
    first_offset: int
    bytes: int
    ts_last: int
    done: bool = False
    mtime_ns: int | None = None
    sha256: str | None = None


class _Hashing(io.RawIOBase):
    """Writes to a file and to its hash."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.sha256 = hashlib.sha256()

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            done += self.put(view[done:])
        self.sha256.update(view)
        return done

    def put(self, view: memoryview) -> int:
        """As much of it as the disk takes at once."""
        return self.file.write(view) or 0


class Evidence:
    """Writes the ring's files; removes none. told: called with what became of a file whenever one begins or ends."""

    def __init__(self, plan: EvidencePlan, source_id: int, told: Callable[[EvidenceFile], None]) -> None:
        self.plan = plan
        self.failed: str | None = None  # why nothing is kept just now
        self.missed = 0  # packets that were not kept for that
        self.offset = 0  # of the source: behind the last byte
        self.header = 0  # source offset of the present file's first byte
        self.interfaces = 0
        self._source_id = source_id
        self._told = told
        self._writer: PcapngWriter | None = None
        self._out: _Hashing | None = None
        self._file: EvidenceFile | None = None
        self._targets = np.zeros((0, TARGET_COLUMNS), np.int64)
        self._until = 0.0
        self._again_at = 0.0
        self._failures: list[tuple[str, str]] = []  # when each began, and with its end what it was
        self._n = 0
        self._room = np.empty(_FIRST_ROOM, np.uint8)
        self._state = np.zeros(STATE_SLOTS, np.int64)

    @property
    def on(self) -> bool:
        """Whether packets are being kept."""
        return self.plan.folder is not None and self.failed is None

    def take(
        self,
        data: NDArray[np.uint8],
        frames: NDArray[Any],
        packets: NDArray[Any],
        n: int,
        interfaces: list[Interface],
    ) -> NDArray[np.int64]:
        """Keep frames[:n] of `data`; where each of them then stands in the source. What cannot be written is lost, and told."""
        if self.failed is not None and time.monotonic() >= self._again_at:
            self._try_again()
        if self._file is None or self._full():
            self._begin()
        self._describe(interfaces)
        lengths = AROUND + ((frames["cap"][:n].astype(np.int64) + 3) & ~3)
        ends = np.cumsum(lengths)
        places: NDArray[np.int64] = self.offset + ends - lengths
        total = int(ends[-1]) if n else 0
        if self.on:
            self._write(data, frames, packets, n, total)
        if not self.on and self.plan.folder is not None:
            self.missed += n
        self.offset += total
        return places

    def end(self) -> None:
        """The present file is complete."""
        file, out = self._file, self._out
        if file is None or out is None:
            return
        self._file = self._writer = self._out = None
        if not file.path:
            return
        try:
            out.file.close()
            status = Path(file.path).stat()
        except OSError as error:
            self._fail(error)
            return
        self._told(replace(file, bytes=status.st_size, done=True, mtime_ns=status.st_mtime_ns, sha256=out.sha256.hexdigest()))

    def ledger(self) -> list[LedgerLine]:
        """What could not be kept, when and why."""
        if not self._failures:
            return []
        told = [f"{since} to {rest}" if rest else f"since {since}: {self.failed}" for since, rest in self._failures[:_TOLD]]
        more = [f"and {len(self._failures) - _TOLD} more"] if len(self._failures) > _TOLD else []
        return [LedgerLine("evidence_failed", self.missed, (), "; ".join(told + more))]

    def _try_again(self) -> None:
        """Go on with a new file: where that fails, too, it is the same failure."""
        why, self.failed = self.failed, None
        self.end()
        self._begin()
        if self.on:
            since, _ = self._failures[-1]
            self._failures[-1] = (since, f"{_now()}: {why}")

    def _full(self) -> bool:
        return self.offset - self.header >= self.plan.file_bytes or time.monotonic() >= self._until

    def _begin(self) -> None:
        """Begin the next file; where evidence is off its header is only counted."""
        self.end()
        self.header = self.offset
        self.interfaces = 0
        self._until = time.monotonic() + self.plan.file_seconds
        path, out = self._open() if self.on else ("", io.BytesIO())
        self._out = _Hashing(out)
        self._file = EvidenceFile(self._n, path, self.header, 0, 0)
        try:
            self._writer = PcapngWriter(cast("BinaryIO", self._out), application=f"workbench {__version__}")
        except OSError as error:
            self._fail(error)
            self._begin()
            return
        self.offset += self._writer.bytes
        self._n += 1
        if path:
            self._told(self._file)

    def _open(self) -> tuple[str, BinaryIO]:
        """The next file, which must not be there yet; where there can be none, its place in memory."""
        path = Path(self.plan.folder or "") / f"{self._source_id:04d}-{self._n:06d}.pcapng"
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            return str(path), os.fdopen(fd, "wb", buffering=0)
        except OSError as error:
            self._fail(error)
            return "", io.BytesIO()

    def _describe(self, interfaces: list[Interface]) -> None:
        """Describe what came since in the present file. A stream may describe thousands, each behind the packets of others."""
        if len(self._targets) < len(interfaces):
            grown = np.zeros((2 * len(interfaces), TARGET_COLUMNS), np.int64)
            grown[: len(self._targets)] = self._targets
            self._targets = grown
        while self.interfaces < len(interfaces):
            assert self._writer is not None
            interface = interfaces[self.interfaces]
            before = self._writer.bytes
            try:
                number = self._writer.interface(
                    interface.link_type, interface.snaplen, interface.name[:_NAME], "", interface.tsresol
                )
            except OSError as error:
                self._fail(error)
                self._begin()
                continue
            self._targets[self.interfaces, NUMBER] = number
            self._targets[self.interfaces, UNIT] = self._writer.unit(number)
            self.interfaces += 1
            self.offset += self._writer.bytes - before

    def _write(self, data: NDArray[np.uint8], frames: NDArray[Any], packets: NDArray[Any], n: int, total: int) -> None:
        if len(self._room) < total:
            self._room = np.empty(total, np.uint8)
        state = self._state
        made = int(copy_packets(data, frames, n, np.arange(n), 0, n, self._targets, False, self._room, state))
        if made != total or state[DONE] != n:
            raise InternalError(f"evidence of {n} packets has {made} bytes instead of {total}", "evidence.py")
        if not self.plan.keep_payload:
            blank_payloads(frames, packets, n, self._room)
        assert self._writer is not None
        assert self._file is not None
        try:
            self._writer.blocks(self._room[:total].data)
        except OSError as error:
            self._fail(error)
            return
        self._file = replace(self._file, ts_last=max(self._file.ts_last, int(frames["ts"][:n].max())) if n else 0)

    def _fail(self, error: OSError) -> None:
        """From here on packets are only indexed, until there is room again: a full disk must not stop that."""
        self.failed = f"{error.strerror}"
        self._again_at = time.monotonic() + _AGAIN
        if not self._failures or self._failures[-1][1]:
            self._failures.append((_now(), ""))
        file, out, self._file, self._out, self._writer = self._file, self._out, None, None, None
        if out is None:
            return
        whole = self.offset - self.header  # what stands behind that is a part of a packet
        with contextlib.suppress(OSError):
            if file is not None and file.path:
                out.file.truncate(whole)
            out.file.close()
        if file is None or not file.path:
            return
        if not whole:
            Path(file.path).unlink(missing_ok=True)
            return
        with contextlib.suppress(OSError):
            status = Path(file.path).stat()
            self._told(replace(file, done=True, bytes=status.st_size, mtime_ns=status.st_mtime_ns, sha256=out.sha256.hexdigest()))


def _now() -> str:
    return f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
