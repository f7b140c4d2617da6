"""Addresses: literals to intervals of 128-bit numbers, intervals to SQL over the columns that hold them.

IPv4 is ::ffff:0:0/96, as in the columns, where a mapped IPv6 address is an IPv4 address. Both ends of a flow are kept
as numbers, too, and compared as such (see `halves`). Elsewhere one address is compared as text, a range by its 16 bytes;
columns that are text only (tunnel endpoints) are compared by the first octets where the range ends at a dot, else by a
pattern of the octets, or by the digits that an IPv6 text means.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from workbench.filters.halves import Halves, between, equal_to, upper_halves
from workbench.filters.sql import Sql, either, every

V4: Final = 0xFFFF << 32
V4_LAST: Final = V4 + 2**32 - 1
LAST: Final = 2**128 - 1

Interval = tuple[int, int]

#: What there is of each family, in order.
UNIVERSE: Final[dict[int, tuple[Interval, ...]]] = {
    0: ((0, LAST),),
    4: ((V4, V4_LAST),),
    6: ((0, V4 - 1), (V4_LAST + 1, LAST)),
}

#: Single IPv6 addresses of different upper halves up to which numbers are compared; text is asked for in one set.
_UPPER_HALVES: Final = 16

#: Pieces that begin at a dot, into which a range of text-only addresses is cut at most: each is a comparison.
_PIECES: Final = 4

_SHAPE: Final = re.compile(r"[0-9a-fA-F:.]{2,45}(/[0-9]{1,3})?\Z")


@dataclass(frozen=True, slots=True)
class Network:
    """An address (first == last) or a prefix, as numbers; family 4 or 6."""

    first: int
    last: int
    family: int


def read_address(text: str) -> Network | None:
    """An address or prefix in any usual notation; None where it is none. Host bits of a prefix do not count."""
    if not _SHAPE.match(text):
        return None
    try:
        made = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    first, last = int(made.network_address), int(made.broadcast_address)
    if made.version == 4:
        return Network(V4 + first, V4 + last, 4)
    return Network(first, last, 4 if first >= V4 and last <= V4_LAST else 6)


def address_text(number: int) -> str:
    """An address as the columns write it: RFC 5952, mapped addresses as IPv4."""
    if V4 <= number <= V4_LAST:
        return str(ipaddress.IPv4Address(number - V4))
    return str(ipaddress.IPv6Address(number))


def family_guard(column: str, family: int) -> str:
    """Whether the address that a text column holds is of the family."""
    return f"{'NOT ' if family == 4 else ''}contains({column}, ':')"


def family_of(halves: Halves, family: int) -> str:
    """Whether the address that two columns of numbers hold is of the family; NULL for NULL."""
    upper, lower = halves
    if family == 4:
        return f"({lower} BETWEEN {V4} AND {V4_LAST} AND {upper} = 0)"
    return f"({lower} NOT BETWEEN {V4} AND {V4_LAST} OR {upper} <> 0)"


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """The same addresses in as few intervals as there can be, in order."""
    made: list[Interval] = []
    for first, last in sorted(intervals):
        if made and first <= made[-1][1] + 1:
            made[-1] = (made[-1][0], max(made[-1][1], last))
        else:
            made.append((first, last))
    return made


def within(intervals: Iterable[Interval], family: int) -> list[Interval]:
    """What of the intervals lies in the family."""
    cut = [(max(a, c), min(b, d)) for a, b in intervals for c, d in UNIVERSE[family]]
    return merged((a, b) for a, b in cut if a <= b)


def one_of(text: str | None, blob: str | None, intervals: Sequence[Interval], halves: Halves | None = None) -> Sql:
    """The condition that an address lies in one of the intervals. text, blob, halves: the columns that hold it."""
    singles = [a for a, b in intervals if a == b]
    ranges = [(a, b) for a, b in intervals if a != b]
    parts: list[Sql] = []
    if halves is not None and (text is None or upper_halves(singles) <= _UPPER_HALVES):
        if singles:
            parts.append(equal_to(halves, singles))
        return either([*parts, *(between(halves, first, last) for first, last in ranges)])
    if singles:
        parts.append(_equal(None if ranges and blob else text, blob, singles))  # one column read rather than two
    for first, last in ranges:
        if blob is not None:
            parts.append(Sql(f"({blob} BETWEEN ? AND ?)", (_bytes(first), _bytes(last))))
        else:
            assert text is not None
            parts.append(_in_text(text, first, last))
    return either(parts)


def _bytes(number: int) -> bytes:
    return number.to_bytes(16, "big")


def _equal(text: str | None, blob: str | None, numbers: Sequence[int]) -> Sql:
    column = text if text is not None else blob
    values = tuple(address_text(n) if text is not None else _bytes(n) for n in numbers)
    if len(values) == 1:
        return Sql(f"{column} = ?", values)
    return Sql(f"{column} IN ({', '.join('?' * len(values))})", values)


def _in_text(column: str, first: int, last: int) -> Sql:
    """A range over a column that holds text only."""
    parts = []
    for a, b in within([(first, last)], 4):
        if a == b:
            parts.append(_equal(column, None, [a]))
            continue
        if (a, b) == UNIVERSE[4][0]:
            parts.append(Sql(family_guard(column, 4)))
            continue
        begins = _beginnings(a, b)
        if begins is not None:
            parts += [Sql(f"starts_with({column}, ?)", (begin,)) for begin in begins]
        else:
            shared = _shared(address_text(a), address_text(b))  # compared first: it spares most rows the arithmetic
            begun = [Sql(f"starts_with({column}, ?)", (shared,))] if shared else []
            parts.append(every([*begun, Sql(f"regexp_matches({column}, ?)", (f"^{_octets(a - V4, b - V4)}",))]))
    rest = within([(first, last)], 6)
    if rest == list(UNIVERSE[6]):
        parts.append(Sql(family_guard(column, 6)))
    else:
        parts += [every([Sql(f"{_digits(column)} BETWEEN ? AND ?", (f"{a:032x}", f"{b:032x}"))]) for a, b in rest]
    return either(parts)


def _beginnings(first: int, last: int) -> list[str] | None:
    """Texts such as `10.1.` of which one begins every IPv4 address of the range and no other; None where many."""
    for octets in (1, 2, 3):
        size = 1 << (32 - 8 * octets)
        if (first - V4) % size == 0 and (last - V4 + 1) % size == 0:
            count = (last - first + 1) // size
            if count > _PIECES:
                return None
            starts = (address_text(first + n * size).split(".")[:octets] for n in range(count))
            return [".".join(start) + "." for start in starts]
    return None


def _shared(first: str, last: str) -> str:
    """The octets, each with its dot, that two addresses begin with."""
    both = []
    for one, other in zip(first.split("."), last.split("."), strict=True):
        if one != other:
            break
        both.append(f"{one}.")
    return "".join(both)


def _octets(first: int, last: int, level: int = 0) -> str:
    """A pattern for the texts from one number to another, octet by octet: RE2 reads it ten times as fast as arithmetic."""
    if level == 3:
        return f"{_any_number(first, last)}$"
    size = 1 << (24 - 8 * level)
    (low, low_rest), (high, high_rest) = divmod(first, size), divmod(last, size)
    if low == high and (low_rest, high_rest) != (0, size - 1):
        return f"{low}[.]{_octets(low_rest, high_rest, level + 1)}"
    ways = []
    if low_rest:
        ways.append(f"{low}[.]{_octets(low_rest, size - 1, level + 1)}")
        low += 1
    if high_rest != size - 1:
        ways.append(f"{high}[.]{_octets(0, high_rest, level + 1)}")
        high -= 1
    if low <= high:
        ways.append(f"{_any_number(low, high)}[.]")
    return f"(?:{'|'.join(ways)})"


def _any_number(first: int, last: int) -> str:
    return f"(?:{'|'.join(str(n) for n in range(first, last + 1))})"


def _digits(column: str) -> str:
    """The 32 hexadecimal digits of an IPv6 address, from its text; NULL for an IPv4 address."""
    left = f"string_split(split_part({column}, '::', 1), ':')"
    right = f"(CASE WHEN contains({column}, '::') THEN string_split(split_part({column}, '::', 2), ':') ELSE [] END)"
    fill = f"list_resize(CAST([] AS VARCHAR[]), greatest(0, 8 - len({left}) - len({right})), '0')"
    groups = f"list_concat({left}, list_concat({fill}, {right}))"
    whole = f"array_to_string(list_transform({groups}, lambda g: lpad(g, 4, '0')), '')"
    return f"(CASE WHEN contains({column}, ':') THEN left({whole}, 32) END)"
