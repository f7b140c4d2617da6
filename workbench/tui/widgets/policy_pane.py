"""One pane beside the text of a policy: a title, some lines that sum it up, and rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Static

from workbench.tui.looks import Look
from workbench.tui.table_source import ArrowSource
from workbench.tui.widgets.rule import TitleRule
from workbench.tui.widgets.virtual_table import VirtualTable


class PaneTable(VirtualTable):
    """Rows of a pane; Enter does what the pane says."""

    BINDINGS = [  # noqa: RUF012  typed so by Textual
        Binding("enter", "choose", "Go", id="policy.row", tooltip="Into what this row is about: its flows, line or version"),
    ]


class PolicyPane(Vertical):
    """Rows are Arrow tables whose columns the looks name; what else they have is for whoever handles Enter."""

    DEFAULT_CSS = """
    PolicyPane { display: none; height: 1fr; }
    PolicyPane .pane-head { height: auto; max-height: 6; padding: 0 1; }
    PolicyPane PaneTable { height: 1fr; }
    """

    def __init__(self, name: str, title: str, looks: Sequence[Look], empty: str) -> None:
        super().__init__(id=f"policy-{name}")
        self.pane = name
        self._title, self._looks, self._empty = title, looks, empty
        self._rows: pa.Table | None = None

    def compose(self) -> ComposeResult:
        """Title, sum, rows."""
        yield TitleRule(self._title)
        yield Static("", classes="pane-head", markup=False)
        yield PaneTable(self._looks, empty=self._empty, id=f"policy-{self.pane}-rows")

    @property
    def table(self) -> VirtualTable:
        """The rows."""
        return self.query_one(PaneTable)

    @property
    def record(self) -> dict[str, Any] | None:
        """The row under the cursor."""
        return self.table.record

    @property
    def said(self) -> str:
        """The lines above the rows."""
        return self._said.plain

    _said = Text()

    def tell(self, title: str, head: Text, empty: str | None = None) -> None:
        """Title and sum; the rows stay."""
        self.query_one(TitleRule).title = title
        if head != self._said:
            self._said = head
            self.query_one(".pane-head", Static).update(head)
        if empty is not None and empty != self._empty:
            self._empty = empty
            self.table.set_empty(empty)

    def show(self, rows: pa.Table) -> None:
        """Other rows; the cursor stays where it is. The same ones again repaint nothing."""
        if self._rows is None or not rows.equals(self._rows):
            self._rows = rows
            self.table.set_source(ArrowSource(rows), None, min(self.table.cursor_row, max(0, rows.num_rows - 1)))

    def clear(self) -> None:
        """No rows."""
        if self._rows is not None and self._rows.num_rows:
            self.show(self._rows.slice(0, 0))
