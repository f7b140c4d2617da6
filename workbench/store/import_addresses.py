"""Addresses as text to their halves, many at once: dotted quads without a loop, everything else one by one."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_MAPPED: Final = 0xFFFF_0000_0000
_DOT, _ZERO, _NINE = 46, 48, 57


@lru_cache(maxsize=1 << 16)
def address(text: str) -> tuple[int, int] | None:
    """Both halves of an address as 16 bytes, IPv4 mapped; None for what is none. A zone is left out."""
    try:
        found = ipaddress.ip_address(text.strip().strip("[]").partition("%")[0])
    except ValueError:
        return None
    number = int(found) if found.version == 6 else _MAPPED | int(found)
    return number >> 64, number & 0xFFFF_FFFF_FFFF_FFFF


def halves(texts: pa.StringArray) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.bool_]]:
    """Upper and lower half of each, and whether it is an address. texts: without nulls."""
    count = len(texts)
    high, low, there = np.zeros(count, np.uint64), np.zeros(count, np.uint64), np.zeros(count, np.bool_)
    quads, numbers = _quads(texts)
    low[quads], there[quads] = numbers, True
    for at in np.flatnonzero(~there).tolist():
        found = address(texts[at].as_py())
        if found is not None:
            high[at], low[at], there[at] = *found, True
    return high, low, there


def _quads(texts: pa.StringArray) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Places of dotted quads (RFC 6943, 3.1.1: four decimal numbers, no leading zeros), and their lower halves."""
    if not len(texts):
        return np.empty(0, np.int64), np.empty(0, np.uint64)
    buffers = texts.buffers()
    offsets: NDArray[np.int64] = np.frombuffer(buffers[1], np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(
        np.int64
    )
    data = np.frombuffer(buffers[2], np.uint8) if buffers[2] is not None else np.empty(0, np.uint8)
    dots: NDArray[np.int64] = np.concatenate((np.zeros(1, np.int64), np.cumsum(data == _DOT)))
    digits: NDArray[np.int64] = np.concatenate((np.zeros(1, np.int64), np.cumsum((data >= _ZERO) & (data <= _NINE))))
    start, end = offsets[:-1], offsets[1:]
    length, points = end - start, dots[end] - dots[start]
    good = np.flatnonzero((points == 3) & (digits[end] - digits[start] == length - 3))
    at = np.flatnonzero(data == _DOT)
    first = dots[start[good]]
    places: NDArray[np.int64] = at[first[:, None] + np.arange(3)] if len(good) else np.empty((0, 3), np.int64)
    begins = np.column_stack((start[good], places + 1)).astype(np.int64)
    ends = np.column_stack((places, end[good])).astype(np.int64)
    sizes = ends - begins
    padded = np.concatenate((data, np.zeros(4, np.uint8))).astype(np.int64) - _ZERO
    value = np.zeros(begins.shape, np.int64)
    for n in range(3):
        value = np.where(n < sizes, value * 10 + padded[np.minimum(begins + n, len(padded) - 1)], value)
    fine = ((sizes >= 1) & (sizes <= 3) & (value <= 255) & ((sizes == 1) | (padded[begins] != 0))).all(axis=1)
    number = (value << np.array([24, 16, 8, 0])).sum(axis=1) | _MAPPED
    return good[fine], number[fine].astype(np.uint64)
