"""The decoding process: one source after another, bytes in, column batches out.

It owns nothing that matters: whatever it sent is the parent's, and a death costs at most the range it
was reading. It never loads the database engine. Everything it does is a function of the bytes and the
job alone, so a second attempt sends the same batches in the same order and can leave out those that
arrived the first time.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Final

from workbench.errors import WorkbenchError
from workbench.records.reasons import LedgerLine
from workbench.settings import FlowSettings

if TYPE_CHECKING:  # the parent imports this module before it spawns anything: nothing heavy at its top
    import pyarrow as pa

    from workbench.decode.framing import Framer
    from workbench.sources.bytes import ByteReader
    from workbench.workflows.collect_worker import CollectRun
    from workbench.workflows.live_worker import LiveRun
    from workbench.workflows.selection import Selection

#: Ended flows are shipped by this many rows: large enough to amortise, small enough to stay flat.
BATCH_ROWS: Final = 65_536
#: Shipments the parent has not yet stored; past that the worker waits (back-pressure).
IN_FLIGHT: Final = 3
SNAPSHOT_SECONDS: Final = 1.0
#: How long a thread of the worker may keep the interpreter while another wants it. Kernels run without it and need it for
#: microseconds between two chunks; readers of application protocols would keep it for the usual 5 ms each time.
_SWITCH_SECONDS: Final = 0.0002


#: Bytes of a file that make it likely that most protocols are in it.
_LARGE: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Job:
    """One source to index. skip: shipments the parent has from an earlier attempt that died.

    stop_at: source offset before which to stop, where earlier attempts died; None = read to the end. hash_key: the case's
    key for what names people.
    bpf: the capture filter, already checked; None = everything. snapshots: send the open flows each second, for a screen.
    telemetry: None for packets; '' for telemetry of any format, else the format asked for. active: its active timeout, s.
    """

    source_id: int
    paths: tuple[str, ...]
    sensor: str
    hash: bool
    flows: FlowSettings
    hash_key: bytes = b""
    bpf: str | None = None
    snapshots: bool = False
    skip: int = 0
    stop_at: int | None = None
    telemetry: str | None = None
    active: float = 60.0


@dataclass(frozen=True, slots=True)
class NewSource:
    """Another exporter of a telemetry job was met: it is a source of its own, whose number (an int) is the answer.

    n: counts from 0 within the job, in the same order in every attempt.
    """

    n: int
    kind: str
    sensor: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Progress: bytes of the files on disk that were read, the source offset, packets, flows."""

    raw: int
    offset: int
    packets: int
    flows: int


@dataclass(slots=True)
class FileReport:
    """One file of the source, as read. bytes: its size on disk; mtime_ns: when it was changed, before reading."""

    path: str
    first_offset: int
    bytes: int | None = None
    sha256: str | None = None
    mtime_ns: int | None = None


@dataclass(slots=True)
class Report:
    """What became of a source. error: what stopped it, None where it was read to its end.

    frames: records read; packets: those of them that the capture filter lets through. others: the reports of the job's other
    sources, where it had several (telemetry).
    """

    source_id: int
    kind: str = ""
    files: list[FileReport] = field(default_factory=list)
    links: list[int] = field(default_factory=list)
    snaplens: list[int] = field(default_factory=list)
    dropped: int | None = None
    frames: int = 0
    packets: int = 0
    flows: int = 0
    ts_first: int | None = None
    ts_last: int | None = None
    lines: list[LedgerLine] = field(default_factory=list)
    error: WorkbenchError | None = None
    cancelled: bool = False
    others: list[Report] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Ready:
    """The kernels are loaded (or compiled) and the first source is being read."""


@dataclass(frozen=True, slots=True)
class Crashed:
    """The worker ends because of a fault of its own. loading: before it could take a single packet."""

    what: str
    where: str
    loading: bool


class _Stopped(Exception):  # noqa: N818  control flow inside this module, never an error
    """The parent cancelled, or the offset to stop before was reached."""


class _Opened:
    """A file being read ahead and hashed: started before the kernels load, since both take a moment."""

    def __init__(self, path: str, conn: Connection[Any, Any], *, sha256: bool) -> None:
        from workbench.sources.blocks import Blocks
        from workbench.sources.bytes import open_bytes

        self._raw_hash = hashlib.sha256()
        actual = f"/dev/fd/{reduction.recv_handle(conn)}" if path == "-" else path
        # A compressed file is hashed as it lies on disk, by its reader; a plain one block by block.
        self.reader: ByteReader = open_bytes(actual, on_raw=self._raw_hash.update if sha256 else None)
        self.blocks = Blocks(self.reader, sha256=sha256 and self.reader.plain)
        self._sha256 = sha256

    def digest(self) -> str | None:
        if not self._sha256:
            return None
        return self.blocks.digest() if self.reader.plain else self._raw_hash.hexdigest()

    def close(self) -> None:
        self.blocks.close()
        self.reader.close()


def main(conn: Connection[Any, Any]) -> None:
    """Serve jobs until the parent says stop or is gone."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    loading = threading.Thread(target=_load_kernels, name="kernels", daemon=True)
    loading.start()
    run: Run | LiveRun | CollectRun | None = None
    try:
        while (message := conn.recv()) is not None:
            if isinstance(message, Job):
                run = _run_of(conn, message, loading)
                run.run()
            elif not isinstance(message, str | int):  # words and numbers answer a job that is over
                run = _live_run_of(conn, message, loading)
                run.run()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        from workbench.workflows.live_worker import LiveRun

        if isinstance(run, LiveRun):
            run.orphaned()
        os._exit(1)  # the parent is gone: nobody is left to tell, and threads may still be reading
    except Exception as error:  # told to the parent: a traceback here would be painted over somebody's screen
        what = f"{type(error).__name__}: {error}"
        conn.send(Crashed(what, traceback.format_exc(), run is None or not run.loaded))
        os._exit(1)
    os._exit(0)  # nothing of it is worth tidying up, and the interpreter would take a while to


def _load_kernels() -> None:
    """Load (or compile) the kernels: a few hundred ms, while the parent opens the case.

    What goes wrong here goes wrong again where the kernels are used, and is told there.
    """
    with contextlib.suppress(Exception):
        import workbench.workflows.pipeline  # noqa: F401


def _load_readers() -> None:
    """Load the kernels of application protocols ahead of their first message; what goes wrong is told where they are used."""
    from workbench.decode.warm import MODULES

    with contextlib.suppress(Exception):
        for _, module in MODULES:
            if module.startswith("workbench.decode.application."):
                importlib.import_module(module)


def _run_of(conn: Connection[Any, Any], job: Job, loading: threading.Thread) -> Run:
    """What does a job: packets or telemetry, whose kernels are only loaded where they are needed."""
    if job.telemetry is None:
        return Run(conn, job, loading)
    from workbench.workflows.telemetry_worker import TelemetryRun

    return TelemetryRun(conn, job, loading)


def _live_run_of(conn: Connection[Any, Any], job: Any, loading: threading.Thread) -> LiveRun | CollectRun:
    """The same for what is attached to."""
    from workbench.workflows.collect_worker import CollectJob, CollectRun

    if isinstance(job, CollectJob):
        return CollectRun(conn, job, loading)
    from workbench.workflows.live_worker import LiveRun

    return LiveRun(conn, job, loading)


def _selection(text: str | None) -> Selection | None:
    """The filter of a job; its kernel is only loaded (or compiled) where there is one."""
    if text is None:
        return None
    from workbench.workflows.selection import selection_of

    return selection_of(text)


class Run:
    """The state of one job."""

    def __init__(self, conn: Connection[Any, Any], job: Job, loading: threading.Thread) -> None:
        self.conn = conn
        self.loading = loading
        self.loaded = False
        self.job = job
        self.report = Report(job.source_id)
        self.sent = 0
        self.in_flight = 0
        self.raw_done = 0
        self.next_snapshot = 0.0
        self.length = 0  # decompressed bytes of the files before the current one

    def run(self) -> None:
        """Read every file of the source; send batches, then the report."""
        opened: _Opened | WorkbenchError = self._open(0)
        self.loading.join()
        self._prepare()
        self.loaded = True
        self.conn.send(Ready())
        self._load_ahead(opened)
        try:
            for n in range(len(self.job.paths)):
                if n:
                    opened = self._open(n)
                if isinstance(opened, WorkbenchError):
                    raise opened
                self._file(self.report.files[n], opened)
        except _Stopped:
            pass
        except WorkbenchError as error:
            self.report.error = error
        self._finish()
        self.conn.send(self._summary())

    def _load_ahead(self, opened: _Opened | WorkbenchError) -> None:
        """Load what readers need beside the first kernels, where the file is so large that they will be wanted."""
        large = not isinstance(opened, WorkbenchError) and (opened.reader.raw_size or 0) >= _LARGE
        if large and self.job.flows.application and self.job.telemetry is None:
            threading.Thread(target=_load_readers, name="readers' kernels", daemon=True).start()

    def _prepare(self) -> None:
        """Load the kernels and make the pipeline."""
        from workbench.workflows.pipeline import Pipeline

        selection = _selection(self.job.bpf)
        self.pipeline = Pipeline(self.job.source_id, self.job.sensor, self.job.flows, selection, self.job.hash_key)

    def _finish(self) -> None:
        """The source is over: ship what is left."""
        self._ship({**self.pipeline.table.finish(), **self.pipeline.places()})

    def _open(self, n: int) -> _Opened | WorkbenchError:
        path = self.job.paths[n]
        self.report.files.append(FileReport(path, self.length))
        try:
            opened = _Opened(path, self.conn, sha256=self.job.hash)
            self.report.files[n].mtime_ns = opened.reader.mtime_ns
            return opened
        except WorkbenchError as error:
            return error

    def _file(self, file: FileReport, opened: _Opened) -> None:
        pipeline, reader = self.pipeline, opened.reader
        pipeline.start_file(self.length)
        whole = False
        try:
            for block in opened.blocks.until(self._told_to_stop):
                if self.job.stop_at is not None and self.length + block.offset >= self.job.stop_at:
                    raise _Stopped
                pipeline.feed(block)
                self._between(reader)
            if self.report.cancelled:
                raise _Stopped
            pipeline.end_file()
            whole = True
        finally:
            if not whole and pipeline.framer is not None:
                with contextlib.suppress(WorkbenchError):
                    pipeline.end_file()
            if pipeline.framer is not None:
                self._describe(pipeline.framer)
            self.length = pipeline.offset
            size = reader.raw_size
            file.bytes = reader.raw_position if size is None else size
            self.raw_done += file.bytes
            if whole:
                file.sha256 = opened.digest()
            opened.close()

    def _between(self, reader: ByteReader) -> None:
        """Between two blocks: ship, tell, listen."""
        table = self.pipeline.table
        if table.pending() >= BATCH_ROWS:
            self._ship({**table.drain(whole=False), **self.pipeline.places()})
        if self.job.snapshots and time.monotonic() >= self.next_snapshot:
            self.next_snapshot = time.monotonic() + SNAPSHOT_SECONDS
            self._send({"flows": table.open_rows()}, snapshot=True)
        self.conn.send(Tick(self.raw_done + reader.raw_position, self.pipeline.offset, self.pipeline.packets, table.flows))
        self._stop_if_told()

    def _stop_if_told(self) -> None:
        if self._told_to_stop():
            raise _Stopped

    def _told_to_stop(self) -> bool:
        """Asked while the source is silent: whether to stop waiting for it."""
        while self.conn.poll():
            self._hear(self.conn.recv())
        return self.report.cancelled

    def _hear(self, message: object) -> None:
        if message == "stored":
            self.in_flight -= 1
        elif message == "cancel":  # acted on between blocks: a shipment is never dropped half way
            self.report.cancelled = True

    def _ship(self, batches: dict[str, pa.RecordBatch]) -> None:
        self.sent += 1
        if self.sent > self.job.skip:
            self._send(batches, snapshot=False)

    def _send(self, batches: dict[str, pa.RecordBatch], *, snapshot: bool) -> None:
        from workbench.workflows import shipping

        while self.in_flight >= IN_FLIGHT:
            self._hear(self.conn.recv())
        self.in_flight += 1
        packets, flows = self._totals()
        shipping.send(self.conn, batches, shipping.Shipment({}, snapshot, packets, flows))

    def _totals(self) -> tuple[int, int]:
        """Packets and flows so far."""
        return self.pipeline.table.packets, self.pipeline.table.flows

    def _describe(self, framer: Framer) -> None:
        """Add what a file's framer knows to the report."""
        report = self.report
        report.kind = report.kind or framer.kind
        report.links.extend(i.link_type for i in framer.interfaces if i.link_type not in report.links)
        report.snaplens.extend(i.snaplen for i in framer.interfaces)
        if framer.dropped is not None:
            report.dropped = (report.dropped or 0) + framer.dropped
        report.lines.extend(framer.ledger())

    def _summary(self) -> Report:
        report, table = self.report, self.pipeline.table
        report.lines.extend(self.pipeline.ledger())
        report.frames, report.packets = self.pipeline.frames_seen, self.pipeline.packets
        report.flows = table.flows
        report.ts_first, report.ts_last = table.ts_first, table.ts_last
        return report
