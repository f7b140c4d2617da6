"""The views of a case on one line, the one that is shown in brackets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

#: What a name becomes where the line is too short for all of them.
_SHORT: Final = {"Overview": "Over", "Workloads": "Loads", "Findings": "Finds", "Packets": "Pkts"}


class ViewRow(Widget):
    """`1 Overview [2 Flows] 3 Workloads`; a click chooses."""

    DEFAULT_CSS = """
    ViewRow { height: 1; background: $panel; color: $foreground; }
    ViewRow > .views--key { color: $footer-key-foreground; background: $panel; }
    ViewRow > .views--current { color: $text-primary; background: $panel; text-style: bold; }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"views--key", "views--current"}

    current: reactive[int] = reactive(0, init=False)

    @dataclass
    class Chosen(Message):
        """The person clicked on a view."""

        number: int

    def __init__(self, names: Mapping[int, str], *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self._names = dict(sorted(names.items()))

    def _cells(self, width: int) -> list[tuple[int, str]]:
        """(number, name) as they fit: whole names, short ones, or only that of the one that is shown."""
        whole = list(self._names.items())
        short = [(n, name if n == self.current else _SHORT.get(name, name)) for n, name in whole]
        for cells in (whole, short):
            if sum(cell_len(name) + 3 for _, name in cells) + 2 <= width:
                return cells
        return [(n, name if n == self.current else "") for n, name in whole]

    def _pieces(self) -> list[tuple[int, Segment]]:
        """What is painted, each piece with the view that a click on it chooses."""
        base = self.rich_style
        key, here = (self.get_component_rich_style(f"views--{name}") for name in ("key", "current"))
        pieces: list[tuple[int, Segment]] = []
        for number, name in self._cells(self.size.width):
            gap = " " if name else ""
            if number == self.current:
                pieces += [(number, Segment(" ", base)), (number, Segment(f"[{number}{gap}{name}]", here + Style(reverse=True)))]
            else:
                pieces += [(number, Segment(f" {number}", key)), (number, Segment(f"{gap}{name}", base))]
        return pieces

    def render_line(self, y: int) -> Strip:
        """The one line."""
        base = self.rich_style
        if y:
            return Strip.blank(self.size.width, base)
        return Strip([segment for _, segment in self._pieces()]).adjust_cell_length(self.size.width, base)

    def on_click(self, event: events.Click) -> None:
        """The view under the mouse."""
        x = event.x
        for number, segment in self._pieces():
            x -= segment.cell_length
            if x < 0:
                self.post_message(self.Chosen(number))
                return

    def watch_current(self) -> None:
        """Repaint."""
        self.refresh()
