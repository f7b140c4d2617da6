"""The flow under the cursor, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from workbench.tui import words

#: Below this width the pane shows a few dense lines instead of groups.
_GROUPS_FROM: Final = 5


class FlowDetail(VerticalScroll, can_focus=True):
    """Groups of facts; a few dense lines where it is given less than five lines."""

    DEFAULT_CSS = """
    FlowDetail { background: $background; color: $foreground; scrollbar-size-vertical: 1; padding: 0 1; }
    FlowDetail > Static { height: auto; }
    FlowDetail.-brief { overflow-y: hidden; }
    FlowDetail.-brief > Static { text-wrap: nowrap; text-overflow: ellipsis; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", "Up", show=False, id="detail.up", tooltip="Scroll up"),
        Binding("down,j", "scroll_down", "Down", show=False, id="detail.down", tooltip="Scroll down"),
        Binding("pageup,ctrl+b", "page_up", "Page up", show=False, id="detail.page_up", tooltip="One screen up"),
        Binding("pagedown,ctrl+f,space", "page_down", "Page down", show=False, id="detail.page_down", tooltip="One screen down"),
        Binding("g,home", "scroll_home", "Top", show=False, id="detail.top", tooltip="To the beginning"),
        Binding("G,end", "scroll_end", "Bottom", show=False, id="detail.bottom", tooltip="To the end"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self._flow: Mapping[str, Any] | None = None
        self._path = ""

    def compose(self) -> ComposeResult:
        """One text."""
        yield Static("", markup=False)

    def show_flow(self, flow: Mapping[str, Any] | None, path: str) -> None:
        """Show another flow; None while it has not arrived. path: of its source."""
        if flow == self._flow and path == self._path:
            return
        self._flow, self._path = flow, path
        self._redraw()
        self.scroll_home(animate=False)

    def on_resize(self) -> None:
        """Perhaps the other form."""
        self._redraw()

    def _redraw(self) -> None:
        if not self.is_mounted:
            return
        body = self.query_one(Static)
        brief = self.size.height < _GROUPS_FROM
        self.set_class(brief, "-brief")
        if self._flow is None:
            body.update("")
        elif brief:
            body.update(Text("\n".join(words.brief(self._flow, self._path))))
        else:
            body.update(grouped(self._flow, self._path))


def grouped(flow: Mapping[str, Any], path: str) -> Table:
    """All facts as a two-column grid; every cell is plain text, never markup."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", style="dim", no_wrap=True)
    grid.add_column(overflow="fold", ratio=1)
    for number, (title, rows) in enumerate(words.groups(flow, path)):
        if number:
            grid.add_row()
        grid.add_row(Text(""), Text(title, style="bold not dim"))
        for label, value in rows:
            grid.add_row(Text(label), Text(value))
    return grid
