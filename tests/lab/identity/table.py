"""What twenty scenarios showed, as the table of docs/identity.md."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.identity.judge import Score

PAGE = Path(__file__).parents[3] / "docs" / "identity.md"
BEGIN, END = "<!-- scenarios: made by python -m tests.lab.identity --document -->", "<!-- scenarios: end -->"
ORIGINS = {
    "kubernetes": "Kubernetes watch logs, a cluster per tenant",
    "csv": "an inventory as CSV, with networks and exact times",
    "dhcp": "DHCP on the wire",
    "arp": "ARP on the wire (a MAC, no name)",
    "dns": "answers of DNS on the wire",
    "no list": "all but the inventory",
    "all": "**all together**",
}


@dataclass(slots=True)
class Late:
    """What names that came an hour late changed: flows that had to be named anew, and those that were."""

    flows: int = 0
    due: int = 0
    changed: int = 0
    other: int = 0
    """changed without need, or left as they were although they had to change"""


@dataclass(slots=True)
class Shown:
    """The outcome of scenarios."""

    seeds: list[int] = field(default_factory=list)
    workloads: int = 0
    flows: int = 0
    packets: int = 0
    dropped: int = 0
    reused: int = 0
    """workloads that took an address of their network that somebody else had had"""
    scores: dict[str, Score] = field(default_factory=dict)
    late: Late = field(default_factory=Late)

    def add(self, other: Shown) -> None:
        """Another scenario's."""
        self.seeds += other.seeds
        for name in ("workloads", "flows", "packets", "dropped", "reused"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("flows", "due", "changed", "other"):
            setattr(self.late, name, getattr(self.late, name) + getattr(other.late, name))
        for origin, score in other.scores.items():
            self.scores.setdefault(origin, Score()).__iadd__(score)


def _rows(shown: Shown) -> Iterable[str]:
    heads = ("what names", "ends it could name", "named rightly", "said to be ambiguous", "not named", "wrong")
    yield f"| {' | '.join(heads)} | named though nobody was there |"
    yield "|---|---|---|---|---|---|---|"
    for origin, words in ORIGINS.items():
        if origin in shown.scores:
            counts = shown.scores[origin].counts
            told = sum(counts[name] for name in ("right", "ambiguous", "unnamed", "wrong"))
            share = f"{counts['right']:,} ({shown.scores[origin].share:.2%})"
            rest = (counts[name] for name in ("ambiguous", "unnamed", "wrong", "named though nobody held it"))
            yield f"| {words} | {told:,} | {share} | {' | '.join(f'{count:,}' for count in rest)} |"


def text(shown: Shown) -> str:
    """The paragraph and the table."""
    late, seeds = shown.late, shown.seeds
    played = (
        f"{len(seeds)} scenarios (seeds {seeds[0]} to {seeds[-1]}): {shown.workloads:,} workloads, of which {shown.reused:,} "
        f"took an address that another had had; {shown.flows:,} flows in {shown.packets:,} packets, {shown.dropped:,} dropped."
    )
    told = (
        f"Names that came late: of {late.flows:,} flows {late.due:,} had to be named anew, {late.changed:,} were, and "
        f"{late.other:,} were changed without need or left as they were."
    )
    return "\n".join([BEGIN, played, "", *_rows(shown), "", told, END])


def document(shown: Shown) -> None:
    """Write it into docs/identity.md, between its marks."""
    page = PAGE.read_text("utf-8")
    before, mark, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{PAGE} has no place for it: {BEGIN}")
    PAGE.write_text(f"{before}{text(shown)}{after}", "utf-8")
