"""Groups of flows in place of the flows: counted beside the event loop, sorted by any column, gone into and left again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pyarrow as pa
from textual.binding import Binding, BindingType
from textual.message import Message

from workbench.analysis.grouping import MEASURES, MOST_GROUPS, Groups, group_flows
from workbench.errors import CancelledError
from workbench.tui import conditions, figures
from workbench.tui.data import CaseData, Sorting, View
from workbench.tui.latest import Latest
from workbench.tui.looks import Look, flow_looks
from workbench.tui.table_source import ArrowSource, looks_of
from workbench.tui.widgets.virtual_table import VirtualTable

if TYPE_CHECKING:
    from workbench.store.reader import Question

_UNTIL: Final = "Grouping the flows."


def group_looks(keys: Sequence[str], rows: pa.Table | None = None) -> tuple[Look, ...]:
    """Key columns as the flows show them, then the counts."""
    known = {look.name: look for look in flow_looks(dates=True)}
    first = [known[key] for key in keys]
    kinds = {"first": pa.timestamp("us"), "last": pa.timestamp("us")}
    rest = looks_of(pa.schema([(name, kinds.get(name, pa.int64())) for name in MEASURES]))
    texts = {"flows": figures.count, "packets": figures.count, "bytes": figures.size, "peers": figures.count}
    made = []
    for look in rest:
        text = texts.get(look.name, look.text)
        made.append(Look(look.name, look.heading, MEASURES[look.name], look.width, look.most, look.right, look.role, text))
    widened = [_wide(look, rows) for look in first]
    return (*widened, *made)


def _wide(look: Look, rows: pa.Table | None) -> Look:
    """A key's texts have the room they need: here they are what one looks at."""
    if rows is None or not rows.num_rows or look.right:
        return look
    longest = max(len(look.text(value)) for value in rows[look.name].slice(0, 512).to_pylist())
    width = max(look.width, min(longest, 39))
    return Look(look.name, look.heading, look.meaning, width, max(width, look.most), look.right, look.role, look.text)


class GroupTable(VirtualTable):
    """The groups. `keys` is empty while there are none asked for."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Open", id="groups.open", tooltip="The flows of this group; Esc comes back"),
    ]

    @dataclass
    class Ready(Message):
        """Groups are there."""

        groups: Groups
        view: View
        sorting: Sorting

    @dataclass
    class Failed(Message):
        """They could not be counted."""

        error: Exception

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(group_looks(("src_ip",)), empty=_UNTIL, id=id)
        self.keys: tuple[str, ...] = ()
        self.order = Sorting("flows", True)
        self.groups: Groups | None = None
        self.obeyed: View | None = None
        self.wanted_row: int | None = None
        self._lane = Latest(self, "groups")
        self._question: Question | None = None

    @property
    def busy(self) -> bool:
        """Whether groups are being counted."""
        return self._lane.busy

    def ask(self, data: CaseData, keys: Sequence[str], view: View, order: Sorting) -> None:
        """Group the flows of a view. Those of before stay until the new ones are there."""
        self.halt()
        if tuple(keys) != self.keys:
            self.keys, self.groups = tuple(keys), None
            self.set_empty(_UNTIL)
            self.set_looks(group_looks(self.keys))
            self.set_source(None, order, 0)
        self.order, self.obeyed = order, view
        self._question = data.question()
        self._lane.ask(partial(self._group, data, self._question, self.keys, view, order))

    def halt(self) -> bool:
        """Stop counting; False where nothing was being counted."""
        busy = self._lane.busy
        self._lane.drop()
        if self._question is not None:
            self._question.stop()
        return busy

    def _group(self, data: CaseData, question: Question, keys: tuple[str, ...], view: View, order: Sorting) -> None:
        try:
            found = group_flows(question, keys, data.where(view), by=order.column, descending=order.descending)
            self.post_message(self.Ready(found, view, order))
        except CancelledError:
            return
        except Exception as error:  # every failure is shown
            self.post_message(self.Failed(error))

    def show_groups(self, message: Ready) -> bool:
        """Show them, if they are what was asked for last."""
        if message.groups.keys != self.keys or message.view != self.obeyed or message.sorting != self.order:
            return False
        self.groups = message.groups
        self.set_empty("No flows to group.")
        self.set_looks(group_looks(self.keys, message.groups.rows))
        row, self.wanted_row = self.cursor_row if self.wanted_row is None else self.wanted_row, None
        self.set_source(ArrowSource(message.groups.rows), message.sorting, row)
        return True

    def describe(self) -> str:
        """`12 groups by source ip, port; row 3, by flows ▼`."""
        names = ", ".join(look.heading for look in self.looks[: len(self.keys)])
        if self.groups is None:
            return f"groups by {names}"
        total, some = self.groups.total, self.groups.rows.num_rows
        many = f"{some:,} of {figures.count(total)}" if some < total else f"{total:,}"
        heading = next((look.heading for look in self.looks if look.name == self.order.column), self.order.column)
        at = f", row {self.cursor_row + 1:,}" if some else ""
        cut = f", the first {MOST_GROUPS:,}" if some < total else ""
        return f"{many} groups by {names}{at}, by {heading} {'▼' if self.order.descending else '▲'}{cut}"

    def filter_of(self, row: Mapping[str, Any], kept: str) -> str:
        """What keeps the flows of a group, of those that a filter keeps."""
        for key in self.keys:
            kept = conditions.joined(kept, conditions.condition(key, row[key], keep=True))
        return kept
