"""What a policy is drafted from: what devices said they allowed and denied, and who reached whom on what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

import pyarrow as pa
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.message import Message
from textual.widgets import Static

from workbench.analysis.east_west import MOST, paths, verdicts
from workbench.errors import CancelledError
from workbench.tui import figures
from workbench.tui.conditions import joined
from workbench.tui.data import CaseData, Sorting, Summary, View
from workbench.tui.latest import Latest
from workbench.tui.policy_rows import PATHS, RULES, ascending_first, path_table, rule_table
from workbench.tui.screens.case_words import nothing
from workbench.tui.screens.column_picker import ColumnPicker
from workbench.tui.stopwatch import Stopwatch
from workbench.tui.table_source import ArrowSource
from workbench.tui.views.base import Frame, Subject
from workbench.tui.widgets.rule import TitleRule
from workbench.tui.widgets.virtual_table import VirtualTable

if TYPE_CHECKING:
    from workbench.store.reader import Question

_NO_RULES = " No flow here carries a verdict or a rule; captures never do."


class EvidenceTable(VirtualTable):
    """Rows of evidence; Enter leads to the flows behind one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Flows", id="policy.open", tooltip="The flows behind this row"),
    ]


class PolicyEvidence(Container):
    """Rules that telemetry names, and services between prefixes; Enter goes to the flows behind a row."""

    DEFAULT_CSS = """
    PolicyEvidence { layout: vertical; }
    PolicyEvidence #rules-box { height: auto; }
    PolicyEvidence #rules { height: 5; display: none; }
    PolicyEvidence #rules.-some { display: block; }
    PolicyEvidence #rules-none { height: 1; color: $text-muted; }
    PolicyEvidence #paths { height: 1fr; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort", "Sort", id="policy.sort", tooltip="Choose the column to sort by"),
        Binding("S", "reverse", "Reverse", id="policy.reverse", tooltip="Turn the order round", show=False),
    ]

    @dataclass
    class Answered(Message):
        """Both questions are answered. question: whose answer it is."""

        question: object
        rules: pa.Table
        paths: pa.Table

    @dataclass
    class Failed(Message):
        """A question failed."""

        question: object
        error: Exception

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self.sorting: Sorting | None = None
        self._lane = Latest(self, "policy")
        self._watch = Stopwatch()
        self._question: Question | None = None
        self._asked: tuple[View, Summary] | None = None
        self._paths: pa.Table | None = None
        self._stopped = False

    @property
    def frame(self) -> Frame:
        """The screen that it is in."""
        return cast("Frame", self.screen)

    def compose(self) -> ComposeResult:
        """Rules and paths."""
        with Vertical(id="rules-box"):
            yield TitleRule("verdicts and rules in the recorded telemetry", id="rules-title")
            yield Static(Text(_NO_RULES), id="rules-none", markup=False)
            yield EvidenceTable(RULES, id="rules")
        yield TitleRule("services between networks", id="paths-title")
        yield EvidenceTable(PATHS, empty="Reading the case.", id="paths")

    @property
    def rules(self) -> VirtualTable:
        """Verdicts and rules."""
        return self.query_one("#rules", VirtualTable)

    @property
    def table(self) -> VirtualTable:
        """Services between networks."""
        return self.query_one("#paths", VirtualTable)

    @property
    def _current(self) -> VirtualTable:
        return self.rules if self.rules.has_focus else self.table

    def enter(self) -> None:
        """To the services."""
        self.screen.set_focus(self.table)

    # -- asking -----------------------------------------------------------------------------------

    def obey(self, view: View, summary: Summary) -> None:
        """Ask again where anything changed."""
        data = self.frame.data
        view = replace(view, sorting=Sorting())
        asked = self._asked
        if data is None or (asked is not None and asked[0] == view and asked[1] is summary):
            return
        self._end()
        self._asked, self._stopped = (view, summary), False
        self._question = question = data.question()
        self._watch.begin()
        self._lane.ask(partial(self._work, data, view, question))
        self.wait()
        self.frame.changed()

    def _work(self, data: CaseData, view: View, question: Question) -> None:
        try:
            where = data.where(view)
            answer = self.Answered(question, rule_table(verdicts(question, where)), path_table(paths(question, where)))
        except CancelledError:
            return
        except Exception as error:  # told on screen, whatever it is
            self.post_message(self.Failed(question, error))
            return
        self.post_message(answer)

    def on_policy_evidence_answered(self, message: Answered) -> None:
        """Show both."""
        message.stop()
        if message.question is not self._question:
            return
        self._question = None
        self._paths = message.paths
        self._watch.end(message.paths.num_rows + message.rules.num_rows)
        some = message.rules.num_rows > 0
        self.rules.set_class(some, "-some")
        self.query_one("#rules-none").display = not some
        self.rules.set_source(ArrowSource(message.rules), None, 0)
        self._show()
        self.frame.changed()

    def on_policy_evidence_failed(self, message: Failed) -> None:
        """Say so."""
        message.stop()
        if message.question is self._question:
            self._question = None
            self.frame.say(message.error)
            self.wait()
            self.frame.changed()

    def _show(self) -> None:
        """The services in their order."""
        if self._paths is None:
            return
        table = self._paths
        if self.sorting is not None:
            way = "descending" if self.sorting.descending else "ascending"
            table = table.sort_by([(self.sorting.column, way)])
        self.table.set_empty(self._empty())
        self.table.set_source(ArrowSource(table), self.sorting, 0)
        most = f", the first {MOST:,}" if table.num_rows == MOST else ""
        order = "inside first, most flows" if self.sorting is None else f"by {self.sorting.column.replace('_', ' ')}"
        self.query_one(
            "#paths-title", TitleRule
        ).title = f"services between networks (/24, /64): {figures.count(table.num_rows)}{most}, {order}"

    def wait(self) -> None:
        """What stands where there are no rows yet."""
        if not self.table.total:
            self.table.set_empty(self._empty())

    def _empty(self) -> str:
        if self._stopped:
            return "Stopped. Press r to ask again."
        if self.frame.waiting:
            return self.frame.waiting
        return "Asking who reached whom." if self._question is not None else nothing(self.frame.view)

    def _end(self) -> None:
        self._lane.drop()
        if self._question is not None:
            self._question.stop()
        self._question = None

    def stop(self) -> bool:
        """Esc: stop asking."""
        if self._question is None:
            return False
        self._end()
        self._stopped = True
        self.wait()
        return True

    def leave(self) -> None:
        """Stop asking."""
        self._end()

    @property
    def cost(self) -> tuple[float, int] | None:
        """What the last answer cost."""
        return self._watch.cost

    def forget(self) -> None:
        """It is not seen any more: what is not answered is asked again when it is."""
        if self._question is not None:
            self._end()
            self._asked = None

    # -- under the cursor -------------------------------------------------------------------------

    def on_virtual_table_chosen(self, message: VirtualTable.Chosen) -> None:
        """Its flows."""
        message.stop()
        self.frame.filter_by(joined(self.frame.view.filter, message.record["kept"]), 2)

    def on_virtual_table_moved(self, message: VirtualTable.Moved) -> None:
        """The subject is another one."""
        message.stop()
        self.frame.changed()

    def on_virtual_table_heading_clicked(self, message: VirtualTable.HeadingClicked) -> None:
        """Sort by it."""
        message.stop()
        if message.table is self.table:
            here = self.sorting is not None and self.sorting.column == message.column
            down = not self.sorting.descending if here and self.sorting else not ascending_first(message.column)
            self._sort_by(Sorting(message.column, down))

    def on_virtual_table_failed(self, message: VirtualTable.Failed) -> None:
        """Say so."""
        message.stop()
        self.frame.say(message.error)

    def action_sort(self) -> None:
        """Choose a column."""
        self.app.push_screen(ColumnPicker(PATHS, self.sorting or Sorting("flows", True)), self._sort_by)

    def _sort_by(self, sorting: Sorting | None) -> None:
        if sorting is not None and sorting != self.sorting:
            self.sorting = sorting
            self._show()

    def action_reverse(self) -> None:
        """The other way round."""
        now = self.sorting or Sorting("flows", True)
        self._sort_by(Sorting(now.column, not now.descending))

    def subject(self) -> Subject | None:
        """The two networks, as a pair."""
        record = self.table.record
        if record is None or self._current is not self.table:
            return None
        words = f"{record['from']} → {record['to']}"
        return Subject("pair", words, f"{words} on {record['service']}", record["kept"])

    def keep_value(self) -> tuple[str, object] | None:
        """The network or service, verdict or rule under the cursor."""
        record, column = self._current.record, self._current.column.name
        if record is None:
            return None
        if self._current is self.rules:
            return (column, record[column]) if column in ("verdict", "rule_id") else None
        if column in ("from", "to"):
            return ("src_ip" if column == "from" else "dst_ip"), record[column]
        return (record["field"], record["named"] if record["field"] == "service" else record["number"])

    def text(self) -> str:
        """The cell under the cursor, as it is shown."""
        record, look = self._current.record, self._current.column
        return "" if record is None else look.text(record[look.name]).strip()

    def place(self) -> dict[str, Any]:
        """The order and the row."""
        order = {} if self.sorting is None else {"by": self.sorting.column, "down": self.sorting.descending}
        return {"row": self.table.cursor_row, **order}

    def restore(self, place: Mapping[str, Any]) -> None:
        """Both again, where they make sense."""
        by, row = place.get("by"), place.get("row")
        if isinstance(by, str) and by in {look.name for look in PATHS}:
            self._sort_by(Sorting(by, bool(place.get("down"))))
        if isinstance(row, int) and 0 <= row < self.table.total:
            self.table.move_to(row)

    @property
    def activity(self) -> str:
        """What is being asked."""
        return "asking who reached whom, Esc stops" if self._question is not None else ""

    @property
    def resting(self) -> bool:
        """Whether all is answered."""
        return self._question is None and not self._lane.busy
