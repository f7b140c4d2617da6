"""Choosing the column to sort by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from workbench.tui.data import Sorting
from workbench.tui.looks import Look


class ColumnPicker(ModalScreen[Sorting | None]):
    """All columns with what they mean; typing narrows the list. Choosing the sorted one reverses it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", id="sort.cancel", tooltip="Keep the order as it is"),
        Binding("down", "step(1)", "Down", show=False, id="sort.down", tooltip="Next column", priority=True),
        Binding("up", "step(-1)", "Up", show=False, id="sort.up", tooltip="Previous column", priority=True),
    ]

    def __init__(self, looks: Sequence[Look], sorting: Sorting) -> None:
        super().__init__()
        self._looks = tuple(looks)
        self._sorting = sorting

    def compose(self) -> ComposeResult:
        """A line to narrow the list, and the list."""
        with Vertical(classes="dialog tall"):
            yield Static(Text("Sort by", style="bold"), classes="dialog-title")
            yield Input(placeholder="type to narrow: bytes, ip, rtt…", compact=True)
            yield OptionList(*self._options(""))
            yield Static(
                Text("Enter sorts, largest first; the sorted column again reverses; Esc closes", style="dim"),
                classes="dialog-keys",
            )

    def on_mount(self) -> None:
        """Stand on the sorted column."""
        options = self.query_one(OptionList)
        names = [look.name for look in self._looks]
        options.highlighted = names.index(self._sorting.column) if self._sorting.column in names else 0

    def _options(self, narrowed: str) -> list[Option]:
        found = []
        width = max(len(look.heading) for look in self._looks)
        for look in self._looks:
            if narrowed.lower() in f"{look.name} {look.heading} {look.meaning}".lower():
                mark = "▼" if self._sorting.descending else "▲"
                text = Text(f"{mark if look.name == self._sorting.column else ' '} ")
                text.append(f"{look.heading:<{width}}", "bold").append(f"  {look.name}: {look.meaning}", "dim")
                text.no_wrap, text.overflow = True, "ellipsis"
                found.append(Option(text, id=look.name))
        return found

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow the list."""
        options = self.query_one(OptionList)
        options.clear_options().add_options(self._options(event.value.strip()))
        if options.option_count:
            options.highlighted = 0

    def on_input_submitted(self) -> None:
        """Enter in the line chooses what is highlighted."""
        self.query_one(OptionList).action_select()

    def action_step(self, by: int) -> None:
        """Move through the list while typing."""
        options = self.query_one(OptionList)
        (options.action_cursor_down if by > 0 else options.action_cursor_up)()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Sort by it."""
        name = event.option.id or "ts"
        self.dismiss(next_sorting(self._sorting, name))


#: Columns of which the largest or latest is rarely what one looks for first.
_ASCENDING_FIRST = frozenset({"ts", "ts_end", "flow_id", "first_offset", "last_offset"})


def next_sorting(now: Sorting, column: str) -> Sorting:
    """The order after choosing a column: the same one reversed, or a new one the useful way round."""
    if column == now.column:
        return Sorting(column, not now.descending)
    return Sorting(column, column in _NUMBERS and column not in _ASCENDING_FIRST)


def _number_columns() -> frozenset[str]:
    from workbench.records.columns import FLOWS, Type

    kinds = (Type.BIGINT, Type.DOUBLE, Type.INTEGER)
    ports = {"src_port", "dst_port", "proto", "vlan", "vni", "inner_vlan", "outer_vlan"}
    return frozenset(c.name for c in FLOWS.columns if c.type in kinds and c.name not in ports)


#: And of groups: the largest is what one looks for.
_NUMBERS = _number_columns() | {"flows", "packets", "bytes", "last", "peers"}
