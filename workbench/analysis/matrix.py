"""Who talks to whom, summed by prefix: originators by responders, the biggest first and the rest together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from workbench.analysis.hosts import ANSWERED, UNANSWERED
from workbench.analysis.prefixes import MAPPED, V4, V4_LAST, Prefix, address_of, halves_order, prefix_sql
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
    """What went from one to another. bytes are IP bytes of both directions. findings: open ones on its flows, where counted."""

    flows: int
    bytes: int
    packets: int
    unanswered: int
    findings: int = 0

    def measure(self, by: str) -> int:
        """One of the measures, or the findings."""
        return int(getattr(self, by))


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows are originators, columns responders, biggest first: prefixes, or parties of `group_matrix`; None, last: all others.

    cells: by row and column number; pairs without flows are absent. rows_in_all, columns_in_all: prefixes there are.
    level: of LEVELS.
    """

    level: int
    rows: tuple[Any, ...]
    columns: tuple[Any, ...]
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
        source, target = (None if row[lo] is None else address_of(row[hi], row[lo]) for hi, lo in (("a", "b"), ("c", "d")))
        sums[source, target] = cell
        rows[source] = rows.get(source, 0) + cell.measure(by)
        columns[target] = columns.get(target, 0) + cell.measure(by)
    across, down = _ordered(rows), _ordered(columns)
    at_row, at_column = ({key: n for n, key in enumerate(keys)} for keys in (across, down))
    return Matrix(
        level,
        tuple(_prefix(key, level) for key in across),
        tuple(_prefix(key, level) for key in down),
        {(at_row[source], at_column[target]): cell for (source, target), cell in sums.items()},
        table[0]["rows_in_all"] if table else 0,
        table[0]["columns_in_all"] if table else 0,
    )


def _prefix(address: bytes | None, level: int) -> Prefix | None:
    """A row or column from its first address."""
    if address is None:
        return None
    v4, v6 = LEVELS[level]
    return Prefix(address, v4 if address[:12] == MAPPED else v6)


def first_level(asks: Asks, where: Where) -> int:
    """The coarsest level at which there is more than one row or column: what lies above shows nothing."""
    numbers = _ends(asks, where, "src_hi", "dst_hi", "src_lo", "dst_lo")  # of everything these are known without a look
    four = all(pair == (0, 0) for pair in numbers[:2]) and all(first >= V4 and last <= V4_LAST for first, last in numbers[2:])
    ends = numbers[2:] if four else _ends(asks, where, "src_addr", "dst_addr")
    for level, lengths in enumerate(LEVELS):
        for pair in ends:
            least, most = (address_of(0, end) for end in pair) if four else pair
            if least is not None and _key(least, *lengths) != _key(most, *lengths):
                return level
    return HOSTS


def _ends(asks: Asks, where: Where, *columns: str) -> list[tuple[Any, Any]]:
    """The least and the greatest of each."""
    listed = ", ".join(f"min({column}) AS a{n}, max({column}) AS b{n}" for n, column in enumerate(columns))
    row = asks.query(f"SELECT {listed} FROM flows WHERE {where.sql}", where.params).to_pylist()[0]
    return [(row[f"a{n}"], row[f"b{n}"]) for n in range(len(columns))]


def _key(address: bytes, v4: int, v6: int) -> bytes:
    return address[: 12 + v4 // 8] if address[:12] == MAPPED else address[: v6 // 8]


def between(asks: Asks, where: Where) -> Between:
    """More about some flows: when, in how many networks, which services. CancelledError when stopped."""
    row = asks.query(
        f"""SELECT epoch_us(min(ts)) AS first, epoch_us(max(ts_end)) AS last, count(DISTINCT network) AS networks,
count(*) FILTER ({ANSWERED}) AS answered, count(DISTINCT (src_hi, src_lo, dst_hi, dst_lo)) AS pairs
FROM flows WHERE {where.sql}""",
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


_CELL: Final = (
    f"count(*) AS flows, {_SUMS['bytes']} AS bytes, {_SUMS['packets']} AS packets, count(*) FILTER ({UNANSWERED}) AS unanswered"
)

#: Both ends of a flow by the names of the answer: originator a, b, responder c, d; upper half first.
_FIRST: Final = halves_order("a", "b")
_SECOND: Final = halves_order("c", "d")


def _prefix_sql(condition: str, level: int, by: str, most: int) -> str:
    a, b, c, d = (sql for side in ("src", "dst") for sql in prefix_sql(f"{side}_hi", f"{side}_lo", *LEVELS[level]))
    return f"""
WITH pairs AS MATERIALIZED (
  SELECT {a} AS a, {b} AS b, {c} AS c, {d} AS d, {_CELL}
  FROM flows WHERE ({condition}) AND src_lo IS NOT NULL AND dst_lo IS NOT NULL GROUP BY 1, 2, 3, 4
), sources AS (SELECT a, b, sum({by}) AS m FROM pairs GROUP BY a, b),
targets AS (SELECT c, d, sum({by}) AS m FROM pairs GROUP BY c, d),
rows AS (SELECT a, b FROM sources ORDER BY m DESC, {_FIRST} LIMIT {int(most)}),
columns AS (SELECT c, d FROM targets ORDER BY m DESC, {_SECOND} LIMIT {int(most)}),
counted AS (SELECT (SELECT count(*) FROM sources) AS rows_in_all, (SELECT count(*) FROM targets) AS columns_in_all)
SELECT rows.a, rows.b, columns.c, columns.d, sum(flows)::BIGINT AS flows, sum(bytes)::BIGINT AS bytes,
       sum(packets)::BIGINT AS packets, sum(unanswered)::BIGINT AS unanswered,
       any_value(rows_in_all) AS rows_in_all, any_value(columns_in_all) AS columns_in_all
FROM pairs LEFT JOIN rows ON pairs.a = rows.a AND pairs.b = rows.b
LEFT JOIN columns ON pairs.c = columns.c AND pairs.d = columns.d CROSS JOIN counted
GROUP BY rows.a, rows.b, columns.c, columns.d"""


def _host_sql(condition: str, by: str, most: int) -> str:
    """Three passes: either side by itself, then the sums between the few that are listed.

    By pairs every pair there is would be held, which between hosts is most flows of a large case.
    """
    kept = f"FROM flows WHERE ({condition}) AND src_lo IS NOT NULL AND dst_lo IS NOT NULL"
    return f"""
WITH sources AS MATERIALIZED (SELECT src_hi AS a, src_lo AS b, {_SUMS[by]} AS m {kept} GROUP BY 1, 2),
targets AS MATERIALIZED (SELECT dst_hi AS c, dst_lo AS d, {_SUMS[by]} AS m {kept} GROUP BY 1, 2),
rows AS MATERIALIZED (SELECT a, b FROM sources ORDER BY m DESC, {_FIRST} LIMIT {int(most)}),
columns AS MATERIALIZED (SELECT c, d FROM targets ORDER BY m DESC, {_SECOND} LIMIT {int(most)}),
counted AS (SELECT (SELECT count(*) FROM sources) AS rows_in_all, (SELECT count(*) FROM targets) AS columns_in_all)
SELECT rows.a, rows.b, columns.c, columns.d, {_CELL},
       any_value(rows_in_all) AS rows_in_all, any_value(columns_in_all) AS columns_in_all
FROM (SELECT * {kept}) f LEFT JOIN rows ON src_lo = b AND src_hi = a LEFT JOIN columns ON dst_lo = d AND dst_hi = c
CROSS JOIN counted
GROUP BY rows.a, rows.b, columns.c, columns.d"""
