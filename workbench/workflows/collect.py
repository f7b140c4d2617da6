"""Telemetry that exporters send to a UDP port into a case: a source for each of them, and one for the port itself.

The port is bound here and read by a worker: a worker that dies leaves the port open, and what it last showed; the next one knows
what it knew, so that it reads on and can tell what was lost.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
import time
from collections.abc import Callable
from multiprocessing import reduction
from typing import TYPE_CHECKING, Any, Final

from workbench import __version__
from workbench.audit.vouch import vouch
from workbench.errors import InternalError, WorkbenchError
from workbench.records.reasons import LedgerLine
from workbench.records.visible import path_text
from workbench.settings import Settings
from workbench.sources.allowed import Allowed
from workbench.sources.listening import Listener, read_place
from workbench.workflows.collect_worker import CollectJob, CollectTick, OpenFlows
from workbench.workflows.collected import Collected, Memory, check_request
from workbench.workflows.kernels import prepare_kernel_cache
from workbench.workflows.live_status import Pace
from workbench.workflows.pool import Worker, first_worker, wait
from workbench.workflows.requests import AttachRequest, AttachSink, AttachStatus
from workbench.workflows.shared_writer import SharedWriter
from workbench.workflows.worker import Crashed, NewSource, Ready

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.store.writer import CaseWriter
    from workbench.workflows.shipping import Shipment

_EVERY: Final = 1.0
_TIDY_EVERY: Final = 5.0
_RETAIN_EVERY: Final = 30.0
#: Workers that may die within a minute before the case is given up as hopeless.
_MOST_DEATHS: Final = 5
#: Seconds a worker may take to finish.
_PATIENCE: Final = 60.0


class Collect:
    """One run: `run`, then `sources`, `ledger` and `error` say how it went."""

    def __init__(
        self,
        request: AttachRequest,
        settings: Settings,
        tell: AttachSink | None,
        stop: threading.Event,
        on_writer: Callable[[CaseWriter], None] | None,
        shared: SharedWriter,
    ) -> None:
        """UsageError for what makes no sense, PortError where the port cannot be had."""
        check_request(request)
        self.request, self.shared = request, shared
        self.settings = settings
        self.allowed = tuple(request.exporters or settings.telemetry.exporters)
        Allowed(self.allowed)
        self.told, self.stop, self.on_writer = tell, stop, on_writer
        self.listener = Listener(read_place(request.source))
        self.started = time.monotonic()
        self.state = "starting"
        self.tick: CollectTick | None = None
        self.heard = dt.datetime.now(dt.UTC)  # of the last tick: what came later may be lost with the worker
        self.memory = Memory()
        self.over = False
        self.error: WorkbenchError | None = None
        self.deaths: list[float] = []
        self.gap = ""
        self.gaps = 0
        self.showing: OpenFlows | None = None
        self.sources: list[Collected] = []  # of every worker there was
        self.here: dict[int, Collected] = {}  # exporters of the present one, by number
        self.retained: dict[str, int] = {}
        self.dropped_before = 0
        self.pace = Pace(self.started)
        self.due = {"second": 0.0, "tidy": self.started + _TIDY_EVERY, "retain": self.started + _RETAIN_EVERY}

    # -- the run ----------------------------------------------------------------------------------

    def run(self) -> None:
        """Take what comes until told to stop, or the time is over; then compact."""
        prepare_kernel_cache()
        self.worker = first_worker()
        try:
            from workbench.audit.log import AuditLog

            new = not (self.request.case / "case.toml").exists()
            with self.shared.joined() as writer, self.shared.turn:
                self.writer = writer
                self.audit = AuditLog(self.request.case)
                if new:
                    self.audit.append("case_created", version=__version__)
                self._begin()
                if self.on_writer is not None:
                    self.on_writer(writer)
                try:
                    self._serve()
                finally:
                    if not self.over:
                        self._broken_off("the run was broken off")
                self.worker.dismiss()
            self._sign()
        except BaseException:
            self.worker.process.kill()
            raise
        finally:
            self.listener.close()
            self.worker.stop()

    @property
    def ledger(self) -> list[dict[str, Any]]:
        """Rows of the ledger of this run."""
        return [line.row(one.source_id) for one in self.sources for line in one.ledger()]

    def _serve(self) -> None:
        ending: float | None = None
        while not self.over:
            try:
                with self.shared.turn.passed():
                    heard = wait([self.worker], 0.1)
                if heard:
                    self._listen()
                now = time.monotonic()
                late = self.request.seconds is not None and now - self.started >= self.request.seconds
                if ending is None and (self.stop.is_set() or late):
                    ending = now
                    self.state = "stopping"
                    self.listener.take_no_more()
                    self.worker.tell("finish")
                if ending is not None and now - ending > _PATIENCE:
                    self.worker.process.kill()
                    ending = now
                self._periodic(now)
            except KeyboardInterrupt:
                self.stop.set()

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
    def port(self) -> Collected:
        """The source of the port itself, since the present worker began."""
        return self._port

    def _add(self, kind: str, sensor: str) -> Collected:
        row: dict[str, Any] = {
            "source_id": self.writer.next_source_id(),
            "kind": kind,
            "path": path_text(f"live:{self.listener.place}"),
            "sensor": path_text(sensor),
            "packets": 0,
            "flows": 0,
            "state": "indexing",
            "key_scope": self.settings.flows.key_scope,
        }
        found = Collected(row)
        self.sources.append(found)
        self.writer.add_source(row)
        return found

    def _begin(self) -> None:
        """A source for the port, and the worker's job."""
        self.tick, self.showing, self.here = None, None, {}
        self.dropped_before = self.listener.dropped or 0
        self._port = self._add("live", str(self.listener.place))
        self.writer.commit(now=True)
        scheme = self.listener.place.scheme
        active, key = self.settings.telemetry.active_timeout, self.writer.case.hash_key()
        job = CollectJob(scheme, self.settings.flows, active, key, self.allowed, self.memory.known)
        self.worker.conn.send(job)
        reduction.send_handle(self.worker.conn, self.listener.fd, self.worker.process.pid)
        told = {"source": self.port.source_id, "path": self.port.row["path"], "exporters": list(self.allowed) or None}
        self.audit.append("attached", **told)

    def _exporter(self, found: NewSource) -> int:
        one = self._add(found.kind, found.sensor)
        self.here[one.source_id] = one
        return one.source_id

    # -- the worker -------------------------------------------------------------------------------

    def _listen(self) -> None:
        try:
            message = self.worker.conn.recv()
            if isinstance(message, CollectTick):
                self._ticked(message)
            elif isinstance(message, NewSource):
                self.worker.conn.send(self._exporter(message))
            elif isinstance(message, OpenFlows):
                self._showing(message)
            elif isinstance(message, Crashed):
                if message.loading:
                    raise InternalError(f"the decoding kernels cannot be loaded: {message.what}", message.where)
                self._worker_died(message.what)
            elif isinstance(message, Ready):
                self._ready()
            else:
                self._store(message)
        except (EOFError, ConnectionResetError, BrokenPipeError):
            self._worker_died(self.worker.died_how())

    def _ready(self) -> None:
        if self.state == "starting":
            self.state = "capturing"
        if self.gap:
            now = dt.datetime.now(dt.UTC)
            told = f"{self.heard:%Y-%m-%dT%H:%M:%SZ} to {now:%Y-%m-%dT%H:%M:%SZ}: {self.gap}; what came waited in the kernel"
            self.port.lines.append(LedgerLine("capture_gap", 1, (), told))
            self.gaps, self.gap = self.gaps + 1, ""

    def _ticked(self, tick: CollectTick) -> None:
        self.tick = tick
        self.heard = dt.datetime.now(dt.UTC)
        for source_id, state in tick.feeds.items():
            one = self.here[source_id]
            one.state, one.changed = state, True
        self.memory.take(tick.known, templates=tick.templates)
        if tick.done:
            self._finish()

    def _showing(self, showing: OpenFlows) -> None:
        if showing.rows:
            self.showing = showing  # its rows follow
        else:
            self._show(showing, None)

    def _show(self, showing: OpenFlows, rows: pa.RecordBatch | None) -> None:
        import pyarrow.compute as pc

        for source_id in showing.sources:
            part = None if rows is None else rows.filter(pc.equal(rows.column("source_id"), source_id))
            part = part if part is not None and part.num_rows else None
            one = self.here[source_id]
            if part is not None or one.open is not None:
                one.open = part
                self.writer.set_open(source_id, part)

    def _store(self, shipment: Shipment) -> None:
        from workbench.workflows import shipping

        batches = shipping.receive(self.worker.conn, shipment)
        if shipment.snapshot:
            assert self.showing is not None
            self._show(self.showing, batches.get("flows"))
            self.showing = None
        else:
            for table, batch in batches.items():
                if table in ("flows", "arp") and batch.num_rows:
                    self.here[batch.column("source_id")[0].as_py()].keep(table, batch)
                self.writer.append(table, batch)
            self.writer.commit()
        self.worker.tell("stored")

    def _worker_died(self, how: str) -> None:
        """What it last showed is kept; the next one goes on with what it knew, into new sources."""
        when = f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
        why = f"the decoding process died ({how})"
        self.port.lines.append(LedgerLine("worker_died", 0, (), f"{when}: {why}"))
        self._broken_off(why)
        self.worker.stop()
        now = time.monotonic()
        self.deaths = [at for at in self.deaths if now - at < 60] + [now]
        ending = self.stop.is_set() or self.state == "stopping"  # the time may be over, too: another would never be told to end
        if ending or len(self.deaths) > _MOST_DEATHS:
            self.error = self.error if ending else InternalError(f"decoding processes keep dying: {how}", "")
            self.over = True
            return
        self.gap = why
        self.worker = Worker()
        self._begin()

    # -- telling ----------------------------------------------------------------------------------

    def _second(self) -> None:
        if not self.over:
            self._describe()
            self.writer.commit()
        if self.told is not None:
            self.told(self._status())

    @property
    def dropped(self) -> int | None:
        """Datagrams for which the kernel had no room, since the present worker began."""
        now = self.listener.dropped
        return None if now is None else now - self.dropped_before

    def _describe(self) -> None:
        """Bring the rows of `sources` and `ledger` up to date."""
        port, tick = self.port, self.tick
        fields = {"bytes": tick.bytes if tick is not None else 0, "dropped": self.dropped}
        port.row.update(fields)
        self.writer.update_source(port.source_id, **fields)
        self.writer.set_ledger(port.source_id, self._port_lines())
        for one in self.here.values():
            if one.changed:
                one.changed = False
                self.writer.update_source(one.source_id, **one.describe())
                self.writer.set_ledger(one.source_id, one.ledger())

    def _port_lines(self) -> list[LedgerLine]:
        lines = [*(self.tick.lines if self.tick is not None else ()), *self.port.lines]
        if dropped := self.dropped:
            told = f"datagrams for which the kernel's buffer ({self.listener.buffer >> 10} KiB) had no room"
            lines.append(LedgerLine("dropped", dropped, (), told))
        if rows := self.retained.get("flows"):
            others = ", ".join(f"{n} of {table}" for table, n in sorted(self.retained.items()) if table != "flows")
            lines.append(LedgerLine("retention", rows, (), f"rows of flows, and {others}" if others else "rows of flows"))
        return lines

    def _retain(self) -> None:
        """Drop rows that are too old or too many, except what somebody marked."""
        here = self.settings.attach
        hours = here.retain_hours
        before = None if not hours else dt.datetime.now(dt.UTC).replace(tzinfo=None) - dt.timedelta(hours=hours)
        if before is None and not here.retain_mb:
            return
        with contextlib.suppress(WorkbenchError):  # the notebook cannot be read: nobody knows what is marked
            for table, rows in self.writer.retain(before, here.retain_mb * 1_000_000 or None).rows.items():
                self.retained[table] = self.retained.get(table, 0) + rows

    def _status(self) -> AttachStatus:
        tick = self.tick
        pace = self.pace
        pace.take(*((tick.messages, tick.bytes) if tick is not None else (0, 0)))
        return AttachStatus(
            self.request.source,
            self.port.source_id,
            self.state,
            packets=pace.packets,
            bytes=pace.octets,
            flows=sum(one.state.flows for one in self.here.values() if one.state is not None),
            open_flows=tick.open_flows if tick is not None else 0,
            packets_per_second=pace.packets_per_second,
            bits_per_second=pace.bits_per_second,
            dropped=self.dropped,
            behind=self.listener.waiting,
            gaps=self.gaps,
            segment_bytes=self.writer.live.bytes,
            note=self.gap,
            exporters=tick.exporters if tick is not None else 0,
            records=tick.records if tick is not None else 0,
            lost=tick.lost if tick is not None else 0,
            refused=tick.refused if tick is not None else 0,
        )

    # -- the end ----------------------------------------------------------------------------------

    def _finish(self) -> None:
        """The worker has told everything."""
        self.over = True
        for one in (self.port, *self.here.values()):
            one.row["state"], one.row["detail"] = ("partial", "see its ledger") if one.lines else ("ok", None)
        if not self.here:
            self.port.row["detail"] = self.port.row["detail"] or "nothing arrived"
        self._settle()

    def _broken_off(self, why: str) -> None:
        """The worker is gone: what it last showed as open ends, forced."""
        when = f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
        self.port.row["state"], self.port.row["detail"] = "partial", why
        for one in self.here.values():
            one.open = self.writer.still_open(one.source_id, one.open)
            one.broken_off(when, why)
            self.writer.keep_open(one.source_id, one.open)
        self._settle()

    def _settle(self) -> None:
        self._describe()
        self.port.lines = self._port_lines()  # as they stand: the next worker counts anew
        self.tick = None
        for one in self.here.values():  # before any row changes: each of these writes what has changed
            self.writer.set_open(one.source_id, None)
        for one in (self.port, *self.here.values()):
            self.writer.update_source(one.source_id, **{k: v for k, v in one.row.items() if k != "source_id"})
            self.writer.set_ledger(one.source_id, one.ledger())
            shown = ("path", "sensor", "packets", "flows", "dropped", "state")
            self.audit.append("detached", source=one.source_id, **{name: one.row.get(name) for name in shown})
        self.writer.commit(now=True)

    def _sign(self) -> None:
        vouch(self.request.case, self.settings.audit)
