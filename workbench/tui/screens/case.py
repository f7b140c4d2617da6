"""One case on one screen: which flows, when, what it rests on, and a view of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import BindingType
from textual.widgets import Input, TextArea

from workbench.tui import conditions, figures
from workbench.tui.data import Span
from workbench.tui.messages import BookmarkTurned, MarksReady
from workbench.tui.screens.case_keys import CASE_KEYS
from workbench.tui.screens.filtering import FilterPane
from workbench.tui.screens.live import LiveScreen
from workbench.tui.views import VIEWS
from workbench.tui.views.base import Subject
from workbench.tui.widgets.name_row import NameRow
from workbench.tui.widgets.timeline import Metric, Timeline

if TYPE_CHECKING:
    from workbench.store.notebook import Notebook
    from workbench.tui.policy_drafting import Origin

_PACKETS, _POLICY = 6, 8


class CaseScreen(LiveScreen):
    """The frame of one case: what the person does in every view."""

    BINDINGS: ClassVar[list[BindingType]] = CASE_KEYS

    #: A filter that is being checked, and the key of the view that it is for; 0 for the one that is shown.
    _onward: tuple[str, int] = ("", 0)

    # -- views ------------------------------------------------------------------------------------

    async def action_view(self, number: int) -> None:
        """Show that view."""
        await self._go(number, {})

    async def on_name_row_chosen(self, message: NameRow.Chosen) -> None:
        """Show the view that was clicked."""
        await self._go(int(message.name), {})

    def go(self, number: int, place: Mapping[str, Any] | None = None) -> None:
        """Show the view of that key, at a place."""
        self.call_next(self._go, number, dict(place or {}))

    async def _go(self, number: int, place: Mapping[str, Any]) -> None:
        if number not in VIEWS:
            return
        here = self.stop_here()
        if number != here.number or place:
            self.trail.leave(here)
        await self._switch(number)
        if place:
            self.shown.restore(place)
        self.keep_layout()

    async def action_been(self, step: int) -> None:
        """Back to where the person was, or forward again."""
        stop = (self.trail.back if step < 0 else self.trail.forward)(self.stop_here())
        if stop is None:
            self.tell(
                "Back" if step < 0 else "Forward", "There is nothing further back." if step < 0 else "There is nothing after."
            )
            return
        self.views.jump(stop.view)
        self.filter_pane.bar.put(stop.view.filter)
        self._obey_time()
        await self._switch(stop.number)
        self.shown.restore(stop.place)
        self._count()

    async def _go_on(self, number: int, text: str) -> None:
        """Another view, of another filter: one step, so that one key leads back."""
        self.trail.leave(self.stop_here())
        self.views.filter_by(text)
        self._obey_time()
        await self._switch(number)
        self._count()
        self.keep_layout()

    def _step(self, changed: Callable[[], bool]) -> None:
        """Change what is asked for; the way back is kept."""
        here = self.stop_here()
        if changed():
            self.trail.leave(here)
            self._obey()

    # -- time -------------------------------------------------------------------------------------

    def on_timeline_wanted(self, message: Timeline.Wanted) -> None:
        """Another number of bars fits."""
        if message.bins != self._bins:
            self._bins = message.bins
            self._count()

    def on_marks_ready(self, message: MarksReady) -> None:
        """Show where findings lie."""
        self.timeline.set_marks(message.marks)

    def on_timeline_touched(self) -> None:
        """Its title says other things."""
        self._titles()

    def on_timeline_zoomed(self, message: Timeline.Zoomed) -> None:
        """Show that span."""
        self.zoom(message.span)

    def zoom(self, span: Span | None) -> None:
        """Show another time range; None for all of it."""
        self._step(self.views.zoom_reset if span is None else partial(self.views.zoom, span))

    def action_time(self) -> None:
        """To the timeline, at the flow under the cursor."""
        subject = self.shown.subject()
        at = subject.flow.get("ts") if subject is not None and subject.flow is not None else None
        if at is not None:
            self.timeline.point_at(figures.to_us(at))
        self.set_focus(self.timeline)

    def action_zoom_out(self) -> None:
        """Back to the span before; beyond the first, everything."""
        self._step(self.views.zoom_out)

    def action_reset(self) -> None:
        """Everything."""
        self.zoom(None)

    def action_scrub(self, by: int) -> None:
        """Move the time window; the first step makes one. All of them together are one step of the way back."""
        self._move_window(
            partial(self.views.scrub, by), "The window stands at the end of the range that it moves in; T leaves it."
        )

    def action_widen(self, by: int) -> None:
        """A wider or a narrower window."""
        self._move_window(partial(self.views.widen, by), "The window is as wide as the range that it moves in.")

    def _move_window(self, step: Callable[[Span], bool], otherwise: str) -> None:
        whole, here, begun = self.summary.extent, self.stop_here(), self.views.outer is not None
        if whole is None:
            self.tell("Time", "There are no flows, so there is no time to move in.")
        elif step(whole):
            if not begun:
                self.trail.leave(here)
            self._obey()
        else:
            self.tell("Time", otherwise)

    def action_metric(self) -> None:
        """The next measure."""
        metrics = list(Metric)
        self.timeline.metric = metrics[(metrics.index(self.timeline.metric) + 1) % len(metrics)]

    # -- filter -----------------------------------------------------------------------------------

    async def on_filter_pane_applied(self, message: FilterPane.Applied) -> None:
        """View and timeline obey this filter, which is right; the keys go to the view."""
        (text, number), self._onward = self._onward, ("", 0)
        if number in VIEWS and text == message.text and number != self.shown.number:
            await self._go_on(number, text)
            return
        self.shown.enter()
        self._step(partial(self.views.filter_by, message.text))

    def on_filter_pane_left(self) -> None:
        """Stop what is under way, else go back to the view."""
        self.shown.stop()
        self.filter_pane.reset()
        self.shown.enter()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The key to the bar types a stroke where text is written."""
        if action == "filter" and isinstance(self.focused, Input | TextArea):
            return False
        return super().check_action(action, parameters)

    def action_filter(self) -> None:
        """To the bar."""
        self.filter_pane.enter()

    def action_filter_before(self) -> None:
        """The filter before; beyond the first, all flows."""
        self._step(self._filter_before)

    def _filter_before(self) -> bool:
        changed = self.views.filter_before()
        if changed:
            self.filter_pane.bar.put(self.view.filter)
        return changed

    def filter_by(self, text: str, number: int = 0) -> None:
        """Apply a filter, checked as a typed one is; in the view of that key, which is shown once the filter is right."""
        self._onward = (text.strip(), number)
        self.filter_pane.build(text)

    def keep(self, column: str, value: object, *, keep: bool = True) -> None:
        """Add a value of a column of `flows` to the filter, or its exclusion."""
        self.filter_by(conditions.joined(self.view.filter, conditions.condition(column, value, keep=keep)))

    def action_keep(self, keep: bool) -> None:
        """Add the value under the cursor to the filter."""
        found = self.shown.keep_value()
        if found is None:
            self.tell("Filter", "Nothing under the cursor can be filtered by.")
        else:
            self.keep(*found, keep=keep)

    # -- what the cursor stands on ------------------------------------------------------------------

    def action_copy(self) -> None:
        """The value under the cursor to the clipboard of the terminal: as it is shown, so that pasting it does nothing odd."""
        text = self.shown.text()
        if text:
            self.app.copy_to_clipboard(text)
            self.tell("Copied", text[:200])

    def _flow(self) -> Mapping[str, Any] | None:
        """The flow under the cursor; where there is none, that is said."""
        subject: Subject | None = self.shown.subject()
        if self._filtering:
            self.tell("Still filtering", "These are the rows of the filter before.")
            return None
        if subject is None or subject.flow is None:
            self.tell("No flow", "There is no flow under the cursor. The view Flows (2) has them.")
            return None
        return subject.flow

    def action_packets(self) -> None:
        """Packets of the flow under the cursor."""
        flow = self._flow()
        if flow is not None:
            self.packets(flow)

    def packets(self, flow: Mapping[str, Any]) -> None:
        """Packets of a flow."""
        if self.data is not None:
            self.go(_PACKETS, {"flow": flow, "from": self.shown.number})

    def action_export(self) -> None:
        """Carve this flow, or all that are shown."""
        from workbench.tui.screens.carve import CarveDialog

        flow = self._flow()
        if self.data is not None and flow is not None:
            self.app.push_screen(CarveDialog(self.data, flow, self.shown.showing() or self.view))

    def action_draft(self) -> None:
        """A policy from what the cursor stands on, or from all flows that are shown."""
        from workbench.tui.policy_drafting import origins
        from workbench.tui.screens.draft_menu import DraftMenu

        if self.data is None or self._filtering:
            self.tell(
                "Draft", "The case is still being read." if self.data is None else "These are the rows of the filter before."
            )
            return
        found = origins(self.shown.subject(), self.view)
        if len(found) == 1:
            self._draft(found[0])
        else:
            self.app.push_screen(DraftMenu(found), self._draft)

    def _draft(self, origin: Origin | None) -> None:
        if origin is not None:
            self.call_next(self._go_and_draft, origin)

    async def _go_and_draft(self, origin: Origin) -> None:
        from workbench.tui.views.policy import PolicyView

        await self._go(_POLICY, {})
        if isinstance(self.shown, PolicyView):
            self.shown.draft(origin)

    async def action_then(self) -> None:
        """Whether the policy that is open would have stopped what the cursor stands on."""
        from workbench.tui.policy_drafting import origins
        from workbench.tui.views.policy import PolicyView

        origin = origins(self.shown.subject(), self.view)[0]
        await self._go(_POLICY, {})
        if isinstance(self.shown, PolicyView):
            self.shown.had_been(origin)

    def _noted(self) -> tuple[Notebook, Subject] | None:
        """The notebook and what the cursor stands on; where there is nothing, that is said."""
        subject: Subject | None = self.shown.subject()
        notebook = self.data.notebook if self.data is not None else None
        if notebook is None or subject is None:
            self.tell("Nothing here", "The cursor stands on nothing that can have a note.")
            return None
        return notebook, subject

    def action_note(self) -> None:
        """Notes on what the cursor stands on."""
        from workbench.tui.screens.note import note_dialog

        found = self._noted()
        if found is not None:
            self.app.push_screen(note_dialog(*found), lambda kept: self.shown.noted() if kept else None)

    def action_bookmark(self) -> None:
        """Set its bookmark, or take it away."""
        from workbench.tui.screens.note import turn_bookmark

        found = self._noted()
        if found is not None:
            turn_bookmark(self, *found)

    def on_bookmark_turned(self, message: BookmarkTurned) -> None:
        """Say which of the two it was."""
        if message.error is not None:
            self.say(message.error)
        else:
            self.tell("Bookmarked" if message.there else "Bookmark taken away", message.words[:200])
            self.shown.noted()

    # -- the case ---------------------------------------------------------------------------------

    def action_ledger(self) -> None:
        """The ledger."""
        from workbench.tui.screens.ledger import LedgerDialog

        self.app.push_screen(LedgerDialog(self.summary, filtered=bool(self.view.filter)))

    def action_reload(self) -> None:
        """What the case holds now."""
        if self.counting is not None:
            self.counting.sum_up()

    def action_back(self) -> None:
        """Stop what the view is asking; else drop the brush; else go back to the view's main part."""
        if self.shown.stop():
            self.filter_pane.reset()
            self.changed()
        elif self.timeline.has_focus and self.timeline.mark is not None:
            self.timeline.mark = None
        else:
            self.shown.enter()
