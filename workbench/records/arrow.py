"""Arrow schemas of the tables, derived from the one column list."""

from __future__ import annotations

from functools import cache

import pyarrow as pa

from workbench.records.columns import BY_NAME, Type

_ARROW = {
    Type.BIGINT: pa.int64(),
    Type.INTEGER: pa.int32(),
    Type.DOUBLE: pa.float64(),
    Type.BOOLEAN: pa.bool_(),
    Type.VARCHAR: pa.utf8(),
    Type.BLOB: pa.binary(),
    Type.TIMESTAMP: pa.timestamp("us"),
}


@cache
def arrow_schema(table: str) -> pa.Schema:
    """The Arrow schema of a table of `records.columns`; KeyError for an unknown one."""
    return pa.schema([pa.field(c.name, _ARROW[c.type], nullable=c.null) for c in BY_NAME[table].columns])
