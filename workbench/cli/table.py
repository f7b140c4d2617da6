"""Tables for people: aligned columns of visible text, streamed, no markup, no frame.

Widths come from the first rows; on a terminal the table is kept to its width by shortening wide text and,
where that is not enough, by leaving out columns and saying which.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO, Final

import pyarrow as pa
from rich.cells import cell_len, set_cell_size

from workbench.cli.messages import tell
from workbench.export.text_columns import is_numeric, text_column, visible_column
from workbench.records.visible import visible

#: Rows that set the widths; later cells that are wider stick out rather than being cut (except on a terminal).
_MEASURED: Final = 1_000
#: Text narrower than this is never shortened: an IPv4 address stays whole.
_KEPT: Final = 15
_GAP: Final = "  "


@dataclass(slots=True)
class _Layout:
    """The columns that are shown: their numbers, widths in cells, and which stand on the right."""

    columns: list[int]
    widths: list[int]
    right: list[bool]
    left_out: list[str]


def write_table(schema: pa.Schema, batches: Iterable[pa.RecordBatch], sink: BinaryIO, *, terminal: bool) -> None:
    """Write the rows as an aligned table (UTF-8). Names of columns that do not fit go to stderr."""
    stream = (_cells(batch) for batch in batches)
    empty: list[list[str]] = [[] for _ in schema]
    first = next(stream, empty)
    names = [visible(name) for name in schema.names]
    right = [is_numeric(field.type) for field in schema]
    whole = [is_numeric(field.type) or pa.types.is_timestamp(field.type) for field in schema]
    limit = shutil.get_terminal_size((80, 24)).columns if terminal else None
    layout = _layout(names, first, right, whole, limit)
    bold, plain = ("\x1b[1m", "\x1b[0m") if terminal and styled() else ("", "")
    header = _line([names[n] for n in layout.columns], layout, cut=terminal)
    sink.write(f"{bold}{header}{plain}\n".encode(errors="backslashreplace"))
    sink.writelines(
        "".join(_lines(cells, layout, cut=terminal)).encode(errors="backslashreplace") for cells in chain([first], stream)
    )
    if layout.left_out:
        sink.flush()
        left_out = ", ".join(layout.left_out)
        tell(f"{len(layout.left_out)} columns do not fit: {left_out} (a wider terminal or another --format shows them)")


def styled() -> bool:
    """Whether escape sequences for bold and colour are welcome (no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def _cells(batch: pa.RecordBatch) -> list[list[str]]:
    """Columns of visible text; null is empty."""
    return [visible_column(text_column(column).fill_null("")).to_pylist() for column in batch.columns]


def _layout(names: list[str], cells: list[list[str]], right: list[bool], whole: list[bool], limit: int | None) -> _Layout:
    widths = [
        max([cell_len(name), *(cell_len(cell) for cell in column[:_MEASURED])]) for name, column in zip(names, cells, strict=True)
    ]
    columns = list(range(len(names)))
    if limit is not None:
        _shorten(widths, whole, limit)
        while len(columns) > 1 and _total(widths, columns) > limit:
            columns.pop()
    shown = set(columns)
    left_out = [name for n, name in enumerate(names) if n not in shown]
    return _Layout(columns, [widths[n] for n in columns], [right[n] for n in columns], left_out)


def _shorten(widths: list[int], whole: list[bool], limit: int) -> None:
    """Narrow the widest text columns, a cell at a time, down to _KEPT; numbers and times are never cut."""
    columns = list(range(len(widths)))
    while _total(widths, columns) > limit:
        widest = max((n for n in columns if not whole[n]), key=lambda n: widths[n], default=None)
        if widest is None or widths[widest] <= _KEPT:
            return
        widths[widest] -= 1


def _total(widths: list[int], columns: list[int]) -> int:
    return sum(widths[n] for n in columns) + len(_GAP) * (len(columns) - 1)


def _lines(cells: list[list[str]], layout: _Layout, *, cut: bool) -> Iterator[str]:
    for row in zip(*(cells[n] for n in layout.columns), strict=True):
        yield _line(row, layout, cut=cut) + "\n"


def _line(row: Iterable[str], layout: _Layout, *, cut: bool) -> str:
    parts = [_fit(cell, width, right=right, cut=cut) for cell, width, right in zip(row, layout.widths, layout.right, strict=True)]
    return _GAP.join(parts).rstrip()


def _fit(cell: str, width: int, *, right: bool, cut: bool) -> str:
    size = len(cell) if cell.isascii() else cell_len(cell)
    if size > width:
        return set_cell_size(cell, max(width - 1, 0)) + "\u2026" if cut and width else cell
    return " " * (width - size) + cell if right else cell + " " * (width - size)
