"""Choosing what to draft a policy from, where more than one thing makes sense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from workbench.records.visible import visible
from workbench.tui.policy_drafting import Origin


class DraftMenu(ModalScreen[Origin | None]):
    """Gives what was chosen; None when closed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Close", id="drafting.close", tooltip="Draft nothing"),
        Binding("j", "step(1)", "Down", show=False, id="drafting.down", tooltip="The next one"),
        Binding("k", "step(-1)", "Up", show=False, id="drafting.up", tooltip="The one before"),
    ]

    def __init__(self, choices: Sequence[Origin]) -> None:
        super().__init__()
        self._choices = list(choices)

    def compose(self) -> ComposeResult:
        """What there is."""
        options = [
            Option(Text(f" {visible(one.words[:70])} ", no_wrap=True, overflow="ellipsis"), id=str(n))
            for n, one in enumerate(self._choices)
        ]
        with Vertical(classes="dialog"):
            yield Static(Text("Draft a policy from", style="bold"), classes="dialog-title")
            yield OptionList(*options)
            yield Static(Text("Enter drafts, Esc closes", style="dim"), classes="dialog-keys")

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
