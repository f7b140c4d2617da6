"""Telemetry that arrives: datagrams to rows, what is open, and what each exporter's source has come to."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.decode.telemetry.collector import Message
from workbench.decode.telemetry.remembering import Known, recall, remember
from workbench.decode.telemetry.tallying import Tally
from workbench.records.reasons import LedgerLine
from workbench.settings import FlowSettings
from workbench.sources.allowed import Allowed
from workbench.sources.datagrams import Datagram
from workbench.workflows.telemetry import TelemetryPipeline


@dataclass(frozen=True, slots=True)
class FeedState:
    """What a feed has come to. packets: in flows that ended and in open ones. ts: ns, None before the first."""

    packets: int
    flows: int
    open_flows: int
    ts_first: int | None
    ts_last: int | None
    lines: tuple[LedgerLine, ...]


class LiveTelemetry(TelemetryPipeline):
    """As TelemetryPipeline, for datagrams; flows end by our clock, see `PairingTable.steady`."""

    def __init__(
        self, settings: FlowSettings, active: float, wanted: str, key: bytes, allowed: Allowed, known: Sequence[Known]
    ) -> None:
        super().__init__("", settings, active, wanted, key)
        self.bytes = 0
        self._allowed = allowed
        self._refused = Tally()
        self._told_learned = -1
        self._open: dict[int, tuple[int, int, int | None, int | None]] = {}  # by feed: flows, packets, first, last
        self._shown: dict[int, tuple[int, int]] = {}  # by exporter: its messages and ended flows when it was last shown
        self._ended_flows: dict[int, int] = {}
        self._stated: dict[int, FeedState] = {}
        recall(self._collector, known)

    def take(self, data: NDArray[np.uint8], datagrams: Sequence[Datagram]) -> None:
        """Datagrams in data, in the order in which they came."""
        self._table.steady(time.monotonic_ns())
        for start, end, ts, address, port in datagrams:
            self.frames += 1
            self.bytes += end - start
            if address in self._allowed:
                self._message(data, start, end, Message(self.frames, ts, address, port))
            else:
                self._refused.add("exporter_refused", 1, self.frames, address)
        self._samples.flush(data)

    def tick(self) -> None:
        """Let time pass: what has waited long enough ends."""
        self._collector.flush()
        self._table.steady(time.monotonic_ns())
        self._ended += self._table.tick()
        self._samples.tick(time.time_ns())

    def drain(self) -> Iterator[tuple[int, dict[str, pa.RecordBatch]]]:
        """As its base."""
        for batch in self._ended:
            self._ended_flows[batch.exporter] = self._ended_flows.get(batch.exporter, 0) + batch.flows.num_rows
        yield from super().drain()

    def finish(self) -> Iterator[tuple[int, dict[str, pa.RecordBatch]]]:
        """As its base."""
        yield from super().finish()
        self._open = {}

    @property
    def open_flows(self) -> int:
        """Flows that may still be told of, as last shown."""
        return sum(count for count, *_ in self._open.values())

    @property
    def records(self) -> int:
        """Flow records and samples, of all exporters."""
        return sum(e.records for e in self._collector.exporters)

    @property
    def lost(self) -> int:
        """Records and messages that exporters numbered and that did not arrive."""
        return sum(e.tally.count("telemetry_lost") for e in self._collector.exporters)

    @property
    def refused(self) -> int:
        """Datagrams of exporters that are not on the list."""
        return self._refused.count("exporter_refused")

    def open_rows(self) -> dict[int, pa.RecordBatch | None]:
        """Open flows by feed, of those exporters of which something came or ended since the last call; None: it has none."""
        ended = self._samples.ended()
        for exporter, count in self._ended_flows.items():
            ended[exporter] = ended.get(exporter, 0) + count
        states = {e.number: (e.messages, ended.get(e.number, 0)) for e in self._collector.exporters}
        changed = {n for n, state in states.items() if self._shown.get(n) != state and state != (0, 0)}
        if not changed:
            return {}
        self._shown = states
        concerned = {n for n, feed in enumerate(self.feeds) if feed.exporter.number in changed}
        found: dict[int, pa.RecordBatch] = {}
        sums: dict[int, tuple[int, int, int | None, int | None]] = {}
        for batch in self._table.open_rows(changed):
            n, _ = self._feed(self._collector.exporters[batch.exporter])
            found[n] = batch.flows
            sums[n] = (batch.flows.num_rows, batch.packets, batch.first, batch.last)
        for sampled in self._samples.open_rows(changed):
            n, _ = self._feed(sampled.exporter, sampled.part)
            found[n] = sampled.tables["flows"]
            sums[n] = (found[n].num_rows, 0, None, None)  # its feed counts what it has sampled, not what has ended
        for n in concerned:
            self._open.pop(n, None)
        self._open |= sums
        return {n: found.get(n) for n in sorted({*concerned, *found})}

    def states(self) -> dict[int, FeedState]:
        """What feeds have come to, those of which that changed since the last call."""
        for exporter in self._collector.exporters:
            if exporter.messages:  # one that only sent templates so far is a source, too
                self._feed(exporter)
        changed: dict[int, FeedState] = {}
        for n, feed in enumerate(self.feeds):
            count, packets, first, last = self._open.get(n, (0, 0, None, None))
            sampled = feed.kind == "sflow"
            state = FeedState(
                feed.packets + packets,
                feed.flows if sampled else feed.flows + count,
                count,
                _least(feed.first, first),
                _most(feed.last, last),
                tuple(self.lines(feed)),
            )
            if self._stated.get(n) != state:
                self._stated[n] = changed[n] = state
        return changed

    def own_lines(self) -> list[LedgerLine]:
        """What concerns no single exporter."""
        return [*self._refused.ledger(), *super().own_lines()]

    def memory(self) -> tuple[tuple[Known, ...], bool]:
        """What another process must know to go on from here; whether templates are with it, which is so when they changed."""
        templates = self._collector.learned != self._told_learned
        self._told_learned = self._collector.learned
        return remember(self._collector, templates=templates), templates


def _least(one: Any, other: Any) -> Any:
    return min((x for x in (one, other) if x is not None), default=None)


def _most(one: Any, other: Any) -> Any:
    return max((x for x in (one, other) if x is not None), default=None)
