"""Both ends of a flow as what they are grouped by: a network and an address of two numbers.

Two whole numbers are grouped and compared at a fraction of what 16 bytes take, which the engine keeps beside the row.
Text and bytes are made of them for what is shown.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from workbench.store.pages import Where
from workbench.store.reader import Asks

#: Columns that a key is made of, beside the network.
KEY: Final = "hi, lo"

#: (upper, lower) half of an address as the columns have it: two's complement.
Halves = tuple[int, int]
#: Networks and addresses of hosts, in order.
Listed = tuple[list[str], list[Halves]]

ENDS: Final = (("src", "dst"), ("dst", "src"))

_LISTED: Final = """
WITH listed AS MATERIALIZED (SELECT unnest(?::VARCHAR[]) AS network, unnest(?::BIGINT[]) AS hi, unnest(?::BIGINT[]) AS lo,
  unnest(range({count})) AS n)"""


def end_of(near: str, table: str = "") -> str:
    """An end's address under the names of KEY."""
    return f"{table}{near}_hi AS hi, {table}{near}_lo AS lo"


def asked_of(asks: Asks, sql: str, where: Where, listed: Listed, sides: int) -> pa.Table:
    """Ask about listed hosts: `listed(network, hi, lo, n)` is before the SQL, which holds the condition `sides` times."""
    upper, lower = [hi for hi, _ in listed[1]], [lo for _, lo in listed[1]]
    return asks.query(_LISTED.format(count=len(listed[0])) + sql, (listed[0], upper, lower, *where.params * sides))


def of_listed(where: Where, near: str) -> str:
    """The flows asked about, as `f`, of which an end is listed, as `l`. A condition says plain column names: it stands inside."""
    flows = f"(SELECT * FROM flows WHERE {where.sql}) f"
    return f"{flows} JOIN listed l ON f.network = l.network AND f.{near}_lo = l.lo AND f.{near}_hi = l.hi"


def peers_of(asks: Asks, where: Where, listed: Listed) -> dict[int, int]:
    """How many addresses each of the listed met, on either side; those without any are absent."""
    met = " UNION ALL ".join(f"SELECT n, f.{far}_hi AS hi, f.{far}_lo AS lo FROM {of_listed(where, near)}" for near, far in ENDS)
    sql = f" SELECT n, count(*) AS peers FROM (SELECT DISTINCT n, hi, lo FROM ({met})) WHERE lo IS NOT NULL GROUP BY n"
    table = asked_of(asks, sql, where, listed, 2)
    return dict(zip(table["n"].to_pylist(), table["peers"].to_pylist(), strict=True))


def halves_of(table: pa.Table) -> list[Halves]:
    """The column pair hi, lo of a table."""
    return list(zip(table["hi"].to_pylist(), table["lo"].to_pylist(), strict=True))
