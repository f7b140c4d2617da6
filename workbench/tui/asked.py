"""What a screen asks for now, and the ways back: time ranges and filters that were there before."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from workbench.tui.data import Span, View

#: Windows that all of the time is cut into for whoever begins to move one.
WINDOWS: Final = 24


class Views:
    """The view of now. Each step says whether it changed anything."""

    def __init__(self) -> None:
        self.view = View()
        self._spans: list[Span | None] = []
        self._filters: list[str] = []
        self._outer: Span | None = None

    @property
    def outer(self) -> Span | None:
        """The range in which a window is moved to and fro; None while nobody does."""
        return self._outer if self.view.span is not None else None

    def _see(self, view: View) -> bool:
        changed, self.view = view != self.view, view
        return changed

    def zoom(self, span: Span) -> bool:
        """Another time range; the one before can be had back."""
        if span == self.view.span:
            return False
        self._outer = None
        self._spans.append(self.view.span)
        return self._see(replace(self.view, span=span))

    def zoom_out(self) -> bool:
        """The time range before; beyond the first, all of it."""
        self._outer = None
        return self._see(replace(self.view, span=self._spans.pop() if self._spans else None))

    def zoom_reset(self) -> bool:
        """All of the time."""
        self._outer = None
        self._spans.clear()
        return self._see(replace(self.view, span=None))

    def scrub(self, by: int, whole: Span) -> bool:
        """Move the time range by its own width within the one before it; of all the time, first make a window of it.

        whole: all of the time. However often it is moved, it is one step back to the range before.
        """
        span = self.view.span
        if span is None:
            width = min(whole.width, max(2, whole.width // WINDOWS))
            start = whole.start if by > 0 else whole.end - width
            self._spans.append(None)
            self._outer = whole
            return self._see(replace(self.view, span=Span(start, start + width)))
        outer = self._outer or next((one for one in reversed(self._spans) if one is not None), whole)
        self._outer = outer = Span(min(outer.start, span.start), max(outer.end, span.end))
        start = max(outer.start, min(span.start + by * span.width, outer.end - span.width))
        return self._see(replace(self.view, span=Span(start, start + span.width)))

    def widen(self, by: int, whole: Span) -> bool:
        """Make the window that is moved twice as wide (1), or half as wide (-1), around its middle."""
        if self.outer is None:
            self.scrub(1, whole)
        span, outer = self.view.span or whole, self._outer or whole
        width = min(outer.width, span.width * 2) if by > 0 else max(2, span.width // 2)
        start = max(outer.start, min((span.start + span.end - width) // 2, outer.end - width))
        return self._see(replace(self.view, span=Span(start, start + width)))

    def filter_by(self, text: str) -> bool:
        """Another filter; the one before can be had back."""
        if text == self.view.filter:
            return False
        self._filters.append(self.view.filter)
        return self._see(replace(self.view, filter=text))

    def filter_before(self) -> bool:
        """The filter before; beyond the first, all flows."""
        return self._see(replace(self.view, filter=self._filters.pop() if self._filters else ""))

    def jump(self, view: View) -> None:
        """A filter and a time range from elsewhere: where the person was before, or left the case."""
        self._outer = None
        self.view = view

    def return_to(self, view: View) -> None:
        """Back to what is on the screen; a step that was stopped or refused is no step."""
        if self._spans and view.span == self._spans[-1] and view.span != self.view.span:
            self._spans.pop()
        if self._filters and view.filter == self._filters[-1] and view.filter != self.view.filter:
            self._filters.pop()
        self.view = view
