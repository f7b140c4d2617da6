"""Sets of addresses: sorted, disjoint ranges in one space of 128 bits, where IPv4 lies at ::ffff:0:0/96 as in the index."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

#: Where IPv4 lies (RFC 4291, 2.5.5.2), and the last address of all.
V4_FIRST: Final = 0xFFFF << 32
V4_LAST: Final = V4_FIRST + 0xFFFFFFFF
LAST: Final = (1 << 128) - 1

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class AddressSet:
    """ranges: (first, last) inclusive, ascending, neither overlapping nor touching, none across the edge of IPv4."""

    ranges: tuple[Range, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __contains__(self, address: int) -> bool:
        return any(first <= address <= last for first, last in self.ranges)

    def __or__(self, other: AddressSet) -> AddressSet:
        return of_ranges((*self.ranges, *other.ranges))

    def __and__(self, other: AddressSet) -> AddressSet:
        out: list[Range] = []
        mine, theirs = self.ranges, other.ranges
        i = j = 0
        while i < len(mine) and j < len(theirs):
            first, last = max(mine[i][0], theirs[j][0]), min(mine[i][1], theirs[j][1])
            if first <= last:
                out.append((first, last))
            if mine[i][1] < theirs[j][1]:
                i += 1
            else:
                j += 1
        return AddressSet(tuple(out))

    def __sub__(self, other: AddressSet) -> AddressSet:
        return self & other.complement()

    def complement(self) -> AddressSet:
        """Every other address."""
        out: list[Range] = []
        at = 0
        for first, last in self.ranges:
            if at < first:
                out.append((at, first - 1))
            at = last + 1
        if at <= LAST:
            out.append((at, LAST))
        return of_ranges(out)

    def count(self) -> int:
        """How many addresses, exactly."""
        return sum(last - first + 1 for first, last in self.ranges)

    def v4(self) -> AddressSet:
        """Those of IPv4."""
        return self & V4

    def v6(self) -> AddressSet:
        """Those of IPv6."""
        return self & V6

    def texts(self) -> list[str]:
        """As prefixes, fewest first to last; a single address without its length."""
        return [text for first, last in self.ranges for text in _prefixes(first, last)]


def of_ranges(ranges: Iterable[Range]) -> AddressSet:
    """Joined where they overlap or touch, split at the edges of IPv4."""
    joined: list[Range] = []
    end = -2
    for part in sorted(ranges):  # pairs that stay as they are stay the same objects: unions of unions share them
        if part[0] > end + 1:
            joined.append(part)
            end = part[1]
        elif part[1] > end:
            end = part[1]
            joined[-1] = (joined[-1][0], end)
    out: list[Range] = []
    for part in joined:
        first, last = part
        if last < V4_FIRST or first > V4_LAST or V4_FIRST <= first <= last <= V4_LAST:
            out.append(part)
            continue
        for low, high in ((0, V4_FIRST - 1), (V4_FIRST, V4_LAST), (V4_LAST + 1, LAST)):
            if max(first, low) <= min(last, high):
                out.append((max(first, low), min(last, high)))
    return AddressSet(tuple(out))


NONE: Final = AddressSet()
ANY: Final = of_ranges([(0, LAST)])
V4: Final = AddressSet(((V4_FIRST, V4_LAST),))
V6: Final = AddressSet(((0, V4_FIRST - 1), (V4_LAST + 1, LAST)))


def number(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> int:
    """Its place in the space of 128 bits."""
    return int(address) + (V4_FIRST if address.version == 4 else 0)


def address(text: str) -> int:
    """The place of an address in text; ValueError names the text."""
    return number(ipaddress.ip_address(text))


def address_text(value: int) -> str:
    """Canonical text of an address."""
    if V4_FIRST <= value <= V4_LAST:
        return str(ipaddress.IPv4Address(value - V4_FIRST))
    return str(ipaddress.IPv6Address(value))


@functools.lru_cache(maxsize=65536)
def prefix(text: str) -> AddressSet:
    """An address or prefix in text. ValueError says what is wrong with it, host bits that are set included."""
    try:
        found = ipaddress.ip_network(text)
    except ValueError as error:
        try:
            meant = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise ValueError(f"`{text}` is no address or prefix") from error
        raise ValueError(f"`{text}` has bits set behind its length: `{meant}` or `{text.split('/')[0]}` is meant") from error
    if "%" in text:
        raise ValueError(f"`{text}` has a zone: policies hold between machines")
    if found.version == 6 and int(found[0]) <= V4_LAST and int(found[-1]) >= V4_FIRST and found.prefixlen >= 96:
        raise ValueError(f"`{text}` is IPv4 inside IPv6: write the IPv4 prefix")
    whole = of_ranges([(number(found[0]), number(found[-1]))])
    return whole.v6() if found.version == 6 else whole


def _prefixes(first: int, last: int) -> list[str]:
    inside = V4_FIRST <= first <= V4_LAST
    kind = ipaddress.IPv4Address if inside else ipaddress.IPv6Address
    offset = V4_FIRST if inside else 0
    nets = ipaddress.summarize_address_range(kind(first - offset), kind(last - offset))
    return [str(net.network_address) if net.prefixlen == net.max_prefixlen else str(net) for net in nets]
