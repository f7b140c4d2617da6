"""One engine instance in which a case is presented under plain names: tables, segments, rows still open.

The instance is in memory; case.duckdb is attached to it under the name `c`. `flows` and its siblings are
views in the instance, over the attached table alone (then they cost nothing) or over it, the segments and
the open flows. A case's own stored views are never used: ours are made from our files.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from workbench.records.columns import BY_NAME, TABLES
from workbench.store.case import CaseFolder
from workbench.store.engine import identifier, literal
from workbench.store.schema import WHOLE_TABLES, column_list, create_views
from workbench.store.segments import OpenFlows, Segment

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: The attached case's name.
CASE: Final = "c"


class Presented:
    """The instance, what of the case it shows, and whether that is still what there is.

    leaving: set while a writer takes the attached file, or its segments, away to publish them. gate: set while no
    question may begin, since the last checkpoint needs a moment without any. left: set when it is published.
    cursors: those of readers of a writer.
    """

    def __init__(self, case: CaseFolder, con: DuckDBPyConnection) -> None:
        self.case = case
        self.con = con
        self.closed = False
        self.leaving = threading.Event()
        self.gate = threading.Event()
        self.left = threading.Event()
        self.cursors: weakref.WeakSet[DuckDBPyConnection] = weakref.WeakSet()
        self.listed: tuple[Segment, ...] = ()
        self.segments: tuple[Segment, ...] = ()
        self.snapshots: tuple[OpenFlows, ...] = ()
        self._open: dict[int, str] = {}
        self._n = 0
        self._shown = False
        self._lock = threading.Lock()

    def present(
        self,
        segments: Sequence[Segment] = (),
        consumed: frozenset[str] = frozenset(),
        snapshots: Sequence[OpenFlows] = (),
    ) -> None:
        """Show these segments and snapshots beside the attached tables; consumed: names the tables already hold."""
        with self._lock:
            self.listed = tuple(segments)
            self.snapshots = tuple(snapshots)
            self.segments = tuple(s for s in segments if s.name not in consumed)
            self._make_views(first=not self._shown)
            self._shown = True

    @property
    def native(self) -> bool:
        """Whether `flows` is the attached table and nothing else, so that its rows have row numbers."""
        return not self._open and not self.snapshots and not any(s.table == "flows" for s in self.segments)

    def set_open(self, source_id: int, batch: pa.RecordBatch | None) -> None:
        """Replace the snapshot of a source's open flows; None removes it."""
        if batch is None and source_id not in self._open:
            return
        with self._lock:
            cursor = self.con.cursor()
            old = self._open.pop(source_id, None)
            if batch is not None and batch.num_rows:
                self._n += 1
                name = f"open_{source_id}_{self._n}"
                cursor.register("arriving", batch)
                cursor.execute(f"CREATE TABLE memory.main.{name} AS SELECT {column_list('flows')} FROM arriving")
                cursor.unregister("arriving")
                self._open[source_id] = name
            self._make_table_view("flows", cursor)
            if old is not None:
                cursor.execute(f"DROP TABLE memory.main.{old}")
            cursor.close()

    def forget_open(self, ended: Sequence[pa.Array]) -> None:
        """Take flows that have ended out of the snapshots, so that no reader sees one twice. ended: flow_id arrays."""
        with self._lock:
            if not self._open or not ended:
                return
            cursor = self.con.cursor()
            cursor.register("ended", pa.table({"flow_id": pa.chunked_array(ended)}))
            for name in self._open.values():
                cursor.execute(f"DELETE FROM memory.main.{name} WHERE flow_id IN (SELECT flow_id FROM ended)")
            cursor.unregister("ended")
            cursor.close()

    def has_open(self) -> bool:
        """Whether there is any snapshot."""
        return bool(self._open)

    def interrupt(self) -> None:
        """Stop what readers of the writer are asking; they ask again after the publishing."""
        for cursor in list(self.cursors):
            cursor.interrupt()

    def close(self) -> None:
        """Let go of the case; cursors that still run end first. What readers wait for in `left` is now so."""
        self.closed = True
        self.left.set()
        with contextlib.suppress(Exception):
            self.con.close()

    def _still_open(self, snapshot: OpenFlows) -> str:
        return open_rows(self.case.segments, snapshot, self.listed)

    def _make_views(self, *, first: bool) -> None:
        cursor = self.con.cursor()
        for table in TABLES:
            self._make_table_view(table.name, cursor)
        if first:
            create_views(cursor, "memory")
        cursor.close()

    def _make_table_view(self, table: str, cursor: DuckDBPyConnection) -> None:
        columns = column_list(table)
        parts = [f"SELECT {columns} FROM {CASE}.main.{identifier(table)}"]
        files = [literal(os.fspath(self.case.segments / s.name)) for s in self.segments if s.table == table]
        if files:
            options = "union_by_name = true, hive_partitioning = false"
            typed = ", ".join(f"{identifier(c.name)}::{c.type} AS {identifier(c.name)}" for c in BY_NAME[table].columns)
            segments = f"SELECT {typed} FROM read_parquet([{', '.join(files)}], {options})"
            parts = [segments] if table in WHOLE_TABLES else [*parts, segments]
        if table == "flows":
            parts += [f"SELECT {columns} FROM memory.main.{name}" for name in self._open.values()]
            parts += map(self._still_open, self.snapshots)
        sql = " UNION ALL ".join(parts)
        cursor.execute(f"CREATE OR REPLACE VIEW memory.main.{identifier(table)} AS {sql}")


def open_rows(segments: Path, snapshot: OpenFlows, later: Sequence[Segment]) -> str:
    """A SELECT of the flows of a snapshot that have not ended since, as typed columns. later: all segments that there are."""
    typed = ", ".join(f"{identifier(c.name)}::{c.type} AS {identifier(c.name)}" for c in BY_NAME["flows"].columns)
    options = "union_by_name = true, hive_partitioning = false"
    sql = f"SELECT {typed} FROM read_parquet([{literal(os.fspath(segments / snapshot.name))}], {options})"
    since = [s for s in later if s.table == "flows" and s.run == snapshot.run and s.upto >= snapshot.n]
    if since:
        files = ", ".join(literal(os.fspath(segments / s.name)) for s in since)
        sql += f" WHERE flow_id NOT IN (SELECT flow_id FROM read_parquet([{files}], {options}))"
    return sql


def consumed_names(con: DuckDBPyConnection) -> frozenset[str]:
    """Names of the segments that the attached case has taken in."""
    return frozenset(name for (name,) in con.execute(f"SELECT name FROM {CASE}.main.case_segments").fetchall())
