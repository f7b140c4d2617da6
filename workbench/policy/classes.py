"""Recorded ends and services sorted into classes that no rule of a policy tells apart, with the rules that mean each class.

Addresses are alike that lie in the same prefixes of the policy, workloads that the same of its selectors mean. A class is what is
alike in both, so that groups, and sets of groups, are asked once a class and never once a flow.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.policy import addresses
from workbench.policy.addresses import LAST, AddressSet
from workbench.policy.members import Selector, members_first, selector_of
from workbench.policy.model import RESERVED, Group, Policy, Rule
from workbench.policy.recorded import Ends
from workbench.policy.services import ICMP, ICMP6, Box

Bools = NDArray[np.bool_]
Codes = NDArray[np.int32]
Bits = NDArray[np.uint64]

Spans = tuple[NDArray[np.int64], NDArray[np.int64]]

_LOW: Final = (1 << 64) - 1
#: Sets of addresses whose places are remembered; a policy has some thousands.
_MOST_SETS: Final = 100_000


class Places:
    """The distinct addresses of recorded ends in order, unsigned. of: the place of each end's address."""

    def __init__(self, ends: Ends) -> None:
        hi, lo = ends.hi.astype(np.uint64), ends.lo.astype(np.uint64)
        order = np.lexsort((lo, hi))
        new = np.ones(len(order), bool)
        new[1:] = (hi[order][1:] != hi[order][:-1]) | (lo[order][1:] != lo[order][:-1])
        self.hi, self.lo = hi[order][new], lo[order][new]
        self.of = np.empty(len(order), np.int32)
        self.of[order] = np.cumsum(new) - 1
        self._spans: dict[int, tuple[AddressSet, Spans]] = {}

    def __len__(self) -> int:
        return len(self.hi)

    def spans(self, found: AddressSet) -> Spans:
        """The places that a set has: where its ranges begin, and where they are over. Remembered by the set itself."""
        if id(found) not in self._spans:
            if len(self._spans) > _MOST_SETS:
                self._spans.clear()
            edges = self.before([edge for first, last in found.ranges for edge in (first, last + 1)])
            first, after = edges[0::2], edges[1::2]
            held = first < after
            self._spans[id(found)] = found, (first[held], after[held])
        return self._spans[id(found)][1]

    def before(self, edges: Sequence[int]) -> NDArray[np.int64]:
        """How many addresses lie before each edge."""
        hi = np.array([min(edge, LAST) >> 64 for edge in edges], np.uint64)
        lo = np.array([min(edge, LAST) & _LOW for edge in edges], np.uint64)
        first, last = np.searchsorted(self.hi, hi, "left"), np.searchsorted(self.hi, hi, "right")
        out = first.astype(np.int64)
        among = np.flatnonzero(first < last)
        for begin in np.unique(first[among]).tolist():  # one upper half each; all of IPv4 is one
            at = among[first[among] == begin]
            out[at] = begin + np.searchsorted(self.lo[begin : int(last[at[0]])], lo[at], "left")
        out[[n for n, edge in enumerate(edges) if edge > LAST]] = len(self)
        return out


@dataclass(frozen=True, slots=True)
class Side:
    """of: the class of each number; bits, summary: of each class, one bit a rule, and one bit a word of these that is not 0."""

    of: Codes
    bits: Bits
    summary: Bits


class Classes:
    """Classes of ends under a policy, and who its words mean among them."""

    def __init__(
        self, policy: Policy, ends: Ends, places: Places, holders: Callable[[Selector], AddressSet] | None = None
    ) -> None:
        """holders: who selectors mean as addresses of one time; None: whom each end was, as of its flows."""
        self._policy = policy
        prefixes, selectors = _said(policy)
        self._sets = {word: addresses.prefix(word) for word in prefixes}
        self._of = {selector: holders(selector) for selector in selectors} if holders is not None else {}
        self._places = places
        code = _alike(places, [*self._sets.values(), *self._of.values()])
        truths = [] if holders is not None else [ends.people.meant(selector) for selector in selectors]
        signature = _signatures(truths, len(ends.people))
        found, self.of = _numbered(code[places.of] * (int(signature.max(initial=0)) + 1) + signature[ends.who])
        example = np.zeros(len(found), np.int64)
        example[self.of] = np.arange(len(self.of))
        self._example = places.of[example]
        who = ends.who[example]
        self._meant = {selector: truth[who] for selector, truth in zip(selectors, truths, strict=False)}
        self._made: dict[str, Bools] = {}
        self._sides: dict[tuple[str, ...], Bools] = {}
        self.internal = self._any(policy.internal) if policy.internal else np.ones(len(found), bool)

    def __len__(self) -> int:
        return len(self._example)

    def matrix(self, sides: Sequence[Sequence[str]]) -> Side:
        """Which rules mean each class, by what each rule says of one side."""
        known = self._sides
        rows = np.empty((len(sides), len(self)), bool)
        for n, words in enumerate(sides):
            key = tuple(words)
            if key not in known:
                known[key] = self._any(words)
            rows[n] = known[key]
        return Side(self.of, *packed(rows))

    def peer(self, word: str) -> Bools:
        """Which classes a group, a reserved word, an address or a prefix means."""
        groups = self._policy.groups
        for name in members_first(word, groups, self._made):
            self._made[name] = self._group(groups[name]) if name in groups else self._plain(name)
        return self._made[word]

    def _any(self, words: Iterable[str]) -> Bools:
        out = np.zeros(len(self), bool)
        for word in words:
            out |= self.peer(word)
        return out

    def _plain(self, word: str) -> Bools:
        if word == "any":
            return np.ones(len(self), bool)
        if word in RESERVED:
            return self.internal if word == "internal" else ~self.internal
        return self._within(self._sets[word])

    def _within(self, found: AddressSet) -> Bools:
        first, after = self._places.spans(found)
        if len(first) < 2:
            one = (int(first[0]), int(after[0])) if len(first) else (0, 0)
            return (self._example >= one[0]) & (self._example < one[1])
        at = np.searchsorted(first, self._example, "right") - 1
        return (at >= 0) & (self._example < after[at])

    def _group(self, group: Group) -> Bools:
        out = self._any(group.cidr) if group.cidr else np.ones(len(self), bool)
        selector = selector_of(group)
        if selector is not None:
            out &= self._within(self._of[selector]) if selector in self._of else self._meant[selector]
        if group.union:
            out &= self._any(group.union)
        for word in group.intersection:
            out &= self.peer(word)
        for word in group.except_:
            out &= ~self.peer(word)
        return out


def _alike(places: Places, sets: Sequence[AddressSet]) -> NDArray[np.int64]:
    """A number for each place: those that lie in the same of these sets have the same.

    A set has 128 random bits, a place the sum (exclusive or) of those of its sets; that two sums meet by chance is left out of
    account. Only where a set begins or ends a sum changes, so that as many are sorted as there are ends of sets.
    """
    spans = [places.spans(one) for one in sets]
    edges = np.concatenate([np.empty(0, np.int64), *(part for span in spans for part in span)])
    counts = [len(first) * 2 for first, _ in spans]
    marks = np.frombuffer(secrets.token_bytes(16 * len(sets)), np.uint64).reshape(-1, 2).repeat(counts, axis=0)
    steps = np.zeros((len(places) + 1, 2), np.uint64)
    for n in range(2):
        np.bitwise_xor.at(steps[:, n], edges, marks[:, n])
    steps = steps[: len(places)]
    changes = (steps != 0).any(axis=1)
    changes[:1] = True
    runs = np.bitwise_xor.accumulate(steps[changes], axis=0)
    codes = [np.unique(runs[:, n], return_inverse=True)[1].astype(np.int64) for n in range(2)]
    code = np.unique(codes[0] * (len(runs) + 1) + codes[1], return_inverse=True)[1].astype(np.int64)
    found: NDArray[np.int64] = code[np.cumsum(changes) - 1]
    return found


def services_side(rules: Sequence[Sequence[Box]], asked: NDArray[np.int64]) -> Side:
    """Classes of services. asked: distinct protocol << 16 | port or ICMP type, in order."""
    spans = [[span for box in boxes for span in _spans(box)] for boxes in rules]
    edges = np.unique(np.array([edge for some in spans for first, last in some for edge in (first, last + 1)], np.int64))
    found, of = _numbered(np.searchsorted(edges, asked, "right"))
    starts = np.zeros(len(found), np.int64)
    starts[of] = asked
    rows = np.zeros((len(rules), len(found)), bool)
    for n, some in enumerate(spans):
        for first, last in some:
            rows[n, np.searchsorted(starts, first) : np.searchsorted(starts, last, "right")] = True
    return Side(of, *packed(rows))


def _spans(box: Box) -> list[tuple[int, int]]:
    """A box in numbers as `services_side` has them. Of ICMP the source port is the type."""
    if box.proto == (0, 255) and box.sport == box.dport == (0, 65535):
        return [(0, (256 << 16) - 1)]
    protos = range(box.proto[0], box.proto[1] + 1)
    ports = {proto: box.sport if proto in (ICMP, ICMP6) else box.dport for proto in protos}
    return [(proto << 16 | first, proto << 16 | last) for proto, (first, last) in ports.items()]


def packed(rows: Bools) -> tuple[Bits, Bits]:
    """Of each column its rows as bits, in words of 64, and which words are not 0."""
    bits = _bits(rows)
    return bits, _bits(bits.T != 0)


def _bits(rows: Any) -> Bits:
    count, columns = rows.shape
    words = max(1, -(-count // 64))
    packed_rows = np.zeros((words * 8, columns), np.uint8)
    some = np.packbits(rows, axis=0, bitorder="little")
    packed_rows[: len(some)] = some
    return np.ascontiguousarray(packed_rows.T).view(np.uint64)


def _said(policy: Policy) -> tuple[list[str], list[Selector]]:
    """Prefixes and selectors that rules mean, `internal` included; groups that no rule names do not count."""
    todo = [word for rule in policy.rules for word in (*rule.from_, *rule.to)]
    seen: set[str] = set(policy.internal)
    selectors: dict[Selector, None] = {}
    while todo:
        word = todo.pop()
        if word in seen:
            continue
        seen.add(word)
        group = policy.groups.get(word)
        if group is not None:
            todo += [*group.union, *group.intersection, *group.except_, *group.cidr]
            if (selector := selector_of(group)) is not None:
                selectors[selector] = None
    return [word for word in seen if word not in policy.groups and word not in RESERVED], list(selectors)


def selectors_of(policy: Policy) -> list[Selector]:
    """What the rules of a policy say of workloads."""
    return _said(policy)[1]


def rules_in_order(rules: Sequence[Rule]) -> tuple[list[list[str]], list[list[str]]]:
    """What each says of the originator and of the responder."""
    return [rule.from_ for rule in rules], [rule.to for rule in rules]


def _signatures(truths: Sequence[Bools], count: int) -> NDArray[np.int64]:
    """A number for every different row of truths."""
    out = np.zeros(count, np.int64)
    for begin in range(0, len(truths), 32):
        part = np.zeros(count, np.int64)
        for n, truth in enumerate(truths[begin : begin + 32]):
            part |= truth.astype(np.int64) << n
        out = np.unique(out * (1 << 32) + part, return_inverse=True)[1].astype(np.int64)
    return out


def _numbered(key: NDArray[np.int64]) -> tuple[NDArray[np.int64], Codes]:
    """The distinct keys in order and the number of each; without sorting where they are small."""
    top = int(key.max(initial=-1)) + 1
    if top <= 4 * len(key) + 65536:
        there = np.zeros(top, bool)
        there[key] = True
        found = np.flatnonzero(there)
        number = np.cumsum(there, dtype=np.int32) - np.int32(1)
        return found, number[key]
    found, of = np.unique(key, return_inverse=True)
    return found, of.astype(np.int32)
