"""A case of the store as the screens ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.store import pages
from workbench.tui.data import Bins, Order, Sorting, Span, Summary

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.store.reader import CaseReader


class StoredCase:
    """A case through a reader of it; `reader` may be one of a writer in this process."""

    def __init__(self, reader: CaseReader) -> None:
        self._reader = reader

    @classmethod
    def open(cls, path: Path) -> StoredCase:
        """The case in a folder. Raises what CaseReader raises."""
        from workbench.store.reader import CaseReader

        return cls(CaseReader(path))

    @property
    def path(self) -> Path:
        """The case folder."""
        return self._reader.case.root

    @property
    def generation(self) -> int:
        """Grows when the case on disk has changed: orders made before may fail then."""
        return self._reader.generation

    def summary(self) -> Summary:
        """Sources, ledger and extent as they are now."""
        self._reader.refresh()
        found = pages.extent(self._reader)
        flows = self._rows("SELECT count(*) AS n FROM flows")
        return Summary(
            sources=self._rows("SELECT * FROM sources ORDER BY source_id"),
            ledger=self._rows("SELECT * FROM ledger ORDER BY source_id, kind, count DESC"),
            flows=int(flows[0]["n"]),
            extent=None if found is None else Span(found[0], found[1] + 1),
        )

    def _rows(self, sql: str) -> Sequence[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._reader.query(sql).to_pylist()
        return rows

    def order(self, sorting: Sorting, span: Span | None) -> Order:
        """Flows in an order; the ends are there at once, the middle soon."""
        where = pages.EVERYTHING if span is None else pages.Where.touching(span.start, span.end)
        return StoredOrder(pages.Order(self._reader, sorting.column, descending=sorting.descending, where=where))

    def timeline(self, span: Span, bins: int) -> Bins:
        """Counts per bin; the last bin may reach a little beyond the span."""
        found = pages.timeline(self._reader, span.start, span.end, bins)
        return Bins(Span(found.start, found.start + found.width * bins), found.flows, found.packets, found.bytes)

    def interrupt(self) -> None:
        """Stop what every thread is asking."""
        self._reader.interrupt()

    def close(self) -> None:
        """Let go of the case."""
        self._reader.close()


class StoredOrder:
    """An order of the store."""

    def __init__(self, order: pages.Order) -> None:
        self._order = order
        self.total = order.total

    @property
    def complete(self) -> bool:
        """Whether every page can be had at once."""
        return self._order.complete

    def ready(self, start: int, count: int) -> bool:
        """Whether these rows can be had without waiting: all are, or they stand at one of the ends."""
        end = min(start + count, self.total)
        return self._order.complete or end <= pages.EDGE or start >= self.total - pages.EDGE

    def page(self, start: int, count: int) -> pa.Table:
        """Rows of the order, all columns."""
        return self._order.page(start, count)

    def position(self, flow_id: int) -> int | None:
        """The row number of a flow."""
        return self._order.position(flow_id)

    def wait(self, seconds: float) -> bool:
        """Wait until it is complete; False where it took longer."""
        return self._order.wait(seconds)

    def close(self) -> None:
        """Stop numbering and free the numbers."""
        self._order.close()
