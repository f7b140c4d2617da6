"""Sets of packets as rows that people read: from whom, to whom, which services, and how many headers that is exactly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from workbench.policy.addresses import V4_FIRST, AddressSet, of_ranges
from workbench.policy.decisions.classes import Ranges
from workbench.policy.decisions.listing import Listing
from workbench.policy.decisions.space import joined
from workbench.policy.services import Box


@dataclass(frozen=True, slots=True)
class Row:
    """Packets from any of src to any of dst of any of the services. packets: how many headers that is, exactly."""

    src: AddressSet
    dst: AddressSet
    services: tuple[Box, ...]
    packets: int


@dataclass(frozen=True, slots=True)
class Example:
    """One concrete packet; addresses as in policy.addresses."""

    src: int
    dst: int
    proto: int
    sport: int
    dport: int


@dataclass(frozen=True, slots=True)
class Rows:
    """A set of packets as disjoint rows. packets: how many it has, with those of rows that were left out; widest first."""

    rows: tuple[Row, ...]
    packets: int
    example: Example | None


class _Sets:
    """Sets by number, so that equal ones are compared and hashed once."""

    def __init__(self) -> None:
        self._addresses: dict[Ranges, int] = {}
        self._boxes: dict[frozenset[Box], int] = {}
        self.addresses: list[AddressSet] = []
        self.boxes: list[frozenset[Box]] = []

    def address(self, ranges: Ranges) -> int:
        if ranges not in self._addresses:
            self._addresses[ranges] = len(self.addresses)
            self.addresses.append(AddressSet(ranges))
        return self._addresses[ranges]

    def box(self, boxes: frozenset[Box]) -> int:
        if boxes not in self._boxes:
            self._boxes[boxes] = len(self.boxes)
            self.boxes.append(boxes)
        return self._boxes[boxes]

    def any_address(self, some: list[int]) -> int:
        """All of several disjoint sets."""
        if len(some) == 1:
            return some[0]
        return self.address(of_ranges(part for one in some for part in self.addresses[one].ranges).ranges)

    def any_box(self, some: list[int]) -> int:
        return some[0] if len(some) == 1 else self.box(frozenset[Box]().union(*(self.boxes[one] for one in some)))


#: from, to, services, by number.
_Part = tuple[int, int, int]


def listed(parts: Iterable[Listing | None], most: int) -> Rows:
    """At most so many rows of sets of IPv4 and of IPv6, either of which may be absent."""
    rows: list[Row] = []
    total = 0
    example = None
    for listing, shift in zip(parts, (V4_FIRST, 0), strict=True):
        if listing is None:
            continue
        total += listing.count()
        found = listing.packet()
        if found is not None and example is None:
            example = Example(found[3] + shift, found[1] + shift, found[0], found[4], found[2])
        rows += _rows_of(listing.rows(most), shift)
    rows.sort(key=lambda row: (-row.packets, row.src.ranges, row.dst.ranges))
    return Rows(tuple(rows[:most]), total, example)


def _rows_of(products: list[tuple[Ranges, ...]], shift: int) -> list[Row]:
    sets = _Sets()
    shifted: dict[Ranges, int] = {}
    parts: list[_Part] = []
    for proto, dst, dport, src, sport in products:
        for ranges in (src, dst):
            if ranges not in shifted:
                shifted[ranges] = sets.address(tuple((first + shift, last + shift) for first, last in ranges))
        boxes = sets.box(frozenset(Box(p, s, d) for p in proto for s in sport for d in dport))
        parts.append((shifted[src], shifted[dst], boxes))
    parts = _merged(parts, sets)
    sizes = [found.count() for found in sets.addresses]
    points = [sum(map(_points, boxes)) for boxes in sets.boxes]
    return [
        Row(sets.addresses[src], sets.addresses[dst], tidy(sets.boxes[boxes]), sizes[src] * sizes[dst] * points[boxes])
        for src, dst, boxes in parts
    ]


def _merged(parts: list[_Part], sets: _Sets) -> list[_Part]:
    """Fewer rows: those that differ in one of from, to and service only become one, until none do."""
    before = -1
    while len(parts) != before:
        before = len(parts)
        by_ends: dict[tuple[int, int], list[int]] = {}
        for src, dst, boxes in parts:
            by_ends.setdefault((src, dst), []).append(boxes)
        to_same: dict[tuple[int, int], list[int]] = {}
        for (src, dst), several in by_ends.items():
            to_same.setdefault((dst, sets.any_box(several)), []).append(src)
        from_same: dict[tuple[int, int], list[int]] = {}
        for (dst, boxes), several in to_same.items():
            from_same.setdefault((sets.any_address(several), boxes), []).append(dst)
        parts = [(src, sets.any_address(several), boxes) for (src, boxes), several in from_same.items()]
    return parts


def tidy(boxes: Iterable[Box]) -> tuple[Box, ...]:
    """The same disjoint boxes, joined where ports or protocols touch."""
    ports: dict[tuple[tuple[int, int], tuple[int, int]], list[tuple[int, int]]] = {}
    for box in boxes:
        ports.setdefault((box.proto, box.sport), []).append(box.dport)
    protos: dict[tuple[tuple[int, int], Ranges], list[tuple[int, int]]] = {}
    for (proto, sport), dports in ports.items():
        protos.setdefault((sport, joined(dports)), []).append(proto)
    return tuple(
        sorted(Box(proto, sport, dport) for (sport, dports), some in protos.items() for proto in joined(some) for dport in dports)
    )


def _points(box: Box) -> int:
    out = 1
    for first, last in box:
        out *= last - first + 1
    return out
