"""Packets of one flow as they were read until now: a row for each, and whole frames of the last ones.

A frame's bytes are kept only while there is room for them: a flow may have millions of packets.
"""

from __future__ import annotations

import threading
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
        ("from_src", pa.bool_()),
        ("wire", pa.int64()),
        ("payload", pa.int64()),
        ("protocol", pa.string()),
        ("info", pa.string()),
    ]
)


class PacketRows:
    """A page source that grows. Reading and looking may go on in different threads."""

    def __init__(self, data: CaseData, flow_id: int, expected: int) -> None:
        self.flow_id = flow_id
        self.expected = expected
        self.ended = False
        self._data = data
        self._lock = threading.Lock()
        self._rows: list[tuple[int, int, bool, int, int]] = []
        self._lines: dict[int, tuple[str, str]] = {}
        self._frames: OrderedDict[int, Frame] = OrderedDict()
        self._kept = 0
        self._source: Iterator[Frame] | None = None
        self._stop = threading.Event()

    @property
    def total(self) -> int:
        """Packets read until now."""
        return len(self._rows)

    def ready(self, start: int, count: int) -> bool:  # noqa: ARG002  what is counted is here
        """Always."""
        return True

    def page(self, start: int, count: int) -> pa.Table:
        """Rows of what was read."""
        with self._lock:
            rows = self._rows[start : start + count]
            words = [self._lines.get(start + n, ("", "")) for n in range(len(rows))]
        columns: list[Any] = [*zip(*rows, strict=True)] if rows else [()] * 5
        columns += [*zip(*words, strict=True)] if words else [()] * 2
        return pa.table([pa.array(column, f.type) for column, f in zip(columns, _SCHEMA, strict=True)], schema=_SCHEMA)

    # -- reading, in a thread ---------------------------------------------------------------------

    def read(self, until: int, told: Callable[[], None]) -> None:
        """Read on until so many packets are here or there are no more; `told` now and then, first after the first one.

        Raises what the case raises. `stop` from another thread ends it early, and a later `read` goes on.
        """
        self._stop.clear()
        if self._source is None:
            self._source = iter(self._data.frames(self.flow_id, len(self._rows), None, self._stop.is_set))
        next_word = self.total + 1
        while self.total < until and not self.ended and not self._stop.is_set():
            try:
                frame = next(self._source, None)
            except BaseException:
                self._source = None  # a generator that raised is over: the next one begins where this one stopped
                raise
            if frame is None:
                self.ended = True
                break
            self._take(frame)
            if self.total >= next_word:
                told()
                next_word = self.total + min(PAGE_ROWS, self.total)
        told()

    def _take(self, frame: Frame) -> None:
        with self._lock:
            number = len(self._rows)
            self._rows.append((frame.number, frame.ts_ns, frame.from_src, frame.wire, frame.captured - frame.payload_at))
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
        """A packet by its place in the flow, read again where it was not kept. None where there is none."""
        with self._lock:
            found = self._frames.get(number)
        if found is None and number < self.total:
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
        """The first gap in [first, last) that has no words yet, as (start, count)."""
        with self._lock:
            missing = [n for n in range(first, min(last, len(self._rows))) if n not in self._lines]
        return (missing[0], missing[-1] + 1 - missing[0]) if missing else None

    def explain(self, start: int, count: int, lines: Sequence[Line]) -> None:
        """Protocol and words of packets; what tshark has no line for has none."""
        with self._lock:
            for n in range(count):
                line: Any = lines[n] if n < len(lines) else None
                self._lines[start + n] = ("", "") if line is None else (line.protocol, line.info)
