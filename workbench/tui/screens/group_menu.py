"""Choosing by what workloads are grouped: namespace, node, kind, or one of the labels that they have."""

from __future__ import annotations

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

#: Labels that are offered, those that most workloads have first.
_MOST: Final = 100
_FIXED: Final = (
    ("namespace", "namespace, project or tenant"),
    ("node", "the machine that it runs on"),
    ("kind", "pod, vm, container, host and so on"),
)


class GroupMenu(ModalScreen[str | None]):
    """Gives `namespace`, `node`, `kind`, `` or `label:KEY`; None when closed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Close", id="grouping.close", tooltip="Group as before"),
        Binding("j", "step(1)", "Down", show=False, id="grouping.down", tooltip="The next one"),
        Binding("k", "step(-1)", "Up", show=False, id="grouping.up", tooltip="The one before"),
    ]

    def __init__(self, by: str, labels: Sequence[tuple[str, int]], none: str = "no groups: all in one list") -> None:
        """by: what they are grouped by now. labels: keys with how many have them. none: what no grouping means."""
        super().__init__()
        self._by = by
        more = [(f"label:{key}", f"label of {count:,} workloads") for key, count in labels[:_MOST]]
        self._choices = (*_FIXED, ("", none), *more)

    def compose(self) -> ComposeResult:
        """What there is."""
        with Vertical(classes="dialog"):
            yield Static(Text("Group workloads by", style="bold"), classes="dialog-title")
            yield OptionList(*(_option(n, name, about) for n, (name, about) in enumerate(self._choices)))
            yield Static(Text("Enter chooses, Esc closes", style="dim"), classes="dialog-keys")

    def on_mount(self) -> None:
        """At what holds now."""
        names = [name for name, _ in self._choices]
        self.query_one(OptionList).highlighted = names.index(self._by) if self._by in names else 0

    def action_step(self, by: int) -> None:
        """Another one."""
        options = self.query_one(OptionList)
        (options.action_cursor_down if by > 0 else options.action_cursor_up)()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """This one."""
        event.stop()
        self.dismiss(self._choices[event.option_index][0])


def _option(n: int, name: str, about: str) -> Option:
    shown = visible(name.removeprefix("label:")[:60]) or "nothing"
    return Option(Text(f" {shown:<32} ", style="bold", no_wrap=True, overflow="ellipsis").append(about, "dim"), id=str(n))
