"""The flows, some of them marked."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any, ClassVar, Final

from rich.style import Style
from textual.binding import Binding, BindingType

from workbench.tui.looks import Look
from workbench.tui.said import marked_service, whose
from workbench.tui.widgets.virtual_table import VirtualTable

#: Flows that can be marked: as many values as a filter may list.
MOST_MARKED: Final = 4096
MARK: Final = "✓"
#: Before a flow whose protocol contradicts its port: its service stands in a column that one scrolls to.
STRANGE: Final = "!"


class FlowTable(VirtualTable):
    """A table of flows; those whose flow_id is in `marked` have a mark before them, those that contradict their port another."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "space", "mark", "Mark", show=False, id="flows.mark", tooltip="Mark this flow or take its mark: y e n mean those"
        ),
    ]

    marked: Set[int] = frozenset()

    def action_mark(self) -> None:
        """Mark the flow under the cursor and go on to the next; a marked one loses its mark."""
        record = self.record
        if record is None:
            return
        flow_id = int(record["flow_id"])
        if flow_id not in self.marked and len(self.marked) >= MOST_MARKED:
            self.app.notify(f"No more than {MOST_MARKED:,} flows can be marked.", title="Mark", markup=False, timeout=4)
            return
        self.mark(self.marked ^ {flow_id})
        self.action_move(1)

    def mark(self, flow_ids: Set[int]) -> None:
        """These are marked, and no others."""
        self.marked = flow_ids
        self._strips.clear()
        self.refresh()
        self._tell()

    def _text(self, row: int, look: Look) -> str | None:
        """As any table's; a service that contradicts its port says so, once the ports are here."""
        text = super()._text(row, look)
        there = self._served(row) if look.name == "service" and text is not None else None
        return text if there is None else marked_service(there)

    def _served(self, row: int) -> Mapping[str, Any] | None:
        """A flow's service and ports; None until they are here."""
        found = self._cache.columns(row)
        if found is None:
            return None
        page, index = found
        columns = {name: page.get(name) for name in ("service", "proto", "src_port", "dst_port")}
        there = {name: array[index].as_py() for name, array in columns.items() if array is not None}
        return there if len(there) == len(columns) else None

    def _role(self, look: Look, text: str, base: Style) -> Style:
        """A contradiction stands out, where there are colours."""
        if look.name == "service" and " !" in text:
            return base + self.get_component_rich_style("table--warn")
        return super()._role(look, text, base)

    def marks_of(self, row: int) -> str:
        """The cursor's mark, and the flow's."""
        found = self._cache.columns(row) if self.marked else None
        cursor = super().marks_of(row)[0]
        if found is not None:
            page, index = found
            if page["flow_id"][index].as_py() in self.marked:
                return cursor + MARK
        there = self._served(row)
        return cursor + (STRANGE if there is not None and whose(there) is not None else " ")
