"""Who talks to whom by groups of workloads, named as of each flow, and inwards to the workloads themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from workbench.analysis.hosts import UNANSWERED
from workbench.analysis.matrix import MOST, Cell, Matrix
from workbench.analysis.workloads import Living
from workbench.store.pages import Where
from workbench.store.reader import Asks

#: What cells are shaded by: what those of prefixes are, and how many open findings lie on their flows.
GroupMeasure = Literal["flows", "bytes", "packets", "findings"]
GROUP_MEASURES: Final[tuple[GroupMeasure, ...]] = get_args(GroupMeasure)

#: Keys of what is no group: workloads without the value, ends that nobody claims, and ends that several claim.
WITHOUT, UNNAMED, AMBIGUOUS = "-", "?", "!"
_WORDS: Final = {WITHOUT: "(none)", UNNAMED: "(no name)", AMBIGUOUS: "(ambiguous)"}

#: The levels of this matrix: groups, and workloads and addresses inside of them.
GROUPS, MEMBERS = 0, 1


@dataclass(frozen=True, slots=True)
class Party:
    """A row or column: a group (`=value`, or one of those above), a workload (`w` and its uid), an address (`a` and it).

    rows: the `workload_id`s that it stands for. named_so: whether the words are a workload's name, not its address.
    """

    key: str
    words: str
    rows: tuple[int, ...] = field(default=(), compare=False, repr=False)
    named_so: bool = field(default=True, compare=False)

    def __str__(self) -> str:
        return self.words


def parties(living: Living, by: str, level: int) -> dict[str, Party]:
    """Everybody by key: the groups, or the workloads."""
    rows: dict[str, list[int]] = defaultdict(list)
    words: dict[str, str] = {}
    nameless: set[str] = set()
    for one in living.workloads:
        value = one.value(by)
        key = f"w{one.uid}" if level == MEMBERS else WITHOUT if value is None else f"={value}"
        if not one.name:
            nameless.add(key)
        rows[key] += [held.row for held in one.tenures]
        words[key] = one.words if level == MEMBERS else value or _WORDS[WITHOUT] if value != "" else '""'
    return {key: Party(key, words[key], tuple(rows[key]), key not in nameless) for key in rows}


def part(party: Party, side: Literal["src", "dst"]) -> Where:
    """Flows of which that end is the party."""
    if party.rows:
        held = f"SELECT flow_id FROM flow_identity WHERE {side}_wid IN (SELECT unnest(?::BIGINT[]))"
        return Where(f"flow_id IN ({held})", (list(party.rows),))
    if party.key == AMBIGUOUS:
        return Where(f"flow_id IN (SELECT flow_id FROM flow_identity WHERE {side}_claimants > 1)")
    nameless = f"flow_id NOT IN (SELECT flow_id FROM flow_identity WHERE {side}_wid IS NOT NULL OR {side}_claimants > 1)"
    if party.key == UNNAMED:
        return Where(nameless)
    return Where(f"{side}_ip = ?", (party.key[1:],))


def inside(where: Where, path: Sequence[tuple[Party, Party]]) -> Where:
    """Of the flows that are kept those of the innermost cell."""
    for source, target in path[-1:]:
        where = where.and_(part(source, "src")).and_(part(target, "dst"))
    return where


def group_matrix(
    asks: Asks,
    where: Where,
    living: Living,
    by: str,
    level: int,
    *,
    measure: GroupMeasure = "flows",
    closed: Collection[str] = (),
    most: int = MOST,
) -> Matrix:
    """Sum the flows by groups (or by workloads and addresses), the biggest first and the rest together.

    closed: finding_ids that do not count as open. CancelledError when stopped.
    """
    known = parties(living, by, level)
    who = ([row for party in known.values() for row in party.rows], [key for key, party in known.items() for _ in party.rows])
    found = _findings(asks, where, who, level, closed)
    rows = asks.query(_sums_sql(where.sql, level, measure, most), (*who, *_first(found, 0), *_first(found, 1), *where.params))
    return _matrix(rows.to_pylist(), known, found, level, measure)


def _matrix(
    rows: Sequence[dict[str, Any]], known: dict[str, Party], found: dict[tuple[str, str], set[str]], level: int, measure: str
) -> Matrix:
    sums = {(row["a"], row["b"]): row for row in rows}
    in_cell: dict[tuple[str | None, str | None], set[str]] = defaultdict(set)
    listed = [{row[side] for row in rows} for side in ("a", "b")]
    for (a, b), ids in found.items():
        in_cell[a if a in listed[0] else None, b if b in listed[1] else None] |= ids
    cells = {
        key: Cell(row["flows"], row["bytes"], row["packets"], row["unanswered"], len(in_cell.get(key, ())))
        for key, row in sums.items()
    }
    ordered = [_ordered(cells, side, measure) for side in (0, 1)]
    at = [{key: n for n, key in enumerate(keys)} for keys in ordered]
    across, down = (tuple(None if key is None else _party(key, known) for key in keys) for keys in ordered)
    total = rows[0] if rows else {"rows_in_all": 0, "columns_in_all": 0}
    numbered = {(at[0][a], at[1][b]): cell for (a, b), cell in cells.items()}
    return Matrix(level, across, down, numbered, total["rows_in_all"], total["columns_in_all"])


def _party(key: str, known: dict[str, Party]) -> Party:
    return known.get(key) or Party(key, _WORDS.get(key, key[1:]))


def _ordered(cells: dict[tuple[str | None, str | None], Cell], side: int, measure: str) -> list[str | None]:
    """Biggest first, ties by key, others last."""
    weights: dict[str | None, tuple[int, int]] = {}
    for key, cell in cells.items():
        had = weights.get(key[side], (0, 0))
        weights[key[side]] = (had[0] + int(getattr(cell, measure)), had[1] + cell.flows)
    return sorted(weights, key=lambda key: (key is None, *(-weight for weight in weights[key]), key or ""))


def _first(found: dict[tuple[str, str], set[str]], side: int) -> tuple[list[str]]:
    """Keys of a side on which findings lie."""
    return (sorted({key[side] for key in found}),)


# -- SQL --------------------------------------------------------------------------------------------

_WHO: Final = "WITH who AS MATERIALIZED (SELECT unnest(?::BIGINT[]) AS wid, unnest(?::VARCHAR[]) AS key)"


def _keyed(condition: str, level: int, columns: str, more: str = "") -> str:
    """The flows that are kept, with what their ends are called: a, b."""
    keys = ", ".join(_key(side, level) + f" AS {name}" for side, name in (("src", "a"), ("dst", "b")))
    kept = f"SELECT * FROM flows WHERE ({condition}) AND src_lo IS NOT NULL AND dst_lo IS NOT NULL"
    return f"""SELECT {keys}, {columns} FROM ({kept}) f {more} LEFT JOIN flow_identity i ON i.flow_id = f.flow_id
LEFT JOIN who s ON s.wid = i.src_wid LEFT JOIN who d ON d.wid = i.dst_wid"""


def _key(side: str, level: int) -> str:
    if level == MEMBERS:
        return f"coalesce({side[0]}.key, 'a' || f.{side}_ip)"
    return f"coalesce({side[0]}.key, CASE WHEN i.{side}_claimants > 1 THEN '{AMBIGUOUS}' ELSE '{UNNAMED}' END)"


def _sums_sql(condition: str, level: int, measure: GroupMeasure, most: int) -> str:
    by = "flows" if measure == "findings" else measure
    first = "list_contains({}, key) DESC, " if measure == "findings" else "0 * len({}), "
    columns = (
        "f.src_bytes + f.dst_bytes AS bytes, f.src_pkts + f.dst_pkts AS packets,"
        f" ({UNANSWERED}) AS unanswered"
    )  # fmt: skip
    return f"""{_WHO}, found AS (SELECT ?::VARCHAR[] AS a, ?::VARCHAR[] AS b),
pairs AS MATERIALIZED (SELECT a, b, count(*) AS flows, sum(bytes)::BIGINT AS bytes, sum(packets)::BIGINT AS packets,
  count(*) FILTER (unanswered) AS unanswered FROM ({_keyed(condition, level, columns)}) GROUP BY a, b),
sources AS (SELECT a AS key, sum({by}) AS m FROM pairs GROUP BY a),
targets AS (SELECT b AS key, sum({by}) AS m FROM pairs GROUP BY b),
rows AS (SELECT key FROM sources ORDER BY {first.format("(SELECT a FROM found)")}m DESC, key LIMIT {int(most)}),
columns AS (SELECT key FROM targets ORDER BY {first.format("(SELECT b FROM found)")}m DESC, key LIMIT {int(most)})
SELECT rows.key AS a, columns.key AS b, sum(flows)::BIGINT AS flows, sum(bytes)::BIGINT AS bytes, sum(packets)::BIGINT AS packets,
       sum(unanswered)::BIGINT AS unanswered, (SELECT count(*) FROM sources) AS rows_in_all,
       (SELECT count(*) FROM targets) AS columns_in_all
FROM pairs LEFT JOIN rows ON pairs.a = rows.key LEFT JOIN columns ON pairs.b = columns.key GROUP BY rows.key, columns.key"""


def _findings(
    asks: Asks, where: Where, who: tuple[list[int], list[str]], level: int, closed: Collection[str]
) -> dict[tuple[str, str], set[str]]:
    """Open findings by the keys of both ends of a flow that they rest on."""
    if not asks.query("SELECT 1 FROM finding_flows LIMIT 1").num_rows:
        return {}
    more = "JOIN (SELECT * FROM finding_flows WHERE NOT list_contains(?::VARCHAR[], finding_id)) ff ON ff.flow_id = f.flow_id"
    condition = f"flow_id IN (SELECT flow_id FROM finding_flows) AND ({where.sql})"
    sql = f"{_WHO} SELECT DISTINCT * FROM ({_keyed(condition, level, 'ff.finding_id', more)})"
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in asks.query(sql, (*who, *where.params, sorted(closed))).to_pylist():
        found[row["a"], row["b"]].add(row["finding_id"])
    return found
