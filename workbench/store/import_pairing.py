"""Rows that tell one direction, at one of several points, in one window or of one packet: together they are one flow.

Rows of the same two ends (addresses, ports, protocol, network) belong together where no more than the format's `pair` seconds
lie between them. What several observation points told of a direction is not added up: the point with the most packets of it
counts, so that what was seen twice counts once, and what one point missed does not count less. The originator is the side that
a row is sure of (`oriented`), else the side that came first. A verdict of any point that denied is the flow's.

Also claims that tell when somebody was seen at an address, packet for packet: those of one owner become one, from the first
sighting until another owner is seen there.

All in SQL over tables on disk: logs are neither in order nor small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workbench.store.engine import identifier

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: What rows of flows may yield beside the columns of `flows`, where they are to be paired.
EXTRA: Final = {"point": "VARCHAR", "oriented": "BOOLEAN", "session": "VARCHAR"}
#: Columns of which the flow has that of its first row which has one.
_FIRST: Final = (
    "service",
    "vlan",
    "inner_vlan",
    "vni",
    "tunnel",
    "outer_src_ip",
    "outer_dst_ip",
    "conn_state",
    "end_reason",
    "sampling",
)
_NEEDED: Final = ("ts", "src_ip", "dst_ip", "proto")

#: The two ends in an order of their own; `up` where the row goes from the lower to the upper one. What lacks an end, a time or a
#: protocol stands alone, for whoever counts those.
_ENDED = """
CREATE TABLE halves_ended AS
WITH ends AS (
    SELECT *, lower(src_ip) AS s, lower(dst_ip) AS d, coalesce(src_port, -1) AS sp, coalesce(dst_port, -1) AS dp,
        greatest(coalesce(ts_end, ts), ts) AS last
    FROM {halves}
), ordered AS (SELECT *, s < d OR (s = d AND sp <= dp) AS up FROM ends)
SELECT * EXCLUDE (s, d, sp, dp), hash(lower(proto), network, vlan, vni, session,
        CASE WHEN up THEN s ELSE d END, CASE WHEN up THEN sp ELSE dp END,
        CASE WHEN up THEN d ELSE s END, CASE WHEN up THEN dp ELSE sp END,
        CASE WHEN ts IS NULL OR s IS NULL OR d IS NULL OR proto IS NULL THEN n END) AS ends
FROM ordered
"""
#: Which flow each row is of: a new one behind every silence.
_NUMBERED = """
CREATE TABLE halves_numbered AS
WITH after AS (
    SELECT *, max(last) OVER (PARTITION BY ends ORDER BY ts, n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
    FROM halves_ended
)
SELECT * EXCLUDE (before), sum(CASE WHEN before IS NULL OR ts - before > to_seconds({gap}) THEN 1 ELSE 0 END)
    OVER (PARTITION BY ends ORDER BY ts, n ROWS UNBOUNDED PRECEDING) AS part
FROM after
"""
#: Of each direction of a flow the point that saw the most packets of it, or bytes where no packets are told.
_SEEN = """
CREATE TABLE halves_seen AS
WITH points AS (
    SELECT ends, part, coalesce(point, '') AS point, any_value(sensor) AS sensor,
        sum(CASE WHEN up THEN src_pkts ELSE dst_pkts END) AS a_pkts, sum(CASE WHEN up THEN dst_pkts ELSE src_pkts END) AS b_pkts,
        sum(CASE WHEN up THEN src_bytes ELSE dst_bytes END) AS a_bytes,
        sum(CASE WHEN up THEN dst_bytes ELSE src_bytes END) AS b_bytes,
        sum(CASE WHEN up THEN src_payload ELSE dst_payload END) AS a_payload,
        sum(CASE WHEN up THEN dst_payload ELSE src_payload END) AS b_payload
    FROM halves_numbered GROUP BY ends, part, coalesce(point, '')
)
SELECT ends, part, count(*) AS points,
    arg_max(sensor, coalesce(a_pkts, 0) + coalesce(b_pkts, 0)) AS sensor,
    max(coalesce(a_pkts, 0)) AS a_pkts, max(coalesce(b_pkts, 0)) AS b_pkts,
    max(coalesce(a_bytes, 0)) AS a_bytes, max(coalesce(b_bytes, 0)) AS b_bytes,
    max(a_payload) AS a_payload, max(b_payload) AS b_payload
FROM points GROUP BY ends, part
"""
#: The flows: `turned` where the upper end is the originator.
_PAIRED = """
CREATE TABLE halves_paired AS
WITH flows AS (
    SELECT ends, part, arg_min(n, (ts, n)) AS n, arg_min(source_id, (ts, n)) AS source_id,
        any_value(proto) AS proto, any_value(network) AS network,
        min(ts) AS ts, max(last) AS ts_end, list(key_hash) FILTER (key_hash IS NOT NULL) AS keys, {halves} AS halves,
        NOT coalesce(arg_min(up, (ts, n)) FILTER (oriented), arg_min(up, (ts, n))) AS turned,
        min(CASE WHEN up THEN src_ip ELSE dst_ip END) AS a_ip, min(CASE WHEN up THEN dst_ip ELSE src_ip END) AS b_ip,
        min(CASE WHEN up THEN src_port ELSE dst_port END) AS a_port, min(CASE WHEN up THEN dst_port ELSE src_port END) AS b_port,
        arg_min(CASE WHEN up THEN src_mac ELSE dst_mac END, (ts, n)) AS a_mac,
        arg_min(CASE WHEN up THEN dst_mac ELSE src_mac END, (ts, n)) AS b_mac,
        bit_or(CASE WHEN up THEN src_flags ELSE dst_flags END) AS a_flags,
        bit_or(CASE WHEN up THEN dst_flags ELSE src_flags END) AS b_flags,
        CASE WHEN bool_or(verdict = 'deny') THEN 'deny'
            ELSE arg_max(verdict, (ts, n)) FILTER (verdict IS NOT NULL) END AS verdict,
        CASE WHEN bool_or(verdict = 'deny') THEN arg_min(rule_id, (ts, n)) FILTER (verdict = 'deny' AND rule_id IS NOT NULL)
            ELSE arg_min(rule_id, (ts, n)) FILTER (rule_id IS NOT NULL) END AS rule_id,
        {firsts}
    FROM halves_numbered GROUP BY ends, part
)
SELECT f.n, f.source_id, f.proto, f.network, f.ts, f.ts_end, f.keys, f.halves, s.points, s.sensor, f.verdict, f.rule_id, {listed},
    CASE WHEN turned THEN b_ip ELSE a_ip END AS src_ip, CASE WHEN turned THEN a_ip ELSE b_ip END AS dst_ip,
    CASE WHEN turned THEN b_port ELSE a_port END AS src_port, CASE WHEN turned THEN a_port ELSE b_port END AS dst_port,
    CASE WHEN turned THEN b_mac ELSE a_mac END AS src_mac, CASE WHEN turned THEN a_mac ELSE b_mac END AS dst_mac,
    CASE WHEN turned THEN b_flags ELSE a_flags END AS src_flags, CASE WHEN turned THEN a_flags ELSE b_flags END AS dst_flags,
    CAST(CASE WHEN turned THEN b_pkts ELSE a_pkts END AS BIGINT) AS src_pkts,
    CAST(CASE WHEN turned THEN a_pkts ELSE b_pkts END AS BIGINT) AS dst_pkts,
    CAST(CASE WHEN turned THEN b_bytes ELSE a_bytes END AS BIGINT) AS src_bytes,
    CAST(CASE WHEN turned THEN a_bytes ELSE b_bytes END AS BIGINT) AS dst_bytes,
    CAST(CASE WHEN turned THEN b_payload ELSE a_payload END AS BIGINT) AS src_payload,
    CAST(CASE WHEN turned THEN a_payload ELSE b_payload END AS BIGINT) AS dst_payload
FROM flows f JOIN halves_seen s USING (ends, part)
ORDER BY f.ts, f.n
"""
_STEPS: Final = ("halves_ended", "halves_numbered", "halves_seen")

#: Sightings of one owner at an address become one claim: until the next owner of the same origin and network is seen there.
_CLAIMED = """
CREATE TABLE claims_merged AS
WITH sorted AS (
    SELECT *, coalesce(uid, '') || chr(0) || coalesce(namespace, '') || chr(0) || coalesce(name, '') AS who
    FROM {claims}
), changes AS (
    SELECT *, lag(who) OVER (PARTITION BY origin, network, ip ORDER BY ts_from, n) IS DISTINCT FROM who AS new FROM sorted
), runs AS (
    SELECT *, sum(CASE WHEN new THEN 1 ELSE 0 END) OVER (PARTITION BY origin, network, ip ORDER BY ts_from, n) AS run FROM changes
), merged AS (
    SELECT origin, network, ip, run, arg_min(source_id, (ts_from, n)) AS source_id, arg_min(n, (ts_from, n)) AS n,
        min(ts_from) AS ts_from, max(ts_seen) AS ts_seen, {firsts}
    FROM runs GROUP BY origin, network, ip, run
)
SELECT * EXCLUDE (run), lead(ts_from) OVER (PARTITION BY origin, network, ip ORDER BY run) AS ts_to FROM merged
"""


def pair_halves(con: DuckDBPyConnection, halves: str, columns: frozenset[str], gap: float) -> str:
    """The name of a table of flows made of the table `halves`, which is dropped.

    Where rows name their `session`, those of one become a flow first; then what several devices told of it at one time, each
    under a session of its own, becomes one.

    columns: those that it has, typed as `flows` has them, and source_id, n, key_hash, point, oriented; others count as null.
    gap: seconds. The flows have `keys`, the key hashes of their rows, `halves`, how many those are, and `points`, at how many
    they were seen.
    """
    if "session" in columns:
        con.execute(f"ALTER TABLE {_pass(con, halves, columns, gap)} RENAME TO halves_sessions")
        halves, columns, gap = "halves_sessions", _PASSED, _AT_ONCE
    return _pass(con, halves, columns, gap)


def _pass(con: DuckDBPyConnection, halves: str, columns: frozenset[str], gap: float) -> str:
    again = columns is _PASSED
    given = "* EXCLUDE (keys, points), sensor AS point, true AS oriented" if again else "*"
    filled = f"(SELECT {given}{_absent(columns)} FROM {identifier(halves)})"
    con.execute(_ENDED.format(halves=filled))
    con.execute(f"DROP TABLE {identifier(halves)}")
    con.execute(_NUMBERED.format(gap=float(gap)))
    con.execute(_SEEN)
    firsts = ", ".join(f"arg_min({c}, (ts, n)) FILTER ({c} IS NOT NULL) AS {c}" for c in _FIRST)
    told = "CAST(sum(halves) AS BIGINT)" if again else "count(*)"
    con.execute(_PAIRED.format(firsts=firsts, halves=told, listed=", ".join(f"f.{c}" for c in _FIRST)))
    for name in _STEPS:
        con.execute(f"DROP TABLE {name}")
    return "halves_paired"


def merge_sightings(con: DuckDBPyConnection, claims: str, columns: frozenset[str]) -> str:
    """The name of a table of claims made of the sightings in `claims`, which is dropped. columns: those that it has."""
    kept = ("uid", "name", "namespace", "kind", "node", "labels", "mac", "confidence", "detail")
    lacking = "".join(f", CAST(NULL AS VARCHAR) AS {c}" for c in (*kept, "network") if c not in columns)
    firsts = ", ".join(f"arg_min({c}, (ts_from, n)) FILTER ({c} IS NOT NULL) AS {c}" for c in kept)
    con.execute(_CLAIMED.format(claims=f"(SELECT *{lacking} FROM {identifier(claims)})", firsts=firsts))
    con.execute(f"DROP TABLE {identifier(claims)}")
    return "claims_merged"


_TYPES: Final = {
    "VARCHAR": (
        *(*_NEEDED[1:], "network", "sensor", "point", "session", "verdict", "rule_id", "src_mac", "dst_mac", "service"),
        *("conn_state", "tunnel", "outer_src_ip", "outer_dst_ip"),
    ),
    "TIMESTAMP": ("ts", "ts_end"),
    "BIGINT": ("src_pkts", "dst_pkts", "src_bytes", "dst_bytes", "src_payload", "dst_payload"),
    "INTEGER": ("src_port", "dst_port", "src_flags", "dst_flags", "vlan", "inner_vlan", "vni", "end_reason", "sampling"),
    "BOOLEAN": ("oriented",),
    "UBIGINT": ("key_hash",),
}

#: Seconds between two sessions of one tuple that are the same, told by two devices: their clocks differ a little.
_AT_ONCE: Final = 1.0
#: What a first pass gives to the second.
_PASSED: Final = frozenset(name for names in _TYPES.values() for name in names) - {"session", "key_hash"}


def _absent(columns: frozenset[str]) -> str:
    return "".join(f", CAST(NULL AS {kind}) AS {c}" for kind, names in _TYPES.items() for c in names if c not in columns)
