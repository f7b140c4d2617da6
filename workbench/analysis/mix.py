"""How connections ended, and between inside and outside: the make-up of all flows in two short tables."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from workbench.analysis.places import place_sql
from workbench.store.pages import EVERYTHING, Where
from workbench.store.reader import Asks

_BYTES: Final = "(sum(src_bytes) + sum(dst_bytes))::BIGINT AS bytes"


def states(asks: Asks, where: Where = EVERYTHING) -> pa.Table:
    """Columns state (Zeek's conn_state, null where there is none), flows, bytes; most flows first."""
    return asks.query(
        f"SELECT conn_state AS state, count(*) AS flows, {_BYTES} FROM flows WHERE {where.sql}"
        " GROUP BY conn_state ORDER BY flows DESC, state",
        where.params,
    )


def split(asks: Asks, where: Where = EVERYTHING) -> pa.Table:
    """Columns source, target (`inside`, `outside`, `group`, null without an address), flows, bytes; most bytes first."""
    return asks.query(
        f"SELECT {place_sql('src_hi', 'src_lo')} AS source, {place_sql('dst_hi', 'dst_lo')} AS target,"
        f" count(*) AS flows, {_BYTES} FROM flows WHERE {where.sql} GROUP BY ALL ORDER BY bytes DESC, source, target",
        where.params,
    )
