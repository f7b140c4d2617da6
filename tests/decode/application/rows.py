"""Checks rows against the list of columns."""

from __future__ import annotations

from typing import Any

from workbench.decode.application.protocol import MOST_TEXT, Row
from workbench.records.columns import BY_NAME
from workbench.records.shape import Type

_KINDS = {Type.VARCHAR: str, Type.INTEGER: int, Type.BIGINT: int, Type.BOOLEAN: bool, Type.TIMESTAMP: int}
_ROOM = {Type.INTEGER: 31, Type.BIGINT: 63}


def fits(row: Row) -> None:
    """The row has only columns of its table, of their types, none longer than a text may be, and all that may not be null."""
    table, values = row
    columns = {column.name: column for column in BY_NAME[table].columns}
    assert set(values) <= set(columns), set(values) - set(columns)
    for name, value in values.items():
        column = columns[name]
        if value is None:
            continue
        assert isinstance(value, _KINDS[column.type]), (table, name, value)
        if column.type in _ROOM:
            assert -(1 << _ROOM[column.type]) <= value < 1 << _ROOM[column.type], (table, name, value)
        if isinstance(value, str):
            assert len(value) <= 8 * MOST_TEXT
            value.encode()
            assert "\0" not in value
    for name, column in columns.items():
        assert column.null or name == "flow_id" or values.get(name) is not None, (table, name)


def plain(row: Row) -> dict[str, Any]:
    """Its values that are there, without the time."""
    fits(row)
    return {name: value for name, value in row[1].items() if value is not None and name != "ts"}
