"""Who talks to whom on what, by prefix, and what devices said they did with it: the evidence a policy is drafted from."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from workbench.analysis.leads import FAILED
from workbench.analysis.places import inside_sql
from workbench.analysis.prefixes import short_key_sql, whole_key_sql
from workbench.analysis.talkers import SERVICE
from workbench.store.pages import EVERYTHING, Where
from workbench.store.reader import Asks

#: Lines that are shown; more than these nobody reads, and a filter makes fewer.
MOST: Final = 2_000
_BYTES: Final = "(sum(src_bytes) + sum(dst_bytes))::BIGINT AS bytes"

#: Behind the bytes of a prefix these make (more than) an address, which compares as its first one does.
_ZEROS: Final = "'" + "\\x00" * 16 + "'::BLOB"


def verdicts(asks: Asks, where: Where = EVERYTHING) -> pa.Table:
    """Verdicts and rules in the recorded telemetry: columns verdict, rule_id, flows, bytes, first, last; most flows first."""
    return asks.query(
        f"SELECT verdict, rule_id, count(*) AS flows, {_BYTES}, min(ts) AS first, max(ts_end) AS last FROM flows"
        f" WHERE (verdict IS NOT NULL OR rule_id IS NOT NULL) AND ({where.sql}) GROUP BY verdict, rule_id"
        f" ORDER BY flows DESC, verdict, rule_id LIMIT {MOST}",
        where.params,
    )


def paths(asks: Asks, where: Where = EVERYTHING, v4: int = 24, v6: int = 64) -> pa.Table:
    """Which prefix reached which on which service, inside to inside first, then most flows; at most MOST lines.

    Columns src_key, dst_key (see prefixes.Prefix.of_key), inside (both ends), label, service (null where none was
    seen), proto, port (null where the service says more), flows, bytes,
    first, last (UTC), unanswered (share of flows, 0 to 1, that had no answer or were refused).
    """
    return asks.query(
        "WITH kept AS (SELECT *, nullif(service, '') AS seen FROM flows"
        f" WHERE src_addr IS NOT NULL AND dst_addr IS NOT NULL AND ({where.sql})),"
        f" summed AS (SELECT {short_key_sql('src_addr', v4, v6)} AS src_short, {short_key_sql('dst_addr', v4, v6)} AS dst_short,"
        " seen AS service, proto, proto_name,"
        " CASE WHEN seen IS NULL AND proto IN (6, 17, 33, 132, 136) THEN dst_port END AS dst_port,"
        f" count(*) AS flows, {_BYTES}, min(ts) AS first, max(ts_end) AS last,"
        f" count(*) FILTER (dst_pkts = 0 OR (proto = 6 AND conn_state IN {FAILED!r})) / count(*) AS unanswered"
        " FROM kept GROUP BY src_short, dst_short, seen, proto, proto_name,"
        " CASE WHEN seen IS NULL AND proto IN (6, 17, 33, 132, 136) THEN dst_port END),"
        f" whole AS (SELECT *, {whole_key_sql('src_short', v4, v6)} AS src_key,"
        f" {whole_key_sql('dst_short', v4, v6)} AS dst_key FROM summed)"
        f" SELECT src_key, dst_key, {_inside('src_key')} AND {_inside('dst_key')} AS inside, {SERVICE} AS label, service, proto,"
        " dst_port AS port, flows, bytes, first, last, unanswered FROM whole"
        f" ORDER BY inside DESC, flows DESC, src_key, dst_key, label LIMIT {MOST}",
        where.params,
    )


def _inside(key: str) -> str:
    """Whether a prefix is inside, by its first address."""
    return inside_sql(f"({key} || {_ZEROS})")
