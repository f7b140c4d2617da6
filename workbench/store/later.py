"""A later index into a case that has its case.duckdb: rows become segments, which closing compacts."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from workbench.store.case import CaseFolder
from workbench.store.compact import compact
from workbench.store.database import Presented
from workbench.store.opening import open_presented, refreshed
from workbench.store.segments import SegmentFiles

#: Rows of a table that are gathered before they become a file: one row group.
_ROWS: Final = 122_880

#: Seconds after which fewer rows become a file, too.
_SEEN_AFTER: Final = 1.0


class SegmentSink:
    """Gathers rows, writes them as segments, compacts at the end.

    sources: all rows of `sources` by id, kept current by the owner; only rows of this run are written.
    """

    def __init__(self, case: CaseFolder, sources: dict[int, dict[str, Any]]) -> None:
        self.case = case
        self.presented: Presented = open_presented(case)
        self.watched = False
        self._sources = sources
        self._mine: set[int] = set()
        self._sensors: dict[int, str] = {}
        self._files = SegmentFiles(case, self._sensors)
        self._waiting: dict[str, list[pa.RecordBatch]] = defaultdict(list)
        self._small: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._dirty: set[str] = set()
        self._ended: list[pa.Array] = []
        self._snapshots: dict[int, pa.RecordBatch | None] = {}
        self._written = 0.0

    def watch(self) -> None:
        """From now on readers of this process look on."""
        self.watched = True

    def append(self, table: str, batch: pa.RecordBatch) -> None:
        """Gather rows; written at the next commit that is due."""
        self._waiting[table].append(batch)
        if table == "flows" and self.watched:
            self._ended.append(batch.column("flow_id"))
        if sum(b.num_rows for b in self._waiting[table]) >= _ROWS:
            self._wrote(table, self._files.write(table, self._waiting.pop(table)))

    def commit(self, *, now: bool) -> None:
        """Write what is gathered if it is time; at once where `now`."""
        clock = time.monotonic()
        if not now and clock - self._written < _SEEN_AFTER:
            return
        for table in list(self._waiting):
            self._wrote(table, self._files.write(table, self._waiting.pop(table)))
        for table in sorted(self._dirty):
            rows = [self._sources[s] for s in sorted(self._mine)] if table == "sources" else self._small[table]
            self._files.rewrite(table, rows)
        self._dirty.clear()
        self._written = clock
        if self.watched:
            refreshed(self.presented)
        for source_id, batch in self._snapshots.items():
            self.presented.set_open(source_id, batch)
        self._snapshots.clear()
        self.presented.forget_open(self._ended)
        self._ended = []

    def set_open(self, source_id: int, batch: pa.RecordBatch | None) -> None:
        """Replace a snapshot; shown together with the rows that were appended before it."""
        if not self.watched:
            return
        self._snapshots[source_id] = batch
        if not self._waiting:
            self.commit(now=True)

    def put_source(self, row: dict[str, Any], *, new: bool) -> None:
        """Note that a row of `sources` is this run's, or changed."""
        if new:
            self._mine.add(row["source_id"])
            self._sensors[row["source_id"]] = self._sources[row["source_id"]]["sensor"]
        self._dirty.add("sources")

    def put_rows(self, table: str, rows: list[dict[str, Any]]) -> None:
        """Add rows of `ledger` or `source_files`."""
        self._small[table] += rows
        self._dirty.add(table)

    def _wrote(self, table: str, written: Sequence[tuple[str, pa.Table]]) -> None:
        """Told of every file that was written, with its rows."""

    def finish(self, sources: list[int]) -> None:
        """Write the rest and compact. Without anything new the case stays as it is."""
        self.commit(now=True)
        self.presented.leaving.set()
        if sources:
            compact(self.case)
        self.presented.close()

    def abandon(self) -> None:
        """Close; the segments that are written stay for recovery."""
        self.presented.close()
