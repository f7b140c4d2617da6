"""Concrete packets out of sets of them: such as a person would try, not the least of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from workbench.policy import addresses
from workbench.policy.addresses import V4_FIRST, AddressSet
from workbench.policy.diagrams import Product
from workbench.policy.rows import Example, Row
from workbench.policy.services import Box

#: A source port that programs use.
_USUAL: Final = 50000


def of_row(row: Row) -> Example:
    """One packet of a row."""
    box = row.services[0]
    ported = box.proto[0] not in (1, 58)  # of ICMP the source port is the type
    sport = _value([box.sport], _USUAL if ported else box.sport[0])
    src, dst = _distinct(row.src.ranges, row.dst.ranges)
    return Example(src, dst, _value([box.proto], 6), sport, box.dport[0] or (box.dport[1] and 1))


def of_sets(src: AddressSet, dst: AddressSet, boxes: tuple[Box, ...]) -> Example | None:
    """One packet between these; None where there is none of either family."""
    for family in (addresses.V4, addresses.V6):
        if src & family and dst & family:
            return of_row(Row(src & family, dst & family, boxes, 0))
    return None


def of_product(product: Product, wide: int) -> Example:
    """One packet of a product of a space of that width."""
    proto, dst, dport, src, sport = product
    shift = V4_FIRST if wide == 32 else 0
    number = _value(proto, 6)
    port = _value(sport, _USUAL if number not in (1, 58) else sport[0][0])
    source, target = _distinct(src, dst)
    return Example(source + shift, target + shift, number, port, _value(dport, max(dport[0][0], min(1, dport[0][1]))))


def _value(ranges: Sequence[tuple[int, int]], wanted: int) -> int:
    """The one wanted where it is in a range, else the first there is."""
    return wanted if any(first <= wanted <= last for first, last in ranges) else ranges[0][0]


def _distinct(src: Sequence[tuple[int, int]], dst: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """An address of each, not the same where there is a choice, and not the first of a prefix."""
    one = min(src[0][0] + 1, src[0][1])
    other = min(dst[0][0] + 1, dst[0][1])
    return one, min(other + 1, dst[0][1]) if one == other else other
