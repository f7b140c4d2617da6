"""SQL over the case: an editor, the rows of the answer or a plot of them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static

from workbench.errors import CancelledError, QueryError, WorkbenchError
from workbench.records.columns import FLOWS
from workbench.records.visible import visible
from workbench.store.known import Known
from workbench.tui import figures
from workbench.tui.data import Summary, View
from workbench.tui.growing_rows import GrowingRows
from workbench.tui.latest import Latest
from workbench.tui.looks import Look, text_cell
from workbench.tui.past_filters import QUERIES, past_filters, remember_filter
from workbench.tui.screens.export_rows import RowsDialog
from workbench.tui.screens.row import RowDialog
from workbench.tui.screens.saved_queries import ParameterForm, Saved, SavedPicker, saved_of
from workbench.tui.sql_asking import Came, Ended, Query, SqlAsking
from workbench.tui.sql_words import words_of
from workbench.tui.table_source import looks_of
from workbench.tui.views.base import FLOW_KEYS, KEEP_KEYS, TIMELINE_KEYS, CaseView, Subject
from workbench.tui.widgets.plot import Plot
from workbench.tui.widgets.rule import TitleRule
from workbench.tui.widgets.sql_editor import SqlEditor, SqlText
from workbench.tui.widgets.virtual_table import VirtualTable

_EMPTY: Final = "Write a query above; F5, ctrl+r or ctrl+enter runs it.\nctrl+o has the saved ones: hunts, detections, views."
_START: Final = "SELECT src_ip, count(*) AS flows, sum(src_bytes) AS src_bytes\nFROM flows GROUP BY src_ip ORDER BY flows DESC"
_NO_COLUMNS: Final = (Look("", "", "", 8, 8, False, "", text_cell),)
#: Characters of a query that go to the history and to where the person was.
_KEPT: Final = 16_384
#: Seconds between looks at a query that runs, and before which nothing is said of it.
_TICK, _QUIET = 0.25, 0.5


@dataclass
class Learned(Message):
    """What can be named was asked."""

    known: Known


@dataclass
class Listed(Message):
    """The saved questions were read."""

    saved: list[Saved]
    refused: int
    error: WorkbenchError | None


class SqlView(CaseView):
    """One query at a time; its rows are kept up to a bound, which is said."""

    number = 7
    name_ = "SQL"
    about = "Questions in SQL: yours and saved ones, their rows, plots of them."

    DEFAULT_CSS = """
    SqlView { layout: vertical; }
    SqlView #sql-ask { height: 8; }
    SqlView #sql-error { height: auto; max-height: 4; display: none; color: $text-error; padding: 0 1; }
    SqlView #sql-error.-shown { display: block; }
    SqlView #sql-answer { height: 1fr; }
    SqlView #sql-rows { height: 1fr; }
    SqlView #sql-plot, SqlView.-plotted #sql-rows { display: none; }
    SqlView.-plotted #sql-plot { display: block; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "out", "Out of the editor", id="sql.out", tooltip="Stop a query; else to the answer: keys are keys"),
        Binding("f5,ctrl+r,ctrl+enter,ctrl+j", "run", "Run", id="sql.run", tooltip="Run the query, or what is selected of it"),
        Binding("ctrl+t", "narrow", "All/filtered", id="sql.narrow", tooltip="Ask all flows, or those of filter and time range"),
        Binding("ctrl+o", "saved", "Saved", id="sql.saved", tooltip="Hunts, detections and views: ask one, or edit its SQL"),
        Binding("ctrl+g,v", "plot", "Plot", id="sql.plot", tooltip="The answer as a plot, or as rows again"),
        Binding("e", "export", "Export", id="sql.export", tooltip="All rows of the answer to a file: CSV, JSON, Parquet"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self.narrowed = False
        self.last: Query | None = None
        self.rows: GrowingRows | None = None
        self._asking: SqlAsking | None = None
        self._names = Latest(self, "sql names")
        self._known_at = -1
        self._past: list[str] = []
        self._at = 0
        self._draft = ""
        self._saved: Saved | None = None
        self._values: Mapping[str, Any] = {}
        self._ended: Ended | None = None
        self._ticker: Timer | None = None

    def compose(self) -> ComposeResult:
        """The query; its answer."""
        with Vertical(id="sql-ask"):
            yield TitleRule(id="sql-title")
            yield SqlEditor(id="sql-editor")
            yield Static(id="sql-error")
        with Container(id="sql-answer"):
            yield TitleRule(id="sql-answer-title")
            yield VirtualTable(_NO_COLUMNS, empty=_EMPTY, id="sql-rows")
            yield Plot(id="sql-plot")

    @property
    def idle(self) -> frozenset[str]:
        """By its columns the answer may have flows, or values that a filter can name; or neither."""
        names = {look.name for look in self.table.looks}
        found = TIMELINE_KEYS if "flow_id" in names else TIMELINE_KEYS | FLOW_KEYS
        return found | KEEP_KEYS if names.isdisjoint(FLOWS.names) else found

    # -- parts ------------------------------------------------------------------------------------

    @property
    def editor(self) -> SqlEditor:
        """The query."""
        return self.query_one(SqlEditor)

    @property
    def table(self) -> VirtualTable:
        """The rows."""
        return self.query_one("#sql-rows", VirtualTable)

    @property
    def plot(self) -> Plot:
        """The plot."""
        return self.query_one(Plot)

    @property
    def plotted(self) -> bool:
        """Whether the answer is shown as a plot."""
        return self.has_class("-plotted")

    @property
    def answer(self) -> VirtualTable | Plot:
        """What shows the answer now."""
        return self.plot if self.plotted else self.table

    def on_mount(self) -> None:
        """A query to begin with."""
        self._ticker = self.set_interval(_TICK, self._tell, pause=True)
        if not self.editor.text:
            self.editor.put(_START)
        self._titles()

    def enter(self) -> None:
        """To the rows, or where there are none yet to the query."""
        self.screen.set_focus(self.answer if self.table.total else self.editor.area)

    def leave(self) -> None:
        """Stop what is asked."""
        if self._asking is not None:
            self._asking.stop()

    def stop(self) -> bool:
        """Stop a query; else out of the editor, so that keys are keys again."""
        if self._asking is not None and self._asking.stop():
            self._tell()
            return True
        if self.editor.area.has_focus:
            self.screen.set_focus(self.answer)
            return True
        if self.plotted:
            self.action_plot()
            return True
        return False

    @property
    def busy(self) -> bool:
        """Whether a query runs."""
        return self._asking is not None and self._asking.busy

    @property
    def resting(self) -> bool:
        """Whether nothing is asked."""
        return not (self.busy or self._names.busy or self.plot.busy)

    @property
    def activity(self) -> str:
        """How long it has been running."""
        if self._asking is None or not self._asking.busy or self._ended is not None:
            return ""
        if self._asking.stopping:
            return "stopping the query"
        seconds = time.monotonic() - self._asking.began
        return "" if seconds < _QUIET else f"query runs, {figures.duration(round(seconds, 1))}, Esc stops"

    # -- the frame --------------------------------------------------------------------------------

    def obey(self, view: View, summary: Summary) -> None:  # noqa: ARG002  the frame's words
        """Learn the names; a query is asked again only by its key, since it may be long."""
        data = self.frame.data
        if data is None:
            return
        if self._asking is None:
            self._asking = SqlAsking(self, data)
            self._past = past_filters(data.path, QUERIES)
            self._at = len(self._past)
        if data.generation != self._known_at:
            self._known_at = data.generation
            self._names.ask(self._learn)
        self._titles()

    def _learn(self) -> None:
        data = self.frame.data
        try:
            if data is not None:
                self.post_message(Learned(data.known()))
        except (CancelledError, WorkbenchError):  # then there are no completions; the query itself says what is wrong
            self._known_at = -1

    def on_learned(self, message: Learned) -> None:
        """Completions know the names."""
        message.stop()
        self.editor.known = message.known

    def subject(self) -> Subject | None:
        """The query that was asked; the flow of the row, where the answer has one."""
        if self.last is None:
            return None
        key = self.last.name or hashlib.sha256(self.last.sql.encode()).hexdigest()[:16]
        record = self.table.record
        flow = record if record is not None and isinstance(record.get("flow_id"), int) else None
        return Subject("query", key, visible(" ".join(self.last.sql.split())[:120]), flow=flow)

    def text(self) -> str:
        """The value under the cursor."""
        record = self.table.record
        return "" if record is None else self.table.column.text(record.get(self.table.column.name))

    def keep_value(self) -> tuple[str, object] | None:
        """Where the column is one of flows."""
        record, name = self.table.record, self.table.column.name
        if record is None or name not in FLOWS.names or record.get(name) is None:
            return None
        return name, record[name]

    def place(self) -> dict[str, Any]:
        """The query and how it is asked."""
        return {"sql": self.editor.text[:_KEPT], "narrowed": self.narrowed}

    def restore(self, place: Mapping[str, Any]) -> None:
        """The query, not asked: it may be long."""
        sql = place.get("sql")
        if isinstance(sql, str) and sql.strip() and sql != self.editor.text:
            self.editor.put(sql)
        self.narrowed = place.get("narrowed") is True
        self._titles()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002  Textual's signature
        """The way out of the editor is a key only there."""
        return action != "out" or self.editor.area.has_focus

    async def action_out(self) -> None:
        """What Esc does everywhere; it is named here, since digits and letters are text until then."""
        await self.run_action("screen.back")

    # -- asking -----------------------------------------------------------------------------------

    def action_run(self) -> None:
        """Ask what is in the editor."""
        sql = self.editor.asked
        self.editor.settle()
        if sql:
            used = {word.text[1:] for word in words_of(sql) if word.kind == "parameter"}
            values = {name: value for name, value in self._values.items() if name in used}
            same = self._saved is not None and sql == self._saved.sql.strip()
            self.ask(sql, values, self._saved.id if same and self._saved is not None else "")

    def ask(self, sql: str, params: Mapping[str, Any] | None = None, name: str = "") -> None:
        """Ask a query; the one before is stopped."""
        data = self.frame.data
        if self._asking is None or data is None:
            self.frame.tell("SQL", "The case is still being read.")
            return
        self._complain("")
        self.last = Query(sql, params or {}, self.frame.view if self.narrowed else None, name)
        self._remember(sql)
        self._ended = None
        self._asking.ask(self.last)
        if self._ticker is not None:
            self._ticker.resume()
        self._tell()

    def _remember(self, sql: str) -> None:
        data = self.frame.data
        if data is None or len(sql) > _KEPT:
            return
        self._past = [*(one for one in self._past if one != sql), sql]
        self._at = len(self._past)
        remember_filter(data.path, sql, QUERIES)

    def on_sql_text_recalled(self, message: SqlText.Recalled) -> None:
        """An earlier query into the editor; behind the latest, what was being written."""
        message.stop()
        if self._at >= len(self._past):
            self._draft = self.editor.text
        at = max(0, min(len(self._past), self._at + message.by))
        if at != self._at and self._past:
            self._at = at
            self.editor.put(self._past[at] if at < len(self._past) else self._draft)

    def on_sql_text_cleaned(self, message: SqlText.Cleaned) -> None:
        """Say that it is not quite what was pasted."""
        message.stop()
        self.frame.tell("Pasted", "Characters that cannot be shown became \N{WHITE SQUARE}, or the text was too long and is cut.")

    # -- saved questions --------------------------------------------------------------------------

    def action_saved(self) -> None:
        """Choose one; the files are read each time, since they may be the person's own."""
        self._names.ask(self._list_saved)

    def _list_saved(self) -> None:
        from workbench.store.views import view_statements
        from workbench.workflows.hunt import library

        try:
            found = library()
        except WorkbenchError as error:
            self.post_message(Listed([], 0, error))
            return
        self.post_message(Listed(saved_of(found.questions, view_statements()), len(found.refused), None))

    def on_listed(self, message: Listed) -> None:
        """Show the list."""
        message.stop()
        if message.error is not None:
            self.frame.say(message.error)
        elif not isinstance(self.app.screen, SavedPicker):
            self.app.push_screen(SavedPicker(message.saved, message.refused), self._picked)

    def _picked(self, picked: tuple[Saved, bool] | None) -> None:
        if picked is None:
            return
        saved, run = picked
        question = saved.question
        if run and question is not None and question.parameters:
            self.app.push_screen(ParameterForm(question, {}), partial(self._filled, saved))
        else:
            self._open(saved, question.values() if question is not None else {}, run=run)

    def _filled(self, saved: Saved, values: Mapping[str, Any] | None) -> None:
        if values is not None:
            self._open(saved, values, run=True)

    def _open(self, saved: Saved, values: Mapping[str, Any], *, run: bool) -> None:
        """Its SQL into the editor; values of its parameters stay for as long as the text names them."""
        self._saved, self._values = saved, values
        self.editor.put(saved.sql.strip(), top=True)
        self.screen.set_focus(self.editor.area)
        if run:
            self.action_run()

    # -- plot, rows, file -------------------------------------------------------------------------

    def action_plot(self) -> None:
        """The plot, or the rows again."""
        if not self.plotted and not self._draw():
            self.frame.tell("Plot", "The answer has no rows with numbers.")
            return
        self.set_class(not self.plotted, "-plotted")
        self.screen.set_focus(self.answer)
        self._tell()

    def _draw(self) -> bool:
        return self.rows is not None and self.rows.total > 0 and self.plot.show(self.rows.table())

    def on_plot_changed(self, message: Plot.Changed) -> None:
        """Its words are in the title."""
        message.stop()
        self._tell()

    def action_export(self) -> None:
        """All rows to a file."""
        data = self.frame.data
        if data is None or self.last is None:
            self.frame.tell("Export", "There is no answer to export yet.")
        else:
            self.app.push_screen(RowsDialog(data, self.last))

    def on_virtual_table_chosen(self, message: VirtualTable.Chosen) -> None:
        """Everything of a row."""
        message.stop()
        self.app.push_screen(RowDialog(message.record))

    # -- the answer -------------------------------------------------------------------------------

    def action_narrow(self) -> None:
        """All flows, or those of the frame; an answer that is there is asked again."""
        self.narrowed = not self.narrowed
        if self.last is not None and self._asking is not None:
            self.ask(self.last.sql, self.last.params, self.last.name)
        self._titles()

    def on_came(self, message: Came) -> None:
        """Rows of the query that counts."""
        message.stop()
        if self._asking is None or message.number != self._asking.number:
            return
        rows, before = message.rows, message.rows.total
        pages = rows.grow()
        if rows is not self.rows or (not before and rows.total):
            self.rows = rows
            self.table.set_empty("No rows.")
            self.table.set_looks(looks_of(rows.schema, rows.page(0, 100), exact=True))
            self.table.set_source(rows, None, 0)
        elif rows.total != before:
            self.table.extend(pages)
        self._titles()

    def on_ended(self, message: Ended) -> None:
        """All is there, or it went wrong."""
        message.stop()
        if self._asking is None or message.number != self._asking.number:
            return
        self._ended = message
        if self._ticker is not None:
            self._ticker.pause()
        if message.answered is not None and self.editor.area.has_focus and self.table.total:
            self.screen.set_focus(self.answer)
        if self.plotted and not self._draw():
            self.action_plot()
        if message.error is not None and not isinstance(message.error, CancelledError):
            self._failed(message.error)
        self._tell()

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, QueryError):
            self.frame.say(error)
            return
        place = self.editor.point_at(error.at)
        where = f"line {place[0]}, column {place[1]}: " if place else ""
        said = error.message.partition(" LINE ")[0] if place else error.message  # the engine's own excerpt says it again
        self._complain(f"✗ {where}{visible(said[:600])}")
        self.screen.set_focus(self.editor.area)

    def _complain(self, text: str) -> None:
        line = self.query_one("#sql-error", Static)
        line.update(Text(text))
        line.set_class(bool(text), "-shown")

    # -- words ------------------------------------------------------------------------------------

    def _tell(self) -> None:
        self._titles()
        self.frame.changed()

    def _titles(self) -> None:
        over = "the flows of filter and time range (ctrl+t: all)" if self.narrowed else "all flows (ctrl+t: those filtered)"
        self.query_one("#sql-title", TitleRule).title = f"query over {over}"
        self.query_one("#sql-answer-title", TitleRule).title = self._answer()

    def _answer(self) -> str:
        if self.last is None or self._asking is None:
            return "answer"
        number = self.rows.total if self.rows is not None else 0
        many = f"{number:,} row{'' if number == 1 else 's'}"
        ended = self._ended
        if ended is None:
            return f"running: {many} so far"
        if ended.error is not None:
            stopped = isinstance(ended.error, CancelledError)
            return f"stopped: {many} had come" if stopped else "not answered"
        assert ended.answered is not None
        parts = [f"first {many}, there are more: e exports all" if ended.answered.cut else many]
        parts.append(figures.duration(ended.answered.seconds))
        if self.plotted:
            parts.insert(0, self.plot.words)
        if self.last.view is not None:
            parts.append("filtered" if self.last.view == self.frame.view else "filtered, the filter is another now: F5")
        elif self.last.name:
            parts.append(self.last.name)
        return ", ".join(parts)
