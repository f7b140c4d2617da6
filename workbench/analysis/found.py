"""What detections found, for a glance: how many of each severity, and the gravest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from workbench.records.columns import BY_NAME
from workbench.store.pages import EVERYTHING, Where
from workbench.store.reader import Asks

_RANK: Final = "CASE severity WHEN 'critical' THEN 4 WHEN 'high' THEN 3 WHEN 'medium' THEN 2 WHEN 'low' THEN 1 ELSE 0 END"


@dataclass(frozen=True, slots=True)
class Found:
    """counts: findings by severity, gravest first.

    rows: finding_id, title, severity, subject, object, score, ts_first, ts_last, flows, why.
    """

    counts: tuple[tuple[str, int], ...]
    rows: tuple[dict[str, Any], ...]


def _kept(where: Where) -> tuple[str, list[Any]]:
    """Findings with a flow that is kept; all where every flow is."""
    if where.everything:
        return "true", []
    flows = f"SELECT flow_id FROM flows WHERE {where.sql}"
    return f"finding_id IN (SELECT finding_id FROM finding_flows WHERE flow_id IN ({flows}))", list(where.params)


def moments(asks: Asks, where: Where = EVERYTHING, count: int = 10_000) -> list[tuple[str, str, int, int]]:
    """The gravest findings with a flow that is kept: finding_id, severity, first and last moment, us since 1970 UTC."""
    if "findings" not in BY_NAME or not asks.query("SELECT 1 FROM findings LIMIT 1").num_rows:
        return []  # most cases most of the time: nothing is filtered for them
    condition, params = _kept(where)
    rows = asks.query(
        "SELECT finding_id, severity, epoch_us(ts_first) AS first, epoch_us(ts_last) AS last FROM findings"
        f" WHERE {condition} AND ts_first IS NOT NULL AND ts_last IS NOT NULL"
        f" ORDER BY {_RANK} DESC, score DESC, finding_id LIMIT {int(count)}",
        params,
    )
    return [(str(row["finding_id"]), str(row["severity"]), row["first"], row["last"]) for row in rows.to_pylist()]


def found(asks: Asks, where: Where = EVERYTHING, span: tuple[int, int] | None = None, count: int = 12) -> Found:
    """The gravest findings with a flow that `where` keeps; where it keeps everything, those that touch the span, if any.

    span: microseconds UTC. A finding without flows (of ARP, say) is not among them while `where` keeps not everything.
    """
    if "findings" not in BY_NAME:
        return Found((), ())
    condition, params = _kept(where)
    if span is not None and where.everything:
        condition, params = "ts_first < make_timestamp(?) AND ts_last >= make_timestamp(?)", [span[1], span[0]]
    counted = asks.query(
        f"SELECT severity, count(*) AS n FROM findings WHERE {condition} GROUP BY severity ORDER BY {_RANK} DESC, severity",
        params,
    ).to_pylist()
    rows = asks.query(
        "SELECT finding_id, title, severity, subject, object, score, ts_first, ts_last, flows, why FROM findings"
        f" WHERE {condition} ORDER BY {_RANK} DESC, score DESC, finding_id LIMIT {int(count)}",
        params,
    ).to_pylist()
    return Found(tuple((str(row["severity"]), int(row["n"])) for row in counted), tuple(rows))
