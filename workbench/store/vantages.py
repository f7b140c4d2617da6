"""The same conversation at several sensors: how their clocks differ, and which flows belong together.

A conversation is known by its tuple, which no tunnel around it changes. Clocks come first, from tuples that occur once
at either sensor (`clocks`); then the flows of one tuple that were there at the same time, by clocks put right, are linked
(table `links`, cause `sensor`). What cannot be told apart stays unlinked: counted twice rather than not at all.

All is found anew whenever a source comes to a case that has another: a scan of the flows and sorts, no square
in anything that is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from workbench.store.clocks import Clock, Evidence, estimate
from workbench.store.engine import identifier

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: Flows besides the largest source's of which the clocks are told, about; a larger case is sampled by tuple.
_SAMPLE: Final = 400_000
#: Shared conversations of a pair below which sampling was too coarse, and how many times as much is then looked at.
_FEW, _MORE = 64, 4
#: Conversations of one pair that are put into arrays.
_MOST: Final = 50_000
#: Flows that one pass of the linking groups: what fits into the engine's memory.
_PASS: Final = 2_500_000
#: Microseconds besides the clocks' errors that two sightings may lie apart, and how much nearer their starts
#: must lie where several could be meant.
_SLACK, _NEAR = 500_000, 50_000
#: Until a UDP flow that began that long after its capture can only have begun then: the idle timeout.
_WARM: Final = 60_000_000

#: The same for both directions of a tuple (of flows f); 0 of what talks to itself, which is left out.
_KEY: Final = "xor(hash(f.src_hi, f.src_lo, f.src_port, f.proto), hash(f.dst_hi, f.dst_lo, f.dst_port, f.proto))"

#: Times that can be reckoned with; an exporter may tell any.
_SANE: Final = "f.ts >= TIMESTAMP '1970-01-01' AND f.ts_end < TIMESTAMP '2250-01-01'"

#: Tuples that a source has once. What may be told from them: `begun`, that both saw the same first packet, since TCP
#: opened, or nothing of that tuple was there for an idle timeout, or one question from a port of its own had one answer.
_ONCE = """
CREATE TEMP TABLE once AS
WITH few AS (
    SELECT DISTINCT {key} AS h FROM {where}flows f WHERE source_id <> {largest} AND src_port IS NOT NULL {sample}
), keyed AS (
    SELECT {key} AS h, f.source_id, epoch_us(f.ts) AS t, epoch_us(f.ts_end) AS t_end, f.proto, f.src_hi, f.src_lo, f.src_port,
           f.dst_port, f.rtt_us, f.src_pkts, f.dst_pkts, f.src_payload, f.dst_payload, f.history, f.sampling,
           epoch_us(s.ts_first) AS t_first
    FROM {where}flows f JOIN {where}sources s ON s.source_id = f.source_id
    WHERE f.src_hi IS NOT NULL AND f.dst_hi IS NOT NULL AND f.src_port IS NOT NULL
      AND (f.src_lo <> f.dst_lo OR f.src_port <> f.dst_port OR f.src_hi <> f.dst_hi)
      AND {sane} AND (f.source_id <> {largest} OR {key} IN (FROM few)) {sample}
), single AS (
    SELECT h, source_id, any_value(t) AS t, any_value(t_end) AS t_end, any_value(proto) AS proto,
           any_value(src_hi) AS hi, any_value(src_lo) AS lo, any_value(src_port) AS src_port, any_value(dst_port) AS dst_port,
           any_value(rtt_us) AS rtt_us, any_value(src_pkts) AS src_pkts, any_value(dst_pkts) AS dst_pkts,
           any_value(src_payload) AS src_payload, any_value(dst_payload) AS dst_payload, any_value(history) AS history,
           any_value(sampling) AS sampling, any_value(t_first) AS t_first
    FROM keyed GROUP BY h, source_id HAVING count(*) = 1
)
SELECT h, source_id, t, t_end, proto, hi, lo, src_port, rtt_us, src_pkts, dst_pkts, src_payload, dst_payload
FROM single
WHERE src_pkts > 0 AND dst_pkts > 0 AND sampling = 1 AND CASE proto
      WHEN 6 THEN history LIKE 'S%' AND (src_payload > 0 OR dst_payload > 0)
      WHEN 17 THEN t - t_first > {warm} OR (src_pkts = 1 AND dst_pkts = 1 AND src_port >= 1024 AND src_port > dst_port)
      ELSE false END
"""

#: Two sightings of one tuple: with the first source that has it and with the one before, which joins all that share anything.
_TWICE = """
CREATE TEMP TABLE twice AS
WITH ordered AS (
    SELECT *, first_value(source_id) OVER w AS first_source, lag(source_id) OVER w AS source_before
    FROM once WINDOW w AS (PARTITION BY h ORDER BY source_id)
), wanted AS (
    SELECT *, unnest(list_distinct([first_source, source_before])) AS other FROM ordered WHERE source_before IS NOT NULL
)
SELECT a.source_id AS a, b.source_id AS b, b.t, b.t - a.t AS forward,
       CASE WHEN b.proto = 6 THEN b.t + b.rtt_us - a.t - a.rtt_us
            WHEN a.src_pkts = 1 AND a.dst_pkts = 1 AND b.src_pkts = 1 AND b.dst_pkts = 1 THEN b.t_end - a.t_end
       END AS back,
       coalesce(a.src_payload = b.src_payload AND a.dst_payload = b.dst_payload AND b.dst_payload > 0, false) AS strong
FROM wanted b JOIN once a ON a.h = b.h AND a.source_id = b.other
WHERE a.hi = b.hi AND a.lo = b.lo AND a.src_port = b.src_port AND a.proto = b.proto
"""


def link_sensors(con: DuckDBPyConnection, database: str) -> int:
    """Tell the clocks of all sources, link what several of them saw; how many conversations that are. Inside a transaction.

    A case of one source costs a count. Otherwise what was found before is found anew.
    """
    where = f"{identifier(database)}.main."
    sizes = dict(con.execute(f"SELECT source_id, flows FROM {where}sources WHERE flows > 0 ORDER BY source_id").fetchall())
    if len(sizes) < 2:
        return 0
    clocks = _clocks(con, where, sizes)
    _note(con, where, sizes, clocks)
    con.execute(f"DELETE FROM {where}links WHERE cause = 'sensor'")
    return _link(con, where, sizes, clocks) if clocks else 0


# -- clocks -----------------------------------------------------------------------------------------


def _clocks(con: DuckDBPyConnection, where: str, sizes: Mapping[int, int]) -> dict[int, tuple[int, Clock]]:
    """source_id -> its reference and its clock; only sources that share something with others."""
    step = 1 + (sum(sizes.values()) - max(sizes.values())) // _SAMPLE
    largest = max(sizes, key=lambda source_id: sizes[source_id])
    pairs = _pairs(con, where, largest, step, 1)
    if step > 1 and all(len(seen.at) < _FEW for seen in pairs.values()):
        pairs = _pairs(con, where, largest, step, _MORE)
    edges = {pair: clock for pair, seen in pairs.items() if (clock := estimate(seen)) is not None}
    return _from_references(edges)


def _pairs(con: DuckDBPyConnection, where: str, largest: int, step: int, parts: int) -> dict[tuple[int, int], Evidence]:
    """Shared conversations by pair of sources, of `parts` in `step` tuples. largest: the source that is not held in memory."""
    sample = f"AND {_KEY} % {step} < {parts}" if step > parts else ""
    try:
        con.execute(_ONCE.format(key=_KEY, sane=_SANE, where=where, sample=sample, warm=_WARM, largest=largest))
        con.execute(_TWICE)
        found = con.execute(
            f"SELECT a, b, t, forward, back, strong FROM twice QUALIFY row_number() OVER (PARTITION BY a, b) <= {_MOST}"
            " ORDER BY a, b, t"
        ).fetchnumpy()
    finally:
        for name in ("once", "twice"):
            con.execute(f"DROP TABLE IF EXISTS {name}")
    return _split(found)


def _split(found: Mapping[str, Any]) -> dict[tuple[int, int], Evidence]:
    a, b = np.asarray(found["a"]), np.asarray(found["b"])
    if not len(a):
        return {}
    cuts = np.flatnonzero((np.diff(a) != 0) | (np.diff(b) != 0)) + 1
    bounds = [0, *cuts.tolist(), len(a)]
    back = np.asarray(np.ma.filled(np.ma.asarray(found["back"], np.float64), np.nan), np.float64)
    return {
        (int(a[i]), int(b[i])): Evidence(
            np.asarray(found["t"][i:j], np.float64),
            np.asarray(found["forward"][i:j], np.float64),
            back[i:j],
            np.asarray(found["strong"][i:j], np.bool_),
        )
        for i, j in pairwise(bounds)
    }


def _from_references(edges: Mapping[tuple[int, int], Clock]) -> dict[int, tuple[int, Clock]]:
    """Each source's clock by the way with the least error from the first source that it is joined to."""
    ways: dict[int, list[tuple[int, Clock]]] = {}
    for (a, b), clock in edges.items():
        ways.setdefault(a, []).append((b, clock))
        ways.setdefault(b, []).append((a, clock.reversed()))
    known: dict[int, tuple[int, Clock]] = {}
    for reference in sorted(ways):
        if reference in known:
            continue
        open_ = {reference: Clock(0.0, 0.0, 0.0, 0.0, 0)}
        while open_:
            at = min(open_, key=lambda source: open_[source].error)
            here = open_.pop(at)
            known[at] = (reference, here)
            for other, clock in ways[at]:
                there = clock if at == reference else clock.beyond(here)
                if other not in known and (other not in open_ or there.error < open_[other].error):
                    open_[other] = there
    return known


def _note(con: DuckDBPyConnection, where: str, sources: Iterable[int], clocks: Mapping[int, tuple[int, Clock]]) -> None:
    for source_id in sources:
        values: list[Any] = [None] * 6
        if source_id in clocks:
            reference, clock = clocks[source_id]
            values = [round(clock.offset), int(np.ceil(clock.error)), clock.drift * 1e6, int(clock.at), reference, clock.count]
        con.execute(
            f"UPDATE {where}sources SET clock_offset_us = ?, clock_error_us = ?, clock_drift_ppm = ?,"
            " clock_at = make_timestamp(?::BIGINT), clock_reference = ?, clock_flows = ? WHERE source_id = ?",
            [*values, source_id],
        )


# -- links ------------------------------------------------------------------------------------------

#: Flows of sources with a clock, by the reference's time. A second half goes with the first.
_SIGHTS = """
CREATE TEMP TABLE sights AS
SELECT f.flow_id, f.source_id, {key} AS h, hash(f.network) AS network,
       least(f.src_pkts, 1::BIGINT << 61) + least(f.dst_pkts, 1::BIGINT << 61) AS packets,
       epoch_us(f.ts) - c.ahead - ((epoch_us(f.ts) - c.since) * c.drift)::BIGINT AS t,
       epoch_us(f.ts_end) - c.ahead - ((epoch_us(f.ts_end) - c.since) * c.drift)::BIGINT AS t_end
FROM {where}flows f JOIN told c ON c.source_id = f.source_id
WHERE f.src_hi IS NOT NULL AND f.dst_hi IS NOT NULL AND {sane} AND c.reference = {reference}
  AND (f.src_lo <> f.dst_lo OR f.src_port IS DISTINCT FROM f.dst_port OR f.src_hi <> f.dst_hi)
"""
_NO_HALVES = " AND NOT EXISTS (SELECT 1 FROM {where}links l WHERE l.flow_id = f.flow_id AND l.conversation_id <> l.flow_id)"

#: Two flows of a tuple, at two sources: what nearly all are. source_id is in the upper bits of flow_id.
_PLAIN = """
CREATE TEMP TABLE plain AS
SELECT h, min(flow_id) AS one, max(flow_id) AS other, arg_min(packets, flow_id) AS packets, arg_max(packets, flow_id) AS others,
       count(*) AS n, max(t) - min(t_end) AS apart
FROM sights GROUP BY h HAVING min(source_id) <> max(source_id)
"""
_LINK_PLAIN = """
INSERT INTO {where}links BY NAME
SELECT unnest([one, other]) AS flow_id, CASE WHEN others > packets THEN other ELSE one END AS conversation_id, 'sensor' AS cause
FROM plain WHERE n = 2 AND apart <= {slack}
"""

#: The rest: cut where a tuple is silent, then by network, too, then by how near beginnings are; what has a source twice goes on.
_REST = """
CREATE TEMP TABLE rest AS
SELECT s.flow_id, s.source_id, s.h, s.network, s.packets, s.t, s.t_end FROM sights s JOIN plain p ON p.h = s.h WHERE p.n > 2
"""
_CUTS = (
    ("h", "max(t_end)", "{slack}"),
    ("h, network", "max(t_end)", "{slack}"),
    ("h, network", "max(t)", "{near}"),
)
_CUT = """
CREATE TEMP TABLE joined AS
WITH begun AS (
    SELECT *, CASE WHEN t <= {until} OVER (PARTITION BY {by} ORDER BY t, flow_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
                        + {within} THEN 0 ELSE 1 END AS new
    FROM rest
), numbered AS (
    SELECT *, sum(new) OVER (PARTITION BY {by} ORDER BY t, flow_id ROWS UNBOUNDED PRECEDING) AS part FROM begun
)
SELECT list(flow_id) AS flows, arg_max(flow_id, {{'packets': packets, 'first': -flow_id}}) AS conversation_id
FROM numbered GROUP BY {by}, part HAVING count(*) > 1 AND count(*) = count(DISTINCT source_id)
"""

_LINK_JOINED = """
INSERT INTO {where}links BY NAME SELECT unnest(flows) AS flow_id, conversation_id, 'sensor' AS cause FROM joined
"""


def _link(con: DuckDBPyConnection, where: str, sizes: Mapping[int, int], clocks: Mapping[int, tuple[int, Clock]]) -> int:
    """Link the flows of sources with a clock; how many conversations."""
    con.execute("CREATE TEMP TABLE told (source_id BIGINT, reference BIGINT, ahead BIGINT, since BIGINT, drift DOUBLE)")
    for source_id, (reference, clock) in clocks.items():
        con.execute(
            "INSERT INTO told VALUES (?, ?, ?, ?, ?)", [source_id, reference, round(clock.offset), int(clock.at), clock.drift]
        )
    halves = con.execute(f"SELECT 1 FROM {where}links LIMIT 1").fetchone() is not None
    found = 0
    try:
        for reference in sorted({reference for reference, _ in clocks.values()}):
            members = [(source_id, clock) for source_id, (of, clock) in clocks.items() if of == reference]
            error = round(2 * max(clock.error for _, clock in members))
            sql = _SIGHTS.format(key=_KEY, sane=_SANE, where=where, reference=reference) + (
                _NO_HALVES.format(where=where) if halves else ""
            )
            passes = 1 + sum(sizes.get(source_id, 0) for source_id, _ in members) // _PASS
            for n in range(passes):
                part = f" AND {_KEY} % {passes} = {n}" if passes > 1 else ""
                found += _link_pass(con, where, sql + part, error)
    finally:
        con.execute("DROP TABLE told")
    return found


def _link_pass(con: DuckDBPyConnection, where: str, sights: str, error: int) -> int:
    bounds = {"slack": _SLACK + error, "near": _NEAR + error}
    try:
        con.execute(sights)
        con.execute(_PLAIN)
        found = int(con.execute(_LINK_PLAIN.format(where=where, **bounds)).fetchall()[0][0]) // 2
        con.execute(_REST)
        for by, until, within in _CUTS:
            if con.execute("SELECT 1 FROM rest LIMIT 1").fetchone() is None:
                break
            con.execute(_CUT.format(by=by, until=until, within=within.format(**bounds)))
            con.execute("DELETE FROM rest WHERE flow_id IN (SELECT unnest(flows) FROM joined)")
            found += con.execute("SELECT count(*) FROM joined").fetchall()[0][0]
            con.execute(_LINK_JOINED.format(where=where))
            con.execute("DROP TABLE joined")
        return found
    finally:
        for name in ("sights", "plain", "rest", "joined"):
            con.execute(f"DROP TABLE IF EXISTS {name}")
