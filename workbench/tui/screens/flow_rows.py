"""What other tables have about one flow: its DNS, TLS, slices, findings and so on, whatever tables name it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import pyarrow as pa
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Static

from workbench.analysis.metadata import MOST_ROWS, rows_of, tables_of_flows
from workbench.errors import CancelledError
from workbench.records.columns import Table
from workbench.store.reader import Question
from workbench.tui import figures
from workbench.tui.data import CaseData
from workbench.tui.latest import Latest
from workbench.tui.screens.dialog import ErrorDialog
from workbench.tui.table_source import ArrowSource, looks_of
from workbench.tui.widgets.virtual_table import VirtualTable


class FlowRows(ModalScreen[None]):
    """One table at a time; Tab goes on to the next that has rows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Close", id="rows.close", tooltip="Stop looking, and back to the flows"),
        Binding("tab", "turn(1)", "Next table", id="rows.next", tooltip="The next table with rows of this flow", priority=True),
        Binding(
            "shift+tab", "turn(-1)", "Table before", show=False, id="rows.previous", tooltip="The table before", priority=True
        ),
    ]

    @dataclass
    class _Found(Message):
        table: Table
        rows: pa.Table

    @dataclass
    class _Failed(Message):
        error: Exception

    @dataclass
    class _Done(Message):
        pass

    def __init__(self, data: CaseData, flow_id: int, what: str) -> None:
        """what: the flow in words, visible already."""
        super().__init__()
        self._what, self._flow_id = what, flow_id
        self._question: Question = data.question()
        self._lane = Latest(self, "rows of a flow")
        self._found: list[tuple[Table, pa.Table]] = []
        self._at = 0
        self._ended = False

    def compose(self) -> ComposeResult:
        """Which tables there are, and the rows of one."""
        with Vertical(classes="dialog tall wide"):
            yield Static(Text(self._what, style="bold", no_wrap=True, overflow="ellipsis"), classes="dialog-title")
            yield Static(id="rows-tables")
            yield VirtualTable(looks_of(pa.schema([("flow_id", pa.int64())])), empty="Looking.", id="rows-table")
            yield Static(Text("Tab to the next table, Esc closes", style="dim"), classes="dialog-keys")

    @property
    def resting(self) -> bool:
        """Whether every table was looked into."""
        return not self._lane.busy

    def on_mount(self) -> None:
        """Look."""
        self.set_focus(self.query_one(VirtualTable))
        self._tell()
        self._lane.ask(partial(self._look, self._question))

    def on_unmount(self) -> None:
        """Nobody waits any more."""
        self._question.stop()

    def _look(self, question: Question) -> None:
        try:
            for table in tables_of_flows():
                rows = rows_of(question, table, self._flow_id)
                if rows.num_rows:
                    self.post_message(self._Found(table, rows))
            self.post_message(self._Done())
        except CancelledError:
            return
        except Exception as error:  # every failure is shown
            self.post_message(self._Failed(error))

    def on_flow_rows__found(self, message: _Found) -> None:
        """A table has rows; the first is shown at once."""
        message.stop()
        self._found.append((message.table, message.rows))
        if len(self._found) == 1:
            self._show()
        self._tell()

    def on_flow_rows__done(self, message: _Done) -> None:
        """There are no more."""
        message.stop()
        self._ended = True
        self.query_one(VirtualTable).set_empty("No other table has a row of this flow.")
        self._tell()

    def on_flow_rows__failed(self, message: _Failed) -> None:
        """Say so."""
        message.stop()
        self._ended = True
        self.app.push_screen(ErrorDialog.of(message.error))

    def on_virtual_table_moved(self, message: VirtualTable.Moved) -> None:
        """Nobody else's business."""
        message.stop()

    def _show(self) -> None:
        _, rows = self._found[self._at]
        shown = rows.drop_columns(["flow_id"]) if rows.num_columns > 1 else rows
        table = self.query_one(VirtualTable)
        table.set_looks(looks_of(shown.schema, shown.slice(0, 512)))
        table.set_source(ArrowSource(shown), None, 0)

    def _tell(self) -> None:
        text = Text(no_wrap=True, overflow="ellipsis")
        for n, (table, rows) in enumerate(self._found):
            words = f"{table.name} {figures.count(rows.num_rows)}{'+' if rows.num_rows == MOST_ROWS else ''}"
            text.append(f"[{words}]" if n == self._at else f" {words} ", "bold" if n == self._at else "")
        if not self._ended:
            text.append(" looking, Esc stops", "dim")
        self.query_one("#rows-tables", Static).update(text)

    def action_turn(self, by: int) -> None:
        """Another table."""
        if self._found:
            self._at = (self._at + by) % len(self._found)
            self._show()
            self._tell()

    def action_leave(self) -> None:
        """Stop, and close."""
        self._question.stop()
        self.dismiss()
