"""Is a case's catalogue the one we write? Asked before anything in it is used.

A case from a stranger can shadow a table by a view, define macros under names that we call, or store
views that do other things than ours. Nothing of that can leave the sandbox (external access is off), but
it could make answers false.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import ForeignCaseError
from workbench.records.columns import BY_NAME, SCHEMA_VERSION
from workbench.store.case import CaseFolder
from workbench.store.engine import attach, connect, identifier, literal, lock_down
from workbench.store.schema import OWN_TABLES, create_schema, schema_version

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: Questions to the catalogue: kind -> rows of database, name, what it is. Asked of both databases at once: some
#: of the engine's catalogue functions list every built-in on the way, and take most of the time.
_QUESTIONS = {
    "view": "SELECT database_name, schema_name || '.' || view_name, sql FROM duckdb_views() WHERE {ours} AND NOT internal",
    "schema": "SELECT database_name, schema_name, '' FROM duckdb_schemas() WHERE {ours} AND NOT internal",
    "table": """SELECT database_name, schema_name || '.' || table_name,
                       has_primary_key || ' ' || temporary || ' ' || check_constraint_count || ' ' || index_count
                FROM duckdb_tables() WHERE {ours} AND NOT internal""",
    "column": """SELECT database_name, schema_name || '.' || table_name || '.' || replace(column_name, '.', '/'),
                        data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '') || ' ' || column_index
                 FROM duckdb_columns() WHERE {ours} AND NOT internal""",
    "macro": """SELECT database_name, schema_name || '.' || function_name, ''
                FROM duckdb_functions() WHERE {ours} AND NOT internal""",
    "sequence": "SELECT database_name, schema_name || '.' || sequence_name, '' FROM duckdb_sequences() WHERE {ours}",
    "type": "SELECT database_name, schema_name || '.' || type_name, '' FROM duckdb_types() WHERE {ours} AND NOT internal",
    "index": "SELECT database_name, schema_name || '.' || index_name, '' FROM duckdb_indexes() WHERE {ours}",
    "constraint": """SELECT database_name, concat_ws('.', schema_name, table_name, constraint_type, constraint_text), ''
                     FROM duckdb_constraints() WHERE {ours}""",
}


def differences(con: DuckDBPyConnection, database: str) -> list[str]:
    """What of an attached database's catalogue is not ours, in words; empty where all is.

    con must already be locked down. Needs the privilege to attach an in-memory database `expected`, which
    the caller has done before (`prepare`).
    """
    found = []
    views: set[str] = set()
    where = f"database_name IN ({literal(database)}, 'expected')"
    for kind, question in _QUESTIONS.items():
        rows = con.execute(question.format(ours=where)).fetchall()
        if kind == "column":  # those of views follow from the views, which are compared as a whole
            rows = [row for row in rows if row[1].rsplit(".", 1)[0] not in views]
        theirs: dict[str, Any] = {name: what for of, name, what in rows if of == database}
        ours: dict[str, Any] = {name: what for of, name, what in rows if of == "expected"}
        if kind == "view":
            views = {name for _, name, _ in rows}
            theirs, ours = _canonical(con, theirs), _canonical(con, ours)
        found += [f"{kind} {name} is not ours" for name in sorted(theirs.keys() - ours.keys())]
        found += [f"{kind} {name} is missing" for name in sorted(ours.keys() - theirs.keys())]
        found += [f"{kind} {name} differs" for name in sorted(ours.keys() & theirs.keys()) if ours[name] != theirs[name]]
    return found


def prepare(con: DuckDBPyConnection) -> None:
    """Build the catalogue as it should be, in a database in memory named `expected`."""
    con.execute("ATTACH ':memory:' AS expected")
    create_schema(con, "expected")


def check(con: DuckDBPyConnection, database: str, case: CaseFolder) -> None:
    """ForeignCaseError where the attached case's catalogue is not ours or its schema is newer.

    An older schema of ours is no error here; it differs, and is compared after its migration.
    """
    version = schema_version(con, database)
    if version > SCHEMA_VERSION:
        raise ForeignCaseError(
            f"{case.root} was written by a newer version (schema {version}, this one knows {SCHEMA_VERSION})",
            "Update the program.",
        )
    if 0 < version < SCHEMA_VERSION:
        return
    found = differences(con, database)
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise ForeignCaseError(
            f"the index of {case.root} is not as this program writes it: {'; '.join(found[:3])}{more}",
            "Do not trust its views. Rebuild it: only the rows of known tables and columns are copied into a fresh case.",
        )


def rebuild(foreign: Path, target: Path) -> CaseFolder:
    """Copy the rows of known tables and columns, and nothing else, from a foreign case into a new one.

    Only what is a real table with a known name is read, known columns are cast to our types, unknown ones
    are left out, rows that lack a value that we need are left out. ForeignCaseError where there is nothing
    to copy; NotACaseError where the target exists and is no empty folder.
    """
    from workbench.store.publish import publish_database

    theirs = CaseFolder.open(foreign)
    case = CaseFolder.create(target)
    temp = case.temp_for_process()
    con = connect(temp)
    try:
        attach(con, theirs.database, "foreign_case", read_only=True)
        attach(con, case.database_next, "c", read_only=False)
        lock_down(con)
        create_schema(con, "c")
        known = _known_columns(con)
        if "flows" not in known:
            raise ForeignCaseError(f"{foreign} has no table flows", "There is nothing to rebuild from.")
        for table, columns in known.items():
            _copy(con, table, columns)
        publish_database(con, "c", case)
    except BaseException:
        con.close()
        for path in (case.database_next, Path(os.fspath(case.database_next) + ".wal")):
            path.unlink(missing_ok=True)
        raise
    con.close()
    return case


def _known_columns(con: DuckDBPyConnection) -> dict[str, set[str]]:
    rows = con.execute(
        "SELECT t.table_name, c.column_name FROM duckdb_tables() t JOIN duckdb_columns() c"
        " USING (database_name, schema_name, table_name)"
        " WHERE database_name = 'foreign_case' AND schema_name = 'main'"
    ).fetchall()
    known: dict[str, set[str]] = {}
    for table, column in rows:
        if table in BY_NAME and table not in OWN_TABLES and column in BY_NAME[table].names:
            known.setdefault(table, set()).add(column)
    return known


def _copy(con: DuckDBPyConnection, table: str, columns: set[str]) -> None:
    listed = BY_NAME[table]
    values = ", ".join(
        f"TRY_CAST({identifier(c.name)} AS {c.type}) AS {identifier(c.name)}" for c in listed.columns if c.name in columns
    )
    needed = [identifier(c.name) for c in listed.columns if not c.null]
    if any(c.name not in columns for c in listed.columns if not c.null):
        return
    where = " AND ".join(f"{n} IS NOT NULL" for n in needed) or "true"
    con.execute(
        f"INSERT INTO c.main.{identifier(table)} BY NAME SELECT * FROM"
        f" (SELECT {values} FROM foreign_case.main.{identifier(table)}) WHERE {where}"
    )


def _canonical(con: DuckDBPyConnection, views: dict[str, Any]) -> dict[str, Any]:
    """The views with their SELECT as its parse tree is written out: a view that was stored and loaded is
    spelled with other parentheses than a fresh one. What cannot be parsed stays as it is."""
    out = {}
    for name, sql in views.items():
        head, _, select = str(sql).partition(" AS ")
        tree = con.execute("SELECT json_serialize_sql($1)", [select]).fetchall()[0][0]
        parsed = '"error":true' not in tree[:40]
        out[name] = (head, con.execute("SELECT json_deserialize_sql($1)", [tree]).fetchall()[0][0] if parsed else select)
    return out
