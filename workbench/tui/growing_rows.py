"""Rows of a result while it is read: a worker adds batches, the screen takes over as many as have come."""

from __future__ import annotations

from bisect import bisect_right

import pyarrow as pa

from workbench.tui.paging import PAGE_ROWS
from workbench.tui.table_source import bounded_rows, distinct


class GrowingRows:
    """A PageSource whose total moves only when `grow` is called, from the event loop. `add` is for the one worker."""

    def __init__(self, schema: pa.Schema) -> None:
        names = distinct(schema.names)
        self.schema: pa.Schema = pa.schema([field.with_name(name) for name, field in zip(names, schema, strict=True)])
        self._batches: list[pa.RecordBatch] = []
        self._starts: list[int] = []
        self._come = 0
        self.total = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """More rows have come."""
        self._starts.append(self._come)
        self._batches.append(batch.rename_columns(self.schema.names))
        self._come += batch.num_rows

    def grow(self) -> list[int]:
        """Show what has come; the pages that were begun before and have more rows now."""
        before, self.total = self.total, self._come
        return [before // PAGE_ROWS] if before % PAGE_ROWS and self.total > before else []

    def page(self, start: int, count: int) -> pa.Table:
        """Rows as a page shows them: values bounded."""
        return bounded_rows(self._slice(max(0, start), min(start + count, self.total)))

    def ready(self, start: int, count: int) -> bool:  # noqa: ARG002  PageSource has them
        """Always."""
        return True

    def table(self) -> pa.Table:
        """Everything that is shown now; no copy."""
        return self._slice(0, self.total)

    def _slice(self, start: int, end: int) -> pa.Table:
        found: list[pa.RecordBatch] = []
        number = max(0, bisect_right(self._starts, start) - 1)
        while start < end and number < len(self._batches):
            batch, begins = self._batches[number], self._starts[number]
            piece = batch.slice(start - begins, end - start)
            found.append(piece)
            start += piece.num_rows
            number += 1
        return pa.Table.from_batches(found, self.schema)
