"""Everything of one row of an answer, long texts whole as far as a screen can show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from workbench.records.visible import visible
from workbench.tui.looks import text_cell

#: Characters of one value that are shown.
_MOST: Final = 4000


class RowDialog(ModalScreen[None]):
    """Name and value, one below the other; lines of a text stay lines."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss", "Close", id="row.close", tooltip="Back to the rows"),
    ]

    def __init__(self, record: Mapping[str, Any]) -> None:
        super().__init__()
        self._record = record

    def compose(self) -> ComposeResult:
        """The values; arrows scroll."""
        with Vertical(classes="dialog wide"), VerticalScroll(classes="dialog-body"):
            for name, value in self._record.items():
                yield Static(Text(visible(name[:200]), "bold").append("  ").append(_whole(value), "not bold"))


def _whole(value: Any) -> str:
    if not isinstance(value, str):
        return text_cell(value)
    lines = "\n".join(visible(line) for line in value[:_MOST].split("\n"))
    return lines if len(value) <= _MOST else f"{lines}… ({len(value):,} characters)"
