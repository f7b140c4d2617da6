"""Workloads through time: every interval of one uid is one lifeline, whatever addresses it held.

The table `workloads` is small beside the flows: all of it that touches a time range is read and laid out in memory.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workbench.analysis.hosts import Range
from workbench.store.reader import Asks

#: Workloads that are laid out at most, those that appeared last first; each costs some kilobytes.
MOST: Final = 20_000
#: A known life of no more than this many microseconds is a short one: jobs, debug containers, crash loops.
BRIEF: Final = 15 * 60 * 1_000_000
#: Labels of one workload that are kept, and characters of a key or value.
_LABELS: Final = 64
_LONGEST: Final = 300

#: What a cell of a lifeline is: nobody there, there, there with others that claim the address with equal right.
ABSENT, THERE, CONTESTED = 0, 1, 2

#: Names that are told by a manager; those that DNS answered name where somebody wanted to go, not who was there.
NAMED: Final = "name IS NOT NULL AND kind <> 'name'"


@dataclass(frozen=True, slots=True)
class Tenure:
    """One address, held from then until then; microseconds since 1970, None: not known. row: its `workload_id`.

    network: None is any. claimants: above 1 nobody knows who held it.
    """

    row: int
    ip: str
    network: str | None
    mac: str | None
    first: int | None
    last: int | None
    claimants: int
    origin: str
    confidence: float

    def touches(self, start: int, end: int) -> bool:
        """Whether it has a moment in [start, end)."""
        return (self.first is None or self.first < end) and (self.last is None or self.last > start)


@dataclass(frozen=True, slots=True)
class Workload:
    """What a manager calls one thing for ever. tenures: its addresses, in the order of time."""

    uid: str
    name: str | None
    namespace: str | None
    kind: str
    node: str | None
    labels: Mapping[str, str]
    tenures: tuple[Tenure, ...]

    @property
    def words(self) -> str:
        """`namespace/name`, as filters have it; the name, the MAC, the address or the uid where there is no more."""
        if self.name:
            return f"{self.namespace}/{self.name}" if self.namespace else self.name
        held = self.tenures[-1]
        return held.mac or held.ip or self.uid

    @property
    def first(self) -> int | None:
        """When it appeared; None where a tenure has no known beginning."""
        starts = [held.first for held in self.tenures]
        return None if None in starts else min(at for at in starts if at is not None)

    @property
    def last(self) -> int | None:
        """When it vanished; None where a tenure has no known end."""
        ends = [held.last for held in self.tenures]
        return None if None in ends else max(at for at in ends if at is not None)

    @property
    def lifetime(self) -> int | None:
        """Microseconds that it lived; None where that is not known."""
        first, last = self.first, self.last
        return None if first is None or last is None else last - first

    @property
    def brief(self) -> bool:
        """Whether it is known to have lived for minutes only."""
        lifetime = self.lifetime
        return lifetime is not None and lifetime <= BRIEF

    @property
    def contested(self) -> int:
        """The most claimants that any of its addresses had."""
        return max(held.claimants for held in self.tenures)

    def touches(self, start: int, end: int) -> bool:
        """Whether it was there at some moment in [start, end)."""
        return any(held.touches(start, end) for held in self.tenures)

    def value(self, by: str) -> str | None:
        """What it is grouped by: namespace, node, kind, or `label:KEY`; None where it has none."""
        if by.startswith("label:"):
            return self.labels.get(by[6:])
        return {"namespace": self.namespace, "node": self.node, "kind": self.kind}.get(by)


@dataclass(frozen=True, slots=True)
class Living:
    """Workloads that touch a range, with their lifelines over it, and who held each address.

    cells: ABSENT, THERE or CONTESTED, a row for each workload, a column for each bin. total: workloads there are.
    holders: by (network, ip), in the order of time, (workload's number, tenure).
    """

    workloads: tuple[Workload, ...]
    over: Range
    cells: NDArray[np.uint8]
    total: int
    holders: Mapping[tuple[str | None, str], tuple[tuple[int, Tenure], ...]] = field(repr=False)

    def rows(self) -> tuple[list[int], list[int]]:
        """Every `workload_id`, and the number of its workload."""
        ids = [(held.row, n) for n, one in enumerate(self.workloads) for held in one.tenures]
        return [row for row, _ in ids], [n for _, n in ids]

    def label_keys(self) -> list[tuple[str, int]]:
        """Keys of labels, with how many have them, most first."""
        counted: dict[str, int] = defaultdict(int)
        for one in self.workloads:
            for key in one.labels:
                counted[key] += 1
        return sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))


def named(asks: Asks) -> bool:
    """Whether the case knows any workload by name."""
    return bool(asks.query(f"SELECT 1 FROM workloads WHERE {NAMED} LIMIT 1").num_rows)


def living(asks: Asks, over: Range) -> Living:
    """Workloads that were there at some moment of a range. CancelledError when stopped."""
    inside = "(ts_from IS NULL OR ts_from < make_timestamp(?)) AND (ts_to IS NULL OR ts_to > make_timestamp(?))"
    sql = f"""
WITH held AS MATERIALIZED (SELECT *, coalesce(uid, 'row ' || workload_id) AS key FROM workloads WHERE {inside}),
newest AS (SELECT key, max(ts_from) AS appeared FROM held GROUP BY key),
kept AS (SELECT key FROM newest ORDER BY appeared DESC NULLS LAST, key LIMIT {MOST})
SELECT held.*, epoch_us(ts_from) AS first, epoch_us(ts_to) AS last, (SELECT count(*) FROM newest) AS total
FROM held JOIN kept USING (key) ORDER BY key, ts_from NULLS FIRST, workload_id"""
    found = asks.query(sql, (over.end, over.start))
    made = _workloads(found.to_pylist())
    total = int(found["total"][0].as_py()) if found.num_rows else 0
    return Living(made, over, _cells(made, over), total, _holders(made))


def _workloads(rows: Sequence[dict[str, object]]) -> tuple[Workload, ...]:
    by_key: dict[str, list[dict[str, object]]] = defaultdict(list)
    for row in rows:
        by_key[str(row["key"])].append(row)
    return tuple(_workload(key, held) for key, held in by_key.items())


def _workload(key: str, rows: Sequence[dict[str, object]]) -> Workload:
    now = rows[-1]  # what it is called may have changed: the latest counts
    held = tuple(_tenure(row) for row in rows)
    text = {name: None if now[name] is None else str(now[name]) for name in ("name", "namespace", "node")}
    return Workload(
        key, text["name"], text["namespace"], str(now["kind"]), text["node"], labels_of(now["labels"]), held
    )  # fmt: skip


def _tenure(row: Mapping[str, object]) -> Tenure:
    first, last = row["first"], row["last"]
    network, mac = row["network"], row["mac"]
    return Tenure(
        int(str(row["workload_id"])), str(row["ip"]),
        None if network is None else str(network), None if mac is None else str(mac),
        first if isinstance(first, int) else None, last if isinstance(last, int) else None,
        int(str(row["claimants"])), str(row["origin"]), float(str(row["confidence"])),
    )  # fmt: skip


def labels_of(text: object) -> dict[str, str]:
    """Labels out of their JSON, which may be a stranger's: what is no object of text to text is passed over."""
    if not isinstance(text, str) or not text:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    pairs = list(found.items())[:_LABELS]
    return {key[:_LONGEST]: value[:_LONGEST] for key, value in pairs if isinstance(value, str)}


def _cells(workloads: Sequence[Workload], over: Range) -> NDArray[np.uint8]:
    cells = np.zeros((len(workloads), over.bins), np.uint8)
    for n, one in enumerate(workloads):
        for held in one.tenures:
            first, last = cells_of(held.first, held.last, over)
            part = cells[n, first:last]
            np.maximum(part, CONTESTED if held.claimants > 1 else THERE, out=part)
    return cells


def cells_of(first: int | None, last: int | None, over: Range) -> tuple[int, int]:
    """Bins [from, to) that a time within the range touches: never none, so that a life of a second is seen."""
    width = max(1, over.end - over.start)
    begin = 0 if first is None else max(0, min((first - over.start) * over.bins // width, over.bins - 1))
    end = over.bins if last is None else max(0, min(-((over.start - last) * over.bins // width), over.bins))
    return begin, max(begin + 1, end)


def _holders(workloads: Sequence[Workload]) -> dict[tuple[str | None, str], tuple[tuple[int, Tenure], ...]]:
    found: dict[tuple[str | None, str], list[tuple[int, Tenure]]] = defaultdict(list)
    for n, one in enumerate(workloads):
        for held in one.tenures:
            found[held.network, held.ip].append((n, held))
    early = -(2**63)
    return {
        key: tuple(sorted(held, key=lambda pair: (early if pair[1].first is None else pair[1].first, pair[1].row)))
        for key, held in found.items()
    }
