"""A cut as a policy: its connections denied, everything else as it was, held against history before it is given."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from workbench.policy import addresses
from workbench.policy.draft import Drafted, Wish
from workbench.policy.draft_contain import overlay
from workbench.policy.draft_cut import Cut, reaches
from workbench.policy.draft_judged import judge
from workbench.policy.draft_peers import Peers
from workbench.policy.draft_rules import joined, merged, widened
from workbench.policy.draft_seen import Edge, Evidence, summed
from workbench.policy.draft_text import Groups, Names, evidence_note, rule_name

#: Hosts of a way that are told.
_MOST_TOLD: Final = 12


@dataclass(frozen=True, slots=True)
class Separated:
    """cut: what is denied. holds: whether no way is left under the policy, held against history."""

    drafted: Drafted
    cut: Cut
    holds: bool


def hosts_of(words: Sequence[str], edges: Sequence[Edge]) -> tuple[set[int], list[str]]:
    """The hosts in history that words mean: addresses, prefixes, or workloads by name (`shop/web-*`); and words for nobody."""
    found: set[int] = set()
    nobody: list[str] = []
    ends = {(edge.src, edge.src_who) for edge in edges} | {(edge.dst, edge.dst_who) for edge in edges}
    for word in words:
        try:
            held = addresses.prefix(word)
        except ValueError:
            theirs = {a for a, who in ends if who is not None and _named(word, who.name, who.namespace)}
        else:
            theirs = {a for a, _ in ends if a in held}
        found |= theirs
        if not theirs:
            nobody.append(word)
    return found, nobody


def _named(pattern: str, name: str, namespace: str) -> bool:
    return fnmatchcase(f"{namespace}/{name}" if "/" in pattern else name, pattern)


def separation(
    cut: Cut, edges: Sequence[Edge], sources: Collection[int], targets: Collection[int], wish: Wish, *, expires: str, timed: bool
) -> Separated:
    """The policy that denies a cut."""
    peers = Peers((), addresses.ANY)
    groups, names = Groups(Names()), Names()
    rules: list[dict[str, Any]] = []
    evidence: dict[str, Evidence] = {}
    for product in merged(widened(cut.cut, (), peers, 0), 0):
        name = names.give(f"cut-{rule_name(product)}")
        rules.append(
            {
                "name": name, "tier": "quarantine", "priority": 1000, "action": "deny",
                "from": groups.words(product.src, f"{name}-from"), "to": groups.words(product.dst, f"{name}-to"),
                "services": [service.text() for service in joined(product.services)],
                "existing": "cut", "expires": expires, "log": True,
            }
        )  # fmt: skip
        evidence[name] = summed(product.edges)
        evidence[name].notes = [evidence_note(evidence[name])]
    policy = overlay(wish, rules, groups)
    stopped = judge(policy, edges).stopped
    left = [edge for edge, no in zip(edges, stopped, strict=True) if not no]
    collateral = summed(edge for edge, no in zip(edges, stopped, strict=True) if no)
    notes = [
        f"separates {len(sources):,} from {len(targets):,} hosts: {len(cut.cut):,} connections are cut",
        f"collateral, all of it on these: {evidence_note(collateral).removeprefix('seen: ')}"
        if cut.cut
        else "history shows no way from the ones to the others: there is nothing to cut",
    ]
    if not cut.exact:
        notes.append("ways are followed in time: nothing of the cut is idle, but a smaller one may exist")
    drafted = Drafted(policy, evidence, (), tuple(notes), 0)
    return Separated(drafted, cut, not reaches(left, sources, targets, timed=timed))


def way_text(way: Sequence[Edge]) -> str:
    """A chain of connections in words."""
    steps = [f"{addresses.address_text(edge.src)} to {addresses.address_text(edge.dst)} {edge.service.text()}" for edge in way]
    return ", ".join(steps[:_MOST_TOLD]) + (f" and {len(steps) - _MOST_TOLD} more" if len(steps) > _MOST_TOLD else "")
