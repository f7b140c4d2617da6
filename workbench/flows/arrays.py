"""NumPy values as Arrow arrays: numbers without a copy, text by kernels into Arrow's own buffers, names as dictionaries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.flows.community import ID_LENGTH, community_ids
from workbench.flows.text import IP_ROOM, MAC_ROOM, ip_blobs, ip_texts, mac_texts


def _pack(present: NDArray[np.uint8]) -> tuple[pa.Buffer | None, int]:
    nulls = len(present) - int(np.count_nonzero(present))
    if nulls == 0:
        return None, 0
    return pa.py_buffer(np.packbits(present, bitorder="little")), nulls


def numbers(values: NDArray[Any], kind: pa.DataType, present: NDArray[np.uint8] | None = None) -> pa.Array:
    """Numbers of any Arrow type of their width; null where `present` is 0."""
    mask, nulls = (None, 0) if present is None else _pack(present)
    return pa.Array.from_buffers(kind, len(values), [mask, pa.py_buffer(values)], nulls)


def times(micros: NDArray[np.int64]) -> pa.Array:
    """Times in us since 1970."""
    return numbers(micros, pa.timestamp("us"))


def optional(values: NDArray[np.int32]) -> pa.Array:
    """Integers; negative ones are null."""
    return numbers(values, pa.int32(), (values >= 0).view(np.uint8))


def texts(offsets: NDArray[np.int32], data: NDArray[np.uint8], present: NDArray[np.uint8] | None) -> pa.Array:
    """Text from Arrow's own buffers; null where `present` is 0."""
    mask, nulls = (None, 0) if present is None else _pack(present)
    return pa.Array.from_buffers(pa.utf8(), len(offsets) - 1, [mask, pa.py_buffer(offsets), pa.py_buffer(data)], nulls)


def addresses(high: NDArray[np.uint64], low: NDArray[np.uint64], present: NDArray[np.uint8] | None = None) -> pa.Array:
    """Canonical text of addresses in two halves."""
    count = len(high)
    offsets = np.empty(count + 1, np.int32)
    data = np.empty(count * IP_ROOM, np.uint8)
    shown = np.ones(count, np.uint8) if present is None else present
    used = ip_texts(high, low, shown, offsets, data)
    return texts(offsets, data[:used], present)


def macs(values: NDArray[np.int64]) -> pa.Array:
    """Text of MACs; negative ones are null."""
    count = len(values)
    present = np.empty(count, np.uint8)
    offsets = np.empty(count + 1, np.int32)
    data = np.empty(count * MAC_ROOM, np.uint8)
    used = mac_texts(values, present, offsets, data)
    return texts(offsets, data[:used], present)


def blobs(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> pa.Array:
    """Addresses as 16 bytes each."""
    count = len(high)
    data = np.empty(count * 16, np.uint8)
    ip_blobs(high, low, data)
    offsets = np.arange(0, 16 * count + 1, 16, dtype=np.int32)
    return pa.Array.from_buffers(pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(data)], 0)


def dictionary(codes: NDArray[np.int32], values: pa.Array, present: NDArray[np.uint8] | None = None) -> pa.Array:
    """Values by their codes; null where `present` is 0."""
    return pa.DictionaryArray.from_arrays(numbers(codes, pa.int32(), present), values)


def constant(text: str, count: int) -> pa.Array:
    """One text, `count` times."""
    return dictionary(np.zeros(count, np.int32), pa.array([text], pa.utf8()))


def named(keys: NDArray[np.uint64], name: Callable[[int], str], *, null_zero: bool = False) -> pa.Array:
    """A dictionary column of the names of 64-bit keys; with null_zero, key 0 is null."""
    if len(keys) and bool((keys == keys[0]).all()):
        found, codes = keys[:1], np.zeros(len(keys), np.int32)
    else:
        found, places = np.unique(keys, return_inverse=True)
        codes = np.ascontiguousarray(places, np.int32)
    values = pa.array([name(int(k)) for k in found], pa.utf8())
    present = (keys != 0).view(np.uint8) if null_zero else None
    return dictionary(codes, values, present)


def communities(words: NDArray[np.uint64], ports: NDArray[np.int32], kinds: NDArray[np.uint8]) -> pa.Array:
    """Community ids, see `community.community_ids`."""
    count = len(kinds)
    data = np.empty(count * ID_LENGTH, np.uint8)
    community_ids(np.ascontiguousarray(words), np.ascontiguousarray(ports), kinds, data)
    return texts(np.arange(0, ID_LENGTH * count + 1, ID_LENGTH, dtype=np.int32), data, None)
