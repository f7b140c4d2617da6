"""The engine, imported late: connections with fixed settings, quoting, and its errors in our words.

Importing duckdb costs about 50 ms, so nothing in this package does it at import time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workbench.errors import DiskFullError, QueryError, WorkbenchError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: Format of case.duckdb: what shells from version 1.2 on can open.
STORAGE_VERSION: Final = "v1.2.0"

#: What the engine may hold of tables and intermediate results; past that it spills to the case's tmp folder.
MEMORY_LIMIT: Final = "320MB"

#: The same for reading: sorting 20 million flows in memory takes two thirds of it, and the app stays below 1 GB.
READ_MEMORY_LIMIT: Final = "600MB"

_FULL: Final = ("no space left", "disk quota", "file too large", "could not write all", "max_temp_directory_size")


def connect(temp: Path, *, memory: str = MEMORY_LIMIT, threads: int | None = None) -> DuckDBPyConnection:
    """A fresh in-memory instance that can load no extension and resolves no Python variable.

    temp: folder for spilling, made and removed by the engine. threads: default one a core, at most four;
    more cost memory in row groups being written.
    """
    import duckdb

    con = duckdb.connect(
        ":memory:",
        config={
            "threads": threads or min(os.cpu_count() or 1, 4),
            "memory_limit": memory,
            "temp_directory": os.fspath(temp),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,
            "preserve_insertion_order": True,
        },
    )
    con.execute("SET enable_progress_bar = false")  # it would be printed to stdout, which is data
    return con


def lock_down(con: DuckDBPyConnection, folders: tuple[Path, ...] = (), *, settings: bool = True) -> None:
    """From here on nothing outside `folders` can be opened and no setting changed; for the whole instance.

    What is attached stays usable. There is no way back short of a new instance. settings: whether other
    settings are locked, too; access to files stays off either way.
    """
    listed = ", ".join(literal(os.fspath(f).rstrip("/") + "/") for f in folders)
    con.execute(f"SET allowed_directories = [{listed}]")
    con.execute("SET enable_external_access = false")
    if settings:
        con.execute("SET lock_configuration = true")


def attach(con: DuckDBPyConnection, path: Path, name: str, *, read_only: bool) -> None:
    """Attach a database file under `name`; a fresh file gets STORAGE_VERSION."""
    how = "READ_ONLY" if read_only else f"STORAGE_VERSION '{STORAGE_VERSION}'"
    con.execute(f"ATTACH {literal(os.fspath(path))} AS {identifier(name)} ({how})")


def identifier(name: str) -> str:
    """A name as SQL takes it, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL literal. NUL can't be written in SQL and is refused with ValueError."""
    if "\0" in text:
        raise ValueError("a NUL character cannot be part of SQL text")
    return "'" + text.replace("'", "''") + "'"


def is_disk_full(error: BaseException) -> bool:
    """Whether an engine or OS error says that nothing more fits."""
    text = str(error).lower()
    return any(sign in text for sign in _FULL)


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Turn a full disk into DiskFullError; everything else passes."""
    import duckdb

    try:
        yield
    except (duckdb.Error, OSError) as error:
        if not is_disk_full(error):
            raise
        raise DiskFullError(
            f"no space left while writing {what}: {_first_line(error)}",
            "Free some space and run the command again; what was already indexed is kept.",
        ) from error


@contextmanager
def asking() -> Iterator[None]:
    """Turn the engine's refusal of a person's query into QueryError; interrupts and bugs pass."""
    import duckdb

    try:
        yield
    except duckdb.InterruptException:
        raise
    except duckdb.Error as error:
        raise as_query_error(error) from error


def as_query_error(error: Any) -> WorkbenchError:
    """The QueryError for an engine error, without the engine's own advice on settings."""
    return QueryError(_first_line(error), "See docs/schema.md for the tables, views and columns of a case.", _pointed_at(error))


#: Where the engine only names what it does not know.
_UNKNOWN: Final = re.compile(r"(?:column|[Nn]ame|alias|function) \"?(?P<name>[^\W\d]\w*)\"? (?:not found|does not exist)")


def _pointed_at(error: BaseException) -> str:
    """What stands over the engine's carets: `LINE 1: SELECT nonsense` and under it `^`; else the name it does not know."""
    text = str(error)
    for above, below in pairwise(text.splitlines()):
        head = re.match(r"LINE [0-9]+: ", above)
        if head and re.fullmatch(r" *\^+", below):
            return above[max(head.end(), below.index("^")) :].removesuffix("...")
    found = _UNKNOWN.search(text)
    return found["name"] if found else ""


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    keep = [line for line in lines[:6] if not line.startswith("*")]
    return " ".join(keep) if keep else type(error).__name__
