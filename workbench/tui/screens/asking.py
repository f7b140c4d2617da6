"""The frame of a case without its keys: parts, the views, questions to the case, answers, indexing beside it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen
from textual.widgets import ContentSwitcher

from workbench.errors import CancelledError, FilterError
from workbench.records.visible import visible
from workbench.tui import coverage, recent
from workbench.tui.asked import Views
from workbench.tui.counting import Counting
from workbench.tui.data import CaseData, Span, Summary, View, Wrong
from workbench.tui.indexing import IndexRun
from workbench.tui.messages import BinsReady, CaseMoved, IndexingChanged, LayoutReady, SummaryReady, WorkFailed
from workbench.tui.pauses import set_aside
from workbench.tui.screens.dialog import ErrorDialog
from workbench.tui.screens.filtering import FilterPane
from workbench.tui.screens.index_watch import IndexWatch
from workbench.tui.trail import Stop, Trail, from_layout, layout
from workbench.tui.views import FIRST, NAMES, SHORT, TIMELESS, VIEWS, load, made
from workbench.tui.views.base import CaseView
from workbench.tui.widgets.keys import KeyLine
from workbench.tui.widgets.name_row import NameRow
from workbench.tui.widgets.rule import TitleRule
from workbench.tui.widgets.status import StatusLine
from workbench.tui.widgets.timeline import Timeline

#: Seconds between looks whether another process wrote the case or its notebook.
_WATCH: Final = 1.0
_READING: Final = "Reading the case."


class AskingScreen(Screen[None]):
    """Its parts, what they ask of the case, and what comes back."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (130, "-wide")]  # noqa: RUF012  typed so by Textual
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (16, "-short"), (32, "-tall")]  # noqa: RUF012

    def __init__(self, data: CaseData | None, run: IndexRun | None = None, *, first: int = FIRST) -> None:
        """first: the key of the view to begin with, where the person has not been in the case before."""
        super().__init__()
        self.counting: Counting | None = None
        self.indexing = IndexWatch(run)
        self.summary = Summary()
        self.views = Views()
        self.shown = made(first)
        self.trail = Trail()
        self._made = {first: self.shown}
        self._places: dict[int, Mapping[str, Any]] = {}
        self._data = data
        self._bins = 0
        self._counted = ""
        self._early: BinsReady | None = None
        self._remembered = False
        self._answered = False  # until the case has said anything, nothing is claimed of it
        self._prepared = False
        self._kept: dict[str, Any] | None = None

    def compose(self) -> ComposeResult:
        """Filter, timeline, the views, status, keys."""
        yield FilterPane(id="filter")
        with Vertical(id="timeline-box"):
            yield TitleRule("time", id="timeline-title")
            yield Timeline(id="timeline")
        yield NameRow({str(number): (str(number), name) for number, name in sorted(NAMES.items())}, SHORT, id="view-row")
        with ContentSwitcher(id="views", initial=self.shown.id):
            yield self.shown
        yield StatusLine(id="status")
        yield KeyLine()

    # -- parts ------------------------------------------------------------------------------------

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

    # -- what a view may ask of it (views.base.Frame) -----------------------------------------------

    @property
    def data(self) -> CaseData | None:
        """The case; None while it is not open yet."""
        return self.counting.data if self.counting is not None else None

    @property
    def view(self) -> View:
        """The filter and time range that are asked for."""
        return self.views.view

    @property
    def span(self) -> Span | None:
        """The time range asked for; None for all of it."""
        return self.view.span

    @property
    def outer(self) -> Span | None:
        """The range in which the time window is moved to and fro; None where there is no such window."""
        return self.views.outer

    @property
    def waiting(self) -> str:
        """What stands where nothing can be shown yet; '' once the case has answered and is not being indexed."""
        if self.indexing.going_on:
            return self.indexing.empty
        return "" if self._answered else _READING

    def changed(self) -> None:
        """Status line, titles and filter bar follow the view that is shown."""
        if not self.query("#timeline"):  # the screen is being taken down, and an answer was on its way
            return
        showing = self.shown.showing()
        if showing is not None or self.shown.resting:
            self.filter_pane.show_applied((showing or self.view).filter)
        if self._early is not None and not self._filtering:
            self.on_bins_ready(self._early)
        self._titles()
        self._tell_activity()
        self.query_one(KeyLine).idle = self.shown.idle
        if self.counting is not None and self._answered and self.shown.resting:
            self.counting.rested()
            if self._kept is None:
                self._kept = self._layout()
            if not self._prepared and not self.indexing.going_on:
                self._prepared = True
                self.run_worker(partial(_prepare, self.counting.data), group="prepare", thread=True, exit_on_error=False)

    def say(self, error: BaseException) -> None:
        """Show an error; a case that changed on disk meanwhile is read again instead."""
        if isinstance(error, CancelledError):
            return
        if isinstance(error, FilterError):
            self._refuse(error)
        elif self.counting is not None and self.counting.outdated:
            self.counting.sum_up()
        elif not isinstance(self.app.screen, ErrorDialog):
            self.app.push_screen(ErrorDialog.of(error))

    def tell(self, title: str, text: str) -> None:
        """A short message that goes away by itself."""
        text = "\n".join(visible(line) for line in text.split("\n"))  # it may name a file of a stranger's
        self.notify(text, title=title, markup=False, timeout=4)

    def return_to(self, view: View) -> None:
        """What is on the screen is what is asked for: something else was stopped or refused."""
        self.views.return_to(view)
        self.trail.stay(Stop(self.shown.number, view))
        self.timeline.window = view.span if self.outer is not None else None
        self.status.span = view.span
        self.filter_pane.show_applied(view.filter)
        self._count()

    def _refuse(self, error: FilterError) -> None:
        """The bar says what is wrong with the filter; what is on the screen stays."""
        wrong, showing = self.view.filter, self.shown.showing()
        if showing is not None and wrong == showing.filter:
            return  # said already
        if showing is not None:
            self.return_to(showing)
        elif self.views.filter_before():
            self._obey()
        self.filter_pane.refused(Wrong.of(error), wrong)

    # -- showing ----------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Ask for everything."""
        self.query_one("#view-row", NameRow).current = str(self.shown.number)
        self.shown.enter()
        self._titles()
        self.indexing.begin(self, self._tick)
        self.set_interval(_WATCH, self._watch)
        if self._data is not None:
            self._open(self._data)
        self._tell_activity()

    def on_unmount(self) -> None:
        """Let go of the case."""
        if self.counting is not None:
            for view in self._made.values():
                view.leave()
            self.counting.close()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """The title above what has the focus shows it."""
        for rule in self.query(TitleRule):
            rule.set_class(rule.parent in event.widget.ancestors, "-active")

    def stop_here(self) -> Stop:
        """Where the person is now."""
        return Stop(self.shown.number, self.view, self.shown.place())

    def _layout(self) -> dict[str, Any]:
        places = {number: view.place() for number, view in self._made.items()}
        return layout(self.stop_here(), {**self._places, **places})

    def _layout_moved(self) -> bool:
        """Whether the person went anywhere; a case that was only looked at is not written to."""
        if self._kept is None:
            return False
        before, self._kept = self._kept, self._layout()
        return before != self._kept

    async def on_layout_ready(self, message: LayoutReady) -> None:
        """Where the person left the case; not if they are somewhere already."""
        stop, self._places = from_layout(message.layout)
        if stop is None or self.view != View() or stop.number not in VIEWS:
            return
        self.views.jump(stop.view)
        self.status.span = stop.view.span
        self.filter_pane.bar.put(stop.view.filter)
        await self._switch(stop.number)
        if stop.view != View():
            self.tell("As you left it", "Filter or time range of the last time hold again. Backspace, T and R take them back.")

    async def _switch(self, number: int) -> None:
        """Show the view of that key, made now if it never was."""
        if number not in VIEWS:
            return
        switcher = self.query_one("#views", ContentSwitcher)
        if number not in self._made:
            self._made[number] = made(number)
            await switcher.add_content(self._made[number])
        view = self._made[number]
        if view is not self.shown:
            self.shown = view
            switcher.current = view.id
            self.query_one("#timeline-box").set_class(number in TIMELESS, "-timeless")  # styles of one box, not of all views
            self.query_one("#view-row", NameRow).current = str(number)
        self._tell_view()
        self._to_place(view)
        view.enter()

    def _to_place(self, view: CaseView) -> None:
        """A view that is shown for the first time goes where the person left it."""
        if self._answered and view.number in self._places:
            view.restore(self._places.pop(view.number))

    def _tell_view(self) -> None:
        """The view that is shown obeys what is asked for, of the case as it is."""
        if self.counting is not None and self._answered:
            self.shown.obey(self.view, self.summary)
        else:
            self.shown.wait()
        self.changed()

    def _obey(self) -> None:
        """View and timeline by what is asked for now; those of before stay until they are there."""
        self._obey_time()
        self._tell_view()
        self._count()

    def _obey_time(self) -> None:
        self.timeline.mark = None
        self.timeline.window = self.span if self.outer is not None else None
        self.status.span = self.span

    def leave(self) -> None:
        """The person leaves: keep where they are. While the parts still stand, which they do not when the screen is unmounted."""
        if self.counting is not None and self._layout_moved():
            self.counting.save(self._layout())

    def keep_layout(self) -> None:
        """Keep with the case where the person is."""
        if self.counting is not None and self._layout_moved():
            self.run_worker(partial(self.counting.save, self._layout()), group="layout", thread=True, exit_on_error=False)

    def on_case_moved(self, message: CaseMoved) -> None:
        """Another person, or another process, wrote: what is shown follows."""
        if message.noted:
            self.shown.noted()
            self._count()  # marks of findings follow their states
        if message.grown:
            self.grown()

    def grown(self) -> None:
        """The case has more than is shown."""
        if not self.indexing.going_on and self.counting is not None and self.shown.resting:
            self.counting.sum_up()

    def _watch(self) -> None:
        if self.counting is not None and self._answered:
            self.counting.watch()

    def _titles(self) -> None:
        counted = ", filtered" if self._counted else ""
        late = ", being counted" if self._counted != (self.shown.showing() or self.view).filter else ""
        self.query_one("#timeline-title", TitleRule).title = self.timeline.describe() + counted + late

    # -- asking the case --------------------------------------------------------------------------

    def _open(self, data: CaseData) -> None:
        """Show a case that was not there before."""
        self.counting = Counting(self, data)
        self.filter_pane.data = data
        self.counting.sum_up()

    def on_summary_ready(self, message: SummaryReady) -> None:
        """Show it, and ask again for what depends on it."""
        if self.counting is None:
            return
        self.summary = self.status.summary = message.summary
        self._answered = True
        self.counting.summed_up()
        if not self._remembered and message.summary.sources:
            self._remembered = True
            names = coverage.sources_words(message.summary.sources)
            self.run_worker(
                partial(recent.remember, self.counting.data.path, names), group="recent", thread=True, exit_on_error=False
            )
        self._tell_view()
        self._to_place(self.shown)
        self._count()

    def _count(self) -> None:
        """Count the timeline again, for the span that is asked for now."""
        span = self.outer or self.span or self.summary.extent
        if self.counting is not None and span is not None and self._bins:
            self.counting.count(span, self._bins, self.view.filter)

    @property
    def _filtering(self) -> bool:
        """Whether what the view shows obeys another filter than the one asked for."""
        showing = self.shown.showing()
        return showing is not None and showing.filter != self.view.filter

    def on_bins_ready(self, message: BinsReady) -> None:
        """Show the bars; those of a filter whose rows are still on their way wait for the rows."""
        if self.counting is None or not self.counting.is_current(message):
            return
        if self._filtering and message.filter != self._counted:
            self._early = message
            return
        self._early, self._counted = None, message.filter
        self.timeline.set_bins(message.bins)

    def on_work_failed(self, message: WorkFailed) -> None:
        """Say what failed. A filter that is refused is said by the view, which is asked it as well."""
        if self.counting is None or not self.counting.is_current(message):
            return
        if message.serial == 0:
            self.counting.rested()
        if not isinstance(message.error, FilterError):
            self.say(message.error)
        self._tell_activity()

    # -- indexing ---------------------------------------------------------------------------------

    def _tick(self) -> None:
        """While indexing: the rows that came since."""
        if self.indexing.going_on and self.counting is not None and self.counting.may_refresh and self.shown.resting:
            self.counting.sum_up()

    def on_indexing_changed(self, _message: IndexingChanged) -> None:
        """Show how far it is; show the case once it is there, and all of it at the end."""
        watch = self.indexing
        if watch.run is None:
            return
        self.status.progress = watch.progress
        self.shown.wait()
        self._tell_activity()
        if self.counting is None and watch.run.reader is not None:
            from workbench.tui.case_data import StoredCase

            self._open(StoredCase(watch.run.reader))
        elif not self.summary.flows and watch.has_flows:
            self._tick()  # the first rows are not kept waiting for the next second
        if watch.just_ended():
            self._index_ended(watch.run)

    def _index_ended(self, run: IndexRun) -> None:
        self.shown.wait()
        if self.counting is not None:
            self.counting.sum_up()
        if run.error is not None:
            self.say(run.error)
        elif run.result is not None and run.result.refused:
            self.app.push_screen(ErrorDialog.of_all(run.result.refused))

    def _tell_activity(self) -> None:
        self.status.activity = self.activity()
        self.status.cost = self.shown.cost

    def activity(self) -> str:
        """What is going on, in a few words."""
        if self.indexing.going_on:
            return self.indexing.words()
        if self.counting is None:
            return "no case"
        return self.shown.activity or ("ready" if self._answered else "reading the case")


def _prepare(data: CaseData) -> None:
    """In a worker thread, once the first rows are there: load what the next keys will need."""
    load()
    data.prepare()
    set_aside()
