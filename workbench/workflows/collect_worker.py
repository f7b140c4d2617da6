"""The decoding process of a collector: datagrams as they come, and once a second what became of them.

The socket is the parent's: what arrives while this process is being replaced waits in the kernel, and what this one knew of its
exporters (templates, the numbers that came last) is told to the parent each second, for the next.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Final

from workbench.settings import FlowSettings
from workbench.workflows.worker import BATCH_ROWS, IN_FLIGHT, NewSource, Ready

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.decode.telemetry.remembering import Known
    from workbench.records.reasons import LedgerLine
    from workbench.workflows.live_telemetry import FeedState

#: Seconds between shipments, and the longest a loop waits for datagrams.
_EVERY: Final = 1.0
_WAIT: Final = 0.05
#: Showing what is open may take one part in so many of the time.
_SHARE: Final = 10
#: Seconds in which what still waits in the kernel is taken at the end.
_LAST: Final = 10.0


@dataclass(frozen=True, slots=True)
class CollectJob:
    """One collector; the socket's descriptor follows.

    wanted: see FORMATS. active: the exporters' active timeout, s. exporters: who may send, empty: everybody. known: what the
    process before knew.
    """

    wanted: str
    flows: FlowSettings
    active: float
    hash_key: bytes
    exporters: tuple[str, ...]
    known: tuple[Known, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenFlows:
    """Announces a snapshot, if any of these sources has one: it stands for all of them. rows: whether a shipment follows."""

    sources: tuple[int, ...]
    rows: bool


@dataclass(frozen=True, slots=True)
class CollectTick:
    """What the collector has come to. feeds: by number of the source, those that changed since the last tick.

    known: what a process after this one must know; without templates (None) where those did not change. done: nothing follows.
    """

    messages: int
    bytes: int
    records: int
    lost: int
    refused: int
    open_flows: int
    exporters: int
    feeds: dict[int, FeedState]
    lines: tuple[LedgerLine, ...]
    known: tuple[Known, ...]
    templates: bool
    done: bool


class CollectRun:
    """Reads the socket until it is told to finish."""

    def __init__(self, conn: Connection[Any, Any], job: CollectJob, loading: threading.Thread) -> None:
        self.conn = conn
        self.job = job
        self.loading = loading
        self.loaded = False
        self.in_flight = 0
        self.finishing = False
        self.sources: list[int] = []
        self.show_at = 0.0

    def run(self) -> None:
        """Until the parent says `finish`: then everything left."""
        from workbench.sources.datagrams import Datagrams

        datagrams = Datagrams(reduction.recv_handle(self.conn))
        self.loading.join()
        from workbench.sources.allowed import Allowed
        from workbench.workflows.live_telemetry import LiveTelemetry

        job = self.job
        allowed = Allowed(job.exporters)
        self.feeds = LiveTelemetry(job.flows, job.active, job.wanted, job.hash_key, allowed, job.known)
        self.loaded = True
        self.conn.send(Ready())
        due = time.monotonic() + _EVERY
        while not self.finishing:
            while self.conn.poll():
                self._hear(self.conn.recv())
            self.feeds.take(datagrams.buffer, datagrams.take(_WAIT))
            if time.monotonic() >= due or self.feeds.pending() >= BATCH_ROWS:
                due = time.monotonic() + _EVERY
                self._second()
        until = time.monotonic() + _LAST
        while time.monotonic() < until and (found := datagrams.take(0)):
            self.feeds.take(datagrams.buffer, found)
        for n, tables in self.feeds.finish():
            self._ship(n, tables)
        self._tick(done=True)

    def _hear(self, message: object) -> None:
        if message == "stored":
            self.in_flight -= 1
        elif message == "finish":
            self.finishing = True

    def _second(self) -> None:
        """Ship what is complete, show what is open, tell how it goes."""
        self.feeds.tick()
        for n, tables in self.feeds.drain():
            self._ship(n, tables)
        began = time.monotonic()
        if began >= self.show_at:
            self._show()
            self.show_at = began + _SHARE * (time.monotonic() - began)
        self._tick(done=False)

    def _show(self) -> None:
        import pyarrow as pa

        found = self.feeds.open_rows()
        if not found:
            return
        numbered = {self._source(n): self._numbered(n, batch) for n, batch in found.items()}
        batches = [batch for batch in numbered.values() if batch is not None]
        self.conn.send(OpenFlows(tuple(numbered), bool(batches)))
        if batches:
            whole = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()
            self._send({"flows": whole.to_batches()[0]}, snapshot=True)

    def _tick(self, *, done: bool) -> None:
        feeds = self.feeds
        states = {self._source(n): state for n, state in feeds.states().items()}
        known, templates = feeds.memory()
        self.conn.send(
            CollectTick(
                *(feeds.frames, feeds.bytes, feeds.records, feeds.lost, feeds.refused, feeds.open_flows, len(feeds.feeds)),
                *(states, tuple(feeds.own_lines()), known, templates, done),
            )
        )

    # -- rows -------------------------------------------------------------------------------------

    def _source(self, n: int) -> int:
        """The number of the source that feed n is; the parent gives it when the feed is first met."""
        while len(self.sources) <= n:
            feed = self.feeds.feeds[len(self.sources)]
            self.conn.send(NewSource(len(self.sources), feed.kind, feed.sensor))
            while not isinstance(answer := self.conn.recv(), int):
                self._hear(answer)
            self.sources.append(answer)
        return self.sources[n]

    def _numbered(self, n: int, batch: pa.RecordBatch | None) -> pa.RecordBatch | None:
        from workbench.workflows.telemetry_worker import numbered

        return None if batch is None else numbered(batch, self._source(n), self.feeds.feeds[n].sensor)

    def _ship(self, n: int, tables: dict[str, pa.RecordBatch]) -> None:
        found = {name: self._numbered(n, batch) for name, batch in tables.items() if batch.num_rows}
        if found:
            self._send(found, snapshot=False)

    def _send(self, batches: dict[str, Any], *, snapshot: bool) -> None:
        from workbench.workflows import shipping

        while self.in_flight >= IN_FLIGHT:
            self._hear(self.conn.recv())
        self.in_flight += 1
        shipping.send(self.conn, batches, shipping.Shipment({}, snapshot, 0, 0))
