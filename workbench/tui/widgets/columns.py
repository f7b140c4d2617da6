"""Where the columns of a table stand: which stay, which of the others are in view, and text fitted into them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from workbench.tui.looks import Look

#: Cells before the first column: the mark of the row under the cursor.
GUTTER: Final = 2
#: Part of the width that columns which do not scroll may take, and how many they are at most.
_FROZEN_SHARE: Final = 0.55
_FROZEN_MOST: Final = 5
#: No column grows beyond this part of the width where others need it: an IPv6 address is shortened on a small screen.
_WIDEST_SHARE: Final = 5


class Columns:
    """Columns and their widths. room: cells of a line; left: cells that are scrolled away; both set by the table."""

    def __init__(self, looks: Sequence[Look]) -> None:
        self.looks = tuple(looks)
        self.widths = [look.width for look in self.looks]
        self.room = 0
        self.left = 0

    @property
    def total_width(self) -> int:
        """Cells that all of them take, with the gutter and the gaps."""
        return GUTTER + sum(self.widths) + len(self.widths)

    def most(self, number: int) -> int:
        """How wide a column may grow."""
        look = self.looks[number]
        spare = self.room - self.total_width
        return min(look.most, max(look.width, self.room // _WIDEST_SHARE, self.widths[number] + spare))

    def frozen(self) -> tuple[int, int]:
        """How many columns stay, and how many cells they and the gutter take."""
        bound = int(self.room * _FROZEN_SHARE)
        used = GUTTER
        for number, width in enumerate(self.widths):
            if number >= _FROZEN_MOST or used + width + 1 > bound:
                return number, used
            used += width + 1
        return len(self.widths), used

    def in_view(self) -> set[int]:
        """Columns that are painted: those that fit whole (a cut number is a wrong number), or fill the room."""
        frozen, frozen_width = self.frozen()
        right = self.left + self.room - frozen_width
        found, at = set(range(frozen)), 0
        for number in range(frozen, len(self.widths)):
            end = at + self.widths[number]
            if (at >= self.left and end <= right) or (at <= self.left and end >= right):
                found.add(number)
            at = end + 1
        return found

    def range_in_view(self) -> tuple[int, int]:
        """First and last column painted behind those that stay, counted from 1; (0, 0) where none is."""
        frozen, _ = self.frozen()
        moving = sorted(number for number in self.in_view() if number >= frozen)
        return (moving[0] + 1, moving[-1] + 1) if moving else (0, 0)

    def left_to_show(self, number: int) -> int:
        """How far to scroll so that a column is in view; as far as now where it is."""
        frozen, frozen_width = self.frozen()
        if number < frozen:
            return 0
        start = sum(self.widths[frozen:number]) + number - frozen
        end = start + self.widths[number]
        room = self.room - frozen_width
        if start < self.left:
            return start
        return end - room if end > self.left + room else self.left

    def at(self, x: int) -> int | None:
        """The column painted at a cell of a line."""
        _, frozen_width = self.frozen()
        if x >= frozen_width:
            x += self.left
        start = GUTTER
        for number, width in enumerate(self.widths):
            if start <= x < start + width + 1:
                return number
            start += width + 1
        return None

    def line(self, parts: Sequence[tuple[str, Style]], gutter: Segment, gap: Style, *, marks: bool) -> Strip:
        """A line of fitted texts: columns that stay, then what the sideways scroll leaves; marks say there is more."""
        frozen, frozen_width = self.frozen()
        head = [gutter]
        for text, style in parts[:frozen]:
            head += [Segment(text, style), Segment(" ", gap)]
        tail: list[Segment] = []
        for text, style in parts[frozen:]:
            tail += [Segment(text, style), Segment(" ", gap)]
        room = max(0, self.room - frozen_width)
        rest = Strip(tail)
        more = rest.cell_length - 1 > self.left + room
        rest = rest.crop_extend(self.left, self.left + room, gap)
        if marks and self.left:
            head[-1] = Segment("\u2039", gap)
        if marks and more and room > 1 and not rest.crop(room - 1, room).text.strip():
            rest = Strip([*rest.crop(0, room - 1), Segment("\u203a", gap)])
        return Strip([*head, *rest])


def fit(text: str, width: int, *, right: bool) -> str:
    """Text in exactly `width` cells; longer text keeps its beginning and its end, as addresses need both."""
    size = len(text) if text.isascii() else cell_len(text)
    if size > width:
        tail = text[-((width - 1) // 3) :]
        if width < 8 or not tail.isascii():
            return set_cell_size(text, width - 1) + "…"
        return set_cell_size(text, width - 1 - len(tail)) + "…" + tail
    return " " * (width - size) + text if right else text + " " * (width - size)
