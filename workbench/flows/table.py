"""The flow table of one source: packets in, ended flows out as Arrow record batches.

Checksums (``settings.checksums``). `verify` is Zeek without ``-C``: a packet whose transport checksum is wrong
gets the letter c and is not believed. `ignore` is Zeek with ``-C``. `auto`, the default, believes a checksum
field that holds nothing but the sum over the pseudo header: that is what a sending host's own capture shows of packets whose
checksum the card was to fill in (checksum offload), so the packet was good when it left. Any other wrong
checksum is treated as `verify` does, since the receiver dropped that packet too. Every packet is counted in
its flow either way, so that packets read = packets in flows + arp + undecoded.
"""

from __future__ import annotations

import os
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.flows.batches import arp_batch, block_batch, flow_batch, slice_batch, tunnel_batch
from workbench.flows.gather import last_slices, open_slots, release_ended
from workbench.flows.index import rehash
from workbench.flows.rows import (
    ARP_ROW,
    BITMAP_BLOCKS,
    BLOCK_ROW,
    C_ARP,
    C_ARP_ROWS,
    C_BACK,
    C_BAD,
    C_BITS,
    C_BLOCK_ROWS,
    C_ENDED,
    C_EVICTED,
    C_FLOWS,
    C_HOLES_FREE,
    C_INNER,
    C_LETTERS_FREE,
    C_OFFLOADED,
    C_OPEN,
    C_ORPHANS,
    C_OUTER_FREE,
    C_PACKETS,
    C_SEEN,
    C_SLICE_FREE,
    C_SLICE_ROWS,
    C_SLOTS,
    C_TS_FIRST,
    C_TS_LAST,
    C_TUNNELS_LOST,
    COLD,
    END,
    F_BACK,
    F_BAD,
    F_EVICTED,
    F_INNER,
    F_OFFLOADED,
    F_ORPHANS,
    F_TUNNELS,
    FRAGMENT,
    FRAGMENT_SETS,
    HOLES,
    HOT,
    LETTERS,
    N_CONFIG,
    N_COUNTS,
    N_FRAMES,
    NANOS,
    OUTER,
    S_BAD_MASK,
    S_GOOD_MASK,
    S_ICMP_IDLE,
    S_MAX_OPEN,
    S_SCOPE,
    S_SEED,
    S_SEED_2,
    S_TCP_CLOSE,
    S_TCP_IDLE,
    S_UDP_IDLE,
    SLICE,
    SLICE_ROW,
    TUNNEL,
    TUNNEL_ROWS,
    State,
    lazy_rows,
)
from workbench.flows.update import end_all, update_flows
from workbench.records.packet import L4_BAD, L4_OFFLOAD
from workbench.records.reasons import LedgerLine
from workbench.settings import FlowSettings

#: Ended flows that may wait in their slots before `update` sets them aside itself.
_WAITING: Final = 1 << 19
_FIRST_BITS: Final = 14
_SIDE_ROWS: Final = 1 << 16
_SCOPES: Final = {"none": 0, "vni": 1, "vlan": 2, "both": 3}
_BAD: Final = {"verify": L4_BAD | L4_OFFLOAD, "auto": L4_BAD, "ignore": 0}
_GOOD: Final = {"verify": 0, "auto": L4_OFFLOAD, "ignore": 0}
_FIRST_FRAMES: Final = 5

#: Reason, count, frames and what the count means, of the ledger's lines.
_LINES: Final = (
    ("fragment_orphan", C_ORPHANS, F_ORPHANS),
    ("flow_table_full", C_EVICTED, F_EVICTED),
    ("checksum_bad", C_BAD, F_BAD),
    ("checksum_offloaded", C_OFFLOADED, F_OFFLOADED),
    ("clock_back", C_BACK, F_BACK),
    ("inner_undecoded", C_INNER, F_INNER),
    ("tunnels_full", C_TUNNELS_LOST, F_TUNNELS),
)


def _nanos(seconds: float) -> int:
    return round(seconds * NANOS)


def _config(settings: FlowSettings) -> NDArray[np.int64]:
    config = np.zeros(N_CONFIG, np.int64)
    config[S_TCP_IDLE] = _nanos(settings.tcp_idle)
    config[S_TCP_CLOSE] = _nanos(settings.tcp_close)
    config[S_UDP_IDLE] = _nanos(settings.udp_idle)
    config[S_ICMP_IDLE] = _nanos(settings.icmp_idle)
    config[S_BAD_MASK] = _BAD[settings.checksums]
    config[S_GOOD_MASK] = _GOOD[settings.checksums]
    config[S_SCOPE] = _SCOPES[settings.key_scope]
    config[S_MAX_OPEN] = settings.max_open_flows
    config[S_SEED : S_SEED_2 + 1] = np.frombuffer(os.urandom(16), np.int64)
    return config


def _counts() -> NDArray[np.int64]:
    counts = np.zeros(N_COUNTS, np.int64)
    counts[C_BITS] = _FIRST_BITS
    for free in (C_OUTER_FREE, C_SLICE_FREE, C_HOLES_FREE, C_LETTERS_FREE):
        counts[free] = -1
    return counts


def _servers(settings: FlowSettings) -> NDArray[np.uint8]:
    ports = np.zeros(65536, np.uint8)
    for proto, port in settings.server_ports():
        ports[port] |= {6: 1, 17: 2}.get(proto, 0)
    return ports


def new_state(settings: FlowSettings) -> State:
    """An empty table; rows take memory as they are used."""
    slots = settings.max_open_flows + _WAITING
    return State(
        hot=lazy_rows(slots, HOT),
        ends=lazy_rows(2 * slots, END),
        cold=lazy_rows(slots, COLD),
        index=np.zeros(1 << _FIRST_BITS, np.uint64),
        free=lazy_rows(slots, np.dtype(np.int32)),
        ended=lazy_rows(slots, np.dtype(np.int32)),
        outer=lazy_rows(slots, OUTER),
        slices=lazy_rows(slots, SLICE),
        holes=lazy_rows(_SIDE_ROWS, HOLES),
        letters=lazy_rows(4 * _SIDE_ROWS, LETTERS),
        fragments=lazy_rows(4 * FRAGMENT_SETS, FRAGMENT),
        tunnels=lazy_rows(TUNNEL_ROWS, TUNNEL),
        slice_rows=np.empty(0, SLICE_ROW),
        block_rows=np.empty(0, BLOCK_ROW),
        arp_rows=np.empty(0, ARP_ROW),
        counts=_counts(),
        frames=np.zeros((N_FRAMES, _FIRST_FRAMES), np.int64),
        config=_config(settings),
        servers=_servers(settings),
    )


class FlowTable:
    """Flows of one source. Not for use by several threads at once.

    source_id: row of `sources`; sensor: name of the observation point, in every row.
    """

    def __init__(self, source_id: int, sensor: str, settings: FlowSettings) -> None:
        self.source_id = source_id
        self.sensor = sensor
        self._state = new_state(settings)
        self._scratch = np.zeros((2, 0), np.uint64)
        self._aside: list[pa.RecordBatch] = []

    def update(self, buf: NDArray[np.uint8], packets: NDArray[Any], n: int, base: int) -> None:
        """Take packets[:n] (PACKET rows, in capture order) decoded from `buf`; base: source offset of buf[0].

        ValueError where there are fewer than n packets.
        """
        if not 0 <= n <= len(packets):
            raise ValueError(f"{n} packets asked for, {len(packets)} given")
        counts = self._state.counts
        if counts[C_ENDED] + n > _WAITING:
            self._set_aside()
        self._make_room(n)
        update_flows(self._state, buf, packets, n, base, self._scratch[0], self._scratch[1])

    def _make_room(self, n: int) -> None:
        """Whatever n packets can need, so that the kernel never allocates."""
        state = self._state
        counts = state.counts
        if self._scratch.shape[1] < n:
            self._scratch = np.zeros((2, n), np.uint64)
        need = int(counts[C_OPEN]) + n
        if need * 2 > len(state.index):
            bits = max(int(counts[C_BITS]) + 1, (need * 2 - 1).bit_length())
            index = np.zeros(1 << bits, np.uint64)
            rehash(state.index, index, bits)
            counts[C_BITS] = bits
            self._state = state = state._replace(index=index)
        self._grow("slice_rows", int(counts[C_SLICE_ROWS]) + n)
        self._grow("arp_rows", int(counts[C_ARP_ROWS]) + n)
        self._grow("block_rows", int(counts[C_BLOCK_ROWS]) + n * (BITMAP_BLOCKS + 1))

    def _grow(self, name: str, need: int) -> None:
        rows: NDArray[Any] = getattr(self._state, name)
        if len(rows) < need:
            grown = lazy_rows(2 * need, rows.dtype)
            grown[: len(rows)] = rows
            self._state = self._state._replace(**{name: grown})

    def pending(self) -> int:
        """Rows that `drain` would hand out now."""
        counts = self._state.counts
        waiting = int(counts[C_ENDED] + counts[C_SLICE_ROWS] + counts[C_BLOCK_ROWS] + counts[C_ARP_ROWS])
        return waiting + sum(b.num_rows for b in self._aside)

    def _take_ended(self) -> pa.RecordBatch:
        counts = self._state.counts
        ended = int(counts[C_ENDED])
        self._grow("slice_rows", int(counts[C_SLICE_ROWS]) + ended)
        last_slices(self._state)
        batch = flow_batch(self._state, self._state.ended[:ended].copy(), self.source_id, self.sensor)
        release_ended(self._state)
        return batch

    def _set_aside(self) -> None:
        self._aside.append(self._take_ended())

    def drain(self) -> dict[str, pa.RecordBatch]:
        """Everything that is complete: flows that ended, slices, blocks and ARP rows since the last call."""
        flows = self._take_ended()
        if self._aside:
            table = pa.Table.from_batches([*self._aside, flows]).unify_dictionaries().combine_chunks()
            flows = table.to_batches()[0]
            self._aside = []
        counts = self._state.counts
        out = {
            "flows": flows,
            "flow_slices": slice_batch(self._state.slice_rows[: counts[C_SLICE_ROWS]], self.source_id),
            "flow_blocks": block_batch(self._state.block_rows[: counts[C_BLOCK_ROWS]], self.source_id),
            "arp": arp_batch(self._state.arp_rows[: counts[C_ARP_ROWS]], self.source_id),
        }
        counts[C_SLICE_ROWS] = 0
        counts[C_BLOCK_ROWS] = 0
        counts[C_ARP_ROWS] = 0
        return out

    def open_rows(self) -> pa.RecordBatch:
        """The flows that are open now, as they are; end_reason null."""
        slots = np.empty(int(self._state.counts[C_SLOTS]), np.int32)
        count = open_slots(self._state, slots)
        return flow_batch(self._state, slots[:count].copy(), self.source_id, self.sensor)

    def finish(self) -> dict[str, pa.RecordBatch]:
        """The source is over: end what is open; everything left, and the sums of the tunnels."""
        if self._state.counts[C_ENDED] + self._state.counts[C_OPEN] > _WAITING:
            self._set_aside()
        end_all(self._state, self._state.counts[C_TS_LAST])
        out = self.drain()
        tunnels = self._state.tunnels
        out["tunnels"] = tunnel_batch(tunnels[tunnels["tunnel"] != 0], self.source_id)
        return out

    def ledger(self) -> list[LedgerLine]:
        """What the table has to tell, with the first frame numbers; counts so far."""
        lines = []
        for reason, count, frames in _LINES:
            total = int(self._state.counts[count])
            if total:
                first = self._state.frames[frames][: min(total, _FIRST_FRAMES)]
                lines.append(LedgerLine(reason, total, tuple(int(f) for f in first)))
        return lines

    @property
    def packets(self) -> int:
        """Packets in flows."""
        return int(self._state.counts[C_PACKETS])

    @property
    def arp_packets(self) -> int:
        """Packets in `arp`."""
        return int(self._state.counts[C_ARP])

    @property
    def orphans(self) -> int:
        """Later fragments whose first was not seen: undecoded."""
        return int(self._state.counts[C_ORPHANS])

    @property
    def flows(self) -> int:
        """Flows so far, open ones too."""
        return int(self._state.counts[C_FLOWS])

    @property
    def open_flows(self) -> int:
        """Flows open now."""
        return int(self._state.counts[C_OPEN])

    @property
    def ts_first(self) -> int | None:
        """Earliest packet time, ns; None before the first packet."""
        return int(self._state.counts[C_TS_FIRST]) if self._state.counts[C_SEEN] else None

    @property
    def ts_last(self) -> int | None:
        """Latest packet time, ns; None before the first packet."""
        return int(self._state.counts[C_TS_LAST]) if self._state.counts[C_SEEN] else None
