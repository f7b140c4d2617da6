"""Flows for a screen: pages of any order at any depth, timelines, top talkers.

Sorting 20 million flows takes seconds, so an order is known in two steps: its first and last thousand
rows at once (a top-N scan), all of it in the background. What is stored of it is a row number a flow;
a page is then fetched by those, at the same cost wherever it lies.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.errors import CancelledError
from workbench.records.columns import FLOWS
from workbench.store.database import CASE
from workbench.store.engine import identifier
from workbench.store.reader import CaseReader

#: Rows at either end of an order that are there at once.
EDGE: Final = 1024

#: Up to here the whole order is made at once: it costs no more than a blink.
_AT_ONCE: Final = 200_000

#: Percent of all flows by which it is guessed how many a filter keeps.
_SAMPLE: Final = 1

#: Columns that are sorted as numbers, not as text or bytes: by these two, the upper half first.
_HALVES: Final = {f"{side}_{column}": (f"{side}_hi", f"{side}_lo") for side in ("src", "dst") for column in ("ip", "addr")}
#: Halves are signed, addresses are not: the other sign puts them in order.
_TURNED: Final = f"xor({{}}, {-(2**63) + 1} - 1)"  # the least number itself is no literal of its type

#: Seconds before the whole order is made: the first pages go first, and an order that is left again at once
#: costs nothing.
_BREATH: Final = 0.2

Measure = Literal["flows", "bytes", "packets"]
_MEASURES: Final[dict[str, str]] = {
    "flows": "count(*)",
    "bytes": "sum(src_bytes) + sum(dst_bytes)",
    "packets": "sum(src_pkts) + sum(dst_pkts)",
}


@dataclass(frozen=True, slots=True)
class Where:
    """Which flows: an SQL condition on columns of `flows` with ? for its values. It must come from the program."""

    sql: str = "true"
    params: tuple[Any, ...] = ()

    @classmethod
    def touching(cls, start: int, end: int) -> Where:
        """Flows with a moment in [start, end), microseconds since 1970 UTC."""
        return cls("ts < make_timestamp(?) AND ts_end >= make_timestamp(?)", (end, start))

    def and_(self, other: Where) -> Where:
        """Both conditions."""
        return Where(f"({self.sql}) AND ({other.sql})", self.params + other.params)

    @property
    def everything(self) -> bool:
        """Whether it keeps all flows."""
        return self.sql == "true"


EVERYTHING: Final = Where()


class Order:
    """Flows in one order at one moment, numbered from 0. Threads may share it; close it when done.

    Rows that come later are not in it: make a new one (`again`) to see them.
    """

    def __init__(self, case: CaseReader, column: str = "ts", *, descending: bool = False, where: Where = EVERYTHING) -> None:
        """Make the order by a column of flows, ties by flow_id, nulls last. KeyError for an unknown column.

        Takes as long as a count and a top-N scan (20 million flows: 10 to 500 ms).
        """
        self.column = FLOWS.column(column).name
        self.descending = descending
        self.where = where
        self._case = case
        native = case.native
        self._rows, self._id = (f"{CASE}.main.flows", "rowid") if native else ("flows", "flow_id")
        self._keys = self._sorted_by()
        self._done = threading.Event()
        self._leave = threading.Event()
        self._ids: NDArray[np.int64 | np.uint32] | None = None
        self._error: BaseException | None = None
        self._closed = False
        self._tail: NDArray[np.int64] | None = None
        self._thread: threading.Thread | None = None
        self._head = np.empty(0, np.int64)
        small = self._seems_small()
        self.total = 0 if small else self._count()
        if small or self.total <= _AT_ONCE:
            self._ids = self._fetch_ids(self._all_sql())
            self.total = self._ids.size
            self._done.set()
        else:
            self._head = self._fetch_ids(self._edge_sql(back=False))
            self._cursor = case.own_cursor()
            self._thread = threading.Thread(target=self._number_all, name="order", daemon=True)
            self._thread.start()

    def again(self) -> Order:
        """The same order over what the case holds now."""
        return Order(self._case, self.column, descending=self.descending, where=self.where)

    @property
    def complete(self) -> bool:
        """Whether every page can be had at once."""
        return self._done.is_set()

    def page(self, start: int, count: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows [start, start + count) of the order, cut at `total`; all columns, or the named ones.

        Waits where the order is not complete and the page lies away from both ends. CancelledError when the
        order was closed or interrupted.
        """
        start = max(0, start)
        ids = self._some_ids(start, min(start + count, self.total))
        names = list(FLOWS.names if columns is None else columns)
        listed = ", ".join(identifier(FLOWS.column(n).name) for n in names)
        found = self._case.query(
            f"SELECT {self._id} AS page_id, {listed} FROM {self._rows} WHERE {self._id} IN (SELECT unnest($1::BIGINT[]))",
            [ids.tolist()],
        )
        return _in_order(found, ids).select(names)

    def position(self, flow_id: int) -> int | None:
        """The row number of a flow; None where it is not in the order. Waits for the whole order."""
        ids = self._all_ids()
        found = self._case.query(f"SELECT {self._id} AS page_id FROM {self._rows} WHERE flow_id = ?", [flow_id])
        for one in found["page_id"].to_pylist():
            at = np.flatnonzero(ids == one)
            if at.size:
                return int(at[0])
        return None

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the order is complete; False where it took longer."""
        return self._done.wait(seconds)

    def close(self) -> None:
        """Stop numbering and free the numbers."""
        self._closed = True
        self._leave.set()
        if self._thread is not None and self._thread.is_alive():
            self._cursor.interrupt()
            self._thread.join(5)
        self._ids = None
        self._done.set()

    # -- how the numbers come ---------------------------------------------------------------------

    def _seems_small(self) -> bool:
        """Whether a filter seems to keep so few flows that all are sorted at once: counting them would be a second look.

        One flow in a hundred is looked at, whole blocks from all over the table. Where the guess is too low, more than
        `_AT_ONCE` are sorted at once: slower, not wrong.
        """
        if self.where.everything or not self._case.native:
            return False
        sample = f"{self._rows} TABLESAMPLE SYSTEM ({_SAMPLE} PERCENT) REPEATABLE (1)"
        found = self._case.query(f"SELECT count(*) AS n FROM {sample} WHERE {self.where.sql}", self.where.params)
        return int(found["n"][0].as_py()) * 100 // _SAMPLE <= _AT_ONCE // 2

    def _count(self) -> int:
        counted = self._case.query(f"SELECT count(*) AS n FROM {self._rows} WHERE {self.where.sql}", self.where.params)
        return int(counted["n"][0].as_py())

    def _some_ids(self, start: int, end: int) -> NDArray[Any]:
        if self._done.is_set() or not (end <= self._head.size or start >= self.total - EDGE):
            return self._all_ids()[start:end]
        if end <= self._head.size:
            return self._head[start:end]
        if self._tail is None:
            self._tail = self._fetch_ids(self._edge_sql(back=True))[::-1]
        first = self.total - self._tail.size
        return self._tail[start - first : end - first] if start >= first else self._all_ids()[start:end]

    def _all_ids(self) -> NDArray[Any]:
        self._done.wait()
        if self._error is not None:
            raise self._error
        ids = self._ids
        if ids is None:
            raise CancelledError("the order was closed")
        return ids

    def _number_all(self) -> None:
        try:
            if self._leave.wait(_BREATH):
                raise CancelledError("the order was closed")
            ids = self._fetch_all_ids()
            narrow = ids.size and int(ids.max()) < 2**32
            self._ids = None if self._closed else (ids.astype(np.uint32) if narrow else ids)
        except BaseException as error:  # handed to whoever asks for a page
            self._error = CancelledError("the order was closed") if self._closed else error
        finally:
            self._done.set()

    def _fetch_all_ids(self) -> NDArray[np.int64]:
        """All numbers, by a cursor of its own; once more where the case was published or compacted meanwhile."""
        import duckdb

        for again in (True, False):
            try:
                params = list(self.where.params) or None
                return _numbers(self._cursor.sql(self._all_sql(), params=params).to_arrow_table())
            except duckdb.Error as error:
                if again and not self._closed and self._case.renew(error):
                    self._cursor = self._case.own_cursor()
                elif isinstance(error, duckdb.InterruptException):
                    raise CancelledError("sorting was stopped") from error
                else:
                    raise
        raise AssertionError("unreachable")

    def _fetch_ids(self, sql: str) -> NDArray[np.int64]:
        return _numbers(self._case.query(sql, self.where.params))

    def _edge_sql(self, *, back: bool) -> str:
        way = "DESC" if self.descending != back else "ASC"
        nulls = "FIRST" if back else "LAST"
        keys = ", ".join(f"{key} {way} NULLS {nulls}" for key in self._keys)
        return (
            f"SELECT {self._id} AS page_id FROM {self._rows} WHERE {self.where.sql} ORDER BY {keys}, flow_id {way} LIMIT {EDGE}"
        )

    def _all_sql(self) -> str:
        way = "DESC" if self.descending else "ASC"
        keys = ", ".join(f"{key} {way} NULLS LAST" for key in self._keys)
        return f"SELECT {self._id} AS page_id FROM {self._rows} WHERE {self.where.sql} ORDER BY {keys}, flow_id {way}"

    def _sorted_by(self) -> tuple[str, ...]:
        """What the rows are sorted by. Of addresses that share their upper half the lower one is enough, at half the time.

        The bounds come from the statistics of a native table, at no cost.
        """
        halves = _HALVES.get(self.column)
        if halves is None:
            return (identifier(self.column),)
        upper, lower = halves
        bounds = f"min({upper}) AS a, max({upper}) AS b, min({lower}) AS c"
        found = self._case.query(f"SELECT {bounds} FROM {self._rows}").to_pylist()[0]
        if found["a"] is not None and found["a"] == found["b"] and found["c"] >= 0:
            return (lower,)
        return tuple(_TURNED.format(half) for half in halves)


def _numbers(table: pa.Table) -> NDArray[np.int64]:
    out: NDArray[np.int64] = table["page_id"].combine_chunks().to_numpy(zero_copy_only=False)
    return out


def _in_order(found: pa.Table, ids: NDArray[Any]) -> pa.Table:
    """The rows in the order of ids. A row that came twice (open and ended at one moment) is taken once."""
    have = found["page_id"].combine_chunks().to_numpy(zero_copy_only=False)
    unique, first = np.unique(have, return_index=True)
    at = np.searchsorted(unique, ids)
    known = at < unique.size
    known[known] = unique[at[known]] == ids[known]
    return found.take(pa.array(first[at[known]]))


@dataclass(frozen=True, slots=True)
class Timeline:
    """Counts by equal bins over [start, start + width * bins), microseconds; arrays of one length."""

    start: int
    width: int
    flows: NDArray[np.int64]
    packets: NDArray[np.int64]
    bytes: NDArray[np.int64]


def timeline(case: CaseReader, start: int, end: int, bins: int, where: Where = EVERYTHING) -> Timeline:
    """Flows (by first packet), packets and bytes per bin over [start, end), microseconds since 1970 UTC.

    A flow counts where it began; one that has slices counts its packets and bytes where they were. In a settled
    case a flow's first slice begins with the flow, so the slices alone say what to take away there; otherwise,
    and under a filter, the flows are looked up. ValueError for an empty range or no bins.
    """
    if end <= start or bins < 1:
        raise ValueError("a timeline needs a range and bins")
    width = -(-(end - start) // bins)
    inside = f"ts >= make_timestamp({int(start)}) AND ts < make_timestamp({int(end)})"
    bin_of = f"((epoch_us(ts) - {int(start)}) // {width})::INTEGER AS bin"
    sums = "sum(src_pkts) + sum(dst_pkts) AS packets, sum(src_bytes) + sum(dst_bytes) AS bytes"
    counted = case.query(
        f"SELECT {bin_of}, count(*) AS flows, {sums} FROM flows WHERE {inside} AND ({where.sql}) GROUP BY ALL", where.params
    )
    if where.everything and case.settled:
        sliced = case.query(
            f"SELECT {bin_of}, {sums.replace('sum(', 'sum(of_flow.')} FROM (SELECT min(ts) AS ts, sum(src_pkts) AS src_pkts,"
            " sum(dst_pkts) AS dst_pkts, sum(src_bytes) AS src_bytes, sum(dst_bytes) AS dst_bytes FROM flow_slices"
            f" GROUP BY flow_id) of_flow WHERE {inside} GROUP BY ALL"
        )
    else:
        has_slices = "duration > 60 AND flow_id IN (SELECT flow_id FROM flow_slices)"
        sliced = case.query(
            f"SELECT {bin_of}, {sums} FROM flows WHERE {inside} AND {has_slices} AND ({where.sql}) GROUP BY ALL", where.params
        )
    mine = f"flow_id IN (SELECT flow_id FROM flows WHERE duration > 60 AND ({where.sql}))"
    kept = "true" if where.everything and case.settled else mine
    slices = case.query(
        f"SELECT {bin_of}, {sums} FROM flow_slices WHERE {inside} AND {kept} GROUP BY ALL", where.params if kept == mine else ()
    )
    out = {name: np.zeros(bins, np.int64) for name in ("flows", "packets", "bytes")}
    for table, sign in ((counted, 1), (sliced, -1), (slices, 1)):
        at = table["bin"].to_numpy()
        for name in out.keys() & set(table.column_names):
            np.add.at(out[name], at, sign * table[name].to_numpy().astype(np.int64))
    return Timeline(start, width, out["flows"], out["packets"], out["bytes"])


def extent(case: CaseReader) -> tuple[int, int] | None:
    """First and last packet of all flows, microseconds since 1970 UTC; None where there are none."""
    row = case.query("SELECT epoch_us(min(ts)) AS a, epoch_us(max(ts_end)) AS b FROM flows").to_pylist()[0]
    return None if row["a"] is None else (int(row["a"]), int(row["b"]))


def amount(case: CaseReader, where: Where = EVERYTHING) -> tuple[int, int, int]:
    """How many flows, and how many packets and IP bytes they have."""
    sums = "coalesce(sum(src_pkts + dst_pkts), 0)::BIGINT AS packets, coalesce(sum(src_bytes + dst_bytes), 0)::BIGINT AS bytes"
    row = case.query(f"SELECT count(*) AS flows, {sums} FROM flows WHERE {where.sql}", where.params).to_pylist()[0]
    return int(row["flows"]), int(row["packets"]), int(row["bytes"])


def top(case: CaseReader, column: str, measure: Measure = "bytes", count: int = 10, where: Where = EVERYTHING) -> pa.Table:
    """The values of a column of flows with most flows, bytes or packets: columns value, amount. Nulls are left out."""
    name = identifier(FLOWS.column(column).name)
    return case.query(
        f"SELECT {name} AS value, ({_MEASURES[measure]})::BIGINT AS amount FROM flows"
        f" WHERE {name} IS NOT NULL AND ({where.sql}) GROUP BY {name} ORDER BY amount DESC, value LIMIT {int(count)}",
        where.params,
    )
