"""Flow records of many exporters to rows of `flows`: the table, when flows end, and what the ledger is told.

A flow ends when its exporter's clock (the times at which it sent its messages, not ours) is the window past what was last told of
it: the active timeout and a little, within which the other direction, and the next piece, must have come.
"""

from __future__ import annotations

import os
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.flows.rows import MINUTE, NANOS
from workbench.flows.telemetry import rows as f
from workbench.flows.telemetry.batches import Ended, flow_batch, slice_batch
from workbench.flows.telemetry.kernels import close_flows, pair_records
from workbench.records import telemetry as r

#: Flows open at once; 210 MB when full. Beyond it the longest idle half is closed early.
MAX_OPEN: Final = 1 << 19
#: What is added to the active timeout: exporters look at their flows every few seconds.
SLACK_SECONDS: Final = 5
#: Records between two looks at which flows have ended.
_SWEEP: Final = 1 << 17
_PIECES: Final = 1 << 18
_EXPORTERS: Final = 1 << 10
#: Later than any time that an exporter can tell: see `PairingTable.steady`.
_STEADY: Final = 1 << 62

#: ICMP types that answer each other (RFC 792, 1256, 950; 4443, 4861, 2710, 4620, 6275), as the packet decoder pairs them.
_PAIRS4: Final = ((8, 0), (13, 14), (15, 16), (17, 18), (10, 9))
_PAIRS6: Final = ((128, 129), (133, 134), (135, 136), (139, 140), (144, 145), (130, 131))


def _answers() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counterparts of ICMP types, and which types ask: a row for IPv4, a row for IPv6."""
    other, asks = np.full((2, 256), -1, np.int64), np.zeros((2, 256), np.int64)
    for row, pairs in enumerate((_PAIRS4, _PAIRS6)):
        for ask, answer in pairs:
            other[row, ask], other[row, answer], asks[row, ask] = answer, ask, 1
    return other, asks


ANSWERS, ASKS = _answers()


@dataclass(frozen=True, slots=True)
class Batch:
    """What ended, of one exporter: rows of `flows` and of `flow_slices`, and what they hold."""

    exporter: int
    flows: pa.RecordBatch
    slices: pa.RecordBatch
    packets: int
    unpaired: int
    first: int
    last: int


class PairingTable:
    """Give it records (rows of `records.telemetry`), take what ended.

    servers: (protocol, port) of likely servers. active: the exporters' active timeout, s.
    """

    def __init__(self, servers: Sequence[tuple[int, int]], active: float, max_open: int = MAX_OPEN) -> None:
        self._window = round((active + SLACK_SECONDS) * NANOS)
        self._flows = np.empty((max_open, f.WIDTH), np.int64)
        self._heads = np.full(1 << max(4, (max_open - 1).bit_length()), -1, np.int32)
        self._free = np.arange(max_open, dtype=np.int64)
        self._state = np.zeros(f.STATE_WIDTH, np.int64)
        self._state[f.FREE] = max_open
        self._pieces = np.empty((_PIECES, f.PIECE_WIDTH), np.int64)
        self._clocks = np.zeros(_EXPORTERS, np.int64)
        self._numbers = np.zeros(_EXPORTERS, np.int64)
        self._servers = np.zeros((256, 65536), np.bool_)
        for proto, port in servers:
            self._servers[proto, port] = True
        self._seed = int.from_bytes(os.urandom(7), "big")
        self._since = 0
        self._ended: list[NDArray[np.int64]] = []
        self.evicted = 0

    @property
    def merged(self) -> int:
        """Records that were later pieces of a flow."""
        return int(self._state[f.MERGED])

    @property
    def open_flows(self) -> int:
        """Flows that may still be told of."""
        return int(self._state[f.LIVE])

    def set_window(self, active: float) -> None:
        """Another active timeout (s): what an exporter's options told; never a shorter one."""
        self._window = max(self._window, round((active + SLACK_SECONDS) * NANOS))

    def steady(self, now: int) -> None:
        """From now on flows end by this clock (ns, from wherever it counts), which only goes forward.

        For live sources: their records come when they are sent. An exporter that falls silent, or whose clock is set, ends no
        flow too early or never. Pieces and directions are still told by the exporter's times.
        """
        self._clocks[:] = _STEADY + now

    def tick(self) -> list[Batch]:
        """What ended because time passed."""
        return self._close(self._window, len(self._flows))

    def open_rows(self, exporters: Container[int]) -> list[Batch]:
        """The flows of these exporters that may still be told of, as they are; end_reason null, no slices."""
        taken = np.ones(len(self._flows), np.bool_)
        taken[self._free[: int(self._state[f.FREE])]] = False
        slots = np.flatnonzero(taken)
        numbers = self._flows[slots, f.EXPORTER]
        wanted = np.array([n for n in np.unique(numbers).tolist() if n in exporters], np.int64)
        slots = slots[np.isin(numbers, wanted)]
        if not len(slots):
            return []
        found = self._flows[slots]
        found = found[np.lexsort((found[:, f.N], found[:, f.EXPORTER]))]
        return [_still_open(batch) for batch in self._batches(found, np.empty((0, f.PIECE_WIDTH), np.int64))]

    def add(self, records: NDArray[np.int64]) -> list[Batch]:
        """Take records, which are changed; what ended by them."""
        out: list[Batch] = []
        done = 0
        while done < len(records):
            taken = pair_records(
                *(records, done, self._flows, self._heads, self._free, self._pieces, self._state),
                *(self._clocks, self._numbers, ANSWERS, self._window, self._seed),
            )
            if taken == done and self._state[f.FREE] and self._state[f.PIECE_COUNT] + 4 <= len(self._pieces):
                raise ValueError(f"exporter {int(records[done, r.EXPORTER])} is beyond the table")
            done = taken
            if done < len(records):
                out += self._make_room()
        self._since += len(records)
        if self._since >= _SWEEP:
            self._since = 0
            out += self._close(self._window, len(self._flows))
        return out

    def finish(self) -> list[Batch]:
        """No more records: everything ends."""
        return self._close(-1, len(self._flows))

    def _make_room(self) -> list[Batch]:
        """The table or the room for pieces is full: what is over ends, else the half that was told of longest ago."""
        out = self._close(self._window, len(self._flows))
        if self._state[f.FREE] < len(self._flows) // 4 or self._state[f.PIECE_COUNT] > len(self._pieces) // 2:
            before = self.open_flows
            out += self._close(-1, max(1, len(self._flows) // 2))
            if self._state[f.PIECE_COUNT] + 4 > len(self._pieces):
                out += self._close(-1, len(self._flows))
            self.evicted += before - self.open_flows
        return out

    def _close(self, window: int, most: int) -> list[Batch]:
        slots = np.empty(max(1, self.open_flows), np.int64)
        count = close_flows(self._flows, self._heads, self._state, self._clocks, window, most, slots)
        if not count:
            return []
        slots = slots[:count]
        slots = slots[np.lexsort((self._flows[slots, f.N], self._flows[slots, f.EXPORTER]))]
        ended = self._flows[slots]
        pieces = self._take_pieces(slots)
        free = int(self._state[f.FREE])
        self._free[free : free + count] = slots
        self._state[f.FREE] = free + count
        return list(self._batches(ended, pieces))

    def _take_pieces(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """The pieces of flows in these slots, the slot replaced by its place in `slots`; the others stay."""
        used = int(self._state[f.PIECE_COUNT])
        if not used:
            return np.empty((0, f.PIECE_WIDTH), np.int64)
        where = np.full(len(self._flows), -1, np.int64)
        where[slots] = np.arange(len(slots))
        pieces = self._pieces[:used]
        place = where[pieces[:, 0]]
        taken = pieces[place >= 0].copy()
        taken[:, 0] = place[place >= 0]
        left = pieces[place < 0].copy()
        self._pieces[: len(left)] = left
        self._state[f.PIECE_COUNT] = len(left)
        return taken

    def _batches(self, ended: NDArray[np.int64], pieces: NDArray[np.int64]) -> list[Batch]:
        found = Ended(ended, self._servers, ASKS)
        found.pieces = _whole(found, pieces)
        out = []
        exporters, starts = np.unique(ended[:, f.EXPORTER], return_index=True)
        for exporter, start, stop in zip(exporters, starts, [*starts[1:], len(ended)], strict=True):
            part = found.part(int(start), int(stop))
            counts = part.sides(f.PKTS)
            out.append(
                Batch(
                    int(exporter),
                    flow_batch(part),
                    slice_batch(part),
                    int(np.clip(counts, 0, 1 << 53).sum()),
                    int(part.unpaired.sum()),
                    int(part.first.min()),
                    int(part.last.max()),
                )
            )
        return out


def _still_open(batch: Batch) -> Batch:
    at = batch.flows.schema.get_field_index("end_reason")
    field = batch.flows.schema.field(at)
    return replace(batch, flows=batch.flows.set_column(at, field, pa.nulls(batch.flows.num_rows, field.type)))


def _whole(ended: Ended, pieces: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pieces of flows longer than a minute, with the one record of a direction that has no pieces: slices add up to flows."""
    if not len(pieces):
        return pieces
    long = ended.last - ended.first > MINUTE
    pieces = pieces[long[pieces[:, 0]]]
    flows = np.unique(pieces[:, 0])
    extra = []
    for side in range(2):
        at = f.SIDE + side * f.SIDE_WIDTH
        single = flows[ended.rows[flows, at + f.PIECES] == 1]
        rows = ended.rows[single]
        extra.append(
            np.stack(
                (single, np.full(len(single), side), rows[:, at + f.START], rows[:, at + f.PKTS], rows[:, at + f.BYTES]), axis=1
            )
        )
    return np.concatenate((pieces, *extra))
