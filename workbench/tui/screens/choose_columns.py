"""Choosing columns and their order: those of the table, or those that groups are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from workbench.tui.looks import Look


class NarrowingInput(Input):
    """A line for parts of names, which have no spaces: Space is the dialog's."""

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Whether the key is a character of the line."""
        return key != "space" and super().check_consume_key(key, character)


class ChooseColumns(ModalScreen[tuple[str, ...] | None]):
    """The chosen ones stand first, in their order. Space takes one in or out, shifted arrows move it, Enter is done."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", id="columns.cancel", tooltip="Leave everything as it is"),
        Binding("down", "step(1)", "Down", show=False, id="columns.down", tooltip="Next column", priority=True),
        Binding("up", "step(-1)", "Up", show=False, id="columns.up", tooltip="Previous column", priority=True),
        Binding("space", "turn", "Take", id="columns.turn", tooltip="Take the column in, or out", priority=True),
        Binding("shift+down", "shift(1)", "Later", id="columns.later", tooltip="Move the column behind the next", priority=True),
        Binding("shift+up", "shift(-1)", "Earlier", id="columns.earlier", tooltip="Move it before the one above", priority=True),
    ]

    def __init__(self, title: str, looks: Sequence[Look], chosen: Sequence[str], most: int) -> None:
        """looks: all there are. most: how many may be chosen; at least one has to be."""
        super().__init__()
        self._title, self._most = title, most
        self._looks = {look.name: look for look in looks}
        self.chosen = [name for name in chosen if name in self._looks][:most]
        self._narrowed = ""

    def compose(self) -> ComposeResult:
        """A line to narrow the list, and the list."""
        with Vertical(classes="dialog tall"):
            yield Static(Text(self._title, style="bold"), classes="dialog-title")
            yield NarrowingInput(placeholder="type to narrow: bytes, ip, port…", compact=True)
            yield OptionList(*self._options())
            keys = "Space in or out, Shift+↑ ↓ moves, Enter done, Esc closes"
            yield Static(Text(keys, style="dim"), classes="dialog-keys")

    def on_mount(self) -> None:
        """Stand on the first."""
        self.query_one(OptionList).highlighted = 0

    def _options(self) -> list[Option]:
        found = []
        width = max(len(look.heading) for look in self._looks.values())
        rest = [name for name in self._looks if name not in self.chosen]
        for name in [*self.chosen, *rest]:
            look = self._looks[name]
            if self._narrowed in f"{name} {look.heading} {look.meaning}".lower():
                place = f"{self.chosen.index(name) + 1:>2}" if name in self.chosen else "  "
                text = Text(f"{'✓' if name in self.chosen else ' '}{place} ", no_wrap=True, overflow="ellipsis")
                text.append(f"{look.heading:<{width}}", "bold").append(f"  {name}: {look.meaning}", "dim")
                found.append(Option(text, id=name))
        return found

    def _show(self, stay: str | None) -> None:
        options = self.query_one(OptionList)
        options.clear_options().add_options(self._options())
        if options.option_count:
            names = [options.get_option_at_index(n).id for n in range(options.option_count)]
            options.highlighted = names.index(stay) if stay in names else 0

    def _here(self) -> str | None:
        options = self.query_one(OptionList)
        here = options.highlighted
        return None if here is None or not options.option_count else options.get_option_at_index(here).id

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow the list."""
        self._narrowed = event.value.strip().lower()
        self._show(None)

    def action_step(self, by: int) -> None:
        """Move through the list while typing."""
        options = self.query_one(OptionList)
        (options.action_cursor_down if by > 0 else options.action_cursor_up)()

    def action_turn(self) -> None:
        """Take the column in, behind the others, or out."""
        name = self._here()
        if name is None:
            return
        if name in self.chosen:
            self.chosen.remove(name)
        elif len(self.chosen) < self._most:
            self.chosen.append(name)
        else:
            self._say(f"✗ at most {self._most}: Space takes one out")
            return
        self._show(name)

    def action_shift(self, by: int) -> None:
        """Move a chosen column."""
        name = self._here()
        if name is None or name not in self.chosen:
            return
        here = self.chosen.index(name)
        there = max(0, min(here + by, len(self.chosen) - 1))
        self.chosen.insert(there, self.chosen.pop(here))
        self._show(name)

    def on_input_submitted(self) -> None:
        """Done."""
        self._done()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter or a click in the list: Enter is done."""
        event.stop()
        self._done()

    def _done(self) -> None:
        """Without a choice the column under the cursor is meant."""
        here = self._here()
        chosen = self.chosen or ([here] if here is not None else [])
        if chosen:
            self.dismiss(tuple(chosen))
        else:
            self._say("✗ choose a column")

    def _say(self, words: str) -> None:
        self.query_one(".dialog-keys", Static).update(Text(words, style="bold"))
