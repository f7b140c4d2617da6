"""Texts and rows as whole numbers whose order is theirs, so that everything after is sorting numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def text_codes(column: pa.ChunkedArray) -> tuple[Ints, list[str]]:
    """0 for null, else 1 + the rank of the text among those that occur; and these texts in order."""
    encoded = pc.dictionary_encode(column.cast(pa.utf8()).combine_chunks())
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    texts = encoded.dictionary.to_pylist()
    order = sorted(range(len(texts)), key=texts.__getitem__)
    rank = np.empty(len(texts) + 1, np.int64)
    rank[np.array(order, np.int64)] = np.arange(1, len(texts) + 1)
    rank[len(texts)] = 0
    places = pc.fill_null(encoded.indices.cast(pa.int64()), len(texts)).to_numpy(zero_copy_only=False)
    return rank[places], [texts[n] for n in order]


def row_codes(columns: Sequence[Ints]) -> Ints:
    """The rank of each row among those that occur, by the first column, then the second and so on."""
    if not len(columns[0]):
        return np.empty(0, np.int64)
    code = _ranks(columns[0])
    for column in columns[1:]:
        other = _ranks(column)
        code = _ranks(code * (int(other.max()) + 1) + other)  # both are below the number of rows
    return code


def _ranks(values: Ints) -> Ints:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)
