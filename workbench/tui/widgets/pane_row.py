"""The panes of a view on one line, the one that is shown in brackets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget


class PaneRow(Widget):
    """`[F2 Impact] F3 Proof`; a click chooses. A pane may have a sign behind its name: something there wants a look."""

    DEFAULT_CSS = """
    PaneRow { height: 1; background: $panel; color: $foreground; }
    PaneRow > .panes--key { color: $footer-key-foreground; background: $panel; }
    PaneRow > .panes--current { color: $text-primary; background: $panel; text-style: bold; }
    PaneRow > .panes--sign { color: $text-warning; background: $panel; text-style: bold; }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"panes--key", "panes--current", "panes--sign"}

    current: reactive[str] = reactive("", init=False)

    @dataclass
    class Chosen(Message):
        """The person clicked on a pane."""

        name: str

    def __init__(self, names: Mapping[str, tuple[str, str]], *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        """names: by pane the key and what it is called."""
        super().__init__(id=id)
        self._names = names
        self._signs: dict[str, str] = {}

    def sign(self, name: str, sign: str) -> None:
        """A sign of one cell behind a name, '' for none."""
        if self._signs.get(name, "") != sign:
            self._signs[name] = sign
            self.refresh()

    def _pieces(self) -> list[tuple[str, Segment]]:
        base = self.rich_style
        key_style, here, sign_style = (self.get_component_rich_style(f"panes--{name}") for name in ("key", "current", "sign"))
        pieces: list[tuple[str, Segment]] = []
        for name, (key, title) in self._names.items():
            sign = self._signs.get(name, "")
            if name == self.current:
                pieces += [(name, Segment(" ", base)), (name, Segment(f"[{key} {title}{sign}]", here + Style(reverse=True)))]
            else:
                pieces += [(name, Segment(f" {key}", key_style)), (name, Segment(f" {title}", base))]
                pieces += [(name, Segment(sign, sign_style))] if sign else []
        return pieces

    def render_line(self, y: int) -> Strip:
        """The one line."""
        base = self.rich_style
        if y:
            return Strip.blank(self.size.width, base)
        return Strip([segment for _, segment in self._pieces()]).adjust_cell_length(self.size.width, base)

    def on_click(self, event: events.Click) -> None:
        """The pane under the mouse."""
        x = event.x
        for name, segment in self._pieces():
            x -= segment.cell_length
            if x < 0:
                self.post_message(self.Chosen(name))
                return

    def watch_current(self) -> None:
        """Repaint."""
        self.refresh()
