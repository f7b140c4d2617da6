"""Rows of `case.sqlite` one by one, for a file of a stranger: a row that SQLite refuses is passed over, the others are read."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

#: The number that a row is found by at once; the other tables have none.
_NUMBERS: Final = {"notes": "note_id", "judgements": "judgement_id"}
#: Rows that are looked at: without a number each costs a walk from the first.
_MOST: Final = 100_000
_MOST_UNNUMBERED: Final = 5_000


def is_too_big(error: sqlite3.Error) -> bool:
    """Whether it is about a value that is longer than SQLite was told to take."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_TOOBIG


def rows_that_fit(con: sqlite3.Connection, table: str, columns: str) -> tuple[list[Any], int]:
    """These columns of every row, the newest first where rows have numbers, and how many rows were passed over.

    Slow, a statement a row: only for a file in which one was refused. Other errors of SQLite's are raised.
    """
    number = _NUMBERS.get(table)
    if number is not None:
        at = [n for (n,) in con.execute(f"SELECT {number} FROM {table} ORDER BY {number} DESC LIMIT {_MOST}")]
        sql = f"SELECT {columns} FROM {table} WHERE {number} = ?"
    else:
        (count,) = con.execute(f"SELECT count(*) FROM {table}").fetchone()
        at = list(range(min(count, _MOST_UNNUMBERED)))
        sql = f"SELECT {columns} FROM {table} LIMIT 1 OFFSET ?"
    found: list[Any] = []
    passed = 0
    for n in at:
        try:
            found += con.execute(sql, [n]).fetchall()
        except sqlite3.Error as error:
            if not is_too_big(error):
                raise
            passed += 1
    return found, passed
