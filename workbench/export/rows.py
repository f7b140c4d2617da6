"""Rows to a file or a stream as JSON, CSV or Parquet, batch by batch in flat memory.

Rows come as Arrow record batches from any number of rows; nothing is written before the first batch is
there, so a query that fails at once leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.errors import DiskFullError, MissingPathError, UsageError
from workbench.export.text_columns import csv_column, is_text, json_column, text_column

#: Rows turned into text at once: large enough for vector speed, small enough to stay in cache.
_SLICE: Final = 16_384
#: Rows of one Parquet row group; what DuckDB and others write, too.
_ROW_GROUP: Final = 122_880


class Form(StrEnum):
    """How rows are written to a file that programs read."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


class Batches(Protocol):
    """A result that is read once: its schema and its record batches (pyarrow.RecordBatchReader is one)."""

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""

    def __iter__(self) -> Iterator[pa.RecordBatch]: ...


def write_file(rows: Batches, form: Form, output: Path, *, guard: bool = False) -> None:
    """Write all rows to a file. guard: for CSV, see `guarded_column`. Raises what `appearing` does."""
    with appearing(output) as sink:
        if form is Form.CSV and guard:
            write_csv(rows.schema, sliced(_guarded(rows)), sink)
        else:
            write_form(rows, form, sink)


def write_form(rows: Batches, form: Form, sink: BinaryIO) -> None:
    """Write all rows to a stream."""
    batches = primed(rows)
    match form:
        case Form.JSON:
            write_json(rows.schema, sliced(batches), sink)
        case Form.CSV:
            write_csv(rows.schema, sliced(batches), sink)
        case Form.PARQUET:
            write_parquet(rows.schema, batches, sink)


@contextlib.contextmanager
def appearing(output: Path) -> Iterator[BinaryIO]:
    """A file to write to that appears under its name only once all went well; a device or a pipe is written to as it is.

    MissingPathError where the file's folder cannot be written, DiskFullError.
    """
    output = output.resolve()
    part = output.with_name(f".{output.name}.{os.getpid()}.part")
    try:
        if output.exists() and not output.is_file():  # renaming over /dev/null would take it from everybody
            with output.open("wb") as sink:
                yield sink
            return
        with part.open("xb") as sink:
            yield sink
        part.replace(output)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(f"{output}: no space left", "Free some space and run the command again.") from error
        why = f"{output} cannot be written: {error.strerror or error}"
        raise MissingPathError(why, "Name a folder that you can write to.") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def primed(rows: Batches) -> Iterator[pa.RecordBatch]:
    """The batches, the first already fetched: errors of the query come before any output."""
    batches = iter(rows)
    return chain([first] if (first := next(batches, None)) is not None else [], batches)


def sliced(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """In slices that stay in cache."""
    for batch in batches:
        for start in range(0, batch.num_rows, _SLICE):
            yield batch.slice(start, _SLICE)


def json_lines(schema: pa.Schema, batch: pa.RecordBatch) -> pa.Array:
    """One JSON object a row, as utf8."""
    parts: list[pa.Array | str] = []
    for n, name in enumerate(_distinct(schema.names)):
        parts += [("{" if n == 0 else ", ") + _json_text(name) + ": ", json_column(batch.column(n))]
    return pc.binary_join_element_wise(*parts, "}", "")


def _distinct(names: list[str]) -> list[str]:
    """A name that came before gets a number: readers of JSON keep one value a name."""
    out: list[str] = []
    for name in names:
        new, n = name, 0
        while new in out or (n and new in names):
            n += 1
            new = f"{name}_{n}"
        out.append(new)
    return out


def _json_text(text: str) -> str:
    return str(json_column(pa.array([text], pa.utf8()))[0].as_py())


def write_json(schema: pa.Schema, batches: Iterable[pa.RecordBatch], sink: BinaryIO) -> None:
    """One array of objects."""
    separator = b"[\n"
    for batch in batches:
        lines = json_lines(schema, batch)
        sink.write(separator)
        sink.write(_joined(lines.slice(0, len(lines) - 1), ",\n"))
        sink.write(lines[-1].as_buffer())
        separator = b",\n"
    sink.write(b"\n]\n" if separator == b",\n" else b"[]\n")


def write_csv(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], sink: BinaryIO, change: Callable[[pa.Array], pa.Array] | None = None
) -> None:
    """CRLF line ends, as RFC 4180 has them. change: what becomes of every field, such as being made visible."""
    change = change or _unchanged
    header = change(csv_column(pa.array(schema.names, pa.utf8())))
    sink.write((",".join(header.to_pylist()) + "\r\n").encode())
    for batch in batches:
        fields: list[pa.Array | str] = []
        for column in batch.columns:
            fields += [",", change(csv_column(column))]
        sink.write(_joined(pc.binary_join_element_wise(*fields[1:], ""), "\r\n"))


def _unchanged(fields: pa.Array) -> pa.Array:
    return fields


def _guarded(rows: Batches) -> Iterator[pa.RecordBatch]:
    """The same rows, texts that a spreadsheet takes for a formula behind an apostrophe (OWASP, CSV injection)."""
    for batch in primed(rows):
        columns = [guarded_column(text_column(column)) if is_text(column.type) else column for column in batch.columns]
        yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def guarded_column(column: pa.Array) -> pa.Array:
    """Text that begins with = + - @, a tab or a line end gets an apostrophe before it."""
    return pc.replace_substring_regex(column, r"\A([=+\-@\t\r\n\x{ff1d}\x{ff0b}\x{ff0d}\x{ff20}])", r"'\1")


def _joined(lines: pa.Array, end: str) -> memoryview:
    """Every line followed by `end`, as one stretch of memory: the used part of the array's own buffer, not copied."""
    if len(lines) == 0:
        return memoryview(b"")
    ended = pc.binary_join_element_wise(lines, end, "")
    used = np.frombuffer(ended.buffers()[1], dtype=np.int32)[ended.offset + len(ended)]
    return memoryview(ended.buffers()[2])[:used]


def write_parquet(schema: pa.Schema, batches: Iterable[pa.RecordBatch], sink: BinaryIO) -> None:
    """Row groups of about a hundred thousand rows. UsageError for types that Parquet lacks."""
    from pyarrow import parquet

    try:
        with parquet.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, compression="zstd") as writer:
            for group in _grouped(batches):
                rows = pa.Table.from_batches(group, schema)
                writer.write_table(rows, row_group_size=rows.num_rows)
    except pa.ArrowNotImplementedError as error:  # intervals, among others
        raise UsageError(f"Parquet cannot hold this result: {error}", "Cast such columns to VARCHAR.") from error


def _grouped(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Batches in lists of about a row group each."""
    group: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        group.append(batch)
        rows += batch.num_rows
        if rows >= _ROW_GROUP:
            yield group
            group, rows = [], 0
    if group:
        yield group
