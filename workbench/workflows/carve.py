"""The packets behind rows of `flows`: read again from their captures, and written to pcapng as they are.

Tunnels stay whole. Packets come in the order of their capture, captures one after another. Each capture is checked
before anything is read, so that what is carved is what was indexed.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, cast

import numpy as np
from numpy.typing import NDArray

from workbench import __version__
from workbench.decode.framing import Interface
from workbench.decode.pcapng_copy import DONE, NEEDS, NUMBER, STATE_SLOTS, TARGET_COLUMNS, UNIT, copy_packets
from workbench.errors import DiskFullError, MissingPathError, UsageError
from workbench.export.pcapng import PcapngWriter
from workbench.flows.match import FlowMatcher
from workbench.records.visible import visible
from workbench.workflows.captured import Capture, capture_paths, find_capture
from workbench.workflows.ranges import CHUNK, Chunk, RangeReader, spans_of
from workbench.workflows.wanted import Wanted, wanted_flow, wanted_flows

if TYPE_CHECKING:
    from workbench.store.reader import CaseReader

Side = Literal["both", "src", "dst"]
Cancel = Callable[[], bool]
CarveSink = Callable[["CarveProgress"], None]

_SIDES: Final = {"src": 1, "dst": 2, "both": 3}
_OUT: Final = 4 << 20


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


@dataclass(frozen=True, slots=True)
class Frame:
    """One packet behind a row.

    number: in its source, from 1. offset: of its record in the joined, decompressed source. interface: its name, or the file's.
    from_src: sent by the flow's originator. payload_at: where application payload begins in `data` (`captured` where none was
    captured); what is behind it, padding and trailers too, counts as payload.
    """

    number: int
    source_id: int
    flow_id: int
    ts_ns: int
    offset: int
    captured: int
    wire: int
    link_type: int
    interface: str
    from_src: bool
    payload_at: int
    data: bytes
    comments: tuple[str, ...] = ()


def read_frames(
    reader: CaseReader,
    flow_id: int,
    *,
    side: Side = "both",
    start: int = 0,
    limit: int | None = None,
    cancel: Cancel | None = None,
) -> Iterator[Frame]:
    """The packets of one flow, in the order of the capture, as they are found; `start`: how many to leave out first.

    UsageError for a flow that the case does not have; CaptureGoneError, CaptureChangedError; CancelledError.
    """
    wanted = wanted_flow(reader, flow_id)
    capture = find_capture(reader, wanted.source_id, wanted.first, wanted.last)
    ranges = RangeReader(capture, cancel)
    matcher = FlowMatcher(wanted.ends, capture.key_scope, _SIDES[side])
    chosen, found = np.empty(CHUNK, np.int64), np.empty(CHUNK, np.int64)
    left = limit
    try:
        for chunk in ranges.chunks(spans_of(capture, wanted.blocks, wanted.first, wanted.last)):
            m = matcher.match(chunk.packets, chunk.n, chunk.base, chosen, found)
            for k in range(m):
                if start:
                    start -= 1
                    continue
                if left is not None:
                    if left <= 0:
                        return
                    left -= 1
                yield _frame(chunk, int(chosen[k]), capture, flow_id, from_src=not found[k] & 1)
            if left == 0:
                return
    finally:
        ranges.close()


def _frame(chunk: Chunk, i: int, capture: Capture, flow_id: int, *, from_src: bool) -> Frame:
    frame, packet = chunk.frames[i], chunk.packets[i]
    at, captured = int(frame["off"]), int(frame["cap"])
    interface = chunk.framer.interfaces[int(frame["iface"])]
    data = chunk.buf[at : at + captured].tobytes()
    return Frame(
        number=chunk.number + i,
        source_id=capture.source_id,
        flow_id=flow_id,
        ts_ns=int(frame["ts"]),
        offset=chunk.base + int(frame["rec"]),
        captured=captured,
        wire=int(frame["wire"]),
        link_type=int(frame["link"]),
        interface=visible(interface.name) or file_name(capture, chunk.file),
        from_src=from_src,
        payload_at=_payload_at(packet, at, captured, data),
        data=data,
        comments=_comments(chunk, i),
    )


def _payload_at(packet: Any, at: int, captured: int, data: bytes) -> int:
    """Where the payload begins. A TCP header that contradicts itself counts as one of 20 bytes, and the rest as payload."""
    begins = int(packet["pay"]) - at
    if packet["proto"] == 6 and packet["flags"] == 0 and packet["payload"] == 0 and packet["frag_key"] == 0:
        ip = begins - int(packet["ip_bytes"])
        if 0 <= ip < captured:
            begins = min(begins, ip + (4 * (data[ip] & 15) if packet["version"] == 4 else 40) + 20)
    return max(0, min(begins, captured))


def _comments(chunk: Chunk, i: int) -> tuple[str, ...]:
    """Comments among the options of a packet's block, as they stand there."""
    if chunk.framer.kind != "pcapng":
        return ()
    frame = chunk.frames[i]
    rec, behind = int(frame["rec"]), int(frame["off"]) + (int(frame["cap"]) + 3 & ~3)
    head = chunk.buf[rec : rec + 8].tobytes()
    order: Literal["little", "big"] = "little" if head[1:4] == b"\0\0\0" else "big"
    kind, end = int.from_bytes(head[:4], order), rec + int.from_bytes(head[4:], order) - 4
    body = chunk.buf[behind:end].tobytes() if kind in (2, 6) else b""
    comments, at = [], 0
    while at + 4 <= len(body):
        code, length = (int.from_bytes(body[at + n : at + n + 2], order) for n in (0, 2))
        if code == 0 or at + 4 + length > len(body):
            break
        if code == 1:
            comments.append(body[at + 4 : at + 4 + length].decode("utf-8", "replace"))
        at += 4 + (length + 3 & ~3)
    return tuple(comments)


def file_name(capture: Capture, file: int) -> str:
    """The name of a source's file, as text that can be shown."""
    return visible(os.fsencode(Path(capture.files[file].path).name).decode("utf-8", "replace"))


def carve(
    request: CarveRequest, out: BinaryIO | Path, progress: CarveSink | None = None, cancel: Cancel | None = None
) -> CarveResult:
    """Write the packets to `out`. A file appears under its name only once it is complete, and never in place of a capture.

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
    groups = wanted_flows(reader, request.flow_ids, request.filter)
    captures = [find_capture(reader, w.source_id, w.first, w.last) for w in groups]
    if not isinstance(out, Path):
        return _Carving(groups, captures, request, out, progress, cancel).run()
    _refuse_captures(reader, out)
    try:
        with tempfile.NamedTemporaryFile(dir=out.parent, prefix=f".{out.name[:40]}.", suffix=".part", delete=False) as part:
            try:
                result = _Carving(groups, captures, request, cast("BinaryIO", part.file), progress, cancel).run()
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


def _as_created(part: Path) -> None:
    """Rights as any new file gets them."""
    mask = os.umask(0)
    os.umask(mask)
    part.chmod(0o666 & ~mask)


def _refuse_captures(reader: CaseReader, out: Path) -> None:
    if out.is_dir():
        raise UsageError(f"{out} is a folder", "Name a file.")
    if not out.exists():
        return
    for path in capture_paths(reader):
        if Path(path).exists() and out.samefile(path):
            raise UsageError(f"{out} is a capture of this case", "Write the packets to another file.")


@dataclass(slots=True)
class _Carving:
    """One run."""

    groups: list[Wanted]
    captures: list[Capture]
    request: CarveRequest
    out: BinaryIO
    progress: CarveSink | None
    cancel: Cancel | None
    packets: int = 0
    done: int = 0
    total: int = 0
    notes: list[str] = field(default_factory=list)
    writer: PcapngWriter = field(init=False)
    room: NDArray[np.uint8] = field(default_factory=lambda: np.empty(_OUT, np.uint8))

    def run(self) -> CarveResult:
        self.writer = PcapngWriter(self.out, application=f"workbench {__version__}")
        plans = [spans_of(c, w.blocks, w.first, w.last) for w, c in zip(self.groups, self.captures, strict=True)]
        self.total = sum(span.last - span.first for plan in plans for span in plan)
        for wanted, capture, spans in zip(self.groups, self.captures, plans, strict=True):
            ranges = RangeReader(capture, self.cancel, lambda path, how: self._tell(capture, f"{how} {path}"))  # noqa: B023
            try:
                whole = self._source(wanted, capture, ranges.chunks(spans))
            finally:
                ranges.close()
            self.notes += [f"{capture.path}: {note}" for note in ranges.notes]
            if not whole:
                break
        return CarveResult(self.packets, sum(w.count for w in self.groups), self.writer.bytes, tuple(self.notes))

    def _source(self, wanted: Wanted, capture: Capture, chunks: Iterator[Chunk]) -> bool:
        """All packets of one source; False where the limit was reached."""
        matcher = FlowMatcher(wanted.ends, capture.key_scope, _SIDES[self.request.side])
        chosen, found = np.empty(CHUNK, np.int64), np.empty(CHUNK, np.int64)
        interfaces: dict[tuple[Interface, str], int] = {}
        targets, of = np.zeros((0, TARGET_COLUMNS), np.int64), None
        for chunk in chunks:
            m = matcher.match(chunk.packets, chunk.n, chunk.base, chosen, found)
            if self.request.limit is not None:
                m = min(m, self.request.limit - self.packets)
            if chunk.framer is not of or len(targets) != len(chunk.framer.interfaces):
                of, targets = chunk.framer, np.zeros((len(chunk.framer.interfaces), TARGET_COLUMNS), np.int64)
            if m:
                self._describe(chunk, chosen[:m], capture, interfaces, targets)
                self._write(chunk, chosen, m, targets)
            self.packets += m
            self._tell(capture)
            if self.packets == self.request.limit:
                return False
        self._compare(wanted, capture, matcher)
        return True

    def _describe(
        self,
        chunk: Chunk,
        chosen: NDArray[np.int64],
        capture: Capture,
        known: dict[tuple[Interface, str], int],
        targets: NDArray[np.int64],
    ) -> None:
        """Describe those interfaces of these packets that were not yet; the files of a set may share one."""
        used = np.unique(chunk.frames["iface"][chosen])
        for number in used[targets[used, UNIT] == 0].tolist():
            interface = chunk.framer.interfaces[number]
            name = interface.name or file_name(capture, chunk.file if chunk.framer.kind == "pcapng" else 0)
            if (interface, name) not in known:
                known[interface, name] = self.writer.interface(
                    interface.link_type, interface.snaplen, name, interface.description, interface.tsresol, interface.comments
                )
            target = known[interface, name]
            targets[number, NUMBER], targets[number, UNIT] = target, self.writer.unit(target)

    def _write(self, chunk: Chunk, chosen: NDArray[np.int64], m: int, targets: NDArray[np.int64]) -> None:
        state = np.zeros(STATE_SLOTS, np.int64)
        pcapng = chunk.framer.kind == "pcapng"
        first = 0
        while first < m:
            used = copy_packets(chunk.buf, chunk.frames, chunk.n, chosen, first, m, targets, pcapng, self.room, state)
            self.writer.blocks(memoryview(self.room)[:used])  # type: ignore[arg-type]
            first = int(state[DONE])
            if state[NEEDS] > len(self.room):
                self.room = np.empty(int(state[NEEDS]), np.uint8)

    def _compare(self, wanted: Wanted, capture: Capture, matcher: FlowMatcher) -> None:
        """The number of packets found of each flow must be what the index counted."""
        rows = matcher.rows
        src, dst = wanted.src_pkts[matcher.order], wanted.dst_pkts[matcher.order]
        other = np.flatnonzero((rows["src_seen"] != src) | (rows["dst_seen"] != dst))
        if not len(other):
            return
        i = int(other[0])
        have, want = int(rows["src_seen"][i] + rows["dst_seen"][i]), int(src[i] + dst[i])
        self.notes.append(
            f"{capture.path}: {len(other)} of {len(rows)} flows have other numbers of packets than the index counted"
            f" (flow {int(wanted.flow_ids[matcher.order[i]])}: {have:,} found, {want:,} counted)"
        )

    def _tell(self, capture: Capture, skipping: str = "") -> None:
        if self.progress is not None:
            self.progress(CarveProgress(self.done, self.total, self.packets, capture.path, skipping))
