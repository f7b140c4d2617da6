"""A policy under the eyes of `lint`: what its checks share, made once, and how they tell what they find."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

from workbench.policy import addresses
from workbench.policy.addresses import AddressSet
from workbench.policy.contested import contested_groups
from workbench.policy.loader import Loaded
from workbench.policy.members import Members, Resolver, nobody, selector_of
from workbench.policy.model import Policy
from workbench.policy.resolved import Resolved, resolve
from workbench.policy.stand_ins import StandIns, everybody

#: From the worst.
SEVERITIES: Final = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at. code: stable, for scripts; rule: the name of the rule, group or test, '' where of none."""

    severity: str
    code: str
    message: str
    file: str
    line: int
    rule: str = ""


class Linted:
    """A policy as of a time. known: whether a case says who is in its groups."""

    def __init__(self, loaded: Loaded, resolver: Resolver | None, at: datetime) -> None:
        self.loaded: Final = loaded
        self.policy: Final[Policy] = loaded.policy
        self.known: Final = resolver is not None and resolver is not nobody
        self.at: Final = at
        self._base: Final[Resolver] = resolver or nobody
        self._rules = {rule.name: n for n, rule in enumerate(loaded.policy.rules)}

    @cached_property
    def members(self) -> Members:
        """Those that are known, and nobody else."""
        return Members(self.policy, self._base, self.at)

    def contested(self) -> Iterator[tuple[str, AddressSet]]:
        """Groups of rules with addresses of which it can't be told whether they are in."""
        return contested_groups(self.policy, self._base, self.at)

    @cached_property
    def _stand_ins(self) -> StandIns:
        return StandIns([self.policy], self._base)

    @property
    def called(self) -> dict[int, str]:
        """Addresses of `standing` and `resolved` that stand for workloads, and what to call them."""
        return self._stand_ins.called()

    @cached_property
    def standing(self) -> Members:
        """Those that are known, and whoever stands in for the rest."""
        return Members(self.policy, self._stand_ins, self.at)

    @cached_property
    def resolved(self) -> Resolved:
        """As the standing members have it: each thought-up workload meets one selector."""
        return resolve(self.policy, self._stand_ins, self.at)

    @cached_property
    def together(self) -> Resolved:
        """The same, where workloads meet two selectors at once as well: what is covered here is covered anywhere."""
        return resolve(self.policy, StandIns([self.policy], self._base, together=True), self.at)

    @cached_property
    def _widest(self) -> Members:
        return Members(self.policy, everybody, self.at)

    def never_anybody(self, words: Iterable[str]) -> bool:
        """Whether these peers can mean nobody, whoever there is."""
        listed = list(words)
        return not self._widest.peers(listed) and not self.standing.peers(listed)

    @cached_property
    def selecting(self) -> frozenset[str]:
        """Groups whose members depend on what workloads are called or labelled, through others too."""
        out: set[str] = set()
        groups = self.policy.groups
        users: dict[str, list[str]] = {}
        for name, group in groups.items():
            for word in (*group.union, *group.intersection, *group.except_):
                users.setdefault(word, []).append(name)
        todo = [name for name, group in groups.items() if selector_of(group) is not None]
        while todo:
            if (name := todo.pop()) not in out:
                out.add(name)
                todo += users.get(name, ())
        return frozenset(out)

    @cached_property
    def used(self) -> frozenset[str]:
        """Groups that rules mean, through others too."""
        todo = [word for rule in self.policy.rules for word in (*rule.from_, *rule.to)]
        out: set[str] = set()
        while todo:
            if (name := todo.pop()) in self.policy.groups and name not in out:
                out.add(name)
                group = self.policy.groups[name]
                todo += (*group.union, *group.intersection, *group.except_)
        return frozenset(out)

    def is_known(self, name: str) -> bool:
        """Whether who is in a group can be told."""
        return self.known or name not in self.selecting

    def families(self) -> tuple[tuple[str, AddressSet], ...]:
        """The families that `internal` has, by name."""
        inside = self.members.internal
        return tuple((name, family) for name, family in (("IPv4", addresses.V4), ("IPv6", addresses.V6)) if inside & family)

    def at_rule(self, name: str, severity: str, code: str, message: str, key: str = "name") -> Finding:
        """A finding at a key of a rule."""
        return Finding(severity, code, message, *self.loaded.where("rules", self._rules[name], key), name)

    def at_group(self, name: str, severity: str, code: str, message: str) -> Finding:
        """A finding at a group."""
        return Finding(severity, code, message, *self.loaded.where("groups", name), name)

    def at_test(self, place: int, severity: str, code: str, message: str) -> Finding:
        """A finding at a test."""
        return Finding(severity, code, message, *self.loaded.where("tests", place), self.policy.tests[place].name)

    def at_key(self, key: str, severity: str, code: str, message: str) -> Finding:
        """A finding at a key of the policy."""
        return Finding(severity, code, message, *self.loaded.where(key))
