"""Sets of packets of one address family as decision diagrams, in the order proto, dst, dport, src, sport.

`dd` does the work: CUDD where its wheel has it, else Python (`dd.autoref`), with the same answers some twenty times slower.
Counts are made here, since the library's are floating-point numbers.
"""

from __future__ import annotations

from typing import Any, Final

from workbench.policy.addresses import V4_FIRST, AddressSet
from workbench.policy.services import Box

try:
    from dd import cudd as _engine
except ImportError:  # no wheel with CUDD for this machine
    from dd import autoref as _engine

Ranges = tuple[tuple[int, int], ...]
#: proto, dst, dport, src, sport, as ranges.
Product = tuple[Ranges, Ranges, Ranges, Ranges, Ranges]
_PROTO, _DST, _DPORT, _SRC, _SPORT = range(5)


class Space:
    """All packets of a family, and sets of them. wide: bits of an address. A set is a function of `dd`: &, |, ~, ==."""

    def __init__(self, wide: int) -> None:
        self.wide: Final = wide
        self.widths: Final = (8, wide, 16, wide, 16)
        self.bdd: Any = _engine.BDD()
        names = [[f"{'pdxsy'[field]}{bit}" for bit in range(width)] for field, width in enumerate(self.widths)]
        for part in names:
            self.bdd.declare(*part)
        self.bdd.configure(reordering=False)
        self._vars: list[list[Any]] = [[self.bdd.var(name) for name in part] for part in names]
        self.nothing: Any = self.bdd.false
        self._cubes: dict[tuple[int, int, int], Any] = {}
        self._sets: dict[tuple[int, Ranges], Any] = {}
        self._services: dict[tuple[Box, ...], Any] = {}
        self._starts = [sum(self.widths[:field]) for field in range(6)]
        self.everything: Any = self.addresses(_DST, _all(wide)) & self.addresses(_SRC, _all(wide))

    def family(self, found: AddressSet) -> Ranges:
        """The addresses of this family in a set, as numbers of its own width."""
        if self.wide == 32:
            return tuple((first - V4_FIRST, last - V4_FIRST) for first, last in found.v4().ranges)
        return found.v6().ranges

    def product(self, src: AddressSet, dst: AddressSet, boxes: tuple[Box, ...]) -> Any:
        """The packets from and to these addresses of one of these services."""
        mine, theirs = self.family(src), self.family(dst)
        if not mine or not theirs:
            return self.nothing
        return self.services(boxes) & self.addresses(_DST, theirs) & self.addresses(_SRC, mine)

    def services(self, boxes: tuple[Box, ...]) -> Any:
        """The packets of any of these services."""
        if boxes not in self._services:
            out = self.nothing
            for box in boxes:
                one = self._range(_PROTO, *box.proto) & self._range(_DPORT, *box.dport) & self._range(_SPORT, *box.sport)
                out |= one
            self._services[boxes] = out
        return self._services[boxes]

    def addresses(self, field: int, ranges: Ranges) -> Any:
        """The packets whose address is in one of these ranges. All of IPv6 leaves out where IPv4 lies."""
        key = field, ranges
        if key not in self._sets:
            parts = [self._range(field, first, last) for first, last in ranges]
            while len(parts) > 1:  # by halves: neighbours join while they are small
                parts = [parts[i] | parts[i + 1] if i + 1 < len(parts) else parts[i] for i in range(0, len(parts), 2)]
            self._sets[key] = parts[0] if parts else self.nothing
        return self._sets[key]

    def _range(self, field: int, first: int, last: int) -> Any:
        width = self.widths[field]
        free = 0
        while free < width and not first >> free & 1 and last >> free & 1:
            free += 1
        if first >> free == last >> free:
            return self._prefix(field, first, free)
        least, most = self.bdd.true, self.bdd.true
        for bit in range(width):
            var = self._vars[field][width - 1 - bit]
            least = var & least if first >> bit & 1 else var | least
            most = ~var | most if last >> bit & 1 else ~var & most
        return least & most

    def _prefix(self, field: int, first: int, free: int) -> Any:
        """Eight bits at a time, each from a table: addresses of a site share most of their bytes."""
        out = self.bdd.true
        width = self.widths[field]
        bit = free
        while bit < width:
            upto = min((bit // 8 + 1) * 8, width)
            out = self._cube(field, bit, upto, first >> bit & (1 << upto - bit) - 1) & out
            bit = upto
        return out

    def _cube(self, field: int, bit: int, upto: int, value: int) -> Any:
        key = field, bit << 8 | upto, value
        if key not in self._cubes:
            out = self.bdd.true
            for n in range(upto - bit):
                var = self._vars[field][self.widths[field] - 1 - bit - n]
                out = (var if value >> n & 1 else ~var) & out
            self._cubes[key] = out
        return self._cubes[key]

    # What calls itself below is a method, not a function inside one: that would hold itself, the collector would end the
    # manager of the diagrams before its nodes, and CUDD complains.

    def count(self, packets: Any) -> int:
        """How many packets, exactly: headers of (proto, dst, dport, src, sport)."""
        return self._below(packets, {}) << self._level(packets)

    def _below(self, node: Any, known: dict[Any, int]) -> int:
        """How many ways to go from a node to true, over the levels from its own."""
        if node == self.bdd.true:
            return 1
        if node == self.bdd.false:
            return 0
        if node not in known:
            sides = ((self._below(side, known), self._level(side)) for side in _branches(node))
            known[node] = sum(count << level - node.level - 1 for count, level in sides)
        return known[node]

    def _level(self, node: Any) -> int:
        return self._starts[5] if node == self.bdd.true or node == self.bdd.false else int(node.level)

    def products(self, packets: Any, most: int) -> list[Product]:
        """A set as disjoint products of ranges, at most so many of them."""
        out: list[Product] = []
        self._walk(packets, (), out, most, {})
        return out

    def _walk(self, node: Any, path: tuple[Ranges, ...], out: list[Product], most: int, known: dict[Any, Any]) -> None:
        if node == self.nothing or len(out) >= most:
            return
        field = len(path)
        if field == len(self.widths):
            out.append((path[0], path[1], path[2], path[3], path[4]))
            return
        if (field, node) not in known:
            known[field, node] = self._by_child(field, node)
        for ranges, child in known[field, node]:
            self._walk(child, (*path, ranges), out, most, known)

    def _by_child(self, field: int, node: Any) -> list[tuple[Ranges, Any]]:
        """The values of a field, by what is left to ask after them."""
        pieces: list[tuple[int, int, Any]] = []
        self._split(node, 0, self._starts[field], self._starts[field + 1], pieces)
        out: dict[Any, list[tuple[int, int]]] = {}
        for first, last, child in pieces:
            out.setdefault(child, []).append((first, last))
        return [(tuple(ranges), child) for child, ranges in out.items()]

    def _split(self, node: Any, first: int, level: int, end: int, pieces: list[tuple[int, int, Any]]) -> None:
        if node == self.nothing:
            return
        if self._level(node) >= end:
            last = first + (1 << end - level) - 1
            if pieces and pieces[-1][2] == node and pieces[-1][1] + 1 == first:
                pieces[-1] = (pieces[-1][0], last, node)
            else:
                pieces.append((first, last, node))
            return
        low, high = _branches(node) if self._level(node) == level else (node, node)
        self._split(low, first, level + 1, end, pieces)
        self._split(high, first + (1 << end - level - 1), level + 1, end, pieces)

    def witness(self, packets: Any) -> tuple[int, int, int, int, int] | None:
        """One packet of a set, (proto, dst, dport, src, sport), the least; None where there is none."""
        found = self.products(packets, 1)
        return None if not found else tuple(part[0][0] for part in found[0])  # type: ignore[return-value]


def _all(wide: int) -> Ranges:
    if wide == 32:
        return ((0, 0xFFFFFFFF),)
    return (0, V4_FIRST - 1), (V4_FIRST + (1 << 32), (1 << 128) - 1)


def _branches(node: Any) -> tuple[Any, Any]:
    return (~node.low, ~node.high) if node.negated else (node.low, node.high)
