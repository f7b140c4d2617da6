"""A live source into a case: a capturing program, a decoding process, and a segment of rows each second.

The parent never looks at a packet. It starts the capturing program, hands its pipe to the worker and stores what that sends.
Whatever fails costs a line in the ledger that says when and how much: a capture that ends is begun again and the worker goes
on with its flows; a worker that dies leaves what it last showed, and a new source goes on in its place.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing import reduction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workbench import __version__
from workbench.audit.vouch import vouch
from workbench.errors import BadInputError, ExternalError, InternalError, UsageError, WorkbenchError
from workbench.records.reasons import LedgerLine
from workbench.records.visible import path_text
from workbench.settings import Settings, load_settings
from workbench.sources.kubernetes import is_cluster
from workbench.sources.listening import is_place
from workbench.workflows.capturing import Capturing
from workbench.workflows.evidence import EvidenceFile, EvidencePlan
from workbench.workflows.kernels import prepare_kernel_cache
from workbench.workflows.live_source import LiveSource
from workbench.workflows.live_status import Pace, status_of
from workbench.workflows.live_worker import LiveJob, LiveTick, Stream, StreamEnded
from workbench.workflows.pool import Worker, first_worker, wait
from workbench.workflows.requests import AttachRequest, AttachSink, AttachStatus
from workbench.workflows.retention import Ring
from workbench.workflows.shared_writer import SharedWriter
from workbench.workflows.worker import Crashed, Ready, Report

if TYPE_CHECKING:
    from workbench.store.writer import CaseWriter
    from workbench.workflows.shipping import Shipment

_EVERY: Final = 1.0
#: Seconds between looks at what is small or old.
_TIDY_EVERY: Final = 5.0
_RETAIN_EVERY: Final = 30.0
#: Workers that may die within a minute before the case is given up as hopeless.
_MOST_DEATHS: Final = 5
#: Seconds after which a capture that took nothing yet has begun all the same.
_SETTLED: Final = 5.0
#: Seconds in which a worker that is to finish must come on by something, and those that it may take to load.
_PATIENCE: Final = 30.0
_LOADING: Final = 300.0


@dataclass(frozen=True, slots=True)
class AttachResult:
    """What an attach run did: rows of `sources` and `ledger` that it made, how it ended."""

    case: Path
    sources: list[dict[str, Any]]
    ledger: list[dict[str, Any]]
    seconds: float
    error: WorkbenchError | None = None


def attach(
    request: AttachRequest,
    tell: AttachSink | None = None,
    stop: threading.Event | None = None,
    on_writer: Callable[[CaseWriter], None] | None = None,
    shared: SharedWriter | None = None,
) -> AttachResult:
    """Index what arrives until `stop` is set, the time is over, or standard input ends; then compact.

    tell: called about once a second from the calling thread. on_writer: given the open case, for a screen in this process.
    shared: the case's writer, where other runs of this process attach to it as well; it compacts after the last of them.
    Raises UsageError, BpfError, CaseBusyError, DiskFullError, ExternalError (no such interface, nothing to capture with),
    CapturePermissionError, PortError.
    """
    stop = stop or threading.Event()
    request, shared = checked_request(request), shared or SharedWriter(request.case)
    if request.names is None:
        return _attach_one(request, tell, stop, on_writer, shared)
    from workbench.workflows.attach_names import Beside

    with Beside(replace(request, source=request.names, names=None, bpf=None, keep_payload=None, snaplen=0), shared) as beside:
        result = _attach_one(request, tell, stop, on_writer, shared)
    sources, ledger = [*result.sources, *beside.sources], [*result.ledger, *beside.ledger]
    return replace(result, sources=sources, ledger=ledger, error=result.error or beside.error)


def _attach_one(
    request: AttachRequest,
    tell: AttachSink | None,
    stop: threading.Event,
    on_writer: Callable[[CaseWriter], None] | None,
    shared: SharedWriter,
) -> AttachResult:
    settings = load_settings()
    if is_cluster(request.source):
        from workbench.workflows.attach_names import attach_names

        names = attach_names(request, tell, stop, on_writer, shared)
        return AttachResult(request.case, [names.row], names.ledger, time.monotonic() - names.started, names.error)
    if is_place(request.source):
        from workbench.workflows.collect import Collect

        run = Collect(request, settings, tell, stop, on_writer, shared)
        run.run()
        seconds = time.monotonic() - run.started
        return AttachResult(request.case, [one.row for one in run.sources], run.ledger, seconds, run.error)
    return _Attach(request, settings, _capturing(request, settings), tell, stop, on_writer, shared).run()


def checked_request(request: AttachRequest) -> AttachRequest:
    """The request with its filter as libpcap takes it. UsageError, BpfError, ExternalError where it cannot be carried out."""
    if request.names is not None:
        from workbench.workflows.attach_names import check_names

        check_names(AttachRequest(request.names, request.case))
    if is_cluster(request.source):
        from workbench.workflows.attach_names import check_names

        if request.names is not None:
            raise UsageError("--names goes with a source of packets", "A cluster alone is attached to without it.")
        check_names(request)
        return request
    if is_place(request.source):
        from workbench.workflows.collected import check_request

        check_request(request)
        return request
    if request.exporters:
        raise UsageError("--exporter is for telemetry", "Name a port to listen at, such as ipfix://:4739, or leave it out.")
    if request.bpf is not None:
        from workbench.sources.bpf import check_filter

        request = replace(request, bpf=check_filter(request.bpf))
    if request.keep_payload is not None and not request.keep_payload.strip():
        raise UsageError("--keep-payload needs a reason", "Say why the content of packets must be kept: it is in the audit log.")
    if request.source != "-" and not is_far(request.source):
        from workbench.sources.interfaces import check_interface

        check_interface(request.source)
    return request


def is_far(source: str) -> bool:
    """Whether a capture is made on a DPU: through ssh, on this machine as one, or in a network namespace of it."""
    return source.startswith(("ssh://", "netns:", "local/"))


def _capturing(request: AttachRequest, settings: Settings) -> Capturing:
    """What captures there; what can't be is seen before a case is made."""
    if not is_far(request.source):
        return Capturing(request, settings.attach)
    from workbench.workflows.far_capturing import FarCapturing

    return FarCapturing(request, settings.attach)


class _Attach:
    def __init__(
        self,
        request: AttachRequest,
        settings: Settings,
        capturing: Capturing,
        tell: AttachSink | None,
        stop: threading.Event,
        on_writer: Callable[[CaseWriter], None] | None,
        shared: SharedWriter,
    ) -> None:
        self.shared = shared
        self.request = request
        self.settings = settings
        self.told = tell
        self.stop = stop
        self.on_writer = on_writer
        self.started = time.monotonic()
        self.capturing = capturing
        self.streaming = False
        self.state = "starting"
        self.began = False  # whether packets were ever taken, or nothing was wrong for a while
        self.moved = 0.0  # when the worker last came on: time.monotonic()
        self.forced = False  # whether the capture had to be ended by force
        self.deaths: list[float] = []
        self.error: WorkbenchError | None = None
        self.all: list[LiveSource] = []
        self.pace = Pace(time.monotonic())
        self.due = {"second": 0.0, "tidy": time.monotonic() + _TIDY_EVERY, "retain": time.monotonic() + _RETAIN_EVERY}
        self.dropped_rows: dict[str, int] = {}

    # -- the run ----------------------------------------------------------------------------------

    def run(self) -> AttachResult:
        prepare_kernel_cache()
        self.worker = first_worker()
        try:
            from workbench.audit.log import AuditLog

            new = not (self.request.case / "case.toml").exists()
            with self.shared.joined() as writer, self.shared.turn:
                self.writer = writer
                self.ring = Ring(writer.case, self.settings.attach)
                self.ring.find_earlier(writer)
                self.audit = AuditLog(self.request.case)
                if new:
                    self.audit.append("case_created", version=__version__)
                self._begin_source()
                if self.on_writer is not None:
                    self.on_writer(writer)
                try:
                    self._serve()
                except WorkbenchError as error:
                    self.live.lines.append(LedgerLine("interrupted", 0, (), error.message))
                    raise
                finally:
                    self._put_away_capture()
                    for live in self.all:
                        if not live.done:
                            self._finish_source(live, "the run was broken off")
                self.worker.dismiss()
            vouch(self.request.case, self.settings.audit)
        except BaseException:
            self.worker.process.kill()
            raise
        finally:
            self.worker.stop()
        return self._result()

    def _serve(self) -> None:
        self._open_stream(first=True)
        ending: float | None = None
        while not self.live.done:
            try:
                with self.shared.turn.passed():
                    heard = wait([self.worker], 0.1)
                if heard:
                    self._listen()
                now = time.monotonic()
                over = self.request.seconds is not None and now - self.started >= self.request.seconds
                if ending is None and (self.stop.is_set() or over or self.error is not None):
                    ending = now
                    self._stop()
                if ending is not None:
                    self._hurry(now, ending)
                if ending is None and not self.streaming and self._due_again(now):
                    self._open_stream(first=False)
                self._periodic(now)
            except KeyboardInterrupt:
                self.stop.set()

    def _hurry(self, now: float, ending: float) -> None:
        """Something doesn't end: first the capture is ended by force, and what it wrote is read; then the worker is.

        A worker that has a backlog, or on a busy machine is still loading, is left to it: killed, it would take packets along.
        """
        stuck = now - max(ending, self.moved) > (_PATIENCE if self.worker.ready else _LOADING)
        if self.streaming and not self.forced and (stuck or now - ending > _LOADING):
            self.forced, self.moved = True, now
            self._put_away_capture()
        elif stuck:
            self.worker.process.kill()
            self.moved = now

    def _due_again(self, now: float) -> bool:
        return self.capturing.again_at is not None and now >= self.capturing.again_at

    def _periodic(self, now: float) -> None:
        if now >= self.due["second"]:
            self.due["second"] = now + _EVERY
            self._second()
        if now >= self.due["tidy"]:
            self.due["tidy"] = now + _TIDY_EVERY
            self.writer.tidy()
        if now >= self.due["retain"]:
            self.due["retain"] = now + _RETAIN_EVERY
            self._retain()

    # -- sources ----------------------------------------------------------------------------------

    @property
    def live(self) -> LiveSource:
        """The source that packets now go to."""
        return self.all[-1]

    def _begin_source(self) -> None:
        """A new row of `sources`, and its job for the worker."""
        request = self.request
        source_id = self.writer.next_source_id()
        path = "-" if request.source == "-" else f"live:{request.source}"
        row: dict[str, Any] = {
            "source_id": source_id,
            "kind": "live",
            "path": path_text(path),
            "sensor": path_text("stdin" if request.source == "-" else request.source),
            "packets": 0,
            "flows": 0,
            "state": "indexing",
            "key_scope": self.settings.flows.key_scope,
            "bpf": request.bpf,
        }
        self.all.append(LiveSource(row))
        self.writer.add_source(row)
        self.writer.commit(now=True)
        here = self.settings.attach
        folder = str(self.writer.case.root / "evidence") if here.evidence_mb else None
        plan = EvidencePlan(folder, here.evidence_file_mb * 1_000_000, keep_payload=request.keep_payload is not None)
        # on an interface the kernel applies the filter: applied again, it could only say the same
        bpf = request.bpf if request.source == "-" else None
        self.worker.conn.send(LiveJob(source_id, row["sensor"], self.settings.flows, self.writer.case.hash_key(), bpf, plan))
        self.audit.append(
            "attached",
            source=source_id,
            path=row["path"],
            bpf=request.bpf,
            snaplen=request.snaplen or None,
            keep_payload=request.keep_payload,
        )

    def _open_stream(self, *, first: bool) -> None:
        """Start capturing and hand the pipe to the worker; what fails the first time is raised, later it is tried again."""
        try:
            with self.shared.turn.passed():  # a far one may take its time
                fd = self.capturing.open()
        except ExternalError as error:
            if first:
                raise
            self._try_later(error.message)
            return
        self.worker.conn.send(Stream(self.capturing.pid))
        reduction.send_handle(self.worker.conn, fd, self.worker.process.pid)
        self.streaming = True
        self.capturing.handed_over()
        self._end_gap()

    def _end_gap(self) -> None:
        if (gap := self.capturing.end_gap()) is not None:
            self.live.gaps.append(gap)

    def _try_later(self, why: str) -> None:
        self.state = "waiting"
        self.capturing.try_later(why)

    def _stop(self) -> None:
        """No more packets: the capture writes what it has, the worker reads that, then both are done."""
        self.state = "stopping"
        if not (self.streaming and self.capturing.ask_to_stop()):
            self.worker.tell("stop")
        self._end_gap()
        if not self.streaming:
            self.worker.tell("finish")

    # -- the worker -------------------------------------------------------------------------------

    def _listen(self) -> None:
        try:
            message = self.worker.conn.recv()
            self.worker.ready = True
            if not (isinstance(message, LiveTick) and self.live.tick is not None and message.bytes == self.live.tick.bytes):
                self.moved = time.monotonic()
            if isinstance(message, LiveTick):
                self.live.tick = message
            elif isinstance(message, EvidenceFile):
                self._evidence(message)
            elif isinstance(message, StreamEnded):
                self._stream_ended(message)
            elif isinstance(message, Report):
                self._finish_source(self.live, None)
            elif isinstance(message, Crashed):
                if message.loading:
                    raise InternalError(f"the decoding kernels cannot be loaded: {message.what}", message.where)
                self._worker_died(message.what)
            elif not isinstance(message, Ready):
                self._store(message)
        except (EOFError, ConnectionResetError, BrokenPipeError):
            self._worker_died(self.worker.died_how())

    def _store(self, shipment: Shipment) -> None:
        from workbench.workflows import shipping

        batches = shipping.receive(self.worker.conn, shipment)
        live = self.live
        if shipment.snapshot:
            live.open = batches.get("flows")
            self._describe(live)
            self.writer.set_open(live.source_id, live.open)
        else:
            for table, batch in batches.items():
                self.writer.append(table, batch)
                live.keep(table, batch)
            self.writer.commit()
        self.worker.tell("stored")

    def _worker_died(self, how: str) -> None:
        """What it last showed as open is kept, and a new source goes on: its flows cannot be told from the dead one's."""
        live = self.live
        self.streaming = False
        self._put_away_capture()
        now = time.monotonic()
        self.deaths = [at for at in self.deaths if now - at < 60] + [now]
        when = f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
        unread = live.tick.behind if live.tick is not None else 0
        live.lines.append(LedgerLine("worker_died", unread, (), f"{when}: decoding process died ({how})"))
        kept = self.writer.still_open(live.source_id, live.open)
        if kept is not None and kept.num_rows:
            live.lines.append(LedgerLine("open_lost", kept.num_rows, (), f"{when}: as they were a second before"))
        self.writer.keep_open(live.source_id, kept)
        live.broken_off(kept)
        self._finish_source(live, f"decoding process died ({how})")
        self.worker.stop()
        if self.request.source == "-":
            self.error = BadInputError(
                f"the decoding process died ({how}); standard input cannot be read on from its middle",
                "What was indexed is kept. Save the capture to a file and index that.",
            )
            return
        ending = self.stop.is_set() or self.state == "stopping"  # the time may be over, too: another would never be told to end
        if ending or len(self.deaths) > _MOST_DEATHS:
            self.error = self.error if ending else InternalError(f"decoding processes keep dying: {how}", "")
            return
        self.capturing.begin_gap(f"the decoding process died ({how})")
        self.worker = Worker()
        self._begin_source()
        self.capturing.again_at = time.monotonic()

    def _stream_ended(self, ended: StreamEnded) -> None:
        self.streaming = False
        live = self.live
        stopping = self.stop.is_set() or self.state == "stopping"
        if self.capturing.stdin:  # it is over
            self.error = self.error or (ended.error if not (live.tick and live.tick.packets) else None)
            if ended.error is not None:
                live.partial = ended.error.message
            self.worker.tell("finish")
            return
        error = self.capturing.why_ended()
        self._put_away_capture()
        if stopping:
            self.worker.tell("finish")
        elif self.capturing.never_worked or (not self.began and not live.frames):
            self.error = error  # it never began: the person must do something
            self.worker.tell("finish")
        else:
            self._try_later(error.message)

    def _put_away_capture(self) -> None:
        """End the capturing program and note what it lost."""
        self.live.lost(self.capturing.put_away())

    # -- evidence and retention -------------------------------------------------------------------

    def _evidence(self, file: EvidenceFile) -> None:
        live = self.live
        live.files = [f for f in live.files if f.n != file.n] + [file]
        self._note_files(live)

    def _note_files(self, live: LiveSource) -> None:
        self.writer.set_files(live.source_id, live.file_rows())

    def _retain(self) -> None:
        """Drop what is too old or too much, of evidence and of rows; nothing that somebody marked."""
        left = self.ring.drop({live.source_id: live.files for live in self.all}, self.writer)
        for live in self.all:
            if len(left[live.source_id]) < len(live.files):
                live.files = left[live.source_id]
                self._note_files(live)
        here = self.settings.attach
        hours = here.retain_hours
        before = None if not hours else dt.datetime.now(dt.UTC).replace(tzinfo=None) - dt.timedelta(hours=hours)
        if before is None and not here.retain_mb:
            return
        with contextlib.suppress(WorkbenchError):  # the notebook cannot be read: nobody knows what is marked
            dropped = self.writer.retain(before, here.retain_mb * 1_000_000 or None)
            for table, rows in dropped.rows.items():
                self.dropped_rows[table] = self.dropped_rows.get(table, 0) + rows

    # -- telling ----------------------------------------------------------------------------------

    def _second(self) -> None:
        live = self.live
        if (gap := self.capturing.look()) is not None:
            live.gaps.append(gap)
        if self.streaming and live.tick is not None and self.state != "stopping":
            self.state = "capturing"
            if live.tick.packets or time.monotonic() - self.started > _SETTLED:
                self.began = True
                self.capturing.went_well()
        if not live.done:
            self._describe(live)
            self.writer.commit()
        if self.told is not None:
            self.told(self._status())

    def _dropped(self, live: LiveSource) -> int | None:
        return live.dropped(self.capturing.dropped if live is self.live else None)

    def _describe(self, live: LiveSource) -> None:
        """Bring the rows of `sources` and `ledger` up to date."""
        if fields := live.describe(self._dropped(live)):
            self.writer.update_source(live.source_id, **fields)
            self.writer.set_ledger(live.source_id, self._lines(live))

    def _lines(self, live: LiveSource) -> list[LedgerLine]:
        lines = live.ledger(self._dropped(live))
        if lost := self.capturing.interface_counts[1]:
            lines.append(LedgerLine("interface_dropped", lost, (), f"as {self.request.source} itself counts"))
        lines += self.capturing.ledger(sum(one.frames for one in self.all))
        if live is self.live and (rows := self.dropped_rows.get("flows")):
            others = ", ".join(f"{n} of {table}" for table, n in sorted(self.dropped_rows.items()) if table != "flows")
            lines.append(LedgerLine("retention", rows, (), f"rows of flows, and {others}" if others else "rows of flows"))
        if dropped_bytes := self.ring.dropped.get(live.source_id):
            lines.append(LedgerLine("evidence_dropped", dropped_bytes))
        if live is self.live and (before := self.ring.dropped_before):
            lines.append(LedgerLine("evidence_dropped", before, (), "of earlier sources"))
        return lines

    def _status(self) -> AttachStatus:
        return status_of(
            self.live,
            self.capturing,
            self.pace,
            source=self.request.source,
            state=self.state,
            gaps=sum(len(one.gaps) for one in self.all),
            evidence_bytes=self.ring.earlier_bytes + sum(self.ring.size(f) for one in self.all for f in one.files),
            segment_bytes=self.writer.live.bytes,
        )

    # -- the end ----------------------------------------------------------------------------------

    def _finish_source(self, live: LiveSource, why: str | None) -> None:
        if live.done:
            return
        self._describe(live)
        live.end(why)
        row = live.row
        self.writer.set_open(live.source_id, None)
        live.files = [self.ring.settled(f) for f in live.files]
        self._note_files(live)
        self.writer.set_ledger(live.source_id, self._lines(live))
        self.writer.update_source(live.source_id, **{k: v for k, v in row.items() if k != "source_id"})
        self.writer.commit(now=True)
        shown = ("path", "packets", "flows", "dropped", "state")
        self.audit.append("detached", source=live.source_id, **{name: row.get(name) for name in shown})

    def _result(self) -> AttachResult:
        if self.error is not None and not any(one.row.get("packets") for one in self.all):
            raise self.error
        ledger = [line.row(one.source_id) for one in self.all for line in self._lines(one)]
        seconds = time.monotonic() - self.started
        return AttachResult(self.request.case, [one.row for one in self.all], ledger, seconds, self.error)
