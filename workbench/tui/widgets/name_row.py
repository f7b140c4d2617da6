"""What a screen can show, on one line, the one that is shown in brackets: the views of a case, the panes of a view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget


class NameRow(Widget):
    """`1 Overview [2 Flows] 3 Workloads`; a click chooses. A name may have a sign behind it: something there wants a look."""

    DEFAULT_CSS = """
    NameRow { height: 1; background: $panel; color: $foreground; }
    NameRow > .names--key { color: $footer-key-foreground; background: $panel; }
    NameRow > .names--current { color: $text-primary; background: $panel; text-style: bold; }
    NameRow > .names--sign { color: $text-warning; background: $panel; text-style: bold; }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"names--key", "names--current", "names--sign"}

    current: reactive[str] = reactive("", init=False)

    @dataclass
    class Chosen(Message):
        """The person clicked on one."""

        name: str

    def __init__(
        self,
        names: Mapping[str, tuple[str, str]],
        short: Mapping[str, str] | None = None,
        *,
        id: str | None = None,  # noqa: A002  Textual's name for it
    ) -> None:
        """names: by name the key and what is written. short: what is written where the line is too short for all of them."""
        super().__init__(id=id)
        self._names = dict(names)
        self._short = short or {}
        self._signs: dict[str, str] = {}

    def sign(self, name: str, sign: str) -> None:
        """A sign of one cell behind a name, '' for none."""
        if self._signs.get(name, "") != sign:
            self._signs[name] = sign
            self.refresh()

    def _titles(self, width: int) -> dict[str, str]:
        """What is written of each as it fits: whole titles, short ones, or only that of the one that is shown."""
        whole = {name: title for name, (_, title) in self._names.items()}
        short = {name: title if name == self.current else self._short.get(title, title) for name, title in whole.items()}
        for titles in (whole, short):
            taken = sum(cell_len(f" {key} {titles[name]}{self._signs.get(name, '')}") for name, (key, _) in self._names.items())
            if taken + 2 <= width:
                return titles
        return {name: title if name == self.current else "" for name, title in whole.items()}

    def _pieces(self) -> list[tuple[str, Segment]]:
        """What is painted, each piece with the name that a click on it chooses."""
        base = self.rich_style
        key_style, here, sign_style = (self.get_component_rich_style(f"names--{name}") for name in ("key", "current", "sign"))
        pieces: list[tuple[str, Segment]] = []
        for name, title in self._titles(self.size.width).items():
            key, sign, gap = self._names[name][0], self._signs.get(name, ""), " " if title else ""
            if name == self.current:
                said = Segment(f"[{key}{gap}{title}{sign}]", here + Style(reverse=True))
                pieces += [(name, Segment(" ", base)), (name, said)]
            else:
                pieces += [(name, Segment(f" {key}", key_style)), (name, Segment(f"{gap}{title}", base))]
                pieces += [(name, Segment(sign, sign_style))] if sign else []
        return pieces

    def render_line(self, y: int) -> Strip:
        """The one line."""
        base = self.rich_style
        if y:
            return Strip.blank(self.size.width, base)
        return Strip([segment for _, segment in self._pieces()]).adjust_cell_length(self.size.width, base)

    def on_click(self, event: events.Click) -> None:
        """The one under the mouse."""
        x = event.x
        for name, segment in self._pieces():
            x -= segment.cell_length
            if x < 0:
                self.post_message(self.Chosen(name))
                return

    def watch_current(self) -> None:
        """Repaint."""
        self.refresh()
