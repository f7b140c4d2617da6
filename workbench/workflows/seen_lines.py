"""Which hashes came before, in bounded memory: lines and flows that are told twice."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Hashes that are remembered, 8 bytes each; behind it the oldest are forgotten, and what comes again then counts again.
MOST: Final = 16_000_000


class Seen:
    """Sorted runs of hashes; neighbours of like size are joined, so that there are few."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._runs: list[NDArray[np.uint64]] = []

    def fresh(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which of these are here for the first time; they are remembered."""
        values, first = np.unique(hashes, return_index=True)
        new = np.ones(len(values), np.bool_)
        for run in self._runs:
            at = np.minimum(np.searchsorted(run, values), len(run) - 1)
            new &= run[at] != values
        mask = np.zeros(len(hashes), np.bool_)
        mask[first[new]] = True
        if new.any():
            self._add(values[new])
        return mask

    def _add(self, values: NDArray[np.uint64]) -> None:
        self._runs.append(values)
        while len(self._runs) > 1 and len(self._runs[-2]) <= 2 * len(self._runs[-1]):
            last = self._runs.pop()
            self._runs[-1] = np.sort(np.concatenate((self._runs[-1], last)), kind="stable")
        while len(self._runs) > 1 and sum(map(len, self._runs)) > self._most:
            del self._runs[0]
