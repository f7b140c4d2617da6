"""All rows of an answer to a file: the query is run again, so that nothing is left out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from workbench.errors import CancelledError, WorkbenchError
from workbench.export.rows import Form
from workbench.records.visible import visible
from workbench.store.query import Stop
from workbench.tui import figures
from workbench.tui.data import CaseData
from workbench.tui.once import once
from workbench.tui.sql_asking import Query
from workbench.workflows.ask import write_out
from workbench.workflows.exported import rows_exported

_FORMS: Final = tuple(Form)
#: Seconds between words on how far it is.
_STEP: Final = 0.1


class RowsDialog(ModalScreen[None]):
    """The file's name and format; then how far it is, and where it lies."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Cancel", id="rows.cancel", tooltip="Stop writing, or close"),
        Binding("down", "form(1)", "Format", id="rows.format", tooltip="CSV, JSON, Parquet"),
        Binding("up", "form(-1)", "Format back", id="rows.format_back", tooltip="The format before", show=False),
    ]

    @dataclass
    class _Moved(Message):
        rows: int

    @dataclass
    class _Ended(Message):
        out: Path
        rows: int
        error: Exception | None
        note: str = ""

    def __init__(self, data: CaseData, query: Query) -> None:
        super().__init__()
        self._data, self._query = data, query
        self._form = 0
        self._stop = Stop()
        self._writing = self._written = False
        self._confirmed = ""

    def compose(self) -> ComposeResult:
        """Format, name, news."""
        with Vertical(classes="dialog wide"):
            yield Static(Text("All rows of this query to a file", style="bold"), classes="dialog-title")
            yield Static(id="rows-form")
            yield Input(value=f"{self._query.name or 'result'}.csv", compact=True, id="rows-file")
            yield Static(id="rows-news")
            yield Static(id="rows-keys", classes="dialog-keys")

    def on_mount(self) -> None:
        """What there is to choose."""
        self._tell()

    def _tell(self) -> None:
        form = _FORMS[self._form]
        words = {
            Form.CSV: "texts that a spreadsheet would take for a formula begin with an apostrophe",
            Form.JSON: "one array of objects",
            Form.PARQUET: "types are kept",
        }[form]
        line = Text("format  ", "bold")
        for one in _FORMS:
            line.append(f"▸ {one} " if one is form else f"  {one} ", "bold" if one is form else "dim")
        self.query_one("#rows-form", Static).update(line.append(f"  {words}", "not bold"))
        keys = (
            "Esc stops" if self._writing else "Enter or Esc closes" if self._written else "Enter writes, Down format, Esc closes"
        )
        self.query_one("#rows-keys", Static).update(Text(keys, style="dim"))

    def _say(self, words: str, *, bad: bool = False) -> None:
        self.query_one("#rows-news", Static).update(Text(f"{'✗ ' if bad else ''}{words}", style="bold" if bad else ""))

    def action_form(self, by: int) -> None:
        """The next format; the name follows."""
        if self._writing or self._written:
            return
        old = _FORMS[self._form]
        self._form = (self._form + by) % len(_FORMS)
        line = self.query_one(Input)
        if line.value.endswith(f".{old}"):
            line.value = line.value.removesuffix(f".{old}") + f".{_FORMS[self._form]}"
        self._tell()

    def action_leave(self) -> None:
        """Stop; else close."""
        if self._writing:
            self._stop.stop()
            self._say("Stopping.")
            once(self, _STEP, self._stop_again)
        else:
            self.dismiss()

    def _stop_again(self) -> None:
        if self._writing:
            self.action_leave()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Another name is another question; its ending chooses the format."""
        event.stop()
        self._confirmed = ""
        ending = event.value.rpartition(".")[2].lower()
        if ending in [form.value for form in _FORMS] and not self._writing:
            self._form = [form.value for form in _FORMS].index(ending)
            self._tell()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Begin."""
        event.stop()
        if self._written:
            self.dismiss()
        if self._writing or self._written:
            return
        name = event.value.strip()
        if not name or "\0" in name:
            self._say("A file needs a name.", bad=True)
            return
        path = Path(name).expanduser()
        if path.is_dir():
            self._say(f"{visible(str(path))} is a folder.", bad=True)
            return
        if path.exists() and self._confirmed != name:
            self._confirmed = name
            self._say(f"{visible(str(path))} exists. Enter again replaces it.", bad=True)
            return
        self._writing, self._stop = True, Stop()
        self._say("Asking.")
        self._tell()
        work = partial(self._write, path.absolute(), _FORMS[self._form], self._stop)
        self.run_worker(work, group="rows", thread=True, exit_on_error=False)

    def _write(self, out: Path, form: Form, stop: Stop) -> None:
        told = 0.0

        def moved(rows: int) -> None:
            nonlocal told
            if time.monotonic() - told >= _STEP:
                told = time.monotonic()
                self.post_message(self._Moved(rows))

        query = self._query
        try:
            rows = self._data.rows(query.sql, query.params, query.view, stop)
            count = write_out(rows, out, form, stop, moved, guard=True)
            self.post_message(self._Ended(out, count, None, rows_exported(self._data.path, out, query.sql, count)))
        except Exception as error:  # every failure is shown
            self.post_message(self._Ended(out, 0, error))

    def on_rows_dialog__moved(self, message: _Moved) -> None:
        """How far it is."""
        if self._writing and not self._stop.stopped:
            self._say(f"{message.rows:,} rows.")

    def on_rows_dialog__ended(self, message: _Ended) -> None:
        """Where it lies, or why there is nothing."""
        self._writing = False
        error = message.error
        if isinstance(error, CancelledError):
            self._say("Stopped; nothing was written.", bad=True)
        elif isinstance(error, WorkbenchError):
            self._say(f"{visible(error.message[:400])} {visible(error.remedy)}", bad=True)
        elif error is not None:
            self._say(f"{type(error).__name__}: {visible(str(error)[:400])}. This is a fault in workbench.", bad=True)
        else:
            self._written = True
            size = figures.words_size(message.out.stat().st_size) if message.out.exists() else ""
            self._say(
                f"✓ {message.rows:,} rows, {size}, in\n{visible(str(message.out))}"
                + (f"\n{visible(message.note)}" if message.note else "")
            )
        self._tell()

    def on_unmount(self) -> None:
        """Closed by force: stop."""
        self._stop.stop()
