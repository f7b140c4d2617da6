"""Addresses that several workloads claim with equal right, not all of which a group means: whether they are in it is a guess.

A push takes no guesses: such an address is in no group by its workload. Of a group that is allowed this lets too little through,
of one that is denied, or left out of another (`except`), too much. So it is told, and refused where it would be pushed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from workbench.policy import addresses
from workbench.policy.addresses import AddressSet
from workbench.policy.members import Resolver, Selector, nobody, selector_of
from workbench.policy.model import Policy

#: Addresses that are told by themselves.
_MOST: Final = 5


@dataclass(frozen=True, slots=True)
class Held:
    """A resolver of who surely held which address, that tells beside it which addresses may be of a selector's workloads.

    at: when everything is asked as of, whatever time is asked for; None: as asked.
    """

    sure: Resolver
    contested: Resolver
    at: datetime | None = None

    def __call__(self, selector: Selector, at: datetime | None) -> AddressSet:
        """The addresses that only workloads which a selector means hold."""
        return self.sure(selector, self.at or at)


def contested_by(resolver: Resolver, selector: Selector, at: datetime | None) -> AddressSet:
    """Addresses of which a resolver can't tell whether a selector means them; none where it knows of no such thing."""
    return resolver.contested(selector, resolver.at or at) if isinstance(resolver, Held) else nobody(selector, at)


def contested_groups(policy: Policy, resolver: Resolver, at: datetime | None) -> Iterator[tuple[str, AddressSet]]:
    """Groups that rules mean, through others too, with the addresses of which it can't be told whether they are in."""
    todo = [word for rule in policy.rules for word in (*rule.from_, *rule.to)]
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        group = policy.groups.get(name)
        if group is None or name in seen:
            continue
        seen.add(name)
        todo += (*group.union, *group.intersection, *group.except_)
        selector = selector_of(group)
        found = addresses.NONE if selector is None else contested_by(resolver, selector, at)
        if found and group.cidr:
            found = found & addresses.of_ranges(part for text in group.cidr for part in addresses.prefix(text).ranges)
        if found:
            yield name, found


def contested_words(found: AddressSet) -> str:
    """What is wrong, for people."""
    texts = found.texts()
    more = f" and {len(texts) - _MOST:,} more" if len(texts) > _MOST else ""
    return f"several claim {', '.join(texts[:_MOST])}{more}, not all of it: a push leaves them out, also where that is denied"


def contested_lines(policy: Policy, resolver: Resolver, at: datetime | None) -> list[str]:
    """A line for each such group, by name."""
    return sorted(f"group `{name}`: {contested_words(found)}" for name, found in contested_groups(policy, resolver, at))
