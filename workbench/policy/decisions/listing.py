"""What a diagram holds: exact counts, one packet, and its widest rows, by outcome."""

from __future__ import annotations

import heapq
import itertools
from bisect import bisect_left, bisect_right
from typing import Any

import numpy as np

from workbench.policy.decisions import measure_kernel as K  # noqa: N812
from workbench.policy.decisions.classes import Ranges
from workbench.policy.decisions.space import Space

#: Ways through a field are named by the node they leave and the child they lead to; None: the field is not asked for.
_Way = tuple[int, int] | None


class Measured:
    """A diagram of a space, ready to be listed by outcome. outcomes: those that are there."""

    def __init__(self, space: Space, root: int) -> None:
        self.space, self.root = space, root
        nodes = len(space.store.nodes)
        self.index = np.zeros(nodes + 1, np.int32)
        found = np.empty(nodes + 1, np.int32)
        there = np.zeros(len(space.store.marks), np.uint8)
        if root < 0:
            there[-1 - root] = 1
        count = int(K.entered(space.store.arrays, root, space.fields, self.index, found, there))
        self.outcomes: list[int] = np.flatnonzero(there).tolist()
        self.found = found[:count].copy()
        before = [list(itertools.accumulate(one.sizes(), initial=0)) for one in space.classes]
        self.wholes = [sums[-1] for sums in before]
        self.limbs = np.array([_limbs(whole, K.SIZE) for whole in self.wholes], np.uint64)
        self.starts = np.zeros((5, (1 << int(space.fields[:, 1].max())) + 1, K.SIZE), np.uint64)
        for field, sums in enumerate(before):
            for limb in range(K.SIZE):
                self.starts[field, : len(sums), limb] = [total >> 32 * limb & 0xFFFFFFFF for total in sums]
            self.starts[field, len(sums) :] = self.starts[field, len(sums) - 1]
        levels = [start for start, _ in space.fields.tolist()]
        self._fields = [max(f for f in range(5) if levels[f] <= level) for level in range(int(space.fields[-1].sum()) + 1)]
        self._firsts: dict[int, list[int]] = {}
        self._values: dict[tuple[int, Ranges], Ranges] = {}

    def field(self, ref: int) -> int:
        """The field that a reference asks for first; 5: none."""
        return 5 if ref < 0 else self._fields[int(self.space.store.nodes[ref, 0])]

    def firsts(self, field: int) -> list[int]:
        """The least value of each class of a field."""
        if field not in self._firsts:
            self._firsts[field] = self.space.classes[field].firsts()
        return self._firsts[field]

    def values(self, field: int, some: Ranges | None) -> Ranges:
        """The values of some classes of a field; None: of all."""
        key = field, some or ()
        if key not in self._values:
            one = self.space.classes[field]
            self._values[key] = one.values(((0, one.count - 1),) if some is None else some)
        return self._values[key]


class Listing:
    """One outcome of a diagram."""

    def __init__(self, measured: Measured, outcome: int) -> None:
        self._of, self._want = measured, -1 - outcome
        count = len(measured.found)
        self._counts = np.zeros((count + 1, K.LIMBS), np.uint64)
        self._best = np.zeros(count + 1, np.float64)
        self._room = (np.zeros((count + 1, K.SIZE), np.uint64), np.empty(count + 1, np.int64), np.empty((count + 1, 3)))
        store, fields, index, found = self._arrays()
        K.measure(store, fields, index, found, self._want, measured.starts, measured.limbs, self._counts, self._best)
        self._edges_of: dict[int, list[tuple[float, float, int]]] = {}
        self._ways_of: dict[int, tuple[list[list[int]], list[int]]] = {}

    def _arrays(self) -> Any:
        of = self._of
        return of.space.store.arrays, of.space.fields, of.index, of.found

    def count(self) -> int:
        """Headers, exactly."""
        root = self._of.root
        place = int(self._of.index[root]) if root >= 0 else 0
        out = sum(int(limb) << 32 * n for n, limb in enumerate(self._counts[place])) if root >= 0 or root == self._want else 0
        for field in range(self._of.field(root)):
            out *= self._of.wholes[field]
        return out

    def _edges(self, ref: int) -> list[tuple[float, float, int]]:
        """Ways through one field, the widest first: the widest row that way, its part up to the child, and the child's place."""
        if ref not in self._edges_of:
            of = self._of
            sums, touched, widths = self._room
            place = int(of.index[ref]) - 1
            store, fields, index, found = self._arrays()
            several = int(
                K.edges(store, fields, index, found, self._want, place, of.starts, of.limbs, self._best, sums, touched, widths)
            )
            ways = sorted(
                (-values * between * best, values * between, child)
                for (values, between, best), child in zip(widths[:several].tolist(), touched[:several].tolist(), strict=True)
                if best
            )
            self._edges_of[ref] = [(-width, part, child) for width, part, child in ways]
        return self._edges_of[ref]

    def _ref(self, place: int) -> int:
        return int(self._of.found[place - 1]) if place else self._want

    def _ways(self, ref: int) -> tuple[list[list[int]], list[int]]:
        """Ranges of classes by the place of the child they lead to, and those places; ascending in each."""
        if ref not in self._ways_of:
            out = np.empty((256, 3), np.int64)
            store, fields, index, _ = self._arrays()
            field = self._of.field(ref)
            while (wanted := int(K.ways(store, fields, index, self._want, ref, field, out))) > len(out):
                out = np.empty((wanted, 3), np.int64)
            ways = out[:wanted]
            ways = ways[np.argsort(ways[:, 2], kind="stable")]
            self._ways_of[ref] = ways[:, :2].tolist(), ways[:, 2].tolist()
        return self._ways_of[ref]

    def _classes(self, way: tuple[int, int]) -> Ranges:
        """The classes that lead from a node to a child."""
        ways, children = self._ways(way[0])
        some = ways[bisect_left(children, way[1]) : bisect_right(children, way[1])]
        return tuple((first, last) for first, last in some)

    def packet(self) -> tuple[int, int, int, int, int] | None:
        """The least (proto, dst, dport, src, sport), classes being numbered by their least values; None where there is none."""
        ref = self._of.root
        if self.count() == 0:
            return None
        out = [0, 0, 0, 0, 0]
        for field in range(5):
            one = 0
            if self._of.field(ref) == field:
                ways = ((first, child) for (first, _), child in zip(*self._ways(ref), strict=True) if self._best[child])
                one, child = min(ways)
                ref = self._ref(child)
            out[field] = self._of.firsts(field)[one]
        return out[0], out[1], out[2], out[3], out[4]

    def rows(self, most: int) -> list[tuple[Ranges, ...]]:
        """Disjoint products of ranges of values, field by field: at most so many, the widest first."""
        out: list[tuple[Ranges, ...]] = []
        counter = itertools.count()  # so that ways of one width are never compared further
        heap: list[tuple[float, int, float, tuple[_Way, ...], int, int]] = []

        def follow(width: float, path: tuple[_Way, ...], ref: int, nth: int) -> None:
            edges = self._edges(ref)
            if nth < len(edges):
                heapq.heappush(heap, (-width * edges[nth][0], next(counter), width, path, ref, nth))

        root = self._of.root
        if self.count() == 0:
            return out
        path: tuple[_Way, ...] = (None,) * self._of.field(root)
        if root < 0:
            return [self._named(path)]
        follow(1.0, path, root, 0)
        while heap and len(out) < most:
            _, _, width, path, ref, nth = heapq.heappop(heap)
            _, part, child = self._edges(ref)[nth]
            follow(width, path, ref, nth + 1)
            onward = self._ref(child)
            path = (*path, (ref, child), *(None,) * (self._of.field(onward) - len(path) - 1))
            if onward < 0:
                out.append(self._named(path))
            else:
                follow(width * part, path, onward, 0)
        return out

    def _named(self, path: tuple[_Way, ...]) -> tuple[Ranges, ...]:
        return tuple(self._of.values(field, None if way is None else self._classes(way)) for field, way in enumerate(path))


def _limbs(value: int, count: int) -> list[int]:
    return [value >> 32 * n & 0xFFFFFFFF for n in range(count)]
