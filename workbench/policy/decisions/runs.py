"""A diagram field by field: of each node, which classes of its field lead where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.policy.decisions import measure_kernel as K  # noqa: N812

if TYPE_CHECKING:
    from workbench.policy.decisions.space import Space


@dataclass(frozen=True, slots=True)
class Runs:
    """root: a reference, the number of a node or -1 less an outcome. fields: of each node; below it are nodes of lower numbers.

    runs: first class, last class and the reference they lead to, ascending, those of each node from and to which place in `at`.
    Classes that lead to nothing (outcome 0) have none; a field that does not matter on a way has no node there.
    """

    root: int
    fields: NDArray[np.uint8]
    at: NDArray[np.int64]
    runs: NDArray[np.int32]

    def outcomes(self) -> set[int]:
        """Those that are there, but for nothing."""
        found = {-1 - int(ref) for ref in np.unique(self.runs[:, 2]) if ref < 0}
        return found if self.root >= 0 else {-1 - self.root} - {0}

    def outcome(self, classes: Sequence[int]) -> int:
        """What it says of one class of each field."""
        ref = self.root
        while ref >= 0:
            runs = self.runs[self.at[ref] : self.at[ref + 1]]
            one = classes[int(self.fields[ref])]
            there = runs[(runs[:, 0] <= one) & (runs[:, 1] >= one), 2]
            ref = int(there[0]) if len(there) else -1
        return -1 - ref


def of_diagram(space: Space, root: int) -> Runs:
    """The same of a diagram of the store."""
    store = space.store
    if root < 0:
        return Runs(root, np.empty(0, np.uint8), np.zeros(1, np.int64), np.empty((0, 3), np.int32))
    index, found = np.zeros(len(store.nodes), np.int32), np.empty(len(store.nodes), np.int32)
    count = int(K.entered(store.arrays, root, space.fields, index, found))
    fields, at = np.empty(count, np.uint8), np.zeros(count + 1, np.int64)
    runs = np.empty((16 * count + 16, 3), np.int32)
    sizes = np.array([one.count for one in space.classes], np.int64)
    while (wanted := int(K.unfold(store.arrays, space.fields, sizes, index, found[:count], fields, at, runs))) > len(runs):
        runs = np.empty((wanted, 3), np.int32)
    return Runs(count - 1, fields, at, runs[:wanted])
