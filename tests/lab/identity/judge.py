"""How well flows were named, end by end, against who really held the address in that network when the flow began."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.identity.world import DOMAIN, Held
from workbench.store.reader import CaseReader

ASKED = """
SELECT f.flow_id, f.network, epoch_us(f.ts) AS ts, f.proto, {side}_ip AS ip, {side}_mac AS mac, {side}_port AS port,
       i.{side}_claimants AS claimants, w.uid, w.name, w.mac AS named_mac
FROM flows f LEFT JOIN flow_identity i USING (flow_id) LEFT JOIN workloads w ON w.workload_id = i.{side}_wid
ORDER BY f.flow_id
"""
TELLS = {
    "kubernetes": lambda held: held.kind == "pod" and held.tenant != "plain",
    "csv": lambda held: True,
    "dhcp": lambda held: held.kind == "pod" and held.tenant == "plain" and ":" not in held.ip,
    "arp": lambda held: ":" not in held.ip,
    "dns": lambda held: False,
    "no list": lambda held: held.kind == "pod" and (held.tenant != "plain" or ":" not in held.ip),
    "all": lambda held: True,
}
"""whom an origin could tell of; of names asked for nobody can say beforehand"""


class Truth:
    """Who held what when."""

    def __init__(self, held: Iterable[Held]) -> None:
        self.rows: dict[tuple[str, str], list[Held]] = {}
        for one in sorted(held, key=lambda row: row.begin):
            self.rows.setdefault((one.network, one.ip), []).append(one)
        self.begins = {key: [row.begin for row in rows] for key, rows in self.rows.items()}

    def at(self, network: str, ip: str, ts: int) -> Held | None:
        """The holder at that microsecond."""
        rows = self.rows.get((network, ip))
        if not rows:
            return None
        found = rows[bisect_right(self.begins[network, ip], ts) - 1]
        return found if found.begin <= ts and (found.end is None or ts < found.end) else None


@dataclass(slots=True)
class Score:
    """Ends of flows, by how they were named."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[dict[str, Any]] = field(default_factory=list)
    """the ends that were: what was asked, what was said, who it was"""

    def __iadd__(self, other: Score) -> Score:
        self.counts += other.counts
        self.wrong += other.wrong
        return self

    @property
    def share(self) -> float:
        """Of the ends that the origin could tell of, those named rightly: 0 to 1."""
        told = sum(self.counts[name] for name in ("right", "ambiguous", "unnamed", "wrong"))
        return self.counts["right"] / told if told else 1.0


def _is(row: dict[str, Any], held: Held) -> bool:
    """Whether what was said is who it was: by uid, by name, by a name of DNS; without a name by the MAC."""
    if row["uid"] == held.uid or row["name"] in (held.name, f"{held.name}.{DOMAIN}"):
        return True
    return row["name"] is None and row["named_mac"] == held.mac


def _verdict(row: dict[str, Any], held: Held | None, told: bool) -> str:
    claimants = row["claimants"] or 0
    if held is None:
        if row["proto"] == 17 and row["port"] in (67, 68):
            return "dhcp"  # offered before it was taken
        return "nobody" if not claimants else "named though nobody held it"
    if claimants > 1:
        return "ambiguous"
    if not claimants:
        return "unnamed" if told else "untold"
    return "right" if _is(row, held) else "wrong"


def score(case: Path, truth: Truth, origin: str) -> Score:
    """Both ends of every flow of a case whose claims are of ``origin``, or 'all'."""
    made = Score()
    with CaseReader(case) as reader:
        for side in ("src", "dst"):
            for row in reader.query(ASKED.format(side=side)).to_pylist():
                held = truth.at(row["network"], row["ip"], row["ts"])
                verdict = _verdict(row, held, held is not None and TELLS[origin](held))
                made.counts[verdict] += 1
                if held is not None and side == "src" and held.mac != row["mac"]:
                    made.counts["the truth is in doubt"] += 1
                if verdict in ("wrong", "named though nobody held it"):
                    made.wrong.append({**row, "side": side, "verdict": verdict, "was": held})
    return made


def named(case: Path) -> dict[int, tuple[Any, ...]]:
    """What is said of each flow, in words that don't change with how rows are numbered."""
    sides = ", ".join(f"{side}_claimants, {side}.uid, {side}.name" for side in ("src", "dst"))
    joins = " ".join(f"LEFT JOIN workloads {side} ON {side}.workload_id = i.{side}_wid" for side in ("src", "dst"))
    with CaseReader(case) as reader:
        rows = reader.query(f"SELECT flow_id, ambiguous, {sides} FROM flow_identity i {joins}").to_pylist()
    return {row["flow_id"]: tuple(row.values())[1:] for row in rows}
