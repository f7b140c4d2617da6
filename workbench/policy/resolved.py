"""A policy with its members: rules in the order in which they are tried, as sets of addresses and boxes of services."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from workbench.policy import services
from workbench.policy.addresses import AddressSet
from workbench.policy.members import Members, Resolver, nobody
from workbench.policy.model import Policy, Rule
from workbench.policy.naive import in_force, in_order
from workbench.policy.services import Box


@dataclass(frozen=True, slots=True)
class Meant:
    """One rule as of a time. rule_id: `policy/rule`."""

    rule: Rule
    rule_id: str
    src: AddressSet
    dst: AddressSet
    boxes: tuple[Box, ...]

    def key(self) -> tuple[object, ...]:
        """What it does, without its name and priority: two rules of one key judge alike."""
        return self.rule.tier, self.rule.action, self.src, self.dst, self.boxes


@dataclass(frozen=True, slots=True)
class Resolved:
    """rules: those in force, in order. default: the verdict between addresses of `internal` that no rule matches."""

    name: str
    rules: tuple[Meant, ...]
    internal: AddressSet
    default: str


def resolve(policy: Policy, resolver: Resolver = nobody, at: datetime | None = None) -> Resolved:
    """Members and rules as of a time (None: now, with rules of a length of time in force)."""
    members = Members(policy, resolver, at)
    name = policy.metadata.name
    rules = tuple(
        Meant(rule, f"{name}/{rule.name}", members.peers(rule.from_), members.peers(rule.to), boxes_of(rule.services))
        for rule in in_order(policy)
        if in_force(rule, at)
    )
    return Resolved(name, rules, members.internal, policy.defaults.east_west)


def boxes_of(texts: list[str]) -> tuple[Box, ...]:
    """Services as boxes, which may overlap."""
    return tuple(box for text in texts for box in services.parse(text))


def contradictions(resolved: Resolved) -> list[tuple[Meant, Meant]]:
    """Pairs of one tier and priority that overlap and say different things: which of them holds would be a matter of chance."""
    alike: dict[tuple[str, int], list[Meant]] = defaultdict(list)
    for meant in resolved.rules:
        alike[meant.rule.tier, meant.rule.priority].append(meant)
    return [
        (one, other)
        for group in alike.values()
        for i, one in enumerate(group)
        for other in group[i + 1 :]
        if one.rule.action != other.rule.action and _overlap(one, other)
    ]


def _overlap(one: Meant, other: Meant) -> bool:
    """Whether some packet matches both; exact, since rules are products of sets."""
    if not any(all(a[0] <= b[1] and b[0] <= a[1] for a, b in zip(x, y, strict=True)) for x in one.boxes for y in other.boxes):
        return False
    src, dst = one.src & other.src, one.dst & other.dst
    return bool(src.v4() and dst.v4()) or bool(src.v6() and dst.v6())
