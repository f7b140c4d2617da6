"""A packet's bytes: headers as they are, payload as dots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.strip import Strip
from textual.widget import Widget

#: What stands for a byte that is not shown.
MASKED: Final = "··"


class PacketHex(Widget, can_focus=True):
    """Rows of 8 or 16 bytes; the field under the tree's cursor stands in brackets."""

    DEFAULT_CSS = """
    PacketHex { background: $background; color: $foreground; height: 1fr; }
    PacketHex > .hex--offset { color: $text-muted; }
    PacketHex > .hex--masked { color: $text-disabled; }
    PacketHex > .hex--marked { color: $text-accent; text-style: bold; }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"hex--offset", "hex--masked", "hex--marked"}

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "by(-1)", "Up", show=False, id="hex.up", tooltip="A line up"),
        Binding("down,j", "by(1)", "Down", show=False, id="hex.down", tooltip="A line down"),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False, id="hex.page_up", tooltip="One screen up"),
        Binding("pagedown,ctrl+f,space", "page(1)", "Page down", show=False, id="hex.page_down", tooltip="One screen down"),
        Binding("g,home", "by(-99999)", "Top", show=False, id="hex.top", tooltip="To the beginning"),
        Binding("G,end", "by(99999)", "Bottom", show=False, id="hex.bottom", tooltip="To the end"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self._bytes: list[int | None] = []
        self._marked = range(0)
        self._top = 0

    def show(self, pieces: Sequence[tuple[int, bytes | None]], length: int) -> None:
        """Another packet of `length` bytes; pieces by offset, None where they are masked up to the next or the end."""
        found: list[int | None] = [None] * length
        for offset, data in pieces:
            if data is not None:
                found[offset : offset + len(data)] = list(data)
        self._bytes, self._marked, self._top = found[:length], range(0), 0
        self.refresh()

    def mark(self, offset: int, length: int) -> None:
        """Bring these bytes into view, in brackets; none where the offset is below 0."""
        self._marked = range(max(0, offset), min(len(self._bytes), offset + length)) if offset >= 0 else range(0)
        if self._marked:
            first, last = self._marked[0] // self.each, self._marked[-1] // self.each
            height = max(1, self.size.height)
            if first < self._top or last >= self._top + height:
                self._top = max(0, min(first, last - height + 1) if last - first < height else first)
        self.refresh()

    @property
    def each(self) -> int:
        """Bytes a row."""
        return 16 if self.size.width >= 5 + 16 * 3 + 1 else 8

    @property
    def lines(self) -> int:
        """Rows there are."""
        return -(-len(self._bytes) // self.each)

    def action_by(self, by: int) -> None:
        """Scroll by rows."""
        self._top = max(0, min(self._top + by, self.lines - self.size.height))
        self.refresh()

    def action_page(self, by: int) -> None:
        """Scroll by screens."""
        self.action_by(by * max(1, self.size.height - 1))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll down."""
        event.stop()
        self.action_by(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll up."""
        event.stop()
        self.action_by(-3)

    def text(self, row: int) -> str:
        """A row as it is shown, without marks."""
        part = self._bytes[row * self.each : (row + 1) * self.each]
        return f"{row * self.each:04x}  " + " ".join(_cell(byte) for byte in part)

    def render_line(self, y: int) -> Strip:
        """`0010  45 00 [00 3c] ··`, and as text where there is room."""
        width, base, row = self.size.width, self.rich_style, self._top + y
        if row >= self.lines:
            return Strip.blank(width, base)
        quiet, masked, marked = (self.get_component_rich_style(f"hex--{name}") for name in ("offset", "masked", "marked"))
        segments = [Segment(f"{row * self.each:04x} ", quiet)]
        first = row * self.each
        for at in range(first, first + self.each):
            byte = self._bytes[at] if at < len(self._bytes) else None
            gap = "[" if self._marked and at == self._marked[0] else " "
            if at > first and at - 1 in self._marked and at not in self._marked:
                gap = "]"
            style = marked if at in self._marked else masked if byte is None else base
            segments.append(Segment(gap, marked if gap != " " else base))
            segments.append(Segment(_cell(byte) if at < len(self._bytes) else "  ", style))
        ends = first + self.each - 1 in self._marked and first + self.each not in self._marked
        segments.append(Segment("]" if ends else " ", marked))
        if width >= 5 + self.each * 4 + 2:
            segments.append(Segment(" " + "".join(map(_letter, self._bytes[first : first + self.each])), base + Style(dim=True)))
        return Strip(segments).adjust_cell_length(width, base)


def _cell(byte: int | None) -> str:
    return MASKED if byte is None else f"{byte:02x}"


def _letter(byte: int | None) -> str:
    return "·" if byte is None else chr(byte) if 0x20 <= byte < 0x7F else "."
