"""What to look at first: cheap signs over flows, for when no detection has been run.

A lead is no finding: it has no baseline and no state. It names hosts and numbers, and whoever shows it makes the words.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from workbench.analysis.places import inside_text_sql
from workbench.store.pages import EVERYTHING, Where
from workbench.store.reader import Asks

Sign = Literal["scan", "management", "guessing", "upload", "arrival", "refused"]

#: TCP that came to nothing: unanswered, refused, or left again half open.
FAILED: Final = ("S0", "REJ", "SH", "RSTOS0", "RSTRH")
_FAILED_SQL: Final = f"(proto = 6 AND coalesce(conn_state, '') IN {FAILED!r})"
#: Services that ask who you are: FTP, SSH, telnet, Kerberos, SMB, LDAP, RDP, VNC, WinRM.
_LOGINS: Final = (21, 22, 23, 88, 389, 445, 636, 3389, 5900, 5985, 5986)
#: What a hypervisor is managed by, besides 443: SLP, host agent, CIM over HTTP and HTTPS, vMotion.
_MANAGEMENT: Final = (427, 902, 5988, 5989, 8000)

#: Below these a sign says nothing: failed connections, and to how many targets; log-ins of a pair; bytes sent, and the ratio.
_FAILED_LEAST: Final = 20
_TARGETS_LEAST: Final = 10
_LOGINS_LEAST: Final = 10
_BYTES_LEAST: Final = 1_000_000
_RATIO_LEAST: Final = 4
_REFUSED_LEAST: Final = 20
#: Sources of each sign that are looked into.
_FEW: Final = 5


@dataclass(frozen=True, slots=True)
class Lead:
    """One sign. who: the host it is about. whom: the other one, '' for many. score: 0 to 1, for the order only.

    numbers: by sign; `scan`: failed, flows, hosts, ports; `management`: flows, ports (a list), hosts; `guessing`: flows, port;
    `upload`: sent, received, outside; `arrival`: bytes, flows; `refused`: refused, hosts.
    """

    sign: Sign
    who: str
    whom: str
    score: float
    first: dt.datetime
    last: dt.datetime
    numbers: Mapping[str, Any] = field(default_factory=dict)


def leads(asks: Asks, where: Where = EVERYTHING, late: Sequence[Mapping[str, Any]] = (), count: int = 8) -> list[Lead]:
    """The most striking signs, at most two of a kind, at most one of a kind and host; late: rows of `Arrivals.new`."""
    found = [
        *_by_source(asks, where),
        *_management(asks, where),
        *_guessing(asks, where),
        *_refused(asks, where),
        *_arrivals(late),
    ]
    scanning = {lead.who for lead in found if lead.sign == "scan"}
    kept: list[Lead] = []
    for lead in sorted(found, key=lambda lead: (-lead.score, lead.who, lead.whom)):
        if lead.sign == "refused" and lead.who in scanning:
            continue
        same = [other for other in kept if other.sign == lead.sign]
        if len(same) < 2 and all(other.who != lead.who for other in same):
            kept.append(lead)
    return kept[:count]


def _rows(asks: Asks, sql: str, params: Sequence[Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = asks.query(sql, params).to_pylist()
    return rows


def _by_source(asks: Asks, where: Where) -> list[Lead]:
    """Scans and uploads: one pass by source, then a closer look at the few that stand out."""
    rows = _rows(
        asks,
        f"WITH sources AS (SELECT src_ip AS who, count(*) AS flows, count(*) FILTER ({_FAILED_SQL}) AS failed,"
        " sum(src_bytes)::BIGINT AS sent, sum(dst_bytes)::BIGINT AS received"
        f" FROM flows WHERE src_ip IS NOT NULL AND ({where.sql}) GROUP BY src_ip)"
        f" (SELECT *, true AS scans FROM sources WHERE failed >= {_FAILED_LEAST} ORDER BY failed DESC, who LIMIT {_FEW})"
        " UNION ALL (SELECT *, false FROM sources"
        f" WHERE sent >= {_BYTES_LEAST} ORDER BY sent - received DESC, who LIMIT {_FEW})",
        where.params,
    )
    return _scans(asks, where, [row for row in rows if row["scans"]]) + _uploads(
        asks, where, [row["who"] for row in rows if not row["scans"]]
    )


def _scans(asks: Asks, where: Where, sources: Sequence[Mapping[str, Any]]) -> list[Lead]:
    """Whom these tried, in one pass over the flows."""
    if not sources:
        return []
    rows = _rows(
        asks,
        "SELECT src_ip AS who, count(DISTINCT dst_ip) AS hosts, count(DISTINCT dst_port) AS ports, min(ts) AS first,"
        f" max(ts_end) AS last, any_value(dst_ip) AS whom FROM flows WHERE src_ip IN ({', '.join('?' * len(sources))})"
        f" AND {_FAILED_SQL} AND ({where.sql}) GROUP BY src_ip",
        (*(row["who"] for row in sources), *where.params),
    )
    seen = {row["who"]: row for row in rows}
    return [lead for row in sources if row["who"] in seen for lead in _scan(row, seen[row["who"]])]


def _scan(row: Mapping[str, Any], seen: Mapping[str, Any]) -> list[Lead]:
    """Many hosts or many ports make a scan."""
    targets = max(seen["hosts"], seen["ports"])
    if targets < _TARGETS_LEAST:
        return []
    score = 0.7 + 0.3 * (row["failed"] / row["flows"]) * min(1.0, targets / 200)
    numbers = {"failed": row["failed"], "flows": row["flows"], "hosts": seen["hosts"], "ports": seen["ports"]}
    whom = seen["whom"] if seen["hosts"] == 1 else ""
    return [Lead("scan", row["who"], whom, score, seen["first"], seen["last"], numbers)]


def _uploads(asks: Asks, where: Where, sources: Sequence[str]) -> list[Lead]:
    """Of these sources, the pairs in which far more is sent than comes back; to the outside first."""
    if not sources:
        return []
    rows = _rows(
        asks,
        "SELECT src_ip AS who, dst_ip AS whom, sum(src_bytes)::BIGINT AS sent, sum(dst_bytes)::BIGINT AS received,"
        f" NOT {inside_text_sql('dst_ip')} AS outside, min(ts) AS first, max(ts_end) AS last FROM flows"
        f" WHERE src_ip IN ({', '.join('?' * len(sources))}) AND dst_ip IS NOT NULL AND ({where.sql}) GROUP BY src_ip, dst_ip"
        f" HAVING sum(src_bytes) >= {_BYTES_LEAST} AND sum(src_bytes) >= {_RATIO_LEAST} * sum(dst_bytes)"
        f" ORDER BY outside DESC, sent DESC, who, whom LIMIT {_FEW}",
        (*sources, *where.params),
    )
    return [
        Lead("upload", r["who"], r["whom"], 0.8 if r["outside"] else 0.45, r["first"], r["last"],
             {"sent": r["sent"], "received": r["received"], "outside": r["outside"]})
        for r in rows
    ]  # fmt: skip


def _management(asks: Asks, where: Where) -> list[Lead]:
    """Hosts that spoke to two ports of a hypervisor's management, or to its service location (SLP), and had an answer."""
    rows = _rows(
        asks,
        "SELECT src_ip AS who, count(*) AS flows, list(DISTINCT dst_port ORDER BY dst_port) AS ports,"
        " count(DISTINCT dst_ip) AS hosts, min(dst_ip) AS whom, min(ts) AS first, max(ts_end) AS last FROM flows"
        f" WHERE (proto = 6 AND dst_port IN {_MANAGEMENT!r} OR proto = 17 AND dst_port = 427)"
        f" AND dst_pkts > 0 AND NOT {_FAILED_SQL} AND src_ip IS NOT NULL AND ({where.sql}) GROUP BY src_ip"
        f" HAVING len(ports) > 1 OR ports = [427] ORDER BY len(ports) DESC, hosts DESC, who LIMIT {_FEW}",
        where.params,
    )
    return [
        Lead("management", r["who"], r["whom"] if r["hosts"] == 1 else "", 0.8 + 0.03 * len(r["ports"]), r["first"], r["last"],
             {"flows": r["flows"], "ports": r["ports"], "hosts": r["hosts"]})
        for r in rows
    ]  # fmt: skip


def _guessing(asks: Asks, where: Where) -> list[Lead]:
    """One host at one log-in of another, again and again."""
    rows = _rows(
        asks,
        "SELECT src_ip AS who, dst_ip AS whom, dst_port AS port, count(*) AS flows, min(ts) AS first, max(ts_end) AS last"
        f" FROM flows WHERE proto = 6 AND dst_port IN {_LOGINS!r} AND NOT {_FAILED_SQL} AND src_ip IS NOT NULL"
        f" AND ({where.sql}) GROUP BY src_ip, dst_ip, dst_port HAVING count(*) >= {_LOGINS_LEAST}"
        f" ORDER BY flows DESC, who, whom LIMIT {_FEW}",
        where.params,
    )
    return [
        Lead("guessing", r["who"], r["whom"], 0.6 + 0.3 * min(1.0, r["flows"] / 200), r["first"], r["last"],
             {"flows": r["flows"], "port": r["port"]})
        for r in rows
    ]  # fmt: skip


def _refused(asks: Asks, where: Where) -> list[Lead]:
    """The minute in which a source was refused most often."""
    rows = _rows(
        asks,
        "SELECT src_ip AS who, date_trunc('minute', ts) AS minute, count(*) AS refused, count(DISTINCT dst_ip) AS hosts,"
        " any_value(dst_ip) AS whom, min(ts) AS first, max(ts_end) AS last FROM flows WHERE proto = 6 AND conn_state = 'REJ'"
        f" AND src_ip IS NOT NULL AND ({where.sql}) GROUP BY src_ip, minute HAVING count(*) >= {_REFUSED_LEAST}"
        f" ORDER BY refused DESC, who LIMIT {_FEW}",
        where.params,
    )
    return [
        Lead("refused", r["who"], r["whom"] if r["hosts"] == 1 else "", 0.5, r["first"], r["last"],
             {"refused": r["refused"], "hosts": r["hosts"]})
        for r in rows
    ]  # fmt: skip


def _arrivals(late: Sequence[Mapping[str, Any]]) -> list[Lead]:
    """Hosts that came late and moved much."""
    return [
        Lead("arrival", row["host"], "", 0.65 if row["inside"] else 0.4, row["first"], row["last"],
             {"bytes": row["bytes"], "flows": row["flows"]})
        for row in late
        if row["bytes"] >= _BYTES_LEAST
    ]  # fmt: skip
