"""Who is in a group: its address sets as of a time, through a resolver that knows who held which address when.

Groups become address sets here and nowhere else, so that every engine judges the same members.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from workbench.errors import PolicyError
from workbench.policy import addresses
from workbench.policy.addresses import AddressSet
from workbench.policy.model import Group, Policy

#: Ranges that groups made of other groups may take and make, all together; one to four seconds of work. A chain
#: of unions in which each adds an address would need the square of its length.
MOST_RANGES: Final = 4_000_000
#: The same for ends of rules that list several.
MOST_OF_RULES: Final = 8_000_000


class Condition(NamedTuple):
    """One condition on a label; operator as in Kubernetes."""

    key: str
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selector:
    """Conditions on a workload that must all hold; an empty part is none. Of namespaces, kinds, macs and networks one will do."""

    labels: tuple[tuple[str, str], ...] = ()
    conditions: tuple[Condition, ...] = ()
    namespaces: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    vnis: tuple[int, ...] = ()
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Workload:
    """One end of a flow by what is known of it. network: as in `flows`; kind: as in `workloads`; labels: key to value.

    claimed: whether anybody says who it is. Of an end that nobody claims only the network is known, and no condition on its
    labels holds, not even that one be absent: those are conditions on workloads.
    """

    labels: Mapping[str, str]
    namespace: str = ""
    mac: str = ""
    network: str = ""
    kind: str = ""
    claimed: bool = True


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
        tuple(group.kind),
    )
    return None if found == Selector() else found


def means(selector: Selector, workload: Workload) -> bool:
    """Whether a selector means this workload."""
    labels = workload.labels
    return (
        (workload.claimed or not (selector.labels or selector.conditions or selector.namespaces or selector.kinds))
        and all(labels.get(key) == value for key, value in selector.labels)
        and all(_holds(condition, labels) for condition in selector.conditions)
        and (not selector.namespaces or workload.namespace in selector.namespaces)
        and (not selector.macs or workload.mac.lower() in selector.macs)
        and (not selector.networks or workload.network in selector.networks)
        and (not selector.vnis or _vni(workload.network) in selector.vnis)
        and (not selector.kinds or workload.kind in selector.kinds)
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
        self._joined: dict[tuple[str, ...], AddressSet] = {}
        self._left = MOST_RANGES
        self._left_of_rules = MOST_OF_RULES
        self.internal = _any_of([addresses.prefix(text) for text in policy.internal]) if policy.internal else addresses.ANY

    def peer(self, word: str) -> AddressSet:
        """The addresses of a group, a reserved word, an address or a prefix. PolicyError where there are too many ranges."""
        groups = self._policy.groups
        for name in members_first(word, groups, self._made):
            self._made[name] = self._group(name, groups[name]) if name in groups else self._plain(name)
        return self._made[word]

    def peers(self, words: list[str]) -> AddressSet:
        """The addresses of any of them. Raises as `peer`."""
        if len(words) == 1:
            return self.peer(words[0])
        key = tuple(words)
        if key not in self._joined:
            sets = [self.peer(word) for word in words]
            self._left_of_rules -= sum(len(one.ranges) for one in sets)
            if self._left_of_rules < 0:
                raise PolicyError(
                    f"the ends of the rules are more than {MOST_OF_RULES:,} ranges of addresses, here `{words[0]}` and others",
                    "Give ends that several rules list a group of their own.",
                )
            self._joined[key] = _any_of(sets)
        return self._joined[key]

    def _plain(self, word: str) -> AddressSet:
        known = {"any": addresses.ANY, "internal": self.internal, "external": self.internal.complement()}
        return known[word] if word in known else addresses.prefix(word)

    def _group(self, name: str, group: Group) -> AddressSet:
        out = addresses.ANY
        if group.cidr:
            out &= _any_of([addresses.prefix(text) for text in group.cidr])
        selector = selector_of(group)
        if selector is not None:
            out &= self._ask(selector)
        if group.union:
            sets = [self._made[word] for word in group.union]
            self._spend(name, sum(len(one.ranges) for one in sets))
            out = _any_of(sets) if out is addresses.ANY else out & _any_of(sets)
        for word in group.intersection:
            other = self._made[word]
            self._spend(name, len(out.ranges) + len(other.ranges))
            out &= other
        for word in group.except_:
            other = self._made[word]
            self._spend(name, len(out.ranges) + len(other.ranges))
            out -= other
        return out

    def _spend(self, name: str, ranges: int) -> None:
        """So many more ranges for a group that is made of others."""
        self._left -= ranges
        if self._left < 0:
            raise PolicyError(
                f"group `{name}`: groups made of other groups come to more than {MOST_RANGES:,} ranges of addresses",
                "Name its members once: a chain of groups in which each adds some holds all of them again in every one.",
            )


def members_first(word: str, groups: Mapping[str, Group], made: Container[str]) -> Iterator[str]:
    """The names that a word rests on and itself, as far as they are not in `made`, each behind all that it rests on.

    Whoever iterates puts each into `made` before the next. Without recursion: a chain of groups may be as long as the policy.
    """
    todo = [word]
    while todo:
        name = todo[-1]
        group = groups.get(name)
        missing = [] if group is None else [member for member in _named(group) if member not in made]
        if missing:
            todo += missing
            continue
        todo.pop()
        if name not in made:
            yield name


def _named(group: Group) -> list[str]:
    return [*group.union, *group.intersection, *group.except_]


def _any_of(sets: list[AddressSet]) -> AddressSet:
    return addresses.of_ranges(part for one in sets for part in one.ranges)
