"""Lifelines of workloads in groups, and everything about the one under the cursor, without its keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Final

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static

from workbench.analysis.hosts import Range
from workbench.analysis.workload_evidence import Known, known
from workbench.analysis.workload_groups import Group, Rank, grouped, kept
from workbench.analysis.workload_traffic import Lifelines, lifelines
from workbench.analysis.workloads import Workload
from workbench.errors import CancelledError
from workbench.records.visible import visible
from workbench.store.reader import Question
from workbench.tui import figures, lifeline_rows, workload_words
from workbench.tui.data import CaseData, Sorting, Summary, View
from workbench.tui.latest import Latest
from workbench.tui.lifeline_rows import Drawing, LifelineSource, Row
from workbench.tui.once import once
from workbench.tui.stopwatch import Stopwatch
from workbench.tui.views.base import FLOW_KEYS, CaseView
from workbench.tui.widgets.rule import TitleRule
from workbench.tui.widgets.virtual_table import VirtualTable

#: Bins that lifelines are made of; narrow screens show every two as one.
BINS: Final = 48
_WIDE: Final = 120
#: Up to so many workloads every group is unfolded at first: more would hide the groups from each other.
_UNFOLDED: Final = 30
#: Seconds that the cursor rests on a workload before more is looked up.
_REST: Final = 0.15
_WORDS: Final = {"bytes": "most bytes", "flows": "most flows", "name": "Z to A", "first": "last to appear",
                 "last": "last to vanish", "lifetime": "longest life"}  # fmt: skip
_WORDS_UP: Final = {"bytes": "fewest bytes", "flows": "fewest flows", "name": "A to Z", "first": "first to appear",
                    "last": "first to vanish", "lifetime": "shortest life"}  # fmt: skip
_EMPTY: Final = "No workload was there, and no flow is here.\nR shows all of the time; backspace brings the filter before back."


class LifelineTable(VirtualTable):
    """The rows; Enter folds a group, and leads to the flows of a workload."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Open", id="lifelines.open", tooltip="Fold or unfold a group; the flows of a workload"),
    ]


class LivingList(CaseView):
    """Groups and workloads above, the one under the cursor below: what it asks and shows. Its keys are in views/lifelines.py."""

    SCOPED_CSS: ClassVar[bool] = False
    DEFAULT_CSS = """
    LivingList { layout: vertical; }
    #lives-box { height: 1fr; width: 1fr; }
    #lives { height: 1fr; }
    #life-box { height: 6; }
    #life-scroll { height: 1fr; background: $background; }
    #life { height: auto; padding: 0 1; }
    .-tiny #life-box { display: none; }
    .-tall #life-box { height: 17; }
    """

    @dataclass
    class Answered(Message):
        """Lifelines of a range have been found, or not."""

        asked: tuple[Any, ...]
        found: Lifelines | Exception
        groups: tuple[Group, ...] = ()

    @dataclass
    class Told(Message):
        """What is being done, or about whom more is known now."""

        asked: Any
        words: str = ""
        known: Known | Exception | None = None

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self.by, self.descending = "namespace", True
        self.rank: Rank = "bytes"
        self.found: Lifelines | None = None
        self.groups: tuple[Group, ...] = ()
        self.rows: list[Row] = []
        self.opened: frozenset[tuple[str, str]] | None = None  # None: nobody has folded anything yet
        self._view, self._summary = View(), Summary()
        self._before: View | None = None
        self._window = (0, 1)
        self._asked: tuple[Any, ...] | None = None
        self._shown: tuple[Any, ...] | None = None
        self._words = ""
        self._questions: dict[str, Question] = {}
        self._lanes: dict[str, Latest] = {}
        self._watch = Stopwatch()
        self._wanted: Mapping[str, Any] = {}
        self._about: str | None = None
        self._known: Known | None = None
        self._timer: Timer | None = None
        self._cells = 0

    @property
    def idle(self) -> frozenset[str]:
        """No flows are listed."""
        return FLOW_KEYS

    def compose(self) -> ComposeResult:
        """Lifelines, and about the one under the cursor."""
        with Vertical(id="lives-box"):
            yield TitleRule("workloads", id="lives-title")
            yield LifelineTable(lifeline_rows.looks(Range(0, 1, 1), (0, 1), 24, dated=False), empty="", id="lives")
        with Container(id="life-box"):
            yield TitleRule("this workload", id="life-title")
            with VerticalScroll(id="life-scroll"):
                yield Static("", id="life", markup=False)

    @property
    def table(self) -> VirtualTable:
        """The rows."""
        return self.query_one("#lives", VirtualTable)

    def enter(self) -> None:
        """To the rows."""
        self.screen.set_focus(self.table)

    # -- asking -----------------------------------------------------------------------------------

    def obey(self, view: View, summary: Summary) -> None:
        """Lifelines of this filter and range; those of before stay until they are there."""
        self._view, self._summary = view, summary
        self._ask()

    def _ask(self) -> None:
        data, extent = self.frame.data, self._summary.extent
        if data is None or extent is None:
            self.table.set_empty(self.frame.waiting or "There are no flows in this case. L shows what was not decoded.")
            return
        span = self._view.span or extent
        axis = self.frame.outer or span
        asked = (data.generation, self._summary.flows, self._view.filter, span, axis, self.by, self.rank, self.descending)
        if asked == self._asked:
            return
        self._asked, self._words = asked, "reading workloads"
        if self.found is None:
            self.table.set_empty("Reading workloads … Esc stops.")
        self._watch.begin()
        same = self._shown is not None and asked[:5] == self._shown[:5]  # only grouped or ranked in another way
        self._start("lifelines", partial(self._answer, data, self._view, asked, self.found if same else None), data)
        self._titles()
        self.frame.changed()

    def _start(self, kind: str, work: Any, data: CaseData) -> None:
        """Ask in a lane of its own, instead of what was asked there before."""
        if kind in self._questions:
            self._questions[kind].stop()
        question = self._questions[kind] = data.question()
        self._lanes.setdefault(kind, Latest(self, kind)).ask(partial(work, question))

    def _answer(
        self, data: CaseData, view: View, asked: tuple[Any, ...], before: Lifelines | None, question: Question
    ) -> None:  # fmt: skip
        """In a worker thread. before: what was found already, where it is to be grouped anew only."""
        _, _, _, span, axis, by, rank, descending = asked
        try:
            found = before or lifelines(
                question, data.where(view), Range(axis.start, axis.end, BINS),
                progress=lambda words: self._tell(asked, words),
            )  # fmt: skip
            window = (span.start, span.end)
            listed = kept(found, window, filtered=bool(view.filter))
            self.post_message(self.Answered(asked, found, grouped(found, listed, by, rank, window, descending=descending)))
        except Exception as error:  # every failure is shown
            self.post_message(self.Answered(asked, error))

    def _tell(self, asked: Any, words: str) -> None:
        self.post_message(self.Told(asked, words))

    def on_living_list_told(self, message: Told) -> None:
        """The status line says what is being done; the words below what was looked up."""
        message.stop()
        if message.words and message.asked == self._asked and self._words:
            self._words = message.words
        elif not message.words and message.asked == self._about:
            self._about = None
            if isinstance(message.known, Known):
                self._known = message.known
                self._describe()
            elif isinstance(message.known, Exception) and not isinstance(message.known, CancelledError):
                self.frame.say(message.known)
        self.frame.changed()

    def on_living_list_answered(self, message: Answered) -> None:
        """Show them; the cursor stays on its workload."""
        message.stop()
        if message.asked != self._asked:
            return
        self._words = ""
        if isinstance(message.found, Exception):
            self._asked = self._shown
            if not isinstance(message.found, CancelledError):
                self.frame.say(message.found)
        else:
            here = self._wanted or self._here()
            self._shown, self._before, self._wanted = message.asked, self._view, {}
            self._window = (message.asked[3].start, message.asked[3].end)
            self.found, self.groups = message.found, message.groups
            self._lay_out(here)
            self._watch.end(len(self.rows))
        self._titles()
        self.frame.changed()

    def stop(self) -> bool:
        """Stop looking."""
        if not self._words:
            return False
        self._questions["lifelines"].stop()
        self._words, self._asked = "", self._shown
        self.table.set_empty("Stopped. r asks again; a filter or a shorter time range is quicker.")
        self._titles()
        if self._before is not None and self._before != self._view:
            self.frame.return_to(self._before)
        return True

    def leave(self) -> None:
        """The case is closed: the engine must not be left working."""
        if self._timer is not None:
            self._timer.stop()
        for question in self._questions.values():
            question.stop()

    @property
    def cost(self) -> tuple[float, int] | None:
        """What the last answer cost."""
        return self._watch.cost

    def showing(self) -> View | None:
        """What the rows obey while others are on their way."""
        return self._before if self._words else None

    # -- what it shows ----------------------------------------------------------------------------

    @property
    def _open(self) -> frozenset[tuple[str, str]]:
        if self.opened is not None:
            return self.opened
        few = sum(len(group.members) for group in self.groups) <= _UNFOLDED
        return frozenset(Row(group).key for group in self.groups) if few else frozenset()

    def _lay_out(self, here: Mapping[str, Any] | None) -> None:
        """Rows of what was found, folded as they are; the cursor on that one."""
        if self.found is None:
            return
        self.rows = lifeline_rows.rows_of(self.found, self.groups, self._open, grouped=bool(self.by))
        row = None
        if here is not None:
            row = next((n for n, one in enumerate(self.rows) if self._as_record(one) == here), None)
            if row is None and here.get("uid") is not None:  # its group was folded: the cursor goes there
                row = next((n for n, one in enumerate(self.rows) if one.folds and list(one.key) == here.get("group")), 0)
        self._draw(row or 0)

    def _draw(self, row: int | None) -> None:
        assert self.found is not None
        self._cells = BINS if self.size.width >= _WIDE else BINS // 2
        over = self.found.living.over
        dated = lifeline_rows.day_crossed(over)
        self.table.set_looks(lifeline_rows.looks(over, self._window, self._cells, dated=dated))
        self.table.set_empty(_EMPTY)
        drawing = Drawing(self.found, self.by, self._window, self._cells, dated, self._open)
        self.table.set_source(LifelineSource(self.rows, drawing), Sorting(self.rank, self.descending), row)
        self._moved()

    def on_resize(self, event: events.Resize) -> None:
        """Wide screens have finer lifelines."""
        if self.found is not None and (event.size.width >= _WIDE) != (self._cells == BINS):
            self._draw(None)

    @property
    def row(self) -> Row | None:
        """What the cursor stands on."""
        at = self.table.cursor_row
        return self.rows[at] if at < len(self.rows) else None

    @property
    def workload(self) -> Workload | None:
        """The one under the cursor, if it stands on one."""
        row = self.row
        return None if row is None or row.number is None or self.found is None else self.found.living.workloads[row.number]

    def _titles(self) -> None:
        self.query_one("#lives-title", TitleRule).title = self._title()

    def _title(self) -> str:
        found = self.found
        if found is None:
            return self._words or "workloads"
        listed = sum(len(group.members) for group in self.groups)
        new, gone, brief = (sum(getattr(group, name) for group in self.groups) for name in ("new", "gone", "brief"))
        count = figures.count(listed)
        if found.living.total > len(found.living.workloads):
            count += f", read {figures.count(len(found.living.workloads))} of {figures.count(found.living.total)}"
        by = f" by {visible(self.by.removeprefix('label:')[:40])}" if self.by else ""
        words = (_WORDS if self.descending else _WORDS_UP)[self.rank]
        return f"{count} workloads{by}, {words} first: {new:,} new, {gone:,} gone, {brief:,} brief; v hosts"

    def on_virtual_table_moved(self, message: VirtualTable.Moved) -> None:
        """Say what is under the cursor, and look up more once it rests."""
        message.stop()
        self._moved()
        self.frame.changed()

    def _moved(self) -> None:
        one = self.workload
        if one is None or one.uid != self._about:
            self._known, self._about = None, None
            if self._timer is not None:
                self._timer.stop()
                self._timer = None
            if one is not None and self._asked == self._shown:
                self._timer = once(self, _REST, partial(self._rested, one))
        self._describe()

    def _rested(self, one: Workload) -> None:
        self._timer, data = None, self.frame.data
        if data is not None:
            self._about = one.uid
            self._start("workload", partial(self._look, data, self._view, one), data)

    def _look(self, data: CaseData, view: View, one: Workload, question: Question) -> None:
        """In a worker thread."""
        try:
            self.post_message(self.Told(one.uid, known=known(question, data.where(view), one)))
        except Exception as error:  # every failure is shown
            self.post_message(self.Told(one.uid, known=error))

    def _describe(self) -> None:
        text = Text(no_wrap=True, overflow="ellipsis")
        for name, words in self._about_lines():
            text.append(f"{name:<11}", "bold").append(f"{words}\n")
        self.query_one("#life", Static).update(text)

    def _about_lines(self) -> workload_words.Lines:
        row, found = self.row, self.found
        if row is None or found is None:
            return []
        if row.unnamed is not None:
            return workload_words.of_unnamed(row.unnamed)
        if row.group is None:
            return [("no name", f"{figures.count(found.unnamed_in_all)} addresses that nobody claims; Enter unfolds them.")]
        if row.number is None:
            return workload_words.of_group(row.group, self.by)
        one, sums, n = found.living.workloads[row.number], found.traffic, row.number
        lines = workload_words.about(one)
        counted = workload_words.sums(one, int(sums.flows[n]), int(sums.sent[n]), int(sums.received[n]))
        if self._known is None:
            return [*lines, ("", "looking …"), *counted]
        over = found.living.over
        holders = workload_words.held(self._known.holders, over, self._cells, dated=lifeline_rows.day_crossed(over))
        return [*lines, *holders, *counted, *workload_words.of_known(self._known)]

    def _as_record(self, row: Row | None) -> dict[str, Any]:
        """What names a row on the way back."""
        if row is None or self.found is None:
            return {}
        uid = self.found.living.workloads[row.number].uid if row.number is not None else None
        return {"group": list(row.key), "uid": uid, "ip": row.unnamed.ip if row.unnamed is not None else None}

    def _here(self) -> dict[str, Any]:
        return self._as_record(self.row)

    @property
    def activity(self) -> str:
        """What is going on."""
        return self._words

    @property
    def resting(self) -> bool:
        """Whether all that was asked has been answered."""
        return not self._words and self._timer is None and self._about is None
