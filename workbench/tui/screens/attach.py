"""Choosing what to attach to, and what to detach from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from workbench.errors import UsageError, WorkbenchError
from workbench.records.visible import visible
from workbench.tui import figures
from workbench.tui.attaching import LiveRun
from workbench.tui.screens.picking import PickMenu
from workbench.workflows.attach import checked_request
from workbench.workflows.interfaces import FoundInterface, found_interfaces
from workbench.workflows.requests import AttachRequest

_HINT: Final = "Enter attaches, Tab to the next line, Esc closes. Payload is zeroed in what is kept, unless there is a reason."


class AttachDialog(ModalScreen[AttachRequest | None]):
    """Interfaces that there are, a line for the source, its filter, and the reason to keep payload."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", id="attach.cancel", tooltip="Attach to nothing"),
        Binding("tab", "app.focus_next", "Next line", show=False, id="attach.next", tooltip="To the next line"),
        Binding("shift+tab", "app.focus_previous", "Line before", show=False, id="attach.previous", tooltip="To the line before"),
    ]

    @dataclass
    class Checked(Message):
        """The request as it can be carried out, or why it cannot."""

        request: AttachRequest | None
        error: Exception | None

    @dataclass
    class Found(Message):
        """Interfaces of this machine."""

        interfaces: Sequence[FoundInterface]

    def __init__(self, case: Path, taken: Sequence[str] = ()) -> None:
        """taken: sources that are attached already."""
        super().__init__()
        self._case = case
        self._taken = tuple(taken)
        self._names: list[str] = []

    def compose(self) -> ComposeResult:
        """The list, the lines, what is wrong."""
        with Vertical(classes="dialog"):
            yield Static(Text("Attach to live traffic", style="bold"), classes="dialog-title")
            yield OptionList(id="attach-found")
            yield Input(placeholder="interface, or choose above", id="attach-source", compact=True)
            yield Input(placeholder="capture filter, as tcpdump has it (optional)", id="attach-bpf", compact=True)
            yield Input(placeholder="reason to keep payload (optional; it is logged)", id="attach-reason", compact=True)
            yield Static(Text(_HINT, style="dim"), id="attach-news", classes="dialog-keys")

    def on_mount(self) -> None:
        """Look for interfaces."""
        self.query_one("#attach-source").focus()
        self.run_worker(self._find, group="interfaces", thread=True, exit_on_error=False)

    def _find(self) -> None:
        self.post_message(self.Found(found_interfaces()))

    def on_attach_dialog_found(self, message: Found) -> None:
        """List them."""
        options = self.query_one("#attach-found", OptionList)
        self._names = [one.name for one in message.interfaces]
        options.clear_options()
        options.add_options([Option(_line(one, one.name in self._taken), id=str(n)) for n, one in enumerate(message.interfaces)])
        first = next((n for n, one in enumerate(message.interfaces) if one.up and one.name not in self._taken), None)
        if first is not None and self._names:
            options.highlighted = first

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter on the list attaches to that one."""
        event.stop()
        self.query_one("#attach-source", Input).value = self._names[int(event.option.id or 0)]
        self._submit()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter on any line attaches."""
        event.stop()
        self._submit()

    def _submit(self) -> None:
        source, bpf, reason = (self.query_one(f"#attach-{name}", Input).value.strip() for name in ("source", "bpf", "reason"))
        if not source:
            options = self.query_one("#attach-found", OptionList)
            source = self._names[options.highlighted] if options.highlighted is not None else ""
        request = AttachRequest(source, self._case, bpf or None, reason or None)
        self.run_worker(partial(self._check, request), group="check", exclusive=True, thread=True, exit_on_error=False)

    def _check(self, request: AttachRequest) -> None:
        try:
            if not request.source:
                raise UsageError("no source is named", "Name an interface.")
            if request.source == "-":
                raise UsageError("the app's standard input is its keys", "Start it as `... | workbench attach -`.")
            if request.source in self._taken:
                raise UsageError(f"{request.source} is attached already", "Name another one.")
            self.post_message(self.Checked(checked_request(request), None))
        except WorkbenchError as error:
            self.post_message(self.Checked(None, error))

    def on_attach_dialog_checked(self, message: Checked) -> None:
        """Close with it, or say what is wrong and what to do."""
        if message.request is not None:
            self.dismiss(message.request)
            return
        error = message.error
        words = f"✗ {error.message}. {error.remedy}" if isinstance(error, WorkbenchError) else f"✗ {error}"
        self.query_one("#attach-news", Static).update(Text(visible(words[:600]), style="bold"))


class DetachMenu(PickMenu[LiveRun]):
    """Sources that this app is attached to; Enter detaches from one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", "Close", id="detach.close", tooltip="Stay attached"),
        Binding("j", "step(1)", "Down", show=False, id="detach.down", tooltip="The next source"),
        Binding("k", "step(-1)", "Up", show=False, id="detach.up", tooltip="The source before"),
    ]
    TITLE_TEXT = "Detach from"
    KEYS_TEXT = "Enter detaches, Esc closes"

    def line(self, one: LiveRun) -> Text:
        """Its name and how much has come."""
        packets = one.status.packets if one.status is not None else 0
        return Text(f"{one.name:<16}", style="bold", no_wrap=True, overflow="ellipsis").append(
            f" {figures.count(packets)} packets", "dim"
        )


def _line(one: FoundInterface, taken: bool) -> Text:
    text = Text(f"{visible(one.name):<16}", style="bold", no_wrap=True, overflow="ellipsis")
    state = "attached" if taken else "up" if one.up else "down"
    return text.append(f" {state:<9} {figures.count(one.packets)} packets so far", "dim")
