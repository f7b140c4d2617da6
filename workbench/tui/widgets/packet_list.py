"""The packets of a flow, one a line."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from rich.cells import cell_len, set_cell_size
from textual.binding import Binding, BindingType

from workbench.tui import figures
from workbench.tui.looks import Look, text_cell
from workbench.tui.packet_rows import PacketRows
from workbench.tui.paging import PAGE_ROWS
from workbench.tui.widgets.columns import GUTTER
from workbench.tui.widgets.virtual_table import VirtualTable

_WAITING: Final = "Reading packets from the capture.\nThe very first time its reader is compiled: half a minute."
_EMPTY: Final = "No packets of this flow were found in the capture."
_ONE_WAY: Final = "No packets went this way. w turns to the other direction and to both."
NO_FLOW: Final = "No flow is open here.\nPress 2 for the flows; p there shows the packets of the one under the cursor."


def _clock(ns: int) -> str:
    when = figures.from_us(ns // 1000)
    return f"{when:%H:%M:%S}.{when.microsecond:06d}"


def moment(ns: int) -> str:
    """A full UTC time to the nanosecond."""
    when: dt.datetime = figures.from_us(ns // 1000)
    return f"{when.isoformat(sep=' ', timespec='seconds')}.{ns % 1_000_000_000:09d}"


def _way(from_src: bool) -> str:
    return "→" if from_src else "←"


def _plain(value: Any) -> str:
    return "" if value is None else f"{value}"


def _text(value: str | None) -> str:
    return text_cell(value) if value else ""


def _seconds(ns: int) -> str:
    """Seconds to the microsecond; negative where a capture's clock went back."""
    return f"{ns / 1e9:+.6f}"


#: How times are shown, in turn: the column, its heading, what it means, how.
TIMES: Final = (
    ("ts_ns", "time", "when it was captured, UTC", _clock),
    ("since_first", "since first", "seconds since the flow's first packet", _seconds),
    ("since_previous", "since prev.", "seconds since the packet above it", _seconds),
)


def packet_looks(width: int, times: int = 0) -> tuple[Look, ...]:
    """The columns for a line of so many cells: what tshark says takes what is left. times: which of TIMES."""
    name, heading, meaning, shown = TIMES[times]
    first = (
        Look("number", "number", "its number in the capture, from 1", 8, 10, True, "quiet", _plain),
        Look(name, heading, meaning, 15, 15, bool(times), "time", shown),
        Look("from_src", "", "sent by the originator (→) or to it (←)", 1, 1, False, "", _way),
        Look("wire", "length", "bytes on the wire", 6, 6, True, "", _plain),
        Look("payload", "payload", "bytes of application payload that were captured", 7, 7, True, "quiet", _plain),
        Look("protocol", "protocol", "as tshark names it", 8, 8, False, "", _text),
    )
    room = max(12, width - GUTTER - sum(look.width + 1 for look in first) - 1)

    def cut(value: str | None) -> str:
        text = _text(value)
        return text if cell_len(text) <= room else set_cell_size(text, room - 1) + "…"

    return (*first, Look("info", "what", "made from allowed fields only", room, room, False, "", cut))


class PacketList(VirtualTable):
    """A table of packets; rows come with `show`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Fields", id="packets.fields", tooltip="Into the fields of this packet"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(packet_looks(80), empty=NO_FLOW, id=id)
        self.times = 0

    def on_resize(self) -> None:
        """The last column takes what is left."""
        self.set_looks(packet_looks(self.room, self.times))
        super().on_resize()

    def turn_times(self) -> None:
        """The next way to show times."""
        self.times = (self.times + 1) % len(TIMES)
        self.set_looks(packet_looks(self.room, self.times))

    def show(self, rows: PacketRows, pages: Sequence[int]) -> None:
        """More rows, or other words in these pages."""
        self.set_empty(_WAITING if not rows.ended else _EMPTY if not rows.read_total else _ONE_WAY)
        if self.source is not rows:
            self.set_source(rows, None, 0)
        self.extend(pages)

    def pages_in_view(self) -> tuple[int, int]:
        """First row in view and the one behind the last."""
        first = self.scroll_offset.y
        return first, min(self.total, first + self.visible_rows)


def pages_of(start: int, end: int) -> range:
    """Pages that hold rows of [start, end)."""
    return range(start // PAGE_ROWS, max(start, end - 1) // PAGE_ROWS + 1)
