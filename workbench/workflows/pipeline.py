"""Bytes to flows for one source: framing, decoding, the flow table, one chunk at a time.

A chunk is a few thousand packets whose FRAME and PACKET rows stay in the L2 cache between the
kernels. No packet exists as a Python object. Deterministic: the same bytes give the same rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.decode.framing import Framer, open_framer
from workbench.decode.packets import decode_frames
from workbench.decode.tally import UndecodedTally
from workbench.errors import BadInputError
from workbench.flows.rows import BLOCK_SHIFT
from workbench.flows.table import FlowTable
from workbench.records.arrow import arrow_schema
from workbench.records.packet import FRAME, PACKET
from workbench.records.reasons import LedgerLine
from workbench.settings import FlowSettings
from workbench.sources.blocks import Block

if TYPE_CHECKING:  # its kernel is only loaded where there is a filter
    from workbench.workflows.selection import Selection

#: Packets a chunk: 8192 rows of both kinds are about 2 MB, which the caches still hold. Kernels give the interpreter's lock back
#: and want it again once a chunk; with smaller ones they wait for the readers more often than the caches save.
CHUNK: Final = 8192
VERIFY_CHECKSUMS: Final = 1
_NOTHING: Final = np.empty(0, np.uint8)


class Pipeline:
    """Feed it the blocks of each file of a source in order; take ended flows from `table`.

    selection: the capture filter; what it leaves out is framed and counted, but is no packet of the source. key: the case's,
    for hashing what names people.
    """

    def __init__(
        self, source_id: int, sensor: str, settings: FlowSettings, selection: Selection | None = None, key: bytes = b""
    ) -> None:
        self.table = FlowTable(source_id, sensor, settings, key)
        self.tally = UndecodedTally()
        self.selection = selection
        self.framer: Framer | None = None
        self.frames_seen = 0  # records of the source
        self.packets = 0  # of them, those that were selected
        self.offset = 0  # source offset behind the last record that was taken
        self._block = -1  # the last 4 MiB block of the source in which a record started
        self._places: list[dict[str, Any]] = []
        self._flags = 0 if settings.checksums == "ignore" else VERIFY_CHECKSUMS
        self._frames = np.empty(CHUNK, FRAME)
        self._packets = np.empty(CHUNK, PACKET)
        self._base = 0
        self._tail: NDArray[np.uint8] = _NOTHING

    def start_file(self, base: int) -> None:
        """The next block begins a file whose first byte stands at `base` in the source."""
        self.framer = None
        self._base = base
        self._tail = _NOTHING

    def feed(self, block: Block) -> None:
        """Take every whole record of the block; its cut tail waits for the next one.

        Raises BadInputError where the file begins like no capture.
        """
        data, start, end = block.data, block.start, block.end
        if len(self._tail) <= start:
            start -= len(self._tail)
            data[start : block.start] = self._tail
            base = self._base + block.offset - block.start
        else:  # a record longer than the head room: rare enough to pay for a copy
            data = np.concatenate((self._tail, data[start:end]))
            base = self._base + block.offset - len(self._tail)
            start, end = 0, len(data)
        if self.framer is None:
            self.framer = open_framer(data[start : min(end, start + 4096)].tobytes())
        start = self._take(data, start, end, base, eof=False)
        self._tail = data[start:end].copy()

    def end_file(self) -> None:
        """The file is over: what is left of it is a cut record, counted by the framer."""
        if self.framer is None:
            raise BadInputError("the file is empty", "Check how it was copied or captured.")
        tail = self._tail
        self._take(tail, 0, len(tail), self.offset, eof=True)
        self._tail = _NOTHING

    @property
    def undecoded(self) -> int:
        """Packets that are neither in a flow nor in `arp`."""
        return self.packets - self.table.packets - self.table.arp_packets

    def ledger(self) -> list[LedgerLine]:
        """Lines of decoding and of the flow table; the framers' are taken file by file."""
        left_out = self.selection.ledger() if self.selection is not None else []
        return [*self.tally.ledger(), *left_out, *self.table.ledger()]

    def places(self) -> dict[str, pa.RecordBatch]:
        """Rows of `source_blocks` since the last call: where the source can be entered later."""
        rows, self._places = self._places, []
        return {"source_blocks": pa.RecordBatch.from_pylist(rows, schema=arrow_schema("source_blocks"))} if rows else {}

    def _note_places(self, n: int, base: int) -> None:
        """Note the first of frames[:n] in each block that none was noted for; base: source offset of the buffer's start."""
        frames, framer = self._frames, self.framer
        assert framer is not None
        last = (int(frames["rec"][n - 1]) + base) >> BLOCK_SHIFT
        while self._block < last:
            at = int(np.searchsorted(frames["rec"][:n], ((self._block + 1) << BLOCK_SHIFT) - base))
            record = int(frames["rec"][at]) + base
            section, interfaces = framer.section(record - self._base)
            self._block = record >> BLOCK_SHIFT
            row: dict[str, int | None] = {"source_id": self.table.source_id, "block": self._block, "record_offset": record}
            row |= {"frame": self.frames_seen + at + 1, "ts_ns": int(frames["ts"][at]), "interfaces": interfaces}
            row["section_offset"] = None if section is None else section + self._base
            self._places.append(row)

    def _index(self, data: NDArray[np.uint8], kept: int, base: int, numbers: NDArray[np.int64] | None) -> None:
        """Take the packets that were decoded from `data` into the flow table; base: source offset of data[0]."""
        self.table.update(data, self._packets, kept, base, numbers)

    def _take(self, data: NDArray[np.uint8], start: int, end: int, base: int, *, eof: bool) -> int:
        framer, frames, packets = self.framer, self._frames, self._packets
        assert framer is not None
        while True:
            n, at = framer.frame(data, start, end, eof, frames)
            if n:
                if (int(frames["rec"][n - 1]) + base) >> BLOCK_SHIFT > self._block:
                    self._note_places(n, base)
                kept, numbers = n, None
                if self.selection is not None:
                    numbers = self.selection.take(framer, data, frames, n, self.frames_seen + 1)
                    kept = len(numbers)
                decode_frames(data, frames, kept, packets, self._flags)
                self.tally.add(packets, kept, self.frames_seen + 1, numbers)
                self._index(data, kept, base, numbers)
                self.frames_seen += n
                self.packets += kept
            elif at == start:
                break
            start = at
        self.offset = base + start
        return start
