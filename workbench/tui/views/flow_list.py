"""The flows of a case, one a row, in any order, and everything about the one under the cursor: without its keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from textual.app import ComposeResult
from textual.containers import Container, Vertical

from workbench.analysis.flow_names import NAMES
from workbench.records.visible import visible
from workbench.tui import words
from workbench.tui.data import Order, PageSource, Sorting, Summary, View
from workbench.tui.inquiry import Inquiry
from workbench.tui.looks import flow_looks, flow_number, text_cell
from workbench.tui.messages import OrderComplete, OrderReady, WorkFailed
from workbench.tui.named_rows import NAME_LOOKS, NamedOrder
from workbench.tui.screens.case_words import flows_title, nothing
from workbench.tui.views.base import CaseView, Subject
from workbench.tui.widgets.detail import FlowDetail
from workbench.tui.widgets.flow_table import MARK, FlowTable
from workbench.tui.widgets.group_table import GroupTable
from workbench.tui.widgets.rule import TitleRule
from workbench.tui.widgets.virtual_table import VirtualTable

_DAY: Final = 86_400_000_000


class FlowList(CaseView):
    """A table of any length, and the details of its row: what it asks and shows. Its keys are in views/flows.py."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self.inquiry: Inquiry | None = None
        self.sorting = Sorting()
        self._summary = Summary()
        self.columns: tuple[str, ...] = ()
        self.groups = GroupTable(id="groups")
        self._dated = False
        self._answered = False
        self.newest = False  # whether the cursor stays on the newest flow

    def compose(self) -> ComposeResult:
        """Rows, details."""
        with Container(id="body"):
            with Vertical(id="flows-box"):
                yield TitleRule(id="flows-title")
                yield FlowTable(flow_looks(dates=False), empty=nothing(View()), id="flows")
                yield self.groups
            with Vertical(id="detail-box"):
                yield TitleRule("details", id="detail-title")
                yield FlowDetail(more=", M shows all", id="detail")

    @property
    def table(self) -> FlowTable:
        """The rows."""
        return self.query_one("#flows", FlowTable)

    def on_mount(self) -> None:
        """Before the case has answered the table says so."""
        self.wait()
        self._titles()

    def leave(self) -> None:
        """Stop and free the orders."""
        for detail in self.query(FlowDetail):  # none, where the screen is gone already
            detail.stop_listening()
        if self.inquiry is not None:
            self.inquiry.close()

    def enter(self) -> None:
        """To the rows."""
        self.screen.set_focus(self.table)

    # -- what is asked ----------------------------------------------------------------------------

    def obey(self, view: View, summary: Summary) -> None:
        """Rows by this; those of before stay until they are there, the cursor on its flow."""
        data = self.frame.data
        if data is None:
            return
        if self.inquiry is None:
            self.inquiry = Inquiry(self, data)
            self.query_one("#detail", FlowDetail).data = data
        again, self._summary = summary is not self._summary, summary
        detail = self.query_one("#detail", FlowDetail)
        detail.named, detail.decided = summary.named, summary.decided
        extent = summary.extent
        dated = extent is not None and extent.start // _DAY != (extent.end - 1) // _DAY
        if dated != self._dated:
            self._dated = dated
            self._lay_out()
        if again or replace(view, sorting=self.sorting) != self.inquiry.asked:
            self._ask(view, patient=again)

    def _lay_out(self) -> None:
        """The columns that are chosen, in their order; all of them where none were."""
        flows = flow_looks(dates=self._dated)
        known = {look.name: look for look in (*flows, *NAME_LOOKS)}
        self.table.set_looks([known[name] for name in self.columns or [look.name for look in flows]])
        source = self.table.source
        if (
            isinstance(source, NamedOrder) != self._named
            and source is not None
            and self.inquiry is not None
            and self.inquiry.order
        ):
            self.table.set_source(self._rows_of(self.inquiry.order), self.table.sorting, self.table.cursor_row)

    @property
    def _named(self) -> bool:
        """Whether a column of names is shown."""
        return not set(self.columns).isdisjoint(NAMES)

    def _rows_of(self, order: Order) -> PageSource:
        """The order as the table pages over it: with names where they are shown."""
        data = self.frame.data
        return NamedOrder(order, data.question()) if self._named and data is not None else order

    def _ask(self, view: View, *, patient: bool = False, stay: bool = True) -> None:
        """Order the flows again. stay: the cursor stays on its flow."""
        if self.inquiry is None:
            return
        stay = stay and not self.newest
        record = self.table.record if stay and self.table.cursor_row else None
        keep = None if record is None else int(record["flow_id"])
        patient, near = patient and not self.newest, (self.table.cursor_row if stay else 0) if patient else None
        self.inquiry.put_in_order(replace(view, sorting=self.sorting), keep, patient=patient, near=near)
        self.frame.changed()

    def stop(self) -> bool:
        """Stop an order; the one before is shown again."""
        if self.inquiry is None or not self.inquiry.sorting:
            return False
        back = self.inquiry.stop()
        if back is not None:
            self.table.set_source(self._rows_of(back[0]), back[1].sorting)
        self._return()
        return True

    def _return(self) -> None:
        """What is shown is what is asked for."""
        assert self.inquiry is not None
        self.sorting = self.inquiry.shown.sorting
        self.frame.return_to(replace(self.inquiry.shown, sorting=Sorting()))
        self._titles()
        self.frame.changed()

    def on_order_ready(self, message: OrderReady) -> None:
        """Show the rows."""
        message.stop()
        if self.inquiry is None or not self.inquiry.accept(message):
            return
        self._answered = True
        self.table.empty = self._nothing()
        pages = None if self._named else message.pages
        self.table.set_source(self._rows_of(message.order), message.view.sorting, message.row, pages)
        self._titles()
        self.frame.changed()

    def on_order_complete(self, message: OrderComplete) -> None:
        """Nothing is under way any more."""
        message.stop()
        if self.inquiry is not None:
            self.inquiry.completed(message)
        self.frame.changed()

    def on_work_failed(self, message: WorkFailed) -> None:
        """Say what failed."""
        message.stop()
        if self.inquiry is None or not self.inquiry.failed(message):
            return
        self._answered = True
        self.sorting = self.inquiry.shown.sorting
        self.frame.say(message.error)
        self.wait()
        self.frame.changed()

    # -- what it says -----------------------------------------------------------------------------

    def wait(self) -> None:
        """What stands where there are no rows yet."""
        if not self.table.total:
            self.table.set_empty(self._nothing())

    def _nothing(self) -> str:
        """What the table says where there are no rows."""
        if self.frame.waiting:
            return self.frame.waiting
        return nothing(self.showing() or self.frame.view) if self._answered else "Reading the case."

    def showing(self) -> View | None:
        """What the rows obey; None before there are any."""
        return None if self.inquiry is None else self.inquiry.shown

    @property
    def activity(self) -> str:
        """Whether rows are on their way."""
        if self.inquiry is None or not self.inquiry.sorting:
            return ""
        return "filtering, Esc stops" if self.inquiry.filtering else "sorting, Esc stops"

    @property
    def resting(self) -> bool:
        """Whether all of the order is known."""
        return self.inquiry is None or not self.inquiry.sorting

    @property
    def cost(self) -> tuple[float, int] | None:
        """Until the first rows were there."""
        return None if self.inquiry is None or self.inquiry.order is None else (self.inquiry.seconds, self.table.total)

    def _titles(self) -> None:
        shown = self.showing() or self.frame.view
        title = flows_title(self.table, self.sorting, shown, self._summary.flows)
        if self.newest:
            title = f"newest first, followed; {title}"
        if self.table.marked:
            title = f"{MARK} {len(self.table.marked):,} marked; {title}"
        self.query_one("#flows-title", TitleRule).title = title

    def _path_of(self, record: Mapping[str, Any]) -> str:
        """The path of the source that a flow is from."""
        sources = self._summary.sources
        return next((str(s.get("path") or "") for s in sources if s["source_id"] == record.get("source_id")), "")

    # -- under the cursor -------------------------------------------------------------------------

    def subject(self) -> Subject | None:
        """The flow under the cursor."""
        flow = self.table.record
        if flow is None:
            return None
        ends = " → ".join(words.endpoint(flow.get(f"{side}_ip"), flow.get(f"{side}_port")) for side in ("src", "dst"))
        number = int(flow["flow_id"])
        return Subject("flow", str(number), f"flow {flow_number(number)} {ends}", f"flow_id == {number}", flow)

    def keep_value(self) -> tuple[str, object] | None:
        """The cell under the cursor."""
        record, column = self.table.record, self.table.column.name
        return (column, record[column]) if record is not None and column in record else None

    def text(self) -> str:
        """The cell under the cursor, as it is shown."""
        record = self.table.record
        if record is None:
            return ""
        value = record.get(self.table.column.name)
        return visible(value) if isinstance(value, str) else text_cell(value)

    def place(self) -> dict[str, Any]:
        """Order, row and column."""
        record = self.table.record
        return {
            "sort": self.sorting.column,
            "descending": self.sorting.descending,
            "flow": int(record["flow_id"]) if record is not None and self.table.cursor_row else None,  # the top is the top
            "row": self.table.cursor_row,
            "column": self.table.column.name,
            "columns": list(self.columns),
        }

    def restore(self, place: Mapping[str, Any]) -> None:
        """The order; the flow where it still is, else its row number."""
        known = [look.name for look in flow_looks(dates=False)]
        columns = place.get("columns")
        if isinstance(columns, list):
            self.columns = tuple(dict.fromkeys(name for name in columns if name in (*known, *NAMES)))
            self._lay_out()
        names = [look.name for look in self.table.looks]
        if place.get("column") in names:
            self.table.cursor_column = names.index(place["column"])
        if place.get("sort") in known:
            self.sorting = Sorting(place["sort"], place.get("descending") is True)
        flow, row = place.get("flow"), place.get("row")
        if self.inquiry is None:
            return
        view = replace(self.frame.view, sorting=self.sorting)
        if view != self.inquiry.asked or view != self.inquiry.shown:
            keep = flow if type(flow) is int else None
            self.inquiry.put_in_order(view, keep, patient=keep is not None)
            self._titles()
            self.frame.changed()
        elif type(row) is int and 0 <= row < self.table.total:
            self.table.move_to(row)

    def on_virtual_table_moved(self, message: VirtualTable.Moved) -> None:
        """The detail pane and the titles follow the cursor."""
        if message.table is not self.table:
            return
        if message.row and self.newest:
            self.newest = False  # the person looks at another one
        detail = self.query_one("#detail", FlowDetail)
        if message.table.total == 0:
            detail.show_flow(None, "")
        elif message.record is not None:
            detail.show_flow(message.record, self._path_of(message.record))
        self._titles()

    def on_virtual_table_chosen(self, message: VirtualTable.Chosen) -> None:
        """Everything about it."""
        from workbench.tui.screens.flow import FlowDialog

        if message.table is not self.table:
            return
        showing = self.showing()
        if showing is not None and showing.filter != self.frame.view.filter:  # typed ahead: another row is meant
            self.frame.tell("Still filtering", "These are the rows of the filter before.")
        else:
            self.app.push_screen(
                FlowDialog(message.record, self._path_of(message.record), self.frame.data, named=self._summary.named)
            )

    def on_virtual_table_failed(self, message: VirtualTable.Failed) -> None:
        """Say so."""
        self.frame.say(message.error)
