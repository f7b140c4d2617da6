"""A person's question in SQL: its rows as far as a screen holds them, or all of them to a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from workbench.export.rows import Form, write_file
from workbench.store.query import Rows, Stop

#: What a screen keeps of a result: rows, and bytes of their columns. Past either the rest is left in the engine.
ROWS_KEPT: Final = 1_000_000
BYTES_KEPT: Final = 128 * 1024 * 1024
#: Rows that come at once: small, so that the first are there soon and one batch of long texts stays bearable.
BATCH: Final = 4096


@dataclass(frozen=True, slots=True)
class Answered:
    """How a question ended. cut: whether there are rows that were not taken. seconds: until the last row taken."""

    rows: int
    cut: bool
    seconds: float


def take(rows: Rows, found: Callable[[pa.RecordBatch], None], stop: Stop, began: float) -> Answered:
    """Hand over the rows, batch by batch, until all are there or the bounds are reached. began: of time.monotonic.

    Closes the result. CancelledError when stopped, QueryError where it fails on the way.
    """
    taken = size = 0
    cut = False
    with rows:
        for batch in rows:
            stop.check()
            room = ROWS_KEPT - taken
            if room <= 0 or size >= BYTES_KEPT:
                cut = True
                break
            if batch.num_rows > room:
                batch, cut = batch.slice(0, room), True
            taken += batch.num_rows
            size += batch.nbytes
            found(batch)
            if cut:
                break
    return Answered(taken, cut, time.monotonic() - began)


def write_out(rows: Rows, out: Path, form: Form, stop: Stop, progress: Callable[[int], None], *, guard: bool) -> int:
    """All rows to a file, which appears once it is complete; how many they were.

    guard: texts that a spreadsheet would take for a formula get an apostrophe before them (CSV only). progress is told
    of rows so far. CancelledError when stopped; MissingPathError, DiskFullError, QueryError.
    """
    counted = _Counted(rows, stop, progress)
    with rows:
        write_file(counted, form, out, guard=guard)
    return counted.rows


class _Counted:
    """Rows on their way, counted; a stop is heeded between batches."""

    def __init__(self, rows: Rows, stop: Stop, progress: Callable[[int], None]) -> None:
        self.schema: pa.Schema = rows.schema
        self.rows = 0
        self._source, self._stop, self._progress = rows, stop, progress

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._source:
            self._stop.check()
            self.rows += batch.num_rows
            self._progress(self.rows)
            yield batch
        self._stop.check()
