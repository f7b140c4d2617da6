"""Rows as text that leaves the app: lines, CSV, SQL, a filter of ours, one of tshark's.

What comes from the wire is made visible in all of them: what is copied may be pasted into a terminal or a spreadsheet.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from workbench.records.visible import visible
from workbench.tui.looks import Look, text_cell
from workbench.tui.tshark_filter import tshark_filter

#: With one of these at its beginning a spreadsheet takes a cell for a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Form:
    """One way to copy. make: the text, made when it is chosen; suffix: of a file with it."""

    name: str
    about: str
    suffix: str
    make: Callable[[], str]


def flow_forms(rows: Rows, looks: Sequence[Look], value: str) -> list[Form]:
    """The ways to copy flows; value: of the cell under the cursor, '' for none. looks: the columns, as they are shown."""
    ids = [int(row["flow_id"]) for row in rows]
    forms = [Form("value", visible(value[:60]), "txt", lambda: value)] if value else []
    return [
        *forms,
        *table_forms(rows, looks),
        Form("SQL", "a SELECT of exactly these flows", "sql", lambda: as_sql(ids)),
        Form("filter", "for the filter bar and --filter", "txt", lambda: as_filter(ids)),
        Form("tshark", "a display filter: tuples, tags and times", "txt", lambda: tshark_filter(rows)),
    ]


def table_forms(rows: Rows, looks: Sequence[Look]) -> list[Form]:
    """The ways to copy rows of anything."""
    return [
        Form("text", "the columns that are shown, one row a line", "txt", lambda: as_text(rows, looks)),
        Form("CSV", "the columns that are shown, exact values", "csv", lambda: as_csv(rows, looks)),
    ]


def as_text(rows: Rows, looks: Sequence[Look]) -> str:
    """One row a line, columns aligned, as a table shows them."""
    lines = [[look.heading for look in looks], *([look.text(row.get(look.name)) for look in looks] for row in rows)]
    if len(rows) == 1:
        return "  ".join(cell.strip() for cell in lines[1] if cell.strip())
    widths = [max(len(line[n]) for line in lines) for n in range(len(looks))]
    rights = [look.right for look in looks]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width) for cell, width, right in zip(line, widths, rights, strict=True)
        ).rstrip()
        for line in lines
    )


def as_csv(rows: Rows, looks: Sequence[Look]) -> str:
    """RFC 4180 with a line of column names; exact values, times with Z, nothing for what is missing."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([cell(look.name) for look in looks])
    writer.writerows([[cell(row.get(look.name)) for look in looks] for row in rows])
    return out.getvalue()


def cell(value: Any) -> str:
    """A value in CSV. A text that a spreadsheet would take for a formula gets an apostrophe in front."""
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return value.isoformat(timespec="microseconds") + "Z"
    if isinstance(value, str):
        # A tab or return is a formula's beginning, too: asked before it is made visible.
        text = visible(value)
        return f"'{text}" if value.startswith(_FORMULA) or text.startswith(_FORMULA) else text
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, int | float) else text_cell(value)


def as_sql(ids: Sequence[int]) -> str:
    """Exactly these flows, in the plain duckdb shell as well."""
    listed = ", ".join(str(int(n)) for n in ids)
    return f"SELECT * FROM flows WHERE flow_id IN ({listed}) ORDER BY ts, flow_id"  # noqa: S608  whole numbers


def as_filter(ids: Sequence[int]) -> str:
    """Exactly these flows, in our filter language."""
    if len(ids) == 1:
        return f"flow_id == {int(ids[0])}"
    return f"flow_id in {{{', '.join(str(int(n)) for n in ids)}}}"
