"""A matrix of prefixes, or of groups and workloads, as shades or numbers, with a cursor on a cell. It holds what it was given."""

from __future__ import annotations

import ipaddress
import itertools
import math
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from workbench.analysis.group_matrix import Party
from workbench.analysis.matrix import Cell, Matrix
from workbench.analysis.prefixes import Prefix
from workbench.records.visible import visible
from workbench.tui import figures
from workbench.tui.looks import TEXT_LIMIT
from workbench.tui.widgets.columns import fit

_SHADES: Final = " ░▒▓█"
#: Lines that a heading may take: an address stands part below part.
_HEAD: Final = 4
#: Shares of unanswered flows from which a cell is marked.
_UNHEARD: Final = 0.5
UNHEARD_MARK: Final = "!"
#: Behind cells with open findings, ahead of the mark above.
FOUND_MARK: Final = "*"
#: Cells of a value where columns are headed by names.
_NAMED: Final = 6


def shade(value: int, most: int) -> str:
    """A character for a value on a log scale up to the largest; a blank for none."""
    if value <= 0:
        return _SHADES[0]
    return _SHADES[4] if value >= most else _SHADES[1 + int(3 * math.log1p(value) / math.log1p(most))]


def short(value: int) -> str:
    """A number in three characters, cut: `999`, `12k`, `.3M`, `3M`."""
    if value < 1000:
        return str(value)
    for unit, larger in itertools.pairwise("kMGTPEZ"):
        value //= 1000
        if value < 1000:
            return f"{value}{unit}" if value < 100 else f".{value // 100}{larger}"
    return "big"


def heading(prefix: Prefix | Party | None) -> list[str]:
    """A prefix part below part: octets, or groups of an IPv6 address, of which a whole one shows the last four.

    A name is cut into pieces: its beginning and, where it is too long for all of it, its end.
    """
    if prefix is None:
        return ["oth", "ers"]
    if isinstance(prefix, Party):
        name = called(prefix)
        name = fit(name, _NAMED * _HEAD, right=False).rstrip() if cell_len(name) > _NAMED * _HEAD else name
        return pieces(name)
    if prefix.is_v4:
        return [str(octet) for octet in prefix.address[12 : 12 + max(1, (prefix.length + 7) // 8)]]
    groups = [g.lstrip("0") or "0" for g in ipaddress.IPv6Address(prefix.address).exploded.split(":")]
    return groups[: (prefix.length + 15) // 16][-_HEAD:]


def called(prefix: Prefix | Party | None) -> str:
    """A row or column as text that is safe to show."""
    return "others" if prefix is None else visible(str(prefix)[:TEXT_LIMIT])


def pieces(name: str) -> list[str]:
    """A name in pieces that fit a column, at most as many as a heading has lines."""
    found, room = [""], _NAMED
    for char in name:
        width = cell_len(char)
        if width > room:
            found.append("")
            room = _NAMED
        found[-1] += char
        room -= width
    return found[:_HEAD]


class MatrixGrid(Widget, can_focus=True):
    """The grid. Arrows move, Enter opens a cell."""

    DEFAULT_CSS = """
    MatrixGrid { height: 1fr; background: $background; color: $foreground; }
    MatrixGrid > .matrix--heading { color: $text-muted; background: $panel; }
    MatrixGrid > .matrix--here { color: $text-accent; text-style: bold; }
    MatrixGrid > .matrix--cursor { background: $surface-lighten-2; text-style: bold; }
    MatrixGrid:focus > .matrix--cursor {
        background: $block-cursor-background; color: $block-cursor-foreground; text-style: bold;
    }
    MatrixGrid > .matrix--unheard { color: $text-warning; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "matrix--heading",
        "matrix--here",
        "matrix--cursor",
        "matrix--unheard",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1, 0)", "Up", show=False, id="matrix.up", tooltip="One originator up"),
        Binding("down,j", "move(1, 0)", "Down", show=False, id="matrix.down", tooltip="One originator down"),
        Binding("left,h", "move(0, -1)", "Left", show=False, id="matrix.left", tooltip="One responder to the left"),
        Binding("right,l", "move(0, 1)", "Right", show=False, id="matrix.right", tooltip="One responder to the right"),
        Binding("g,home", "move(-1000, -1000)", "First", show=False, id="matrix.top", tooltip="To the first cell"),
        Binding("G,end", "move(1000, 1000)", "Last", show=False, id="matrix.bottom", tooltip="To the last cell"),
        Binding(
            "enter",
            "open",
            "Into cell",
            id="matrix.open",
            tooltip="The same between the parts of these two; at the end their flows",
        ),
    ]

    @dataclass
    class Moved(Message):
        """The cursor stands on another cell."""

    @dataclass
    class Opened(Message):
        """Enter, or a second click."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self.matrix: Matrix | None = None
        self.by = "flows"
        self.numbers = False
        self.row = self.column = 0
        self.empty = ""
        self._top = self._left = 0

    def show(self, matrix: Matrix, by: str, *, row: int = 0, column: int = 0) -> None:
        """Show a matrix, the cursor on a cell of it."""
        self.matrix, self.by = matrix, by
        self.row, self.column = min(row, max(0, len(matrix.rows) - 1)), min(column, max(0, len(matrix.columns) - 1))
        self._moved()

    @property
    def here(self) -> tuple[Prefix | Party | None, Prefix | Party | None, Cell | None] | None:
        """Originators, responders and what is between them, under the cursor; None in an empty matrix."""
        if self.matrix is None or not self.matrix.rows:
            return None
        return self.matrix.rows[self.row], self.matrix.columns[self.column], self.matrix.cells.get((self.row, self.column))

    def action_move(self, down: int, right: int) -> None:
        """Move the cursor, kept inside."""
        if self.matrix is not None and self.matrix.rows:
            self.row = max(0, min(self.row + down, len(self.matrix.rows) - 1))
            self.column = max(0, min(self.column + right, len(self.matrix.columns) - 1))
            self._moved()

    def action_open(self) -> None:
        """Tell it."""
        if self.here is not None:
            self.post_message(self.Opened())

    def _moved(self) -> None:
        across, down = self._room()
        self._left = max(self.column - across + 1, min(self._left, self.column))
        self._top = max(self.row - down + 1, min(self._top, self.row))
        self.refresh()
        self.post_message(self.Moved())

    def on_resize(self) -> None:
        """Keep the cursor in view."""
        if self.matrix is not None:
            self._moved()

    def on_click(self, event: events.Click) -> None:
        """To the cell; into it with the second click."""
        if self.matrix is None or event.y < self._head or event.x < self._label:
            return
        row, column = self._top + event.y - self._head, self._left + (event.x - self._label) // self._width
        if row < len(self.matrix.rows) and column < len(self.matrix.columns):
            self.row, self.column = row, column
            self._moved()
            if event.chain == 2:
                self.action_open()

    # -- painting -----------------------------------------------------------------------------------

    @property
    def _inner(self) -> int:
        """Cells of a value."""
        columns = self.matrix.columns if self.matrix is not None else ()
        if any(isinstance(prefix, Party) for prefix in columns):
            return _NAMED
        return 4 if any(prefix is not None and not prefix.is_v4 for prefix in columns) else 3

    @property
    def _width(self) -> int:
        return self._inner + 2

    @property
    def _label(self) -> int:
        rows = self.matrix.rows if self.matrix is not None else ()
        return min(max(12, *(cell_len(self._called(prefix)) for prefix in rows), 12) + 3, max(18, self.size.width // 3))

    @property
    def _head(self) -> int:
        columns = self.matrix.columns if self.matrix is not None else ()
        return max((len(heading(prefix)) for prefix in columns), default=1)

    def _room(self) -> tuple[int, int]:
        """Columns and rows that fit."""
        return max(1, (self.size.width - self._label - 1) // self._width), max(1, self.size.height - self._head)

    def _called(self, prefix: Prefix | Party | None) -> str:
        return called(prefix)

    def render_line(self, y: int) -> Strip:
        """One line: of the headings, or a row."""
        style, width = self.rich_style, self.size.width
        if self.matrix is None or not self.matrix.rows:
            lines = self.empty.split("\n")
            text = lines[y - 1] if 1 <= y <= len(lines) else ""
            return Strip([Segment(set_cell_size(f"  {text}", width), style)])
        parts = self._heading(y) if y < self._head else self._row(self._top + y - self._head)
        return Strip(parts).adjust_cell_length(width, style)

    def _heading(self, y: int) -> list[Segment]:
        assert self.matrix is not None
        plain = self.get_component_rich_style("matrix--heading")
        here = plain + self.get_component_rich_style("matrix--here", partial=True)
        last = y == self._head - 1
        parts = [Segment(set_cell_size("  from ↓  to →" if last else "", self._label), plain)]
        across = self._room()[0]
        for column in range(self._left, min(self._left + across, len(self.matrix.columns))):
            stacked = heading(self.matrix.columns[column])
            text = stacked[y] if y < len(stacked) else ""
            parts.append(Segment(f" {' ' * (self._inner - cell_len(text))}{text} ", here if column == self.column else plain))
        more = len(self.matrix.columns) - self._left - across
        parts.append(Segment("\u203a" if more > 0 else "", plain))
        return parts

    def _row(self, row: int) -> list[Segment]:
        assert self.matrix is not None
        if row >= len(self.matrix.rows):
            return []
        base = self.rich_style
        at = row == self.row
        label = ("▶ " if at else "  ") + fit(self._called(self.matrix.rows[row]), self._label - 3, right=False) + " "
        parts = [Segment(label, base + self.get_component_rich_style("matrix--here", partial=True) if at else base)]
        most = max((cell.measure(self.by) for cell in self.matrix.cells.values()), default=0)
        shown = range(self._left, min(self._left + self._room()[0], len(self.matrix.columns)))
        return parts + [self._cell(row, column, most, base) for column in shown]

    def _cell(self, row: int, column: int, most: int, base: Style) -> Segment:
        assert self.matrix is not None
        cell = self.matrix.cells.get((row, column))
        value = cell.measure(self.by) if cell is not None else 0
        text = "" if cell is None else short(value) if self.numbers else shade(value, most) * self._inner
        unheard = cell is not None and cell.unanswered > _UNHEARD * cell.flows
        marked = unheard or (cell is not None and cell.findings > 0)
        text = f"{text:>{self._inner}}"
        if (row, column) == (self.row, self.column):
            return Segment(f"[{text}]", base + self.get_component_rich_style("matrix--cursor", partial=True))
        style = base + self.get_component_rich_style("matrix--unheard", partial=True) if marked else base
        mark = FOUND_MARK if cell is not None and cell.findings else UNHEARD_MARK if unheard else " "
        return Segment(f" {text}{mark}", style)


def words(by: str, cell: Cell) -> str:
    """A cell in words."""
    share = figures.share(cell.unanswered, cell.flows)
    found = f"; {figures.count(cell.findings)} open finding{'s' * (cell.findings != 1)}" if cell.findings else ""
    return (
        f"{figures.count(cell.flows)} flows, {figures.words_size(cell.bytes)}, {figures.count(cell.packets)} packets; "
        + (f"{share} of the flows unanswered" if cell.unanswered else "all answered")
        + found
        + ("" if by == "flows" else f" (shaded by {by})")
    )
