"""A policy with its members: rules in the order in which they are tried, as sets of addresses and boxes of services."""

from __future__ import annotations

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
    """Members and rules as of a time (None: now; rules of a length of time are in force)."""
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
