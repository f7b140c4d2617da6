"""What batch readers know of flows between their calls: rows of one kind, in the order of their keys."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def taken(rows: NDArray[Any], places: NDArray[np.int64]) -> NDArray[Any]:
    """Rows at these places, copied as bytes: of several fields NumPy copies one at a time, which takes twenty times as long."""
    blob = np.dtype((np.void, rows.dtype.itemsize))
    return np.ascontiguousarray(rows).view(blob).take(places).view(rows.dtype)


class Held:
    """Rows with a field `key` (int64), each key once, ascending. Bounded by whoever holds it, by `drop`."""

    def __init__(self, blank: NDArray[Any]) -> None:
        """blank: what a new row is, an array of no dimension."""
        self._blank = blank
        self.rows: NDArray[Any] = np.empty(0, blank.dtype)

    def places(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the rows of these keys are, from now on until the next call; what is new gets a blank row."""
        unique, inverse = np.unique(keys, return_inverse=True)
        new = unique[~among(unique, self.rows["key"])]
        if len(new):
            fresh = np.empty(len(new), self._blank.dtype)
            fresh[:] = self._blank
            fresh["key"] = new
            both = joined(self.rows, fresh)
            self.rows = taken(both, np.argsort(both["key"], kind="stable"))
        return np.searchsorted(self.rows["key"], unique)[inverse]

    def drop(self, gone: NDArray[np.bool_]) -> NDArray[Any]:
        """Forget the rows so marked; returns them."""
        out = taken(self.rows, np.flatnonzero(gone))
        if len(out):
            self.rows = taken(self.rows, np.flatnonzero(~gone))
        return out


def joined(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    """Rows one behind the other, copied as bytes."""
    blob = np.dtype((np.void, first.dtype.itemsize))
    return np.concatenate([np.ascontiguousarray(part).view(blob) for part in (first, second)]).view(first.dtype)


def among(keys: NDArray[np.int64], some: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which keys are among some that are ascending."""
    if not len(some):
        return np.zeros(len(keys), bool)
    return some[np.minimum(np.searchsorted(some, keys), len(some) - 1)] == keys  # type: ignore[no-any-return]
