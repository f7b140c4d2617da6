"""Who talks to whom on what, by prefix, and what devices said they did with it: the evidence a policy is drafted from."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from workbench.analysis.leads import FAILED
from workbench.analysis.places import inside_sql
from workbench.analysis.prefixes import halves_order, key_of, prefix_sql
from workbench.analysis.talkers import SERVICE
from workbench.store.pages import EVERYTHING, Where
from workbench.store.reader import Asks

#: Lines that are shown; more than these nobody reads, and a filter makes fewer.
MOST: Final = 2_000
_BYTES: Final = "(sum(src_bytes) + sum(dst_bytes))::BIGINT AS bytes"

#: The port, where no service says more.
_PORT: Final = "CASE WHEN service IS NULL AND proto IN (6, 17, 33, 132, 136) THEN dst_port END"


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
    halves = [f"{side}_{half}" for side in ("src", "dst") for half in ("hi", "lo")]
    cut = [sql for side in ("src", "dst") for sql in prefix_sql(f"{side}_hi", f"{side}_lo", v4, v6)]
    found = asks.query(
        f"WITH kept AS (SELECT {', '.join(f'{sql} AS {half}' for sql, half in zip(cut, halves, strict=True))},"
        " nullif(service, '') AS service, proto, proto_name, dst_port, src_bytes, dst_bytes, ts, ts_end, dst_pkts, conn_state"
        f" FROM flows WHERE src_lo IS NOT NULL AND dst_lo IS NOT NULL AND ({where.sql})),"
        f" summed AS (SELECT {', '.join(halves)}, service, proto, proto_name, {_PORT} AS dst_port,"
        f" count(*) AS flows, {_BYTES}, min(ts) AS first, max(ts_end) AS last,"
        f" count(*) FILTER (dst_pkts = 0 OR (proto = 6 AND conn_state IN {FAILED!r})) / count(*) AS unanswered"
        f" FROM kept GROUP BY {', '.join(halves)}, service, proto, proto_name, {_PORT})"
        f" SELECT {', '.join(halves)}, {inside_sql('src_hi', 'src_lo')} AND {inside_sql('dst_hi', 'dst_lo')} AS inside,"
        f" {SERVICE} AS label, service, proto, dst_port AS port, flows, bytes, first, last, unanswered FROM summed"
        f" ORDER BY inside DESC, flows DESC, {halves_order(*halves)}, label LIMIT {MOST}",
        where.params,
    )
    for side in ("dst", "src"):
        ends = zip(found[f"{side}_hi"].to_pylist(), found[f"{side}_lo"].to_pylist(), strict=True)
        keys = pa.array([key_of(upper, lower, v4, v6) for upper, lower in ends], pa.binary())
        found = found.drop_columns([f"{side}_hi", f"{side}_lo"]).add_column(0, f"{side}_key", keys)
    return found
