"""What could stand at the cursor of the filter: a list under the bar, over whatever is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from workbench.filters import Completion
from workbench.records.visible import visible

#: Lines shown at once, and cells at most: a terminal of 80 columns keeps some of what is behind in sight.
_LINES: Final = 8
_WIDEST: Final = 64
#: Cells of the text's own column at most; what it means stands beside it.
_TEXTS: Final = 34


class CompletionList(Widget):
    """Painted by itself and never focused: the keys stay with the line that is typed in."""

    DEFAULT_CSS = """
    CompletionList { overlay: screen; constrain: inside inside; display: none; background: $panel; color: $foreground; }
    CompletionList.-open { display: block; }
    CompletionList > .completions--chosen {
        background: $block-cursor-background; color: $block-cursor-foreground; text-style: bold;
    }
    CompletionList > .completions--detail { color: $text-muted; background: $panel; }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"completions--chosen", "completions--detail"}

    class Clicked(Message):
        """The chosen one was clicked."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self.offers: Sequence[Completion] = ()
        self.number = 0
        self._top = 0
        self._texts = 0

    @property
    def is_open(self) -> bool:
        """Whether there is something to choose from."""
        return bool(self.offers)

    @property
    def chosen(self) -> Completion | None:
        """The offer under the mark."""
        return self.offers[self.number] if self.offers else None

    def show(self, offers: Sequence[Completion], x: int) -> None:
        """Offer these, x cells from the left; none closes the list."""
        self.offers, self.number, self._top = tuple(offers), 0, 0
        self._texts = min(_TEXTS, max((cell_len(visible(offer.text)) for offer in offers), default=0))
        details = max((cell_len(_detail(offer)) for offer in offers), default=0)
        room = max(20, self.screen.size.width - 2)
        width = min(_WIDEST, room, self._texts + details + 5)
        self.styles.width = width
        self.styles.height = min(_LINES, len(offers))
        self.styles.offset = (max(0, min(x - 2, room - width)), 0)
        self.set_class(self.is_open, "-open")
        self.refresh()

    def close(self) -> None:
        """Offer nothing."""
        if self.offers:
            self.show((), 0)

    def step(self, by: int) -> None:
        """Another one, round and round."""
        if self.offers:
            self.number = (self.number + by) % len(self.offers)
            self._top = max(self.number - _LINES + 1, min(self._top, self.number))
            self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Choose by mouse."""
        event.stop()
        number = self._top + event.y
        if number < len(self.offers):
            self.number = number
            self.post_message(self.Clicked())

    def render_line(self, y: int) -> Strip:
        """`▸ text  what it is`."""
        width, number = self.size.width, self._top + y
        if number >= len(self.offers):
            return Strip.blank(width, self.rich_style)
        offer, here = self.offers[number], number == self.number
        base = self.get_component_rich_style("completions--chosen") if here else self.rich_style
        quiet = base if here else self.get_component_rich_style("completions--detail")
        more = "↓" if y == _LINES - 1 and number < len(self.offers) - 1 else "↑" if y == 0 and number else " "
        text = _cut(visible(offer.text), self._texts)
        room = max(0, width - self._texts - 5)
        return Strip(
            [
                Segment("▸ " if here else "  ", base),
                Segment(text, base),
                Segment("  " + _cut(_detail(offer), room), quiet),
                Segment(more, quiet),
            ]
        ).adjust_cell_length(width, base)


def _detail(offer: Completion) -> str:
    return visible(offer.detail or offer.kind)


def _cut(text: str, room: int) -> str:
    return set_cell_size(text, room) if cell_len(text) <= room else set_cell_size(text, max(0, room - 1)) + "…"
