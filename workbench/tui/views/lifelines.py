"""Workloads by name: the keys of lifelines, and what the frame of a case asks of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from workbench.analysis.workload_groups import RANKS, Rank
from workbench.analysis.workloads import Workload
from workbench.records.visible import visible
from workbench.tui.conditions import joined, quoted
from workbench.tui.lifeline_rows import Row
from workbench.tui.views.base import Subject
from workbench.tui.views.living import LivingList
from workbench.tui.widgets.virtual_table import VirtualTable


class LifelinesView(LivingList):
    """Shown by the view Workloads, where the case knows names."""

    SCOPED_CSS: ClassVar[bool] = False

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "rank", "Sort", id="lifelines.rank", tooltip="Rank groups and workloads by the next measure"),
        Binding("S", "reverse", "Reverse", id="lifelines.reverse", tooltip="Turn the ranking round", show=False),
        Binding("o", "group", "Group by", id="lifelines.group", tooltip="Group by namespace, node, kind or a label"),
        Binding("z", "fold", "Fold all", id="lifelines.fold", tooltip="Fold all groups, or unfold all of them"),
        Binding("M", "matrix", "Matrix", id="lifelines.matrix", tooltip="Who this workload talks to, as a matrix", show=False),
    ]

    # -- keys -------------------------------------------------------------------------------------

    def on_virtual_table_heading_clicked(self, message: VirtualTable.HeadingClicked) -> None:
        """Rank by that column."""
        message.stop()
        for rank in RANKS:
            if rank == message.column:
                self._by(rank, descending=not self.descending if rank == self.rank else True)

    def on_virtual_table_chosen(self, message: VirtualTable.Chosen) -> None:
        """Fold or unfold a group; to the flows of a workload."""
        message.stop()
        row = self.row
        if row is None:
            return
        if row.folds:
            self.opened = self._open ^ {row.key}
            self._lay_out(self._here())
        else:
            self._pivot(2)

    def action_fold(self) -> None:
        """All of them."""
        keys = frozenset(Row(group).key for group in self.groups)
        here, opened = self._here(), self._open
        self.opened = frozenset() if opened & keys else keys
        self._lay_out(here)

    def _by(self, rank: Rank, *, descending: bool) -> None:
        self.rank, self.descending = rank, descending
        self._ask()

    def action_rank(self) -> None:
        """The next measure."""
        self._by(RANKS[(RANKS.index(self.rank) + 1) % len(RANKS)], descending=self.descending)

    def action_reverse(self) -> None:
        """The other end first."""
        self._by(self.rank, descending=not self.descending)

    def action_group(self) -> None:
        """Ask by what."""
        from workbench.tui.screens.group_menu import GroupMenu

        keys = self.found.living.label_keys() if self.found is not None else []
        self.app.push_screen(GroupMenu(self.by, keys), self.group_by)

    def group_by(self, by: str | None) -> None:
        """Group by that; None leaves it as it is."""
        if by is not None and by != self.by:
            self.by, self.opened = by, None
            self._ask()

    def action_matrix(self) -> None:
        """The matrix of its flows."""
        self._pivot(4)

    def _pivot(self, number: int) -> None:
        subject = self.subject()
        if subject is not None and subject.kept:
            self.frame.filter_by(joined(self._view.filter, subject.kept), number)

    # -- for the frame ----------------------------------------------------------------------------

    def subject(self) -> Subject | None:
        """The workload, or the address."""
        row, one = self.row, self.workload
        if row is not None and row.unnamed is not None:
            ip, network = row.unnamed.ip, row.unnamed.network
            return Subject("host", f"{network} {ip}".strip(), ip, f"addr == {ip}")
        if one is None:
            return None
        return Subject("host", one.uid, visible(one.words), f"workload == {quoted(one.words)}" if one.name else _by_address(one))

    def keep_value(self) -> tuple[str, object] | None:
        """Its name, or its address where it has none."""
        row, one = self.row, self.workload
        if row is not None and row.unnamed is not None:
            return "addr", row.unnamed.ip
        if one is None:
            return None
        return ("workload", one.words) if one.name else ("addr", one.tenures[-1].ip)

    def text(self) -> str:
        """What it is called."""
        row, one = self.row, self.workload
        if one is not None:
            return visible(one.words)
        if row is not None and row.unnamed is not None:
            return row.unnamed.ip
        return "" if row is None or row.group is None else visible(row.group.value or "")

    def place(self) -> dict[str, Any]:
        """Grouping, ranking and the row."""
        return {"by": self.by, "rank": self.rank, "descending": self.descending, "row": self._here()}

    def restore(self, place: Mapping[str, Any]) -> None:
        """To that."""
        by, rank, row = place.get("by"), place.get("rank"), place.get("row")
        if isinstance(by, str) and (by in ("namespace", "node", "kind", "") or by.startswith("label:")):
            self.by = by[:400]
        self.rank = next((one for one in RANKS if one == rank), self.rank)
        self.descending = place.get("descending") is not False
        if isinstance(row, dict):
            self._wanted = row
        self._ask()
        if self._asked == self._shown and self._wanted:
            wanted, self._wanted = self._wanted, {}
            self._lay_out(wanted)


def _by_address(one: Workload) -> str:
    return f"addr == {one.tenures[-1].ip}"
