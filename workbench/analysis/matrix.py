"""Who talks to whom, summed by prefix: originators by responders, the biggest first and the rest together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from workbench.analysis.hosts import ANSWERED, UNANSWERED
from workbench.analysis.prefixes import MAPPED, Prefix, prefix_sql
from workbench.store.pages import EVERYTHING, Where
from workbench.store.reader import Asks

Measure = Literal["flows", "bytes", "packets"]

#: Steps of the drill, coarse to fine: bits for IPv4 and for IPv6.
LEVELS: Final[tuple[tuple[int, int], ...]] = ((8, 32), (16, 48), (24, 64), (32, 128))
HOSTS: Final = len(LEVELS) - 1
#: Rows and columns that are told apart; the rest is summed.
MOST: Final = 48

_SUMS: Final[dict[str, str]] = {
    "flows": "count(*)",
    "bytes": "(sum(src_bytes) + sum(dst_bytes))::BIGINT",
    "packets": "(sum(src_pkts) + sum(dst_pkts))::BIGINT",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """What went from one prefix to another. bytes are IP bytes of both directions."""

    flows: int
    bytes: int
    packets: int
    unanswered: int

    def measure(self, by: Measure) -> int:
        """One of the three."""
        return int(getattr(self, by))


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows are originators, columns responders, biggest first. None as a prefix: all others together, always last.

    cells: by row and column number; pairs without flows are absent. rows_in_all, columns_in_all: prefixes there are.
    level: of LEVELS.
    """

    level: int
    rows: tuple[Prefix | None, ...]
    columns: tuple[Prefix | None, ...]
    cells: dict[tuple[int, int], Cell]
    rows_in_all: int
    columns_in_all: int


@dataclass(frozen=True, slots=True)
class Between:
    """More about the flows of one cell; times in microseconds since 1970. services: `tcp/443 tls`, most flows first."""

    first: int
    last: int
    networks: int
    answered: int
    pairs: int
    services: tuple[tuple[str, int], ...]


def within(source: Prefix | None, target: Prefix | None) -> Where:
    """Flows from one prefix to another; None for any."""
    where = EVERYTHING
    for prefix, column in ((source, "src_addr"), (target, "dst_addr")):
        if prefix is not None:
            sql, values = prefix.condition(column)
            where = Where(sql, values) if where.everything else where.and_(Where(sql, values))
    return where


def matrix(asks: Asks, where: Where, level: int, *, by: Measure = "flows", most: int = MOST) -> Matrix:
    """Sum the flows by prefixes of a level. CancelledError when stopped."""
    if level == HOSTS:
        table = asks.query(_host_sql(where.sql, by, most), where.params * 3).to_pylist()
    else:
        table = asks.query(_prefix_sql(where.sql, level, by, most), where.params).to_pylist()
    sums: dict[tuple[bytes | None, bytes | None], Cell] = {}
    rows: dict[bytes | None, int] = {}
    columns: dict[bytes | None, int] = {}
    for row in table:
        cell = Cell(row["flows"], row["bytes"], row["packets"], row["unanswered"])
        sums[row["source"], row["target"]] = cell
        rows[row["source"]] = rows.get(row["source"], 0) + cell.measure(by)
        columns[row["target"]] = columns.get(row["target"], 0) + cell.measure(by)
    across, down = _ordered(rows), _ordered(columns)
    at_row, at_column = ({key: n for n, key in enumerate(keys)} for keys in (across, down))
    lengths = LEVELS[level]
    return Matrix(
        level,
        tuple(None if key is None else Prefix.of_key(key, *lengths) for key in across),
        tuple(None if key is None else Prefix.of_key(key, *lengths) for key in down),
        {(at_row[source], at_column[target]): cell for (source, target), cell in sums.items()},
        table[0]["rows_in_all"] if table else 0,
        table[0]["columns_in_all"] if table else 0,
    )


def first_level(asks: Asks, where: Where) -> int:
    """The coarsest level at which there is more than one row or column: what lies above shows nothing."""
    ends = asks.query(
        f"SELECT min(src_addr) AS a, max(src_addr) AS b, min(dst_addr) AS c, max(dst_addr) AS d FROM flows WHERE {where.sql}",
        where.params,
    ).to_pylist()[0]
    for level, lengths in enumerate(LEVELS):
        for least, most in ((ends["a"], ends["b"]), (ends["c"], ends["d"])):
            if least is not None and _key(least, *lengths) != _key(most, *lengths):
                return level
    return HOSTS


def _key(address: bytes, v4: int, v6: int) -> bytes:
    return address[: 12 + v4 // 8] if address[:12] == MAPPED else address[: v6 // 8]


def between(asks: Asks, where: Where) -> Between:
    """More about some flows: when, in how many networks, which services. CancelledError when stopped."""
    row = asks.query(
        f"""SELECT epoch_us(min(ts)) AS first, epoch_us(max(ts_end)) AS last, count(DISTINCT network) AS networks,
count(*) FILTER ({ANSWERED}) AS answered, count(DISTINCT (src_addr, dst_addr)) AS pairs FROM flows WHERE {where.sql}""",
        where.params,
    ).to_pylist()[0]
    services = asks.query(
        f"""SELECT proto_name || coalesce('/' || CASE WHEN proto IN (6, 17, 33, 132, 136) THEN dst_port END, '')
|| coalesce(' ' || service, '') AS name, count(*) AS n FROM flows WHERE {where.sql} GROUP BY name
ORDER BY n DESC, name LIMIT 6""",
        where.params,
    ).to_pylist()
    named = tuple((one["name"], one["n"]) for one in services)
    return Between(row["first"] or 0, row["last"] or 0, row["networks"], row["answered"], row["pairs"], named)


def _ordered(sums: dict[bytes | None, int]) -> list[bytes | None]:
    """Biggest first, ties by address, others last."""
    return sorted(sums, key=lambda key: (key is None, -sums[key], key or b""))


def _prefix_sql(condition: str, level: int, by: str, most: int) -> str:
    source, target = (prefix_sql(column, *LEVELS[level]) for column in ("src_addr", "dst_addr"))
    return f"""
WITH pairs AS MATERIALIZED (
  SELECT {source} AS source, {target} AS target, count(*) AS flows, (sum(src_bytes) + sum(dst_bytes))::BIGINT AS bytes,
         (sum(src_pkts) + sum(dst_pkts))::BIGINT AS packets, count(*) FILTER ({UNANSWERED}) AS unanswered
  FROM flows WHERE ({condition}) AND src_addr IS NOT NULL AND dst_addr IS NOT NULL GROUP BY ALL
), rows AS (
  SELECT source, sum({by}) AS m FROM pairs GROUP BY source ORDER BY m DESC, source LIMIT {int(most)}
), columns AS (
  SELECT target, sum({by}) AS m FROM pairs GROUP BY target ORDER BY m DESC, target LIMIT {int(most)}
), counted AS (SELECT count(DISTINCT source) AS rows_in_all, count(DISTINCT target) AS columns_in_all FROM pairs)
SELECT rows.source, columns.target, sum(flows)::BIGINT AS flows, sum(bytes)::BIGINT AS bytes, sum(packets)::BIGINT AS packets,
       sum(unanswered)::BIGINT AS unanswered, any_value(rows_in_all) AS rows_in_all, any_value(columns_in_all) AS columns_in_all
FROM pairs LEFT JOIN rows ON pairs.source = rows.source LEFT JOIN columns ON pairs.target = columns.target CROSS JOIN counted
GROUP BY rows.source, columns.target"""


def _host_sql(condition: str, by: str, most: int) -> str:
    """Three passes: either side by itself, then the sums between the few that are listed.

    By pairs every pair there is would be held, which between hosts is most flows of a large case.
    """
    kept = f"FROM flows WHERE ({condition}) AND src_addr IS NOT NULL AND dst_addr IS NOT NULL"
    return f"""
WITH sources AS MATERIALIZED (SELECT src_addr AS key, {_SUMS[by]} AS m {kept} GROUP BY key),
targets AS MATERIALIZED (SELECT dst_addr AS key, {_SUMS[by]} AS m {kept} GROUP BY key),
rows AS MATERIALIZED (SELECT key, row_number() OVER (ORDER BY m DESC, key) AS n FROM sources ORDER BY n LIMIT {int(most)}),
columns AS MATERIALIZED (SELECT key, row_number() OVER (ORDER BY m DESC, key) AS n FROM targets ORDER BY n LIMIT {int(most)}),
counted AS (SELECT (SELECT count(*) FROM sources) AS rows_in_all, (SELECT count(*) FROM targets) AS columns_in_all),
cells AS (
  SELECT rows.n AS row_n, columns.n AS column_n, count(*) AS flows, {_SUMS["bytes"]} AS bytes, {_SUMS["packets"]} AS packets,
         count(*) FILTER ({UNANSWERED}) AS unanswered
  FROM (SELECT * {kept}) f
  LEFT JOIN rows ON src_addr = rows.key LEFT JOIN columns ON dst_addr = columns.key GROUP BY ALL
)
SELECT rows.key AS source, columns.key AS target, flows, bytes, packets, unanswered, rows_in_all, columns_in_all
FROM cells LEFT JOIN rows ON row_n = rows.n LEFT JOIN columns ON column_n = columns.n CROSS JOIN counted"""
