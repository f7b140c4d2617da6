"""Who is in a group: its address sets as of a time, through a resolver that knows who held which address when.

Groups become address sets here and nowhere else, so that every engine judges the same members.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from workbench.policy import addresses
from workbench.policy.addresses import AddressSet
from workbench.policy.model import Group, Policy


class Condition(NamedTuple):
    """One condition on a label; operator as in Kubernetes."""

    key: str
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selector:
    """Conditions on a workload that must all hold; an empty part is none. Of namespaces, macs and networks any one will do."""

    labels: tuple[tuple[str, str], ...] = ()
    conditions: tuple[Condition, ...] = ()
    namespaces: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    vnis: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Workload:
    """One end of a flow by what is known of it. network: as in `flows`; labels: key to value."""

    labels: Mapping[str, str]
    namespace: str = ""
    mac: str = ""
    network: str = ""


class Resolver(Protocol):
    """Who held which address when; a time of None is now."""

    def __call__(self, selector: Selector, at: datetime | None) -> AddressSet:
        """The addresses of the workloads that a selector means, at a time."""


def nobody(selector: Selector, at: datetime | None) -> AddressSet:  # noqa: ARG001
    """The resolver where no workload is known: every selector means nobody."""
    return addresses.NONE


def selector_of(group: Group) -> Selector | None:
    """What a group says of workloads; None where it says only addresses and other groups."""
    labels = group.labels
    found = Selector(
        tuple(sorted(labels.matchLabels.items())) if labels else (),
        tuple(Condition(e.key, e.operator, tuple(e.values)) for e in labels.matchExpressions) if labels else (),
        tuple(group.namespace),
        tuple(group.mac),
        tuple(group.network),
        tuple(group.vni),
    )
    return None if found == Selector() else found


def means(selector: Selector, workload: Workload) -> bool:
    """Whether a selector means this workload."""
    labels = workload.labels
    return (
        all(labels.get(key) == value for key, value in selector.labels)
        and all(_holds(condition, labels) for condition in selector.conditions)
        and (not selector.namespaces or workload.namespace in selector.namespaces)
        and (not selector.macs or workload.mac.lower() in selector.macs)
        and (not selector.networks or workload.network in selector.networks)
        and (not selector.vnis or _vni(workload.network) in selector.vnis)
    )


def _holds(condition: Condition, labels: Mapping[str, str]) -> bool:
    value = labels.get(condition.key)
    match condition.operator:
        case "In":
            return value in condition.values
        case "NotIn":  # true as well where the label is absent, as in Kubernetes
            return value not in condition.values
        case "Exists":
            return value is not None
        case _:
            return value is None


def _vni(network: str) -> int | None:
    head = network.split("/")[0]
    return int(head[4:]) if head.startswith("vni:") and head[4:].isdecimal() else None


class Members:
    """The groups of a policy as address sets. Each is made once; a chain of groups may be as long as the policy."""

    def __init__(self, policy: Policy, resolver: Resolver = nobody, at: datetime | None = None) -> None:
        self._policy = policy
        self._ask: Callable[[Selector], AddressSet] = lambda selector: resolver(selector, at)
        self._made: dict[str, AddressSet] = {}
        self.internal = _any_of([addresses.prefix(text) for text in policy.internal]) if policy.internal else addresses.ANY

    def peer(self, word: str) -> AddressSet:
        """The addresses of a group, a reserved word, an address or a prefix."""
        if word not in self._policy.groups:
            return self._plain(word)
        todo = [word]
        while todo:  # members first, without recursion
            name = todo[-1]
            group = self._policy.groups[name]
            missing = [m for m in _named(group) if m in self._policy.groups and m not in self._made]
            if missing:
                todo += missing
                continue
            todo.pop()
            if name not in self._made:
                self._made[name] = self._group(group)
        return self._made[word]

    def peers(self, words: list[str]) -> AddressSet:
        """The addresses of any of them."""
        return self.peer(words[0]) if len(words) == 1 else _any_of([self.peer(word) for word in words])

    def _plain(self, word: str) -> AddressSet:
        if word not in self._made:
            known = {"any": addresses.ANY, "internal": self.internal, "external": self.internal.complement()}
            self._made[word] = known[word] if word in known else addresses.prefix(word)
        return self._made[word]

    def _known(self, word: str) -> AddressSet:
        return self._made[word] if word in self._made else self._plain(word)

    def _group(self, group: Group) -> AddressSet:
        out = addresses.ANY
        if group.cidr:
            out &= _any_of([addresses.prefix(text) for text in group.cidr])
        selector = selector_of(group)
        if selector is not None:
            out &= self._ask(selector)
        if group.union:
            out &= _any_of([self._known(word) for word in group.union])
        for word in group.intersection:
            out &= self._known(word)
        for word in group.except_:
            out -= self._known(word)
        return out


def _named(group: Group) -> list[str]:
    return [*group.union, *group.intersection, *group.except_]


def _any_of(sets: list[AddressSet]) -> AddressSet:
    return addresses.of_ranges(part for one in sets for part in one.ranges)
