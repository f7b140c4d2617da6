"""From case.duckdb.next to case.duckdb: checkpoint, sync, rename. A reader never sees a half file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.store.case import CaseFolder
from workbench.store.engine import identifier

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def wal_of(path: Path) -> Path:
    """The engine's log beside a database file."""
    return Path(os.fspath(path) + ".wal")


def publish_database(con: DuckDBPyConnection, database: str, case: CaseFolder) -> None:
    """Finish the attached database that lies in case.duckdb.next and give it its name.

    The attached database is detached. The checkpoint has synced
    the file, and after it there is no log, so the one file is everything.
    """
    con.execute(f"FORCE CHECKPOINT {identifier(database)}")  # readers of this process may be at work: it waits for them
    con.execute(f"DETACH {identifier(database)}")
    wal = wal_of(case.database_next)
    if wal.exists():
        raise RuntimeError(f"{wal.name} is left after a checkpoint")
    case.database_next.replace(case.database)
    case.fsync()
