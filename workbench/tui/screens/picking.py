"""One of a few things, picked from a short list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static

T = TypeVar("T")


class PickMenu(ModalScreen[T | None], Generic[T]):
    """Gives what was picked; None when closed. The keys have names of their own in each menu."""

    #: What stands above the list and below it.
    TITLE_TEXT: ClassVar[str]
    KEYS_TEXT: ClassVar[str]

    def __init__(self, choices: Sequence[T]) -> None:
        super().__init__()
        self._choices = tuple(choices)

    def line(self, one: T) -> Text:
        """How one of them is listed."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """A line for each."""
        with Vertical(classes="dialog"):
            yield Static(Text(self.TITLE_TEXT, style="bold"), classes="dialog-title")
            yield OptionList(*map(self.line, self._choices))
            yield Static(Text(self.KEYS_TEXT, style="dim"), classes="dialog-keys")

    def on_mount(self) -> None:
        """At the first."""
        self.query_one(OptionList).highlighted = 0

    def action_step(self, by: int) -> None:
        """Another one."""
        options = self.query_one(OptionList)
        (options.action_cursor_down if by > 0 else options.action_cursor_up)()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """This one."""
        event.stop()
        self.dismiss(self._choices[event.option_index])
