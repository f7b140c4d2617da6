"""Bytes to flows for one source: framing, decoding, the flow table, one chunk at a time.

A chunk is a few thousand packets whose FRAME and PACKET rows stay in the L2 cache between the
kernels. No packet exists as a Python object. Deterministic: the same bytes give the same rows.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from workbench.decode.framing import Framer, open_framer
from workbench.decode.packets import decode_frames
from workbench.decode.tally import UndecodedTally
from workbench.errors import BadInputError
from workbench.flows.table import FlowTable
from workbench.records.packet import FRAME, PACKET
from workbench.records.reasons import LedgerLine
from workbench.settings import FlowSettings
from workbench.sources.blocks import Block

#: Packets a chunk: 2048 rows of both kinds are about 500 KB.
CHUNK: Final = 2048
VERIFY_CHECKSUMS: Final = 1
_NOTHING: Final = np.empty(0, np.uint8)


class Pipeline:
    """Feed it the blocks of each file of a source in order; take ended flows from `table`."""

    def __init__(self, source_id: int, sensor: str, settings: FlowSettings) -> None:
        self.table = FlowTable(source_id, sensor, settings)
        self.tally = UndecodedTally()
        self.framer: Framer | None = None
        self.frames_seen = 0
        self.offset = 0  # source offset behind the last record that was taken
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
        return self.frames_seen - self.table.packets - self.table.arp_packets

    def ledger(self) -> list[LedgerLine]:
        """Lines of decoding and of the flow table; the framers' are taken file by file."""
        return [*self.tally.ledger(), *self.table.ledger()]

    def _take(self, data: NDArray[np.uint8], start: int, end: int, base: int, *, eof: bool) -> int:
        framer, frames, packets = self.framer, self._frames, self._packets
        assert framer is not None
        while True:
            n, at = framer.frame(data, start, end, eof, frames)
            if n:
                decode_frames(data, frames, n, packets, self._flags)
                self.tally.add(packets, n, self.frames_seen + 1)
                self.table.update(data, packets, n, base)
                self.frames_seen += n
            elif at == start:
                break
            start = at
        self.offset = base + start
        return start
