"""Arrow columns as text, column by column in C++ or NumPy: no Python loop over rows where it matters.

The same text for one value in every format: UTC times as ``2024-01-31T12:00:00.123456Z``, blobs as
lower-case hex, booleans as true and false, nested values as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.records.visible import visible

#: Two ASCII hex digits for each byte value, as one little-endian 16-bit number.
_HEX_PAIRS: Final = np.frombuffer(bytes(range(256)).hex().encode("ascii"), dtype=np.uint16)

#: What may not stand raw in a JSON string (RFC 8259 section 7), and what should not reach a terminal.
_JSON_ESCAPE: Final = r'["\\\x{0000}-\x{001f}\x{007f}-\x{009f}\p{Cf}\p{Zl}\p{Zp}]'
_CSV_QUOTE: Final = r'^$|[",\r\n]'
_NOT_PLAIN: Final = r"[^\x20-\x7e]"


def text_column(column: pa.Array) -> pa.Array:
    """The column as utf8 of the same length; nulls stay null."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return pc.take(text_column(column.dictionary), column.indices)
    if pa.types.is_timestamp(kind):
        return _iso_times(column)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _hex(column.cast(pa.binary()))
    if pa.types.is_fixed_size_binary(kind):
        return _hex(column.cast(pa.binary()))
    if is_text(kind) or _is_number(kind) or pa.types.is_boolean(kind) or pa.types.is_date(kind) or pa.types.is_time(kind):
        return column.cast(pa.utf8())
    if pa.types.is_null(kind):
        return column.cast(pa.utf8())
    return pa.array([None if value is None else _nested(value) for value in column.to_pylist()], pa.utf8())


def csv_column(column: pa.Array) -> pa.Array:
    """The column as CSV fields (RFC 4180): null is an empty field, empty text is ``""``."""
    text = text_column(column)
    if not _may_need_quotes(column.type) or not (_has_byte(text, b'",\r\n') or pc.any(pc.equal(text, "")).as_py()):
        return text.fill_null("")
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(text, '"', '""'), '"', "")
    return pc.if_else(pc.match_substring_regex(text, _CSV_QUOTE), quoted, text).fill_null("")


def json_column(column: pa.Array) -> pa.Array:
    """The column as JSON values (RFC 8259): null, NaN and infinities are ``null``."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return pc.take(json_column(column.dictionary), column.indices).fill_null("null")
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_finite(column), column.cast(pa.utf8()), "null").fill_null("null")
    text = text_column(column)
    if _is_number(kind) or pa.types.is_boolean(kind) or pa.types.is_nested(kind):
        return text.fill_null("null")
    quoted = pc.binary_join_element_wise('"', text, '"', "")
    if _has_byte(text, b'"\\', plain=True):
        risky = pc.match_substring_regex(text, _JSON_ESCAPE)
        escaped = pa.array([json.dumps(value) for value in text.filter(risky).to_pylist()], pa.utf8())
        quoted = pc.replace_with_mask(quoted, risky.fill_null(False), escaped)
    return quoted.fill_null("null")


def visible_column(column: pa.Array) -> pa.Array:
    """A utf8 column with everything that could act on a terminal spelled out (`records.visible`)."""
    if not _has_byte(column, b"", plain=True):
        return column
    risky = pc.match_substring_regex(column, _NOT_PLAIN).fill_null(False)
    shown = pa.array([visible(value) for value in column.filter(risky).to_pylist()], pa.utf8())
    return pc.replace_with_mask(column, risky, shown)


def rows_table(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows given as dictionaries by column name, as a table of the schema; absent keys are null."""
    found = list(rows)
    return pa.table([pa.array([row.get(field.name) for row in found], field.type) for field in schema], names=schema.names)


def is_numeric(kind: pa.DataType) -> bool:
    """Whether values of the type stand on the right of their table column."""
    return bool(_is_number(kind) or (pa.types.is_dictionary(kind) and _is_number(kind.value_type)))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def is_text(kind: pa.DataType) -> bool:
    """Whether values of the type are text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _may_need_quotes(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _may_need_quotes(kind.value_type)
    return not (_is_number(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind) or pa.types.is_binary(kind))


def _has_byte(text: pa.Array, marks: bytes, *, plain: bool = False) -> bool:
    """Whether any value of a utf8 column holds one of these bytes or, with `plain`, anything but printable ASCII.

    Where it does not, the patterns above cannot match: almost every column of addresses and states is settled by
    this one look at its bytes, at a tenth of what a pattern costs.
    """
    data = text.buffers()[2]
    if data is None or len(text) == 0:
        return False
    offsets = np.frombuffer(text.buffers()[1], dtype=np.int32)
    found = np.frombuffer(data, dtype=np.uint8)[offsets[text.offset] : offsets[text.offset + len(text)]]
    if found.size and plain and (found.min() < 0x20 or found.max() > 0x7E):
        return True
    return any((found == mark).any() for mark in marks)


def _iso_times(column: pa.Array) -> pa.Array:
    """Cast gives ``2024-01-31 12:00:00.123456``, whatever the year; a zone is dropped: values are UTC."""
    naive = column.cast(pa.timestamp(column.type.unit, "UTC")).cast(pa.timestamp(column.type.unit))
    text = pc.replace_substring(naive.cast(pa.utf8()), " ", "T", max_replacements=1)
    zoned = pc.binary_join_element_wise(text, "Z", "")
    if not _has_byte(text, b"<"):
        return zoned
    endless = pc.if_else(pc.greater(naive.cast(pa.int64()), 0), "infinity", "-infinity")  # a query's; no packet has such a time
    return pc.if_else(pc.starts_with(text, "<"), endless, zoned)


def _hex(column: pa.Array) -> pa.Array:
    """Binary (32-bit offsets) to hex text: one table look-up over all bytes of the column at once."""
    offsets = np.frombuffer(column.buffers()[1], dtype=np.int32)[column.offset : column.offset + len(column) + 1]
    data = column.buffers()[2]
    raw = np.frombuffer(data, dtype=np.uint8)[offsets[0] : offsets[-1]] if data is not None else np.empty(0, np.uint8)
    digits = pa.py_buffer(_HEX_PAIRS[raw])
    text = pa.Array.from_buffers(pa.utf8(), len(column), [None, pa.py_buffer((offsets - offsets[0]) * 2), digits])
    return pc.if_else(column.is_valid(), text, pa.scalar(None, pa.utf8())) if column.null_count else text


def _nested(value: Any) -> str:
    """A list, struct or map as JSON; an interval as ISO 8601 has durations; anything else as it calls itself."""
    if hasattr(value, "months"):
        seconds, nanoseconds = divmod(value.nanoseconds, 10**9)
        return f"P{value.months}M{value.days}DT{seconds}" + (f".{nanoseconds:09}" if nanoseconds else "") + "S"
    if isinstance(value, list | dict | tuple):
        return json.dumps(value, default=_plain)
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "isoformat"):
        return value.isoformat() + ("Z" if hasattr(value, "hour") and getattr(value, "tzinfo", None) is None else "")
    return str(value)
