"""All packets of one address family, in the classes that some rules tell apart, and what those rules say of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workbench.policy.addresses import V4_FIRST, AddressSet
from workbench.policy.decisions.classes import Classes, Ranges, classes_of
from workbench.policy.decisions.store import Store
from workbench.policy.services import Box

#: What a rule or a question covers: from, to, services.
Product = tuple[AddressSet, AddressSet, tuple[Box, ...]]
PROTO, DST, DPORT, SRC, SPORT = range(5)

_PROTOS: Final[Ranges] = ((0, 255),)
_PORTS: Final[Ranges] = ((0, 65535),)
_V4: Final[Ranges] = ((0, 0xFFFFFFFF),)
_V6: Final[Ranges] = ((0, V4_FIRST - 1), (V4_FIRST + (1 << 32), (1 << 128) - 1))


class Space:
    """wide: 32 or 128 bits of an address. products: all that will be asked about; each is its place in this list later on.

    A product is one entry or several: as many as it has services that are no product of ranges by themselves.
    """

    def __init__(self, wide: int, products: Sequence[Product], store: Store) -> None:
        self.wide, self.store = wide, store
        self._sets: list[dict[Ranges, int]] = [{} for _ in range(5)]
        self._families: dict[int, int] = {}
        self._boxes: dict[tuple[Box, ...], list[tuple[int, int, int]]] = {}
        entries: list[tuple[int, int, int, int, int]] = []
        owners: list[int] = []
        for n, (src, dst, boxes) in enumerate(products):
            of, to = self._address(SRC, src), self._address(DST, dst)
            if of >= 0 and to >= 0:
                for proto, dport, sport in self._services(boxes):
                    entries.append((proto, to, dport, of, sport))
                    owners.append(n)
        self.of_products = np.array(owners, np.int64)
        wholes = (_PROTOS, _V4 if wide == 32 else _V6, _PORTS, _V4 if wide == 32 else _V6, _PORTS)
        self.classes: list[Classes] = [classes_of(list(sets), whole) for sets, whole in zip(self._sets, wholes, strict=True)]
        self.ranges = np.concatenate([one.ranges for one in self.classes])
        shift = np.cumsum([0, *(len(one.ranges) for one in self.classes)])
        self.bounds = np.concatenate([one.sets + by for one, by in zip(self.classes, shift, strict=False)])
        before = np.cumsum([0, *(len(one.sets) for one in self.classes)])
        self.entries = np.ascontiguousarray(np.array(entries, np.int64).reshape(-1, 5) + before[:5])
        bits = [one.bits for one in self.classes]
        self.fields: NDArray[np.int64] = np.array([(sum(bits[:f]), bits[f]) for f in range(5)], np.int64)

    def diagrams(self, first: int, behind: int, values: Sequence[int]) -> NDArray[np.int64]:
        """Diagrams of the entries of products from first to before behind, in order. values: the outcome of each product."""
        low, high = np.searchsorted(self.of_products, [first, behind])
        outcomes = np.asarray(values, np.int64)[self.of_products[low:high] - first]
        return self.store.products(self.entries[low:high], self.ranges, self.bounds, outcomes, self.fields)

    def numbers(self, packet: tuple[int, int, int, int, int]) -> list[int]:
        """The class of each field of one packet: (proto, dst, dport, src, sport), addresses as numbers of this family."""
        return [int(one.classes[bisect_right(one.starts, value) - 1]) for one, value in zip(self.classes, packet, strict=True)]

    def outcome(self, root: int, packet: tuple[int, int, int, int, int]) -> int:
        """What a diagram says of one packet, as `numbers` has it."""
        levels = [
            (number >> bits - 1 - n) & 1
            for number, (_, bits) in zip(self.numbers(packet), self.fields.tolist(), strict=True)
            for n in range(bits)
        ]
        nodes = self.store.nodes
        while root >= 0:
            root = int(nodes[root, 1 + levels[int(nodes[root, 0])]])
        return -1 - root

    def owners(self) -> set[int]:
        """Products that have packets in this family."""
        return set(self.of_products.tolist())

    def owners_of(self, first: int, behind: int) -> NDArray[np.int64]:
        """The product of each diagram that `diagrams` gives."""
        low, high = np.searchsorted(self.of_products, [first, behind])
        return self.of_products[low:high]

    def _address(self, field: int, found: AddressSet) -> int:
        """The number of a set of addresses in this family; -1 where none are."""
        key = id(found) * 2 + (field == SRC)
        if key not in self._families:
            ranges = self.family(found)
            self._families[key] = self._number(field, ranges) if ranges else -1
        return self._families[key]

    def family(self, found: AddressSet) -> Ranges:
        """The addresses of this family in a set, as numbers of its own width."""
        if self.wide == 32:
            last = V4_FIRST + 0xFFFFFFFF
            return tuple((first - V4_FIRST, end - V4_FIRST) for first, end in found.ranges if V4_FIRST <= first <= last)
        return tuple(one for one in found.ranges if not V4_FIRST <= one[0] <= V4_FIRST + 0xFFFFFFFF)

    def _number(self, field: int, ranges: Ranges) -> int:
        return self._sets[field].setdefault(ranges, len(self._sets[field]))

    def _services(self, boxes: tuple[Box, ...]) -> list[tuple[int, int, int]]:
        """Numbers of sets of protocols, destination and source ports; ports of one protocol are one set."""
        if boxes not in self._boxes:
            ports: dict[tuple[tuple[int, int], tuple[int, int]], list[tuple[int, int]]] = {}
            for box in boxes:
                ports.setdefault((box.proto, box.sport), []).append(box.dport)
            protos: dict[tuple[tuple[int, int], Ranges], list[tuple[int, int]]] = {}
            for (proto, sport), dports in ports.items():
                protos.setdefault((sport, joined(dports)), []).append(proto)
            self._boxes[boxes] = [
                (self._number(PROTO, joined(several)), self._number(DPORT, dports), self._number(SPORT, (sport,)))
                for (sport, dports), several in protos.items()
            ]
        return self._boxes[boxes]


def joined(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Ascending and disjoint."""
    out: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if out and first <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(out[-1][1], last))
        else:
            out.append((first, last))
    return tuple(out)
