"""A filter bar at work: checked while typing, completed, recalled, applied.

Checks and completions run in lanes of their own, so that a slow look for values holds up no check.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

from textual.app import ComposeResult
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget

from workbench.errors import CancelledError, WorkbenchError
from workbench.tui.data import CaseData, Wrong
from workbench.tui.latest import Latest
from workbench.tui.messages import FilterChecked, FilterOffered
from workbench.tui.once import once
from workbench.tui.past_filters import past_filters, remember_filter
from workbench.tui.widgets.filter_bar import FilterBar, State

#: Seconds after a key before its text is looked at: a word typed fast is looked at once.
_DEBOUNCE: Final = 0.08


class FilterPane(Widget):
    """A bar joined to a case. Tells the screen of a filter that is right with `Applied`, of Esc with `Left`."""

    DEFAULT_CSS = "FilterPane { height: auto; }"

    @dataclass
    class Applied(Message):
        """The person wants the rows to obey this filter, which is right."""

        text: str

    class Left(Message):
        """The person goes back to the flows."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self.data: CaseData | None = None
        self._checks = Latest(self, "filter check")
        self._completions = Latest(self, "filter completions")
        self._timer: Timer | None = None
        self._wrong: Wrong | None = None
        self._right: str | None = None
        self._wanted: str | None = None
        self._past: list[str] | None = None
        self._at = 0
        self._draft = ""

    def compose(self) -> ComposeResult:
        """The bar."""
        yield FilterBar()

    @property
    def bar(self) -> FilterBar:
        """The bar."""
        return self.query_one(FilterBar)

    @property
    def resting(self) -> bool:
        """Whether nothing is being looked at or about to be."""
        return self._timer is None and not self._checks.busy and not self._completions.busy

    def enter(self) -> None:
        """Take the focus."""
        self.bar.enter()

    def show_applied(self, text: str) -> None:
        """This is what the rows obey now."""
        self.set_class(bool(text), "-filtered")
        self.bar.show_applied(text)

    def reset(self) -> None:
        """The line says what is applied, again."""
        self.bar.put(self.bar.applied)
        self.bar.show_state(State.APPLIED)

    # -- while typing -----------------------------------------------------------------------------

    def on_filter_bar_edited(self, message: FilterBar.Edited) -> None:
        """Look at the text, a moment after the last key."""
        message.stop()
        if message.text != self.bar.text or (self._wanted is not None and message.text == self._wanted):
            return  # late word of keys before the last, or before an Enter whose text is being checked: keys outrun it
        if self._timer is not None:
            self._timer.stop()
        self._wanted = None
        if message.text == self.bar.applied:
            self.bar.show_state(State.APPLIED)
        self._timer = once(self, _DEBOUNCE, partial(self._look, message.text, message.cursor, message.offer))

    def _look(self, text: str, cursor: int, offer: bool) -> None:
        self._timer = None
        if self.data is None or text != self.bar.text:
            return
        self._checks.ask(partial(self._check, self.data, text))
        if offer:
            self._completions.ask(partial(self._complete, self.data, text, cursor))
        else:
            self._completions.drop()

    def _check(self, data: CaseData, text: str) -> None:
        try:
            self.post_message(FilterChecked(text, data.check(text)))
        except CancelledError:
            return
        except WorkbenchError as error:  # the case has gone away under us: that is said when the filter is applied
            self.post_message(FilterChecked(text, Wrong(error.message, error.remedy, 0, 0)))

    def _complete(self, data: CaseData, text: str, cursor: int) -> None:
        try:
            found = data.complete(text, cursor)
        except WorkbenchError:  # an offer that cannot be made is not made
            found = ()
        self.post_message(FilterOffered(text, cursor, found))

    def on_filter_checked(self, message: FilterChecked) -> None:
        """Show what the check found; apply the filter where that was waited for."""
        if message.text != self.bar.text:
            return
        self._wrong = message.wrong
        self._right = message.text if message.wrong is None else None
        wanted, self._wanted = self._wanted == message.text, None
        if message.wrong is None:
            if wanted:
                self._accept(message.text)
            elif message.text != self.bar.applied:
                self.bar.show_state(State.VALID)
            return
        unfinished = not wanted and touches_end(message.text, message.wrong)
        self.bar.show_state(State.INCOMPLETE if unfinished else State.WRONG, message.wrong)

    def on_filter_offered(self, message: FilterOffered) -> None:
        """Show the completions; a last word that nothing begins with is wrong, not incomplete."""
        if (message.text, message.cursor) != (self.bar.text, self.bar.line.cursor_position):
            return
        self.bar.offer([offer for offer in message.offers if message.text[offer.start : offer.end] != offer.text])
        wrong = self._wrong
        if self.bar.state is State.INCOMPLETE and wrong is not None and wrong.length:
            word = message.text[wrong.position : wrong.position + wrong.length].lower()
            if not any(word in offer.text.lower() for offer in message.offers):
                self.bar.show_state(State.WRONG, wrong)

    # -- applying ---------------------------------------------------------------------------------

    def on_filter_bar_wanted(self, message: FilterBar.Wanted) -> None:
        """Enter."""
        message.stop()
        self._apply_if_right(message.text)

    def on_filter_bar_left(self, message: FilterBar.Left) -> None:
        """Esc."""
        message.stop()
        self.post_message(self.Left())

    def _apply_if_right(self, text: str) -> None:
        """Apply it if it is right; say what is wrong otherwise."""
        if self.data is None:
            return
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        text = text.strip()
        if text != self.bar.text.strip():
            return  # typed on since: that is what is wanted now
        if text != self.bar.text:
            self.bar.put(text)
        self._completions.drop()
        if self._completions.busy:  # looking for values in millions of rows would hold up the filter
            self.data.interrupt()
        if text == self.bar.applied:
            self.post_message(self.Applied(text))
            return
        if text == self._right:  # no key typed meanwhile can come in between
            self._accept(text)
            return
        self._wanted = text
        self.bar.show_state(State.CHECKING)
        self._checks.ask(partial(self._check, self.data, text))

    def build(self, text: str) -> None:
        """Apply a filter that a key made: in the bar, and checked as a typed one is."""
        self.bar.put(text)
        self._apply_if_right(text)

    def _accept(self, text: str) -> None:
        if text and self.data is not None:
            self.run_worker(partial(remember_filter, self.data.path, text), group="past", thread=True, exit_on_error=False)
            self._history(self.data)
            self._past = [*(past for past in self._past or () if past != text), text]
        self._at = len(self._past or ())
        self._draft = ""
        self.post_message(self.Applied(text))

    def refused(self, wrong: Wrong | None, text: str) -> None:
        """The case would not apply it after all."""
        self._right = None
        self.bar.put(text)
        self.bar.show_state(State.WRONG, wrong)
        self.bar.enter()

    # -- earlier ones -----------------------------------------------------------------------------

    def on_filter_bar_recalled(self, message: FilterBar.Recalled) -> None:
        """An earlier filter in the line, or what was typed before looking for one."""
        message.stop()
        by = message.by
        if self.data is None:
            return
        past = self._history(self.data)
        if self._at >= len(past):
            self._at, self._draft = len(past), self.bar.text
        at = max(0, min(self._at + by, len(past)))
        if past and self._at == len(past) and by < 0 and past[at] == self.bar.text:
            at = max(0, at - 1)  # the one that is applied stands in the line already
        if at == self._at:
            return
        self._at = at
        text = past[at] if at < len(past) else self._draft
        self.bar.put(text)
        self.on_filter_bar_edited(FilterBar.Edited(text, len(text), offer=False))

    def _history(self, data: CaseData) -> list[str]:
        if self._past is None:
            self._past = past_filters(data.path)
            self._at = len(self._past)
        return self._past


def touches_end(text: str, wrong: Wrong) -> bool:
    """Whether what is wrong is only that something is still to come, or may be the beginning of a word."""
    return wrong.position + wrong.length >= len(text.rstrip())
