"""Sets of addresses and services as people write them: by the name of a group where it is one, as prefixes where not."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from workbench.policy import addresses, services
from workbench.policy.addresses import V4_FIRST, V4_LAST, AddressSet
from workbench.policy.members import Members
from workbench.policy.services import Box
from workbench.policy.symbolic import Difference, Example, Row

#: Prefixes of one set that are written out; the rest is counted.
MOST: Final = 50


class Names:
    """What sets of addresses are called in a policy, or in two that are compared: the first name that is given holds.

    single: addresses that stand for workloads (stand_ins), and what to call them.
    """

    def __init__(self, single: Mapping[int, str] | None = None) -> None:
        self._names: dict[AddressSet, str] = {}
        self._said: dict[AddressSet, str] = {}
        self.single: Final[Mapping[int, str]] = single or {}
        self._singles = addresses.of_ranges((address, address) for address in self.single)

    def learn(self, members: Members, groups: Iterable[str], also: str = "") -> None:
        """Take the groups of a policy, and `any` and `internal`; a group of both families is also known by each of them.

        also: what to write behind names that mean others in another policy.
        """
        for word in ("any", "internal", *groups, "external"):
            found = members.peer(word)
            for name, part in ((word, found), (f"{word} (IPv4)", found.v4()), (f"{word} (IPv6)", found.v6())):
                if part:
                    self._names.setdefault(part, name + also)

    def text(self, found: AddressSet, most: int = MOST) -> str:
        """A name, or all but one that has a name, or prefixes."""
        if found in self._names:
            return self._names[found]
        if found not in self._said:
            self._said[found] = self._but(found, most) or self._with_stand_ins(found, most) or prefixes(found, most)
        return self._said[found]

    def _with_stand_ins(self, found: AddressSet, most: int) -> str:
        if not (standing := found & self._singles):
            return ""
        words = sorted({self.single[address] for first, last in standing.ranges for address in range(first, last + 1)})
        rest = found - standing
        return ", ".join(words[:most] + ([self.text(rest, most)] if rest else []))

    def _but(self, found: AddressSet, most: int) -> str:
        """All of a set that has a name but another that has one, or but fewer ranges than there are; the smallest such set."""
        wholes = sorted((whole for whole in self._names if found and not found - whole), key=lambda whole: whole.count())
        rests = [(whole, whole - found) for whole in wholes]
        for whole, rest in rests:
            if rest in self._names:
                return f"{self._names[whole]} but {self._names[rest]}"
        for whole, rest in rests:
            if len(rest.ranges) < len(found.ranges):
                return f"{self._names[whole]} but {prefixes(rest, most)}"
        return ""

    def families_joined(self, found: Difference) -> Difference:
        """The same, with rows of the two families as one where they are the same groups by the same services."""
        return Difference(**{kind: replace(part, rows=tuple(self._joined(part.rows))) for kind, part in found.kinds()})

    def _joined(self, rows: Sequence[Row]) -> list[Row]:
        out: list[Row] = []
        waiting: dict[tuple[Box, ...], list[int]] = {}
        for row in rows:
            for place in waiting.setdefault(row.services, []):
                other = out[place]
                src, dst = row.src | other.src, row.dst | other.dst
                if bool(row.src.v4()) != bool(other.src.v4()) and src in self._names and dst in self._names:
                    out[place] = Row(src, dst, row.services, row.packets + other.packets)
                    waiting[row.services].remove(place)
                    break
            else:
                waiting[row.services].append(len(out))
                out.append(row)
        return out

    def address(self, address: int) -> str:
        """What a single address stands for; '' where it is only itself."""
        return self.single.get(address, "")


def prefixes(found: AddressSet, most: int = MOST) -> str:
    """As prefixes; what would take several is written `first-last`. Nobody: `nobody`."""
    if found == addresses.V6:  # two ranges, around IPv4's
        return "::/0"
    texts = list(islice(_parts(found), most + 1))
    if len(texts) > most:
        texts[most:] = [f"and {len(found.ranges) - most} more"]
    return ", ".join(texts) or "nobody"


def services_text(boxes: Iterable[Box], most: int = MOST) -> str:
    """Services as `services.parse` takes them, where they can be written so."""
    texts = [services.texts(box) for box in boxes]
    return ", ".join(texts[:most] + ([f"and {len(texts) - most} more"] if len(texts) > most else []))


def packet_text(packet: Example, called: Mapping[int, str] | None = None) -> str:
    """One packet: `10.0.0.1 -> 10.0.0.2 : tcp/443 from port 50000`. called: addresses that stand for workloads."""
    names = called or {}
    src, dst = (names.get(end) or addresses.address_text(end) for end in (packet.src, packet.dst))
    proto, sport, dport = ((value, value) for value in (packet.proto, packet.sport, packet.dport))
    return f"{src} -> {dst} : {services.texts(Box(proto, sport, dport))}"


def _parts(found: AddressSet) -> Iterator[str]:
    for first, last in found.ranges:
        inside = V4_FIRST <= first <= V4_LAST
        shift, wide = (V4_FIRST, 32) if inside else (0, 128)
        size = last - first + 1
        if size & (size - 1) == 0 and (first - shift) % size == 0:
            length = wide - size.bit_length() + 1
            kind = ipaddress.IPv4Address if inside else ipaddress.IPv6Address
            yield f"{kind(first - shift)}/{length}" if length < wide else str(kind(first - shift))
        else:
            yield f"{addresses.address_text(first)}-{addresses.address_text(last)}"
