"""Short lists side by side and above each other, with one cursor through all of their rows.

Bands of panels share the height: each gets its fewest rows first, then more in turn. Where even the fewest do not
fit, the board scrolls. Everything is drawn line by line from text that is already visible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from workbench.tui.views.base import Subject
from workbench.tui.widgets.board_lines import Column, row_lines, title_line

#: Cells between panels of a band.
_GAP: Final = 2


@dataclass(frozen=True, slots=True)
class Row:
    """One row. cells: a text a column, visible. share: 0 to 1, for its bar. kept: the filter that shows its flows.

    value: a field and value for f and F. role: bad or warn, drawn so besides what the text says.
    """

    cells: tuple[str, ...]
    share: float = 0.0
    kept: str = ""
    value: tuple[str, object] | None = None
    subject: Subject | None = None
    role: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A list. note: what stands where it has no rows. stale: rows of another filter, until the new ones are there.

    wraps: whether a first column too long for its line goes on in the next.
    """

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...] = ()
    note: str = ""
    stale: bool = False
    wraps: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """Panels side by side. least, most: rows of the tallest, without its title."""

    keys: tuple[str, ...]
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class _Placed:
    """Where a panel is drawn, in cells of the board, and its lines: text pieces and the row they are of."""

    panel: Panel
    region: Region
    lines: tuple[tuple[int, tuple[tuple[str, str], ...]], ...]

    @property
    def shown(self) -> int:
        """How many of its rows there is room for."""
        return 1 + max((row for row, _ in self.lines), default=-1)


class Board(ScrollView, can_focus=True):
    """The panels. Tells of the cursor with `Moved`, of Enter with `Chosen`."""

    DEFAULT_CSS = """
    Board { background: $background; color: $foreground; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }
    Board > .board--title { color: $text-primary; text-style: bold; }
    Board > .board--quiet { color: $text-muted; }
    Board > .board--bar { color: $text-accent; }
    Board > .board--bad { color: $text-error; }
    Board > .board--warn { color: $text-warning; }
    Board > .board--cursor { background: $surface-lighten-2; color: $foreground; text-style: bold; }
    Board:focus > .board--cursor { background: $block-cursor-background; color: $block-cursor-foreground; text-style: bold; }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "board--title",
        "board--quiet",
        "board--bar",
        "board--bad",
        "board--warn",
        "board--cursor",
    }

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="board.up", tooltip="One row up"),
        Binding("down,j", "move(1)", "Down", show=False, id="board.down", tooltip="One row down"),
        Binding("left,h", "side(-1)", "Left", show=False, id="board.left", tooltip="To the list on the left"),
        Binding("right,l", "side(1)", "Right", show=False, id="board.right", tooltip="To the list on the right"),
        Binding("tab", "panel(1)", "Next list", show=False, id="board.next", tooltip="To the next list; after the last, on"),
        Binding("shift+tab", "panel(-1)", "List before", show=False, id="board.previous", tooltip="To the list before"),
        Binding("g,home", "edge(0)", "First row", show=False, id="board.top", tooltip="To the first row"),
        Binding("G,end", "edge(-1)", "Last row", show=False, id="board.bottom", tooltip="To the last row"),
        Binding("enter", "choose", "Flows", id="board.choose", tooltip="The flows of what is under the cursor"),
    ]

    cursor: reactive[tuple[str, int]] = reactive(("", 0), init=False)

    @dataclass
    class Moved(Message):
        """The cursor stands on another row, or its row is another one now."""

        row: Row | None

    @dataclass
    class Chosen(Message):
        """Enter, or a click on the row under the cursor."""

        panel: str
        row: Row

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self._panels: dict[str, Panel] = {}
        self._bands: tuple[Band, ...] = ()
        self._placed: dict[str, _Placed] = {}
        self._touched = False

    # -- what it shows ----------------------------------------------------------------------------

    def show(self, panels: Mapping[str, Panel], bands: Sequence[Band]) -> None:
        """Show these lists, arranged like this; the cursor stays in its list where that is there."""
        before = self.row
        self._panels, self._bands = dict(panels), tuple(bands)
        self._arrange()
        if self.row != before:
            self.post_message(self.Moved(self.row))

    @property
    def row(self) -> Row | None:
        """The row under the cursor."""
        key, at = self.cursor
        placed = self._placed.get(key)
        return placed.panel.rows[at] if placed is not None and at < placed.shown else None

    def on_resize(self) -> None:
        """Another width, other lines."""
        self._arrange()

    def _arrange(self) -> None:
        width, height = self.size
        if not width or not self._bands:
            return
        tall = self._place(width, height)
        if tall > height:  # the bar that this needs is not there yet: its cell is left free at once
            width -= self.styles.scrollbar_size_vertical
            tall = self._place(width, height)
        self.virtual_size = Size(width, tall)
        self._settle_cursor()
        self.refresh()

    def _place(self, width: int, height: int) -> int:
        """Put every panel in its place; how many lines all of them take."""
        heights = _shared([self._needs(band, width) for band in self._bands], height - len(self._bands))
        self._placed = {}
        y = 0
        for band, rows in zip(self._bands, heights, strict=True):
            x = 0
            for n, key in enumerate(band.keys):
                right = (width + _GAP) * (n + 1) // len(band.keys) - _GAP
                region = Region(x, y, right - x, rows + 1)
                self._placed[key] = _Placed(self._panels[key], region, _drawn(self._panels[key], region.width, rows))
                x = right + _GAP
            y += rows + 1
        return y

    def _needs(self, band: Band, width: int) -> tuple[int, int]:
        """The fewest and most lines that a band has use for."""
        each = (width + _GAP) // len(band.keys) - _GAP
        lines = max(max(1, len(_drawn(self._panels[key], each, band.most))) for key in band.keys)
        return min(band.least, lines), min(band.most, lines)

    def _settle_cursor(self) -> None:
        """Keep the cursor on a row: of its list, or the first there is."""
        key, at = self.cursor
        here = self._placed.get(key)
        if self._touched and here is not None and here.shown:
            self.set_reactive(Board.cursor, (key, min(at, here.shown - 1)))
            return
        first = next((key for key in self._order if self._placed[key].shown), "")
        pending = any(panel.stale for panel in self._panels.values())
        # Until the person has moved it, it waits at the first list, so that it never jumps while answers come in.
        self.set_reactive(Board.cursor, (self._order[0] if pending and not self._touched else first, 0))

    @property
    def _order(self) -> list[str]:
        return [key for band in self._bands for key in band.keys]

    # -- drawing ----------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """One line: the panels that it crosses."""
        line = y + self.scroll_offset.y
        base = self.rich_style
        width = self.scrollable_content_region.width
        segments: list[Segment] = []
        x = 0
        for placed in self._placed.values():
            region = placed.region
            if region.y <= line < region.bottom:
                segments.append(Segment(" " * (region.x - x), base))
                segments += self._segments(placed, line - region.y, base)
                x = region.right
        return Strip(segments).adjust_cell_length(width, base)

    def _segments(self, placed: _Placed, y: int, base: Style) -> list[Segment]:
        panel, width = placed.panel, placed.region.width
        active = self.has_focus and self.cursor[0] == panel.key
        if y == 0:
            style = self.get_component_rich_style("board--title" if active else "board--quiet", partial=True)
            return [Segment(title_line(panel.title, width, heavy=active), base + style)]
        if y > len(placed.lines):
            return [Segment(" " * width, base)]
        at, pieces = placed.lines[y - 1]
        if at >= 0 and (panel.key, at) == self.cursor:
            style = self.get_component_rich_style("board--cursor")
            first = next(n for n, (row, _) in enumerate(placed.lines) if row == at) == y - 1
            told = "".join(text for text, _ in pieces)
            return [Segment("▶" + told[1:] if first and told.startswith(" ") else told, style)]
        quiet = base + self.get_component_rich_style("board--quiet", partial=True)
        out = []
        for text, role in pieces:
            styled = base + self.get_component_rich_style(f"board--{role}", partial=True) if role else base
            out.append(Segment(text, quiet if panel.stale else styled))
        return out

    # -- the cursor -------------------------------------------------------------------------------

    def watch_cursor(self) -> None:
        """It is seen, and told of."""
        self._touched = True
        placed = self._placed.get(self.cursor[0])
        if placed is not None:
            lines = [n for n, (row, _) in enumerate(placed.lines) if row == self.cursor[1]]
            top = placed.region.y if self.cursor[1] == 0 else placed.region.y + 1 + min(lines, default=0)
            bottom = placed.region.y + 2 + max(lines, default=0)
            if top < self.scroll_offset.y:
                self.scroll_to(y=top, animate=False, force=True)
            elif bottom > self.scroll_offset.y + self.size.height:
                self.scroll_to(y=bottom - self.size.height, animate=False, force=True)
        self.refresh()
        self.post_message(self.Moved(self.row))

    def _to(self, key: str, at: int) -> bool:
        """To a row of a list, or its nearest; False where it has none."""
        shown = self._placed[key].shown
        if shown:
            self.cursor = (key, max(0, min(at, shown - 1)))
        return bool(shown)

    def _column(self, key: str) -> int:
        return self._placed[key].region.x if key in self._placed else 0

    def action_move(self, by: int) -> None:
        """Within the list, then into the one below or above."""
        key, at = self.cursor
        if key not in self._placed:
            return
        if 0 <= at + by < self._placed[key].shown:
            self.cursor = (key, at + by)
            return
        here = next(n for n, band in enumerate(self._bands) if key in band.keys)
        bands = self._bands[here + 1 :] if by > 0 else self._bands[:here][::-1]
        for band in bands:
            for other in sorted(band.keys, key=lambda other: abs(self._column(other) - self._column(key))):
                if self._to(other, 0 if by > 0 else 1 << 20):
                    return

    def action_side(self, by: int) -> None:
        """To the list beside, the row at the same height."""
        key, at = self.cursor
        band = next((band for band in self._bands if key in band.keys), None)
        if band is None:
            return
        place = band.keys.index(key)
        beside = band.keys[place + 1 :] if by > 0 else band.keys[:place][::-1]
        any(self._to(other, at) for other in beside)

    def action_panel(self, by: int) -> None:
        """To the next list that has rows; beyond the last one, to the next part of the screen."""
        order = self._order
        here = order.index(self.cursor[0]) if self.cursor[0] in order else -1
        rest = order[here + 1 :] if by > 0 else order[: max(0, here)][::-1]
        if not any(self._to(key, 0) for key in rest):
            if by > 0:
                self.screen.focus_next()
            else:
                self.screen.focus_previous()

    def action_edge(self, end: int) -> None:
        """To the first or last row of all."""
        order = self._order if end == 0 else self._order[::-1]
        any(self._to(key, 0 if end == 0 else 1 << 20) for key in order)

    def action_choose(self) -> None:
        """Tell of the row."""
        if self.row is not None:
            self.post_message(self.Chosen(self.cursor[0], self.row))

    def on_click(self, event: events.Click) -> None:
        """To the row; on the row that it stands on already, choose."""
        x, y = event.x, event.y + self.scroll_offset.y
        for key, placed in self._placed.items():
            line = y - placed.region.y - 1
            if placed.region.contains(x, y) and 0 <= line < len(placed.lines) and placed.lines[line][0] >= 0:
                there = (key, placed.lines[line][0])
                if there == self.cursor:
                    self.action_choose()
                else:
                    self.cursor = there

    # -- coming back ------------------------------------------------------------------------------

    def place(self) -> dict[str, Any]:
        """Where the cursor stands."""
        return {"panel": self.cursor[0], "row": self.cursor[1]}

    def restore(self, place: Mapping[str, Any]) -> None:
        """Put the cursor there, now or once there are rows."""
        panel, row = place.get("panel"), place.get("row")
        if not isinstance(panel, str) or panel not in self._placed or not isinstance(row, int) or not 0 <= row < 1 << 20:
            return
        self._touched = True
        if not self._to(panel, row):
            self.set_reactive(Board.cursor, (panel, row))


def _drawn(panel: Panel, width: int, most: int) -> tuple[tuple[int, tuple[tuple[str, str], ...]], ...]:
    """Lines of a panel, as many as fit; its note where it has none."""
    if not panel.rows:
        note = panel.note if cell_len(panel.note) <= width - 2 else panel.note[: max(0, width - 3)] + "…"
        return ((-1, ((("  " + note).ljust(width), "quiet"),)),)
    out: list[tuple[int, tuple[tuple[str, str], ...]]] = []
    for n, row in enumerate(panel.rows):
        lines = row_lines(panel.columns, row.cells, row.share, row.role, width, wraps=panel.wraps)
        room = most - len(out)
        if room < len(lines):
            if room > 0:  # its first line, cut
                out.append((n, row_lines(panel.columns, row.cells, row.share, row.role, width)[0]))
            break
        out += [(n, line) for line in lines]
    return tuple(out)


def _shared(needs: Sequence[tuple[int, int]], height: int) -> list[int]:
    """Lines for each band: its fewest, then one more in turn while there are any left."""
    given = [least for least, _ in needs]
    left = height - sum(given)
    while left > 0 and any(have < most for have, (_, most) in zip(given, needs, strict=True)):
        for n, (_, most) in enumerate(needs):
            if given[n] < most and left > 0:
                given[n] += 1
                left -= 1
    return given


def aged(panel: Panel) -> Panel:
    """The panel with its rows of before."""
    return replace(panel, stale=True, note="asking…")
