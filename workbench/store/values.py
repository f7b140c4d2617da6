"""Values that a column holds, for completing a filter as it is typed: the commonest first, and soon."""

from __future__ import annotations

from typing import Final

from workbench.records.columns import BY_NAME, Type
from workbench.store.engine import identifier
from workbench.store.reader import CaseReader

#: Rows that are looked at for the commonest values; where they hold too few, all rows are, for any values.
_SAMPLE: Final = 200_000


def seen_values(case: CaseReader, column: str, prefix: str = "", limit: int = 20, guard: str = "") -> list[str]:
    """Up to `limit` values, as text, that begin with the prefix: the commonest of the first rows, then any others.

    column: of `flows`, or of another table behind its name and a dot. guard: the program's own
    condition on the rows looked at, so that ports of tcp are not types of icmp. KeyError where there is none. CancelledError
    after the reader's `interrupt`.
    """
    table, _, name = column.rpartition(".")
    found = BY_NAME[table or "flows"].column(name)
    rows = identifier(table or "flows")
    value = identifier(found.name) if found.type is Type.VARCHAR else f"{identifier(found.name)}::VARCHAR"
    rows += f" WHERE {guard}" if guard else ""
    begins = "value IS NOT NULL AND starts_with(value, $1)"
    common = case.query(
        f"SELECT value FROM (SELECT {value} AS value FROM {rows} LIMIT {_SAMPLE}) WHERE {begins}"
        f" GROUP BY value ORDER BY count(*) DESC, value LIMIT {int(limit)}",
        [prefix],
    )
    values: list[str] = common["value"].to_pylist()
    if len(values) < limit:
        more = case.query(
            f"SELECT DISTINCT value FROM (SELECT {value} AS value FROM {rows}) WHERE {begins} LIMIT {int(limit)}", [prefix]
        )
        values += [one for one in more["value"].to_pylist() if one not in values]
    return values[:limit]
