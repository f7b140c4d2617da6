"""What the screens ask of a case: orders of its flows, pages of an order, a timeline, a summary, packets.

Everything here is called from worker threads, never from the event loop, and may take as long as it
needs; `interrupt` may be called from any thread and makes running calls raise. Screens know only these
protocols, so the same widgets show a case on disk, one that is being indexed, and a test's rows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.errors import FilterError
from workbench.filters import Completion

if TYPE_CHECKING:
    from workbench.dissect.lines import Line, Node
    from workbench.store.known import Known
    from workbench.store.notebook import Notebook
    from workbench.store.pages import Where
    from workbench.store.query import Rows, Stop
    from workbench.store.reader import Question
    from workbench.workflows.carve import CarveProgress, CarveRequest, CarveResult, Frame
    from workbench.workflows.hunt import DetectResult, HuntProgress


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open time range, microseconds since 1970-01-01 UTC; never empty."""

    start: int
    end: int

    @property
    def width(self) -> int:
        """Microseconds covered."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Sorting:
    """By which column rows are ordered."""

    column: str = "ts"
    descending: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """Which flows in which order: the one filter, the one time range and the one order of a screen.

    filter: text of the filter language, '' for all flows. It stays text, since what `-15m` means follows the case.
    """

    sorting: Sorting = Sorting()
    span: Span | None = None
    filter: str = ""


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a filter: `length` characters from `position` on, counted from 0."""

    message: str
    remedy: str
    position: int
    length: int

    @classmethod
    def of(cls, error: FilterError) -> Wrong:
        """From what the language raises."""
        return cls(error.message, error.remedy, error.position, error.length)


@dataclass(frozen=True, slots=True)
class Amount:
    """How much a choice of flows is: flows, and the packets and IP bytes in them."""

    flows: int
    packets: int
    bytes: int


class PageSource(Protocol):
    """Rows by dense number; what the virtual table pages over."""

    @property
    def total(self) -> int:
        """How many rows there are; fixed for the life of the source."""

    def page(self, start: int, count: int) -> pa.Table:
        """Rows `start` to `start + count` (cut at `total`), all columns. Thread-safe."""

    def ready(self, start: int, count: int) -> bool:
        """Whether `page` would answer at once, and not only when the whole order is known."""


@runtime_checkable
class ColumnSource(Protocol):
    """A source whose rows cost by the column: what a screen shows is asked for first, the rest of the rows behind it."""

    @property
    def by_columns(self) -> bool:
        """Whether that is worth two questions: it has many rows, which lie all over the case."""

    def part(self, start: int, count: int, columns: Sequence[str]) -> pa.Table:
        """Rows as `page` has them, of these columns alone (and more where it needs them). Thread-safe."""


class Order(PageSource, Protocol):
    """Flows in one order, at one moment: the ids are stored once, so any depth costs the same."""

    def position(self, flow_id: int) -> int | None:
        """The row number of a flow, None where it is not in this order. Waits for the whole order."""

    @property
    def complete(self) -> bool:
        """Whether all of it is known."""

    def wait(self, seconds: float) -> bool:
        """Wait until all of it is known; False where that took longer."""

    def close(self) -> None:
        """Free the stored ids."""


@dataclass(frozen=True, slots=True)
class Bins:
    """A timeline: equal bins over `span`; arrays of one length, counts per bin."""

    span: Span
    flows: NDArray[np.int64]
    packets: NDArray[np.int64]
    bytes: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Summary:
    """The case at one moment: rows of `sources` and `ledger`, how many flows, and when.

    extent covers the first to the last packet; None while there is none. named: whether any flow has the name of a workload.
    decided: whether devices told what they decided on any.
    """

    sources: Sequence[dict[str, Any]] = ()
    ledger: Sequence[dict[str, Any]] = ()
    flows: int = 0
    extent: Span | None = None
    named: bool = False
    decided: bool = False


class CaseData(Protocol):
    """One case as the screens see it."""

    @property
    def path(self) -> Path:
        """The case folder."""

    @property
    def generation(self) -> int:
        """Grows when the case on disk has changed: orders made before may fail then."""

    @property
    def notebook(self) -> Notebook | None:
        """Notes, bookmarks, findings' states, layout; None for a case that is nowhere on disk."""

    def look(self) -> int:
        """Look whether someone wrote the case on disk since; its generation then. Cheap."""

    def summary(self) -> Summary:
        """Sources, ledger and extent as they are now."""

    def order(self, view: View) -> Order:
        """Flows that touch its span and that its filter keeps, in its order; ties by flow_id.

        FilterError where the filter is wrong.
        """

    def question(self) -> Question:
        """A question of its own for an analysis: it can be stopped without stopping the rest."""

    def where(self, view: View) -> Where:
        """Which flows a view shows, for an analysis. FilterError where the filter is wrong."""

    def rows(
        self, sql: str, params: Mapping[str, Any], view: View | None, stop: Stop, *, limit: int | None = None, batch: int = 65_536
    ) -> Rows:
        """Run a person's SQL over the flows of a view, or over all. QueryError, FilterError, CancelledError."""

    def known(self) -> Known:
        """What a person's SQL can name."""

    def timeline(self, span: Span, bins: int, kept: str) -> Bins:
        """Flows (by first packet), packets and bytes (spread over slices of long flows) that a filter keeps, per bin."""

    def moments(self, kept: str) -> Sequence[tuple[str, int, int]]:
        """Severity, first and last moment (us) of findings that nobody closed, with a flow that a filter keeps."""

    def detect(self, progress: Callable[[HuntProgress], None], cancel: threading.Event) -> DetectResult:
        """Run all detections and keep what they find; CancelledError once `cancel` is set."""

    def draft(self, kept: str, finding: str, breadth: str, question: Question) -> str:
        """A policy drafted from the flows of a filter, or from a finding, as text. UsageError, FilterError, CancelledError."""

    def check(self, text: str) -> Wrong | None:
        """What is wrong with a filter; None where it can be applied. No rows are read."""

    def complete(self, text: str, cursor: int) -> Sequence[Completion]:
        """What could stand at the cursor: fields, operators, values that are in the case."""

    def amount(self, view: View) -> Amount:
        """How many flows a view has, and how much is in them."""

    def prepare(self) -> None:
        """Get ready for `frames`, where that takes a moment; nothing need wait for it."""

    def frames(self, flow_id: int, start: int, limit: int | None, cancel: Callable[[], bool]) -> Iterator[Frame]:
        """Packets of a flow in order of their capture, from its `start`th on; as they are found.

        Raises what says that the capture is gone or another one now (errors.WorkbenchError).
        """

    def lines(self, flow_id: int, start: int, limit: int) -> Sequence[Line]:
        """Protocol and words of a flow's packets as tshark has them. ExternalError without tshark."""

    def tree(self, frame: Frame, reason: str | None) -> Sequence[Node]:
        """A packet's protocols and fields; values of people masked, unless there is a reason, which is put on record."""

    def hex(self, frame: Frame, reason: str | None) -> Sequence[tuple[int, bytes | None]]:
        """A packet's bytes in pieces by offset; None for a masked piece that ends where the next begins, or the packet does."""

    def stop_dissecting(self) -> None:
        """Make a tree or lines that are being asked for raise; from any thread."""

    def carve(
        self, request: CarveRequest, out: Path, progress: Callable[[CarveProgress], None], cancel: Callable[[], bool]
    ) -> CarveResult:
        """Write packets to a capture file."""

    def interrupt(self) -> None:
        """Make orders and timelines that are being computed raise; from any thread."""

    def close(self) -> None:
        """Let go of the case."""
