"""A case of the store as the screens ask for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workbench.analysis import flow_names
from workbench.errors import FilterError
from workbench.filters import Completion, compile_filter, complete
from workbench.records.columns import BY_NAME
from workbench.store import pages
from workbench.store.notebook import Notebook
from workbench.store.values import seen_values
from workbench.tui.data import Amount, Bins, Order, Span, Summary, View, Wrong
from workbench.workflows.kernels import prepare_kernel_cache, warmed
from workbench.workflows.show import case_filter

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.dissect.lines import Line, Node
    from workbench.store.known import Known
    from workbench.store.query import Rows, Stop
    from workbench.store.reader import CaseReader, Question
    from workbench.workflows.carve import CarveProgress, CarveRequest, CarveResult, Frame
    from workbench.workflows.dissect import Dissector
    from workbench.workflows.hunt import DetectResult, HuntProgress

#: Flows from which on a page of rows in any order takes longer than people notice.
_MANY: Final = 500_000


class StoredCase:
    """A case through a reader of it; `reader` may be one of a writer in this process."""

    def __init__(self, reader: CaseReader) -> None:
        self._reader = reader
        self._tshark = _Tshark()
        self._notebook = Notebook(reader.case.root)

    @classmethod
    def open(cls, path: Path) -> StoredCase:
        """The case in a folder. Raises what CaseReader raises."""
        from workbench.decode.application.homes import homes
        from workbench.store.reader import CaseReader

        homes()  # the first flow that is shown asks for them, where a person waits
        return cls(CaseReader(path))

    @property
    def path(self) -> Path:
        """The case folder."""
        return self._reader.case.root

    @property
    def generation(self) -> int:
        """Grows when the case on disk has changed: orders made before may fail then."""
        return self._reader.generation

    @property
    def notebook(self) -> Notebook | None:
        """What people wrote on the case; made by the first who writes."""
        return self._notebook

    def look(self) -> int:
        """Look whether someone wrote the case on disk since; its generation then."""
        self._reader.refresh()
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
            named=flow_names.known(self._reader),
            decided=bool(self._rows("SELECT 1 FROM verdicts LIMIT 1")),
        )

    def _rows(self, sql: str) -> Sequence[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._reader.query(sql).to_pylist()
        return rows

    def order(self, view: View) -> Order:
        """Flows in an order; the ends are there at once, the middle soon."""
        sorting = view.sorting
        return StoredOrder(pages.Order(self._reader, sorting.column, descending=sorting.descending, where=self.where(view)))

    def question(self) -> Question:
        """A question of its own for an analysis."""
        return self._reader.question()

    def where(self, view: View) -> pages.Where:
        """Which flows a view shows, for an analysis."""
        where = self._kept(view.filter)
        return where if view.span is None else pages.Where.touching(view.span.start, view.span.end).and_(where)

    def _kept(self, text: str) -> pages.Where:
        if not text:
            return pages.EVERYTHING
        made = case_filter(self._reader, text)
        return pages.Where(made.sql, made.params)

    def rows(
        self, sql: str, params: Mapping[str, Any], view: View | None, stop: Stop, *, limit: int | None = None, batch: int = 65_536
    ) -> Rows:
        """Run a person's SQL; what a writer of this process holds is read whole, so it is bounded there."""
        from workbench.store.query import run_query

        where = pages.EVERYTHING if view is None else self.where(view)
        bound = limit if self._reader.live else None
        return run_query(self._reader, sql, dict(params), bound, where, stop, batch)

    def known(self) -> Known:
        """Tables, views, columns and functions."""
        from workbench.store.known import known_names

        return known_names(self._reader.question())

    def detect(self, progress: Callable[[HuntProgress], None], cancel: threading.Event) -> DetectResult:
        """Run all detections, those of the person's own folder as well."""
        from workbench.workflows.hunt import detect

        return detect(self._reader, progress=progress, cancel=cancel)

    def draft(self, kept: str, finding: str, breadth: str, question: Question) -> str:
        """A policy from what was seen, with its evidence as notes."""
        from workbench.workflows.draft_policy import Options, Selection, suggest_policy

        return suggest_policy(self._reader, Selection(kept, finding=finding), Options(breadth=breadth), question).text

    def check(self, text: str) -> Wrong | None:
        """What is wrong with a filter; asks the case nothing."""
        try:
            compile_filter(text, tables=BY_NAME.keys())
        except FilterError as error:
            return Wrong.of(error)
        return None

    def complete(self, text: str, cursor: int) -> Sequence[Completion]:
        """What could stand at the cursor, values of the case among it."""
        return complete(text, cursor, partial(seen_values, self._reader))

    def amount(self, view: View) -> Amount:
        """How much a view is."""
        flows, packets, size = pages.amount(self._reader, self.where(view))
        return Amount(flows, packets, size)

    def timeline(self, span: Span, bins: int, kept: str) -> Bins:
        """Counts per bin; the last bin may reach a little beyond the span."""
        found = pages.timeline(self._reader, span.start, span.end, bins, self._kept(kept))
        return Bins(Span(found.start, found.start + found.width * bins), found.flows, found.packets, found.bytes)

    def moments(self, kept: str) -> Sequence[tuple[str, int, int]]:
        """Where open and confirmed findings lie in time."""
        from workbench.analysis.found import moments

        states = self._notebook.states()
        found = moments(self._reader, self._kept(kept))
        return [one[1:] for one in found if one[0] not in states or states[one[0]].state in ("open", "confirmed")]

    # -- packets ----------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Load what reads packets, if it is compiled: that takes a second, which the first look at packets then does not."""
        if warmed(prepare_kernel_cache()):
            import workbench.workflows.carve  # noqa: F401  loading is all that is wanted

    def frames(self, flow_id: int, start: int, limit: int | None, cancel: Callable[[], bool]) -> Iterator[Frame]:
        """Packets of a flow as they are found."""
        prepare_kernel_cache()
        from workbench.workflows.carve import read_frames

        return read_frames(self._reader, flow_id, start=start, limit=limit, cancel=cancel)

    def lines(self, flow_id: int, start: int, limit: int) -> Sequence[Line]:
        """Words of a page of packets."""
        prepare_kernel_cache()
        from workbench.workflows.dissect import packet_lines

        return packet_lines(self._reader, flow_id, start, limit, dissector=self._tshark.held())

    def tree(self, frame: Frame, reason: str | None) -> Sequence[Node]:
        """A packet's tree; with a reason unmasked, which the audit log says first."""
        prepare_kernel_cache()
        from workbench.workflows.dissect import packet_tree

        return packet_tree(self._reader, frame, reason, dissector=self._tshark.held() if reason is None else None)

    def hex(self, frame: Frame, reason: str | None) -> Sequence[tuple[int, bytes | None]]:
        """A packet's bytes; with a reason all of them, which the audit log says first."""
        from workbench.workflows.dissect import packet_hex

        return packet_hex(self._reader, frame, reason)

    def stop_dissecting(self) -> None:
        """End tshark; the next question starts it again."""
        self._tshark.end()

    def carve(
        self, request: CarveRequest, out: Path, progress: Callable[[CarveProgress], None], cancel: Callable[[], bool]
    ) -> CarveResult:
        """Write packets to a capture file, through the reader that is open already."""
        prepare_kernel_cache()
        from workbench.workflows.carve import carve_from

        return carve_from(self._reader, request, out, progress, cancel)

    def interrupt(self) -> None:
        """Stop what every thread is asking."""
        self._reader.interrupt()

    def close(self) -> None:
        """Let go of the case."""
        self._tshark.end()
        self._notebook.close()
        self._reader.close()


class _Tshark:
    """The masking dissector of a case, started at the first question: a start costs half a second. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._one: Dissector | None = None

    def held(self) -> Dissector:
        """The one that is running. ExternalError where tshark is not installed."""
        from workbench.workflows.dissect import new_dissector

        with self._lock:
            if self._one is None:
                self._one = new_dissector()
            return self._one

    def end(self) -> None:
        """Stop what is being asked, and end it."""
        with self._lock:
            one, self._one = self._one, None
        if one is not None:
            one.cancel()
            one.close()


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

    @property
    def by_columns(self) -> bool:
        """Of few flows a page is there at once, with all of its columns."""
        return self.total > _MANY

    def part(self, start: int, count: int, columns: Sequence[str]) -> pa.Table:
        """Rows of the order with these columns, and what marks go by."""
        return self._order.page(start, count, tuple(dict.fromkeys(("flow_id", *columns))))

    def position(self, flow_id: int) -> int | None:
        """The row number of a flow."""
        return self._order.position(flow_id)

    def wait(self, seconds: float) -> bool:
        """Wait until it is complete; False where it took longer."""
        return self._order.wait(seconds)

    def close(self) -> None:
        """Stop numbering and free the numbers."""
        self._order.close()
