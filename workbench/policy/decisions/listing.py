"""What a diagram holds: exact counts, one packet, and its widest rows, by outcome."""

from __future__ import annotations

import heapq
import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.policy.decisions import measure_kernel as K  # noqa: N812
from workbench.policy.decisions.classes import Ranges
from workbench.policy.decisions.runs import Runs
from workbench.policy.decisions.space import Space

#: Ways through a field are named by the node they leave and the child they lead to; None: the field is not asked for.
_Way = tuple[int, int] | None


class Measured:
    """A diagram of a space, ready to be listed by outcome. outcomes: those that are there, but for nothing."""

    def __init__(self, space: Space, diagram: Runs) -> None:
        self.space, self.diagram = space, diagram
        self.arrays: Any = (diagram.fields, diagram.at, diagram.runs)
        self.outcomes = diagram.outcomes()
        before = [list(itertools.accumulate(one.sizes(), initial=0)) for one in space.classes]
        self.wholes = [sums[-1] for sums in before]
        self.limbs = _limbs(self.wholes)
        self.starts = np.zeros((5, max(map(len, before)), K.SIZE), np.uint64)
        for field, sums in enumerate(before):
            self.starts[field, : len(sums)] = _limbs(sums)
        self._firsts: dict[int, list[int]] = {}
        self._whole: dict[int, Ranges] = {}

    def field(self, ref: int) -> int:
        """The field that a reference asks for first; 5: none."""
        return 5 if ref < 0 else int(self.diagram.fields[ref])

    def firsts(self, field: int) -> list[int]:
        """The least value of each class of a field."""
        if field not in self._firsts:
            self._firsts[field] = self.space.classes[field].firsts()
        return self._firsts[field]

    def whole(self, field: int) -> Ranges:
        """All values of a field."""
        if field not in self._whole:
            one = self.space.classes[field]
            self._whole[field] = one.values(np.array([[0, one.count - 1]], np.int32))
        return self._whole[field]


class Listing:
    """One outcome of a diagram."""

    def __init__(self, measured: Measured, outcome: int) -> None:
        self._of, self._want = measured, -1 - outcome
        count = len(measured.diagram.fields)
        self._counts = np.zeros((count + 1, K.LIMBS), np.uint64)
        self._best = np.zeros(count + 1, np.float64)
        self._room = (np.zeros((count + 1, K.SIZE), np.uint64), np.empty(count + 1, np.int64), np.empty((count + 1, 3)))
        K.measure(measured.arrays, self._want, measured.starts, measured.limbs, self._counts, self._best)
        self._edges_of: dict[int, list[tuple[float, float, int]]] = {}
        self._ways_of: dict[int, NDArray[np.int32]] = {}
        self._values_of: dict[tuple[int, int], Ranges] = {}

    def count(self) -> int:
        """Headers, exactly."""
        root = self._of.diagram.root
        place = root + 1 if root >= 0 else 0
        out = sum(int(limb) << 32 * n for n, limb in enumerate(self._counts[place])) if root >= 0 or root == self._want else 0
        for field in range(self._of.field(root)):
            out *= self._of.wholes[field]
        return out

    def _edges(self, ref: int) -> list[tuple[float, float, int]]:
        """Ways through one field, the widest first: the widest row that way, its part up to the child, and the child's place."""
        if ref not in self._edges_of:
            of = self._of
            sums, touched, widths = self._room
            several = int(K.edges(of.arrays, self._want, ref, of.starts, of.limbs, self._best, sums, touched, widths))
            ways = sorted(
                (-values * between * best, values * between, child)
                for (values, between, best), child in zip(widths[:several].tolist(), touched[:several].tolist(), strict=True)
                if best
            )
            self._edges_of[ref] = [(-width, part, child) for width, part, child in ways]
        return self._edges_of[ref]

    def _ref(self, place: int) -> int:
        return place - 1 if place else self._want

    def _runs(self, ref: int) -> NDArray[np.int32]:
        """The runs of a node that lead to another, or to the outcome."""
        at = self._of.diagram.at
        runs = self._of.diagram.runs[at[ref] : at[ref + 1]]
        found: NDArray[np.int32] = runs[(runs[:, 2] >= 0) | (runs[:, 2] == self._want)]
        return found

    def _values(self, way: tuple[int, int]) -> Ranges:
        """The values that lead from a node to a child."""
        if way not in self._values_of:
            ref, child = way
            if ref not in self._ways_of:
                runs = self._runs(ref)
                self._ways_of[ref] = runs[np.argsort(runs[:, 2], kind="stable")]
            ways = self._ways_of[ref]
            first, behind = np.searchsorted(ways[:, 2], [self._ref(child), self._ref(child) + 1])
            self._values_of[way] = self._of.space.classes[self._of.field(ref)].values(ways[first:behind])
        return self._values_of[way]

    def packet(self) -> tuple[int, int, int, int, int] | None:
        """The least (proto, dst, dport, src, sport), classes being numbered by their least values; None where there is none."""
        ref = self._of.diagram.root
        if self.count() == 0:
            return None
        out = [0, 0, 0, 0, 0]
        for field in range(5):
            one = 0
            if self._of.field(ref) == field:
                runs = self._runs(ref)
                one, _, ref = runs[np.flatnonzero(self._best[np.maximum(runs[:, 2] + 1, 0)])[0]].tolist()
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

        root = self._of.diagram.root
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
        return tuple(self._of.whole(field) if way is None else self._values(way) for field, way in enumerate(path))


def _limbs(values: list[int]) -> NDArray[np.uint64]:
    """Numbers below 2**160 as SIZE limbs of 32 bits each."""
    raw = b"".join(value.to_bytes(4 * K.SIZE, "little") for value in values)
    return np.frombuffer(raw, "<u4").reshape(-1, K.SIZE).astype(np.uint64)
