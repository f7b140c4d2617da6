"""Messages that cross widgets and threads."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message

from workbench.tui.data import Bins, Order, Sorting, Span, Summary


@dataclass
class IndexingChanged(Message):
    """Indexing went on, ended or failed; the state is in the run. Later ones replace earlier ones."""

    def can_replace(self, message: Message) -> bool:
        """Only the latest counts."""
        return isinstance(message, IndexingChanged)


@dataclass
class SummaryReady(Message):
    """The case was summed up."""

    summary: Summary


@dataclass
class OrderReady(Message):
    """Flows are in order. row: where the cursor goes; None = it stays at its row number."""

    order: Order
    sorting: Sorting
    span: Span | None
    row: int | None
    serial: int


@dataclass
class OrderComplete(Message):
    """All of an order is known."""

    serial: int


@dataclass
class BinsReady(Message):
    """The timeline was counted."""

    bins: Bins
    serial: int


@dataclass
class WorkFailed(Message):
    """Something asked of the case failed. serial: 0 for a summary."""

    error: Exception
    serial: int
