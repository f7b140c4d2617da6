"""The first index of a case: rows go straight into the tables of case.duckdb.next.

One transaction spans several batches. Whole row groups are compressed and written to the file as they
fill, before the commit; only the tail goes through the log. A commit after every batch would write
everything twice.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any, Final

import pyarrow as pa

from workbench.records.columns import BY_NAME
from workbench.store.case import CaseFolder
from workbench.store.closing import settle
from workbench.store.database import CASE, Presented
from workbench.store.engine import attach, connect, identifier, lock_down
from workbench.store.publish import publish_database
from workbench.store.schema import column_list, create_schema

#: Log size at which the engine checkpoints by itself. Small logs recover fast; each checkpoint costs a sync. The last commit is
#: a checkpoint at once: through the log, its rows would be written twice.
_CHECKPOINT: Final = "256MB"
_CHECKPOINT_LAST: Final = "1KB"

#: Compressing a row costs more than everything else that is done to store it (1.4 of 2.5 us), and it is the last
#: thing a person waits for. So the first rows of a case and the last part of a row group are stored plain
#: (330 instead of 65 bytes a flow), and what lies between, the bulk of a large case, is compressed.
_PLAIN: Final = "SET force_compression = 'uncompressed'"
_COMPRESSED: Final = "SET force_compression = 'auto'"
_PLAIN_ROWS: Final = 600_000

#: Seconds after which a commit waits for the end of a row group, and twice that for nothing: with readers in this
#: process, and without. Every commit inside a row group leaves two halves, which the last checkpoint would join
#: by writing their neighbours again: 2 us a row when committing each half second wherever it fell.
_SEEN_AFTER: Final = 0.5
_SAFE_AFTER: Final = 5.0
_ROW_GROUP: Final = 122_880


class NativeSink:
    """Writes into case.duckdb.next and publishes it at the end."""

    def __init__(self, case: CaseFolder) -> None:
        self.case = case
        con = connect(case.temp_for_process(), threads=1)
        attach(con, case.database_next, CASE, read_only=False)
        con.execute(f"SET checkpoint_threshold = '{_CHECKPOINT}'")
        lock_down(con, settings=False)
        con.execute("BEGIN")
        create_schema(con, CASE)
        con.execute("COMMIT")
        con.execute(_PLAIN)
        self._con = con
        self._rows = 0
        self._rows_open = 0  # flows since the last commit
        self._ended: list[pa.Array] = []
        self._snapshots: dict[int, pa.RecordBatch | None] = {}
        self.presented = Presented(case, con)
        self.watched = False
        self._pending = False
        self._committed = time.monotonic()

    def watch(self) -> None:
        """From now on readers of this process look on; the views for them are made the first time."""
        if not self.watched:
            self.presented.present()
            self._committed = 0.0  # what comes first is shown at once
        self.watched = True

    def append(self, table: str, batch: pa.RecordBatch) -> None:
        """Add rows; columns are matched by name. Commits at the end of a row group where a commit is due."""
        room = _ROW_GROUP - self._rows_open % _ROW_GROUP
        if table == "flows" and batch.num_rows >= room and self._waited() >= 1.0:
            self._insert(table, batch.slice(0, room))
            self._commit()
            batch = batch.slice(room)
        if batch.num_rows:
            self._insert(table, batch)

    def _insert(self, table: str, batch: pa.RecordBatch) -> None:
        self._begin()
        con = self._con
        if self._rows < _PLAIN_ROWS <= self._rows + batch.num_rows:
            con.execute(_COMPRESSED)
        self._rows += batch.num_rows
        if table == "flows":
            self._rows_open += batch.num_rows
            if self.watched:
                self._ended.append(batch.column("flow_id"))
        con.register("arriving", batch)
        try:
            con.execute(f"INSERT INTO {CASE}.main.{identifier(table)} SELECT {column_list(table)} FROM arriving")
        except BaseException:
            self._rolled_back()
            raise
        finally:
            con.unregister("arriving")

    def commit(self, *, now: bool) -> None:
        """Commit if it is high time; at once where `now`."""
        if self._pending and (now or self._waited() >= 2.0):
            self._commit()

    def set_open(self, source_id: int, batch: pa.RecordBatch | None) -> None:
        """Replace a snapshot; shown together with the rows that were appended before it."""
        self._snapshots[source_id] = batch
        if not self._pending:
            self._show()

    def put_source(self, row: dict[str, Any], *, new: bool) -> None:
        """Write a row of `sources`."""
        self._begin()
        names = [n for n in BY_NAME["sources"].names if n in row]
        if new:
            fields = ", ".join(identifier(n) for n in names)
            marks = ", ".join("?" for _ in names)
            sql = f"INSERT INTO {CASE}.main.sources ({fields}) VALUES ({marks})"
            self._con.execute(sql, [row[n] for n in names])
        else:
            sets = ", ".join(f"{identifier(n)} = ?" for n in names)
            sql = f"UPDATE {CASE}.main.sources SET {sets} WHERE source_id = ?"
            self._con.execute(sql, [*(row[n] for n in names), row["source_id"]])

    def put_rows(self, table: str, rows: list[dict[str, Any]]) -> None:
        """Add rows of `ledger` or `source_files`."""
        from workbench.records.arrow import arrow_schema

        schema = arrow_schema(table)
        plain = [{name: row.get(name) for name in schema.names} for row in rows]
        self.append(table, pa.RecordBatch.from_pylist(plain, schema=schema))

    def finish(self, sources: list[int]) -> None:
        """Settle, checkpoint, rename. Readers of this process move over to the published file."""
        self._begin()
        self._con.execute(_PLAIN)
        settle(self._con, CASE, sources)
        self._con.execute(f"SET checkpoint_threshold = '{_CHECKPOINT_LAST}'")
        self._commit()
        self.presented.leaving.set()
        self.presented.gate.set()
        publish_database(self._con, CASE, self.case, self.presented.interrupt)
        self.presented.close()

    def abandon(self) -> None:
        """Close without publishing: what was committed lies in case.duckdb.next and its log, for recovery."""
        self._rolled_back()
        self.presented.close()

    def _commit(self) -> None:
        try:
            self._con.execute("COMMIT")
        except BaseException:
            self._rolled_back()
            raise
        self._pending = False
        self._rows_open = 0
        self._committed = time.monotonic()
        self._show()

    def _show(self) -> None:
        """Show what was committed: new snapshots, without the flows that ended since they were taken."""
        for source_id, batch in self._snapshots.items():
            self.presented.set_open(source_id, batch)
        self._snapshots.clear()
        self.presented.forget_open(self._ended)
        self._ended = []

    def _waited(self) -> float:
        """How long the last commit is ago, in the time that may pass between two."""
        return (time.monotonic() - self._committed) / (_SEEN_AFTER if self.watched else _SAFE_AFTER)

    def _rolled_back(self) -> None:
        """After a failure: the transaction is gone, what was committed before is not."""
        if self._pending:
            self._pending = False
            with contextlib.suppress(Exception):
                self._con.execute("ROLLBACK")

    def _begin(self) -> None:
        if not self._pending:
            self._con.execute("BEGIN")
            self._pending = True
