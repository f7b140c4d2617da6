"""Choosing what to edit: a draft, a version, the example, a file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from workbench.records.visible import visible
from workbench.workflows.policy_versions import Version

_MOST: Final = 200


class PolicyPicker(ModalScreen[tuple[str, str, int] | None]):
    """Gives (kind, name, number); kind: version, draft, example or file. None when closed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Close", id="opening.close", tooltip="Leave what is open"),
        Binding("j", "step(1)", "Down", show=False, id="opening.down", tooltip="The next one"),
        Binding("k", "step(-1)", "Up", show=False, id="opening.up", tooltip="The one before"),
    ]

    def __init__(self, versions: Sequence[Version], drafts: Sequence[tuple[str, dt.datetime]]) -> None:
        super().__init__()
        newest: dict[str, Version] = {}
        for one in versions:
            newest[one.name] = one
        self._choices: list[tuple[tuple[str, str, int], str, str]] = [
            (("draft", name, 0), name, f"draft of {at:%Y-%m-%d %H:%M}, not saved yet") for name, at in drafts
        ]
        self._choices += [
            (("version", one.name, one.number), one.name, f"version {one.number}: {one.trouble or one.why}")
            for one in list(newest.values())[:_MOST]
            if one.number
        ]
        self._choices += [
            (("example", "", 0), "an example", "a small policy that says what each part is for"),
            (("file", "", 0), "a file", "a policy of your own, by its path"),
        ]

    def compose(self) -> ComposeResult:
        """What there is."""
        with Vertical(classes="dialog"):
            yield Static(Text("Open a policy", style="bold"), classes="dialog-title")
            yield OptionList(*(self._option(n) for n in range(len(self._choices))))
            yield Static(
                Text("Enter opens, Esc closes; older versions are in the pane Versions (F6)", style="dim"), classes="dialog-keys"
            )

    def _option(self, n: int) -> Option:
        _, name, about = self._choices[n]
        shown = Text(f" {visible(name[:30]):<24} ", style="bold", no_wrap=True, overflow="ellipsis")
        return Option(shown.append(visible(about[:200]), "dim"), id=str(n))

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
        self.dismiss(self._choices[event.option_index][0])
