"""The packets behind rows of `flows`: read again from their captures, and written to pcapng as they are.

Tunnels stay whole. Packets come in the order of their capture, captures one after another. Each capture is checked
before anything is read and once it was, so that what is carved is what was indexed. What leaves a case is in its audit log.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import numpy as np
from numpy.typing import NDArray

from workbench import __version__
from workbench.audit.log import AuditLog
from workbench.decode.framing import Interface
from workbench.decode.pcapng_copy import DONE, NEEDS, NUMBER, STATE_SLOTS, TARGET_COLUMNS, UNIT, copy_packets
from workbench.errors import AuditError, DiskFullError, ExternalError, MissingPathError, UsageError
from workbench.export.pcapng import PcapngWriter
from workbench.records.visible import path_text
from workbench.workflows.captured import capture_paths, check_unchanged, find_capture
from workbench.workflows.frames import Cancel, Frame, Search, Side, file_name, read_frames
from workbench.workflows.ranges import Chunk
from workbench.workflows.wanted import wanted_flows

if TYPE_CHECKING:
    from workbench.store.reader import CaseReader

__all__ = ["CarveProgress", "CarveRequest", "CarveResult", "Frame", "Side", "carve", "carve_from", "read_frames", "searches"]

CarveSink = Callable[["CarveProgress"], None]

_OUT: Final = 4 << 20
#: What a file within the case's folder must be called: the case's own files are not.
_CAPTURES: Final = (".pcapng", ".pcap")
#: So much of what was asked for stands in the audit log.
_LISTED: Final = 1000


@dataclass(frozen=True, slots=True)
class CarveRequest:
    """Which packets: of flows by id, or of all that a filter matches (an empty one: all there are).

    side: whose packets. limit: at most so many, the first ones.
    """

    case: Path
    flow_ids: tuple[int, ...] = ()
    filter: str | None = None
    side: Side = "both"
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class CarveProgress:
    """How far carving is. done, total: bytes of the captures' ranges. skipping: a compressed file read through to its place."""

    done: int
    total: int
    packets: int
    source: str
    skipping: str = ""


@dataclass(frozen=True, slots=True)
class CarveResult:
    """What was carved. bytes: of the pcapng. notes: where it is not exactly what the index counted, and why."""

    packets: int
    flows: int
    bytes: int
    notes: tuple[str, ...] = ()


def carve(
    request: CarveRequest, out: BinaryIO | Path, progress: CarveSink | None = None, cancel: Cancel | None = None
) -> CarveResult:
    """Write the packets to `out`. A file appears under its name only once it is complete, and never in place of a capture
    or of a part of the case; a link stays a link; a pipe or device is written to as it is.

    UsageError, MissingPathError, DiskFullError; what `read_frames` raises, before anything is written; CancelledError.
    """
    from workbench.store.reader import CaseReader

    with CaseReader(request.case) as reader:
        return carve_from(reader, request, out, progress, cancel)


def carve_from(
    reader: CaseReader,
    request: CarveRequest,
    out: BinaryIO | Path,
    progress: CarveSink | None = None,
    cancel: Cancel | None = None,
) -> CarveResult:
    """As `carve`, for a case that is open already; `request.case` is not looked at."""
    found = searches(reader, request, cancel)
    if isinstance(out, Path):
        _refuse(reader, out)
        result = _carve_to(found, request, out, progress)
    else:
        result = _Carving(found, request.limit, out, progress).run()
    return _recorded(reader, request, out, result)


def _carve_to(found: list[Search], request: CarveRequest, out: Path, progress: CarveSink | None) -> CarveResult:
    try:
        if out.exists() and not out.is_file():
            with out.open("wb") as device:
                return _Carving(found, request.limit, device, progress).run()
        out = out.resolve()
        with tempfile.NamedTemporaryFile(dir=out.parent, prefix=f".{out.name[:40]}.", suffix=".part", delete=False) as part:
            try:
                result = _Carving(found, request.limit, cast("BinaryIO", part.file), progress).run()
                part.close()
                _as_created(Path(part.name))
                Path(part.name).replace(out)
            except BaseException:
                Path(part.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(f"{out}: no space left", "Free some space and run the command again.") from error
        raise MissingPathError(
            f"{out} cannot be written: {error.strerror}", "Name a file in a folder you can write to."
        ) from error
    return result


def _recorded(reader: CaseReader, request: CarveRequest, out: BinaryIO | Path, result: CarveResult) -> CarveResult:
    """Say in the case's audit log that packets left it; where that cannot be, as in a case of somebody else, say so here."""
    name = path_text(os.fspath(out.absolute())) if isinstance(out, Path) else "-"
    which = {"flows": list(request.flow_ids[:_LISTED])} if request.flow_ids else {"filter": (request.filter or "")[:_LISTED]}
    counts = {"flow_count": result.flows, "packets": result.packets, "bytes": result.bytes}
    try:
        AuditLog(reader.case.root).append("packets_carved", file=name, side=request.side, **which, **counts)
    except (AuditError, DiskFullError, ExternalError) as error:
        return replace(result, notes=(*result.notes, f"the case's audit log does not say that these were carved: {error}"))
    return result


def searches(reader: CaseReader, request: CarveRequest, cancel: Cancel | None = None) -> list[Search]:
    """One search a source. Every capture is checked here, before anything is read of any."""
    found = []
    for wanted in wanted_flows(reader, request.flow_ids, request.filter):
        capture = find_capture(reader, wanted.source_id, wanted.first, wanted.last)
        found.append(Search(wanted, capture, request.side, cancel))
    return found


def _as_created(part: Path) -> None:
    """Rights as any new file gets them."""
    mask = os.umask(0)
    os.umask(mask)
    part.chmod(0o666 & ~mask)


def _refuse(reader: CaseReader, out: Path) -> None:
    if out.is_dir() or out.is_block_device():
        raise UsageError(f"{out} is a {'folder' if out.is_dir() else 'disk'}", "Name a file.")
    whole = out.resolve()
    if whole.is_relative_to(reader.case.root.resolve()) and whole.suffix not in _CAPTURES:
        raise UsageError(
            f"{out} would be a part of the case itself", "Name a file outside the case's folder, or one ending in .pcapng."
        )
    if not out.exists():
        return
    for path in capture_paths(reader):
        if Path(path).exists() and out.samefile(path):
            raise UsageError(f"{out} is a capture of this case", "Write the packets to another file.")


@dataclass(slots=True)
class _Carving:
    """One run."""

    searches: list[Search]
    limit: int | None
    out: BinaryIO
    progress: CarveSink | None
    packets: int = 0
    total: int = 0
    notes: list[str] = field(default_factory=list)
    writer: PcapngWriter = field(init=False)
    room: NDArray[np.uint8] = field(default_factory=lambda: np.empty(_OUT, np.uint8))

    def run(self) -> CarveResult:
        self.writer = PcapngWriter(self.out, application=f"workbench {__version__}")
        self.total = sum(search.size for search in self.searches)
        for search in self.searches:
            with _closing(search):
                search.ranges.skipping = lambda path, how, search=search: self._tell(search, f"{path} ({how})")
                whole = self._source(search)
            check_unchanged(search.capture)  # else what was read may be neither the old file nor the new one
            self.notes += [f"{search.capture.path}: {note}" for note in search.ranges.notes]
            if not whole:
                break
            if told := search.differences():
                self.notes.append(f"{search.capture.path}: {told}")
        return CarveResult(self.packets, sum(s.wanted.count for s in self.searches), self.writer.bytes, tuple(self.notes))

    def _source(self, search: Search) -> bool:
        """All packets of one source; False where the limit was reached."""
        known: dict[tuple[Interface, str], int] = {}
        targets, of = np.zeros((0, TARGET_COLUMNS), np.int64), None
        for hits in search.hits():
            chunk, chosen = hits.chunk, hits.chosen
            if self.limit is not None:
                chosen = chosen[: self.limit - self.packets]
            if chunk.framer is not of or len(targets) != len(chunk.framer.interfaces):
                of, targets = chunk.framer, np.zeros((len(chunk.framer.interfaces), TARGET_COLUMNS), np.int64)
            if len(chosen):
                self._describe(chunk, chosen, search, known, targets)
                self._write(chunk, chosen, targets)
            self.packets += len(chosen)
            self._tell(search)
            if self.packets == self.limit:
                return False
        return True

    def _describe(
        self,
        chunk: Chunk,
        chosen: NDArray[np.int64],
        search: Search,
        known: dict[tuple[Interface, str], int],
        targets: NDArray[np.int64],
    ) -> None:
        """Describe those interfaces of these packets that were not yet; the files of a set may share one."""
        used = np.unique(chunk.frames["iface"][chosen])
        for number in used[targets[used, UNIT] == 0].tolist():
            interface = chunk.framer.interfaces[number]
            name = interface.name or file_name(search.capture, 0)
            if (interface, name) not in known:
                known[interface, name] = self.writer.interface(
                    interface.link_type, interface.snaplen, name, interface.description, interface.tsresol, interface.comments
                )
            target = known[interface, name]
            targets[number, NUMBER], targets[number, UNIT] = target, self.writer.unit(target)

    def _write(self, chunk: Chunk, chosen: NDArray[np.int64], targets: NDArray[np.int64]) -> None:
        state = np.zeros(STATE_SLOTS, np.int64)
        pcapng = chunk.framer.kind == "pcapng"
        first = 0
        while first < len(chosen):
            used = copy_packets(chunk.buf, chunk.frames, chunk.n, chosen, first, len(chosen), targets, pcapng, self.room, state)
            self.writer.blocks(memoryview(self.room)[:used])  # type: ignore[arg-type]
            first = int(state[DONE])
            if state[NEEDS] > len(self.room):
                self.room = np.empty(int(state[NEEDS]), np.uint8)

    def _tell(self, search: Search, skipping: str = "") -> None:
        if self.progress is not None:
            done = sum(s.ranges.bytes_read for s in self.searches)
            self.progress(CarveProgress(min(done, self.total), self.total, self.packets, search.capture.path, skipping))


@contextmanager
def _closing(search: Search) -> Iterator[None]:
    try:
        yield
    finally:
        search.close()
