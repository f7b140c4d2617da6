"""The packets of one flow on the screen: reading them, taking the one under the cursor apart, masking. No keys yet."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.timer import Timer
from textual.widgets import Static

from workbench.errors import CancelledError, ExternalError, WorkbenchError
from workbench.records.visible import visible
from workbench.tui import figures, words
from workbench.tui.data import Summary, View
from workbench.tui.latest import Latest
from workbench.tui.messages import PacketsExplained, PacketsFailed, PacketsRead, PacketsRested, PacketTaken
from workbench.tui.once import once
from workbench.tui.packet_rows import PacketRows
from workbench.tui.views.base import CaseView
from workbench.tui.widgets.packet_hex import PacketHex
from workbench.tui.widgets.packet_list import NO_FLOW, PacketList, moment, pages_of
from workbench.tui.widgets.packet_tree import PacketTree
from workbench.tui.widgets.rule import TitleRule
from workbench.tui.widgets.virtual_table import VirtualTable

if TYPE_CHECKING:
    from workbench.dissect.lines import Node
    from workbench.tui.data import CaseData
    from workbench.workflows.carve import Frame

#: Packets read ahead of the cursor, at first; each further step reads as many again as are there.
_AHEAD: Final = 1024
#: Packets that tshark is asked about at once.
_LINES: Final = 64
#: Seconds that the cursor stays on a packet before its tree is asked for.
_REST: Final = 0.12

#: What is shown of the two directions, by what the rows follow.
WAYS: Final = {None: "", True: ", only from the originator (→)", False: ", only to the originator (←)"}


class ReadingView(CaseView):
    """A flow's packets. Values of people are masked unless a reason is given, which is put on record."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self.flow: Mapping[str, Any] | None = None
        self.rows: PacketRows | None = None
        self.reason: str | None = None
        self._data: CaseData | None = None
        self._reading = Latest(self, "packets")
        self._explaining = Latest(self, "packet lines")
        self._trees = Latest(self, "packet tree")
        self._under_way = False
        self._timer: Timer | None = None
        self._mute = ""
        self._taken: Frame | None = None
        self._wanted: tuple[int, str | None] | None = None

    def compose(self) -> ComposeResult:
        """List above, tree and bytes below."""
        yield Static(id="unmasked")
        with Vertical(id="packets-box"):
            yield TitleRule("packets", id="packets-title")
            yield PacketList(id="packets")
        with Container(id="packet-body"):
            with Vertical(id="tree-box"):
                yield TitleRule("packet", id="tree-title")
                yield PacketTree(id="tree")
            with Vertical(id="hex-box"):
                yield TitleRule("bytes", id="hex-title")
                yield PacketHex(id="hex")

    # -- parts ------------------------------------------------------------------------------------

    @property
    def table(self) -> PacketList:
        """The list."""
        return self.query_one(PacketList)

    @property
    def fields(self) -> PacketTree:
        """The tree."""
        return self.query_one(PacketTree)

    @property
    def raw(self) -> PacketHex:
        """The bytes."""
        return self.query_one(PacketHex)

    @property
    def data(self) -> CaseData:
        """The case. It outlives the screen, which threads that still read must not ask."""
        if self._data is None:
            self._data = self.frame.data
        assert self._data is not None
        return self._data

    @property
    def resting(self) -> bool:
        """Whether nothing is being read or about to be."""
        return self._timer is None and not (self._reading.busy or self._explaining.busy or self._trees.busy)

    @property
    def activity(self) -> str:
        """Whether packets are on their way."""
        return "reading packets, Esc stops" if self._under_way else ""

    def enter(self) -> None:
        """To the list."""
        self.screen.set_focus(self.table)

    def obey(self, view: View, summary: Summary) -> None:  # noqa: ARG002  a flow's packets are the same under any filter
        """Shown again: the packet under the cursor is dissected, masked, where it was let go of."""
        self._take()

    def leave(self) -> None:
        """Let go of the capture and of tshark."""
        if self.rows is not None:
            self.rows.close()
            self.data.stop_dissecting()

    # -- which flow -------------------------------------------------------------------------------

    def show_flow(self, flow: Mapping[str, Any]) -> None:
        """Read the packets of another flow, masked."""
        if self.rows is not None:
            self.rows.close()
        expected = int(flow.get("src_pkts") or 0) + int(flow.get("dst_pkts") or 0)
        self.flow, self.rows = flow, PacketRows(self.data, int(flow["flow_id"]), expected)
        self._taken = self._wanted = None
        self._mute = ""
        self.mask()
        self.table.show(self.rows, ())
        self.fields.say("Reading.")
        self.raw.show((), 0)
        self._read(_AHEAD)

    def _titles(self) -> None:
        flow, rows = self.flow, self.rows
        if flow is None or rows is None:
            return
        ends = " → ".join(words.endpoint(flow.get(f"{side}_ip"), flow.get(f"{side}_port")) for side in ("src", "dst"))
        read = rows.read_total
        expected = read if rows.ended else max(rows.expected, read)
        many = f"{figures.count(read)} of {figures.count(expected)}" if read < expected else f"{read:,}"
        where = f", packet {self.table.cursor_row + 1:,}" if rows.total else ""
        some = f" {rows.total:,}" if rows.way is not None else ""
        self.query_one("#packets-title", TitleRule).title = f"{many} packets{WAYS[rows.way]}{some}{where} of {ends}"
        self.frame.changed()

    # -- reading ----------------------------------------------------------------------------------

    def _read(self, until: int) -> None:
        if self.rows is not None and not self.rows.ended:
            self._under_way = True
            self._reading.ask(partial(self._read_on, self.rows, until))
            self._titles()

    def _read_on(self, rows: PacketRows, until: int) -> None:
        before = rows.read_total

        def told() -> None:
            self.post_message(PacketsRead(rows, before))

        try:
            rows.read(until, told)
        except CancelledError:
            return
        except Exception as error:  # every failure is shown
            self.post_message(PacketsFailed(error, rows))
        finally:
            self.post_message(PacketsRested(rows))

    def on_packets_read(self, message: PacketsRead) -> None:
        """More of them are here."""
        message.stop()
        rows = self.rows
        if rows is None or message.rows is not rows:
            return
        self.table.show(rows, pages_of(rows.row_at(message.start), rows.total))
        if rows.way is not None and rows.total < self.table.visible_rows and not self._under_way:
            self._read_more()
        self._take()
        self._explain()
        self._titles()
        self.read_on()

    def on_packets_rested(self, message: PacketsRested) -> None:
        """The titles say that nothing is being read any more."""
        message.stop()
        self._under_way = self._reading.overtaken
        self._titles()
        self.read_on()

    def read_on(self) -> None:
        """More was read, or all that was wanted."""

    def on_packets_failed(self, message: PacketsFailed) -> None:
        """The capture is gone, or another one now."""
        message.stop()
        if message.rows is not self.rows:
            return
        self.table.set_empty("The packets cannot be read.")
        self.fields.say("")
        self._titles()
        self.frame.say(message.error)

    def _read_more(self) -> None:
        if self.rows is not None:
            self._read(self.rows.read_total + max(_AHEAD, self.rows.read_total))

    def on_virtual_table_moved(self, message: VirtualTable.Moved) -> None:
        """Tree and bytes follow the cursor; the list reads on before its end is reached."""
        message.stop()
        rows = self.rows
        if rows is None:
            return
        if rows.total and message.row + 3 * self.table.visible_rows >= rows.total and not self._under_way:
            self._read_more()
        self._take()
        self._explain()
        self._titles()

    def on_virtual_table_chosen(self, message: VirtualTable.Chosen) -> None:
        """Enter: into the tree."""
        message.stop()
        self.screen.set_focus(self.fields)

    def on_virtual_table_failed(self, message: VirtualTable.Failed) -> None:
        """Say so."""
        message.stop()
        self.frame.say(message.error)

    # -- one packet -------------------------------------------------------------------------------

    def _here(self) -> int | None:
        """The place of the packet under the cursor."""
        rows, row = self.rows, self.table.cursor_row
        return rows.place(row) if rows is not None and row < rows.total else None

    def _take(self) -> None:
        """Show the packet under the cursor, once the cursor rests."""
        place = self._here()
        if place is None or self._wanted == (place, self.reason):
            return
        self._wanted = (place, self.reason)
        if self._timer is not None:
            self._timer.stop()
        self._timer = once(self, _REST, self._rested)

    def _rested(self) -> None:
        self._timer = None
        place, rows = self._here(), self.rows
        if place is not None and rows is not None:
            self._trees.ask(partial(self._dissect, rows, place, self.reason))

    def _dissect(self, rows: PacketRows, place: int, reason: str | None) -> None:
        """In a thread: the frame and its bytes, then what tshark says of it."""
        try:
            frame = rows.frame(place)
            if frame is None:
                return
            pieces = self.data.hex(frame, reason)
            self.post_message(PacketTaken(place, frame, pieces, None, "", reason))
            if self._trees.overtaken:
                return
            nodes, why = self._tree(frame, reason)
            self.post_message(PacketTaken(place, frame, pieces, nodes, why, reason))
        except CancelledError:
            return
        except Exception as error:  # every failure is shown
            self.post_message(PacketsFailed(error, rows))

    def _tree(self, frame: Frame, reason: str | None) -> tuple[list[Node], str]:
        try:
            return list(self.data.tree(frame, reason)), ""
        except ExternalError as error:
            return [], f"{error.message}\n{error.remedy}"

    def on_packet_taken(self, message: PacketTaken) -> None:
        """Bytes first; the tree of the packet before stays until the new one is there.

        What was unmasked for a reason that is over by now is not shown any more.
        """
        message.stop()
        frame = message.frame
        here = self.rows is not None and frame.flow_id == self.rows.flow_id and message.row == self._here()
        if not here or message.reason != self.reason:
            return
        if self._taken is not frame or message.nodes is None:
            self._taken = frame
            self.raw.show(message.pieces, frame.captured)
            cut = f" of {frame.wire:,}" if frame.wire != frame.captured else ""
            self.query_one("#tree-title", TitleRule).title = f"packet {frame.number:,}, {moment(frame.ts_ns)}"
            self.query_one("#hex-title", TitleRule).title = f"{frame.captured:,}{cut} bytes, {visible(frame.interface)}"
        if message.why:
            self.fields.say("\n".join(visible(line) for line in message.why.split("\n")))
        elif message.nodes is not None:
            self.fields.show(message.nodes)

    def on_packet_tree_chosen(self, message: PacketTree.Chosen) -> None:
        """Its bytes stand in brackets."""
        message.stop()
        node = message.node
        self.raw.mark(-1 if node is None else node.offset, 0 if node is None else node.length)

    # -- what tshark says of each -----------------------------------------------------------------

    def _explain(self) -> None:
        rows = self.rows
        gap = None if rows is None or self._mute else rows.unexplained(*self.table.pages_in_view())
        if gap is not None and rows is not None:
            self._explaining.ask(partial(self._ask_lines, rows, gap[0], min(gap[1], _LINES)))

    def _ask_lines(self, rows: PacketRows, start: int, count: int) -> None:
        try:
            rows.explain(start, count, self.data.lines(rows.flow_id, start, count))
            self.post_message(PacketsExplained(rows, start, count, ""))
        except CancelledError:
            return
        except WorkbenchError as error:  # the list stands without words
            self.post_message(PacketsExplained(rows, start, 0, error.message))

    def on_packets_explained(self, message: PacketsExplained) -> None:
        """Fill the words in, and ask for the next ones in view."""
        message.stop()
        rows = self.rows
        if rows is None or message.rows is not rows:
            return
        if message.why:
            self._mute = message.why
            return
        self.table.show(rows, pages_of(rows.row_at(message.start), rows.row_at(message.start + message.count)))
        self._explain()

    # -- masks ------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Nothing is unmasked, and there is no flow yet."""
        self._mask_told()
        self.table.set_empty(NO_FLOW)

    def on_hide(self) -> None:
        """Leaving ends what was unmasked: it is off the screen when one comes back."""
        self.mask()

    def mask(self) -> None:
        """No value of people is shown any more, and none that is on its way."""
        if self.reason is not None:
            self.fields.say("")
            self.raw.show((), 0)
            self._taken = self._wanted = None
        self.unmask(None)

    def unmask(self, reason: str | None) -> None:
        """Show values of people for that reason; None masks them."""
        self.reason = reason
        self._mask_told()
        if self.display:
            self._take()

    def _mask_told(self) -> None:
        banner = self.query_one("#unmasked", Static)
        banner.display = self.reason is not None
        if self.reason is not None:
            reason = visible(self.reason[:200])
            text = Text(f" UNMASKED: values of people are shown, and that is on record ({reason}). U masks them.")
            if text.cell_len > (banner.size.width or self.app.size.width):  # only the reason may be cut
                text = Text(f" UNMASKED, on record. U masks. Reason: {reason}")
            text.no_wrap, text.overflow = True, "ellipsis"
            banner.update(text)
