"""Packets of one flow: a list, the tree of the one under the cursor, its bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, Final

from textual.binding import Binding, BindingType

from workbench.errors import CancelledError
from workbench.tui import words
from workbench.tui.latest import Latest
from workbench.tui.looks import flow_number
from workbench.tui.messages import FlowFound, PacketsFailed
from workbench.tui.packet_jump import packet_dialog, packet_named
from workbench.tui.screens.dialog import PromptDialog
from workbench.tui.views.base import FLOW_KEYS, KEEP_KEYS, RANGE_KEYS, TIMELINE_KEYS, Subject
from workbench.tui.views.reading import ReadingView

_FLOWS: Final = 2


class PacketsView(ReadingView):
    """Arrived at with `p` from a flow; Esc goes back there."""

    number = 6
    name_ = "Packets"
    about = "The packets of one flow: a list, the fields of one of them, its bytes. Values of people are masked."

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "w", "way", "Way", id="packets.way", tooltip="Both directions, only the originator's packets, only the responder's"
        ),
        Binding("c", "clock", "Clock", id="packets.clock", tooltip="Time of day, since the first packet, since the one before"),
        Binding("colon", "jump", "Jump", id="packets.jump", tooltip="Go to a packet by its number or its time"),
        Binding("e", "carve", "Carve", id="packets.carve", tooltip="Packets of this flow to a file"),
        Binding("U", "unmask", "Unmask", id="packets.unmask", tooltip="Show values of people, for a reason; again masks them"),
        Binding("escape", "back", "Back", id="packets.back", tooltip="Stop reading; to the list; back to where you came from"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self._from = _FLOWS
        self._finding = Latest(self, "packets' flow")
        self._sought: Callable[[int, int], bool] | None = None
        self._sought_from = 0

    @property
    def idle(self) -> frozenset[str]:
        """One flow is shown, whatever the filter and the range."""
        return FLOW_KEYS | KEEP_KEYS | TIMELINE_KEYS | RANGE_KEYS

    @property
    def resting(self) -> bool:
        """Whether nothing is being read, looked for or about to be."""
        return super().resting and not self._finding.busy

    # -- where the person is ----------------------------------------------------------------------

    def subject(self) -> Subject | None:
        """The flow whose packets these are."""
        flow = self.flow
        if flow is None:
            return None
        ends = " → ".join(words.endpoint(flow.get(f"{side}_ip"), flow.get(f"{side}_port")) for side in ("src", "dst"))
        number = int(flow["flow_id"])
        return Subject("flow", str(number), f"flow {flow_number(number)} {ends}", f"flow_id == {number}", flow)

    def place(self) -> dict[str, Any]:
        """The flow, the packet in it, and where the person came from."""
        if self.flow is None:
            return {}
        return {"flow_id": int(self.flow["flow_id"]), "packet": self._here() or 0, "from": self._from}

    def restore(self, place: Mapping[str, Any]) -> None:
        """The flow of a place, given as its row (flow) or its number (flow_id). A flow that is shown stays as it is."""
        came = place.get("from")
        if isinstance(came, int) and 1 <= came <= 9 and came != self.number:
            self._from = came
        flow, number, packet = place.get("flow"), place.get("flow_id"), place.get("packet")
        packet = packet if isinstance(packet, int) and packet >= 0 else 0
        if isinstance(flow, Mapping):
            self._open(flow, packet)
        elif isinstance(number, int) and abs(number) < 1 << 63 and self.frame.data is not None:
            self._finding.ask(partial(self._find_flow, number, packet))

    def _open(self, flow: Mapping[str, Any], packet: int) -> None:
        if self.flow is None or self.flow["flow_id"] != flow["flow_id"]:
            self.show_flow(flow)
        self._sought = None
        if packet and self.rows is not None:
            self._seek(lambda _number, _ts: True, packet)

    def _find_flow(self, number: int, packet: int) -> None:
        """In a thread: the flow's row; a number that no flow has shows nothing."""
        try:
            found = self.data.question().query("SELECT * FROM flows WHERE flow_id = ? LIMIT 1", (number,)).to_pylist()
            if found:
                self.post_message(FlowFound(found[0], packet))
        except CancelledError:
            return
        except Exception as error:  # every failure is shown
            self.post_message(PacketsFailed(error, self.rows))

    def on_flow_found(self, message: FlowFound) -> None:
        """Its packets."""
        message.stop()
        self._open(message.flow, message.packet)

    def text(self) -> str:
        """The line under the cursor, or all bytes, as they are shown."""
        if self.fields.has_focus and self.fields.node is not None:
            return self.fields.text(self.fields.cursor)
        if self.raw.has_focus:
            return "\n".join(self.raw.text(row) for row in range(self.raw.lines))
        record = self.table.record
        if record is None:
            return ""
        cells = [look.text(record[look.name]) for look in self.table.looks]
        return "  ".join(cell.strip() for cell in cells if cell.strip())

    # -- keys -------------------------------------------------------------------------------------

    def stop(self) -> bool:
        """Stop reading and looking for a packet."""
        self._sought = None
        if self.rows is None or not self._under_way or not self.rows.read_total:
            return False
        self.rows.stop()
        return True

    def action_back(self) -> None:
        """Stop reading; else to the list; else back to where one came from."""
        if self.stop():
            self.frame.changed()
        elif self.flow is not None and not self.table.has_focus:
            self.enter()
        else:
            self.frame.go(self._from)

    def action_way(self) -> None:
        """Both directions, the originator's, the responder's: in turn, the cursor near where it was."""
        rows = self.rows
        if rows is None:
            return
        place = self._here() or 0
        rows.follow({None: True, True: False, False: None}[rows.way])
        self.table.set_source(rows, None, min(rows.row_at(place), max(0, rows.total - 1)))
        self.table.show(rows, ())
        if rows.total < self.table.visible_rows:
            self._read_more()
        self._take()
        self._titles()

    def action_clock(self) -> None:
        """Times another way; the heading says which."""
        self.table.turn_times()

    def action_jump(self) -> None:
        """Ask for a packet."""
        if self.rows is not None and self.rows.read_total:
            self.app.push_screen(packet_dialog(self.rows.began), self._jump)

    def _jump(self, answer: str | None) -> None:
        rows = self.rows
        if answer is None or rows is None:
            return
        if answer.strip() == "$":
            self.table.action_bottom()
        elif answer.strip().isdecimal():
            self._seek(lambda _number, _ts: True, max(0, int(answer) - 1))
        elif (fits := packet_named(answer, rows.began)) is not None:
            self._seek(fits, 0)

    def _seek(self, fits: Callable[[int, int], bool], start: int) -> None:
        """Go to the first packet from a place on that fits, reading on until it is there."""
        self._sought, self._sought_from = fits, start
        self._sought_now()

    def _sought_now(self) -> None:
        rows = self.rows
        if self._sought is None or rows is None:
            return
        place = rows.find(self._sought, self._sought_from)
        if place is not None:
            self._sought = None
            self.table.move_to(rows.row_at(place))
        elif rows.ended:
            self._sought = None
            self.table.action_bottom()
            self.frame.tell("Jump", "There is no such packet in this flow; this is the last one.")
        elif not self._under_way:
            self._read_more()

    def read_on(self) -> None:
        """More was read, perhaps the packet that is looked for."""
        self._sought_now()

    def action_carve(self) -> None:
        """This flow to a file."""
        from workbench.tui.screens.carve import CarveDialog

        if self.flow is not None:
            self.app.push_screen(CarveDialog(self.data, self.flow, None))

    def action_unmask(self) -> None:
        """Ask for a reason; while there is one, values are shown. Again masks them."""
        if self.reason is not None:
            self.unmask(None)
            return
        if self.flow is not None:
            hint = "Why values of people are looked at. It is written to the audit log of the case, with your name and the time."
            self.app.push_screen(PromptDialog("Unmask: reason", hint, lambda _: ""), self._unmask_for)

    def _unmask_for(self, reason: str | None) -> None:
        if reason:
            self.unmask(reason)
