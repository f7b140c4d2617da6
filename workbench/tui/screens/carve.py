"""Packets to a file: of one flow, or of all flows that are shown."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from workbench.errors import CancelledError, WorkbenchError
from workbench.records.visible import visible
from workbench.tui import conditions, figures, looks, words
from workbench.tui.data import Amount, CaseData, View
from workbench.tui.messages import CarveEnded, CarveMoved

if TYPE_CHECKING:
    from workbench.workflows.carve import CarveProgress, CarveRequest, Side

_SIDES: Final[tuple[tuple[Side, str], ...]] = (
    ("both", "both sides"),
    ("src", "only what the originator sent (→)"),
    ("dst", "only what was sent to it (←)"),
)


class CarveDialog(ModalScreen[None]):
    """What, whose packets, to which file; then how far it is, and where it lies."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Cancel", id="carve.cancel", tooltip="Stop carving, or close"),
        Binding("up", "what", "What", id="carve.what", tooltip="This flow, or all flows that are shown"),
        Binding("down", "side", "Side", id="carve.side", tooltip="Both sides, or one"),
    ]

    def __init__(self, data: CaseData, flow: Mapping[str, Any], view: View | None, *, marked: bool = False) -> None:
        """view: what is shown, to be offered beside the flow; None offers the flow alone. marked: it is what is marked."""
        super().__init__()
        self._data, self._flow, self._view = data, flow, view
        self._marked = self._all = marked
        self._side = 0
        self._shown: Amount | None = None
        self._stop = threading.Event()
        self._carving = False
        self._written = False
        self._confirmed = ""

    def compose(self) -> ComposeResult:
        """The choices, the file's name, what is going on."""
        with Vertical(classes="dialog wide"):
            yield Static(Text("Packets to a capture file (pcapng)", style="bold"), classes="dialog-title")
            yield Static(id="carve-choices")
            yield Input(value=self._file_name(), compact=True, id="carve-file")
            yield Static(id="carve-news")
            yield Static(id="carve-keys", classes="dialog-keys")

    def on_mount(self) -> None:
        """Ask how much is shown."""
        self._tell()
        if self._view is not None:
            self.run_worker(partial(self._weigh, self._view), group="weigh", thread=True, exit_on_error=False)

    def _weigh(self, view: View) -> None:
        try:
            self._shown = self._data.amount(view)
        except WorkbenchError:  # then the dialog does without the count
            return
        self.app.call_from_thread(self._tell)

    def _file_name(self) -> str:
        """`flow-1.42.pcapng`, `flows.pcapng`; in the folder that the app was started in."""
        return "flows.pcapng" if self._all else f"flow-{looks.flow_number(self._flow.get('flow_id'))}.pcapng"

    def _tell(self) -> None:
        """Write everything anew."""
        flow = self._flow
        ends = " → ".join(words.endpoint(flow.get(f"{side}_ip"), flow.get(f"{side}_port")) for side in ("src", "dst"))
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append("what  ", "bold").append(f"{'▸' if not self._all else ' '} this flow: {self._packets()}, {ends}\n")
        if self._view is not None:
            text.append(f"      {'▸' if self._all else ' '} {self._shown_words()}\n")
        text.append("side  ", "bold").append(f"▸ {_SIDES[self._side][1]}\n")
        text.append("file  ", "bold").append("▸", "dim")
        self.query_one("#carve-choices", Static).update(text)
        keys = "Esc stops" if self._carving else "Enter or Esc closes" if self._written else "Enter carves, Down side, Esc closes"
        if self._view is not None and not self._carving and not self._written:
            keys = "Enter carves, Up what, Down side, Esc closes"
        self.query_one("#carve-keys", Static).update(Text(keys, style="dim"))

    def _packets(self) -> str:
        number = sum(int(self._flow.get(f"{side}_pkts") or 0) for side in ("src", "dst"))
        return f"{figures.count(number)} packet{'' if number == 1 else 's'}"

    def _shown_words(self) -> str:
        if self._shown is None:
            return "all flows that are marked" if self._marked else "all flows that are shown"
        amount = self._shown
        many = f"{figures.count(amount.flows)} flow{'' if amount.flows == 1 else 's'}"
        what = "marked" if self._marked else "shown"
        return f"all that is {what}: {figures.count(amount.packets)} packets of {many}, {figures.words_size(amount.bytes)}"

    def _say(self, words: str, *, bad: bool = False) -> None:
        mark = "✗ " if bad else ""
        self.query_one("#carve-news", Static).update(Text(f"{mark}{words}", style="bold" if bad else ""))

    # -- keys -------------------------------------------------------------------------------------

    def action_what(self) -> None:
        """The flow, or all that is shown."""
        if self._view is None or self._carving or self._written:
            return
        line = self.query_one(Input)
        named = line.value == self._file_name()
        self._all = not self._all
        if named:
            line.value = self._file_name()
        self._tell()

    def action_side(self) -> None:
        """The next choice of sides."""
        if not self._carving and not self._written:
            self._side = (self._side + 1) % len(_SIDES)
            self._tell()

    def action_leave(self) -> None:
        """Stop what is going on; else close."""
        if self._carving:
            self._stop.set()
            self._say("Stopping.")
        else:
            self.dismiss()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Another name is another question."""
        event.stop()
        self._confirmed = ""

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Begin."""
        event.stop()
        if self._written:
            self.dismiss()
        if self._carving or self._written:
            return
        name = event.value.strip()
        if not name:
            self._say("A file needs a name.", bad=True)
            return
        path = Path(name).expanduser()
        if path.exists() and path.is_file() and self._confirmed != name:
            self._confirmed = name
            self._say(f"{visible(str(path))} exists. Enter again replaces it.", bad=True)
            return
        self._carving = True
        self._stop.clear()
        self._say("Carving.")
        self._tell()
        work = partial(self._carve, self._request(), path.absolute())
        self.run_worker(work, group="carve", thread=True, exit_on_error=False)

    def _request(self) -> CarveRequest:
        from workbench.workflows.carve import CarveRequest

        side = _SIDES[self._side][0]
        if not self._all or self._view is None:
            return CarveRequest(self._data.path, flow_ids=(int(self._flow["flow_id"]),), side=side)
        text = self._view.filter
        if self._view.span is not None:
            text = conditions.joined(text, conditions.during(self._view.span))
        return CarveRequest(self._data.path, filter=text, side=side)

    # -- carving ----------------------------------------------------------------------------------

    def _carve(self, request: CarveRequest, out: Path) -> None:
        def moved(progress: CarveProgress) -> None:
            self.post_message(CarveMoved(progress))

        try:
            self.post_message(CarveEnded(out, self._data.carve(request, out, moved, self._stop.is_set), None))
        except Exception as error:  # every failure is shown
            self.post_message(CarveEnded(out, None, error))

    def on_carve_moved(self, message: CarveMoved) -> None:
        """How far it is."""
        progress = message.progress
        if self._carving and not self._stop.is_set():
            share = f"{100 * progress.done // progress.total}%, " if progress.total else ""
            what = visible(progress.skipping) or visible(progress.source)
            self._say(f"{share}{figures.count(progress.packets)} packets; {what}")

    def on_carve_ended(self, message: CarveEnded) -> None:
        """Where it lies, or why there is nothing."""
        self._carving = False
        error = message.error
        if isinstance(error, CancelledError):
            self._say("Stopped; nothing was written.", bad=True)
        elif isinstance(error, WorkbenchError):
            self._say(f"{visible(error.message)} {visible(error.remedy)}", bad=True)
        elif error is not None:
            self._say(f"{type(error).__name__}: {visible(str(error))}. This is a fault in workbench.", bad=True)
        elif message.result is not None:
            result, self._written = message.result, True
            notes = "".join(f"\n! {visible(note)}" for note in result.notes[:5])
            size = figures.words_size(result.bytes)
            flows = f"{figures.count(result.flows)} flow{'' if result.flows == 1 else 's'}"
            self._say(f"✓ {result.packets:,} packets of {flows}, {size}, in\n{visible(str(message.out))}{notes}")
        self._tell()

    def on_unmount(self) -> None:
        """Closed by force: stop."""
        self._stop.set()
