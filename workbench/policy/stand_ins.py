"""Workloads that stand in where nobody is known, so that what a policy says of labels can be judged without a case.

For every selector of a policy one workload is thought up that has what the selector asks for and nothing more, with an address of
each family inside `internal` that no prefix of the policy names. A selector then means every one of them that has what it asks.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice, product
from typing import Final

from workbench.policy import addresses
from workbench.policy.addresses import AddressSet
from workbench.policy.members import Resolver, Selector, Workload, means, nobody, selector_of
from workbench.policy.model import RESERVED, Policy

#: Workloads that are thought up at most; a policy of more selectors is judged by as many.
MOST: Final = 4096
#: Ways to meet one selector that are tried (one of several namespaces, one of several values).
_WAYS: Final = 8


class StandIns:
    """A resolver: who is known (`base`), else who stands in, the same for all of these policies.

    together: also workloads that meet two selectors at once, as real ones may; without, each is of one selector.
    used: the selectors that nobody known met.
    """

    def __init__(self, policies: Sequence[Policy], base: Resolver = nobody, *, together: bool = False) -> None:
        self._base = base
        self.used: set[Selector] = set()
        self._made: dict[Selector, AddressSet] = {}
        workloads = list(dict.fromkeys(map(_frozen, _thought_up(policies, together=together))))[:MOST]
        places = _places(policies, len(workloads))
        self._workloads = [(_thawed(one), place) for one, place in zip(workloads, places, strict=True)]

    def __call__(self, selector: Selector, at: datetime | None) -> AddressSet:
        """The addresses that a selector means at a time."""
        known = self._base(selector, at)
        if known:
            return known
        self.used.add(selector)
        if selector not in self._made:
            found = (place for workload, place in self._workloads if means(selector, workload))
            self._made[selector] = addresses.of_ranges(part for place in found for part in place.ranges)
        return self._made[selector]

    def called(self) -> dict[int, str]:
        """What each address that stands in stands for; those of selectors that are known are left out."""
        used = addresses.of_ranges(part for selector in self.used for part in self(selector, None).ranges)
        return {first: _described(workload) for workload, place in self._workloads for first, _ in place.ranges if first in used}


def unknown_groups(policy: Policy, words: Iterable[str], used: Container[Selector]) -> list[str]:
    """The groups behind these words of which nobody is known, in order of their names."""
    todo = list(words)
    seen = set(todo)
    out = []
    while todo:
        group = policy.groups.get(name := todo.pop())
        if group is None:
            continue
        if selector_of(group) in used:
            out.append(name)
        more = {*group.union, *group.intersection, *group.except_} - seen
        seen |= more
        todo += more
    return sorted(out)


def _described(workload: Workload) -> str:
    labels = [f"{key}={value}" if value else key for key, value in sorted(workload.labels.items())]
    rest = (("namespace", workload.namespace), ("kind", workload.kind), ("mac", workload.mac), ("network", workload.network))
    return " ".join(labels + [f"{key} {value}" for key, value in rest if value]) or "unlabelled"


def everybody(selector: Selector, at: datetime | None) -> AddressSet:  # noqa: ARG001
    """The resolver that can leave nobody out: what is empty with it is empty whoever there is."""
    return addresses.ANY


_Frozen = tuple[tuple[tuple[str, str], ...], str, str, str, str]


def _frozen(workload: Workload) -> _Frozen:
    return tuple(sorted(workload.labels.items())), workload.namespace, workload.mac, workload.network, workload.kind


def _thawed(one: _Frozen) -> Workload:
    return Workload(dict(one[0]), *one[1:])


def _thought_up(policies: Sequence[Policy], *, together: bool) -> Iterator[Workload]:
    groups = (group for policy in policies for group in policy.groups.values())
    selectors = list(dict.fromkeys(filter(None, map(selector_of, groups))))
    singles = [workload for selector in selectors for workload in _meeting(selector)]
    yield from singles
    if not together:
        return
    denied = {(c.key, value) for s in selectors for c in s.conditions for value in _denied_values(c.operator, c.values)}
    singles += [Workload({key: value}) for key, value in sorted(denied)]
    for n, one in enumerate(singles):
        for other in singles[n + 1 :]:
            if both := _both(one, other):
                yield both


def _denied_values(operator: str, values: tuple[str, ...]) -> tuple[str, ...]:
    return values if operator == "NotIn" else ("",) if operator == "DoesNotExist" else ()


def _meeting(selector: Selector) -> Iterator[Workload]:
    """Workloads with what a selector asks for and nothing more, a way to meet it each."""
    wanted = [c for c in selector.conditions if c.operator in ("In", "Exists")]
    values = [c.values if c.operator == "In" else ("",) for c in wanted]
    networks = selector.networks or tuple(f"vni:{vni}" for vni in selector.vnis) or ("",)
    ways = product(selector.namespaces or ("",), selector.macs or ("",), networks, selector.kinds or ("",), *values)
    for namespace, mac, network, kind, *chosen in islice(ways, _WAYS):
        labels = {**{c.key: value for c, value in zip(wanted, chosen, strict=True)}, **dict(selector.labels)}
        workload = Workload(labels, namespace, mac, network, kind)
        if means(selector, workload):
            yield workload


def _both(one: Workload, other: Workload) -> Workload | None:
    """A workload with all that two have; None where they contradict each other."""
    pairs = [(getattr(one, key), getattr(other, key)) for key in ("namespace", "mac", "network", "kind")]
    if any(mine and theirs and mine != theirs for mine, theirs in pairs):
        return None
    if any(other.labels.get(key, value) != value for key, value in one.labels.items()):
        return None
    return Workload({**one.labels, **other.labels}, *(mine or theirs for mine, theirs in pairs))


def _places(policies: Sequence[Policy], count: int) -> list[AddressSet]:
    """An address of each family for each workload; where there are fewer, some share theirs."""
    internal = addresses.ANY
    for policy in policies:
        internal = internal & _any_of(policy.internal) if policy.internal else internal
    texts = {text for policy in policies for text in _prefixes(policy)}
    families = []
    for inside, family in ((internal.v4(), addresses.V4), (internal.v6(), addresses.V6)):
        named = [found for text in texts if (found := addresses.prefix(text) & family) and (inside - found)]
        free = inside - addresses.of_ranges(part for found in named for part in found.ranges)
        families.append(list(islice(_from_the_end(free or inside), count)))
    out = []
    for n in range(count):
        chosen = [family[n % len(family)] for family in families if family]
        out.append(addresses.of_ranges((address, address) for address in chosen))
    return out


def _prefixes(policy: Policy) -> Iterator[str]:
    """Every prefix that the policy names as an end."""
    for group in policy.groups.values():
        yield from group.cidr
    words = [word for rule in policy.rules for word in (*rule.from_, *rule.to)]
    words += [word for test in policy.tests for word in (test.from_, test.to)]
    words += [word for group in policy.groups.values() for word in (*group.union, *group.intersection, *group.except_)]
    yield from (word for word in dict.fromkeys(words) if word not in policy.groups and word not in RESERVED)


def _any_of(texts: list[str]) -> AddressSet:
    return addresses.of_ranges(part for text in texts for part in addresses.prefix(text).ranges)


def _from_the_end(found: AddressSet) -> Iterator[int]:
    """Addresses of a set, from the last but one of its last range: where nobody lives by habit."""
    for first, last in reversed(found.ranges):
        yield from range(max(first, last - 1), first - 1, -1)
