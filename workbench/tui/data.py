"""What the screens ask of a case: orders of its flows, pages of an order, a timeline, a summary.

Everything here is called from worker threads, never from the event loop, and may take as long as it
needs; `interrupt` may be called from any thread and makes running calls raise. Screens know only these
protocols, so the same widgets show a case on disk, one that is being indexed, and a test's rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


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


class PageSource(Protocol):
    """Rows by dense number; what the virtual table pages over."""

    @property
    def total(self) -> int:
        """How many rows there are; fixed for the life of the source."""

    def page(self, start: int, count: int) -> pa.Table:
        """Rows `start` to `start + count` (cut at `total`), all columns. Thread-safe."""

    def ready(self, start: int, count: int) -> bool:
        """Whether `page` would answer at once, and not only when the whole order is known."""


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

    extent covers the first to the last packet; None while there is none.
    """

    sources: Sequence[dict[str, Any]] = ()
    ledger: Sequence[dict[str, Any]] = ()
    flows: int = 0
    extent: Span | None = None


class CaseData(Protocol):
    """One case as the screens see it."""

    @property
    def path(self) -> Path:
        """The case folder."""

    @property
    def generation(self) -> int:
        """Grows when the case on disk has changed: orders made before may fail then."""

    def summary(self) -> Summary:
        """Sources, ledger and extent as they are now."""

    def order(self, sorting: Sorting, span: Span | None) -> Order:
        """All flows, or those that touch `span`, in an order; ties by flow_id."""

    def timeline(self, span: Span, bins: int) -> Bins:
        """Flows (by first packet), packets and bytes (spread over slices of long flows) per bin."""

    def interrupt(self) -> None:
        """Make orders and timelines that are being computed raise; from any thread."""

    def close(self) -> None:
        """Let go of the case."""
