"""From a case folder to an instance that presents it: locked down, its catalogue checked."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from workbench.errors import CaseBusyError, ForeignCaseError, NotACaseError, WorkbenchError
from workbench.records.columns import SCHEMA_VERSION
from workbench.store.case import CaseFolder, IngestLock, busy, lock_holder
from workbench.store.catalogue import check, prepare
from workbench.store.database import CASE, Presented, consumed_names
from workbench.store.engine import READ_MEMORY_LIMIT, attach, connect, lock_down
from workbench.store.publish import published_here
from workbench.store.schema import schema_version
from workbench.store.segment_check import check_segments
from workbench.store.segments import OpenFlows, Segment, list_open, list_segments

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_T = TypeVar("_T")
#: How often what is there is listed again because a file of the list had gone.
_LOOKS: Final = 5


def tidy(case: CaseFolder) -> None:
    """Recover what a crash left, if something is left and nobody is writing.

    A folder that can't be written (another person's, a read-only medium) is left as it is.
    """
    from workbench.store.compact import needs_recovery, recover

    if not needs_recovery(case) or lock_holder(case) is not None or not os.access(case.root, os.W_OK):
        return
    try:
        lock = IngestLock(case)
    except CaseBusyError:
        return
    with lock:
        recover(case, lock)


def open_presented(case: CaseFolder) -> Presented:
    """Open case.duckdb read-only and present it with the segments that are there now.

    CaseBusyError during a first index (another process can't read a file that is being written), NotACaseError
    where nothing was indexed yet, ForeignCaseError where the catalogue is not ours, or a segment lacks what ours have.
    """
    if not case.database.exists():
        if lock_holder(case) is not None:
            raise busy(case, "gets its first index")
        raise NotACaseError(f"{case.root} holds nothing yet", f"Index into it: workbench index PATH --case {case.root}")
    con = connect(case.temp_for_process(), memory=READ_MEMORY_LIMIT)
    try:
        _attach_read_only(con, case)
        ours = published_here(case)  # nobody else can have made its catalogue; looking at it takes longer than all the rest
        if not ours:
            prepare(con)
        lock_down(con, (case.segments,))
        if not ours:
            check(con, CASE, case)
        if schema_version(con, CASE) != SCHEMA_VERSION:
            raise ForeignCaseError(
                f"{case.root} has an older schema and cannot be migrated in place", "Copy it to a folder that you can write to."
            )
        presented = Presented(case, con)
        _while_files_go(lambda: _present(presented))
        if not ours:
            con.execute("DETACH expected")
    except BaseException:
        con.close()
        raise
    return presented


def _present(presented: Presented) -> None:
    """List, check and present what is there."""
    con, case = presented.con, presented.case
    snapshots = list_open(case)  # before the segments: what ends meanwhile is then in both, and counted once
    segments, consumed = list_segments(case), consumed_names(con)
    new = [segment for segment in segments if segment.name not in consumed]
    check_segments(con, case, [*new, *map(_as_segment, snapshots)])
    presented.present(segments, consumed, snapshots)


def _while_files_go(look: Callable[[], _T]) -> _T:
    """What it returns; where a file went between being listed and being read (a snapshot, at the end of a live source): again."""
    import duckdb

    for _ in range(_LOOKS - 1):
        with contextlib.suppress(duckdb.IOException):
            return look()
    return look()


def refreshed(presented: Presented) -> bool:
    """List the segments again; whether something changed. ForeignCaseError for a new one that lacks what ours have."""
    return _while_files_go(lambda: _refreshed(presented))


def _refreshed(presented: Presented) -> bool:
    snapshots = tuple(list_open(presented.case))
    now = tuple(list_segments(presented.case))
    known = presented.listed
    if now == known and snapshots == presented.snapshots:
        return False
    cursor = presented.con.cursor()
    new = set(now) - set(known)
    fresh = [_as_segment(snapshot) for snapshot in snapshots if snapshot not in presented.snapshots]
    check_segments(cursor, presented.case, [*sorted(new), *fresh])
    presented.present(now, consumed_names(cursor), snapshots)
    cursor.close()
    return True


def _as_segment(snapshot: OpenFlows) -> Segment:
    return Segment("flows", snapshot.name, snapshot.run, snapshot.n)


def _attach_read_only(con: DuckDBPyConnection, case: CaseFolder) -> None:
    import duckdb

    try:
        attach(con, case.database, CASE, read_only=True)
    except (duckdb.IOException, duckdb.SerializationException, duckdb.InvalidInputException) as error:
        raise _unreadable(case, error) from error


def _unreadable(case: CaseFolder, error: Exception) -> WorkbenchError:
    return ForeignCaseError(
        f"{case.database} cannot be opened: {str(error).splitlines()[0]}", "It may be damaged, or written by a newer version."
    )
