"""Some text that scrolls and can have the focus."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Static


class Prose(VerticalScroll, can_focus=True):
    """The text is `rich.text.Text` that was made visible: nothing in it is markup."""

    DEFAULT_CSS = """
    Prose { background: $background; padding: 0 1; scrollbar-size-vertical: 1; }
    Prose > Static { height: auto; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "leave", "To the list", id="prose.leave", tooltip="Back to the list whose row this is about"),
        Binding("up,k", "by(-1)", "Up", show=False, id="prose.up", tooltip="Scroll up"),
        Binding("down,j", "by(1)", "Down", show=False, id="prose.down", tooltip="Scroll down"),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False, id="prose.page_up", tooltip="Scroll up by a screen"),
        Binding("pagedown,ctrl+f,space", "page(1)", "Page down", show=False, id="prose.page_down", tooltip="A screen down"),
        Binding("g,home", "by(-99999)", "Top", show=False, id="prose.top", tooltip="To the beginning"),
        Binding("G,end", "by(99999)", "Bottom", show=False, id="prose.bottom", tooltip="To the end"),
    ]

    class Left(Message):
        """The keys are to go back to what the text is about."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self._text = Text()

    def compose(self) -> ComposeResult:
        """The text."""
        yield Static(self._text)

    def show(self, text: Text, *, top: bool = True) -> None:
        """Show another text, from its top unless it is the same one told anew."""
        self._text = text
        self.query_one(Static).update(text)
        if top:
            self.scroll_home(animate=False)

    @property
    def text(self) -> Text:
        """What it shows."""
        return self._text

    @property
    def plain(self) -> str:
        """What it says."""
        return self._text.plain

    def action_leave(self) -> None:
        """Tell it."""
        self.post_message(self.Left())

    def action_by(self, lines: int) -> None:
        """Scroll by lines."""
        self.scroll_relative(y=lines, animate=False)

    def action_page(self, pages: int) -> None:
        """Scroll by what is seen at once, less a line to go on from."""
        self.action_by(pages * max(1, self.scrollable_content_region.height - 1))
