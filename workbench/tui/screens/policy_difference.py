"""A version of a policy against the text that is being written: line by line, and what it means for packets."""

from __future__ import annotations

import difflib
from functools import partial
from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from workbench.records.visible import visible
from workbench.tui import policy_looks

#: Lines of a difference that are shown; whoever changes more compares files.
_MOST: Final = 2000
_STYLES: Final = {"+": "green", "-": "red", "@": "bold"}


class DifferenceDialog(ModalScreen[None]):
    """What lines differ is known at once; what that means is computed beside and put above them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "Close", id="difference.close", tooltip="Close the difference"),
        Binding("down,j", "scroll(1)", "Down", show=False, id="difference.down", tooltip="Scroll down"),
        Binding("up,k", "scroll(-1)", "Up", show=False, id="difference.up", tooltip="Scroll up"),
        Binding("pagedown,space", "scroll(10)", "Page down", show=False, id="difference.page_down", tooltip="A page down"),
        Binding("pageup", "scroll(-10)", "Page up", show=False, id="difference.page_up", tooltip="A page up"),
    ]

    def __init__(self, old_name: str, old: str, new_name: str, new: str) -> None:
        super().__init__()
        self._names, self._texts = (visible(old_name), visible(new_name)), (old, new)

    def compose(self) -> ComposeResult:
        """What it means, then the lines."""
        with Vertical(classes="dialog tall wide"):
            yield Static(Text(f"From {self._names[0]} to the text of {self._names[1]}", style="bold"), classes="dialog-title")
            with VerticalScroll(classes="dialog-body", can_focus=False):
                yield Static(Text("Computing what it means for packets."), id="difference-meaning", markup=False)
                yield Static(self._lines(), markup=False)
            yield Static(Text("Esc closes", style="dim"), classes="dialog-keys")

    def on_mount(self) -> None:
        """Compute the meaning."""
        self.run_worker(partial(self._mean), group="difference", thread=True, exit_on_error=False)

    def _mean(self) -> None:
        from workbench.policy.members import nobody
        from workbench.tui.policy_work import ready
        from workbench.workflows import policy_desk as desk

        ready()
        old, new = (desk.read(text, nobody, None) for text in self._texts)
        if old.resolved is None or new.resolved is None:
            which = self._names[0] if old.resolved is None else self._names[1]
            text = Text(f"{which} does not load, so that only lines can be compared.", style="bold")
        else:
            proof = desk.proof(old, new)
            text = policy_looks.proof_head(proof, self._names[0])
            for row in proof.rows[:50]:
                sign = {"denied": "-", "allowed": "+"}.get(row.way, "~")
                text.append(f"\n{sign} {desk.WAYS[row.way]}: {visible(row.src)} → {visible(row.dst)} {row.services}")
        self.app.call_from_thread(self._meant, text)

    def _meant(self, text: Text) -> None:
        if self.is_mounted:
            self.query_one("#difference-meaning", Static).update(text.append("\n"))

    def _lines(self) -> Text:
        old, new = (text.splitlines() for text in self._texts)
        out = Text()
        for n, line in enumerate(difflib.unified_diff(old, new, *self._names, lineterm="", n=2)):
            if n >= _MOST:
                out.append("more lines differ\n", "bold")
                break
            out.append(visible(line) + "\n", _STYLES.get(line[:1], ""))
        return out or Text("The texts are the same.")

    def action_scroll(self, by: int) -> None:
        """Scroll the text."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)
