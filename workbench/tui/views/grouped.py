"""Flows with groups in front of them, marks, and copies of rows that have to be asked for first. Without its keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import pyarrow as pa
from textual.message import Message

from workbench.analysis.flow_names import with_names
from workbench.errors import CancelledError
from workbench.tui import figures
from workbench.tui.copying import flow_forms, table_forms
from workbench.tui.data import PageSource, Sorting, Summary, View
from workbench.tui.latest import Latest
from workbench.tui.views.flow_list import FlowList
from workbench.tui.widgets.flow_table import MOST_MARKED
from workbench.tui.widgets.group_table import GroupTable
from workbench.tui.widgets.rule import TitleRule
from workbench.tui.widgets.virtual_table import VirtualTable

_LARGEST_FIRST: Final = Sorting("flows", descending=True)


class GroupedFlows(FlowList):
    """Groups stand in front of the flows, or the flows of one of them do, with the way back."""

    @dataclass
    class _Marked(Message):
        """Every flow of what was shown."""

        source: PageSource
        flow_ids: frozenset[int]

    @dataclass
    class _Fetched(Message):
        """The rows of the marked flows."""

        rows: list[dict[str, Any]]

    @dataclass
    class _Failed(Message):
        """They could not be had."""

        error: Exception

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self.grouped = False
        self._drilled: str | None = None  # the filter before a group was gone into
        self._shown_groups: View | None = None
        self._counting = False
        self._fetching = Latest(self, "flows' rows")
        self._question: Any = None

    @property
    def in_front(self) -> VirtualTable:
        """Groups or flows."""
        return self.groups if self.grouped else self.table

    def on_mount(self) -> None:
        """The flows are in front."""
        self.groups.display = False

    def enter(self) -> None:
        """To the rows."""
        self.screen.set_focus(self.in_front)

    # -- what is asked ----------------------------------------------------------------------------

    def obey(self, view: View, summary: Summary) -> None:
        """Groups or flows by this; flows behind groups are not asked for."""
        if not self.grouped or self.inquiry is None:
            super().obey(view, summary)
        elif view != self.groups.obeyed or summary is not self._summary:
            self._summary = summary
            self.regroup(self.groups.keys, self.groups.order)

    def regroup(self, keys: Sequence[str], order: Sorting) -> None:
        """Count the groups."""
        data = self.frame.data
        if data is not None:
            self._counting = True
            self.groups.ask(data, keys, self.frame.view, order)
            self._titles()
            self.frame.changed()

    def show_groups(self, keys: tuple[str, ...], row: int = 0) -> None:
        """Put groups in front; those that are there already and still true are not counted again."""
        self._front(grouped=True)
        self._drilled = None
        same = keys == self.groups.keys and self.groups.groups is not None and self.groups.obeyed == self.frame.view
        if same:
            self.groups.move_to(row)
            self._titles()
        else:
            self.groups.wanted_row = max(0, row)
            self.regroup(keys, _LARGEST_FIRST)

    def show_flows(self) -> None:
        """Put the flows in front."""
        if self.grouped:
            self._front(grouped=False)
            super().obey(self.frame.view, self.frame.summary)
            self._titles()
            self.frame.changed()

    def _front(self, *, grouped: bool) -> None:
        had = self.has_focus_within
        self.grouped = grouped
        self.groups.display, self.table.display = grouped, not grouped
        self.query_one("#detail-box").set_class(grouped, "-behind")
        if had:
            self.enter()

    def leave_groups(self) -> bool:
        """Out of a group to the groups, the cursor where it was; out of the groups to the flows; False for neither."""
        if self.grouped:
            self.show_flows()
            return True
        if self._drilled is None:
            return False
        kept, self._drilled = self._drilled, None
        self._front(grouped=True)
        if kept != self.frame.view.filter:
            self.frame.filter_by(kept)
        else:
            self.obey(self.frame.view, self.frame.summary)
        self._titles()
        return True

    def on_virtual_table_chosen(self, message: VirtualTable.Chosen) -> None:
        """Into a group: its filter is added."""
        if message.table is not self.groups:
            return
        message.stop()
        before = self.frame.view.filter
        self._front(grouped=False)
        self._drilled = before
        kept = self.groups.filter_of(message.record, before)
        if kept == before:
            super().obey(self.frame.view, self.frame.summary)
        else:
            self.frame.filter_by(kept)

    def on_virtual_table_moved(self, message: VirtualTable.Moved) -> None:
        """The title has the row's number."""
        if message.table is self.groups:
            message.stop()
            self._titles()

    def on_group_table_ready(self, message: GroupTable.Ready) -> None:
        """Show the groups."""
        message.stop()
        if self.groups.show_groups(message):
            self._counting = False
            self._shown_groups = message.view
            self._titles()
            self.frame.changed()

    def on_group_table_failed(self, message: GroupTable.Failed) -> None:
        """Say so."""
        message.stop()
        self._counting = False
        self.groups.set_empty("The flows could not be grouped.")
        self.frame.say(message.error)
        self.frame.changed()

    def stop(self) -> bool:
        """Stop counting groups or ordering flows. Groups that were stopped before there were any leave the flows."""
        if self._question is not None:
            self._question.stop()
        if not self._counting:
            return super().stop()
        self.groups.halt()
        self._counting = False
        if self._shown_groups is None or self.groups.groups is None:
            self.groups.obeyed = None
            self.show_flows()
        elif self.frame.view != self._shown_groups:
            self.groups.obeyed = self._shown_groups
            self.frame.return_to(self._shown_groups)
        self._titles()
        self.frame.changed()
        return True

    def leave(self) -> None:
        """Stop every question."""
        if self._question is not None:
            self._question.stop()
        self.groups.halt()
        super().leave()

    # -- what it says -----------------------------------------------------------------------------

    def showing(self) -> View | None:
        """What the groups obey, where they are in front."""
        return self._shown_groups if self.grouped else super().showing()

    @property
    def activity(self) -> str:
        """Whether groups or rows are on their way."""
        return "grouping, Esc stops" if self._counting else super().activity

    @property
    def resting(self) -> bool:
        """Whether all is there."""
        return not self._counting and not self._fetching.busy and super().resting

    def _titles(self) -> None:
        if self.grouped:
            self.query_one("#flows-title", TitleRule).title = self.groups.describe()
        else:
            super()._titles()

    def keep_value(self) -> tuple[str, object] | None:
        """The cell under the cursor; of groups, a key."""
        if not self.grouped:
            return super().keep_value()
        record, column = self.groups.record, self.groups.column.name
        return (column, record[column]) if record is not None and column in self.groups.keys else None

    def text(self) -> str:
        """The cell under the cursor, as it is shown."""
        if not self.grouped:
            return super().text()
        record, look = self.groups.record, self.groups.column
        return "" if record is None else look.text(record.get(look.name))

    # -- marks and copies -------------------------------------------------------------------------

    def mark_all(self) -> None:
        """Mark every flow that is shown; where all of them are marked, take every mark."""
        source = self.table.source
        if self.grouped or source is None or not source.total:
            return
        if source.total > MOST_MARKED:
            many = figures.count(source.total)
            self.frame.tell("Mark", f"{many} flows are shown; at most {MOST_MARKED:,} can be marked. A filter narrows them.")
            return
        self._fetching.ask(partial(self._read_ids, source))

    def _read_ids(self, source: PageSource) -> None:
        try:
            ids = source.page(0, source.total)["flow_id"].to_pylist()
            self.post_message(self._Marked(source, frozenset(int(n) for n in ids)))
        except CancelledError:
            return
        except Exception as error:  # every failure is shown
            self.post_message(self._Failed(error))

    def on_grouped_flows__marked(self, message: _Marked) -> None:
        """Mark them, if they are still what is shown."""
        message.stop()
        if message.source is not self.table.source:
            return
        both = self.table.marked | message.flow_ids
        if both == self.table.marked:
            both = frozenset()
        if len(both) > MOST_MARKED:
            self.frame.tell("Mark", f"With those that are marked already these are more than {MOST_MARKED:,}.")
        else:
            self.table.mark(both)
        self._titles()

    def copy_rows(self) -> None:
        """The menu of forms for the group, the marked flows, or the one under the cursor."""
        record = self.in_front.record
        if self.table.marked and not self.grouped:
            assert self.frame.data is not None
            self._question = self.frame.data.question()
            self._fetching.ask(partial(self._fetch, self._question, sorted(self.table.marked)))
        elif record is not None:
            self._menu([record])

    def _fetch(self, question: Any, flow_ids: list[int]) -> None:
        sql = "SELECT * FROM flows WHERE flow_id IN (SELECT unnest(?::BIGINT[])) ORDER BY ts, flow_id"
        try:
            found: pa.Table = question.query(sql, (flow_ids,))
            self.post_message(self._Fetched((with_names(question, found) if self._named else found).to_pylist()))
        except CancelledError:
            return
        except Exception as error:  # every failure is shown
            self.post_message(self._Failed(error))

    def on_grouped_flows__fetched(self, message: _Fetched) -> None:
        """Their forms."""
        message.stop()
        if message.rows:
            self._menu(message.rows, marked=True)

    def on_grouped_flows__failed(self, message: _Failed) -> None:
        """Say so."""
        message.stop()
        self.frame.say(message.error)

    def _menu(self, rows: list[dict[str, Any]], *, marked: bool = False) -> None:
        from workbench.tui.screens.copy_menu import CopyMenu

        looks = self.in_front.looks
        if self.grouped:
            what, forms = "this group", table_forms(rows, looks)
        else:
            what = f"{len(rows):,} marked flow{'' if len(rows) == 1 else 's'}" if marked else "this flow"
            forms = flow_forms(rows, looks, "" if marked else self.text())
        self.app.push_screen(CopyMenu(what, forms))
