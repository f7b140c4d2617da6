"""What devices decided on one flow, at every sensor that saw its conversation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from workbench.store.reader import Asks

#: Tellings that are given of one flow.
_MOST: Final = 8


@dataclass(frozen=True, slots=True)
class Decided:
    """verdict: allow, deny, reject or None; rule: `policy/rule`, or a number; packets: None where not told."""

    ts: datetime
    verdict: str | None
    rule: str | None
    origin: str
    target: str | None
    packets: int | None


def decided_on(asks: Asks, flow_id: int) -> list[Decided]:
    """What was told of this flow apart from its own telemetry, the earliest first; of its other sightings, too.

    One decision that several sightings share is told once.
    """
    sql = f"""SELECT ts, verdict, rule_id, origin, target, max(packets) AS packets FROM "verdicts" WHERE flow_id IN
(SELECT ?::BIGINT UNION SELECT o.flow_id FROM links l JOIN links o USING (conversation_id) WHERE l.flow_id = ?)
GROUP BY ALL ORDER BY ts, rule_id LIMIT {_MOST}"""
    rows = asks.query(sql, (flow_id, flow_id)).to_pylist()
    return [Decided(r["ts"], r["verdict"], r["rule_id"], r["origin"], r["target"], r["packets"]) for r in rows]
