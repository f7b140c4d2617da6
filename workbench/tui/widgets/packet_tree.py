"""A packet as tshark takes it apart: protocols and fields, to open and to close."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from workbench.records.visible import visible
from workbench.tui.wrapping import broken

if TYPE_CHECKING:
    from workbench.dissect.lines import Node


class PacketTree(Widget, can_focus=True):
    """Lines of open nodes. What is open stays open from packet to packet. Tells of the node under the cursor."""

    DEFAULT_CSS = """
    PacketTree { background: $background; color: $foreground; height: 1fr; }
    PacketTree > .tree--label { color: $text-muted; }
    PacketTree > .tree--masked { color: $text-warning; }
    PacketTree > .tree--cursor { background: $surface-lighten-2; color: $foreground; text-style: bold; }
    PacketTree:focus > .tree--cursor {
        background: $block-cursor-background; color: $block-cursor-foreground; text-style: bold;
    }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"tree--label", "tree--masked", "tree--cursor"}

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="tree.up", tooltip="A line up"),
        Binding("down,j", "move(1)", "Down", show=False, id="tree.down", tooltip="A line down"),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False, id="tree.page_up", tooltip="One screen up"),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False, id="tree.page_down", tooltip="One screen down"),
        Binding("g,home", "move(-99999)", "Top", show=False, id="tree.top", tooltip="To the first line"),
        Binding("G,end", "move(99999)", "Bottom", show=False, id="tree.bottom", tooltip="To the last line"),
        Binding("right,l", "open(True)", "Open", show=False, id="tree.open", tooltip="Open the line, or go into it"),
        Binding("left,h", "open(False)", "Close", show=False, id="tree.close", tooltip="Close the line, or go to the one above"),
        Binding("enter,space", "turn", "Open, close", id="tree.turn", tooltip="Open or close the line"),
    ]

    @dataclass
    class Chosen(Message):
        """Another node is under the cursor; None for none."""

        node: Node | None

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self._roots: Sequence[Node] = ()
        self._words = ""
        self._unfolded: set[tuple[str, ...]] = set()
        self._folded: set[tuple[str, ...]] = set()
        self._lines: list[tuple[int, tuple[str, ...], Node]] = []
        self.cursor = 0
        self._top = 0

    # -- what it shows ----------------------------------------------------------------------------

    def say(self, words: str) -> None:
        """No tree, but why there is none."""
        self._roots, self._words, self._lines = (), words, []
        self.refresh()
        self.post_message(self.Chosen(None))

    def show(self, nodes: Sequence[Node]) -> None:
        """A packet's tree; the cursor stays on the same field where the packet has it."""
        here = self._lines[self.cursor][1] if self.cursor < len(self._lines) else None
        self._roots, self._words = nodes, ""
        self._flatten()
        paths = [path for _, path, _ in self._lines]
        self._go(paths.index(here) if here in paths else 0)

    @property
    def node(self) -> Node | None:
        """The node under the cursor."""
        return self._lines[self.cursor][2] if self.cursor < len(self._lines) else None

    def _flatten(self) -> None:
        self._lines = []
        last = len(self._roots) - 1
        todo: list[tuple[int, tuple[str, ...], Node, bool]] = []
        todo += [(0, (_key(node, n),), node, n == last) for n, node in reversed([*enumerate(self._roots)])]
        while todo:
            depth, path, node, begun = todo.pop()
            self._lines.append((depth, path, node))
            if node.children and self._is_open(path, begun):
                todo += [(depth + 1, (*path, _key(child, n)), child, False) for n, child in reversed([*enumerate(node.children)])]

    def _is_open(self, path: tuple[str, ...], begun: bool = False) -> bool:
        """The highest protocol is open until someone closes it."""
        return path in self._unfolded or (begun and path not in self._folded)

    # -- keys and mouse ---------------------------------------------------------------------------

    def _go(self, line: int) -> None:
        self.cursor = max(0, min(line, len(self._lines) - 1))
        height = max(1, self.size.height)
        self._top = max(self.cursor - height + 1, min(self._top, self.cursor))
        self.refresh()
        self.post_message(self.Chosen(self.node))

    def action_move(self, by: int) -> None:
        """Move by lines."""
        self._go(self.cursor + by)

    def action_page(self, by: int) -> None:
        """Move by screens."""
        self._go(self.cursor + by * max(1, self.size.height - 1))

    def action_open(self, wanted: bool) -> None:
        """Open or close; a line that is so already hands on to the one below or above it."""
        if self.cursor >= len(self._lines):
            return
        depth, path, node = self._lines[self.cursor]
        following = self._lines[self.cursor + 1][0] if self.cursor + 1 < len(self._lines) else 0
        is_open = bool(node.children) and following > depth
        if wanted and node.children:
            if is_open:
                self._go(self.cursor + 1)
            else:
                self._set(path, True)
        elif not wanted and is_open:
            self._set(path, False)
        elif not wanted:
            above = [n for n in range(self.cursor) if self._lines[n][0] < depth]
            self._go(above[-1] if above else self.cursor)

    def action_turn(self) -> None:
        """Open what is closed, close what is open."""
        if self.cursor < len(self._lines):
            depth, path, node = self._lines[self.cursor]
            following = self._lines[self.cursor + 1][0] if self.cursor + 1 < len(self._lines) else 0
            if node.children:
                self._set(path, following <= depth)

    def _set(self, path: tuple[str, ...], wanted: bool) -> None:
        (self._unfolded.add if wanted else self._unfolded.discard)(path)
        (self._folded.discard if wanted else self._folded.add)(path)
        self._flatten()
        self._go(self.cursor)

    def on_click(self, event: events.Click) -> None:
        """Take the cursor; a second click opens or closes."""
        event.stop()
        line = self._top + event.y
        if line < len(self._lines):
            self._go(line)
            if event.chain == 2:
                self.action_turn()

    def on_resize(self) -> None:
        """The cursor stays in view."""
        if self._lines:
            self._go(self.cursor)

    # -- painting ---------------------------------------------------------------------------------

    def text(self, line: int) -> str:
        """A line as it is shown, without its place in the tree."""
        node = self._lines[line][2]
        label, value = visible(node.label[:200]), visible(node.value[:500])
        return f"{label}: {value}" if label and value else label or value

    def render_line(self, y: int) -> Strip:
        """`▾ label: value`, deeper ones further right."""
        width, base = self.size.width, self.rich_style
        if not self._lines:
            lines = [part for line in self._words.split("\n") for part in broken(line, max(10, width - 2))]
            return Strip([Segment(" " + lines[y] if y < len(lines) else "", base)]).adjust_cell_length(width, base)
        number = self._top + y
        if number >= len(self._lines):
            return Strip.blank(width, base)
        depth, _, node = self._lines[number]
        following = self._lines[number + 1][0] if number + 1 < len(self._lines) else 0
        mark = " " if not node.children else "▾" if following > depth else "▸"
        here = number == self.cursor
        style = base + self.get_component_rich_style("tree--cursor") if here else base
        if node.masked and not here:
            style = base + self.get_component_rich_style("tree--masked")
        text = f"{'▶' if here else ' '}{'  ' * min(depth, 12)}{mark} {self.text(number)}"
        if cell_len(text) > width:
            text = set_cell_size(text, max(0, width - 1)) + "…"
        if here and self.has_focus:
            style += Style(bold=True)
        return Strip([Segment(text, style)]).adjust_cell_length(width, style if here else base)


def _key(node: Node, number: int) -> str:
    """What tells a node from its neighbours: its name; the label where it has none, the place where it has neither."""
    return node.name or node.label or str(number)
