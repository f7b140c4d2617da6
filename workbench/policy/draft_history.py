"""Edges out of a case: flows summed in the engine, with what is no basis for a rule told apart and counted.

Nothing here is ever larger than MOST_EDGES and MOST_AGAINST rows, whatever the case has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from workbench.policy.draft_seen import MOST_IDS, REASONS, Edge, LeftOut, Seen, Who
from workbench.policy.history import STATE_SQL, TURNED
from workbench.policy.recorded import IMPOSSIBLE, MID_STREAM, RELATED
from workbench.policy.selectors import labels_of
from workbench.store.pages import EVERYTHING, Where
from workbench.store.reader import Asks

#: Edges that a draft is made from at most, those of most flows; and edges of what stays out that widening looks at.
MOST_EDGES: Final = 20_000
MOST_AGAINST: Final = 20_000

#: Datagrams without an answer that make an edge all the same, and how many such edges make their source a scanner.
_DATAGRAMS_LEAST: Final = 3
_SCANNED_LEAST: Final = 10

#: Of TCP by its states (Zeek): unanswered, refused, or left again half open.
_FAILED: Final = ("S0", "REJ", "SH", "RSTOS0", "RSTRH")
_ICMP_ASKING: Final = "((proto = 1 AND src_port IN (8, 13)) OR (proto = 58 AND src_port = 128))"
_GROUP: Final = (
    "((dst_hi = 0 AND dst_lo >= 281474439839744 AND dst_lo <= 281474976710655)"  # 224.0.0.0 and above: multicast, broadcast
    " OR (dst_hi < 0 AND dst_hi >= -72057594037927936))"  # ff00::/8
)
_PORT: Final = f"""CASE WHEN proto NOT IN (1, 6, 17, 33, 58, 132, 136) THEN 0
    WHEN (proto IN (1, 58)) = (state = {TURNED}) THEN coalesce(dst_port, 0) ELSE coalesce(src_port, 0) END"""


@dataclass(frozen=True, slots=True)
class FlowsOfFindings:
    """Flows that findings are about. ids: of the findings; rest: for findings with more flows than are listed, by whom and when.

    rest: (source, destination or None for any, from us, to us), addresses as halves.
    """

    findings: tuple[str, ...] = ()
    rest: tuple[tuple[tuple[int, int], tuple[int, int] | None, int, int], ...] = ()


def read_seen(asks: Asks, where: Where, excluded: FlowsOfFindings, *, warn: Sequence[str] = (), most: int = MOST_EDGES) -> Seen:
    """What a draft is made from among the flows of `where`, at most so many edges. CancelledError when stopped."""
    told, params = _told(where, excluded, named=_has_names(asks))
    edges = asks.query(f"{told} {_EDGES} LIMIT {int(most)}", params)
    by_row = dict(workloads(asks))
    listed = tuple(_edges(edges, by_row))
    totals = asks.query(f"{told} {_TOTALS}", params).to_pylist()
    against = asks.query(f"{told} {_AGAINST}", params)
    why = against["why"].to_pylist()
    out: dict[str, list[Edge]] = {"finding": [], "unanswered": [], "quiet": []}
    for reason, edge in zip(why, _edges(against, by_row), strict=True):
        out[reason].append(edge)
    kept = {_key(edge) for edge in listed}
    attacks, refused = tuple(out["finding"]), tuple(out["unanswered"])
    quiet = tuple(edge for edge in out["quiet"] if _key(edge) not in kept)
    networks = asks.query(f"{told} SELECT DISTINCT network FROM told WHERE why IN ('', 'quiet') ORDER BY 1 LIMIT 20", params)
    cut = _cut(edges, listed)
    return Seen(
        listed,
        attacks,
        refused,
        quiet,
        tuple(_left_out(totals, edges, excluded)) + cut,
        tuple({who.uid: who for who in by_row.values()}.values()),
        tuple(networks["network"].to_pylist()),
        sum(row["flows"] for row in totals),
        tuple(warn),
    )


def plain_edges(
    asks: Asks,
    where: Where = EVERYTHING,
    excluded: FlowsOfFindings = FlowsOfFindings(),
    most: int = MOST_EDGES,
    *,
    begun: bool = False,
) -> tuple[tuple[Edge, ...], int]:
    """All flows of `where` but those excluded as edges, whatever became of them, but for those without addresses.

    begun: only those of which it is known who began them.

    The most used where there are more than `most`; and of how many flows the rest would have been.
    """
    told, params = _told(where, excluded, named=_has_names(asks))
    sql = f"""{told}, edges AS ({_SUMMED} FROM told
        WHERE why NOT IN ('finding', 'nowhere', 'impossible'{", 'midstream', 'related'" if begun else ""}) GROUP BY ALL)
        SELECT *, sum(flows) OVER ()::BIGINT AS all_flows FROM edges ORDER BY flows DESC, first, ids LIMIT {int(most)}"""
    table = asks.query(sql, params)
    listed = tuple(_edges(table, dict(workloads(asks))))
    whole = table["all_flows"][0].as_py() if table.num_rows else 0
    return listed, whole - sum(edge.flows for edge in listed)


def impossible(asks: Asks, where: Where = EVERYTHING) -> tuple[LeftOut, ...]:
    """Flows of `where` that no rule can be about, whatever they were part of: what their rows say cannot be."""
    told, params = _told(where, FlowsOfFindings(), named=False)
    found = asks.query(f"{told} {_TOTALS}", params)
    return tuple(
        _left_out([row for row in found.to_pylist() if row["why"] == "impossible"], found.slice(0, 0), FlowsOfFindings())
    )


def workloads(asks: Asks) -> list[tuple[int, Who]]:
    """All rows of `workloads`, by their numbers."""
    sql = "SELECT workload_id, uid, name, namespace, kind, labels, network, mac FROM workloads"
    return [(row["workload_id"], _who(row)) for row in asks.query(sql).to_pylist()]


def _who(row: dict[str, Any]) -> Who:
    name, namespace, kind, network, mac = (row[key] or "" for key in ("name", "namespace", "kind", "network", "mac"))
    return Who(
        str(row["uid"] or row["workload_id"]),
        name,
        namespace,
        kind,
        tuple(sorted(labels_of(row["labels"]).items())),
        network,
        mac,
    )


def _has_names(asks: Asks) -> bool:
    return bool(asks.query("SELECT 1 FROM flow_identity LIMIT 1").num_rows)


def _told(where: Where, excluded: FlowsOfFindings, *, named: bool) -> tuple[str, list[Any]]:
    """`told`: every flow with why it is no basis for a rule ('' where it is), in a WITH clause, and its parameters."""
    found, params = of_findings_sql(excluded, "f.")
    who = "i.src_wid, i.dst_wid" if named else "NULL::BIGINT AS src_wid, NULL::BIGINT AS dst_wid"
    join = "LEFT JOIN flow_identity i ON i.flow_id = f.flow_id" if named else ""
    params += [] if where.everything else list(where.params)
    pairs = (("src_hi", "dst_hi"), ("src_lo", "dst_lo"), ("src_wid", "dst_wid"))
    ends = ", ".join(f"CASE WHEN state = {TURNED} THEN {b} ELSE {a} END AS {a}" for x, y in pairs for a, b in ((x, y), (y, x)))
    sql = f"""WITH judged AS (
        SELECT f.*, {who}, {STATE_SQL} AS state, {found} AS found
        FROM (SELECT * FROM flows WHERE {where.sql}) f {join}),
    told AS (
        SELECT flow_id, ts, ts_end, network, {ends}, proto, {_PORT} AS port,
            src_bytes + dst_bytes AS bytes, src_pkts + dst_pkts AS pkts,
            CASE WHEN state = {IMPOSSIBLE} THEN 'impossible'
                WHEN found THEN 'finding'
                WHEN src_lo IS NULL OR dst_lo IS NULL THEN 'nowhere'
                WHEN state = {MID_STREAM} THEN 'midstream'
                WHEN state = {RELATED} THEN 'related'
                WHEN proto = 6 AND (
                    coalesce(conn_state, '') IN {_FAILED!r}
                    OR (conn_state IS NULL AND dst_pkts = 0 AND coalesce(src_flags, 16) & 16 = 0)
                    OR (contains(coalesce(history, ''), 'h') AND NOT regexp_matches(history, '[ADFadf]')))
                    THEN 'unanswered'
                WHEN proto <> 6 AND dst_pkts = 0 AND NOT {_GROUP}
                    AND (proto NOT IN (1, 58) OR {_ICMP_ASKING}) THEN 'quiet'
                ELSE '' END AS why
        FROM judged)"""
    return sql, params


def of_findings_sql(flows: FlowsOfFindings, prefix: str = "") -> tuple[str, list[Any]]:
    """Whether a flow is one of those, and the condition's values.

    What findings list no flows for is a table of parameters that flows are joined with: a thousand findings cost what one does.
    """
    params: list[Any] = [list(flows.findings)]
    sql = f"({prefix}flow_id IN (SELECT flow_id FROM finding_flows WHERE finding_id IN (SELECT unnest(?::VARCHAR[])))"
    for to_one in (True, False):
        spans = [(*src, *(dst or ()), first, last) for src, dst, first, last in flows.rest if (dst is not None) == to_one]
        if not spans:
            continue
        names = ("src_hi", "src_lo", "dst_hi", "dst_lo") if to_one else ("src_hi", "src_lo")
        table = ", ".join(f"unnest(?::BIGINT[]) AS {name}" for name in (*names, "since", "until"))
        sql += f""" OR {prefix}flow_id IN (SELECT x.flow_id FROM flows x JOIN (SELECT {table}) r
            ON {" AND ".join(f"x.{name} = r.{name}" for name in names)}
            AND x.ts BETWEEN make_timestamp(r.since) AND make_timestamp(r.until))"""
        params += [list(column) for column in zip(*spans, strict=True)]
    return sql + ")", params


_SUMMED: Final = f"""SELECT src_hi, src_lo, dst_hi, dst_lo, proto, port, src_wid, dst_wid,
    count(*) AS flows, sum(bytes)::BIGINT AS bytes, epoch_us(min(ts)) AS first, epoch_us(max(ts_end)) AS last,
    arg_min(flow_id, ts, {MOST_IDS}) AS ids, sum(pkts)::BIGINT AS pkts,
    count(*) FILTER (why = 'quiet') AS quiet"""

#: Edges that are a basis for rules. One of unanswered datagrams alone is none, where they are few or their source tries many.
_EDGES: Final = f""", edges AS ({_SUMMED} FROM told WHERE why IN ('', 'quiet') GROUP BY ALL),
    weighed AS (SELECT *, count(*) FILTER (quiet = flows) OVER (PARTITION BY src_hi, src_lo) AS tried FROM edges),
    kept AS (SELECT * FROM weighed WHERE quiet < flows OR (pkts >= {_DATAGRAMS_LEAST} AND tried < {_SCANNED_LEAST}))
    SELECT *, sum(flows) OVER ()::BIGINT AS all_flows, sum(quiet) OVER ()::BIGINT AS all_quiet, count(*) OVER () AS all_edges
    FROM kept ORDER BY flows DESC, first, ids"""

_TOTALS: Final = f"""SELECT why, count(*) AS flows, sum(bytes)::BIGINT AS bytes, epoch_us(min(ts)) AS first,
    epoch_us(max(ts_end)) AS last, arg_min(flow_id, ts, {MOST_IDS}) AS ids,
    approx_count_distinct((src_hi, src_lo)) AS sources FROM told GROUP BY why ORDER BY why"""

#: What a draft should not let in: first what findings are about.
_AGAINST: Final = f""", edges AS ({_SUMMED}, why FROM told WHERE why IN ('finding', 'unanswered', 'quiet') GROUP BY ALL)
    SELECT * FROM edges ORDER BY why = 'finding' DESC, why = 'unanswered' DESC, flows DESC, first, ids LIMIT {MOST_AGAINST}"""


def _edges(table: pa.Table, people: dict[int, Who]) -> Iterator[Edge]:
    columns = [table[name].to_pylist() for name in (
        "src_hi", "src_lo", "dst_hi", "dst_lo", "proto", "port", "flows", "bytes", "first", "last", "ids", "src_wid", "dst_wid",
    )]  # fmt: skip
    for a, b, c, d, proto, port, flows, size, first, last, ids, src, dst in zip(*columns, strict=True):
        yield Edge(
            whole(a, b),
            whole(c, d),
            proto,
            port,
            flows,
            size,
            first,
            last,
            tuple(ids or ())[:MOST_IDS],
            people.get(src),
            people.get(dst),
        )


def _key(edge: Edge) -> tuple[object, ...]:
    return edge.src, edge.dst, edge.proto, edge.port, edge.src_who, edge.dst_who


def whole(upper: int, lower: int) -> int:
    """An address of its halves."""
    return (upper & (1 << 64) - 1) << 64 | lower & (1 << 64) - 1


def halves(address: int) -> tuple[int, int]:
    """An address as the index has it: two halves in two's complement."""
    upper, lower = address >> 64, address & (1 << 64) - 1
    return upper - (1 << 64) if upper >> 63 else upper, lower - (1 << 64) if lower >> 63 else lower


def _left_out(totals: list[dict[str, Any]], edges: pa.Table, excluded: FlowsOfFindings) -> Iterator[LeftOut]:
    taken = edges["all_quiet"][0].as_py() if edges.num_rows else 0
    for row in totals:
        flows = row["flows"] - (taken if row["why"] == "quiet" else 0)
        if row["why"] not in REASONS or flows <= 0:
            continue
        detail = f"findings {', '.join(excluded.findings[:6])}" if row["why"] == "finding" else ""
        if row["why"] in ("unanswered", "quiet"):
            detail = "from 1 source" if row["sources"] == 1 else f"from about {row['sources']:,} sources"
        size = row["bytes"] if row["why"] != "quiet" or not taken else 0
        yield LeftOut(REASONS[row["why"]], flows, size, row["first"], row["last"], tuple(row["ids"] or ())[:MOST_IDS], detail)


def _cut(edges: pa.Table, listed: tuple[Edge, ...]) -> tuple[LeftOut, ...]:
    if not edges.num_rows:
        return ()
    rest = edges["all_flows"][0].as_py() - sum(edge.flows for edge in listed)
    if rest <= 0:
        return ()
    more = edges["all_edges"][0].as_py() - len(listed)
    return (LeftOut(f"beyond the {len(listed):,} connections most used", rest, detail=f"{more:,} connections"),)
