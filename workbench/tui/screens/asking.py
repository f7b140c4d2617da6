"""The screen of a case without its keys: parts, questions to the case, answers, indexing beside it."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from textual import events
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.screen import Screen

from workbench.errors import CancelledError, FilterError
from workbench.tui import coverage, recent
from workbench.tui.asked import Views
from workbench.tui.data import CaseData, Sorting, Span, Summary, View, Wrong
from workbench.tui.indexing import IndexRun
from workbench.tui.inquiry import Inquiry
from workbench.tui.looks import flow_looks
from workbench.tui.messages import (
    BinsReady,
    IndexingChanged,
    OrderComplete,
    OrderReady,
    SummaryReady,
    WorkFailed,
)
from workbench.tui.screens.case_words import flows_title, nothing
from workbench.tui.screens.dialog import ErrorDialog
from workbench.tui.screens.filtering import FilterPane
from workbench.tui.screens.index_watch import IndexWatch
from workbench.tui.widgets.detail import FlowDetail
from workbench.tui.widgets.keys import KeyLine
from workbench.tui.widgets.rule import TitleRule
from workbench.tui.widgets.status import StatusLine
from workbench.tui.widgets.timeline import Timeline
from workbench.tui.widgets.virtual_table import VirtualTable

_DAY: Final = 86_400_000_000


class AskingScreen(Screen[None]):
    """Its parts, what they ask of the case, and what comes back."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (130, "-wide")]  # noqa: RUF012  typed so by Textual
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (16, "-short"), (32, "-tall")]  # noqa: RUF012

    def __init__(self, data: CaseData | None, run: IndexRun | None = None) -> None:
        super().__init__()
        self.inquiry: Inquiry | None = None
        self.indexing = IndexWatch(run)
        self._data = data
        self.summary = Summary()
        self.views = Views()
        self._bins = 0
        self._counted = ""
        self._early: BinsReady | None = None
        self._dated = False
        self._remembered = False
        self._answered = False  # until the case has said anything, no flows means nothing
        self._prepared = False

    def compose(self) -> ComposeResult:
        """Filter, timeline, flows and details, status, keys."""
        yield FilterPane(id="filter")
        with Vertical(id="timeline-box"):
            yield TitleRule("time", id="timeline-title")
            yield Timeline(id="timeline")
        with Container(id="body"):
            with Vertical(id="flows-box"):
                yield TitleRule(id="flows-title")
                yield VirtualTable(flow_looks(dates=False), empty=nothing(View()), id="flows")
            with Vertical(id="detail-box"):
                yield TitleRule("details", id="detail-title")
                yield FlowDetail(id="detail")
        yield StatusLine(id="status")
        yield KeyLine()

    # -- parts ------------------------------------------------------------------------------------

    @property
    def table(self) -> VirtualTable:
        """The flows."""
        return self.query_one("#flows", VirtualTable)

    @property
    def timeline(self) -> Timeline:
        """The bars."""
        return self.query_one("#timeline", Timeline)

    @property
    def status(self) -> StatusLine:
        """The status line."""
        return self.query_one("#status", StatusLine)

    @property
    def filter_pane(self) -> FilterPane:
        """The filter."""
        return self.query_one("#filter", FilterPane)

    @property
    def view(self) -> View:
        """What is asked for."""
        return self.views.view

    @property
    def sorting(self) -> Sorting:
        """The order asked for."""
        return self.view.sorting

    @property
    def span(self) -> Span | None:
        """The time range asked for; None for all of it."""
        return self.view.span

    def on_mount(self) -> None:
        """Ask for everything."""
        self.set_focus(self.table)
        self.table.empty = self.indexing.empty if self.indexing.run is not None else self._nothing(self.view)
        self._titles()
        self.indexing.begin(self, self._tick)
        if self._data is not None:
            self._show(self._data)

    def on_unmount(self) -> None:
        """Let go of the case."""
        if self.inquiry is not None:
            self.inquiry.close()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """The title above what has the focus shows it."""
        for rule in self.query(TitleRule):
            rule.set_class(rule.parent in event.widget.ancestors, "-active")

    def _titles(self) -> None:
        shown = self.inquiry.shown if self.inquiry is not None else self.view
        self.query_one("#flows-title", TitleRule).title = flows_title(self.table, self.sorting, shown, self.summary.flows)
        counted = ", filtered" if self._counted else ""
        late = ", being counted" if self._counted != shown.filter else ""
        self.query_one("#timeline-title", TitleRule).title = self.timeline.describe() + counted + late

    # -- asking the case --------------------------------------------------------------------------

    def _show(self, data: CaseData) -> None:
        """Show a case that was not there before."""
        self.inquiry = Inquiry(self, data)
        self.filter_pane.data = data
        self.inquiry.sum_up()

    def on_summary_ready(self, message: SummaryReady) -> None:
        """Show it, and ask again for what depends on it."""
        self.summary = message.summary
        self.status.summary = message.summary
        extent = message.summary.extent
        dated = extent is not None and extent.start // _DAY != (extent.end - 1) // _DAY
        if dated != self._dated:
            self._dated = dated
            self.table.set_looks(flow_looks(dates=dated))
        if not self._remembered and self.inquiry is not None and message.summary.sources:
            self._remembered = True
            names = coverage.sources_words(message.summary.sources)
            self.run_worker(
                partial(recent.remember, self.inquiry.data.path, names), group="recent", thread=True, exit_on_error=False
            )
        self._ask(patient=True)
        self._count()

    def _ask(self, *, patient: bool = False, stay: bool = True) -> None:
        """Order the flows again, by what is asked for now. stay: the cursor stays on its flow."""
        if self.inquiry is None:
            return
        record = self.table.record if stay and self.table.cursor_row else None
        keep = None if record is None else int(record["flow_id"])
        self.inquiry.put_in_order(self.view, keep, patient=patient)
        self._tell_activity()

    def on_order_ready(self, message: OrderReady) -> None:
        """Show the rows."""
        if self.inquiry is None or not self.inquiry.accept(message):
            return
        self._answered = True
        self.table.empty = self._nothing(message.view)
        self.table.set_source(message.order, message.view.sorting, message.row)
        self.filter_pane.show_applied(message.view.filter)
        if self._early is not None:
            self.on_bins_ready(self._early)
        self._titles()
        self._tell_activity()
        if not self._prepared and not self.indexing.going_on:
            self._prepared = True
            self.run_worker(self.inquiry.data.prepare, group="prepare", thread=True, exit_on_error=False)

    def _nothing(self, view: View) -> str:
        """What the table says where a view has no rows."""
        if self.indexing.going_on:
            return self.indexing.empty
        return nothing(view) if self._answered else "Reading the case."

    def on_order_complete(self, message: OrderComplete) -> None:
        """Nothing is under way any more."""
        if self.inquiry is not None:
            self.inquiry.completed(message)
        self._tell_activity()

    def _count(self) -> None:
        """Count the timeline again, for the span that is asked for now."""
        span = self.span or self.summary.extent
        if self.inquiry is not None and span is not None and self._bins:
            self.inquiry.count(span, self._bins, self.view.filter)

    def on_bins_ready(self, message: BinsReady) -> None:
        """Show the bars; those of a filter whose rows are still on their way wait for the rows."""
        if self.inquiry is None or not self.inquiry.is_current(message):
            return
        if self.inquiry.filtering and message.filter != self._counted:
            self._early = message
            return
        self._early, self._counted = None, message.filter
        self.timeline.set_bins(message.bins)

    def on_work_failed(self, message: WorkFailed) -> None:
        """Say what failed."""
        if self.inquiry is None or not self.inquiry.is_current(message):
            return
        self._answered = True
        if not isinstance(message.error, FilterError):
            self._say(message.error)
        elif self.view.filter != self.inquiry.shown.filter:  # the timeline is refused as well, and says no more
            self.filter_pane.refused(Wrong.of(message.error), self.view.filter)
            self._return_to(self.inquiry.shown)
            self._count()
        self._tell_activity()

    def _return_to(self, view: View) -> None:
        """What is on the screen is what is asked for: something else was stopped or refused."""
        self.views.return_to(view)
        self.status.span = view.span

    def _say(self, error: BaseException) -> None:
        """Show an error; a case that changed on disk meanwhile is read again instead."""
        if isinstance(error, CancelledError):
            return
        if self.inquiry is not None and self.inquiry.outdated:
            self.inquiry.sum_up()
        elif not isinstance(self.app.screen, ErrorDialog):
            self.app.push_screen(ErrorDialog.of(error))

    # -- indexing ---------------------------------------------------------------------------------

    def _tick(self) -> None:
        """While indexing: the rows that came since."""
        if self.indexing.going_on and self.inquiry is not None and self.inquiry.may_refresh:
            self.inquiry.sum_up()

    def on_indexing_changed(self, _message: IndexingChanged) -> None:
        """Show how far it is; show the case once it is there, and all of it at the end."""
        watch = self.indexing
        if watch.run is None:
            return
        self.status.progress = watch.progress
        if watch.going_on and not self.table.total:
            self.table.set_empty(self._nothing(self.view))
        self._tell_activity()
        if self.inquiry is None and watch.run.reader is not None:
            from workbench.tui.case_data import StoredCase

            self._show(StoredCase(watch.run.reader))
        elif not self.table.total and watch.has_flows:
            self._tick()  # the first rows are not kept waiting for the next second
        if watch.just_ended():
            self._index_ended(watch.run)

    def _index_ended(self, run: IndexRun) -> None:
        self.table.set_empty(self._nothing(self.view))
        if self.inquiry is not None:
            self.inquiry.sum_up()
        if run.error is not None:
            self._say(run.error)
        elif run.result is not None and run.result.refused:
            self.app.push_screen(ErrorDialog.of_all(run.result.refused))

    def _tell_activity(self) -> None:
        self.status.activity = self.activity()

    def activity(self) -> str:
        """What is going on, in a few words."""
        if self.indexing.going_on:
            return self.indexing.words()
        if self.inquiry is None:
            return "no case"
        if not self.inquiry.sorting:
            return "ready" if self._answered else "reading the case"
        return "filtering, Esc stops" if self.inquiry.filtering else "sorting, Esc stops"

    def path_of(self, record: dict[str, Any] | None) -> str:
        """The path of the source that a flow is from."""
        if record is None:
            return ""
        for source in self.summary.sources:
            if source["source_id"] == record.get("source_id"):
                return str(source.get("path") or "")
        return ""
