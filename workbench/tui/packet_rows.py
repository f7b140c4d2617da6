"""Packets of one flow as they were read until now: a row for each, and whole frames of the last ones.

A frame's bytes are kept only while there is room for them: a flow may have millions of packets.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from workbench.tui.data import CaseData
from workbench.tui.paging import PAGE_ROWS

if TYPE_CHECKING:
    from workbench.dissect.lines import Line
    from workbench.workflows.carve import Frame

#: Bytes of frames that are kept.
_KEPT: Final = 16 << 20

_SCHEMA: Final = pa.schema(
    [
        ("number", pa.int64()),
        ("ts_ns", pa.int64()),
        ("since_first", pa.int64()),
        ("since_previous", pa.int64()),
        ("from_src", pa.bool_()),
        ("wire", pa.int64()),
        ("payload", pa.int64()),
        ("protocol", pa.string()),
        ("info", pa.string()),
    ]
)


class PacketRows:
    """A page source that grows. Reading and looking may go on in different threads.

    Rows are those of one direction, or all (`follow`); a place is a packet's number in the flow, from 0, either way.
    """

    def __init__(self, data: CaseData, flow_id: int, expected: int) -> None:
        self.flow_id = flow_id
        self.expected = expected
        self.ended = False
        self._data = data
        self._lock = threading.Lock()
        self._rows: list[tuple[int, int, bool, int, int]] = []
        self._sides: dict[bool, list[int]] = {True: [], False: []}
        self._way: bool | None = None
        self._lines: dict[int, tuple[str, str]] = {}
        self._frames: OrderedDict[int, Frame] = OrderedDict()
        self._kept = 0
        self._source: Iterator[Frame] | None = None
        self._stop = threading.Event()

    @property
    def total(self) -> int:
        """Rows: packets read until now, in the direction that is followed."""
        return self.read_total if self._way is None else len(self._sides[self._way])

    @property
    def read_total(self) -> int:
        """Packets read until now, both ways."""
        return len(self._rows)

    @property
    def way(self) -> bool | None:
        """True: what the originator sent; False: what was sent to it; None: both."""
        return self._way

    def follow(self, way: bool | None) -> None:
        """Show one direction, or both (None). The rows are others then: their pages are fetched anew."""
        with self._lock:
            self._way = way

    def place(self, row: int) -> int:
        """The place of a row in the flow. IndexError beyond the rows."""
        return row if self._way is None else self._sides[self._way][row]

    def row_at(self, place: int) -> int:
        """The row of a place; where it goes the other way, the next row that does not, which may not be there yet."""
        return place if self._way is None else bisect_left(self._sides[self._way], place)

    def find(self, fits: Callable[[int, int], bool], start: int = 0) -> int | None:
        """The first place from `start` on whose number in the capture and time (ns) fit; None among those that were read."""
        with self._lock:
            found = (n for n in range(start, len(self._rows)) if fits(self._rows[n][0], self._rows[n][1]))
            return next(found, None)

    @property
    def began(self) -> int:
        """When the first packet was captured, ns; 0 while there is none."""
        return self._rows[0][1] if self._rows else 0

    def ready(self, start: int, count: int) -> bool:  # noqa: ARG002  what is counted is here
        """Always."""
        return True

    def page(self, start: int, count: int) -> pa.Table:
        """Rows of what was read."""
        with self._lock:
            end = min(start + count, self.total)
            places = [self.place(n) for n in range(start, end)]
            before = self._rows[self.place(start - 1)][1] if 0 < start <= self.total else None
            made = []
            for place in places:
                number, ts, *rest = self._rows[place]
                step = 0 if before is None else ts - before
                before = ts
                made.append((number, ts, ts - self.began, step, *rest, *self._lines.get(place, ("", ""))))
        columns: list[Any] = [*zip(*made, strict=True)] if made else [()] * len(_SCHEMA)
        return pa.table([pa.array(column, f.type) for column, f in zip(columns, _SCHEMA, strict=True)], schema=_SCHEMA)

    # -- reading, in a thread ---------------------------------------------------------------------

    def read(self, until: int, told: Callable[[], None]) -> None:
        """Read on until so many packets are here or there are no more; `told` now and then, first after the first one.

        Raises what the case raises. `stop` from another thread ends it early, and a later `read` goes on.
        """
        self._stop.clear()
        if self._source is None:
            self._source = iter(self._data.frames(self.flow_id, len(self._rows), None, self._stop.is_set))
        next_word = self.read_total + 1
        while self.read_total < until and not self.ended and not self._stop.is_set():
            try:
                frame = next(self._source, None)
            except BaseException:
                self._source = None  # a generator that raised is over: the next one begins where this one stopped
                raise
            if frame is None:
                self.ended = True
                break
            self._take(frame)
            if self.read_total >= next_word:
                told()
                next_word = self.read_total + min(PAGE_ROWS, self.read_total)
        told()

    def _take(self, frame: Frame) -> None:
        with self._lock:
            number = len(self._rows)
            self._rows.append((frame.number, frame.ts_ns, frame.from_src, frame.wire, frame.captured - frame.payload_at))
            self._sides[frame.from_src].append(number)
            self._keep(number, frame)

    def _keep(self, number: int, frame: Frame) -> None:
        self._frames[number] = frame
        self._kept += len(frame.data)
        while self._kept > _KEPT and len(self._frames) > 1:
            self._kept -= len(self._frames.popitem(last=False)[1].data)

    def stop(self) -> None:
        """End reading; from any thread."""
        self._stop.set()

    def frame(self, number: int) -> Frame | None:
        """A packet by its place, read again where it was not kept. None where there is none."""
        with self._lock:
            found = self._frames.get(number)
        if found is None and number < self.read_total:
            found = next(iter(self._data.frames(self.flow_id, number, 1, lambda: False)), None)
            if found is not None:
                with self._lock:
                    self._keep(number, found)
        return found

    def has(self, number: int) -> bool:
        """Whether the packet can be had without reading."""
        return number in self._frames

    def close(self) -> None:
        """Stop, and let go of the capture."""
        self.stop()
        with self._lock:
            self._frames.clear()

    # -- what tshark says -------------------------------------------------------------------------

    def unexplained(self, first: int, last: int) -> tuple[int, int] | None:
        """Of rows [first, last) those that have no words yet, as (place of the first, places to the last)."""
        with self._lock:
            places = (self.place(n) for n in range(first, min(last, self.total)))
            missing = [place for place in places if place not in self._lines]
        return (missing[0], missing[-1] + 1 - missing[0]) if missing else None

    def explain(self, start: int, count: int, lines: Sequence[Line]) -> None:
        """Protocol and words of packets by their places; what tshark has no line for has none."""
        with self._lock:
            for n in range(count):
                line: Any = lines[n] if n < len(lines) else None
                self._lines[start + n] = ("", "") if line is None else (line.protocol, line.info)
