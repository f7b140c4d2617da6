"""What happened here, on one screen: what to look at first, who moves most, who came and went, what it rests on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static

from workbench.analysis.arrivals import Arrivals, arrivals
from workbench.analysis.found import Found, found
from workbench.analysis.leads import leads
from workbench.analysis.mix import split, states
from workbench.analysis.talkers import By, services, talkers
from workbench.errors import CancelledError, WorkbenchError
from workbench.tui import figures, overview_panels
from workbench.tui.conditions import joined
from workbench.tui.data import CaseData, Summary, View
from workbench.tui.latest import Latest
from workbench.tui.once import once
from workbench.tui.screens.case_words import nothing
from workbench.tui.screens.ledger import LedgerDialog
from workbench.tui.stopwatch import Stopwatch
from workbench.tui.views.base import FLOW_KEYS, CaseView, Subject
from workbench.tui.widgets.board import Board, Panel, Row, aged
from workbench.tui.widgets.rate_plots import RatePlots

if TYPE_CHECKING:
    from workbench.store.reader import Question

#: A refresh while the case grows may take at most this share of the time; seconds between two at least.
_SHARE: Final = 0.25
_PAUSE: Final = 2.0
_DAY: Final = 86_400_000_000


class OverviewView(CaseView):
    """Short lists with one cursor; Enter goes to the flows behind a row."""

    number = 1
    name_ = "Overview"
    about = "What to look at first and why, who moves most, who came and went, and what it all rests on."

    DEFAULT_CSS = """
    OverviewView #board { height: 1fr; }
    OverviewView #board-line { height: 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "by", "Order", id="overview.by", tooltip="Talkers and services by bytes or by flows"),
    ]

    @dataclass
    class Answered(Message):
        """One question is answered: the panels that it fills. began: which asking it belongs to."""

        began: float
        panels: tuple[Panel, ...]
        last: bool
        detected: Found | None = None

    @dataclass
    class Judged(Message):
        """How findings were judged by now."""

        began: float
        panel: Panel

    @dataclass
    class Failed(Message):
        """A question failed."""

        began: float
        error: Exception

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self._lane = Latest(self, "overview")
        self._watch = Stopwatch()
        self._question: Question | None = None
        self._panels: dict[str, Panel] = dict(overview_panels.PANELS)
        self._by: By = "bytes"
        self._asked: tuple[View, Summary, By] | None = None
        self._began = 0.0
        self._busy = ""
        self._detected: Found | None = None
        self._noted = False
        self._again: Timer | None = None
        self._rest_until = 0.0

    @property
    def idle(self) -> frozenset[str]:
        """No flows are listed."""
        return FLOW_KEYS

    def compose(self) -> ComposeResult:
        """How fast it comes while it does, the lists, and what Enter would show."""
        yield RatePlots(id="rates")
        yield Board(id="board")
        yield Static("", id="board-line", markup=False)

    @property
    def board(self) -> Board:
        """The lists."""
        return self.query_one("#board", Board)

    def enter(self) -> None:
        """To the lists."""
        self.screen.set_focus(self.board)

    def on_mount(self) -> None:
        """Empty lists that say why."""
        self.wait()

    # -- what is asked ----------------------------------------------------------------------------

    def obey(self, view: View, summary: Summary) -> None:
        """Ask all of it again where anything changed; where only the case grew, not more often than is cheap."""
        if self.frame.data is None:
            return
        self._tell("ledger", overview_panels.ledger_rows(summary), "no source yet: the ledger fills while captures are indexed")
        view = replace(view, sorting=View().sorting)
        before = self._asked
        grown = before is not None and before[0] == view and before[2] == self._by
        if grown and before is not None and before[1] is summary:
            self.noted()  # back from Findings, say
            return
        wait = self._rest_until - time.monotonic()
        if grown and (self._busy or wait > 0):
            if self._again is None:
                self._again = once(self, max(wait, 0.2), self._retry)
            return
        self._ask(self.frame.data, view, summary)

    def _retry(self) -> None:
        self._again = None
        if self.display:
            self.obey(self.frame.view, self.frame.summary)

    def _ask(self, data: CaseData, view: View, summary: Summary) -> None:
        self._end()
        self._asked = (view, summary, self._by)
        self._began = time.monotonic()
        if summary.extent is None:
            self.wait()
            return
        self._busy, self._detected, self._noted = "talkers", None, False
        self._watch.begin()
        self._question = question = data.question()
        asking = _Asking(data, question, view, summary, self._by, self._began, self.post_message)
        self._lane.ask(partial(self._work, asking))
        for key, panel in self._panels.items():
            if key != "ledger":
                self._panels[key] = aged(panel)
        self._show()
        self.frame.changed()

    def _work(self, asking: _Asking) -> None:
        try:
            asking.all()
        except CancelledError:
            return
        except Exception as error:  # told on screen, whatever it is
            self.post_message(self.Failed(asking.began, error))

    def on_overview_view_answered(self, message: Answered) -> None:
        """Fill what was answered."""
        message.stop()
        if message.began != self._began or not self._busy:
            return
        for panel in message.panels:
            self._panels[panel.key] = panel
        self._detected = message.detected or self._detected
        if message.last:
            self._done()
            if self._noted:
                self.noted()
            self._watch.end(sum(len(panel.rows) for panel in self._panels.values()))
        else:
            self._busy = next((p.title for k, p in self._panels.items() if p.stale and k != "ledger"), self._busy)
        self._show()
        self.frame.changed()

    def noted(self) -> None:
        """Findings that were judged benign or done meanwhile go, reopened ones come back; nothing else is asked again."""
        self._noted = bool(self._busy)
        data, detected = self.frame.data, self._detected
        if data is not None and detected is not None and detected.rows and not self._busy:
            self._lane.ask(partial(self._judge, data, detected, self._began))

    def _judge(self, data: CaseData, detected: Found, began: float) -> None:
        try:
            panel = overview_panels.look_panel(data, detected, ())
        except (WorkbenchError, OSError):  # said by the next question that a person asks
            return
        self.post_message(self.Judged(began, panel))

    def on_overview_view_judged(self, message: Judged) -> None:
        """Show what is left to look at."""
        message.stop()
        if message.began == self._began and not self._busy and self._panels["look"] != message.panel:
            self._panels["look"] = message.panel
            self._show()
            self.frame.changed()

    def on_overview_view_failed(self, message: Failed) -> None:
        """Say what failed; what was answered stays."""
        message.stop()
        if message.began == self._began and self._busy:
            self._done()
            self._halt("not answered; r asks again")
            self.frame.say(message.error)
            self.frame.changed()

    def _done(self) -> None:
        took = time.monotonic() - self._began
        self._rest_until = time.monotonic() + max(_PAUSE, took * (1 - _SHARE) / _SHARE)
        self._busy = ""
        self._question = None

    def _halt(self, note: str) -> None:
        """Panels that were not answered say so, and their rows of before go."""
        for key, panel in self._panels.items():
            if panel.stale:
                self._panels[key] = replace(panel, rows=(), stale=False, note=note)
        self._show()

    def _end(self) -> None:
        """Stop asking."""
        self._lane.drop()
        if self._question is not None:
            self._question.stop()
        self._question, self._busy = None, ""

    def stop(self) -> bool:
        """Esc: stop asking; what was answered stays."""
        if not self._busy:
            return False
        self._end()
        self._halt("stopped; r asks again")
        self._rest_until = 0.0
        return True

    def leave(self) -> None:
        """Stop every question."""
        self._end()

    @property
    def cost(self) -> tuple[float, int] | None:
        """What the last answer cost."""
        return self._watch.cost

    def on_hide(self) -> None:
        """Another view is shown: what is not answered yet is asked when this one is back."""
        if self._busy and not self.display:  # a late word of having been hidden before it was first shown is none
            self._end()
            self._asked = None

    # -- what it shows ----------------------------------------------------------------------------

    def wait(self) -> None:
        """Before there are flows the first list says so."""
        if self._asked is None or self._asked[1].extent is None:
            words = self.frame.waiting or nothing(self.frame.view)
            empty = overview_panels.PANELS["look"]
            self._panels = {**overview_panels.PANELS, "ledger": self._panels["ledger"]}
            self._panels["look"] = replace(empty, note=words.replace("\n", " "))
            self._show()

    def _tell(self, key: str, rows: tuple[Row, ...], note: str) -> None:
        self._panels[key] = replace(overview_panels.PANELS[key], rows=rows, note="" if rows else note)
        self._show()

    def _show(self) -> None:
        self.board.show(self._panels, overview_panels.bands(self.board.size.width or self.app.size.width))
        self._line()

    def on_resize(self) -> None:
        """Perhaps three lists side by side, perhaps two."""
        self._show()

    def _line(self) -> None:
        row = self.board.row
        if row is None:
            text = ""
        elif row.kept:
            text = f"Enter: flows with {row.kept}"
        else:
            text = "Enter: the ledger"
        self.query_one("#board-line", Static).update(Text(" " + text, no_wrap=True, overflow="ellipsis"))

    def on_board_moved(self, message: Board.Moved) -> None:
        """The line below follows the cursor."""
        message.stop()
        self._line()
        self.frame.changed()

    def on_board_chosen(self, message: Board.Chosen) -> None:
        """Down to the flows, or to the ledger."""
        message.stop()
        if message.row.kept:
            self.frame.filter_by(joined(self.frame.view.filter, message.row.kept), 2)
        else:
            self.app.push_screen(LedgerDialog(self.frame.summary, filtered=bool(self.frame.view.filter)))

    def action_by(self) -> None:
        """The other order."""
        self._by = "flows" if self._by == "bytes" else "bytes"
        self.obey(self.frame.view, self.frame.summary)

    # -- for the frame ----------------------------------------------------------------------------

    def subject(self) -> Subject | None:
        """The host or finding under the cursor."""
        row = self.board.row
        return None if row is None else row.subject

    def keep_value(self) -> tuple[str, object] | None:
        """The host, service or state under the cursor."""
        row = self.board.row
        return None if row is None else row.value

    def text(self) -> str:
        """The row under the cursor, cells apart by two blanks."""
        row = self.board.row
        return "" if row is None else "  ".join(" ".join(cell.split()) for cell in row.cells)

    def place(self) -> dict[str, Any]:
        """The cursor, and by what the lists are ordered."""
        return {**self.board.place(), "by": self._by}

    def restore(self, place: Mapping[str, Any]) -> None:
        """Both again."""
        by: By | None = {"bytes": "bytes", "flows": "flows"}.get(str(place.get("by")))  # type: ignore[assignment]
        if by is not None and by != self._by:
            self.action_by()
        self.board.restore(place)

    @property
    def activity(self) -> str:
        """What is being asked."""
        return f"asking: {self._busy}, Esc stops" if self._busy else ""

    @property
    def resting(self) -> bool:
        """Whether all is answered."""
        return not self._busy and not self._lane.busy and self._again is None


class _Asking:
    """One asking of everything, in a worker thread: the quick ones first, each told of when it is there."""

    def __init__(
        self, data: CaseData, question: Question, view: View, summary: Summary, by: By, began: float,
        post: Callable[[Message], object],
    ) -> None:  # fmt: skip
        self._data, self._asks, self._view, self._by, self.began, self._post = data, question, view, by, began, post
        extent = view.span or summary.extent
        assert extent is not None
        self._span = extent
        self._dated = extent.width > _DAY

    def all(self) -> None:
        """Everything. CancelledError when stopped."""
        where = self._data.where(self._view)
        by = f"by {self._by}: size, flows"
        self._tell("talkers", overview_panels.talker_rows(talkers(self._asks, where).to_pylist(), self._by), f"talkers {by}")
        rows = services(self._asks, where, self._by).to_pylist()
        self._tell("services", overview_panels.service_rows(rows, self._by), f"services {by}")
        self._tell("states", overview_panels.state_rows(states(self._asks, where).to_pylist()))
        detected = found(self._asks, where, None if self._view.span is None else (self._span.start, self._span.end))
        if detected.rows:
            self._look(detected, ())
        came = arrivals(self._asks, self._span.start, self._span.end, where)
        self._arrivals(came)
        self._tell("places", overview_panels.place_rows(split(self._asks, where).to_pylist()))
        if not detected.rows:
            self._look(detected, leads(self._asks, where, came.new.to_pylist()))
        self._post(OverviewView.Answered(self.began, (), True))

    def _look(self, detected: Found, signs: Any) -> None:
        self._post(OverviewView.Answered(self.began, (overview_panels.look_panel(self._data, detected, signs),), False, detected))

    def _arrivals(self, came: Arrivals) -> None:
        of = f" of {figures.count(came.hosts)}"
        late = f"new after first tenth: {figures.count(came.new_count)}{of}"
        gone = f"gone before last tenth: {figures.count(came.vanished_count)}{of}"
        self._tell("new", overview_panels.arrival_rows(came, new=True, dated=self._dated), late, "every host was there early")
        self._tell(
            "vanished", overview_panels.arrival_rows(came, new=False, dated=self._dated), gone, "every host was there late"
        )

    def _tell(self, key: str, rows: tuple[Row, ...], title: str = "", note: str = "no flow passes: Backspace, R widen") -> None:
        panel = overview_panels.PANELS[key]
        self._post(OverviewView.Answered(self.began, (replace(panel, title=title or panel.title, rows=rows, note=note),), False))
