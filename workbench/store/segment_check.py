"""Do segments hold a value wherever every row of ours has one? Asked of each once, when a reader first lists it.

What we write says so in its schema (REQUIRED: the format has no place for a null there), so that of our own segments no
row is read. A stranger's may leave it open, and then its values are looked at: a null where none can be would go
unnoticed into every order and sum, or end a view that counts on it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.errors import ForeignCaseError
from workbench.records.columns import BY_NAME
from workbench.records.visible import visible
from workbench.store.case import CaseFolder
from workbench.store.engine import identifier, literal
from workbench.store.segments import Segment

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def check_segments(con: DuckDBPyConnection, case: CaseFolder, segments: Sequence[Segment]) -> None:
    """ForeignCaseError for the first that lacks a value that every row of its table has. Costs under 1 ms a segment."""
    paths = {os.fspath(case.segments / segment.name): segment for segment in segments}
    if not paths:
        return
    listed = ", ".join(map(literal, paths))
    rows = con.execute(f"SELECT file_name, name, repetition_type, num_children FROM parquet_schema([{listed}])").fetchall()
    schemas: dict[str, list[tuple[str, str, int | None]]] = {path: [] for path in paths}
    for path, *field in rows:
        schemas[path].append((field[0], field[1], field[2]))
    for path, segment in paths.items():
        fields = schemas[path][1:]  # the first is the schema itself
        flat = not any(children for _, _, children in fields)  # a name within another field promises nothing
        certain = {name for name, repeated, _ in fields if flat and repeated == "REQUIRED"}
        loose = [c.name for c in BY_NAME[segment.table].columns if not c.null and c.name not in certain]
        if loose and (lacking := _lacking(con, path, loose)):
            raise ForeignCaseError(
                f"{visible(path)} has rows without {lacking}, which every row of {segment.table} has",
                "Move this file out of the case: everything else in it can be read.",
            )


def _lacking(con: DuckDBPyConnection, path: str, names: Sequence[str]) -> str:
    """The first of these columns that is null in some row, or is not there; '' for none."""
    file = f"read_parquet([{literal(path)}], hive_partitioning = false)"
    there = {row[0] for row in con.execute(f"DESCRIBE SELECT * FROM {file}").fetchall()}
    for name in names:
        if name not in there:
            return name
    counted = ", ".join(f"count(*) - count({identifier(name)})" for name in names)
    nulls = con.execute(f"SELECT {counted} FROM {file}").fetchall()[0]
    return next((name for name, number in zip(names, nulls, strict=True) if number), "")
