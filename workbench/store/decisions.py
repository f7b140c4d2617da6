"""Keeping what devices say they decided: verdicts on flows that the case has, and what is counted by rule.

Both are only added to. A verdict is kept once however often it is told: the same flow, target, origin and rule.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from workbench.records.arrow import arrow_schema
from workbench.store.case import CaseFolder, IngestLock
from workbench.store.engine import writing
from workbench.store.reader import CaseReader
from workbench.store.segments import SegmentFiles

if TYPE_CHECKING:
    from workbench.store.reader import Asks

#: How far a log's clock and the capture's may be apart, where both are of one machine or kept by NTP.
APART: Final = dt.timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Logged:
    """One packet that a device logged. ts: UTC without zone; addresses: canonical text; ports: ICMP's type and code."""

    ts: dt.datetime
    rule_id: str
    verdict: str
    proto: int
    src_ip: str
    dst_ip: str
    src_port: int | None
    dst_port: int | None


@dataclass(frozen=True, slots=True)
class Kept:
    """counters, verdicts: rows that were added. unmatched: logged packets of no flow of the case."""

    counters: int
    verdicts: int
    unmatched: int


@dataclass(frozen=True, slots=True)
class Said:
    """What one target said. points: number -> (rule id, verdict), of observation points in IPFIX; sensors: whose, all where
    none is named. counters: rows of `rule_counters`. since, until: telemetry and logged packets of other times are not of these
    rules, UTC without zone.
    """

    target: str
    digest: str | None
    points: Mapping[int, tuple[str, str]]
    sensors: Sequence[str] = ()
    logged: Sequence[Logged] = ()
    counters: Sequence[Mapping[str, Any]] = ()
    since: dt.datetime | None = None
    until: dt.datetime | None = None


def keep_decisions(case_dir: Path, said: Said) -> Kept:
    """Add what a target said. CaseBusyError where somebody writes the case, MissingPathError, DiskFullError."""
    case = CaseFolder.open(case_dir)
    with IngestLock(case), CaseReader(case_dir) as reader, writing(str(case.root)):
        points = _of_points(reader, said)
        logged, unmatched = _of_log(reader, said)
        rows = pa.concat_tables([points, logged])
        names = reader.query("SELECT source_id, sensor FROM sources").to_pylist()
        files = SegmentFiles(case, {row["source_id"]: row["sensor"] for row in names})
        counters = pa.Table.from_pylist([dict(row) for row in said.counters], arrow_schema("rule_counters"))
        files.write("verdicts", rows.to_batches())
        files.write("rule_counters", counters.to_batches())
    return Kept(counters.num_rows, rows.num_rows, unmatched)


#: What is not kept yet of the rows in `told` (flow_id, ts, verdict, rule_id, packets).
_NEW: Final = """SELECT flow_id, ts, verdict, rule_id, $origin AS origin, $target AS target, $digest AS digest, packets
FROM told t WHERE NOT EXISTS (SELECT 1 FROM verdicts v WHERE v.flow_id = t.flow_id AND v.origin = $origin
AND v.target IS NOT DISTINCT FROM $target AND v.rule_id IS NOT DISTINCT FROM t.rule_id)"""


def _new(asks: Asks, told: str, said: Said, origin: str, values: Mapping[str, Any]) -> pa.Table:
    given = {"origin": origin, "target": said.target, "digest": said.digest, **values, **_times(said)}
    return asks.query(f"WITH told AS ({told}) {_NEW} ORDER BY flow_id", given).cast(arrow_schema("verdicts"))


def _times(said: Said) -> dict[str, dt.datetime]:
    return {"since": said.since or dt.datetime.min, "until": said.until or dt.datetime.max}


#: Flows with the number of a rule, and those of captures that are of the same ends and went on at the time: of what is denied the
#: switch tells too little to put clocks right by. Of several, the nearest of a sensor. It mostly tells no tags and no tunnels:
#: then only flows of no tunnel, which may be another tenant's. VLANs are let pass: what is routed is seen in two.
_POINTED: Final = """WITH pointed AS (
    SELECT f.flow_id, f.ts, f.ts_end, p.verdict, p.rule_id, f.src_pkts + f.dst_pkts AS packets,
        f.proto, f.src_ip, f.dst_ip, f.src_port, f.dst_port, f.network
    FROM flows f JOIN sources s USING (source_id)
    JOIN (SELECT unnest($numbers::VARCHAR[]) AS number, unnest($rules::VARCHAR[]) AS rule_id,
        unnest($verdicts::VARCHAR[]) AS verdict) p
    ON p.number = f.rule_id
    WHERE s.kind = 'ipfix' AND (len($sensors::VARCHAR[]) = 0 OR list_contains($sensors::VARCHAR[], f.sensor))
    AND f.ts >= $since::TIMESTAMP AND f.ts_end <= $until::TIMESTAMP
), either AS (
    SELECT * FROM pointed UNION ALL BY NAME
    SELECT * REPLACE (dst_ip AS src_ip, src_ip AS dst_ip, dst_port AS src_port, src_port AS dst_port) FROM pointed
    WHERE proto NOT IN (1, 58)
), near AS (
    SELECT c.flow_id, c.ts AS began, c.sensor, c.network, e.flow_id AS of, e.network AS said,
        e.verdict, e.rule_id, e.packets, e.ts, e.ts_end FROM either e JOIN flows c
    ON c.proto = e.proto AND c.src_ip = e.src_ip AND c.dst_ip = e.dst_ip AND c.src_port IS NOT DISTINCT FROM e.src_port
    AND c.dst_port IS NOT DISTINCT FROM e.dst_port
    AND e.ts <= c.ts_end + to_microseconds($apart::BIGINT) AND e.ts_end >= c.ts - to_microseconds($apart::BIGINT)
    JOIN sources s ON s.source_id = c.source_id AND s.kind NOT IN ('ipfix', 'netflow', 'sflow')
), seen AS (
    SELECT flow_id, verdict, rule_id, packets, ts_end AS ts FROM near
    WHERE CASE WHEN said = '' THEN network = '' OR regexp_full_match(network, 'vlan:[0-9.]+') ELSE network = said END
    QUALIFY row_number() OVER (PARTITION BY of, sensor ORDER BY network <> said, abs(epoch_us(began) - epoch_us(ts)), flow_id) = 1
)
SELECT flow_id, ts_end AS ts, verdict, rule_id, packets FROM pointed UNION ALL
SELECT flow_id, min(ts) AS ts, verdict, rule_id, sum(packets)::BIGINT AS packets FROM seen GROUP BY flow_id, verdict, rule_id"""


def _of_points(asks: Asks, said: Said) -> pa.Table:
    """Flows that an exporter told with the number of a rule, and other sights of them."""
    if not said.points:
        return arrow_schema("verdicts").empty_table()
    numbers = list(said.points)
    values = {
        "numbers": [str(number) for number in numbers],
        "rules": [said.points[number][0] for number in numbers],
        "verdicts": [said.points[number][1] for number in numbers],
        "sensors": list(said.sensors),
        "apart": APART // dt.timedelta(microseconds=1),
    }
    return _new(asks, _POINTED, said, "ovs-ipfix", values)


#: Of several flows of the same ends the one that was going on, or began next; each logged packet has its number. Packets of
#: connections that were cut go either way. A line tells no network: none of a tunnel, which may be another tenant's.
_MATCHED: Final = """WITH logged AS (
    SELECT unnest($ts::TIMESTAMP[]) AS ts, unnest($rules::VARCHAR[]) AS rule_id, unnest($verdicts::VARCHAR[]) AS verdict,
        unnest($proto::INTEGER[]) AS proto, unnest($src::VARCHAR[]) AS src_ip, unnest($dst::VARCHAR[]) AS dst_ip,
        unnest($sport::INTEGER[]) AS src_port, unnest($dport::INTEGER[]) AS dst_port, unnest(range(len($ts::TIMESTAMP[]))) AS n
), either AS (
    SELECT *, false AS back FROM logged UNION ALL BY NAME
    SELECT * REPLACE (dst_ip AS src_ip, src_ip AS dst_ip, dst_port AS src_port, src_port AS dst_port), true AS back FROM logged
    WHERE proto NOT IN (1, 58)
)
SELECT l.n, f.flow_id, l.ts, l.verdict, l.rule_id FROM either l JOIN flows f
ON f.proto = l.proto AND f.src_ip = l.src_ip AND f.dst_ip = l.dst_ip AND f.src_port IS NOT DISTINCT FROM l.src_port
AND (f.dst_port IS NOT DISTINCT FROM l.dst_port OR f.proto IN (1, 58))
AND l.ts BETWEEN f.ts - to_microseconds($apart::BIGINT) AND f.ts_end + to_microseconds($apart::BIGINT)
AND l.ts BETWEEN $since::TIMESTAMP AND $until::TIMESTAMP
WHERE f.network = '' OR regexp_full_match(f.network, 'vlan:[0-9.]+')
QUALIFY row_number() OVER (PARTITION BY l.n, f.sensor ORDER BY l.back, abs(epoch_us(f.ts) - epoch_us(l.ts)), f.flow_id) = 1"""


def _of_log(asks: Asks, said: Said) -> tuple[pa.Table, int]:
    """Flows of logged packets, at every sensor that saw them; and how many packets are of no flow."""
    if not said.logged:
        return arrow_schema("verdicts").empty_table(), 0
    values = {
        "ts": [one.ts for one in said.logged],
        "rules": [one.rule_id for one in said.logged],
        "verdicts": [one.verdict for one in said.logged],
        "proto": [one.proto for one in said.logged],
        "src": [one.src_ip for one in said.logged],
        "dst": [one.dst_ip for one in said.logged],
        "sport": [one.src_port for one in said.logged],
        "dport": [one.dst_port for one in said.logged],
        "apart": APART // dt.timedelta(microseconds=1),
    }
    matched = asks.query(f"SELECT count(DISTINCT n) AS n FROM ({_MATCHED})", values | _times(said))["n"][0].as_py()
    told = f"SELECT flow_id, min(ts) AS ts, verdict, rule_id, count(*) AS packets FROM ({_MATCHED}) GROUP BY ALL"
    return _new(asks, told, said, "nft-log", values), len(said.logged) - int(matched)
