"""A small walk over ASN.1 BER (X.690): tags and definite lengths, every bound checked, nothing built.

Kerberos, LDAP and SNMP are read with it. Indefinite lengths and tag numbers above 30 are refused: none of the three uses them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from workbench.decode.application.protocol import Malformed

#: Universal tags (X.680), with the bit that says constructed where they are.
BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BITS: Final = 0x03
OCTETS: Final = 0x04
OBJECT: Final = 0x06
ENUMERATED: Final = 0x0A
SEQUENCE: Final = 0x30
SET: Final = 0x31

#: Items that one walk yields at most: a list of empty items would otherwise cost a step for every two bytes.
MOST_ITEMS: Final = 4_096
_MOST_ARCS: Final = 64


class Item(NamedTuple):
    """One tagged value: its bytes are data[start:stop]; `after` is where its header says it ends (beyond stop where cut)."""

    tag: int
    start: int
    stop: int
    after: int

    @property
    def number(self) -> int:
        """The tag's number without class and form: 3 of [3] or [APPLICATION 3]."""
        return self.tag & 0x1F


def item(data: bytes, at: int, end: int, *, cut: bool = False) -> Item:
    """The item at `at`, inside data[:end]. cut: data was cut, so an item may end behind it and then stops where it does.

    Raises Malformed.
    """
    end = min(end, len(data))
    if at < 0 or at + 2 > end:
        raise Malformed("BER: an item is cut off")
    tag, first = data[at], data[at + 1]
    if tag & 0x1F == 0x1F:
        raise Malformed("BER: a tag number above 30")
    start = at + 2
    if first < 0x80:
        size = first
    else:
        width = first & 0x7F
        if not 1 <= width <= 4:
            raise Malformed("BER: a length that is indefinite or wider than 4 bytes")
        if start + width > end:
            raise Malformed("BER: a length is cut off")
        size = int.from_bytes(data[start : start + width], "big")
        start += width
    after = start + size
    if after > end and not cut:
        raise Malformed("BER: an item is longer than what holds it")
    return Item(tag, start, min(after, end), after)


def items(data: bytes, start: int, stop: int, *, cut: bool = False, most: int = MOST_ITEMS) -> Iterator[Item]:
    """The items in data[start:stop], at most `most`. Raises Malformed; with `cut`, ends quietly where the bytes do."""
    at = start
    for _ in range(most):
        if at >= stop:
            return
        try:
            found = item(data, at, stop, cut=cut)
        except Malformed:
            if cut and stop >= len(data):
                return
            raise
        yield found
        at = found.after


def fields(data: bytes, of: Item, *, cut: bool = False) -> dict[int, Item]:
    """The members of a constructed item by tag; the first of each. Raises Malformed."""
    found: dict[int, Item] = {}
    for each in items(data, of.start, of.stop, cut=cut, most=64):
        found.setdefault(each.tag, each)
    return found


def inside(data: bytes, of: Item, tag: int, *, cut: bool = False) -> Item:
    """The one item that an explicit tag wraps. Raises Malformed where it is another."""
    found = item(data, of.start, of.stop, cut=cut)
    if found.tag != tag:
        raise Malformed(f"BER: tag {found.tag:#04x} where {tag:#04x} belongs")
    return found


def number(data: bytes, of: Item) -> int:
    """A signed whole number of at most 8 bytes. Raises Malformed."""
    size = of.after - of.start
    if not 1 <= size <= 8 or of.stop != of.after:
        raise Malformed("BER: a number of no, or more than 8 bytes")
    return int.from_bytes(data[of.start : of.stop], "big", signed=True)


def value(data: bytes, of: Item) -> bytes:
    """Its bytes, as far as they are there."""
    return data[of.start : of.stop]


def dotted(data: bytes, of: Item) -> str:
    """An object identifier as text: 1.3.6.1. Raises Malformed."""
    raw = data[of.start : of.stop]
    if not raw or raw[-1] & 0x80 or of.stop != of.after:
        raise Malformed("BER: an object identifier that does not end")
    arcs: list[int] = []
    arc = 0
    for byte in raw:
        arc = arc << 7 | byte & 0x7F
        if arc >> 64:
            raise Malformed("BER: an arc above 64 bits")
        if not byte & 0x80:
            arcs.append(arc)
            arc = 0
            if len(arcs) > _MOST_ARCS:
                raise Malformed(f"BER: an object identifier of more than {_MOST_ARCS} arcs")
    top = min(arcs[0] // 40, 2)
    return ".".join(map(str, (top, arcs[0] - 40 * top, *arcs[1:])))
