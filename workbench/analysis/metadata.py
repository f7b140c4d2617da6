"""What the other tables have about one flow: whichever of them name flows."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from workbench.records.columns import TABLES, Table
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
