"""Messages that cross widgets and threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.message import Message

from workbench.filters import Completion
from workbench.tui.data import Bins, CaseData, Order, Summary, View, Wrong

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.dissect.lines import Node
    from workbench.tui.finding_marks import Marks
    from workbench.tui.packet_rows import PacketRows
    from workbench.workflows.carve import CarveProgress, CarveResult, Frame
    from workbench.workflows.drift_watch import DriftNews


@dataclass
class IndexingChanged(Message):
    """Indexing went on, ended or failed; the state is in the run. Later ones replace earlier ones."""

    def can_replace(self, message: Message) -> bool:
        """Only the latest counts."""
        return isinstance(message, IndexingChanged)


@dataclass
class LiveChanged(Message):
    """A live source began, went on, or ended; the state is in the run. Later ones replace earlier ones."""

    def can_replace(self, message: Message) -> bool:
        """Only the latest counts."""
        return isinstance(message, LiveChanged)


@dataclass
class DriftChanged(Message):
    """Something about a target has changed while attached; None: the line is to be painted anew."""

    news: DriftNews | None


@dataclass
class CaseOpened(Message):
    """A case that was not there before can be read."""

    data: CaseData


@dataclass
class SummarySeen(Message):
    """The case was summed up, to be counted and not to be shown."""

    summary: Summary


@dataclass
class SummaryReady(Message):
    """The case was summed up."""

    summary: Summary


@dataclass
class LayoutReady(Message):
    """Where the person left the case was read."""

    layout: Mapping[str, Any]


@dataclass
class CaseMoved(Message):
    """Someone wrote the case on disk (grown), or its notebook (noted)."""

    grown: bool
    noted: bool


@dataclass
class OrderReady(Message):
    """Flows are in order. row: where the cursor goes; None = it stays at its row number. pages: rows that came with it."""

    order: Order
    view: View
    row: int | None
    serial: int
    pages: Mapping[int, pa.Table] = field(default_factory=dict)


@dataclass
class OrderComplete(Message):
    """All of an order is known."""

    serial: int


@dataclass
class BinsReady(Message):
    """The timeline was counted."""

    bins: Bins
    filter: str
    serial: int


@dataclass
class MarksReady(Message):
    """Where findings lie in time."""

    marks: Marks


@dataclass
class WorkFailed(Message):
    """Something asked of the case failed. serial: 0 for a summary."""

    error: Exception
    serial: int


@dataclass
class FilterChecked(Message):
    """A filter was looked at; None where it is right."""

    text: str
    wrong: Wrong | None


@dataclass
class FilterOffered(Message):
    """What could stand at the cursor of a filter."""

    text: str
    cursor: int
    offers: Sequence[Completion]


@dataclass
class PacketsRead(Message):
    """More packets of a flow were read, from the place `start` on."""

    rows: PacketRows
    start: int


@dataclass
class PacketsRested(Message):
    """Reading has come to an end, or to as many as were wanted."""

    rows: PacketRows


@dataclass
class PacketsFailed(Message):
    """Packets could not be read. rows: which; None where no flow was shown yet."""

    error: Exception
    rows: PacketRows | None


@dataclass
class PacketTaken(Message):
    """A packet's bytes (None: masked), and its tree once it is there; why: what stands in place of the tree.

    reason: the one for which it is unmasked; None for masked.
    """

    row: int
    frame: Frame
    pieces: Sequence[tuple[int, bytes | None]]
    nodes: Sequence[Node] | None
    why: str
    reason: str | None


@dataclass
class FlowFound(Message):
    """The row of a flow that a place names, and the packet in it, from 0."""

    flow: Mapping[str, Any]
    packet: int


@dataclass
class PacketsExplained(Message):
    """Words for packets [start, start + count) are there; why: the reason that there will be none."""

    rows: PacketRows
    start: int
    count: int
    why: str


@dataclass
class CarveMoved(Message):
    """Carving went on. Later ones replace earlier ones."""

    progress: CarveProgress

    def can_replace(self, message: Message) -> bool:
        """Only the latest counts."""
        return isinstance(message, CarveMoved)


@dataclass
class CarveEnded(Message):
    """Carving is done, or failed."""

    out: Path
    result: CarveResult | None
    error: Exception | None


@dataclass
class BookmarkTurned(Message):
    """A bookmark was set or taken away. error: why not."""

    words: str
    there: bool
    error: BaseException | None = None
