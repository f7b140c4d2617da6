"""Texts that were seen before, by the keyed hash that a kernel made of their bytes: what costs is done once for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

#: Distinct texts of a kind that are remembered.
MOST: Final = 16_384
#: Up to so many rows are cheaper one by one than by sorting.
_FEW: Final = 64


class Seen(Generic[T]):
    """Values made of texts, numbered from 0. Bounded: `forget` drops those that nobody holds a number of."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.values: list[T] = []
        self._keys: list[int] = []
        self._numbers: dict[int, int] = {}

    def numbers(self, keys: NDArray[np.uint64], make: Callable[[int], T]) -> NDArray[np.int32]:
        """The number of each key's value, -1 where the key is 0; make: the value of the text in that row."""
        found = np.full(len(keys), -1, np.int32)
        there = np.flatnonzero(keys)
        if not there.size:
            return found
        if there.size <= _FEW:
            for row in there.tolist():
                key = int(keys[row])
                number = self._numbers.get(key)
                found[row] = self._add(key, make(row)) if number is None else number
            return found
        unique, first, inverse = np.unique(keys[there], return_index=True, return_inverse=True)
        numbers = np.empty(len(unique), np.int32)
        for place, key in enumerate(unique.tolist()):
            number = self._numbers.get(key)
            if number is None:
                number = self._add(key, make(int(there[first[place]])))
            numbers[place] = number
        found[there] = numbers[inverse]
        return found

    def _add(self, key: int, value: T) -> int:
        number = self._numbers[key] = len(self.values)
        self.values.append(value)
        self._keys.append(key)
        return number

    def forget(self, held: NDArray[np.int32]) -> NDArray[np.int32]:
        """Once there are too many, keep only those whose numbers are given; returns their new numbers."""
        if len(self.values) <= self.most:
            return held
        kept, inverse = np.unique(held, return_inverse=True)
        there = [number for number in kept.tolist() if number >= 0]
        values, keys = [self.values[n] for n in there], [self._keys[n] for n in there]
        self.values, self._keys = values, keys
        self._numbers = {key: number for number, key in enumerate(keys)}
        renumbered: NDArray[np.int32] = (inverse - (len(kept) - len(there))).astype(np.int32)
        return renumbered


class Spread:
    """Columns of one list of small numbers (-1 upwards): what each number means is asked for once."""

    def __init__(self, numbers: NDArray[Any]) -> None:
        self._few = numbers.tolist() if len(numbers) <= _FEW else None
        if self._few is None:
            there = np.zeros(int(numbers.max()) + 2, np.int32)
            there[numbers + 1] = 1
            self.unique: list[int] = (np.flatnonzero(there) - 1).tolist()
            self._inverse = (np.cumsum(there) - 1)[numbers + 1]
        else:
            self.unique = list(dict.fromkeys(self._few))

    def column(self, value: Callable[[int], Any], kind: Any = None) -> Any:
        """An Arrow column of what the numbers mean, text unless said otherwise; null where that is None."""
        import pyarrow as pa

        made = {number: value(number) for number in self.unique}
        if self._few is not None:
            return pa.array([made[number] for number in self._few], kind or pa.string())
        return pa.array(list(made.values()), kind or pa.string()).take(pa.array(self._inverse))
