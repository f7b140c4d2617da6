"""The decoding process at work on telemetry: one stream of files, as many sources as there are exporters in it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from workbench.errors import BadInputError
from workbench.workflows.telemetry import TelemetryPipeline
from workbench.workflows.worker import BATCH_ROWS, NewSource, Report, Run, Tick

if TYPE_CHECKING:
    from workbench.sources.bytes import ByteReader
    from workbench.workflows.telemetry import Feed, Tables

_ID_SHIFT = 40
#: What a file asked for by format should hold.
_CALLED = {
    "ipfix": "IPFIX or NetFlow message",
    "netflow": "NetFlow or IPFIX message",
    "sflow": "sFlow 5 message",
    "nfdump": "block of flow records of nfdump",
}


class TelemetryRun(Run):
    """The state of one job of telemetry."""

    feeds: TelemetryPipeline

    def _prepare(self) -> None:
        job = self.job
        wanted = job.telemetry or None
        self.feeds = TelemetryPipeline(job.sensor, job.flows, job.active, wanted, job.hash_key)
        self.pipeline = self.feeds  # type: ignore[assignment]  # it takes files and blocks in the same way
        self.sources: list[int] = []

    def _finish(self) -> None:
        for n, tables in self.feeds.finish():
            self._ship(self._numbered(n, tables))
        for n in range(len(self.feeds.feeds)):
            self._source(n)

    def _between(self, reader: ByteReader) -> None:
        """Between two blocks: ship, tell, listen."""
        if self.feeds.pending() >= BATCH_ROWS:
            for n, tables in self.feeds.drain():
                self._ship(self._numbered(n, tables))
        packets, flows = self._totals()
        self.conn.send(Tick(self.raw_done + reader.raw_position, self.feeds.offset, packets, flows))
        self._stop_if_told()

    def _totals(self) -> tuple[int, int]:
        feeds = self.feeds.feeds
        return sum(f.packets for f in feeds), sum(f.flows for f in feeds)

    def _source(self, n: int) -> int:
        """The number of the source that feed n is; the parent gives it when the feed is first met."""
        while len(self.sources) <= n:
            feed = self.feeds.feeds[len(self.sources)]
            self.conn.send(NewSource(len(self.sources), feed.kind, feed.sensor))
            while not isinstance(answer := self.conn.recv(), int):
                self._hear(answer)
            self.sources.append(answer)
        return self.sources[n]

    def _numbered(self, n: int, tables: Tables) -> Tables:
        """The tables with the source's number and the sensor's name in them."""
        source_id = self._source(n)
        sensor = self.feeds.feeds[n].sensor
        return {name: numbered(batch, source_id, sensor) for name, batch in tables.items()}

    def _summary(self) -> Report:
        """The report of the first exporter, with the others' in it."""
        report = self.report
        if not self.feeds.messages and report.error is None and not report.cancelled:
            wanted = _CALLED.get(self.job.telemetry or "", "telemetry message")
            report.error = BadInputError(f"{self.job.paths[0]} holds no {wanted}", "Check the format, and what was captured.")
        report.frames = self.feeds.messages
        for n, feed in enumerate(self.feeds.feeds):
            part = report if n == 0 else dataclasses.replace(report, source_id=self.sources[n], lines=[], others=[])
            _describe(part, feed)
            if n:
                report.others.append(part)
        return report


def _describe(report: Report, feed: Feed) -> None:
    report.kind, report.packets, report.flows = feed.kind, feed.packets, feed.flows
    report.ts_first, report.ts_last = feed.first, feed.last
    report.links, report.snaplens, report.dropped = [], [], None
    report.lines.extend(feed.lines)


def numbered(batch: pa.RecordBatch, source_id: int, sensor: str) -> pa.RecordBatch:
    """The batch with the source's number and the sensor's name where it has columns for them."""
    for name, values in (
        ("flow_id", lambda ids: ids & ((1 << _ID_SHIFT) - 1) | (source_id << _ID_SHIFT)),
        ("source_id", lambda ids: np.full(len(ids), source_id, np.int64)),
    ):
        at = batch.schema.get_field_index(name)
        if at >= 0:
            batch = batch.set_column(at, pa.field(name, pa.int64()), pa.array(values(batch.column(at).to_numpy()), pa.int64()))
    at = batch.schema.get_field_index("sensor")
    if at >= 0:
        codes = pa.array(np.zeros(batch.num_rows, np.int32), pa.int32())
        named = pa.DictionaryArray.from_arrays(codes, pa.array([sensor], pa.utf8()))
        batch = batch.set_column(at, pa.field("sensor", named.type), named)
    return batch
