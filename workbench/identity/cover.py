"""The greatest (or all) of many ranges over every place: n log m whatever the ranges are.

A range is split into two blocks of the same power of two that together cover it, as in a sparse table; then, from the
longest blocks to the shortest, what is noted of a block is handed to its two halves. That works for whatever may be
counted twice without harm: the greatest, or bits that are set.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def greatest(size: int, begin: Ints, end: Ints, value: Ints) -> Ints:
    """For each of `size` places the greatest value, 0 or more, of the ranges [begin, end) over it; -1 where none is."""
    return _spread(size, begin, end, value, np.maximum, -1)


def all_bits(size: int, begin: Ints, end: Ints, bits: Ints) -> Ints:
    """For each of `size` places the bits that any of the ranges [begin, end) over it has."""
    return _spread(size, begin, end, bits, np.bitwise_or, 0)


def _spread(size: int, begin: Ints, end: Ints, value: Ints, join: np.ufunc, nothing: int) -> Ints:
    length = end - begin
    here = length > 0
    begin, end, value, length = begin[here], end[here], value[here], length[here]
    found = np.full(size, nothing, np.int64)
    if not len(length):
        return found
    level = _log2(length)
    order = np.argsort(level, kind="stable")
    ends = np.searchsorted(level[order], np.arange(int(level.max()) + 2))
    for k in range(int(level.max()), -1, -1):
        mine = order[ends[k] : ends[k + 1]]
        join.at(found, begin[mine], value[mine])
        join.at(found, end[mine] - (1 << k), value[mine])
        if k:  # found[i] is so far of the block of 2^k from i: it is that of both halves
            half = 1 << (k - 1)
            later = found[: size - half].copy()
            found[half:] = join(found[half:], later)
    return found


def _log2(length: Ints) -> Ints:
    """Whole binary logarithms, exact: the exponent of a double is, up to 2^53."""
    return (np.frexp(length.astype(np.float64))[1] - 1).astype(np.int64)
