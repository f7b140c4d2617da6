"""Names of workloads beside flows: two columns for the table, and words for the details."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from workbench.analysis.flow_names import NAMES, End, with_names
from workbench.records.visible import visible
from workbench.store.reader import Question
from workbench.tui.data import Order
from workbench.tui.looks import TEXT_LIMIT, Look, text_cell

#: What the table may show beside the columns of `flows`; it cannot be sorted or grouped by.
NAME_LOOKS: Final = (
    Look("src_name", "source name", "who held the source address when the flow began", 20, 39, False, "", text_cell),
    Look("dst_name", "dest name", "who held the destination address when the flow began", 20, 39, False, "", text_cell),
)


class NamedOrder:
    """An order of flows whose pages have the names of both ends, asked for with each page."""

    def __init__(self, order: Order, question: Question) -> None:
        self.order, self._question = order, question

    @property
    def total(self) -> int:
        """How many rows there are."""
        return self.order.total

    def ready(self, start: int, count: int) -> bool:
        """Whether these rows can be had without waiting."""
        return self.order.ready(start, count)

    def page(self, start: int, count: int) -> pa.Table:
        """Rows with all columns."""
        return with_names(self._question, self.order.page(start, count))

    @property
    def by_columns(self) -> bool:
        """Whether it is worth asking for some columns first."""
        return bool(getattr(self.order, "by_columns", False))

    def part(self, start: int, count: int, columns: Sequence[str]) -> pa.Table:
        """Rows with these columns."""
        plain = [name for name in columns if name not in NAMES]
        rows: pa.Table = self.order.part(start, count, tuple(plain))  # type: ignore[attr-defined]
        return with_names(self._question, rows) if len(plain) < len(columns) else rows


def end_words(end: End | None) -> str:
    """`web/api-0: pod on node-a (kubernetes, 0.9)`; who claims it where that is not known; '' for nobody."""
    if end is None:
        return ""
    if end.claimants:
        listed = ", ".join(visible(one[:TEXT_LIMIT]) for one in end.claimants)
        return f"ambiguous: claimed by {listed}"
    on = f" on {text_cell(end.node)}" if end.node else ""
    return f"{visible(end.words[:TEXT_LIMIT])}: {text_cell(end.kind)}{on} ({text_cell(end.origin)}, {end.confidence:g})"


def ends_line(ends: Sequence[End | None]) -> str:
    """Both in a line: `web/api-0 → data/db-0`; '' where neither is known."""
    if not any(ends):
        return ""
    short = [
        "no name" if end is None else f"{len(end.claimants)} claim it" if end.claimants else visible(end.words[:TEXT_LIMIT])
        for end in ends
    ]
    return " → ".join(short)
