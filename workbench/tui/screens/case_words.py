"""What a case's screen says about the rows it shows, and where there are none."""

from __future__ import annotations

from typing import Final

from workbench.tui import figures
from workbench.tui.data import Sorting, View
from workbench.tui.widgets.virtual_table import VirtualTable

_EMPTY: Final = "No flows.\nThe ledger (L) says what was in the capture."
_EMPTY_SPAN: Final = "No flows in this time range.\nPress T for the range before, R for everything."
_EMPTY_FILTER: Final = "No flow passes the filter{span}.\nBackspace takes the last one back, / changes it."


def flows_title(table: VirtualTable, sorting: Sorting, shown: View, flows: int) -> str:
    """`34 of 193 flows, row 2, by start ▲, columns 6-9 of 44`; shown: what the rows obey, flows: all of the case."""
    arrow = "▼" if sorting.descending else "▲"
    look = next((look for look in table.looks if look.name == sorting.column), None)
    where = f", row {table.cursor_row + 1:,}" if table.total else ""
    of = f" of {figures.count(flows)}" if shown.filter else ""
    title = f"{figures.count(table.total)}{of} flows{where}, by {look.heading if look else sorting.column} {arrow}"
    first, last = table.columns_in_view
    return f"{title}, columns {first}-{last} of {len(table.looks)}" if last else title


def nothing(view: View) -> str:
    """What stands where a view has no rows."""
    if view.filter:
        return _EMPTY_FILTER.format(span=" in this time range" if view.span is not None else "")
    return _EMPTY if view.span is None else _EMPTY_SPAN
