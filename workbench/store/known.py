"""What a person's SQL can name: tables and views with their columns, and functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from workbench.records.columns import BY_NAME
from workbench.store.reader import Asks
from workbench.store.views import view_statements

#: Functions are those that a query may call and whose names can be written plainly.
_FUNCTIONS: Final = """
SELECT function_name AS name, any_value(function_type) AS kind, coalesce(any_value(description), '') AS about
FROM duckdb_functions()
WHERE function_type IN ('scalar', 'aggregate', 'macro') AND regexp_full_match(function_name, '[a-z][a-z0-9_]*')
  AND schema_name = 'main'
GROUP BY function_name ORDER BY function_name
"""
_COLUMNS: Final = """
SELECT table_name AS name, column_name AS col, data_type AS type, column_index AS n
FROM duckdb_columns() WHERE schema_name = 'main' AND NOT internal ORDER BY name, n
"""


@dataclass(frozen=True, slots=True)
class Known:
    """tables: name of a table or view -> its columns -> their type and meaning. functions: name -> what it does."""

    tables: dict[str, dict[str, str]]
    views: frozenset[str]
    functions: dict[str, str]


def known_names(asks: Asks) -> Known:
    """What can be named in this case. A query of the catalogue; some milliseconds."""
    views = frozenset(view_statements())
    tables: dict[str, dict[str, str]] = {name: {} for name in [*BY_NAME, *sorted(views)]}
    for row in asks.query(_COLUMNS).to_pylist():
        name, column = row["name"], row["col"]
        if name in tables:
            tables[name].setdefault(column, f"{row['type'].lower()}{_meaning(name, column)}")
    functions = {row["name"]: f"{row['kind']} {row['about']}".strip() for row in asks.query(_FUNCTIONS).to_pylist()}
    return Known({name: columns for name, columns in tables.items() if columns}, views, functions)


def _meaning(table: str, column: str) -> str:
    try:
        return f", {BY_NAME[table].column(column).meaning}"
    except KeyError:
        return ""
