"""Choosing how rows are copied, and whether to the clipboard or into a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from workbench.errors import UsageError, WorkbenchError
from workbench.tui.copying import Form
from workbench.tui.screens.dialog import ErrorDialog, PromptDialog

#: Many terminals drop a longer clipboard (OSC 52 is at most 100,000 bytes in several of them, base64 included).
_CLIPBOARD: Final = 74_000


class CopyMenu(ModalScreen[None]):
    """The forms of what the cursor stands on or what is marked. Enter copies; w writes a file."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Close", id="copy.close", tooltip="Copy nothing"),
        Binding("j", "step(1)", "Down", show=False, id="copy.down", tooltip="The next form"),
        Binding("k", "step(-1)", "Up", show=False, id="copy.up", tooltip="The form before"),
        Binding("y", "copy", "Copy", show=False, id="copy.copy", tooltip="Copy in this form, as Enter does"),
        Binding("w", "write", "Write", id="copy.write", tooltip="Write this form to a file"),
    ]

    def __init__(self, what: str, forms: Sequence[Form]) -> None:
        """what: of which rows, visible already."""
        super().__init__()
        self._what, self._forms = what, tuple(forms)

    def compose(self) -> ComposeResult:
        """The forms."""
        with Vertical(classes="dialog"):
            yield Static(Text(f"Copy {self._what}", style="bold"), classes="dialog-title")
            yield OptionList(*(self._option(n) for n in range(len(self._forms))))
            yield Static(Text("Enter or y to the clipboard, w to a file, Esc closes", style="dim"), classes="dialog-keys")

    def _option(self, n: int) -> Option:
        form = self._forms[n]
        text = Text(f" {form.name:<8}", style="bold", no_wrap=True, overflow="ellipsis").append(form.about, "dim")
        return Option(text, id=str(n))

    def on_mount(self) -> None:
        """The first form is the usual one."""
        self.query_one(OptionList).highlighted = 0

    @property
    def form(self) -> Form:
        """The one under the cursor."""
        return self._forms[self.query_one(OptionList).highlighted or 0]

    def action_step(self, by: int) -> None:
        """Another form."""
        options = self.query_one(OptionList)
        (options.action_cursor_down if by > 0 else options.action_cursor_up)()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Copy."""
        event.stop()
        self.action_copy()

    def action_copy(self) -> None:
        """To the clipboard of the terminal."""
        text = self.form.make()
        self.dismiss()
        if not text:
            self.app.notify("There is nothing to copy in this form.", title="Copy", markup=False, timeout=4)
            return
        self.app.copy_to_clipboard(text)
        big = len(text.encode()) > _CLIPBOARD
        words = "It is long: where the terminal takes only a part, write it to a file (w)." if big else text[:200]
        self.app.notify(words, title="Copied", markup=False, timeout=6 if big else 3)

    def action_write(self) -> None:
        """Ask for a file's name."""
        form = self.form
        hint = f"A new file for the {form.name}; in {Path.cwd()} unless you say where"
        self.app.push_screen(PromptDialog("Write to a file", hint, _taken), partial(self._write, form))

    def _write(self, form: Form, name: str | None) -> None:
        if name is None:
            return
        path = Path(name).expanduser()
        try:
            write_new(path, form.make())
        except WorkbenchError as error:
            self.app.push_screen(ErrorDialog.of(error))
            return
        self.dismiss()
        self.app.notify(str(path.absolute()), title="Written", markup=False, timeout=4)


def _taken(name: str) -> str:
    return "There is such a file already" if Path(name).expanduser().exists() else ""


def write_new(path: Path, text: str) -> None:
    """A file that was not there, readable by its owner only. UsageError where it cannot be made."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
            out.write(text if text.endswith("\n") else text + "\n")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", "Choose another place.") from error
