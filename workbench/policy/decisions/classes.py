"""The values of a field in classes: all that is said of one value of a class is said of every other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.policy.decisions import classes_kernel as K  # noqa: N812

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Classes:
    """starts: first values of stretches, ascending, and one behind the last; classes: of each stretch (-1: no value at all).

    sets: of each set, its ranges of class numbers from and to which row of `ranges`. bits: of a class number; the last class
    has all numbers behind its own as well. order: stretches by class, those of each from and to which place in `offsets`.
    """

    starts: list[int]
    classes: NDArray[np.int32]
    ranges: NDArray[np.int64]
    sets: NDArray[np.int64]
    count: int
    bits: int
    order: NDArray[np.int64]
    offsets: NDArray[np.int64]

    def sizes(self) -> list[int]:
        """How many values each class has."""
        out = [0] * self.count
        for one, first, behind in zip(self.classes.tolist(), self.starts, self.starts[1:], strict=False):
            if one >= 0:
                out[one] += behind - first
        return out

    def firsts(self) -> list[int]:
        """The least value of each class."""
        return [self.starts[n] for n in self.order[self.offsets[:-1]].tolist()]

    def values(self, some: NDArray[np.int32]) -> Ranges:
        """The values of these classes: first and last of each run of them, ascending."""
        first, behind = self.offsets[some[:, 0]], self.offsets[np.minimum(some[:, 1], self.count - 1) + 1]
        lengths = behind - first
        there = np.repeat(first - np.cumsum(lengths) + lengths, lengths) + np.arange(int(lengths.sum()))
        there = np.sort(self.order[there])
        breaks = np.flatnonzero(np.diff(there) != 1)
        begins, ends = there[np.concatenate([[0], breaks + 1])], there[np.concatenate([breaks, [len(there) - 1]])]
        starts = self.starts
        return tuple((starts[a], starts[b + 1] - 1) for a, b in zip(begins.tolist(), ends.tolist(), strict=True))


def classes_of(sets: Sequence[Ranges], whole: Ranges) -> Classes:
    """The classes of a field. sets: of values inside `whole`, ascending and disjoint; whole: all values there are."""
    everything = [*sets, whole]
    edges = {edge for ranges in everything for first, last in ranges for edge in (first, last + 1)}
    starts = sorted(edges)
    place = {edge: n for n, edge in enumerate(starts)}
    spans = np.array([(place[first], place[last + 1]) for ranges in everything for first, last in ranges], np.int64)
    lengths = np.array([len(ranges) for ranges in everything], np.int64)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    owners = np.repeat(np.repeat(np.arange(len(everything), dtype=np.int64), lengths), 2)
    places = spans.ravel()
    order = np.argsort(places, kind="stable")
    found = np.empty(len(starts) - 1, np.int32)
    count = K.classify(places[order], owners[order], len(everything).bit_length(), len(found), found)
    spans[:, 1] -= 1
    bounds = np.ascontiguousarray(np.stack([ends[:-1], ends[1:]], axis=1)[:-1])
    ranges = np.empty((2 * len(spans) + 16, 2), np.int64)
    into = np.empty_like(bounds)
    while (wanted := K.ranges_of_classes(found, spans, bounds, count, ranges, into)) > len(ranges):
        ranges = np.empty((wanted, 2), np.int64)
    ranges = ranges[:wanted]
    bits = (count - 1).bit_length()
    ranges[ranges[:, 1] == count - 1, 1] = (1 << bits) - 1
    order = np.argsort(found, kind="stable")
    offsets = np.searchsorted(found[order], np.arange(count + 1))
    return Classes(starts, found, ranges, into, count, bits, order, offsets)
