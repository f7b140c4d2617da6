"""Half flows: one conversation whose two directions travel under different networks.

Where VNIs or VLANs differ by direction, the flow table sees two one-sided flows. They are recognised
afterwards: same source, reversed tuple, another network, near in time. What an exporter told of an answer alone stands
turned round, as of a client that sent nothing; with its other half found it is turned back. Both directions are matched by
ASOF joins, which sort and merge: a hostile capture that repeats one tuple a million times costs a sort,
not a square.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from workbench.store.engine import identifier

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: How long the other half may be silent before it is another conversation: the idle timeouts, microseconds.
_TCP_GAP: Final = 300_000_000
_GAP: Final = 60_000_000
#: Records of a server's answers, without a history: packets have one, and are not turned back.
_TURNED: Final = "src_pkts = 0 AND dst_pkts > 0 AND history IS NULL"
_WAYS: Final = ("forward", "NOT forward")

_HALVES = """
CREATE TEMP TABLE halves AS
SELECT flow_id, source_id, network, epoch_us(ts) AS t, epoch_us(ts_end) AS t_end, proto,
       CASE WHEN forward THEN src_addr ELSE dst_addr END AS a, CASE WHEN forward THEN dst_addr ELSE src_addr END AS b,
       coalesce(CASE WHEN forward THEN src_port ELSE dst_port END, -1) AS p,
       coalesce(CASE WHEN forward THEN dst_port ELSE src_port END, -1) AS q,
       forward
FROM (SELECT *, src_addr < dst_addr OR (src_addr = dst_addr AND coalesce(src_port, -1) <= coalesce(dst_port, -1)) AS forward
      FROM {flows} WHERE dst_pkts = 0 AND source_id IN ({sources}) AND src_addr IS NOT NULL AND dst_addr IS NOT NULL
      UNION ALL BY NAME
      SELECT * REPLACE (dst_addr AS src_addr, src_addr AS dst_addr, dst_port AS src_port, src_port AS dst_port),
             dst_addr < src_addr OR (src_addr = dst_addr AND coalesce(dst_port, -1) <= coalesce(src_port, -1)) AS forward
      FROM {flows}
      WHERE {turned} AND source_id IN ({sources}) AND src_addr IS NOT NULL AND dst_addr IS NOT NULL)
"""

_PAIRS = """
WITH later AS (
    SELECT x.flow_id AS x, y.flow_id AS y, x.network AS x_network, y.network AS y_network,
           x.t - y.t AS apart, x.t - y.t_end AS silent, x.proto AS proto
    FROM (SELECT * FROM halves WHERE {this}) x ASOF JOIN (SELECT * FROM halves WHERE {other}) y
      ON x.source_id = y.source_id AND x.proto = y.proto AND x.a = y.a AND x.b = y.b AND x.p = y.p AND x.q = y.q
     AND x.t >= y.t
)
SELECT y AS first, x AS second, apart FROM later
WHERE x_network <> y_network AND silent <= CASE proto WHEN 6 THEN {tcp_gap} ELSE {gap} END
"""

#: Of the pairs that a flow is in, the nearest in time; a pair stays when it is that for both its flows.
_MATCHED = """
CREATE TEMP TABLE matched AS
SELECT first, second FROM (
    SELECT first, second FROM (
        SELECT first AS flow, first, second, apart FROM pairs UNION ALL SELECT second, first, second, apart FROM pairs
    )
    QUALIFY row_number() OVER (PARTITION BY flow ORDER BY apart, first, second) = 1
)
GROUP BY first, second HAVING count(*) = 2
"""


def stitch(con: DuckDBPyConnection, database: str, sources: Iterable[int]) -> dict[int, int]:
    """Find the halves among the flows of these sources, note them in `links`; source_id -> pairs found.

    A flow belongs to one pair at most. Costs a scan of the one-sided flows and two sorts of them.
    """
    ids = ", ".join(str(int(s)) for s in sources)
    if not ids:
        return {}
    where = f"{identifier(database)}.main."
    con.execute(_HALVES.format(flows=f"{where}flows", sources=ids, turned=_TURNED))
    try:
        ways = [_PAIRS.format(this=a, other=b, tcp_gap=_TCP_GAP, gap=_GAP) for a, b in (_WAYS, _WAYS[::-1])]
        con.execute(f"CREATE TEMP TABLE pairs AS {ways[0]}")
        con.execute(f"INSERT INTO pairs {ways[1]}")
        con.execute(_MATCHED)
        _turn_back(con, where)
        con.execute(
            f"INSERT INTO {where}links BY NAME SELECT first AS flow_id, first AS conversation_id, 'half' AS cause FROM matched"
            " UNION ALL SELECT second, first, 'half' FROM matched"
        )
        found = con.execute("SELECT first >> 40, count(*) FROM matched GROUP BY ALL").fetchall()
        return {int(source): int(count) for source, count in found}
    finally:
        for name in ("matched", "pairs", "halves"):
            con.execute(f"DROP TABLE IF EXISTS {name}")


def _turn_back(con: DuckDBPyConnection, where: str) -> None:
    """Halves that stand turned round, the right way round: the view takes what the second half sent for the way back."""
    ids = f"SELECT flow_id FROM {where}flows WHERE {_TURNED} AND flow_id IN (SELECT unnest([first, second]) FROM matched)"
    if con.execute(f"{ids} LIMIT 1").fetchone() is None:
        return
    names = [row[0] for row in con.execute(f"DESCRIBE {where}flows").fetchall()]
    pairs = [(name, name.replace("src_", "dst_")) for name in names if name.startswith(("src_", "outer_src_"))]
    swaps = ", ".join(f"{one} = {other}, {other} = {one}" for one, other in pairs if other in names)
    con.execute(f"UPDATE {where}flows SET {swaps} WHERE flow_id IN ({ids})")
