"""All flows of a case by ts, flow_id, as batches, in flat memory whatever their number.

Sorting whole rows holds or spills all of them: a gigabyte from four million flows on. Rows lie nearly in
order of time, so the listing goes through time in stretches of about PART flows, each found by its range
(row groups and segments outside it are not read) and sorted by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from workbench.errors import CancelledError, CaseBusyError, WorkbenchError
from workbench.records.columns import FLOWS
from workbench.store.engine import as_query_error, identifier
from workbench.store.pages import EVERYTHING, Where
from workbench.store.reader import CaseReader

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: Flows sorted at once: about 100 MB of rows.
PART: Final = 250_000
_BATCH: Final = 65_536


class FlowListing:
    """Flows by ts, flow_id, as they were when it was made; read once, then to be closed."""

    def __init__(
        self,
        case: CaseReader,
        columns: Sequence[str],
        limit: int | None = None,
        part: int = PART,
        where: Where = EVERYTHING,
    ) -> None:
        """columns: names of `flows`, in the order wanted; KeyError for another. limit: at most so many, the earliest.

        where: which flows; its stretches are about PART of those.
        """
        self._where = where
        self._selected = ", ".join(identifier(FLOWS.column(name).name) for name in columns)
        self._limit = limit
        self._part = part
        self._cursor: DuckDBPyConnection = case.own_cursor()
        self._cursor.execute("BEGIN TRANSACTION READ ONLY")
        self.schema: pa.Schema = self._cursor.sql(f"SELECT {self._selected} FROM flows LIMIT 0").to_arrow_table().schema

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Record batches. CancelledError after an interrupt, CaseBusyError where the case was rewritten on the way."""
        import duckdb

        left = self._limit
        try:
            for stretch in self._parts():
                most = "" if left is None else f" LIMIT {left}"
                sql = f"SELECT {self._selected} FROM flows WHERE {stretch} AND ({self._where.sql}) ORDER BY ts, flow_id{most}"
                for batch in self._cursor.sql(sql, params=list(self._where.params) or None).to_arrow_reader(_BATCH):
                    if batch.num_rows:
                        yield batch
                    left = None if left is None else left - batch.num_rows
                if left == 0:
                    return
        except (duckdb.Error, pa.ArrowException, OSError, RuntimeError) as error:
            raise _in_our_words(error) from error

    def close(self) -> None:
        """Stop, where rows are left."""
        self._cursor.close()

    def __enter__(self) -> FlowListing:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _parts(self) -> list[str]:
        """Conditions that split time into stretches of about PART flows; one moment is never split."""
        kept = f"FROM flows WHERE {self._where.sql}"
        count, first, last = self._row(f"SELECT count(*), epoch_us(min(ts)), epoch_us(max(ts)) {kept}")
        parts = -(-min(count, self._limit or count) // self._part)
        if parts <= 1:
            return ["true"]
        shares = [n * self._part / count for n in range(1, -(-count // self._part))]
        (cuts,) = self._row(f"SELECT approx_quantile(epoch_us(ts), {shares}) {kept}")
        moments = [int(cut) for cut in sorted(set(cuts)) if first < cut <= last]
        bounds = [None, *moments, None]
        return [_between(a, b) for a, b in pairwise(bounds)]

    def _row(self, sql: str) -> list[Any]:
        (row,) = self._cursor.sql(sql, params=list(self._where.params) or None).to_arrow_table().to_pylist()
        return list(row.values())


def _between(start: int | None, end: int | None) -> str:
    """ts in [start, end), microseconds; None is open."""
    conditions = [f"ts >= make_timestamp({start})"] if start is not None else []
    conditions += [f"ts < make_timestamp({end})"] if end is not None else []
    return " AND ".join(conditions)


def _in_our_words(error: Exception) -> WorkbenchError:
    if "nterrupt" in str(error):
        return CancelledError("the listing was stopped")
    if "No files found" in str(error) or "annot open file" in str(error) or "No such file" in str(error):
        return CaseBusyError("the case was rewritten by another process meanwhile", "Run the command again.")
    return as_query_error(error)
