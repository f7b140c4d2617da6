"""Choosing what to draft a policy from, where more than one thing makes sense."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from workbench.records.visible import visible
from workbench.tui.policy_drafting import Origin
from workbench.tui.screens.picking import PickMenu


class DraftMenu(PickMenu[Origin]):
    """What there is under the cursor and on the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Close", id="drafting.close", tooltip="Draft nothing"),
        Binding("j", "step(1)", "Down", show=False, id="drafting.down", tooltip="The next one"),
        Binding("k", "step(-1)", "Up", show=False, id="drafting.up", tooltip="The one before"),
    ]
    TITLE_TEXT = "Draft a policy from"
    KEYS_TEXT = "Enter drafts, Esc closes"

    def line(self, one: Origin) -> Text:
        """In words."""
        return Text(f" {visible(one.words[:70])} ", no_wrap=True, overflow="ellipsis")
