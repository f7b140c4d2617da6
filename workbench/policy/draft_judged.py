"""A policy on edges: what it says of each, members as of the flows, so that millions of flows cost no more than their edges.

Exact, since rules speak of neither source ports nor times of day; rules that have ended by now are none.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workbench.policy import addresses, services
from workbench.policy.addresses import V4_FIRST, V4_LAST, AddressSet
from workbench.policy.draft_seen import Edge, Who
from workbench.policy.members import means, members_first, selector_of
from workbench.policy.model import RESERVED, TIERS, Group, Policy, Rule
from workbench.policy.naive import in_force, in_order

#: Verdicts by number.
VERDICTS: Final = ("allow", "deny", "reject", "unmanaged")
ALLOW, DENY, REJECT, UNMANAGED = range(4)

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Judged:
    """One value an edge. verdict: number of VERDICTS; decided: number of the rule in `rules`, -1 where none decided."""

    verdict: NDArray[np.uint8]
    decided: NDArray[np.int32]
    rules: tuple[Rule, ...]

    @property
    def stopped(self) -> Mask:
        """Those that do not get through."""
        out: Mask = (self.verdict == DENY) | (self.verdict == REJECT)
        return out


def judge(policy: Policy, edges: Sequence[Edge], at: datetime | None = None) -> Judged:
    """The verdict on each edge and the rule that decided. at: when rules are in force; default now."""
    moment = at or datetime.now(UTC)
    rules = tuple(rule for rule in in_order(policy) if in_force(rule, moment))
    sides = _Side(policy, [(e.src, e.src_who) for e in edges]), _Side(policy, [(e.dst, e.dst_who) for e in edges])
    proto = np.array([e.proto for e in edges], np.int32)
    port = np.array([e.port for e in edges], np.int32)
    family = sides[0].family == sides[1].family
    verdict = np.full(len(edges), UNMANAGED, np.uint8)
    decided = np.full(len(edges), -1, np.int32)
    open_ = np.ones(len(edges), bool)
    passed = np.full(len(edges), -1, np.int8)  # the tier that a `pass` left
    for n, rule in enumerate(rules):
        tier = TIERS.index(rule.tier)
        match = open_ & (passed != tier) & family & _served(rule, proto, port)
        if not match.any():
            continue
        match &= sides[0].among(rule.from_) & sides[1].among(rule.to)
        if rule.action == "pass":
            passed[match] = tier
            continue
        verdict[match] = VERDICTS.index(rule.action)
        decided[match] = n
        open_ &= ~match
    inside = open_ & sides[0].among(["internal"]) & sides[1].among(["internal"])
    verdict[inside] = VERDICTS.index(policy.defaults.east_west)
    return Judged(verdict, decided, rules)


def _served(rule: Rule, proto: NDArray[np.int32], port: NDArray[np.int32]) -> Mask:
    icmp = (proto == services.ICMP) | (proto == services.ICMP6)
    sport, dport = np.where(icmp, port, 0), np.where(icmp, 0, port)
    out = np.zeros(len(proto), bool)
    for text in rule.services:
        for box in services.parse(text):
            out |= (
                (box.proto[0] <= proto) & (proto <= box.proto[1])
                & (box.sport[0] <= sport) & (sport <= box.sport[1])
                & (box.dport[0] <= dport) & (dport <= box.dport[1])
            )  # fmt: skip
    return out


class _Side:
    """One end of all edges. Membership is worked out once a word, over distinct addresses and workloads."""

    def __init__(self, policy: Policy, ends: Sequence[tuple[int, Who | None]]) -> None:
        self._policy = policy
        self._sorted = sorted({address for address, _ in ends})
        place = {address: n for n, address in enumerate(self._sorted)}
        people = {who: n for n, who in enumerate(dict.fromkeys(who for _, who in ends))}
        self._people = list(people)
        self._at = np.array([place[address] for address, _ in ends], np.int64)
        self._who = np.array([people[who] for _, who in ends], np.int64)
        self._made: dict[str, Mask] = {}
        self.family = self._in(AddressSet(((V4_FIRST, V4_LAST),)))

    def among(self, words: Sequence[str]) -> Mask:
        """Which edges have an end that one of the words means."""
        out = np.zeros(len(self._at), bool)
        for word in words:
            out |= self._mask(word)
        return out

    def _mask(self, word: str) -> Mask:
        groups = self._policy.groups
        for name in members_first(word, groups, self._made):
            self._made[name] = self._group(groups[name]) if name in groups else self._plain(name)
        return self._made[word]

    def _plain(self, word: str) -> Mask:
        if word == "any":
            return np.ones(len(self._at), bool)
        if word in RESERVED:
            internal = self._policy.internal
            inside = self._cidr(internal) if internal else np.ones(len(self._at), bool)
            return inside if word == "internal" else ~inside
        return self._cidr([word])

    def _cidr(self, texts: Sequence[str]) -> Mask:
        return self._in(addresses.of_ranges(r for text in texts for r in addresses.prefix(text).ranges))

    def _in(self, found: AddressSet) -> Mask:
        held = np.zeros(len(self._sorted), bool)
        for first, last in found.ranges:
            held[bisect_left(self._sorted, first) : bisect_right(self._sorted, last)] = True
        out: Mask = held[self._at] if len(self._at) else np.zeros(0, bool)
        return out

    def _group(self, group: Group) -> Mask:
        out = self._cidr(group.cidr) if group.cidr else np.ones(len(self._at), bool)
        selector = selector_of(group)
        if selector is not None:
            known = np.array([who is not None and means(selector, who.workload()) for who in self._people], bool)
            out = out & known[self._who]
        if group.union:
            out = out & np.logical_or.reduce([self._made[word] for word in group.union])
        for word in group.intersection:
            out = out & self._made[word]
        for word in group.except_:
            out = out & ~self._made[word]
        return out
