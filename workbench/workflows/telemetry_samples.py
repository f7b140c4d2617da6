"""What sFlow samples: packet headers through the packet decoder into flows, one flow table an exporter and rate.

Counts are as sampled; a table of its own for each rate keeps `flows.sampling` exact. Headers are cut, so application protocols
are not read. Packets that an agent tells it dropped are flows of their own, with the verdict `deny`.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.decode.packets import decode_frames
from workbench.decode.tally import UndecodedTally
from workbench.decode.telemetry.exporters import Exporter
from workbench.decode.telemetry.sflow import Counters, Sample
from workbench.flows.table import FlowTable
from workbench.records.packet import FRAME, PACKET
from workbench.records.reasons import LedgerLine
from workbench.records.telemetry import DENIED, VERDICTS
from workbench.settings import FlowSettings
from workbench.workflows.counter_rows import counter_rows

#: Tables at once: exporters and rates beyond it are counted with the rate that came last.
MAX_TABLES: Final = 64
_MAX_OPEN: Final = 1 << 17


@dataclass(slots=True)
class _Sampled:
    """The flow table of one exporter and rate, and the samples of the buffer at hand."""

    exporter: Exporter
    rate: int
    dropped: bool
    part: str
    table: FlowTable
    tally: UndecodedTally = field(default_factory=UndecodedTally)
    waiting: list[Sample] = field(default_factory=list)
    seen: int = 0


@dataclass(frozen=True, slots=True)
class SampledRows:
    """What ended of one table, and its sums so far."""

    exporter: Exporter
    part: str
    tables: dict[str, pa.RecordBatch]
    packets: int
    flows: int
    first: int | None
    last: int | None
    lines: list[LedgerLine]


class SampleTables:
    """Takes samples (`sflow.Samples`); `flush` while their buffer is still there, `drain` for rows."""

    def __init__(self, settings: FlowSettings, key: bytes) -> None:
        self._settings = replace(settings, application=False, max_open_flows=min(settings.max_open_flows, _MAX_OPEN))
        self._key = key
        self._tables: dict[tuple[int, int, bool], _Sampled] = {}
        self._counters: list[Counters] = []

    def sample(self, buf: NDArray[np.uint8], sample: Sample) -> None:  # noqa: ARG002  read when it is flushed
        """A sampled packet header."""
        key = (sample.exporter.number, sample.rate, sample.dropped)
        found = self._tables.get(key)
        if found is None:
            found = self._open(sample)
        if found is None:
            sample.exporter.tally.add("exporters_full", 1, sample.message, f"more than {MAX_TABLES} sampling rates")
            return
        found.waiting.append(sample)

    def counters(self, counters: Counters) -> None:
        """Counters of an interface: what it discarded is told."""
        self._counters.append(counters)
        values = counters.by_name()
        for name in ("in_discards", "out_discards", "in_errors", "out_errors"):
            if 0 < values[name] < (1 << 32) - 1:
                counters.exporter.interface(values["if_index"])[name] = values[name]

    def _open(self, sample: Sample) -> _Sampled | None:
        if len(self._tables) >= MAX_TABLES:
            return None
        first = not any(t.exporter is sample.exporter for t in self._tables.values())
        part = "" if first else "dropped" if sample.dropped else f"1 in {sample.rate}"
        table = FlowTable(0, "", self._settings, self._key)
        found = _Sampled(sample.exporter, sample.rate, sample.dropped, part, table)
        self._tables[(sample.exporter.number, sample.rate, sample.dropped)] = found
        return found

    def flush(self, buf: NDArray[np.uint8]) -> None:
        """Decode what was sampled of this buffer."""
        for sampled in self._tables.values():
            if sampled.waiting:
                self._decode(sampled, buf)
                sampled.waiting = []

    def _decode(self, sampled: _Sampled, buf: NDArray[np.uint8]) -> None:
        n = len(sampled.waiting)
        frames, packets = np.zeros(n, FRAME), np.empty(n, PACKET)
        for name, values in (
            ("ts", [s.ts for s in sampled.waiting]),
            ("rec", [s.start for s in sampled.waiting]),
            ("off", [s.start for s in sampled.waiting]),
            ("cap", [s.end - s.start for s in sampled.waiting]),
            ("wire", [s.wire for s in sampled.waiting]),
            ("link", [s.link for s in sampled.waiting]),
        ):
            frames[name] = values
        decode_frames(buf, frames, n, packets, 0)
        sampled.tally.add(packets, n, sampled.seen + 1)
        sampled.table.update(buf, packets, n, 0)
        sampled.seen += n

    def pending(self) -> int:
        """Rows that came since the last `drain`."""
        return sum(s.table.pending() for s in self._tables.values()) + len(self._counters)

    def drain_counters(self) -> list[tuple[Exporter, pa.RecordBatch]]:
        """Rows of `interface_counters` by exporter, that came since the last call."""
        found, self._counters = self._counters, []
        by_exporter: dict[int, list[Counters]] = {}
        for counters in found:
            by_exporter.setdefault(counters.exporter.number, []).append(counters)
        return [(rows[0].exporter, counter_rows(rows)) for rows in by_exporter.values()]

    def tick(self, now: int) -> None:
        """Time has come to `now` (ns since 1970) although no sample says so."""
        for sampled in self._tables.values():
            sampled.table.tick(now)

    def ended(self) -> dict[int, int]:
        """By exporter: how many of its flows are over."""
        out: dict[int, int] = {}
        for s in self._tables.values():
            out[s.exporter.number] = out.get(s.exporter.number, 0) + s.table.flows - s.table.open_flows
        return out

    def open_rows(self, exporters: Container[int]) -> list[SampledRows]:
        """The flows of these exporters that are open, as they are."""
        out = []
        for sampled in self._tables.values():
            if sampled.exporter.number in exporters:
                table = sampled.table
                kept = {"flows": _marked(table.open_rows(), sampled)}
                sums = (sampled.seen, table.flows, table.ts_first, table.ts_last)
                out.append(SampledRows(sampled.exporter, sampled.part, kept, *sums, []))
        return out

    def drain(self, *, whole: bool) -> list[SampledRows]:
        """What ended; whole: everything ends."""
        out = []
        for sampled in self._tables.values():
            table = sampled.table
            tables = table.finish() if whole else table.drain()
            flows = _marked(tables["flows"], sampled)
            kept = {"flows": flows, "flow_slices": tables["flow_slices"], "arp": _placeless(tables["arp"], "record_offset")}
            if "tunnels" in tables:
                kept["tunnels"] = tables["tunnels"]
            rows = SampledRows(
                *(sampled.exporter, sampled.part, kept, sampled.seen, table.flows, table.ts_first, table.ts_last),
                [line for line in [*sampled.tally.ledger(), *table.ledger()] if line.reason != "snaplen"],
            )
            out.append(rows)
        return out


def _marked(flows: pa.RecordBatch, sampled: _Sampled) -> pa.RecordBatch:
    """The rate, the verdict, and no offsets: the packets are in no capture."""
    count = flows.num_rows
    flows = _with(flows, "sampling", pa.array(np.full(count, sampled.rate, np.int32), pa.int32()))
    if sampled.dropped:
        flows = _with(flows, "verdict", pa.array([VERDICTS[DENIED]] * count, pa.utf8()))
    return _placeless(flows, "first_offset", "last_offset")


def _placeless(batch: pa.RecordBatch, *names: str) -> pa.RecordBatch:
    for name in names:
        batch = _with(batch, name, pa.nulls(batch.num_rows, pa.int64()))
    return batch


def _with(batch: pa.RecordBatch, name: str, values: Any) -> pa.RecordBatch:
    return batch.set_column(batch.schema.get_field_index(name), pa.field(name, values.type), values)
