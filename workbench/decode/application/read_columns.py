"""What batch readers hand out as columns of a table: rows made one by one, and pieces made one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from workbench.records.arrow import arrow_schema


def columns_of(table: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows as columns; a number that its column cannot hold (a day between request and reply) is null."""
    columns: dict[str, Any] = {name: np.array([row[name] for row in rows], np.int64) for name in ("n", "ts")}
    for field in arrow_schema(table):
        if field.name not in ("flow_id", "ts"):
            values = [row.get(field.name) for row in rows]
            if pa.types.is_int32(field.type):
                values = [value if value is None or abs(value) < 1 << 31 else None for value in values]
            columns[field.name] = pa.array(values, field.type)
    return columns


def joined(pieces: list[dict[str, Any]]) -> dict[str, Any]:
    """Columns of several pieces, at least one, one behind the other."""
    if len(pieces) == 1:
        return pieces[0]
    return {
        name: (np.concatenate if name in ("n", "ts") else pa.concat_arrays)([piece[name] for piece in pieces])
        for name in pieces[0]
    }
