"""Verdicts by `dd`: what the answers of policy.symbolic are tested against, and sets to work with (policy.diagrams)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from workbench.policy.diagrams import Space
from workbench.policy.model import TIERS
from workbench.policy.resolved import Meant, Resolved
from workbench.policy.services import ANY

#: What some rules after each other do: to the packets that any of them matches, to those that get a verdict that is asked for,
#: and to those that are passed on to the next tier.
_Part = tuple[Any, Any, Any]


def with_verdict(space: Space, resolved: Resolved, verdicts: frozenset[str], rules: Iterable[Meant] | None = None) -> Any:
    """The packets that get one of these verdicts, judged by these rules (all where none are said)."""
    inside = space.product(resolved.internal, resolved.internal, (ANY,))
    after = inside if resolved.default in verdicts else space.nothing
    if "unmanaged" in verdicts:
        after |= space.everything & ~inside
    tiers: dict[str, list[_Part]] = {tier: [] for tier in TIERS}
    for meant in resolved.rules if rules is None else rules:
        matched = space.product(meant.src, meant.dst, meant.boxes)
        action = meant.rule.action
        given = matched if action in verdicts else space.nothing
        tiers[meant.rule.tier].append((matched, given, matched if action == "pass" else space.nothing))
    for tier in reversed(TIERS):
        matched, given, passed = _folded(space, tiers[tier])
        after = given | after & (passed | ~matched)
    return after


def _folded(space: Space, parts: list[_Part]) -> _Part:
    """Neighbours joined until one is left: most steps are between small sets."""
    while len(parts) > 1:
        parts = [_joined(*parts[i : i + 2]) for i in range(0, len(parts), 2)]
    return parts[0] if parts else (space.nothing, space.nothing, space.nothing)


def _joined(one: _Part, other: _Part | None = None) -> _Part:
    if other is None:
        return one
    rest = ~one[0]
    return one[0] | other[0], one[1] | other[1] & rest, one[2] | other[2] & rest
