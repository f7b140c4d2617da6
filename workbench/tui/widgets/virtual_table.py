"""A table over any number of rows that paints only what it shows.

Rows come from a `PageSource` in pages of 512, fetched by one background thread. A row whose page is not
here yet is painted as dots and filled in when it arrives, so a key press costs a repaint and never a query.
Where columns cost, those in view come first (see `paging`); the others are dots for a moment, too.
The first columns stay while the rest scrolls sideways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import pyarrow as pa
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.worker import get_current_worker

from workbench.errors import CancelledError
from workbench.tui.data import PageSource, Sorting
from workbench.tui.looks import Look, state_role
from workbench.tui.paging import PAGE_ROWS, PageCache, PageLoader
from workbench.tui.widgets.columns import Columns, fit

_HEADER: Final = 1


class VirtualTable(ScrollView, can_focus=True):
    """The table. Give it `set_source`; it tells of the cursor with `Moved` and `Chosen`."""

    DEFAULT_CSS = """
    VirtualTable {
        background: $background;
        color: $foreground;
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-size-vertical: 1;
        scrollbar-gutter: stable;
    }
    VirtualTable > .table--heading { color: $text-muted; background: $panel; text-style: bold; }
    VirtualTable > .table--sorted { color: $text-accent; background: $panel; text-style: bold; }
    VirtualTable > .table--cursor { background: $surface-lighten-2; color: $foreground; text-style: bold; }
    VirtualTable:focus > .table--cursor {
        background: $block-cursor-background; color: $block-cursor-foreground; text-style: bold;
    }
    VirtualTable > .table--time { color: $text-muted; }
    VirtualTable > .table--quiet { color: $text-muted; }
    VirtualTable > .table--dots { color: $text-disabled; }
    VirtualTable > .table--bad { color: $text-error; }
    VirtualTable > .table--warn { color: $text-warning; }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--heading",
        "table--sorted",
        "table--cursor",
        "table--time",
        "table--quiet",
        "table--dots",
        "table--bad",
        "table--warn",
    }

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="table.up", tooltip="One row up"),
        Binding("down,j", "move(1)", "Down", show=False, id="table.down", tooltip="One row down"),
        Binding("left,h", "side(-1)", "Left", show=False, id="table.left", tooltip="One column to the left"),
        Binding("right,l", "side(1)", "Right", show=False, id="table.right", tooltip="One column to the right"),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False, id="table.page_up", tooltip="One screen up"),
        Binding("pagedown,ctrl+f,space", "page(1)", "Page down", show=False, id="table.page_down", tooltip="One screen down"),
        Binding("ctrl+u", "half(-1)", "Half up", show=False, id="table.half_up", tooltip="Half a screen up"),
        Binding("ctrl+d", "half(1)", "Half down", show=False, id="table.half_down", tooltip="Half a screen down"),
        Binding("g,home,ctrl+home", "top", "First row", show=False, id="table.top", tooltip="To the first row"),
        Binding("G,end,ctrl+end", "bottom", "Last row", show=False, id="table.bottom", tooltip="To the last row"),
        Binding(
            "0,circumflex_accent", "edge(-1)", "First column", show=False, id="table.first_column", tooltip="To the first column"
        ),
        Binding("dollar_sign", "edge(1)", "Last column", show=False, id="table.last_column", tooltip="To the last column"),
        Binding("enter", "choose", "Details", id="table.choose", tooltip="Everything about the row under the cursor"),
    ]

    cursor_row: reactive[int] = reactive(0, init=False)
    cursor_column: reactive[int] = reactive(0, init=False)

    @dataclass
    class Moved(Message):
        """The cursor stands on another row, or its row has arrived. record is None until it has."""

        table: VirtualTable
        row: int
        record: dict[str, Any] | None

    @dataclass
    class Chosen(Message):
        """Enter or a click on the row under the cursor."""

        table: VirtualTable
        row: int
        record: dict[str, Any]

    @dataclass
    class HeadingClicked(Message):
        """A click on a heading."""

        table: VirtualTable
        column: str

    @dataclass
    class Failed(Message):
        """A page could not be read."""

        table: VirtualTable
        error: Exception

    @dataclass
    class _Arrived(Message):
        generation: int
        number: int
        rows: pa.Table | None
        error: Exception | None
        whole: bool = True

    def __init__(
        self,
        looks: Sequence[Look],
        *,
        empty: str = "Nothing here.",
        id: str | None = None,  # noqa: A002  Textual's name for it
    ) -> None:
        super().__init__(id=id)
        self.looks: tuple[Look, ...] = tuple(looks)
        self.empty = empty
        self.sorting: Sorting | None = None
        self.source: PageSource | None = None
        self._columns = Columns(self.looks)
        self._generation = 0
        self._cache = PageCache()
        self._loader = PageLoader()
        self._asked: tuple[int, tuple[int, ...], tuple[str, ...]] | None = None
        self._strips: LRUCache[tuple[Any, ...], Strip] = LRUCache(512)
        self._direction = 1
        self._failed = False
        self._awaited: tuple[int, int] | None = None

    # -- what it shows ----------------------------------------------------------------------------

    @property
    def total(self) -> int:
        """Rows of the source."""
        return self.source.total if self.source is not None else 0

    @property
    def record(self) -> dict[str, Any] | None:
        """The row under the cursor by column name; None while it has not arrived."""
        return self._cache.record(self.cursor_row) if self.cursor_row < self.total else None

    @property
    def column(self) -> Look:
        """The column under the cursor."""
        return self.looks[self.cursor_column]

    def set_looks(self, looks: Sequence[Look]) -> None:
        """Show other columns, or the same ones in another way."""
        self.looks = tuple(looks)
        self._columns = Columns(self.looks)
        self.set_reactive(VirtualTable.cursor_column, min(self.cursor_column, len(self.looks) - 1))
        self._resized()

    def set_empty(self, text: str) -> None:
        """What to say while there are no rows."""
        if text != self.empty:
            self.empty = text
            self.refresh()

    def set_source(
        self,
        source: PageSource | None,
        sorting: Sorting | None,
        row: int | None = None,
        pages: Mapping[int, pa.Table] | None = None,
    ) -> None:
        """Show other rows. row: where the cursor goes; it keeps its height on the screen. None: stays put.

        Pages of the same numbers are fetched anew, but for those that come along.
        """
        above = self.cursor_row - self.scroll_offset.y
        self.source, self.sorting = source, sorting
        self._generation += 1
        self._cache.clear()
        for number, rows in (pages or {}).items():
            self._cache.put(number, rows)
        self._asked = None
        self._failed = False
        target = self.cursor_row if row is None else row
        target = max(0, min(target, self.total - 1))
        self.set_reactive(VirtualTable.cursor_row, target)
        self._resized()
        if row is not None:
            self.scroll_to(y=max(0, target - max(0, above)), animate=False, force=True)
        self._show_cursor()
        for number in pages or ():
            self._grow(number)
        self._fetch()
        self._tell()

    def extend(self, pages: Sequence[int]) -> None:
        """The source has more rows, or other ones in these pages; they are taken at once, so it must have them in memory."""
        if self.source is None:
            return
        self._generation += 1  # a page that was fetched before is older than these
        self._asked = None
        for number in pages:
            if number == 0 or number * PAGE_ROWS < self.total:
                self._cache.put(number, self.source.page(number * PAGE_ROWS, PAGE_ROWS))
        self._resized()
        self._fetch()
        self._tell()

    def _resized(self) -> None:
        self._strips.clear()
        self.virtual_size = Size(self._columns.total_width, self.total + _HEADER)
        self.refresh()

    def notify_style_update(self) -> None:
        """Repaint in the new colours."""
        self._strips.clear()
        super().notify_style_update()

    @property
    def room(self) -> int:
        """Cells a line has beside the scroll bar."""
        return self.scrollable_content_region.width

    # -- moving -----------------------------------------------------------------------------------

    @property
    def visible_rows(self) -> int:
        """Rows that fit under the heading."""
        return max(1, self.size.height - _HEADER)

    def move_to(self, row: int) -> None:
        """Put the cursor on a row, kept inside the table, and bring it into view."""
        self.cursor_row = max(0, min(row, self.total - 1))

    def action_move(self, by: int) -> None:
        """Move the cursor by rows."""
        self.move_to(self.cursor_row + by)

    def action_page(self, by: int) -> None:
        """Move by screens; the view moves as far as the cursor does."""
        self._leap(by * self.visible_rows)

    def action_half(self, by: int) -> None:
        """Move by half screens."""
        self._leap(by * max(1, self.visible_rows // 2))

    def _leap(self, rows: int) -> None:
        self.scroll_to(y=self.scroll_offset.y + rows, animate=False, force=True)
        self.move_to(self.cursor_row + rows)

    def action_top(self) -> None:
        """To the first row."""
        self.move_to(0)

    def action_bottom(self) -> None:
        """To the last row."""
        self.move_to(self.total - 1)

    def action_side(self, by: int) -> None:
        """Move the cursor by columns."""
        self.cursor_column = max(0, min(self.cursor_column + by, len(self.looks) - 1))

    def action_edge(self, side: int) -> None:
        """To the first or the last column."""
        self.cursor_column = 0 if side < 0 else len(self.looks) - 1

    def action_choose(self) -> None:
        """Tell that the row under the cursor was chosen; as soon as all of it is here, if the cursor stays."""
        record = self.record
        if record is not None:
            self.post_message(self.Chosen(self, self.cursor_row, record))
        self._awaited = (self._generation, self.cursor_row) if record is None else None

    def watch_cursor_row(self, old: int, new: int) -> None:
        """Bring the row into view and tell who follows the cursor."""
        self._direction = 1 if new >= old else -1
        self._show_cursor()
        self.refresh()
        self._fetch()
        self._tell()

    def watch_cursor_column(self) -> None:
        """Bring the column into view."""
        self._strips.clear()
        self.scroll_to(x=self._laid_out().left_to_show(self.cursor_column), animate=False, force=True)
        self.refresh()
        self._tell()

    def _show_cursor(self) -> None:
        top, rows = self.scroll_offset.y, self.visible_rows
        if self.cursor_row < top:
            self.scroll_to(y=self.cursor_row, animate=False, force=True)
        elif self.cursor_row >= top + rows:
            self.scroll_to(y=self.cursor_row - rows + 1, animate=False, force=True)

    def _tell(self) -> None:
        self.post_message(self.Moved(self, self.cursor_row, self.record))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Fetch what came into view."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self._fetch()

    def watch_scroll_x(self, old_value: float, new_value: float) -> None:
        """Other columns are in view."""
        self._strips.clear()
        super().watch_scroll_x(old_value, new_value)

    def on_resize(self) -> None:
        """More rows may be in view, columns may have more room, and other ones stay."""
        self._strips.clear()
        for number in range(self.scroll_offset.y // PAGE_ROWS, (self.scroll_offset.y + self.visible_rows) // PAGE_ROWS + 1):
            self._grow(number)  # rows may have come before there was any room
        self._show_cursor()
        self._fetch()
        self._tell()

    def on_click(self, event: events.Click) -> None:
        """A heading sorts, a row takes the cursor, a second click chooses it."""
        event.stop()
        if event.y < _HEADER:
            column = self._laid_out().at(event.x)
            if column is not None:
                self.post_message(self.HeadingClicked(self, self.looks[column].name))
            return
        row = self.scroll_offset.y + event.y - _HEADER
        if row >= self.total:
            return
        column = self._laid_out().at(event.x)
        if column is not None:
            self.cursor_column = column
        if row == self.cursor_row and event.chain == 2:
            self.action_choose()
        else:
            self.move_to(row)

    # -- pages ------------------------------------------------------------------------------------

    def _fetch(self) -> None:
        """Ask for the pages in view, then for the next one in the direction of travel."""
        if self.source is None or not self.total or not self.is_mounted:
            return
        first = self.scroll_offset.y
        last = min(self.total, first + self.visible_rows) - 1
        pages = list(range(first // PAGE_ROWS, last // PAGE_ROWS + 1))
        cursor_page = self.cursor_row // PAGE_ROWS
        if cursor_page not in pages:
            pages.append(cursor_page)
        ahead = pages[0] - 1 if self._direction < 0 else last // PAGE_ROWS + 1
        if 0 <= ahead <= (self.total - 1) // PAGE_ROWS and ahead not in pages:
            pages.append(ahead)
        pages.sort(key=lambda page: page != cursor_page)  # its row is what details are about
        wanted = tuple(page for page in pages if not self._cache.whole(page))
        shown = tuple(self.looks[number].name for number in sorted(self._laid_out().in_view()))
        parts = tuple(page for page in wanted if not self._cache.has(page, shown))
        asked = (self._generation, wanted, shown if parts else ())
        if not wanted or self._asked == asked:
            return
        self._asked = asked
        if self._loader.want(self.source, self._generation, wanted, parts, shown):
            self.run_worker(self._drain, group="pages", thread=True, exit_on_error=False)

    def _drain(self) -> None:
        worker = get_current_worker()

        def deliver(generation: int, number: int, rows: pa.Table | None, error: Exception | None, whole: bool) -> None:
            self.post_message(self._Arrived(generation, number, rows, error, whole))

        self._loader.drain(deliver, lambda: worker.is_cancelled)

    def on_virtual_table__arrived(self, message: _Arrived) -> None:
        """A page is in; those of an earlier source are dropped."""
        message.stop()
        if message.generation != self._generation:
            return
        if message.rows is None:
            self._asked = None
            if isinstance(message.error, CancelledError):  # stopped along with something else: asked again
                self._fetch()
            elif message.error is not None and not self._failed:
                self._failed = True  # told once a source, not once a page
                self.post_message(self.Failed(self, message.error))
            return
        self._cache.put(message.number, message.rows, whole=message.whole)
        self._grow(message.number)
        self._strips.clear()
        self.refresh()
        if self.cursor_row // PAGE_ROWS == message.number:
            self._tell()
            if message.whole and self._awaited == (self._generation, self.cursor_row):
                self.action_choose()

    def _grow(self, number: int) -> None:
        """Widen columns whose text in the rows in view is longer; they never shrink, so nothing jumps about."""
        first = max(self.scroll_offset.y, number * PAGE_ROWS)
        last = min(self.scroll_offset.y + self.visible_rows, (number + 1) * PAGE_ROWS, self.total)
        columns = self._laid_out()
        grown = False
        for number, look in enumerate(self.looks):
            most, width = columns.most(number), columns.widths[number]
            if most <= width:
                continue
            longest = max((cell_len(self._text(row, look) or "") for row in range(first, last)), default=0)
            if min(most, longest) > width:
                columns.widths[number] = min(most, longest)
                grown = True
        if grown:
            self.virtual_size = Size(columns.total_width, self.total + _HEADER)

    def _text(self, row: int, look: Look) -> str | None:
        found = self._cache.columns(row)
        if found is None:
            return None
        page, index = found
        array = page.get(look.name)
        if array is None:
            return look.text(None) if self._cache.whole(row // PAGE_ROWS) else None
        return look.text(array[index].as_py())

    # -- painting ---------------------------------------------------------------------------------

    def _laid_out(self) -> Columns:
        """The columns as they lie on the screen now."""
        self._columns.room, self._columns.left = self.room, self.scroll_offset.x
        return self._columns

    @property
    def columns_in_view(self) -> tuple[int, int]:
        """First and last column painted behind those that stay, counted from 1; (0, 0) where none is."""
        return self._laid_out().range_in_view()

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        width = self.room
        row = self.scroll_offset.y + y - _HEADER
        if y >= _HEADER and row >= self.total:
            return self._blank(y, width)
        key = (-1 if y < _HEADER else row, row == self.cursor_row, self.has_focus, width)
        strip = self._strips.get(key)
        if strip is None:
            strip = self._heading() if y < _HEADER else self._row(row)
            strip = strip.adjust_cell_length(width, self.rich_style)
            self._strips[key] = strip
        return strip

    def _blank(self, y: int, width: int) -> Strip:
        style = self.rich_style
        if self.total == 0:
            lines = self.empty.split("\n")
            number = y - max(_HEADER + 1, (self.size.height - len(lines)) // 2)
            if 0 <= number < len(lines):
                text = lines[number]
                left = max(2, (width - cell_len(text)) // 2)
                return Strip([Segment(" " * left, style), Segment(text, style)]).adjust_cell_length(width, style)
        return Strip.blank(width, style)

    def _heading(self) -> Strip:
        plain = self.get_component_rich_style("table--heading")
        chosen = self.get_component_rich_style("table--sorted")
        parts: list[tuple[str, Style]] = []
        columns = self._laid_out()
        shown = columns.in_view()
        for number, (look, width) in enumerate(zip(self.looks, columns.widths, strict=True)):
            text = look.heading if number in shown else ""
            style = plain
            if text and self.sorting is not None and look.name == self.sorting.column:
                text = text[: width - 1] + ("▼" if self.sorting.descending else "▲")
                style = chosen
            if number == self.cursor_column and self.has_focus:
                style += Style(underline=True)
            parts.append((fit(text, width, right=look.right), style))
        return columns.line(parts, Segment("  ", plain), plain, marks=True)

    def _row(self, row: int) -> Strip:
        base = self.rich_style
        here = row == self.cursor_row
        if here:
            base += self.get_component_rich_style("table--cursor")
        dots = base + Style(dim=True) if here else self.get_component_rich_style("table--dots")
        parts: list[tuple[str, Style]] = []
        columns = self._laid_out()
        shown = columns.in_view()
        for number, (look, width) in enumerate(zip(self.looks, columns.widths, strict=True)):
            text = self._text(row, look) if number in shown else ""
            if text is None:
                parts.append((fit("·" * min(3, width), width, right=look.right), dots))
                continue
            style = base if here else self._role(look, text, base)
            if here and number == self.cursor_column and self.has_focus:
                style += Style(underline=True)
            parts.append((fit(text, width, right=look.right), style))
        return columns.line(parts, Segment(self.marks_of(row), base), base, marks=False)

    def marks_of(self, row: int) -> str:
        """The two cells before a row: the cursor's mark."""
        return "▶ " if row == self.cursor_row else "  "

    def _role(self, look: Look, text: str, base: Style) -> Style:
        role = state_role(text) if look.role == "state" else look.role
        return base + self.get_component_rich_style(f"table--{role}") if role else base
