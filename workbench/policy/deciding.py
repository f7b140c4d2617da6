"""One packet and a resolved policy: which rule decides. For examples and tests; many flows at once are `judging`'s."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.policy import addresses
from workbench.policy.resolved import Meant, Resolved
from workbench.policy.symbolic import Example


@dataclass(frozen=True, slots=True)
class Decided:
    """verdict: as `naive.Judged`; rule: id of the one that decided, '' where none; others: those that match after it."""

    verdict: str
    rule: str
    others: tuple[str, ...] = ()


def decide(resolved: Resolved, packet: Example) -> Decided:
    """The verdict on a packet whose initiator is its source."""
    if (packet.src in addresses.V4) != (packet.dst in addresses.V4):
        matching = []  # no packet has both families
    else:
        matching = [meant for meant in resolved.rules if _matches(meant, packet)]
    passed: set[str] = set()
    for n, meant in enumerate(matching):
        if meant.rule.tier in passed:
            continue
        if meant.rule.action != "pass":
            return Decided(meant.rule.action, meant.rule_id, tuple(m.rule_id for m in matching[n + 1 :]))
        passed.add(meant.rule.tier)
    if packet.src in resolved.internal and packet.dst in resolved.internal:
        return Decided(resolved.default, f"{resolved.name}/default")
    return Decided("unmanaged", "")


def _matches(meant: Meant, packet: Example) -> bool:
    """Cheapest first: most rules are about others."""
    for found, address in ((meant.src, packet.src), (meant.dst, packet.dst)):
        ranges = found.ranges
        if not ranges or not ranges[0][0] <= address <= ranges[-1][1] or address not in found:
            return False
    proto, sport, dport = packet.proto, packet.sport, packet.dport
    return any(
        box.proto[0] <= proto <= box.proto[1] and box.dport[0] <= dport <= box.dport[1] and box.sport[0] <= sport <= box.sport[1]
        for box in meant.boxes
    )
