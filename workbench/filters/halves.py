"""Addresses as two signed 64-bit columns: intervals of 128-bit numbers to comparisons of whole numbers.

Comparing numbers costs a tenth of comparing text or bytes, and the database skips row groups by their bounds. Halves are
two's complement, so unsigned order is signed order with the upper half of the numbers first: a range across the middle is
two comparisons. The lower half comes first in a condition: in a data centre of IPv4 the upper one is always 0.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from workbench.filters.sql import Sql, either, every

_HALF: Final = 1 << 64
_MOST: Final = _HALF - 1
_LEAST_SIGNED: Final = -(1 << 63)
_MOST_SIGNED: Final = (1 << 63) - 1

#: The columns of the upper and the lower half.
Halves = tuple[str, str]


def signed(half: int) -> int:
    """A half as its column has it."""
    return half - _HALF if half > _MOST_SIGNED else half


def equal_to(halves: Halves, numbers: Sequence[int]) -> Sql:
    """The condition that an address is one of the numbers; a comparison for each upper half that occurs."""
    by_upper: dict[int, list[int]] = defaultdict(list)
    for number in numbers:
        by_upper[signed(number >> 64)].append(signed(number & _MOST))
    upper, lower = halves
    parts = []
    for high, lows in by_upper.items():
        asked = "= ?" if len(lows) == 1 else f"IN ({', '.join('?' * len(lows))})"
        parts.append(Sql(f"({lower} {asked} AND {upper} = ?)", (*lows, high)))
    return either(parts)


def upper_halves(numbers: Sequence[int]) -> int:
    """How many comparisons `equal_to` makes."""
    return len({number >> 64 for number in numbers})


def between(halves: Halves, first: int, last: int) -> Sql:
    """The condition that an address lies in the interval."""
    (high, low), (high_last, low_last) = divmod(first, _HALF), divmod(last, _HALF)
    if high == high_last:
        return _at(halves, high, low, low_last)
    parts = []
    if low:
        parts.append(_at(halves, high, low, _MOST))
        high += 1
    if low_last != _MOST:
        parts.append(_at(halves, high_last, 0, low_last))
        high_last -= 1
    if high <= high_last:
        parts.append(_half_between(halves[0], high, high_last))
    return either(parts)


def _at(halves: Halves, high: int, low: int, low_last: int) -> Sql:
    """One upper half, and a range of the lower."""
    upper, lower = halves
    same = Sql(f"{upper} = ?", (signed(high),))
    return same if (low, low_last) == (0, _MOST) else every([_half_between(lower, low, low_last), same])


def _half_between(column: str, first: int, last: int) -> Sql:
    """A range of one half, unsigned."""
    a, b = signed(first), signed(last)
    if a > b:  # across the middle
        return _half_between_signs(column, a, b)
    if a == b:
        return Sql(f"{column} = ?", (a,))
    if a == _LEAST_SIGNED:
        return Sql(f"{column} <= ?", (b,))
    if b == _MOST_SIGNED:
        return Sql(f"{column} >= ?", (a,))
    return Sql(f"{column} BETWEEN ? AND ?", (a, b))


def _half_between_signs(column: str, a: int, b: int) -> Sql:
    if (a, b) == (0, -1):
        return Sql(f"{column} IS NOT NULL")
    return Sql(f"({column} >= ? OR {column} <= ?)", (a, b))
