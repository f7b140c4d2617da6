"""Captures into a case: sources to workers, their batches into the store, every loss into the ledger.

The parent never looks at a packet. It spawns decoding workers before anything else (their start-up is
the longest fixed cost), opens the case while they load, and from then on stores what arrives.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workbench import __version__
from workbench.audit.vouch import vouch
from workbench.errors import BadInputError, InternalError, SourceError, UsageError, WorkbenchError
from workbench.records.links import link_name
from workbench.records.reasons import LedgerLine
from workbench.records.telemetry_kinds import TELEMETRY
from workbench.records.visible import path_text, visible
from workbench.settings import Settings, load_settings
from workbench.workflows.kernels import prepare_kernel_cache
from workbench.workflows.pool import Attempt, Worker, first_worker, processes_for, wait
from workbench.workflows.requests import IndexRequest, IndexResult, Progress, ProgressSink
from workbench.workflows.worker import Crashed, Job, NewSource, Ready, Report, Tick

if TYPE_CHECKING:
    from workbench.sources.expand import SourceSpec
    from workbench.store.import_format import ImportFormat
    from workbench.store.writer import CaseWriter
    from workbench.workflows.shipping import Shipment

_EPOCH: Final = dt.datetime(1970, 1, 1)  # every time in a case is UTC without a zone
_TELL_EVERY: Final = 0.1
#: Seconds that a worker may be silent after a cancel: enough to ship a full flow table on a busy machine.
_PATIENCE: Final = 10.0
#: Ledger reasons that make a source `partial`: something of it was not indexed.
_LOSSES: Final = frozenset({"cut", "damaged", "read_error", "cancelled", "worker_died", "not_selectable"})


def index_sources(
    request: IndexRequest,
    progress: ProgressSink | None = None,
    cancel: threading.Event | None = None,
    on_writer: Callable[[CaseWriter], None] | None = None,
) -> IndexResult:
    """Index everything the request names; the case stays usable whatever happens on the way.

    progress: called at most ten times a second from the calling thread. cancel: set it to stop; what
    was read until then is kept. on_writer: given the open case, so that a screen in this process can
    read rows while they arrive; open flows are then refreshed each second.
    Raises MissingPathError, UsageError (another key scope or filter for an indexed capture), BpfError,
    CaseBusyError, DiskFullError, ExternalError where the audit log is to be signed and cannot be, or a filter is
    given and there is no libpcap. Files that yield nothing are no exception: they are in `refused`.
    """
    settings = load_settings()
    flows = settings.flows if request.key_scope is None else replace(settings.flows, key_scope=request.key_scope)
    request = replace(request, key_scope=flows.key_scope)
    if request.bpf is not None:  # before anything is made
        from workbench.sources.bpf import check_filter

        request = replace(request, bpf=check_filter(request.bpf))
    return _Ingest(request, replace(settings, flows=flows), progress, cancel or threading.Event(), on_writer).run()


@dataclass(slots=True)
class _Entry:
    """One source of this run: its row as far as known, and its ledger lines."""

    spec: SourceSpec
    row: dict[str, Any]
    lines: list[LedgerLine]
    size: int | None
    done: bool = False
    raw: int = 0
    packets: int = 0
    flows: int = 0


class _Ingest:
    def __init__(
        self,
        request: IndexRequest,
        settings: Settings,
        progress: ProgressSink | None,
        cancel: threading.Event,
        on_writer: Callable[[CaseWriter], None] | None,
    ) -> None:
        self.request = request
        self.flow_settings = settings.flows
        self.audit_settings = settings.audit
        self.telemetry_settings = settings.telemetry
        self.progress = progress
        self.cancel = cancel
        self.on_writer = on_writer
        self.entries: dict[int, _Entry] = {}
        self.queue: deque[Attempt] = deque()
        self.workers: list[Worker] = []
        self.result = IndexResult(request.case, [], [], 0.0)
        self.started = time.monotonic()
        self.told = 0.0
        self.phase = "read"
        self.cancelled = False
        self.cancelled_at = 0.0
        self.logs: list[tuple[str, str, ImportFormat]] = []
        self.imported = False

    def run(self) -> IndexResult:
        prepare_kernel_cache()
        self.workers = [first_worker()]  # before anything else: what follows is loaded while it starts
        try:
            specs = self._sources()
            self.workers += [Worker() for _ in range(processes_for(len(specs)) - 1)]
            from workbench.audit.log import AuditLog
            from workbench.store.writer import CaseWriter

            new = not (self.request.case / "case.toml").exists()
            with CaseWriter(self.request.case) as writer:
                self.writer = writer
                self.audit = AuditLog(self.request.case)
                if new:
                    self.audit.append("case_created", version=__version__)
                self._plan(specs)
                if self.on_writer is not None:
                    self.on_writer(writer)
                self._serve()
                for worker in self.workers:
                    worker.dismiss()
                self._import()
                self.phase = "finish"
                self._tell(force=True)
            self._name()
            if self.entries or self.imported:
                vouch(self.request.case, self.audit_settings)
        except BaseException:
            for worker in self.workers:
                worker.process.kill()
            raise
        finally:
            for worker in self.workers:
                worker.stop()
        return self._result()

    def _name(self) -> None:
        """Say who the ends of the new flows were: who is told by what was indexed, or was known before."""
        if not (self.entries or self.imported) or self.cancelled:
            return
        from workbench.workflows.naming import name_quietly

        self.phase = "name"
        self._tell(force=True)
        if why := name_quietly(self.request.case, progress=lambda _: self._tell(), cancel=self.cancel):
            self.result.notes.append(why)

    def _sources(self) -> list[SourceSpec]:
        """The captures behind the paths; logs among them are for later. A capture filter can't be said for logs: none then."""
        from workbench.sources.expand import expand
        from workbench.store.import_format import Recogniser

        known = Recogniser() if self.request.bpf is None and self.request.telemetry is None else None
        specs = expand(self.request.paths, self.request.join, recognise=known)
        if not specs:
            raise UsageError("nothing to index: no capture or log was found under the given paths", "Name a capture file.")
        if known is not None:
            forms = [(spec, known.format(spec.kind)) for spec in specs]
            self.logs = [(spec.paths[0], spec.sensor, form) for spec, form in forms if form is not None]
            specs = [spec for spec, form in forms if form is None]
        return specs

    def _import(self) -> None:
        """Logs of other programs that were found among the captures."""
        if not self.logs:
            return
        from workbench.workflows.import_logs import LogImport

        run = LogImport(self.writer, self.request, self.progress, self.cancel)
        run.take(self.logs)
        run.log(self.audit)
        self.imported = bool(run.files)
        self.cancelled = self.cancelled or run.result.cancelled
        for name in ("sources", "ledger", "refused", "skipped"):
            getattr(self.result, name).extend(getattr(run.result, name))

    # -- planning ---------------------------------------------------------------------------------

    def _plan(self, specs: list[SourceSpec]) -> None:
        """Give every new source a number; leave out what the case already has, file by file."""
        new = [part for spec in specs for part in self._new_parts(spec)]
        for part in new:
            self._add(part)

    def _new_parts(self, spec: SourceSpec) -> list[SourceSpec]:
        """What the case does not have of a source: all, nothing, or what joins of its files where some are known.

        A set that grew since it was indexed, or is joined otherwise now, has such: no file may count twice, none be lost.
        """
        known = [self._known(path, telemetry=self._is_telemetry(spec)) for path in spec.paths]
        for path, row in zip(spec.paths, known, strict=True):
            if row is not None:
                self._check_same(path, row)
        held = {row["source_id"]: row for row in known if row is not None}
        whole = len(held) == 1 and None not in known
        self.result.skipped.extend(spec.paths[:1] if whole else [p for p, row in zip(spec.paths, known, strict=True) if row])
        had = {row["source_id"] for row in self.result.sources}
        self.result.sources.extend(row for source_id, row in held.items() if source_id not in had)
        return [
            replace(spec, paths=tuple(path for path, _ in run))
            for new, run in groupby(zip(spec.paths, known, strict=True), key=lambda pair: pair[1] is None)
            if new
        ]

    def _check_same(self, path: str, known: dict[str, Any]) -> None:
        """UsageError where the case has the file by another key scope or filter."""
        if known["key_scope"] != self.request.key_scope:
            raise UsageError(
                f"{path} is in this case already, indexed with --key-scope {known['key_scope']}",
                "Use another case folder for another key scope.",
            )
        if known["bpf"] != self.request.bpf:
            how = "without --bpf" if known["bpf"] is None else f"with --bpf {visible(repr(known['bpf']))}"
            raise UsageError(f"{path} is in this case already, indexed {how}", "Use another case folder for another filter.")

    def _known(self, path: str, *, telemetry: bool) -> dict[str, Any] | None:
        if path == "-":
            return None
        try:
            stat = Path(path).stat()
        except OSError:
            return None  # the worker will say what is wrong with it
        return self.writer.known_source(path_text(path), stat.st_size, stat.st_mtime_ns, telemetry=telemetry)

    def _add(self, spec: SourceSpec) -> None:
        source_id = self.writer.next_source_id()
        stats = [Path(p).stat() for p in spec.paths if p != "-" and Path(p).is_file()]
        complete = len(stats) == len(spec.paths)
        row: dict[str, Any] = {
            "source_id": source_id,
            "kind": spec.kind,
            "path": path_text(spec.paths[0]),
            "sensor": path_text(spec.sensor),
            "packets": 0,
            "flows": 0,
            "state": "indexing",
            "key_scope": self.request.key_scope,
            "bpf": self.request.bpf,
            "mtime_ns": stats[0].st_mtime_ns if complete else None,  # by its own name, which `path` may only spell
        }
        self.entries[source_id] = _Entry(spec, row, [], sum(s.st_size for s in stats) if complete else None)
        self.writer.add_source(row)
        key = self.writer.case.hash_key()
        job = Job(source_id, spec.paths, spec.sensor, self.request.hash, self.flow_settings, key, self.request.bpf)
        if self._is_telemetry(spec):
            job = replace(job, telemetry=self.request.telemetry or "", active=self.telemetry_settings.active_timeout)
        self.queue.append(Attempt(replace(job, snapshots=self.on_writer is not None)))

    def _is_telemetry(self, spec: SourceSpec) -> bool:
        return self.request.telemetry is not None or spec.kind in TELEMETRY

    def _exporter(self, attempt: Attempt, found: NewSource) -> int:
        """The number of an exporter's source: the first is the job's own, a second attempt's are those of the first."""
        if found.n < len(attempt.sources):
            return attempt.sources[found.n]
        first = self.entries[attempt.job.source_id]
        named = {"kind": found.kind, "sensor": path_text(found.sensor)}
        if found.n == 0:
            first.row.update(named)
            self.writer.update_source(attempt.job.source_id, **named)
            attempt.sources.append(attempt.job.source_id)
        else:
            source_id = self.writer.next_source_id()
            row = {**first.row, **named, "source_id": source_id}
            self.entries[source_id] = _Entry(first.spec, row, [], 0)
            self.writer.add_source(row)
            attempt.sources.append(source_id)
        return attempt.sources[found.n]

    # -- serving ----------------------------------------------------------------------------------

    def _serve(self) -> None:
        self.writer.commit()
        while True:
            try:
                self._hand_out()
                busy = [w for w in self.workers if w.attempt is not None]
                if not busy:
                    return
                for worker in wait(busy, _TELL_EVERY):
                    self._listen(worker)
                self._tell()
                if self.cancel.is_set() and not self.cancelled:
                    self._cancel()
                if self.cancelled:
                    self._give_up()
            except KeyboardInterrupt:
                self.cancel.set()

    def _hand_out(self) -> None:
        for n, worker in enumerate(self.workers):
            if worker.attempt is not None or not self.queue:
                continue
            attempt = self.queue.popleft()
            try:
                worker.give(attempt)
            except (BrokenPipeError, ConnectionResetError):  # it died while idle: a new one takes the job
                worker.stop()
                self.workers[n] = Worker()
                self.workers[n].give(attempt)

    def _listen(self, worker: Worker) -> None:
        attempt = worker.attempt
        assert attempt is not None
        try:
            message = worker.conn.recv()
            worker.heard = time.monotonic()
            if isinstance(message, Tick):
                attempt.offset, attempt.raw = message.offset, message.raw
                entry = self.entries[attempt.job.source_id]
                entry.raw, entry.packets, entry.flows = message.raw, message.packets, message.flows
            elif isinstance(message, Ready):
                worker.ready = True
            elif isinstance(message, NewSource):
                worker.conn.send(self._exporter(attempt, message))
            elif isinstance(message, Report):
                worker.attempt = None
                self._finished(attempt, message)
            elif isinstance(message, Crashed):
                if message.loading:
                    raise InternalError(f"the decoding kernels cannot be loaded: {message.what}", message.where)
                self._died(worker, attempt, message.what)
            else:
                self._store(worker, attempt, message)
        except (EOFError, ConnectionResetError, BrokenPipeError):
            self._died(worker, attempt, worker.died_how())

    def _store(self, worker: Worker, attempt: Attempt, shipment: Shipment) -> None:
        from workbench.workflows import shipping  # Arrow: loaded while the workers start, not before

        batches = shipping.receive(worker.conn, shipment)
        entry = self.entries[attempt.job.source_id]
        entry.packets, entry.flows = shipment.packets, shipment.flows
        if shipment.snapshot:
            self.writer.set_open(attempt.job.source_id, batches.get("flows"))
            self._tell(force=True)
        else:
            for table, batch in batches.items():
                self.writer.append(table, batch)
            self.writer.commit()
            attempt.stored += 1
        worker.tell("stored")

    def _died(self, worker: Worker, attempt: Attempt, how: str) -> None:
        """A death costs a ledger line, not the run: read again, then up to where it died."""
        worker.process.join(1)
        worker.conn.close()
        self.workers[self.workers.index(worker)] = Worker()
        attempt.deaths += 1
        entry = self.entries[attempt.job.source_id]
        where = f"decoding process died ({how}) after source offset {attempt.offset}"
        again = None if self.cancelled else attempt.again()
        if again is None:
            lost = max(0, (entry.size or 0) - attempt.offset)
            entry.lines.append(LedgerLine("worker_died", lost, (), f"{where}; the rest was not read"))
            self._salvage(attempt)
            return
        if again.job.stop_at is not None:
            lost = max(0, (entry.size or 0) - again.job.stop_at)
            entry.lines.append(LedgerLine("worker_died", lost, (), f"{where} again; indexed up to there"))
        else:
            entry.lines.append(LedgerLine("worker_died", 0, (), f"{where}; read again"))
        self.queue.appendleft(again)

    def _salvage(self, attempt: Attempt) -> None:
        """A source that can't be read again: what was stored is what there is."""
        for source_id in attempt.sources[1:]:
            self._finished(attempt, self._stored(source_id))
        self._finished(attempt, self._stored(attempt.job.source_id))

    def _stored(self, source_id: int) -> Report:
        """What the case has of a source, as its report."""
        found = (
            self.writer.reader()
            .query(
                "SELECT (SELECT coalesce(sum(src_pkts + dst_pkts), 0) FROM flows WHERE source_id = ? AND end_reason IS NOT NULL)"
                " + (SELECT count(*) FROM arp WHERE source_id = ?) AS packets,"
                " (SELECT count(*) FROM flows WHERE source_id = ? AND end_reason IS NOT NULL) AS flows",
                (source_id, source_id, source_id),
            )
            .to_pylist()[0]
        )
        packets, flows = int(found["packets"]), int(found["flows"])
        return Report(source_id, frames=packets, packets=packets, flows=flows, cancelled=self.cancelled)

    def _cancel(self) -> None:
        self.cancelled, self.cancelled_at = True, time.monotonic()
        self.audit.append("index_cancelled", finished=sum(e.done for e in self.entries.values()))
        for attempt in self.queue:
            entry = self.entries[attempt.job.source_id]
            entry.lines.append(LedgerLine("cancelled", 0, (), "not begun"))
            self._finished(attempt, Report(attempt.job.source_id))
        self.queue.clear()
        for worker in self.workers:
            if worker.attempt is not None:
                worker.tell("cancel")

    def _give_up(self) -> None:
        """End workers that do not answer a cancel: they wait for a silent pipe, or still compile."""
        for worker in self.workers:
            if worker.attempt is not None and time.monotonic() - max(worker.heard, self.cancelled_at) > _PATIENCE:
                worker.process.kill()  # noticed as a death; what it sent is kept

    # -- ending a source --------------------------------------------------------------------------

    def _finished(self, attempt: Attempt, report: Report) -> None:
        for other in report.others:
            self._finished(attempt, other)
        entry = self.entries[report.source_id]
        entry.lines.extend(report.lines)
        entry.done, entry.raw = True, entry.size or 0
        entry.packets, entry.flows = report.packets, report.flows
        if report.cancelled:
            read = f"read up to source offset {attempt.offset}"
            entry.lines.append(LedgerLine("cancelled", max(0, (entry.size or 0) - attempt.raw), (), read))
        if report.error is not None and report.frames:
            reason = "damaged" if isinstance(report.error, SourceError) else "read_error"
            entry.lines.append(LedgerLine(reason, 0, (), report.error.message))
        entry.row.update(self._described(entry, report))
        self.writer.set_open(report.source_id, None)
        self.writer.add_files(_file_rows(report))
        self.writer.add_ledger(report.source_id, entry.lines)
        self.writer.update_source(report.source_id, **{k: v for k, v in entry.row.items() if k != "source_id"})
        self.writer.commit()
        self._log(entry.row)
        self._tell(force=True)

    def _log(self, row: dict[str, Any]) -> None:
        if row["state"] == "refused":
            self.audit.append("source_refused", path=row["path"], why=row["detail"])
        else:
            shown = ("path", "sha256", "packets", "flows", "state", "key_scope", "bpf")
            self.audit.append("source_indexed", **{name: row[name] for name in shown})

    def _described(self, entry: _Entry, report: Report) -> dict[str, Any]:
        files = report.files
        row: dict[str, Any] = {
            "kind": report.kind or entry.spec.kind,
            "sha256": files[0].sha256 if files else None,
            "bytes": sum(f.bytes or 0 for f in files),
            "packets": report.packets,
            "flows": report.flows,
            "ts_first": _time(report.ts_first),
            "ts_last": _time(report.ts_last),
            "link_type": ",".join(link_name(n) for n in report.links) or None,
            "snaplen": None if not report.snaplens or 0 in report.snaplens else max(report.snaplens),
            "dropped": report.dropped,
        }
        row["state"], row["detail"] = self._state(entry, report)
        return row

    def _state(self, entry: _Entry, report: Report) -> tuple[str, str | None]:
        losses = [line for line in entry.lines if line.reason in _LOSSES and not _recovered(line)]
        unfit = next((line for line in losses if line.reason == "not_selectable"), None)
        if report.frames == 0 and not any(line.reason in {"cancelled", "worker_died"} for line in losses):
            error = report.error or BadInputError(
                f"{entry.spec.paths[0]} holds no packets" + (" (cut or damaged)" if losses else ""),
                "Check how it was captured or copied.",
            )
        elif unfit is not None and unfit.count == report.frames:
            error = BadInputError(f"the capture filter cannot be said for its link type: {unfit.detail}", "Use another filter.")
        else:
            error = None
        if error is not None:
            self.result.refused.append(_naming(error, entry.spec.paths[0]))
            return "refused", error.message
        if losses or report.error is not None:
            return "partial", "; ".join(line.detail or line.reason for line in losses) or None
        return "ok", None

    # -- telling ----------------------------------------------------------------------------------

    def _tell(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if self.progress is None or (not force and now - self.told < _TELL_EVERY):
            return
        self.told = now
        entries = list(self.entries.values())
        sizes = [e.size for e in entries]
        current = next((e for e in entries if not e.done), entries[-1] if entries else None)
        loading = not any(w.ready for w in self.workers) and now - self.started > 2
        self.progress(
            Progress(
                done_bytes=sum(e.raw for e in entries),
                total_bytes=None if None in sizes else sum(s for s in sizes if s is not None),
                packets=sum(e.packets for e in entries),
                flows=sum(e.flows for e in entries),
                source=current.spec.paths[0] if current else "",
                phase="compile" if loading and self.phase == "read" else self.phase,
            )
        )

    def _result(self) -> IndexResult:
        result = self.result
        for source_id, entry in sorted(self.entries.items()):
            result.sources.append(entry.row)
            result.ledger.extend(line.row(source_id) for line in entry.lines)
        return replace(result, seconds=time.monotonic() - self.started, cancelled=self.cancelled)


def _recovered(line: LedgerLine) -> bool:
    return line.reason == "worker_died" and line.detail.endswith("read again")


def _naming(error: WorkbenchError, path: str) -> WorkbenchError:
    """The same error, naming the file where its message does not."""
    if path in error.message:
        return error
    return type(error)(f"{path}: {error.message}", error.remedy)


def _time(ns: int | None) -> dt.datetime | None:
    return None if ns is None else _EPOCH + dt.timedelta(microseconds=ns // 1000)


def _file_rows(report: Report) -> list[dict[str, Any]]:
    return [
        {
            "source_id": report.source_id,
            "n": n,
            "path": path_text(f.path),
            "sha256": f.sha256,
            "bytes": f.bytes,
            "first_offset": f.first_offset,
            "mtime_ns": f.mtime_ns,
        }
        for n, f in enumerate(report.files)
    ]
