"""The flows of a case: orders, columns, marks, groups, and ways on from the one under the cursor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from textual.binding import Binding, BindingType

from workbench.analysis.flow_names import NAMES
from workbench.tui import conditions
from workbench.tui.copying import as_filter
from workbench.tui.data import Sorting, View
from workbench.tui.looks import flow_looks
from workbench.tui.named_rows import NAME_LOOKS
from workbench.tui.screens.column_picker import ColumnPicker, next_sorting
from workbench.tui.screens.jump import jump_dialog, row_named
from workbench.tui.views.base import Subject
from workbench.tui.views.grouped import GroupedFlows
from workbench.tui.widgets.virtual_table import VirtualTable

_KEYS: Final[tuple[tuple[str, str, str, str, str, bool], ...]] = (
    ("s", "sort", "Sort", "case.sort", "Choose the column to sort by", True),
    ("S", "reverse", "Reverse", "case.reverse", "Turn the order round", False),
    ("less_than_sign", "sort_side(-1)", "Sort left", "case.sort_left", "Sort by the column before", False),
    ("greater_than_sign", "sort_side(1)", "Sort right", "case.sort_right", "Sort by the next column", False),
    ("N", "newest", "Newest", "flows.newest", "The newest flow first, and follow it; again, or another row, stops that", False),
    ("i", "detail", "Pane", "case.detail", "Show or hide the detail pane", False),
    ("colon", "jump", "Jump", "case.jump", "Go to a row number or percentage", False),
    ("o", "group", "Group", "flows.group", "Groups of flows by columns that you choose", True),
    ("P", "pair", "Pair", "flows.pair", "All flows between the two ends of this one, whoever began them", False),
    ("M", "rows", "Metadata", "flows.rows", "What other tables have about this flow", False),
    ("C", "columns", "Columns", "flows.columns", "Choose the columns and their order", False),
    ("A", "mark_all", "Mark all", "flows.mark_all", "Mark every flow that is shown; again takes all marks", False),
    ("y", "copy", "Copy", "flows.copy", "Copy as text, CSV, SQL, filter or tshark filter: this flow, or the marked ones", False),
    (
        "e",
        "export",
        "Carve",
        "flows.carve",
        "Packets of this flow, of the marked ones or of all that are shown, to a file",
        False,
    ),
    ("escape", "back", "Back", "flows.back", "Stop what is going on; from a group back to the groups; out of the groups", False),
)


class FlowsView(GroupedFlows):
    """What the person does there."""

    number = 2
    name_ = "Flows"
    about = "One row a flow, whoever began it on the left; or groups of them by any columns."

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(key, action, words, id=name, tooltip=tooltip, show=show) for key, action, words, name, tooltip, show in _KEYS
    ]

    # -- order and columns ------------------------------------------------------------------------

    def on_virtual_table_heading_clicked(self, message: VirtualTable.HeadingClicked) -> None:
        """Sort by it."""
        message.stop()
        if message.column in NAMES:
            self.frame.tell("Names", "Flows are not sorted by names: filter by one, or sort by the address.")
            return
        self._sort_by(next_sorting(self._order, message.column))

    @property
    def _order(self) -> Sorting:
        return self.groups.order if self.grouped else self.sorting

    def action_sort(self) -> None:
        """Choose a column."""
        looks = self.groups.looks if self.grouped else flow_looks(dates=False)
        self.app.push_screen(ColumnPicker(looks, self._order), self._sort_by)

    def _sort_by(self, sorting: Sorting | None) -> None:
        if sorting is None or sorting == self._order:
            return
        if self.grouped:
            self.groups.cursor_row = 0
            self.regroup(self.groups.keys, sorting)
        else:
            self.newest = False
            self.sorting = sorting
            self._ask(self.frame.view, stay=False)
        self._titles()

    def action_reverse(self) -> None:
        """The other way round."""
        self._sort_by(Sorting(self._order.column, not self._order.descending))

    def action_newest(self) -> None:
        """Keep the newest flow under the cursor, or stop that."""
        self.newest = not self.newest
        if self.newest:
            if self.grouped:
                self.show_flows()
            self.table.move_to(0)
            self.sorting = Sorting("ts", descending=True)
            self._ask(self.frame.view, stay=False)
        self._titles()

    def action_sort_side(self, by: int) -> None:
        """Sort by the column beside."""
        table = self.in_front
        names = [look.name for look in table.looks if look.name not in NAMES]
        here = names.index(self._order.column) if self._order.column in names else 0
        there = (here + by) % len(names)
        table.cursor_column = [look.name for look in table.looks].index(names[there])
        self._sort_by(next_sorting(self._order, names[there]))

    def action_columns(self) -> None:
        """Choose the columns; the order of the flows stays."""
        from workbench.tui.screens.choose_columns import ChooseColumns

        looks = (*flow_looks(dates=False), *NAME_LOOKS)
        now = self.columns or [look.name for look in looks if look.name not in NAMES]
        self.app.push_screen(ChooseColumns("Columns", looks, now, len(looks)), self._take_columns)

    def _take_columns(self, names: tuple[str, ...] | None) -> None:
        if names:
            self.columns = names
            self._lay_out()
            self._titles()

    def action_detail(self) -> None:
        """Show or hide the pane."""
        self.query_one("#detail-box").toggle_class("-hidden")

    def action_jump(self) -> None:
        """Ask for a row."""
        self.app.push_screen(jump_dialog(self.in_front.total), self._jump)

    def _jump(self, answer: str | None) -> None:
        row = None if answer is None else row_named(answer, self.in_front.total)
        if row is not None:
            self.in_front.move_to(row)

    # -- groups -----------------------------------------------------------------------------------

    def action_group(self) -> None:
        """Choose what the groups are made of."""
        from workbench.analysis.grouping import MOST_KEYS
        from workbench.tui.screens.choose_columns import ChooseColumns

        column = self.table.column.name
        odd = column in ("ts", *NAMES)  # every flow has a start of its own; names are no column of flows
        now = self.groups.keys or ("src_ip" if odd else column,)
        title = f"Group by one to {MOST_KEYS} columns"
        self.app.push_screen(ChooseColumns(title, flow_looks(dates=False), now, MOST_KEYS), self._group)

    def _group(self, keys: tuple[str, ...] | None) -> None:
        if keys:
            self.show_groups(keys)

    async def action_back(self) -> None:
        """Stop what is going on; from a group to the groups; from those to the flows; else what Esc does everywhere."""
        if self.resting and self.leave_groups():
            return
        await self.run_action("screen.back")

    # -- marks and copies -------------------------------------------------------------------------

    def action_mark_all(self) -> None:
        """Mark all that is shown, or take every mark."""
        self.mark_all()

    def subject(self) -> Subject | None:
        """The flow under the cursor; where some are marked, all of those."""
        one = None if self.grouped else super().subject()
        ids = sorted(self.table.marked)
        if self.grouped or not ids:
            return one
        kept, many = as_filter(ids), f"{len(ids):,} marked flow{'' if len(ids) == 1 else 's'}"
        return Subject("query", kept, many, kept, None if one is None else one.flow)

    def action_copy(self) -> None:
        """Choose how to copy the flow under the cursor, the marked ones, or the group."""
        self.copy_rows()

    async def action_export(self) -> None:
        """Carve the marked flows; without marks what `e` does everywhere."""
        from workbench.tui.screens.carve import CarveDialog

        data, flow = self.frame.data, self.table.record
        if self.table.marked and not self.grouped and data is not None and flow is not None:
            chosen = View(filter=as_filter(sorted(self.table.marked)))
            self.app.push_screen(CarveDialog(data, flow, chosen, marked=True))
        else:
            await self.run_action("screen.export")

    # -- ways on ----------------------------------------------------------------------------------

    def action_pair(self) -> None:
        """All flows between the two ends, in place of the filter: it can be had back."""
        flow = None if self.grouped else self.table.record
        if flow is None or flow.get("src_ip") is None or flow.get("dst_ip") is None:
            self.frame.tell("Pair", "There is no flow with two addresses under the cursor.")
        else:
            self.frame.filter_by(pair_filter(flow))

    def action_rows(self) -> None:
        """Rows of other tables."""
        from workbench.tui.screens.flow_rows import FlowRows

        data, one = self.frame.data, None if self.grouped else super().subject()
        if data is not None and one is not None:
            self.app.push_screen(FlowRows(data, int(one.key), one.words))

    # -- where the person is ----------------------------------------------------------------------

    def place(self) -> dict[str, Any]:
        """As a list of flows, and the groups, if they are what is shown."""
        return super().place() | {"groups": list(self.groups.keys) if self.grouped else [], "group": self.groups.cursor_row}

    def restore(self, place: Mapping[str, Any]) -> None:
        """Go there."""
        super().restore(place)
        keys, row = place.get("groups"), place.get("group")
        if isinstance(keys, list) and keys and usable(keys):
            self.show_groups(tuple(keys), row if type(row) is int else 0)
        else:
            self.show_flows()


def usable(keys: Sequence[Any]) -> bool:
    """Whether these can be the keys of groups."""
    from workbench.analysis.grouping import MOST_KEYS

    known = [look.name for look in flow_looks(dates=False)]
    return len(keys) <= MOST_KEYS and len(set(map(str, keys))) == len(keys) and all(key in known for key in keys)


def pair_filter(flow: Mapping[str, Any]) -> str:
    """Flows between the two ends of this one, whichever of them began."""
    src, dst = (conditions.literal(flow[f"{side}_ip"]) for side in ("src", "dst"))
    return f"src_ip == {src} && dst_ip == {dst}" if src == dst else f"addr == {src} && addr == {dst}"
