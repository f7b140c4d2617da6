"""SQL over the case: an editor, the rows of the answer or a plot of them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
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
from workbench.tui.sql_asking import Came, Ended, Query, SqlAsking
from workbench.tui.table_source import looks_of
from workbench.tui.views.base import CaseView, Subject
from workbench.tui.widgets.rule import TitleRule
from workbench.tui.widgets.sql_editor import SqlEditor, SqlText
from workbench.tui.widgets.virtual_table import VirtualTable

_EMPTY: Final = "Write a query above; F5, ctrl+r or ctrl+enter runs it."
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


class SqlView(CaseView):
    """One query at a time; its rows are kept up to a bound, which is said."""

    number = 7
    name_ = "SQL"
    about = "Questions in SQL: yours and saved ones, their rows, plots of them."

    DEFAULT_CSS = """
    SqlView { layout: vertical; }
    SqlView #sql-ask { height: 8; }
    .-tall SqlView #sql-ask { height: 17; }
    SqlView #sql-error { height: auto; max-height: 4; display: none; color: $text-error; padding: 0 1; }
    SqlView #sql-error.-shown { display: block; }
    SqlView #sql-answer { height: 1fr; }
    SqlView #sql-rows { height: 1fr; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5,ctrl+r,ctrl+enter,ctrl+j", "run", "Run", id="sql.run", tooltip="Run the query, or what is selected of it"),
        Binding("ctrl+t", "narrow", "All/filtered", id="sql.narrow", tooltip="Ask all flows, or those of filter and time range"),
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

    # -- parts ------------------------------------------------------------------------------------

    @property
    def editor(self) -> SqlEditor:
        """The query."""
        return self.query_one(SqlEditor)

    @property
    def table(self) -> VirtualTable:
        """The rows."""
        return self.query_one("#sql-rows", VirtualTable)

    def on_mount(self) -> None:
        """A query to begin with."""
        self._ticker = self.set_interval(_TICK, self._tell, pause=True)
        if not self.editor.text:
            self.editor.put(_START)
        self._titles()

    def enter(self) -> None:
        """To the rows, or where there are none yet to the query."""
        self.screen.set_focus(self.table if self.table.total else self.editor.area)

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
            self.screen.set_focus(self.table)
            return True
        return False

    @property
    def busy(self) -> bool:
        """Whether a query runs."""
        return self._asking is not None and self._asking.busy

    @property
    def resting(self) -> bool:
        """Whether nothing is asked."""
        return not self.busy and not self._names.busy

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

    # -- asking -----------------------------------------------------------------------------------

    def action_run(self) -> None:
        """Ask what is in the editor."""
        sql = self.editor.asked
        if sql:
            self.ask(sql)

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
            self.screen.set_focus(self.table)
        if message.error is not None and not isinstance(message.error, CancelledError):
            self._failed(message.error)
        self._tell()

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, QueryError):
            self.frame.say(error)
            return
        place = self.editor.point_at(error.at)
        where = f"line {place[0]}, column {place[1]}: " if place else ""
        self._complain(f"✗ {where}{visible(error.message[:600])}")
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
        if self.last.view is not None:
            parts.append("filtered" if self.last.view == self.frame.view else "filtered, the filter is another now: F5")
        elif self.last.name:
            parts.append(self.last.name)
        return ", ".join(parts)
