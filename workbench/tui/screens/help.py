"""Every key that works here, with what it does."""

from __future__ import annotations

from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea

from workbench.tui.views import VIEWS
from workbench.tui.widgets.keys import KeyLine

#: Headings by the first part of a binding's id, and what the part of the screen is for.
_PARTS = {
    "table": ("Table", "Rows and columns. Dots are rows still on their way."),
    "timeline": ("Timeline", "Bars over time. Brush a range and zoom: the flows follow."),
    "detail": ("Details", "Everything known about the flow under the cursor."),
    "filter": ("Filter", "Which flows. Names are those of the columns, and Wireshark's; docs/filters.md has the language."),
    "packets": ("Packets", "Packets of one flow. Values of people and payload are masked."),
    "tree": ("Fields", "The packet under the cursor of the list, as tshark takes it apart."),
    "hex": ("Bytes", "Headers as they are; payload as dots."),
    "carve": ("Carving", ""),
    "case": ("Case", ""),
    "picker": ("Files", "Cases and captures first. Enter opens, or goes into a folder."),
    "start": ("Start", "Open a recent case, choose a file, or type the path of a capture, a folder or a case."),
    "app": ("Everywhere", ""),
}


class HelpDialog(ModalScreen[None]):
    """Keys of what had the focus, then of the screen, then of the app."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "dismiss", "Close", id="help.close", tooltip="Close the help"),
        Binding("down,j", "scroll(1)", "Down", show=False, id="help.down", tooltip="Scroll down"),
        Binding("up,k", "scroll(-1)", "Up", show=False, id="help.up", tooltip="Scroll up"),
        Binding("pagedown,space", "scroll(10)", "Page down", show=False, id="help.page_down", tooltip="Scroll a page down"),
        Binding("pageup", "scroll(-10)", "Page up", show=False, id="help.page_up", tooltip="Scroll a page up"),
    ]

    def __init__(self, screen: Screen[object]) -> None:
        super().__init__()
        self._groups = binding_groups(screen)

    def compose(self) -> ComposeResult:
        """A grid of keys."""
        with Vertical(classes="dialog tall wide"):
            yield Static(Text("Keys", style="bold"), classes="dialog-title")
            with VerticalScroll(classes="dialog-body", can_focus=False):
                yield Static(self._grid())
            yield Static(
                Text("Esc closes; keys can be changed in settings, table [keys], by id", style="dim"), classes="dialog-keys"
            )

    def _grid(self) -> Table:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column(ratio=1)
        grid.add_column(style="dim", no_wrap=True)
        for number, (part, rows) in enumerate(self._groups):
            title, about = _PARTS.get(part) or _view_part(part)
            if number:
                grid.add_row()
            grid.add_row(Text(title, style="bold underline"), Text(about, style="italic"))
            for keys, what, name in rows:
                grid.add_row(Text(keys), Text(what), Text(name))
        return grid

    def action_scroll(self, by: int) -> None:
        """Scroll the list."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)


def binding_groups(screen: Screen[object]) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Active bindings as (part, [(keys, what it does, id)]), what has the focus first.

    Keys of one binding stand together. Bindings of Textual's own, which have no id, stand last, and only where text is
    written: elsewhere they scroll sideways and copy a selection, which nothing here needs. What does nothing in the view
    that is shown is left out.
    """
    app = screen.app
    written = isinstance(screen.focused, Input | TextArea)
    idle = frozenset[str]().union(*(line.idle for line in screen.query(KeyLine)))
    by_part: dict[str, dict[str, tuple[list[str], str, str]]] = {}
    for active in _in_order(screen):
        binding = active.binding
        name = binding.id or ""
        if name in idle or not (name or written):
            continue
        part = name.partition(".")[0] or "editing"
        rows = by_part.setdefault(part, {})
        key = name or f"{binding.action}/{binding.description}"
        keys, _, _ = rows.setdefault(key, ([], binding.tooltip or active.tooltip or binding.description, name))
        shown = app.get_key_display(binding)
        if shown not in keys:
            keys.append(shown)
    return [
        (part, [(" ".join(keys), what, name) for keys, what, name in rows.values() if what])
        for part, rows in by_part.items()
        if rows
    ]


def _view_part(part: str) -> tuple[str, str]:
    """The heading of a view's own keys, whose ids begin with its name, and what it is for."""
    return next(((name, about) for name, _, about in VIEWS.values() if name.lower() == part), (part.capitalize(), ""))


def _in_order(screen: Screen[object]) -> list[ActiveBinding]:
    focus: Widget | None = screen.focused
    order: list[DOMNode] = [*(focus.ancestors_with_self if focus is not None else []), screen, screen.app]
    found = list(screen.active_bindings.values())
    return sorted(found, key=lambda active: order.index(active.node) if active.node in order else len(order))
