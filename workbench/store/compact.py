"""Compaction and recovery: everything that turns what lies in a case folder into one case.duckdb.

All of it needs the ingest lock. At whatever moment a process dies, one of these holds afterwards:
case.duckdb is absent and case.duckdb.next (with its log) holds what the first index committed; or
case.duckdb is whole, case.duckdb.next is scrap, and segments that case.duckdb names as taken in are
leftovers while all others still count.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.records.columns import BY_NAME, SCHEMA_VERSION
from workbench.store.case import CaseFolder, IngestLock
from workbench.store.catalogue import check, prepare
from workbench.store.closing import settle
from workbench.store.database import CASE, consumed_names, open_rows
from workbench.store.engine import attach, connect, identifier, literal, lock_down, writing
from workbench.store.migrate import ADDRESS_NUMBERS, migrate
from workbench.store.publish import publish_database, wal_of
from workbench.store.schema import WHOLE_TABLES, column_list, schema_version
from workbench.store.segment_check import check_segments
from workbench.store.segments import (
    Segment,
    adds_rows,
    all_open,
    list_open,
    list_segments,
    remove_segments,
    remove_superseded,
    remove_unfinished,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def needs_recovery(case: CaseFolder) -> bool:
    """Whether something is left to take in, to clear away or to migrate. Cheap: names and case.toml only."""
    if case.database_next.exists() or not case.database.exists() or any(map(adds_rows, list_segments(case))) or all_open(case):
        return True
    version = case.describe()["schema_version"]
    return isinstance(version, int) and version < SCHEMA_VERSION


def recover(case: CaseFolder, _lock: IngestLock) -> None:
    """Bring the folder into order: keep what was committed, settle its sources, clear scrap away."""
    remove_unfinished(case)
    for folder in case.temp_of_the_dead():
        shutil.rmtree(folder, ignore_errors=True)
    with writing(os.fspath(case.root)):
        if not case.database.exists():
            if case.database_next.exists():
                _finish_first_index(case)
            return
        _remove(case.database_next)
        if any(map(adds_rows, list_segments(case))) or all_open(case) or _outdated(case):
            compact(case)


def compact(case: CaseFolder) -> None:
    """Take all segments into a new case.duckdb, publish it, and remove them.

    Costs a copy of the old file; that stays readable, under its name until the rename and by whoever has it
    open after that. ForeignCaseError where the catalogue is not ours, or a segment lacks what ours have.
    """
    remove_superseded(case)
    shutil.copyfile(case.database, case.database_next)
    con = connect(case.temp_for_process())
    try:
        attach(con, case.database_next, CASE, read_only=False)
        prepare(con)
        lock_down(con, (case.segments,))
        check(con, CASE, case)
        if migrate(con, CASE):
            check(con, CASE, case)
        con.execute("BEGIN")
        done = consumed_names(con)
        new = [s for s in list_segments(case) if s.name not in done]
        check_segments(con, case, new)
        before = _source_ids(con)
        for table in dict.fromkeys(s.table for s in new):
            _take_in(con, case, table, [s for s in new if s.table == table])
        _take_in_open(con, case)
        settle(con, CASE, _source_ids(con) - before)
        con.execute(f"DELETE FROM {CASE}.main.case_segments")
        for segment in new:
            con.execute(f"INSERT INTO {CASE}.main.case_segments VALUES (?)", [segment.name])
        con.execute("COMMIT")
        publish_database(con, CASE, case)
    except BaseException:
        con.close()
        _remove(case.database_next)
        raise
    con.close()
    case.note_schema_version(SCHEMA_VERSION)
    remove_segments(case, [*(s.name for s in new), *done, *(s.name for s in all_open(case))])


def _take_in_open(con: DuckDBPyConnection, case: CaseFolder) -> None:
    """Flows that were open when whoever wrote them died: they end there, forced (4), as far as they were seen.

    One that did end, or was taken in by a compaction that died before it removed the snapshot, is there already.
    """
    snapshots = list_open(case)
    check_segments(con, case, [Segment("flows", s.name, s.run, s.n) for s in snapshots])
    flows = f"{CASE}.main.flows"
    for snapshot in snapshots:
        rows = open_rows(case.segments, snapshot, ())
        con.execute(
            f"INSERT INTO {flows} BY NAME SELECT {_columns('flows')} FROM (SELECT * REPLACE (4 AS end_reason) FROM ({rows}))"
            f" WHERE source_id = ? AND flow_id NOT IN (SELECT flow_id FROM {flows} WHERE source_id = ?)",
            [snapshot.source_id, snapshot.source_id],
        )


def _take_in(con: DuckDBPyConnection, case: CaseFolder, table: str, segments: list[Segment]) -> None:
    files = ", ".join(literal(os.fspath(case.segments / s.name)) for s in segments)
    if table in WHOLE_TABLES:
        con.execute(f"DELETE FROM {CASE}.main.{identifier(table)}")
    found = f"SELECT * FROM read_parquet([{files}], union_by_name = true, hive_partitioning = false)"
    empty = f"SELECT * FROM {CASE}.main.{identifier(table)} WHERE false"  # columns that segments of an older schema lack
    con.execute(
        f"INSERT INTO {CASE}.main.{identifier(table)} BY NAME SELECT {_columns(table)} FROM ({empty} UNION ALL BY NAME {found})"
    )


def _columns(table: str) -> str:
    """The columns of a table of segments, of ours or an older schema."""
    if table != "flows":
        return column_list(table)
    return ", ".join(
        f"coalesce({identifier(name)}, {ADDRESS_NUMBERS[name]}) AS {identifier(name)}"
        if name in ADDRESS_NUMBERS
        else identifier(name)
        for name in BY_NAME[table].names
    )


def _source_ids(con: DuckDBPyConnection) -> set[int]:
    return {int(row[0]) for row in con.execute(f"SELECT source_id FROM {CASE}.main.sources").fetchall()}


def _finish_first_index(case: CaseFolder) -> None:
    """Publish what the first index had committed when it died. The engine replays its log on attaching."""
    import duckdb

    con = connect(case.temp_for_process())
    try:
        try:
            attach(con, case.database_next, CASE, read_only=False)
            known = schema_version(con, CASE)
        except (duckdb.IOException, duckdb.FatalException, duckdb.InternalException, duckdb.SerializationException):
            known = 0
        if not known:  # it died before its first commit, or the file is no database
            con.close()
            _remove(case.database_next)
            return
        prepare(con)
        lock_down(con)
        check(con, CASE, case)
        con.execute("BEGIN")
        settle(con, CASE, _source_ids(con))
        con.execute("COMMIT")
        publish_database(con, CASE, case)
    finally:
        con.close()


def _outdated(case: CaseFolder) -> bool:
    con = connect(case.temp_for_process())
    try:
        attach(con, case.database, CASE, read_only=True)
        lock_down(con)
        return 0 < schema_version(con, CASE) < SCHEMA_VERSION
    finally:
        con.close()


def _remove(database: Path) -> None:
    for path in (database, wal_of(database)):
        path.unlink(missing_ok=True)
