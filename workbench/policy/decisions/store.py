"""Diagrams: the arrays behind them, which grow as they fill, and the answers that need them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.errors import PolicyError
from workbench.policy.decisions import store_kernel as K  # noqa: N812

#: Nodes there is room for at most: 16 bytes each, and 8 to find them again.
_MOST: Final = 1 << 26

#: Nothing, as a reference.
NOTHING: Final = -1


def leaf(value: int) -> int:
    """The diagram that has one outcome everywhere."""
    return -1 - value


class Store:
    """Nodes of diagrams that are compared and joined with each other.

    verdicts: of each outcome (0: nothing; 5: pass). Pairs of outcomes have to fit in 31 bits: 40,000 of them. entries: how many
    are to be joined, by which the first arrays are measured.
    """

    def __init__(self, verdicts: Sequence[int], entries: int = 0) -> None:
        room = min(1 << max(12, (entries * 130).bit_length()), _MOST)
        self._nodes: NDArray[np.int32] = np.empty((room, 4), np.int32)
        self._table = np.zeros(2 * room, np.int32)
        base = len(verdicts) + 1
        self._state = np.array([0, room, len(self._table) - 1, base, base], np.int64)
        self._cache = np.zeros((min(max(room // 4, 1 << 12), 1 << 20), 4), np.int32)
        self._frames = np.zeros((256, 4), np.int64)
        self._verdicts = np.array([*verdicts, 0], np.uint8)  # a place for every value below B: kinds of change are six
        self._kinds = np.zeros(64, np.uint8)
        self.marks: NDArray[np.uint8] = np.zeros((base, 3), np.uint8)
        self._pairs = np.zeros(1 << 16, np.int64)
        self._asked = K.COLLECT

    @property
    def arrays(self) -> Any:
        """What kernels take."""
        return (
            self._nodes, self._table, self._state, self._cache, self._frames, self._verdicts, self._kinds, self.marks,
            self._pairs,
        )  # fmt: skip

    @property
    def nodes(self) -> NDArray[np.int32]:
        """Nodes that there are: level, low, high, flags."""
        return self._nodes[: int(self._state[K.COUNT])]

    def alone(self, first: int) -> int:
        """An outcome with none behind it, as TWO joins them."""
        return int(self._state[K.BASE] + first * self._state[K.WIDE])

    def apply(self, op: int, f: int, g: int) -> int:
        """One diagram of two; PolicyError where it would not fit into memory."""
        while (result := int(K.apply_one(self.arrays, op, f, g))) == K.FULL:
            self._grow()
        return result

    def changes(self, kinds: NDArray[np.uint8], f: int, g: int) -> int:
        """Kinds of change from f to g. kinds: by verdict before and after, 8 by 8. Once a store."""
        self._kinds[:] = kinds.ravel()
        return self.apply(K.PAIR, f, g)

    def fold(self, op: int, refs: NDArray[np.int64]) -> int:
        """All of them joined in their order, neighbours first: each is small while there are many."""
        refs, count = refs.copy(), len(refs)
        while count > 1:
            self._steps(lambda done, n=count: K.fold(self.arrays, op, refs, n, done), count // 2)  # type: ignore[misc]
            count = count // 2 + count % 2
        return int(refs[0]) if count else NOTHING

    def products(self, entries: Any, ranges: Any, sets: Any, values: Any, fields: Any) -> NDArray[np.int64]:
        """A diagram an entry: see the kernel."""
        refs = np.empty(len(entries), np.int64)
        self._steps(lambda done: K.products(self.arrays, entries, ranges, sets, values, fields, done, refs), len(entries))
        return refs

    def met(self, deciding: int, within: int) -> NDArray[np.int64]:
        """Outcomes of `deciding` inside `within`, ascending."""
        self._asked += 1
        self.marks[:, 2] = 0
        self.apply(self._asked, deciding, within)
        return np.flatnonzero(self.marks[:, 2])

    def instead(self) -> dict[int, list[int]]:
        """Who would decide instead of each outcome, as COVER found."""
        out: dict[int, list[int]] = {}
        for pair in sorted(self._pairs[self._pairs > 0].tolist()):
            out.setdefault(pair >> 32, []).append(pair & 0xFFFFFFFF)
        return out

    def _steps(self, kernel: Callable[[int], int], count: int) -> None:
        done = 0
        while (done := int(kernel(done))) < count:
            self._grow()

    def _grow(self) -> None:
        limit = int(self._state[K.LIMIT])
        if limit >= _MOST:
            raise PolicyError(
                "these rules overlap in too many ways to be compared exactly: more than 67 million cases",
                "Compare parts of the policies, or replay flows instead.",
            )
        nodes = np.empty((4 * limit, 4), np.int32)
        nodes[:limit] = self._nodes
        self._nodes = nodes
        self._table = np.zeros(8 * limit, np.int32)
        self._cache = np.zeros((min(4 * len(self._cache), 1 << 21), 4), np.int32)
        self._state[K.LIMIT], self._state[K.MASK] = 4 * limit, len(self._table) - 1
        K.rehash(self.arrays)
