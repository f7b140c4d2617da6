"""From case.duckdb.next to case.duckdb: checkpoint, sync, rename. A reader never sees a half file."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from workbench.store.case import CaseFolder
from workbench.store.engine import identifier

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: Seconds that a checkpoint waits for readers of this process before they are stopped.
_PATIENCE: Final = 1.0

#: The last indexes that this process has published, by what changes with any write to them.
_PUBLISHED: Final[deque[tuple[int, ...]]] = deque(maxlen=16)


def wal_of(path: Path) -> Path:
    """The engine's log beside a database file."""
    return Path(os.fspath(path) + ".wal")


def publish_database(con: DuckDBPyConnection, database: str, case: CaseFolder, hurry: Callable[[], None] | None = None) -> None:
    """Finish the attached database that lies in case.duckdb.next and give it its name.

    A checkpoint needs a moment in which nobody of this process reads. hurry: called once a while to make those
    stop who take longer than a second.

    The attached database is detached. The checkpoint has synced
    the file, and after it there is no log, so the one file is everything.
    """
    _checkpoint(con, database, hurry)
    con.execute(f"DETACH {identifier(database)}")
    wal = wal_of(case.database_next)
    if wal.exists():
        raise RuntimeError(f"{wal.name} is left after a checkpoint")
    case.database_next.replace(case.database)
    case.fsync()
    _PUBLISHED.append(_sign(case))


def published_here(case: CaseFolder) -> bool:
    """Whether the index is, untouched, one that this process has published: then its catalogue need not be looked at."""
    try:
        return _sign(case) in _PUBLISHED
    except OSError:
        return False


def _sign(case: CaseFolder) -> tuple[int, ...]:
    stat = case.database.stat()
    return (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def _checkpoint(con: DuckDBPyConnection, database: str, hurry: Callable[[], None] | None) -> None:
    import duckdb

    patience = time.monotonic() + _PATIENCE
    while hurry is not None:
        try:
            con.execute(f"CHECKPOINT {identifier(database)}")
        except duckdb.TransactionException:
            if time.monotonic() > patience:
                hurry()
                patience += _PATIENCE / 4
            time.sleep(0.01)
        else:
            return
    con.execute(f"FORCE CHECKPOINT {identifier(database)}")
