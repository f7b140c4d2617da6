"""A line with a title above a part of the screen; heavy while that part has the focus."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget


class TitleRule(Widget):
    """The title of the part it stands in; the screen gives it the class -active with the focus.

    A border title would repaint the whole part with every change.
    """

    DEFAULT_CSS = """
    TitleRule { height: 1; color: $text-muted; background: $background; }
    TitleRule.-active { color: $text-primary; text-style: bold; }
    """

    title: reactive[str] = reactive("", init=False)

    def __init__(self, title: str = "", *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self.set_reactive(TitleRule.title, title)

    def render_line(self, y: int) -> Strip:
        """The line: light, or heavy with the focus."""
        width = self.size.width
        style = self.rich_style
        if y:
            return Strip.blank(width, style)
        line = "━" if self.has_class("-active") else "─"
        title = self.title
        if cell_len(title) > width - 4:
            title = set_cell_size(title, max(0, width - 5)) + "…"
        rest = max(0, width - 3 - cell_len(title))
        plain = style + Style(bold=False)
        return Strip([Segment(line + " ", plain), Segment(title, style), Segment(" " + line * rest, plain)]).crop(0, width)
