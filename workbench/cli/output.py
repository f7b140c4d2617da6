"""Rows to stdout or a file, as table, JSON, CSV or Parquet, batch by batch in flat memory.

Rows come as Arrow record batches from any number of rows; nothing is written before the first batch is
there, so a query that fails at once leaves stdout empty.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from workbench.cli.formats import Format
from workbench.cli.table import write_table
from workbench.export.rows import Batches, Form, appearing, json_lines, primed, sliced, write_csv, write_form
from workbench.export.text_columns import visible_column

__all__ = ["Batches", "Counted", "json_lines", "write_rows"]

if TYPE_CHECKING:
    from pyarrow import RecordBatch


class Counted:
    """Batches on their way. rows: how many rows there were so far."""

    def __init__(self, batches: Batches) -> None:
        self.schema = batches.schema
        self.rows = 0
        self._batches = batches

    def __iter__(self) -> Iterator[RecordBatch]:
        for batch in self._batches:
            self.rows += batch.num_rows
            yield batch


def write_rows(rows: Batches, form: Format, output: Path | None = None, *, whole: bool = False) -> None:
    """Write all rows. A file appears under its name only once it is complete.

    whole: text of a table is not cut on a terminal either, which wraps its lines: for messages.
    MissingPathError where the file's folder cannot be written, DiskFullError; BrokenPipeError passes through.
    """
    if output is None:
        sys.stdout.flush()
        _write(rows, form, sys.stdout.buffer, terminal=sys.stdout.isatty() and not (whole and form is Format.TABLE))
        sys.stdout.buffer.flush()
        return
    with appearing(output) as sink:
        _write(rows, form, sink, terminal=False)


def _write(rows: Batches, form: Format, sink: BinaryIO, *, terminal: bool) -> None:
    if form is Format.TABLE:
        write_table(rows.schema, sliced(primed(rows)), sink, terminal=terminal)
    elif form is Format.CSV:
        write_csv(rows.schema, sliced(primed(rows)), sink, change=visible_column if terminal else None)
    else:
        write_form(rows, Form(form.value), sink)
