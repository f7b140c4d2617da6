"""Where the app begins without a case: recent ones, a path to type, files to choose from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from workbench.records.visible import visible
from workbench.tui import figures
from workbench.tui.recent import RecentCase
from workbench.tui.widgets.file_picker import FilePicker
from workbench.tui.widgets.keys import KeyLine


class StartScreen(Screen[None]):
    """Choose what to open; tells with `OpenRequested`."""

    VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]  # noqa: RUF012  typed so by Textual

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "path", "Type a path", id="start.path", tooltip="Type the path of a capture, a folder or a case"),
        Binding("down,j", "step(1)", "Down", show=False, id="start.down", tooltip="Next case"),
        Binding("up,k", "step(-1)", "Up", show=False, id="start.up", tooltip="Previous case"),
        Binding("o", "files", "Files", id="start.files", tooltip="Choose among files"),
        Binding("escape", "list", "To the lists", id="start.list", tooltip="From the line back to the list"),
    ]

    @dataclass
    class OpenRequested(Message):
        """The person wants this path opened."""

        path: str

    def __init__(self, cases: Sequence[RecentCase]) -> None:
        super().__init__()
        self._cases = list(cases)

    def compose(self) -> ComposeResult:
        """The line, and the list or what to do where it is empty."""
        with Container(id="start"), Vertical(id="start-box"):
            yield Static(Text("workbench", style="bold"), id="start-title")
            yield Static(Text("Open a capture (pcap, pcapng, also compressed), a folder of them, or a case:"))
            yield Input(placeholder="path, then Enter", id="path")
            if self._cases:
                yield Static(Text("Recent cases", style="bold"))
                yield OptionList(*(Option(_line(case), id=str(n)) for n, case in enumerate(self._cases)), id="recent")
            else:
                yield Static(
                    Text("No recent cases yet. Type the path of a capture above, or run:\n\n  workbench open CAPTURE"),
                    id="start-empty",
                )
            yield Static(id="files-title")
            yield FilePicker(Path.cwd(), id="files")
        yield KeyLine()

    def on_mount(self) -> None:
        """The list where there is one, else the line."""
        if self._cases:
            recent = self.query_one("#recent", OptionList)
            recent.highlighted = 0
            recent.focus()
        else:
            self.query_one("#path", Input).focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002  Textual's signature
        """The way out of the line is a key only there."""
        return action != "list" or isinstance(self.focused, Input)

    def action_path(self) -> None:
        """To the line."""
        self.query_one("#path", Input).focus()

    def action_list(self) -> None:
        """To the list; where it is empty, to the files."""
        next(iter(self.query(OptionList))).focus()

    def action_step(self, by: int) -> None:
        """Move through the list that has the focus, else through the cases."""
        found = self.focused if isinstance(self.focused, OptionList) else next(iter(self.query(OptionList)))
        found.focus()
        (found.action_cursor_down if by > 0 else found.action_cursor_up)()

    def action_files(self) -> None:
        """To the files."""
        self.query_one("#files", FilePicker).focus()

    def on_file_picker_entered(self, message: FilePicker.Entered) -> None:
        """Say which folder it is, or why it is not shown."""
        found = message.listing
        if found.trouble:
            title = Text(f"cannot be shown: {found.trouble}: {visible(str(found.folder)[-300:])}", "bold")
        else:
            title = Text("Files in ", "bold")
            title.append(visible(str(found.folder)[-300:]))
            if not found.entries:
                title.append("  (nothing that is not hidden)", "dim")
            elif found.left_out:
                title.append(f"  (the first {figures.count(len(found.entries))})", "dim")
        title.no_wrap, title.overflow = True, "ellipsis"
        self.query_one("#files-title", Static).update(title)

    def on_file_picker_picked(self, message: FilePicker.Picked) -> None:
        """Open it."""
        self.post_message(self.OpenRequested(str(message.path)))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Open what was typed."""
        if event.value.strip():
            self.post_message(self.OpenRequested(event.value.strip()))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Open that case."""
        self.post_message(self.OpenRequested(self._cases[int(event.option.id or 0)].case))


def _line(case: RecentCase) -> Text:
    """What is in it, when it was shown, where it lies."""
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(visible(case.names[:60]), "bold")
    text.append(f"  {ago(time.time() - case.opened)}", "dim")
    text.append(f"  {visible(case.case[:400])}", "dim")
    return text


def ago(seconds: float) -> str:
    """`just now`, `12 minutes ago`, `3 days ago`."""
    if seconds < 60:
        return "just now"
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            number = int(seconds // size)
            return f"{figures.count(number)} {unit}{'s' if number > 1 else ''} ago"
    return "just now"
