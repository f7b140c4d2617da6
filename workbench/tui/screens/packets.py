"""Packets of one flow: a list, the tree of the one under the cursor, its bytes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static

from workbench.errors import CancelledError, ExternalError, WorkbenchError
from workbench.records.visible import visible
from workbench.tui import figures, words
from workbench.tui.data import CaseData, Summary
from workbench.tui.latest import Latest
from workbench.tui.messages import PacketsExplained, PacketsFailed, PacketsRead, PacketTaken
from workbench.tui.packet_rows import PacketRows
from workbench.tui.screens.dialog import ErrorDialog, PromptDialog
from workbench.tui.widgets.keys import KeyLine
from workbench.tui.widgets.packet_hex import PacketHex
from workbench.tui.widgets.packet_list import PacketList, moment, pages_of
from workbench.tui.widgets.packet_tree import PacketTree
from workbench.tui.widgets.rule import TitleRule
from workbench.tui.widgets.status import StatusLine
from workbench.tui.widgets.virtual_table import VirtualTable

if TYPE_CHECKING:
    from workbench.dissect.lines import Node
    from workbench.workflows.carve import Frame

#: Packets read ahead of the cursor, at first; each further step reads as many again as are there.
_AHEAD: Final = 1024
#: Packets that tshark is asked about at once.
_LINES: Final = 64
#: Seconds that the cursor stays on a packet before its tree is asked for.
_REST: Final = 0.12


class PacketsScreen(Screen[None]):
    """Esc goes back to the flows. Values of people are masked unless a reason is given, which is put on record."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (130, "-wide")]  # noqa: RUF012  typed so by Textual
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (16, "-short"), (32, "-tall")]  # noqa: RUF012

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", "Next part", id="packets.next", tooltip="List, tree, bytes"),
        Binding("shift+tab", "app.focus_previous", "Previous part", id="packets.previous", tooltip="The part before", show=False),
        Binding("e", "carve", "Carve", id="packets.carve", tooltip="Packets of this flow to a file"),
        Binding("U", "unmask", "Unmask", id="packets.unmask", tooltip="Show values of people, for a reason; again masks them"),
        Binding("y", "copy", "Copy", id="packets.copy", tooltip="The line under the cursor to the clipboard"),
        Binding("escape", "back", "Back", id="packets.back", tooltip="Stop reading; to the list; back to the flows"),
    ]

    def __init__(self, data: CaseData, flow: Mapping[str, Any], summary: Summary) -> None:
        super().__init__()
        self._data, self._flow, self._summary = data, flow, summary
        expected = int(flow.get("src_pkts") or 0) + int(flow.get("dst_pkts") or 0)
        self.rows = PacketRows(data, int(flow["flow_id"]), expected)
        self.reason: str | None = None
        self._reading = Latest(self, "packets")
        self._explaining = Latest(self, "packet lines")
        self._trees = Latest(self, "packet tree")
        self._timer: Timer | None = None
        self._mute = ""
        self._taken: Frame | None = None
        self._wanted: tuple[int, str | None] | None = None

    def compose(self) -> ComposeResult:
        """List above, tree and bytes below."""
        yield Static(id="unmasked")
        with Vertical(id="packets-box"):
            yield TitleRule(id="packets-title")
            yield PacketList(id="packets")
        with Container(id="packet-body"):
            with Vertical(id="tree-box"):
                yield TitleRule("packet", id="tree-title")
                yield PacketTree(id="tree")
            with Vertical(id="hex-box"):
                yield TitleRule("bytes", id="hex-title")
                yield PacketHex(id="hex")
        yield StatusLine(id="status")
        yield KeyLine()

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
    def resting(self) -> bool:
        """Whether nothing is being read or about to be."""
        return self._timer is None and not (self._reading.busy or self._explaining.busy or self._trees.busy)

    def on_mount(self) -> None:
        """Read the first packets."""
        self.query_one(StatusLine).summary = self._summary
        self.set_focus(self.table)
        self.fields.say("Reading.")
        self._mask_told()
        self._read(_AHEAD)

    def on_unmount(self) -> None:
        """Let go of the capture and of tshark."""
        self.rows.close()
        self._data.stop_dissecting()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """The title above what has the focus shows it."""
        for rule in self.query(TitleRule):
            rule.set_class(rule.parent in event.widget.ancestors, "-active")

    def _titles(self) -> None:
        flow, rows = self._flow, self.rows
        ends = " → ".join(words.endpoint(flow.get(f"{side}_ip"), flow.get(f"{side}_port")) for side in ("src", "dst"))
        expected = rows.total if rows.ended else max(rows.expected, rows.total)
        read = f"{figures.count(rows.total)} of {figures.count(expected)}" if rows.total < expected else f"{rows.total:,}"
        where = f", packet {self.table.cursor_row + 1:,}" if rows.total else ""
        self.query_one("#packets-title", TitleRule).title = f"{read} packets{where} of {ends}"
        self.query_one(StatusLine).activity = "reading packets, Esc stops" if self._reading.busy else "ready"

    # -- reading ----------------------------------------------------------------------------------

    def _read(self, until: int) -> None:
        if not self.rows.ended:
            self._reading.ask(partial(self._read_on, until))
            self._titles()

    def _read_on(self, until: int) -> None:
        before = self.rows.total

        def told() -> None:
            self.post_message(PacketsRead(before))

        try:
            self.rows.read(until, told)
        except CancelledError:
            return
        except Exception as error:  # every failure is shown
            self.post_message(PacketsFailed(error))

    def on_packets_read(self, message: PacketsRead) -> None:
        """More of them are here."""
        self.table.show(self.rows, pages_of(message.start, self.rows.total))
        self._take()
        self._explain()
        self._titles()

    def on_packets_failed(self, message: PacketsFailed) -> None:
        """The capture is gone, or another one now."""
        self.table.set_empty("The packets cannot be read.")
        self.fields.say("")
        self._titles()
        if not isinstance(self.app.screen, ErrorDialog):
            self.app.push_screen(ErrorDialog.of(message.error))

    def on_virtual_table_moved(self, message: VirtualTable.Moved) -> None:
        """Tree and bytes follow the cursor; the list reads on before its end is reached."""
        message.stop()
        if self.rows.total and message.row + 3 * self.table.visible_rows >= self.rows.total and not self._reading.busy:
            self._read(self.rows.total + max(_AHEAD, self.rows.total))
        self._take()
        self._explain()
        self._titles()

    def on_virtual_table_chosen(self, message: VirtualTable.Chosen) -> None:
        """Enter: into the tree."""
        message.stop()
        self.set_focus(self.fields)

    def on_virtual_table_failed(self, message: VirtualTable.Failed) -> None:
        """Say so."""
        message.stop()
        self.app.push_screen(ErrorDialog.of(message.error))

    # -- one packet -------------------------------------------------------------------------------

    def _take(self) -> None:
        """Show the packet under the cursor, once the cursor rests."""
        if not self.rows.total or self._wanted == (self.table.cursor_row, self.reason):
            return
        self._wanted = (self.table.cursor_row, self.reason)
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(_REST, self._rested)

    def _rested(self) -> None:
        self._timer = None
        self._trees.ask(partial(self._dissect, self.table.cursor_row, self.reason))

    def _dissect(self, row: int, reason: str | None) -> None:
        """In a thread: the frame and its bytes, then what tshark says of it."""
        try:
            frame = self.rows.frame(row)
            if frame is None:
                return
            pieces = self._data.hex(frame, reason)
            self.post_message(PacketTaken(row, frame, pieces, None, ""))
            if self._trees.overtaken:
                return
            nodes, why = self._tree(frame, reason)
            self.post_message(PacketTaken(row, frame, pieces, nodes, why))
        except CancelledError:
            return
        except Exception as error:  # every failure is shown
            self.post_message(PacketsFailed(error))

    def _tree(self, frame: Frame, reason: str | None) -> tuple[list[Node], str]:
        try:
            return list(self._data.tree(frame, reason)), ""
        except ExternalError as error:
            return [], f"{error.message}\n{error.remedy}"

    def on_packet_taken(self, message: PacketTaken) -> None:
        """Bytes first; the tree of the packet before stays until the new one is there."""
        if message.row != self.table.cursor_row:
            return
        frame = message.frame
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
        node = message.node
        self.raw.mark(-1 if node is None else node.offset, 0 if node is None else node.length)

    # -- what tshark says of each -----------------------------------------------------------------

    def _explain(self) -> None:
        gap = self.rows.unexplained(*self.table.pages_in_view())
        if gap is not None and not self._mute:
            self._explaining.ask(partial(self._ask_lines, gap[0], min(gap[1], _LINES)))

    def _ask_lines(self, start: int, count: int) -> None:
        try:
            self.rows.explain(start, count, self._data.lines(self.rows.flow_id, start, count))
            self.post_message(PacketsExplained(start, count, ""))
        except CancelledError:
            return
        except WorkbenchError as error:  # the list stands without words
            self.post_message(PacketsExplained(start, 0, error.message))

    def on_packets_explained(self, message: PacketsExplained) -> None:
        """Fill the words in, and ask for the next ones in view."""
        if message.why:
            self._mute = message.why
            return
        self.table.show(self.rows, pages_of(message.start, message.start + message.count))
        self._explain()

    # -- keys -------------------------------------------------------------------------------------

    def action_back(self) -> None:
        """Stop reading; else to the list; else back to the flows."""
        if self._reading.busy and self.rows.total:
            self.rows.stop()
        elif not self.table.has_focus:
            self.set_focus(self.table)
        else:
            self.dismiss()

    def action_carve(self) -> None:
        """This flow to a file."""
        from workbench.tui.screens.carve import CarveDialog

        self.app.push_screen(CarveDialog(self._data, self._flow, None))

    def action_copy(self) -> None:
        """The line under the cursor, or all bytes, as they are shown."""
        if self.fields.has_focus and self.fields.node is not None:
            text = self.fields.text(self.fields.cursor)
        elif self.raw.has_focus:
            text = "\n".join(self.raw.text(row) for row in range(self.raw.lines))
        elif (record := self.table.record) is not None:
            cells = [look.text(record[look.name]) for look in self.table.looks]
            text = "  ".join(cell.strip() for cell in cells if cell.strip())
        else:
            return
        self.app.copy_to_clipboard(text)
        self.notify(text[:200], title="Copied", markup=False, timeout=3)

    def action_unmask(self) -> None:
        """Ask for a reason; while there is one, values are shown. Again masks them."""
        if self.reason is not None:
            self._unmask(None)
            return
        hint = "Why values of people are looked at. It is written to the audit log of the case, with your name and the time."
        self.app.push_screen(PromptDialog("Unmask: reason", hint, lambda _: ""), self._unmask_for)

    def _unmask_for(self, reason: str | None) -> None:
        if reason:
            self._unmask(reason)

    def _unmask(self, reason: str | None) -> None:
        self.reason = reason
        self._mask_told()
        self._take()

    def _mask_told(self) -> None:
        banner = self.query_one("#unmasked", Static)
        banner.display = self.reason is not None
        if self.reason is not None:
            text = Text(
                f" UNMASKED: values of people are shown, and that is on record ({visible(self.reason[:200])}). U masks them."
            )
            text.no_wrap, text.overflow = True, "ellipsis"
            banner.update(text)
