"""Who the ends of flows were when they began: a page of names at a time, or one flow with its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from workbench.store.reader import Asks

#: Columns that stand beside those of `flows` where a person wants them.
NAMES: Final = ("src_name", "dst_name")
#: Claimants of one end that are named.
_CLAIMANTS: Final = 12

#: A workload's name as filters have it; null for a host that is known by its MAC alone.
_WORDS: Final = "CASE WHEN {0}.name IS NOT NULL THEN coalesce({0}.namespace || '/', '') || {0}.name END"


@dataclass(frozen=True, slots=True)
class End:
    """Who an end was. words: `namespace/name`; '' where several claim it, who are in `claimants` then."""

    words: str
    kind: str = ""
    node: str | None = None
    origin: str = ""
    confidence: float = 0.0
    claimants: tuple[str, ...] = ()


def known(asks: Asks) -> bool:
    """Whether any flow of the case has a name."""
    return bool(asks.query("SELECT 1 FROM flow_identity LIMIT 1").num_rows)


def names_of(asks: Asks, flow_ids: Sequence[int]) -> dict[int, tuple[str | None, str | None]]:
    """The names of both ends of these flows; `? 2 claim it` where several do. Flows without any name are absent."""
    ends = ", ".join(
        f"CASE WHEN i.{side}_claimants > 1 THEN '? ' || i.{side}_claimants || ' claim it'"
        f" ELSE {_WORDS.format(side)} END AS {side}_name"
        for side in ("src", "dst")
    )
    sql = f"""SELECT i.flow_id, {ends} FROM flow_identity i LEFT JOIN workloads src ON src.workload_id = i.src_wid
LEFT JOIN workloads dst ON dst.workload_id = i.dst_wid WHERE i.flow_id IN (SELECT unnest(?::BIGINT[]))"""
    found = asks.query(sql, (list(flow_ids),))
    columns = [found[name].to_pylist() for name in ("flow_id", *NAMES)]
    return {flow: (src, dst) for flow, src, dst in zip(*columns, strict=True)}


def with_names(asks: Asks, rows: pa.Table) -> pa.Table:
    """The rows with a column for each of NAMES; they have a flow_id."""
    ids = rows["flow_id"].to_pylist()
    found = names_of(asks, ids)
    for n, name in enumerate(NAMES):
        rows = rows.append_column(name, pa.array([found.get(flow, (None, None))[n] for flow in ids], pa.string()))
    return rows


def ends_of(asks: Asks, flow_id: int) -> tuple[End | None, End | None]:
    """Who both ends of one flow were, with whoever claims them; None for an end that nobody claims."""
    made = [_end(asks, flow_id, side) for side in ("src", "dst")]
    return made[0], made[1]


def _end(asks: Asks, flow_id: int, side: str) -> End | None:
    words = _WORDS.format("w")
    rows: list[dict[str, Any]] = asks.query(
        f"""SELECT {words} AS words, w.kind, w.node, w.origin, w.confidence FROM flow_identity i
JOIN workloads w ON w.workload_id = i.{side}_wid WHERE i.flow_id = ?""",
        (flow_id,),
    ).to_pylist()
    for row in rows:
        return None if row["words"] is None else End(**row)
    claimants = asks.query(
        f"""SELECT coalesce({words}, w.mac, w.uid) AS words FROM flow_identity i JOIN flows f USING (flow_id)
JOIN workloads w ON w.hi = f.{side}_hi AND w.lo = f.{side}_lo AND (w.network IS NULL OR w.network = f.network)
WHERE i.flow_id = ? AND i.{side}_claimants > 1 AND w.claimants > 1
  AND (w.ts_from IS NULL OR w.ts_from <= f.ts) AND (w.ts_to IS NULL OR w.ts_to > f.ts) ORDER BY words LIMIT {_CLAIMANTS}""",
        (flow_id,),
    )["words"].to_pylist()
    return End("", claimants=tuple(str(one) for one in claimants)) if claimants else None
