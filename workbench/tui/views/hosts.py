"""The hosts of a case by address as lifelines, so that who came, went and changed is seen at a glance. Shown by Workloads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, cast

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Static

from workbench.analysis.hosts import MEASURES, Hosts, Measure, Range, hosts
from workbench.errors import CancelledError
from workbench.records.visible import visible
from workbench.store.reader import Question
from workbench.tui import figures, host_rows
from workbench.tui.conditions import joined
from workbench.tui.data import CaseData, Sorting, Summary, View
from workbench.tui.host_rows import Row
from workbench.tui.latest import Latest
from workbench.tui.stopwatch import Stopwatch
from workbench.tui.table_source import ArrowSource
from workbench.tui.views.base import FLOW_KEYS, CaseView, Subject
from workbench.tui.widgets.rule import TitleRule
from workbench.tui.widgets.virtual_table import VirtualTable

#: Bins that lifelines are made of; narrow screens show every two as one.
BINS: Final = 48
_WIDE: Final = 120
_ORDER: Final = tuple(MEASURES)
_WORDS: Final = {"bytes": "most bytes", "flows": "most flows", "peers": "most peers", "first": "last to appear",
                 "last": "last seen", "lifetime": "longest life"}  # fmt: skip
_WORDS_UP: Final = {"bytes": "fewest bytes", "flows": "fewest flows", "peers": "fewest peers", "first": "first to appear",
                    "last": "first to vanish", "lifetime": "shortest life"}  # fmt: skip


class HostTable(VirtualTable):
    """The rows; Enter leads to the flows of one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Flows", id="workloads.open", tooltip="The flows of this host"),
    ]


class HostsView(CaseView):
    """The table of hosts, and the one under the cursor in words."""

    SCOPED_CSS: ClassVar[bool] = False
    DEFAULT_CSS = """
    HostsView { layout: vertical; }
    #hosts-box { height: 1fr; width: 1fr; }
    #hosts { height: 1fr; }
    #host-box { height: 5; }
    #host-scroll { height: 1fr; background: $background; }
    #host { height: auto; padding: 0 1; }
    .-tiny #host-box { display: none; }
    .-tall #host-box { height: 14; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "rank", "Sort", id="workloads.rank", tooltip="Rank hosts by the next measure"),
        Binding(
            "S",
            "reverse",
            "Reverse",
            id="workloads.reverse",
            tooltip="Turn the ranking round: the shortest-lived first",
            show=False,
        ),
        Binding(
            "u", "silent", "Silent too", id="workloads.silent", tooltip="List addresses that never sent anything, too, or not"
        ),
        Binding("M", "matrix", "Matrix", id="workloads.matrix", tooltip="Who this host talks to, as a matrix"),
    ]

    @dataclass
    class Answered(Message):
        """Hosts of a view have been found."""

        asked: tuple[Any, ...]
        found: Hosts
        over: Range

    @dataclass
    class Told(Message):
        """What is being done."""

        asked: tuple[Any, ...]
        words: str

    @dataclass
    class Failed(Message):
        """It could not be done."""

        asked: tuple[Any, ...]
        error: Exception

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self.by: Measure = "bytes"
        self.descending = True
        self.silent = False
        self.nameless = True  # whether the case knows no workload by name
        self.found: Hosts | None = None
        self._rows: tuple[Row, ...] = ()
        self._over = Range(0, 1, BINS)
        self._view, self._summary = View(), Summary()
        self._before: View | None = None
        self._asked: tuple[Any, ...] | None = None
        self._shown: tuple[Any, ...] | None = None
        self._words = ""
        self._question: Question | None = None
        self._lane: Latest | None = None
        self._watch = Stopwatch()
        self._place: dict[str, Any] = {}
        self._cells = 0

    @property
    def idle(self) -> frozenset[str]:
        """No flows are listed."""
        return FLOW_KEYS

    def compose(self) -> ComposeResult:
        """Hosts, and about the one under the cursor."""
        with Vertical(id="hosts-box"):
            yield TitleRule("hosts", id="hosts-title")
            yield HostTable(host_rows.looks(networks=False, bins=24, dated=False), empty="", id="hosts")
        with Container(id="host-box"):
            yield TitleRule("this host", id="host-title")
            with VerticalScroll(id="host-scroll", can_focus=False):
                yield Static("", id="host", markup=False)

    @property
    def table(self) -> VirtualTable:
        """The rows."""
        return self.query_one("#hosts", VirtualTable)

    def enter(self) -> None:
        """To the rows."""
        self.screen.set_focus(self.table)

    # -- asking -----------------------------------------------------------------------------------

    def obey(self, view: View, summary: Summary) -> None:
        """Hosts of this filter and range; those of before stay until they are there."""
        self._view, self._summary = view, summary
        self._ask()

    def _ask(self) -> None:
        data, extent = self.frame.data, self._summary.extent
        if data is None or extent is None:
            self.table.set_empty(self.frame.waiting or "There are no flows in this case. L shows what was not decoded.")
            return
        span = self._view.span or extent
        asked = (data.generation, self._view.filter, span, self.by, self.descending, self.silent, self._summary.flows)
        if asked == self._asked:
            return
        if self._question is not None:
            self._question.stop()
        self._asked, self._words = asked, "finding hosts"
        if self.found is None:
            self.table.set_empty("Finding hosts \u2026 Esc stops.")
        if self._lane is None:
            self._lane = Latest(self, "hosts")
        over, view, question = Range(span.start, span.end, BINS), self._view, data.question()
        self._question = question
        self._watch.begin()
        self._lane.ask(lambda: self._answer(data, view, over, question, asked))
        self._titles()
        self.frame.changed()

    def _answer(self, data: CaseData, view: View, over: Range, question: Question, asked: tuple[Any, ...]) -> None:
        """In a worker thread."""
        try:
            found = hosts(
                question, data.where(view), over, by=asked[3], descending=asked[4], silent=asked[5],
                progress=lambda words: self._tell(asked, words),
            )  # fmt: skip
            self.post_message(self.Answered(asked, found, over))
        except Exception as error:  # every failure is shown
            self.post_message(self.Failed(asked, error))

    def _tell(self, asked: tuple[Any, ...], words: str) -> None:
        self.post_message(self.Told(asked, words))

    def on_hosts_view_told(self, message: Told) -> None:
        """The status line says it."""
        message.stop()
        if message.asked == self._asked and self._words:
            self._words = message.words
            self.frame.changed()

    def on_hosts_view_failed(self, message: Failed) -> None:
        """Say it, and that what is shown is of before."""
        message.stop()
        if message.asked == self._asked:
            self._words, self._asked = "", self._shown
            if not isinstance(message.error, CancelledError):
                self.frame.say(message.error)
            self._titles()
            self.frame.changed()

    def on_hosts_view_answered(self, message: Answered) -> None:
        """Show them; the cursor stays on its host."""
        message.stop()
        if message.asked != self._asked:
            return
        self._words, self._shown, self._before = "", message.asked, self._view
        here = self._place or (host_rows.as_record(self.row) if self.row else {})
        self.found, self._over = message.found, message.over
        self._rows, self._place = host_rows.rows_of(message.found), {}
        self._watch.end(len(self._rows))
        self._draw(next((n for n, row in enumerate(self._rows) if host_rows.as_record(row) == here), 0))
        self._titles()
        self.frame.changed()

    def stop(self) -> bool:
        """Stop looking."""
        if not self._words:
            return False
        if self._question is not None:
            self._question.stop()
        self._words, self._asked = "", self._shown
        self.table.set_empty("Stopped. r asks again; a filter or a shorter time range is quicker.")
        self._titles()
        if self._before is not None and self._before != self._view:
            self.frame.return_to(self._before)
        return True

    def leave(self) -> None:
        """The case is closed: the engine must not be left working."""
        if self._question is not None:
            self._question.stop()

    @property
    def cost(self) -> tuple[float, int] | None:
        """What the last answer cost."""
        return self._watch.cost

    def showing(self) -> View | None:
        """What the rows obey while others are on their way."""
        return self._before if self._words else None

    # -- what it shows ----------------------------------------------------------------------------

    def _draw(self, row: int | None) -> None:
        dated = host_rows.day_crossed(self._over.start, self._over.end)
        self._cells = BINS if self.size.width >= _WIDE else BINS // 2
        self.table.set_looks(host_rows.looks(networks=self._networks, bins=self._cells, dated=dated))
        self.table.set_empty("No host has a flow here.\nEsc and backspace bring the filter before back, R all of the time.")
        rows = host_rows.table_of(self._rows, self._cells, dated=dated)
        self.table.set_source(ArrowSource(rows), Sorting(host_rows.SHOWN_IN[self.by], self.descending), row)
        self._describe()

    def on_resize(self, event: events.Resize) -> None:
        """Wide screens have finer lifelines."""
        if self.found is not None and (event.size.width >= _WIDE) != (self._cells == BINS):
            self._draw(None)

    @property
    def _networks(self) -> bool:
        return self.found is not None and (self.found.networks > 1 or any(row.host.network for row in self._rows))

    @property
    def row(self) -> Row | None:
        """What the cursor stands on."""
        at = self.table.cursor_row
        return self._rows[at] if at < len(self._rows) else None

    def _titles(self) -> None:
        self.query_one("#hosts-title", TitleRule).title = self._title()

    def _title(self) -> str:
        if self.found is None:
            return self._words or "hosts"
        found, shown = self.found, len(self.found.listed)
        whole = found.talking + (found.silent if self.silent else 0)
        words = (_WORDS if self.descending else _WORDS_UP)[self.by]
        title = ("" if whole <= shown else f"{shown} of ") + f"{figures.count(whole)} hosts by address"
        title += f", {words} first"
        if found.silent:
            title += f", {figures.count(found.silent)} silent {'listed' if self.silent else 'not listed (u)'}"
        return title

    def _describe(self) -> None:
        row = self.row
        text = Text()
        if row is None:
            text.append("Rows are addresses within a tenant network. " + self._names)
        else:
            for name, words in host_rows.about(row, networks=self._networks):
                text.append(f"{name:<11}", "bold").append(f"{words}\n")
            text.append(self._names)
        self.query_one("#host", Static).update(text)

    @property
    def _names(self) -> str:
        """How to come to names."""
        if not self.nameless:
            return "v shows workloads by name."
        return "The case knows nobody by name: workbench import kubernetes, hubble, ovn, libvirt or csv brings names into it."

    def on_virtual_table_moved(self, message: VirtualTable.Moved) -> None:
        """Say what is under the cursor."""
        message.stop()
        self._describe()
        self.frame.changed()

    def on_virtual_table_heading_clicked(self, message: VirtualTable.HeadingClicked) -> None:
        """Rank by that column."""
        message.stop()
        if message.column in MEASURES:
            self._rank(message.column, descending=not self.descending if message.column == self.by else True)

    def on_virtual_table_chosen(self, message: VirtualTable.Chosen) -> None:
        """To its flows."""
        message.stop()
        self._pivot(2)

    # -- keys -------------------------------------------------------------------------------------

    def _rank(self, by: str, *, descending: bool) -> None:
        self.by, self.descending = cast("Measure", by), descending
        self._ask()

    def action_rank(self) -> None:
        """The next measure."""
        self._rank(_ORDER[(_ORDER.index(self.by) + 1) % len(_ORDER)], descending=self.descending)

    def action_reverse(self) -> None:
        """The other end first."""
        self._rank(self.by, descending=not self.descending)

    def action_silent(self) -> None:
        """With or without addresses that sent nothing."""
        self.silent = not self.silent
        self._ask()

    def action_matrix(self) -> None:
        """The matrix of its flows."""
        self._pivot(4)

    def _pivot(self, number: int) -> None:
        subject = self.subject()
        if subject is not None:
            self.frame.filter_by(joined(self._view.filter, subject.kept), number)

    # -- for the frame ----------------------------------------------------------------------------

    def subject(self) -> Subject | None:
        """The host."""
        row = self.row
        if row is None:
            return None
        host = row.host
        kept = host_rows.kept(host, networks=self._networks)
        if row.tenure is not None:
            kept += f" && mac == {row.tenure.mac}"
        name = f"{host.ip} in {visible(host.network)}" if host.network else host.ip
        return Subject("host", f"{host.network} {host.ip}".strip(), name, kept)

    def keep_value(self) -> tuple[str, object] | None:
        """Its address, on either side."""
        return None if self.row is None else ("addr", self.row.host.ip)

    def text(self) -> str:
        """The address, or the MAC."""
        row = self.row
        return "" if row is None else visible(row.tenure.mac) if row.tenure else row.host.ip

    def place(self) -> dict[str, Any]:
        """The ranking and the host."""
        here = host_rows.as_record(self.row) if self.row else {}
        return {"by": self.by, "descending": self.descending, "silent": self.silent, "row": here}

    def restore(self, place: Mapping[str, Any]) -> None:
        """To that ranking and host."""
        by, row = place.get("by"), place.get("row")
        if isinstance(by, str) and by in MEASURES:
            self.by = cast("Measure", by)
        self.descending = place.get("descending") is not False
        self.silent = place.get("silent") is True
        if isinstance(row, dict):
            self._place = row
        self._ask()
        at = next((n for n, one in enumerate(self._rows) if host_rows.as_record(one) == row), None)
        if at is not None:
            self.table.move_to(at)

    @property
    def activity(self) -> str:
        """What is going on."""
        return self._words

    @property
    def resting(self) -> bool:
        """Whether all that was asked has been answered."""
        return not self._words
