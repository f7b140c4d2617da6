"""A cluster followed live: what its pods, services and nodes hold becomes claims in a case as it changes.

Threads of `sources.kubernetes` list and watch; this run turns what they tell into rows, a segment a second at most, and keeps the
ledger true: a stretch of which the server forgot what happened is told with its times.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from workbench import __version__
from workbench.errors import ExternalError, InternalError, UsageError, WorkbenchError
from workbench.records.claims import claims_batch
from workbench.records.reasons import LedgerLine
from workbench.records.visible import path_text
from workbench.sources.inventory.kubernetes import Kubernetes
from workbench.sources.kubernetes import KINDS, ClusterWatch, Told, is_cluster, read_cluster
from workbench.workflows.inventory import ledger_of, notes_of, remember
from workbench.workflows.requests import AttachRequest, AttachSink, AttachStatus
from workbench.workflows.shared_writer import SharedWriter

if TYPE_CHECKING:
    from workbench.store.writer import CaseWriter

_EVERY: Final = 1.0
_TIDY_EVERY: Final = 5.0
_NAME_EVERY: Final = 10.0
_MOST_LINES: Final = 1000


def check_names(request: AttachRequest) -> None:
    """UsageError for options that make no sense here, ExternalError where kubectl is missing."""
    if not is_cluster(request.source):
        raise UsageError("--names takes a cluster", "Write it as kubernetes://CONTEXT.")
    if request.bpf is not None or request.keep_payload is not None or request.snaplen or request.exporters:
        raise UsageError(
            "a cluster has no packets: --bpf, --snaplen, --keep-payload and --exporter are for what has",
            "Attach to the interface, with --names for the cluster.",
        )
    ClusterWatch(read_cluster(request.source))


class AttachNames:
    """One run: `run`, then `row`, `ledger` and `error` say how it went."""

    def __init__(
        self,
        request: AttachRequest,
        tell: AttachSink | None,
        stop: threading.Event,
        on_writer: Callable[[CaseWriter], None] | None,
        shared: SharedWriter,
    ) -> None:
        self.request, self.told, self.stop, self.on_writer, self.shared = request, tell, stop, on_writer, shared
        self.watch = ClusterWatch(read_cluster(request.source))
        self.started = time.monotonic()
        self.state = "starting"
        self.into = Kubernetes()
        self.row: dict[str, Any] = {}
        self.error: WorkbenchError | None = None
        self.notes: dict[str, str] = {}  # kinds that nothing comes of at present, and why
        self.lines: list[LedgerLine] = []
        self.claims = 0
        self.alive: dict[str, dt.datetime] = {}  # until when each kind was followed
        self.ready: set[str] = set()
        self.gone: dict[str, dt.datetime] = {}  # kinds whose changes are lost since
        self._due = {"second": 0.0, "tidy": self.started + _TIDY_EVERY, "name": self.started + _NAME_EVERY}
        self._unnamed = False

    def run(self) -> None:
        """Follow until told to stop, or the time is over. The last who leaves the writer has all compacted and flows named."""
        from workbench.audit.log import AuditLog

        new = not (self.request.case / "case.toml").exists()
        with self.shared.joined() as writer, self.shared.turn:
            self.writer, self.audit = writer, AuditLog(self.request.case)
            if new:
                self.audit.append("case_created", version=__version__)
            self._begin()
            if self.on_writer is not None:
                self.on_writer(writer)
            self.watch.start()
            try:
                self._serve()
            finally:
                self.state = "stopping"
                with self.shared.turn.passed():
                    self.watch.stop()
                self._finish()

    @property
    def ledger(self) -> list[dict[str, Any]]:
        """Rows of the ledger of this run."""
        return [line.row(self.row["source_id"]) for line in self._ledger()]

    def _begin(self) -> None:
        remember(self.into, self.writer)
        self.row = {
            "source_id": self.writer.next_source_id(), "kind": "kubernetes", "path": path_text(f"live:{self.watch.cluster}"),
            "sensor": path_text(self.watch.cluster.context or "current context"), "packets": 0, "flows": 0, "state": "indexing",
        }  # fmt: skip
        self.writer.add_source(self.row)
        self.writer.commit(now=True)
        self.audit.append("attached", source=self.row["source_id"], path=self.row["path"])

    def _serve(self) -> None:
        while self.error is None and not self.stop.is_set():
            if self.request.seconds is not None and time.monotonic() - self.started >= self.request.seconds:
                return
            try:
                with self.shared.turn.passed():
                    told = self.watch.take(0.2)
                for one in told:
                    self._take(one)
                self._periodic(time.monotonic())
            except KeyboardInterrupt:
                self.stop.set()

    # -- what is told -----------------------------------------------------------------------------

    def _take(self, told: Told) -> None:
        kind = told.kind
        if told.what == "event":
            self.alive[kind] = told.at
            self.into.take(told.value, f"watch of {KINDS[kind]}", at=told.at)
        elif told.what == "begin":
            self.into.begin(kind)
        elif told.what == "object":
            self.into.take(told.value, f"list of {KINDS[kind]}", kind)
        elif told.what == "end":
            self._listed(kind, told.at)
        elif told.what == "gap":
            self.gone.setdefault(kind, self.alive.get(kind, told.at))
        elif told.what == "note":
            self.notes[kind] = told.text
        elif told.what == "ready":
            self.notes.pop(kind, None)
            self.ready.add(kind)
            self.alive[kind] = told.at
        elif told.what == "refused":
            self.lines.append(LedgerLine("read_error", 0, (), f"{KINDS[kind]} are not followed: {told.text}"))
        else:
            self.error = ExternalError(told.text, "Try kubectl get pods with the same context; it needs get, list and watch.")

    def _listed(self, kind: str, at: dt.datetime) -> None:
        """A whole list: what it lacks went while nobody was told."""
        whole = self.watch.cluster.namespace is None
        self.into.end(at, listed=True, kind=kind, whole=whole, alive=self.gone.get(kind))
        if (since := self.gone.pop(kind, None)) is not None and len(self.lines) < _MOST_LINES:
            told = f"{since:%Y-%m-%dT%H:%M:%SZ} to {at:%Y-%m-%dT%H:%M:%SZ}: the server no longer had what changed (410)"
            self.lines.append(LedgerLine("capture_gap", 1, (), f"{KINDS[kind]}: {told}; listed anew"))

    # -- rows -------------------------------------------------------------------------------------

    def _periodic(self, now: float) -> None:
        if now >= self._due["second"]:
            self._due["second"] = now + _EVERY
            self._second()
        if now >= self._due["tidy"]:
            self._due["tidy"] = now + _TIDY_EVERY
            self.writer.tidy()
        if now >= self._due["name"] and self._unnamed:
            from workbench.workflows.naming import name_quietly

            with self.shared.turn.passed():  # others go on meanwhile
                name_quietly(self.request.case, cancel=self.stop, locked=True)
            self._unnamed, self._due["name"] = False, time.monotonic() + _NAME_EVERY

    def _second(self) -> None:
        claims = self.into.told.take()
        if claims:
            self.claims += len(claims)
            self._unnamed = True
            self.writer.append("claims", claims_batch(claims, self.row["source_id"]))
            self._describe()
        if self.state != "stopping":
            self.state = "waiting" if self.notes else "capturing" if self.ready else "starting"
        self.writer.commit(now=bool(claims))
        if self.told is not None:
            self.told(self._status())

    def _describe(self) -> None:
        fields = {"ts_first": self.into.told.first, "ts_last": self.into.told.last}
        self.row.update(fields)
        self.writer.update_source(self.row["source_id"], **fields)
        self.writer.set_ledger(self.row["source_id"], self._ledger())

    def _ledger(self) -> list[LedgerLine]:
        return [*ledger_of(self.into.told), *notes_of(self.into), *self.lines]

    def _status(self) -> AttachStatus:
        return AttachStatus(
            self.request.source,
            self.row["source_id"],
            self.state,
            gaps=sum(line.reason == "capture_gap" for line in self.lines),
            segment_bytes=self.writer.live.bytes,
            note="; ".join(f"{KINDS[kind]}: {why}" for kind, why in self.notes.items()),
            claims=self.claims,
        )

    def _finish(self) -> None:
        for told in self.watch.take(0.0, most=1 << 30):
            self._take(told)
        self._second()
        lost = [*self.lines, *(LedgerLine("read_error", 0, (), why) for why in self.notes.values())]
        self.lines = lost
        self.row |= {"state": "partial" if lost or self.error else "ok", "detail": lost[0].detail if lost else None}
        if self.error is not None and not self.claims:
            self.row |= {"state": "refused", "detail": self.error.message}
        self._describe()
        self.writer.update_source(self.row["source_id"], state=self.row["state"], detail=self.row["detail"])
        self.writer.commit(now=True)
        self.audit.append("detached", source=self.row["source_id"], path=self.row["path"], state=self.row["state"])


def attach_names(
    request: AttachRequest,
    tell: AttachSink | None,
    stop: threading.Event,
    on_writer: Callable[[CaseWriter], None] | None,
    shared: SharedWriter,
) -> AttachNames:
    """Follow a cluster; ExternalError where nothing could be had of it at all."""
    run = AttachNames(request, tell, stop, on_writer, shared)
    run.run()
    if run.error is not None and not run.claims:
        raise run.error
    return run


class Beside:
    """A cluster followed in a thread while something else is attached to; what fails of it costs names, never packets.

    sources, ledger, error: as of an attach run, once it is over.
    """

    def __init__(self, request: AttachRequest, shared: SharedWriter) -> None:
        self.sources: list[dict[str, Any]] = []
        self.ledger: list[dict[str, Any]] = []
        self.error: WorkbenchError | None = None
        self._stop = threading.Event()
        self._run = AttachNames(replace(request, seconds=None), None, self._stop, None, shared)
        self._thread = threading.Thread(target=self._follow, name="names", daemon=True)

    def __enter__(self) -> Beside:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _follow(self) -> None:
        while not (self._run.request.case / "case.toml").exists():  # whoever has the packets makes the case, and says so
            if self._stop.wait(0.05):
                return
        try:
            self._run.run()
            self.error = self._run.error
        except WorkbenchError as error:
            self.error = error
        except Exception as error:  # a defect of ours costs names, not the capture beside it
            self.error = InternalError(f"following the cluster failed: {type(error).__name__}: {error}", "")
        if self._run.row:
            self.sources, self.ledger = [self._run.row], self._run.ledger
