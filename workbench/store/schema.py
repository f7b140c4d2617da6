"""The catalogue of a case: tables from the one column list, views from queries/views, two tables of its own.

Everything in it works in the plain `duckdb` shell on case.duckdb opened read-only.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from workbench.records.columns import BY_NAME, SCHEMA_VERSION, TABLES, Table, Type
from workbench.store.engine import identifier
from workbench.store.views import view_statements

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: The case's own two tables: column -> type, all NOT NULL. case_meta: key, value. case_segments: names of
#: segment files that compaction has taken in, so that a crash before their removal counts nothing twice.
OWN_TABLES: Final[dict[str, dict[str, Type]]] = {
    "case_meta": {"key": Type.VARCHAR, "value": Type.VARCHAR},
    "case_segments": {"name": Type.VARCHAR},
}

#: Tables of which a run writes the whole of its rows again when one changes (few rows, rewritten as states change).
SMALL_TABLES: Final = ("sources", "source_files", "ledger")

#: Sets of tables whose newest segments are all there is of them: they stand for what the index and older segments hold.
#: A set is written together, under one name; the last one named is written last and makes the others count.
WHOLE_SETS: Final = (("finding_flows", "findings"), ("flow_identity", "workloads"))
WHOLE_TABLES: Final = frozenset(table for tables in WHOLE_SETS for table in tables)


def table_ddl(table: Table, database: str) -> str:
    """CREATE TABLE of a listed table, exact types, NOT NULL where the list says so."""
    columns = ", ".join(f"{identifier(c.name)} {c.type}{'' if c.null else ' NOT NULL'}" for c in table.columns)
    return f"CREATE TABLE {identifier(database)}.main.{identifier(table.name)} ({columns})"


def create_schema(con: DuckDBPyConnection, database: str) -> None:
    """Create all tables and views in an empty attached database, and note the schema version."""
    where = f"{identifier(database)}.main."
    for table in TABLES:
        con.execute(table_ddl(table, database))
    for name, columns in OWN_TABLES.items():
        fields = ", ".join(f"{identifier(n)} {t} NOT NULL" for n, t in columns.items())
        con.execute(f"CREATE TABLE {where}{identifier(name)} ({fields})")
    con.execute(f"INSERT INTO {where}case_meta VALUES ('schema_version', ?)", [str(SCHEMA_VERSION)])
    create_views(con, database)


def create_views(con: DuckDBPyConnection, database: str) -> None:
    """Create or replace the views. They name tables unqualified, so that each finds those beside it."""
    con.execute(f"USE {identifier(database)}.main")
    try:
        for name, sql in _in_order():
            con.execute(f"CREATE OR REPLACE VIEW {identifier(database)}.main.{identifier(name)} AS {sql}")
    finally:
        con.execute("USE memory.main")


def catalogue_digest() -> str:
    """A short name for exactly this catalogue: changes with every table, column type or view."""
    text = "".join(table_ddl(table, "c") for table in TABLES) + repr(OWN_TABLES) + "".join(map("".join, _in_order()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def schema_version(con: DuckDBPyConnection, database: str) -> int:
    """The version noted in an attached case; 0 where it notes none that is a number."""
    import duckdb

    try:
        found = con.execute(f"SELECT value FROM {identifier(database)}.main.case_meta WHERE key = 'schema_version'").fetchall()
    except duckdb.Error:
        return 0
    text = found[0][0] if len(found) == 1 else ""
    return int(text) if isinstance(text, str) and text.isdecimal() and len(text) < 9 else 0


def column_list(table: str, alias: str = "") -> str:
    """The columns of a listed table in order, quoted, for a SELECT."""
    prefix = f"{alias}." if alias else ""
    return ", ".join(prefix + identifier(name) for name in BY_NAME[table].names)


def _in_order() -> list[tuple[str, str]]:
    return list(view_statements().items())
