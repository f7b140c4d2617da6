"""Reading a case: one instance, a cursor a thread, always the newest state.

During a first index no other process can read the case: CaseBusyError names the process. During later
ones everyone reads case.duckdb and the segments that are complete.
"""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol

import pyarrow as pa

from workbench.errors import CancelledError
from workbench.store.case import CaseFolder
from workbench.store.database import Presented
from workbench.store.opening import open_presented, refreshed, tidy
from workbench.store.segments import adds_rows

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: Seconds between looks at the folder for new segments or a new case.duckdb.
_LOOK_AFTER: Final = 0.25

#: Seconds that a query waits for a writer of this process to publish the file it has just taken away.
_PUBLISH: Final = 120.0

#: How often a query whose segment was compacted away under it runs again.
_TRIES: Final = 4


class Asks(Protocol):
    """Whoever can be asked: a reader, or one question of it. What analyses take."""

    def query(self, sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> pa.Table:
        """Run the program's own SQL; all rows. CancelledError when stopped."""


class Question:
    """One question to a case, perhaps of several queries, on a cursor of its own. Once stopped it stays stopped."""

    def __init__(self, reader: CaseReader) -> None:
        self._reader = reader
        self._stopped = threading.Event()
        self._cursor: DuckDBPyConnection | None = None
        self._stream: DuckDBPyConnection | None = None
        self._generation = -1

    def query(self, sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> pa.Table:
        """Run the program's own SQL; all rows. CancelledError after `stop`."""
        table = self._reader._asked(self._own, sql, params)
        self._own()
        return table

    def batches(self, sql: str, params: Sequence[Any] | dict[str, Any] = (), rows: int = 1 << 20) -> Iterator[pa.RecordBatch]:
        """The same in pieces of so many rows, read as they are asked for: memory stays flat.

        All at once where the case is live: what is read slowly would hold up its writer. CancelledError after `stop`.
        """
        if self._reader.live:
            yield from self.query(sql, params).to_batches(rows)
            return
        import duckdb

        cursor = self._stream = self._own().cursor()
        try:
            for batch in cursor.sql(sql, params=params or None).to_arrow_reader(rows):
                self._own()
                yield batch
        except (duckdb.InterruptException, RuntimeError, OSError, pa.ArrowException) as error:
            if not self._stopped.is_set() and "nterrupt" not in str(error):
                raise
            raise CancelledError("the query was stopped") from error
        finally:
            self._stream = None
            cursor.close()

    def stop(self) -> None:
        """Stop the query that is running, and refuse further ones; from any thread. The engine stops working on it."""
        import duckdb

        self._stopped.set()
        for cursor in (self._cursor, self._stream):
            if cursor is not None:
                with contextlib.suppress(duckdb.ConnectionException):
                    cursor.interrupt()

    @property
    def stopped(self) -> bool:
        """Whether it was."""
        return self._stopped.is_set()

    def _own(self) -> DuckDBPyConnection:
        """Its cursor on the newest state of the case."""
        self._reader.cursor()  # looks for what is new
        if self._cursor is None or self._reader.generation != self._generation:
            self._cursor = self._reader.own_cursor()
            self._generation = self._reader.generation
        if self._stopped.is_set():
            raise CancelledError("the query was stopped")
        return self._cursor


class CaseReader:
    """A case, open for reading. Threads may share it; each has its own cursor."""

    def __init__(self, case_dir: Path, *, _live: Presented | None = None) -> None:
        """Open the case at `case_dir`, recovering first what a crash left.

        _live: what a writer in this process presents; the reader moves to the file when that closes.
        Raises MissingPathError, NotACaseError, CaseBusyError (first index in another process),
        ForeignCaseError.
        """
        self.case = CaseFolder.open(Path(case_dir))
        if _live is None:
            tidy(self.case)
        self._presented = _live or open_presented(self.case)
        self._is_live = _live is not None
        self._inode = 0 if _live else self._look()
        self._looked = time.monotonic()
        self._lock = threading.Lock()
        self._local = threading.local()
        self._cursors: weakref.WeakSet[DuckDBPyConnection] = weakref.WeakSet()
        self._generation = 0

    @property
    def native(self) -> bool:
        """Whether `flows` is one table, whose rows have row numbers (then paging is at its fastest)."""
        return self._presented.native

    @property
    def live(self) -> bool:
        """Whether this reads what a writer of this process has not published yet."""
        return self._is_live

    @property
    def settled(self) -> bool:
        """Whether the case is one published file: every flow in it has ended, every slice has its flow."""
        return not self._is_live and not any(adds_rows(s) for s in self._presented.segments)

    @property
    def generation(self) -> int:
        """Grows whenever the file or the set of segments changed; row numbers hold within one generation."""
        return self._generation

    def query(self, sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> pa.Table:
        """Run the program's own SQL; all rows. Use `store.query.run_query` for a person's.

        CancelledError after `interrupt`. A segment that was compacted away meanwhile makes it run again.
        """
        return self._asked(self.cursor, sql, params)

    def question(self) -> Question:
        """A question of its own, which can be stopped without stopping what others ask."""
        return Question(self)

    def _asked(self, cursor: Callable[[], DuckDBPyConnection], sql: str, params: Sequence[Any] | dict[str, Any]) -> pa.Table:
        import duckdb

        for again in range(_TRIES):
            try:
                return cursor().sql(sql, params=params or None).to_arrow_table()
            except duckdb.InterruptException as error:
                if again < _TRIES - 1 and self._is_live and self._presented.gate.is_set():
                    continue  # stopped by the writer, to publish: asked again after that
                raise CancelledError("the query was stopped") from error
            except (
                duckdb.IOException,
                duckdb.BinderException,
                duckdb.CatalogException,
                duckdb.ConnectionException,
                duckdb.TransactionException,
            ) as error:
                if again == _TRIES - 1 or not self.renew(error):
                    raise
        raise AssertionError("unreachable")

    def cursor(self) -> DuckDBPyConnection:
        """This thread's cursor on the newest state of the case."""
        self._refresh()
        with self._lock:
            if getattr(self._local, "generation", None) != (self._generation, id(self._presented)):
                cursor = self._presented.con.cursor()
                self._local.cursor = cursor
                self._local.generation = (self._generation, id(self._presented))
                self._cursors.add(cursor)
                self._presented.cursors.add(cursor)
            found: DuckDBPyConnection = self._local.cursor
            return found

    def own_cursor(self) -> DuckDBPyConnection:
        """A further cursor, for a result that is read in pieces while others are asked; `interrupt` stops it, too."""
        cursor = self.cursor().cursor()
        self._cursors.add(cursor)
        self._presented.cursors.add(cursor)
        return cursor

    def interrupt(self) -> None:
        """Stop what every thread's cursor is doing; from any thread."""
        import duckdb

        for cursor in list(self._cursors):
            with contextlib.suppress(duckdb.ConnectionException):  # closed by whoever read it to its end
                cursor.interrupt()

    def refresh(self) -> None:
        """Look for new segments or a new case.duckdb now."""
        self._refresh(force=True)

    def renew(self, error: BaseException) -> bool:
        """After a failed query: whether the case has changed under it, so that it is worth running again."""
        before = self._generation
        if self._is_live and self._presented.leaving.is_set():
            self._presented.left.wait(_PUBLISH)
        vanished = "No files found" in str(error) or "annot open file" in str(error) or "No such file" in str(error)
        self._refresh(force=True)
        return vanished or self._generation != before

    def close(self) -> None:
        """Let go of the case. A writer's own instance stays open for it."""
        self.interrupt()
        if not self._is_live:
            self._presented.close()

    def __enter__(self) -> CaseReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _look(self) -> int:
        return self.case.database.stat().st_ino

    def _refresh(self, *, force: bool = False) -> None:
        if self._is_live and self._presented.gate.is_set():
            self._presented.left.wait(_PUBLISH)
        now = time.monotonic()
        if not self._presented.closed and not force and now - self._looked < _LOOK_AFTER:
            return
        with self._lock:
            self._looked = now
            if self._is_live and not self._presented.closed:
                return
            if self._is_live or self._look() != self._inode:
                self._reopen()
            elif refreshed(self._presented):
                self._generation += 1

    def _reopen(self) -> None:
        inode = self._look() if self.case.database.exists() else 0
        fresh = open_presented(self.case)
        self._presented, self._inode, self._is_live = fresh, inode, False
        self._generation += 1
