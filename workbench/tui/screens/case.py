"""One case on one screen: when, which flows, everything about one of them, and what all of it rests on."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from workbench.records.visible import visible
from workbench.tui import conditions, figures
from workbench.tui.data import Sorting
from workbench.tui.looks import text_cell
from workbench.tui.screens.asking import AskingScreen
from workbench.tui.screens.case_keys import CASE_KEYS
from workbench.tui.screens.column_picker import ColumnPicker, next_sorting
from workbench.tui.screens.filtering import FilterPane
from workbench.tui.screens.jump import jump_dialog, row_named
from workbench.tui.widgets.detail import FlowDetail
from workbench.tui.widgets.timeline import Metric, Timeline
from workbench.tui.widgets.virtual_table import VirtualTable


class CaseScreen(AskingScreen):
    """The flows of one case: what the person does."""

    BINDINGS: ClassVar[list[BindingType]] = CASE_KEYS

    def on_virtual_table_moved(self, message: VirtualTable.Moved) -> None:
        """The detail pane and the titles follow the cursor."""
        path = self.path_of(message.record)
        if message.table.total == 0:
            self.query_one("#detail", FlowDetail).show_flow(None, "")
        elif message.record is not None:
            self.query_one("#detail", FlowDetail).show_flow(message.record, path)
        self._titles()

    def on_virtual_table_chosen(self, message: VirtualTable.Chosen) -> None:
        """Everything about it."""
        from workbench.tui.screens.flow import FlowDialog

        self.app.push_screen(FlowDialog(message.record, self.path_of(message.record)))

    def on_virtual_table_heading_clicked(self, message: VirtualTable.HeadingClicked) -> None:
        """Sort by it."""
        self._sort_by(next_sorting(self.sorting, message.column))

    def on_virtual_table_failed(self, message: VirtualTable.Failed) -> None:
        """Say so."""
        self._say(message.error)

    def on_timeline_wanted(self, message: Timeline.Wanted) -> None:
        """Another number of bars fits."""
        if message.bins != self._bins:
            self._bins = message.bins
            self._count()

    def on_timeline_touched(self) -> None:
        """Its title says other things."""
        self._titles()

    def on_timeline_zoomed(self, message: Timeline.Zoomed) -> None:
        """Show that span."""
        if self.views.zoom(message.span):
            self._obey()

    def _obey(self, *, stay: bool = True) -> None:
        """Rows and timeline by what is asked for now; those of before stay until they are there."""
        self.timeline.mark = None
        self.status.span = self.span
        self._ask(stay=stay)
        self._count()

    # -- filter -----------------------------------------------------------------------------------

    def on_filter_pane_applied(self, message: FilterPane.Applied) -> None:
        """Rows and timeline obey this filter, which is right; the keys go to the rows."""
        self.set_focus(self.table)
        if self.views.filter_by(message.text):
            self._obey()

    def on_filter_pane_left(self) -> None:
        """Stop what is under way, else go back to the flows."""
        if self.inquiry is not None and self.inquiry.sorting:
            self.action_back()
        self.filter_pane.reset()
        self.set_focus(self.table)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The key to the bar types a stroke there."""
        if action == "filter" and self.focused is self.filter_pane.bar.line:
            return False
        return super().check_action(action, parameters)

    def action_filter(self) -> None:
        """To the bar."""
        self.filter_pane.enter()

    def action_filter_before(self) -> None:
        """The filter before; beyond the first, all flows."""
        if self.views.filter_before():
            self.filter_pane.bar.put(self.view.filter)
            self._obey()

    def action_keep(self, keep: bool) -> None:
        """Add the value under the cursor to the filter."""
        record, column = self.table.record, self.table.column.name
        if record is not None and column in record:
            condition = conditions.condition(column, record[column], keep=keep)
            self.filter_pane.build(conditions.joined(self.view.filter, condition))

    def action_copy(self) -> None:
        """The value under the cursor to the clipboard of the terminal: as it is shown, so that pasting it does nothing odd."""
        record, look = self.table.record, self.table.column
        if record is not None:
            value = record.get(look.name)
            text = visible(value) if isinstance(value, str) else text_cell(value)
            self.app.copy_to_clipboard(text)
            self.notify(f"{look.heading}: {text[:200]}", title="Copied", markup=False, timeout=3)

    # -- packets ----------------------------------------------------------------------------------

    def action_packets(self) -> None:
        """Packets of the flow under the cursor."""
        from workbench.tui.screens.packets import PacketsScreen

        record = self.table.record
        if record is not None and self.inquiry is not None:
            self.app.push_screen(PacketsScreen(self.inquiry.data, record, self.summary))

    def action_export(self) -> None:
        """Carve this flow, or all that are shown."""
        from workbench.tui.screens.carve import CarveDialog

        if self.inquiry is not None and self.table.record is not None:
            self.app.push_screen(CarveDialog(self.inquiry.data, self.table.record, self.inquiry.shown))

    # -- time and order ---------------------------------------------------------------------------

    def action_time(self) -> None:
        """To the timeline, at the flow under the cursor."""
        record = self.table.record
        if record is not None and record.get("ts") is not None:
            self.timeline.point_at(figures.to_us(record["ts"]))
        self.set_focus(self.timeline)

    def action_zoom_out(self) -> None:
        """Back to the span before; beyond the first, everything."""
        if self.views.zoom_out():
            self._obey()

    def action_reset(self) -> None:
        """Everything."""
        if self.views.zoom_reset():
            self._obey()

    def action_metric(self) -> None:
        """The next measure."""
        metrics = list(Metric)
        self.timeline.metric = metrics[(metrics.index(self.timeline.metric) + 1) % len(metrics)]

    def action_sort(self) -> None:
        """Choose a column."""
        self.app.push_screen(ColumnPicker(self.table.looks, self.sorting), self._sort_by)

    def _sort_by(self, sorting: Sorting | None) -> None:
        if sorting is not None and sorting != self.sorting:
            self.views.sort_by(sorting)
            self._ask(stay=False)
            self._titles()

    def action_reverse(self) -> None:
        """The other way round."""
        self._sort_by(Sorting(self.sorting.column, not self.sorting.descending))

    def action_sort_side(self, by: int) -> None:
        """Sort by the column beside."""
        names = [look.name for look in self.table.looks]
        here = names.index(self.sorting.column) if self.sorting.column in names else 0
        there = (here + by) % len(names)
        self.table.cursor_column = there
        self._sort_by(next_sorting(self.sorting, names[there]))

    def action_detail(self) -> None:
        """Show or hide the pane."""
        self.query_one("#detail-box").toggle_class("-hidden")

    def action_ledger(self) -> None:
        """The ledger."""
        from workbench.tui.screens.ledger import LedgerDialog

        self.app.push_screen(LedgerDialog(self.summary, filtered=bool(self.view.filter)))

    def action_reload(self) -> None:
        """What the case holds now."""
        if self.inquiry is not None:
            self.inquiry.sum_up()

    def action_jump(self) -> None:
        """Ask for a row."""
        self.app.push_screen(jump_dialog(self.table.total), self._jump)

    def _jump(self, answer: str | None) -> None:
        row = None if answer is None else row_named(answer, self.table.total)
        if row is not None:
            self.table.move_to(row)

    def action_back(self) -> None:
        """Stop a query; else drop the brush; else go back to the flows."""
        if self.inquiry is not None and self.inquiry.sorting:
            back = self.inquiry.stop()
            if back is not None:
                self.table.set_source(back[0], back[1].sorting)
            self._return_to(self.inquiry.shown)
            self.filter_pane.show_applied(self.view.filter)
            self.filter_pane.reset()
            self._count()
            self._tell_activity()
            self._titles()
        elif self.timeline.has_focus and self.timeline.mark is not None:
            self.timeline.mark = None
        else:
            self.set_focus(self.table)
