"""Hosts that came and hosts that went: in a data centre both are news."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from workbench.analysis.places import host_text_sql, inside_text_sql
from workbench.store.pages import EVERYTHING, Where
from workbench.store.reader import Asks

#: The share of the time range at either end in which a host that is there all along shows itself.
EDGE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Of `hosts` in all, how many came late and how many went early, and of both those that moved most bytes.

    new, vanished: columns host, inside, first, last (UTC), bytes (IP, both directions), flows; inside first.
    """

    hosts: int
    new_count: int
    vanished_count: int
    new: pa.Table
    vanished: pa.Table


def arrivals(asks: Asks, start: int, end: int, where: Where = EVERYTHING, count: int = 12) -> Arrivals:
    """Hosts first seen after the first tenth of [start, end), or last seen before its last tenth; microseconds UTC.

    Seen means a flow that `where` keeps. Group and broadcast addresses are no hosts. ValueError for an empty range.
    """
    if end <= start:
        raise ValueError("arrivals need a time range")
    edge = int((end - start) * EDGE)
    found = asks.query(
        f"WITH sides AS ({_side('src', where)} UNION ALL {_side('dst', where)}),"
        " hosts AS (SELECT host, min(first) AS first, max(last) AS last, sum(bytes)::BIGINT AS bytes,"
        " sum(flows)::BIGINT AS flows FROM sides GROUP BY host),"
        f" marked AS (SELECT *, {inside_text_sql('host')} AS inside, first > make_timestamp({start + edge}) AS is_new,"
        f" last < make_timestamp({end - edge}) AS is_gone FROM hosts WHERE {host_text_sql('host')}),"
        " placed AS (SELECT *, row_number() OVER (PARTITION BY is_new ORDER BY inside DESC, bytes DESC, host) AS new_place,"
        " row_number() OVER (PARTITION BY is_gone ORDER BY inside DESC, bytes DESC, host) AS gone_place,"
        " count(*) OVER () AS n, count(*) FILTER (is_new) OVER () AS news, count(*) FILTER (is_gone) OVER () AS gones"
        " FROM marked)"
        " SELECT host, inside, first, last, bytes, flows, is_new, is_gone, n, news, gones FROM placed"
        f" WHERE (is_new AND new_place <= {int(count)}) OR (is_gone AND gone_place <= {int(count)})"
        " OR new_place = 1 OR gone_place = 1 ORDER BY inside DESC, bytes DESC, host",
        where.params * 2,
    )
    counts = found.slice(0, 1).to_pylist()
    n, news, gones = (int(counts[0][name]) for name in ("n", "news", "gones")) if counts else (0, 0, 0)
    kept = ["host", "inside", "first", "last", "bytes", "flows"]
    new, gone = (found.filter(found[name]).select(kept).slice(0, count) for name in ("is_new", "is_gone"))
    return Arrivals(n, news, gones, new, gone)


def _side(side: str, where: Where) -> str:
    return (
        f"SELECT {side}_ip AS host, min(ts) AS first, max(ts_end) AS last,"
        " sum(src_bytes) + sum(dst_bytes) AS bytes, count(*) AS flows"
        f" FROM flows WHERE {side}_ip IS NOT NULL AND ({where.sql}) GROUP BY {side}_ip"
    )
