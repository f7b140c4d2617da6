"""One case on one screen: when, which flows, everything about one of them, and what all of it rests on."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Final

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.screen import Screen
from textual.timer import Timer

from workbench.errors import CancelledError
from workbench.tui import coverage, figures, recent
from workbench.tui.data import CaseData, Sorting, Span, Summary
from workbench.tui.indexing import IndexRun
from workbench.tui.inquiry import Inquiry
from workbench.tui.looks import flow_looks
from workbench.tui.messages import BinsReady, IndexingChanged, OrderComplete, OrderReady, SummaryReady, WorkFailed
from workbench.tui.screens.column_picker import ColumnPicker, next_sorting
from workbench.tui.screens.dialog import ErrorDialog, PromptDialog
from workbench.tui.widgets.detail import FlowDetail
from workbench.tui.widgets.keys import KeyLine
from workbench.tui.widgets.rule import TitleRule
from workbench.tui.widgets.status import StatusLine
from workbench.tui.widgets.timeline import Metric, Timeline
from workbench.tui.widgets.virtual_table import VirtualTable

#: While indexing, rows are put in order again this often (seconds), and never more than a fifth of the time.
_REFRESH: Final = 1.0
_DAY: Final = 86_400_000_000
_EMPTY: Final = "No flows.\nThe ledger (L) says what was in the capture."
_EMPTY_SPAN: Final = "No flows in this time range.\nPress T for the range before, R for everything."
_COMPILING: Final = "Compiling the decoder for this machine.\nThis happens once and takes about a minute."
_WAITING: Final = "Reading: flows appear here as they come."


class CaseScreen(Screen[None]):
    """The flows of one case."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (130, "-wide")]  # noqa: RUF012  typed so by Textual
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (16, "-short"), (32, "-tall")]  # noqa: RUF012

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", "Next part", id="case.next", tooltip="To the next part of the screen", show=False),
        Binding("shift+tab", "app.focus_previous", "Previous part", id="case.previous", tooltip="To the part before", show=False),
        Binding("s", "sort", "Sort", id="case.sort", tooltip="Choose the column to sort by"),
        Binding("S", "reverse", "Reverse", id="case.reverse", tooltip="Turn the order round", show=False),
        Binding(
            "less_than_sign", "sort_side(-1)", "Sort left", id="case.sort_left", tooltip="Sort by the column before", show=False
        ),
        Binding(
            "greater_than_sign", "sort_side(1)", "Sort right", id="case.sort_right", tooltip="Sort by the next column", show=False
        ),
        Binding("t", "time", "Time", id="case.time", tooltip="To the timeline, at the time of this flow"),
        Binding("T", "zoom_out", "Zoom out", id="case.zoom_out", tooltip="Back to the time range before"),
        Binding("R", "reset", "All time", id="case.reset", tooltip="Show the whole time range", show=False),
        Binding("m", "metric", "Measure", id="case.metric", tooltip="Timeline of flows, bytes or packets"),
        Binding("i", "detail", "Pane", id="case.detail", tooltip="Show or hide the detail pane", show=False),
        Binding("L", "ledger", "Ledger", id="case.ledger", tooltip="What was not decoded and not seen"),
        Binding("r", "reload", "Reload", id="case.reload", tooltip="Show what was added to the case since", show=False),
        Binding("colon", "jump", "Jump", id="case.jump", tooltip="Go to a row number or percentage", show=False),
        Binding("escape", "back", "Stop, back", id="case.back", tooltip="Stop a running query; leave the timeline", show=False),
    ]

    def __init__(self, data: CaseData | None, run: IndexRun | None = None) -> None:
        super().__init__()
        self.inquiry: Inquiry | None = None
        self.index_run = run
        self._data = data
        self.summary = Summary()
        self.sorting = Sorting()
        self.span: Span | None = None
        self._history: list[Span | None] = []
        self._bins = 0
        self._ended = False
        self._dated = False
        self._timer: Timer | None = None
        self._remembered = False

    def compose(self) -> ComposeResult:
        """Timeline, flows and details, status, keys."""
        with Vertical(id="timeline-box"):
            yield TitleRule("time", id="timeline-title")
            yield Timeline(id="timeline")
        with Container(id="body"):
            with Vertical(id="flows-box"):
                yield TitleRule(id="flows-title")
                yield VirtualTable(flow_looks(dates=False), empty=_EMPTY, id="flows")
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

    def on_mount(self) -> None:
        """Ask for everything."""
        self.set_focus(self.table)
        self.table.empty = _WAITING if self.index_run is not None else _EMPTY
        self._titles()
        if self.index_run is not None:
            self.index_run.listener = self._indexing_told
            self._timer = self.set_interval(_REFRESH, self._tick)
            self.post_message(IndexingChanged())
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

    def _indexing_told(self) -> None:
        self.post_message(IndexingChanged())

    def _titles(self) -> None:
        arrow = "▼" if self.sorting.descending else "▲"
        look = next((look for look in self.table.looks if look.name == self.sorting.column), None)
        where = f", row {self.table.cursor_row + 1:,}" if self.table.total else ""
        title = f"{figures.count(self.table.total)} flows{where}, by {look.heading if look else self.sorting.column} {arrow}"
        first, last = self.table.columns_in_view
        if last:
            title += f", columns {first}-{last} of {len(self.table.looks)}"
        self.query_one("#flows-title", TitleRule).title = title
        self.query_one("#timeline-title", TitleRule).title = self.timeline.describe()

    # -- asking the case --------------------------------------------------------------------------

    def _show(self, data: CaseData) -> None:
        """Show a case that was not there before."""
        self.inquiry = Inquiry(self, data)
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
        self.inquiry.put_in_order(self.sorting, self.span, keep, patient=patient)
        self._tell_activity()

    def on_order_ready(self, message: OrderReady) -> None:
        """Show the rows."""
        if self.inquiry is None or not self.inquiry.accept(message):
            return
        self.table.empty = _WAITING if self._indexing else _EMPTY if message.span is None else _EMPTY_SPAN
        self.table.set_source(message.order, message.sorting, message.row)
        self._titles()
        self._tell_activity()

    def on_order_complete(self, message: OrderComplete) -> None:
        """Nothing is under way any more."""
        if self.inquiry is not None:
            self.inquiry.completed(message)
        self._tell_activity()

    def _count(self) -> None:
        """Count the timeline again, for the span that is asked for now."""
        span = self.span or self.summary.extent
        if self.inquiry is not None and span is not None and self._bins:
            self.inquiry.count(span, self._bins)

    def on_bins_ready(self, message: BinsReady) -> None:
        """Show the bars."""
        if self.inquiry is not None and self.inquiry.is_current(message):
            self.timeline.set_bins(message.bins)

    def on_work_failed(self, message: WorkFailed) -> None:
        """Say what failed."""
        if self.inquiry is None or not self.inquiry.is_current(message):
            return
        self._tell_activity()
        self._say(message.error)

    def _say(self, error: BaseException) -> None:
        """Show an error; a case that changed on disk meanwhile is read again instead."""
        if isinstance(error, CancelledError):
            return
        if self.inquiry is not None and self.inquiry.outdated:
            self.inquiry.sum_up()
        elif not isinstance(self.app.screen, ErrorDialog):
            self.app.push_screen(ErrorDialog.of(error))

    # -- indexing ---------------------------------------------------------------------------------

    @property
    def _indexing(self) -> bool:
        return self.index_run is not None and not self.index_run.done

    def _tick(self) -> None:
        """While indexing: the rows that came since."""
        if self._indexing and self.inquiry is not None and self.inquiry.may_refresh:
            self.inquiry.sum_up()

    def on_indexing_changed(self, _message: IndexingChanged) -> None:
        """Show how far it is; show the case once it is there, and all of it at the end."""
        run = self.index_run
        if run is None:
            return
        self.status.progress = run.progress if self._indexing else None
        compiling = run.progress is not None and run.progress.phase == "compile"
        if self._indexing and not self.table.total:
            self.table.set_empty(_COMPILING if compiling else _WAITING)
        self._tell_activity()
        if self.inquiry is None and run.reader is not None:
            from workbench.tui.case_data import StoredCase

            self._show(StoredCase(run.reader))
        elif self._indexing and not self.table.total and run.progress is not None and run.progress.flows:
            self._tick()  # the first rows are not kept waiting for the next second
        if run.done and not self._ended:
            self._ended = True
            self._index_ended(run)

    def _index_ended(self, run: IndexRun) -> None:
        if self._timer is not None:
            self._timer.stop()
        self.table.set_empty(_EMPTY)
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
        run = self.index_run
        if run is not None and not run.done:
            return "stopping" if run.cancelling else indexing_words(run)
        if self.inquiry is None:
            return "no case"
        return "sorting, Esc stops" if self.inquiry.sorting else "ready"

    # -- what the person does ---------------------------------------------------------------------

    def on_virtual_table_moved(self, message: VirtualTable.Moved) -> None:
        """The detail pane and the titles follow the cursor."""
        path = self.path_of(message.record)
        if message.table.total == 0:
            self.query_one("#detail", FlowDetail).show_flow(None, "")
        elif message.record is not None:
            self.query_one("#detail", FlowDetail).show_flow(message.record, path)
        self._titles()

    def path_of(self, record: dict[str, Any] | None) -> str:
        """The path of the source that a flow is from."""
        if record is None:
            return ""
        for source in self.summary.sources:
            if source["source_id"] == record.get("source_id"):
                return str(source.get("path") or "")
        return ""

    def on_virtual_table_chosen(self, message: VirtualTable.Chosen) -> None:
        """Everything about it."""
        from workbench.tui.screens.flow import FlowDialog

        self.app.push_screen(FlowDialog(message.record, self.path_of(message.record)))

    def on_virtual_table_heading_clicked(self, message: VirtualTable.HeadingClicked) -> None:
        """Sort by it."""
        self._sort_by(next_sorting(self.sorting, message.column))

    def on_virtual_table_failed(self, message: VirtualTable.Failed) -> None:
        """Say so."""
        self._say(message.error)

    def on_timeline_wanted(self, message: Timeline.Wanted) -> None:
        """Another number of bars fits."""
        if message.bins != self._bins:
            self._bins = message.bins
            self._count()

    def on_timeline_touched(self) -> None:
        """Its title says other things."""
        self._titles()

    def on_timeline_zoomed(self, message: Timeline.Zoomed) -> None:
        """Show that span."""
        self._history.append(self.span)
        self._show_span(message.span)

    def _show_span(self, span: Span | None) -> None:
        if span == self.span:
            return
        self.span = span
        self.status.span = span
        self.timeline.mark = None
        self._ask()
        self._count()

    def action_time(self) -> None:
        """To the timeline, at the flow under the cursor."""
        record = self.table.record
        if record is not None and record.get("ts") is not None:
            self.timeline.point_at(figures.to_us(record["ts"]))
        self.set_focus(self.timeline)

    def action_zoom_out(self) -> None:
        """Back to the span before; beyond the first, everything."""
        self._show_span(self._history.pop() if self._history else None)

    def action_reset(self) -> None:
        """Everything."""
        self._history.clear()
        self._show_span(None)

    def action_metric(self) -> None:
        """The next measure."""
        metrics = list(Metric)
        self.timeline.metric = metrics[(metrics.index(self.timeline.metric) + 1) % len(metrics)]

    def action_sort(self) -> None:
        """Choose a column."""
        self.app.push_screen(ColumnPicker(self.table.looks, self.sorting), self._sort_by)

    def _sort_by(self, sorting: Sorting | None) -> None:
        if sorting is not None and sorting != self.sorting:
            self.sorting = sorting
            self._ask(stay=False)
            self._titles()

    def action_reverse(self) -> None:
        """The other way round."""
        self._sort_by(Sorting(self.sorting.column, not self.sorting.descending))

    def action_sort_side(self, by: int) -> None:
        """Sort by the column beside."""
        names = [look.name for look in self.table.looks]
        here = names.index(self.sorting.column) if self.sorting.column in names else 0
        there = (here + by) % len(names)
        self.table.cursor_column = there
        self._sort_by(next_sorting(self.sorting, names[there]))

    def action_detail(self) -> None:
        """Show or hide the pane."""
        self.query_one("#detail-box").toggle_class("-hidden")

    def action_ledger(self) -> None:
        """The ledger."""
        from workbench.tui.screens.ledger import LedgerDialog

        self.app.push_screen(LedgerDialog(self.summary))

    def action_reload(self) -> None:
        """What the case holds now."""
        if self.inquiry is not None:
            self.inquiry.sum_up()

    def action_jump(self) -> None:
        """Ask for a row."""
        hint = f"A row from 1 to {self.table.total:,}, a percentage such as 50%, or $ for the last"

        def check(answer: str) -> str:
            return "" if row_named(answer, 1) is not None else "This is no row number and no percentage"

        self.app.push_screen(PromptDialog("Jump to row", hint, check), self._jump)

    def _jump(self, answer: str | None) -> None:
        row = None if answer is None else row_named(answer, self.table.total)
        if row is not None:
            self.table.move_to(row)

    def action_back(self) -> None:
        """Stop a query; else drop the brush; else go back to the flows."""
        if self.inquiry is not None and self.inquiry.sorting:
            back = self.inquiry.stop()
            if back is not None:
                self.table.set_source(back[0], back[1])
            self.sorting, self.span = self.inquiry.shown
            self.status.span = self.span
            self._count()
            self._tell_activity()
            self._titles()
        elif self.timeline.has_focus and self.timeline.mark is not None:
            self.timeline.mark = None
        else:
            self.set_focus(self.table)


def indexing_words(run: IndexRun) -> str:
    """`indexing 43%`, `compiling kernels`, `starting`."""
    progress = run.progress
    if progress is None:
        return "starting"
    if progress.phase == "compile":
        return "compiling kernels, once"
    if progress.phase == "finish":
        return "finishing"
    if not progress.total_bytes:
        return f"indexing, {figures.words_size(progress.done_bytes)}"
    return f"indexing {100 * progress.done_bytes // progress.total_bytes}%"


def row_named(text: str, total: int) -> int | None:
    """The row that `1,234`, `12%` or `$` means, counted from 0; None where it means none."""
    text = text.replace(",", "").replace("_", "").strip()
    if text == "$":
        return max(0, total - 1)
    try:
        row = int(float(text[:-1]) / 100 * total) if text.endswith("%") else int(text) - 1
    except (ValueError, OverflowError):
        return None
    return max(0, min(row, total - 1))
