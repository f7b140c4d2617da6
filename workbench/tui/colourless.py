"""No colours at all (NO_COLOR): what stood out by its background is turned round, everything else is as the terminal has it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter


class Colourless(LineFilter):
    """Takes the colours from lines. dark: whether the theme writes light on dark, asked for each line."""

    def __init__(self, dark: Callable[[], bool]) -> None:
        super().__init__()
        self._dark = dark

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same text with the same emphasis."""
        del background
        dark = self._dark()
        return [Segment(text, None if style is None else colourless(style, dark), control) for text, style, control in segments]


@lru_cache(4096)
def colourless(style: Style, dark: bool) -> Style:
    """A style without colours; reverse where its text is darker than its ground in a dark theme, or lighter in a light one."""
    turned = style.color is not None and style.bgcolor is not None
    if turned:
        assert style.color is not None
        assert style.bgcolor is not None
        turned = (_light(style.bgcolor) > _light(style.color)) is dark
    return style.without_color + Style(reverse=turned != bool(style.reverse))


def _light(colour: RichColor) -> float:
    return Color.from_rich_color(colour).brightness
