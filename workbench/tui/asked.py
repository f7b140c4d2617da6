"""What a screen asks for now, and the ways back: time ranges and filters that were there before."""

from __future__ import annotations

from dataclasses import replace

from workbench.tui.data import Span, View


class Views:
    """The view of now. Each step says whether it changed anything."""

    def __init__(self) -> None:
        self.view = View()
        self._spans: list[Span | None] = []
        self._filters: list[str] = []

    def _see(self, view: View) -> bool:
        changed, self.view = view != self.view, view
        return changed

    def zoom(self, span: Span) -> bool:
        """Another time range; the one before can be had back."""
        if span == self.view.span:
            return False
        self._spans.append(self.view.span)
        return self._see(replace(self.view, span=span))

    def zoom_out(self) -> bool:
        """The time range before; beyond the first, all of it."""
        return self._see(replace(self.view, span=self._spans.pop() if self._spans else None))

    def zoom_reset(self) -> bool:
        """All of the time."""
        self._spans.clear()
        return self._see(replace(self.view, span=None))

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
        self.view = view

    def return_to(self, view: View) -> None:
        """Back to what is on the screen; a step that was stopped or refused is no step."""
        if self._spans and view.span == self._spans[-1] and view.span != self.view.span:
            self._spans.pop()
        if self._filters and view.filter == self._filters[-1] and view.filter != self.view.filter:
            self._filters.pop()
        self.view = view
