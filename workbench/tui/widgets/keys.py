"""The keys of the moment, on one line; `?` has all of them."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.binding import Binding
from textual.reactive import reactive
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

#: Always in sight, whatever does not fit: how to get help and how to get out.
_LAST = ("app.help", "app.quit")


class KeyLine(Widget):
    """Key and name of each binding that wants to be shown; painted as one line, without a widget for each."""

    DEFAULT_CSS = """
    KeyLine { height: 1; background: $panel; color: $foreground; }
    KeyLine > .keys--key { color: $footer-key-foreground; background: $panel; text-style: bold; }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"keys--key"}

    #: Ids of keys that do nothing of use in what is shown: they stand neither here nor in the help.
    idle: reactive[frozenset[str]] = reactive(frozenset[str]())

    def on_mount(self) -> None:
        """Follow the focus and the keymap."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, _screen: Screen[object]) -> None:
        self.refresh()

    def hints(self) -> list[tuple[str, str]]:
        """(key, name), of several keys the shortest; in order: those of what has the focus first, help and quit last."""
        found: dict[str, tuple[str, str]] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if binding.show and binding.id and binding.id not in self.idle:
                key, known = self._key(binding), found.get(binding.id)
                if known is None or len(key) < len(known[0]):
                    found[binding.id] = (key, binding.description)
        last = [found.pop(name) for name in _LAST if name in found]
        return [*found.values(), *last]

    def _key(self, binding: Binding) -> str:
        return self.app.get_key_display(binding)

    def render_line(self, y: int) -> Strip:
        """As many as fit; help and quit always."""
        width = self.size.width
        base = self.rich_style
        if y:
            return Strip.blank(width, base)
        key_style = self.get_component_rich_style("keys--key")
        hints = self.hints()
        sizes = [cell_len(key) + cell_len(name) + 3 for key, name in hints]
        keep = list(range(len(hints)))
        while len(keep) > len(_LAST) and sum(sizes[n] for n in keep) > width - 1:
            keep.pop(-len(_LAST) - 1)
        segments = [Segment(" ", base)]
        for number in keep:
            key, name = hints[number]
            segments += [Segment(key, key_style), Segment(f" {name}  ", base)]
        return Strip(segments).adjust_cell_length(width, base)
