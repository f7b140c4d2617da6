"""How much of the traffic a case saw, for answers that rest on its flows: whether they may be called safe.

DESIGN section 7: the word is refused below 95 % of packets seen, with any unknown drop, or with sampling above 1:1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from workbench.workflows.requests import NAMES_ONLY

if TYPE_CHECKING:
    from workbench.store.reader import Asks

#: Share of packets that must have been seen and decoded.
LEAST: Final = 0.95

#: Undecoded packets without IP, which no policy is about.
_NO_IP: Final = ("ethertype", "llc", "pppoe_control", "ppp_protocol", "link_control")
#: What was not seen and leaves nothing out of flows: packets' ends, our own connection.
_HARMLESS: Final = ("snaplen", "own_connection", "dropped", "interface_dropped", "sampled", "evidence_failed")

_SOURCES: Final = """SELECT count(*) AS sources, coalesce(sum(packets), 0)::BIGINT AS packets,
coalesce(sum(dropped), 0)::BIGINT AS dropped, count(*) FILTER (dropped IS NULL) AS silent,
count(*) FILTER (state = 'indexing') AS indexing
FROM sources WHERE NOT list_contains(?::VARCHAR[], kind) AND state <> 'refused'"""
_LEDGER: Final = """SELECT reason, kind, coalesce(sum(count), 0)::BIGINT AS n FROM ledger WHERE kind IN ('undecoded', 'unseen')
GROUP BY ALL ORDER BY n DESC, reason"""
_SAMPLING: Final = "SELECT coalesce(max(sampling), 1)::BIGINT AS n FROM flows"


@dataclass(frozen=True, slots=True)
class Coverage:
    """Sums over the sources of a case. silent: sources that do not say what was dropped; indexing: those not read to their end.

    dropped: packets, at the capturing side and its interfaces. undecoded: packets with IP, or that may have had it.
    unseen: (reason, count) of the ledger, of what else is missing from flows. sampling: 1 in so many.
    """

    sources: int
    packets: int
    dropped: int
    silent: int
    indexing: int
    undecoded: int
    unseen: tuple[tuple[str, int], ...]
    sampling: int

    @property
    def share(self) -> float:
        """The share of packets that are in flows, of all that are known of; 0 where there are none."""
        known = self.packets + self.dropped
        return max(0, self.packets - self.undecoded) / known if known else 0.0

    def why_not_safe(self) -> list[str]:
        """Why nothing that rests on these flows may be called safe; empty where it may."""
        out = []
        if not self.packets:
            out.append("no packets were counted")
        elif self.share < LEAST:
            out.append(f"{100 * self.share:.1f} % of packets seen, less than {100 * LEAST:.0f} %")
        if self.silent:
            out.append("drops unknown")
        if self.sampling > 1:
            out.append(f"sampling 1:{self.sampling}")
        if self.indexing:
            out.append("still being indexed")
        out += [reason.replace("_", " ") for reason, _ in self.unseen]
        return out

    def line(self) -> str:
        """What was seen, for people."""
        drops = f"{self.dropped:,} dropped" if self.silent < self.sources else ""
        unknown = f"drops unknown of {self.silent:,} of {self.sources:,} sources" if self.silent else ""
        missing = ", ".join(f"{reason.replace('_', ' ')} {count:,}".removesuffix(" 0") for reason, count in self.unseen)
        sources = "1 source" if self.sources == 1 else f"{self.sources:,} sources"
        said = [f"{self.packets:,} packets of {sources}", drops, unknown, f"sampling 1:{self.sampling}"]
        said += [f"{self.undecoded:,} undecoded", f"unseen: {missing}" if missing else ""]
        return "coverage: " + ", ".join(filter(None, said))


def coverage_of(case: Asks) -> Coverage:
    """What a case saw. CancelledError when stopped."""
    sums = case.query(_SOURCES, [list(NAMES_ONLY)]).to_pylist()[0]
    ledger = case.query(_LEDGER).to_pylist()
    undecoded = sum(line["n"] for line in ledger if line["kind"] == "undecoded" and line["reason"] not in _NO_IP)
    unseen = [(line["reason"], line["n"]) for line in ledger if line["kind"] == "unseen" and line["reason"] not in _HARMLESS]
    interfaces = sum(line["n"] for line in ledger if line["reason"] == "interface_dropped")
    sampled = int(any(line["reason"] == "sampled" for line in ledger)) + 1
    sampling = max(sampled, int(case.query(_SAMPLING)["n"][0].as_py()))
    return Coverage(
        int(sums["sources"]), int(sums["packets"]), int(sums["dropped"]) + interfaces, int(sums["silent"]), int(sums["indexing"]),
        undecoded, tuple(unseen), sampling,
    )  # fmt: skip
