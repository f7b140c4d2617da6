"""What the other tables have about one flow: whichever of them name flows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import pyarrow as pa

from workbench.records.columns import BY_NAME, TABLES, Table
from workbench.store.engine import identifier
from workbench.store.reader import Asks

#: Rows of a table that are given.
MOST_ROWS: Final = 10_000


def tables_of_flows() -> tuple[Table, ...]:
    """Every table but `flows` whose rows name a flow."""
    return tuple(table for table in TABLES if table.name != "flows" and any(c.name == "flow_id" for c in table.columns))


def rows_of(asks: Asks, table: Table, flow_id: int) -> pa.Table:
    """A table's rows of a flow, in the order in which the table is sorted; at most MOST_ROWS."""
    order = ", ".join(identifier(name) for name in table.sort) or "flow_id"
    return asks.query(f"SELECT * FROM {identifier(table.name)} WHERE flow_id = ? ORDER BY {order} LIMIT {MOST_ROWS}", (flow_id,))


@dataclass(frozen=True, slots=True)
class Said:
    """What one table has about a flow: its first rows by time, all columns but flow_id, and how many there are."""

    table: Table
    rows: pa.Table
    total: int


def said_in(asks: Asks, flow_id: int, service: str | None, most: int) -> list[Said]:
    """What was said in a flow of that service: tables that have rows, at most `most` of each.

    Asks only the tables that the service's protocols fill: one lookup each, by a column along which they are nearly sorted,
    so a few milliseconds whatever the case's size.
    """
    found = []
    for table in tables_of_service(service or ""):
        rows = asks.query(
            f"SELECT * EXCLUDE (flow_id), count(*) OVER () AS of_flow FROM {identifier(table.name)} WHERE flow_id = ?"
            f" ORDER BY ts LIMIT {int(most)}",
            (flow_id,),
        )
        if rows.num_rows:
            found.append(Said(table, rows.drop_columns(["of_flow"]), int(rows["of_flow"][0].as_py())))
    return found


def tables_of_service(service: str) -> list[Table]:
    """The tables that protocols of a stacked service (`smb,dcerpc`) fill, the outermost's first."""
    filled = _tables_by_protocol()
    names = [name for part in service.split(",") for name in filled.get(part, ())]
    return [BY_NAME[name] for name in dict.fromkeys(names)]


@cache
def _tables_by_protocol() -> dict[str, tuple[str, ...]]:
    from workbench.decode.application.registry import protocols  # all of them: loaded where a flow has a service

    return {protocol.name: protocol.tables for protocol in protocols()}
