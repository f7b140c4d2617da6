"""The flow table of one source: packets in, ended flows out as Arrow record batches.

Checksums (``settings.checksums``). `verify` is Zeek without ``-C``: a packet whose transport checksum is wrong
gets the letter c and nothing in it is used. `ignore` is Zeek with ``-C``. `auto`, the default, asks why it is wrong:

- A field that holds nothing but the sum over the pseudo header was left to the network card by a sending host that
  captured its own traffic: the packet was good when it left.
- Otherwise it is believed, too, as long as something vouches for it: a packet of the flow with a right or unchecked sum,
  or an answer. Captures with wrong sums are nearly always captures whose segments the card had merged, whose
  addresses were rewritten or whose bytes were edited; a damaged packet is not answered but sent again.
- Where all there is of a flow are wrong sums and no answer, nothing vouches, and the flow reads as with `verify`: C, OTH.
- A SYN, FIN or RST with a wrong sum from a side that has shown right ones is not believed: that is how an attacker makes
  a monitor lose a connection which the receiver keeps.

Every packet is counted in its flow whatever its checksum, so that packets read = in flows + arp + undecoded. (Zeek leaves
packets with wrong sums out of its counts.)
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections import deque
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.flows.batches import arp_batch, block_batch, flow_batch, slice_batch, tunnel_batch
from workbench.flows.ended import hang_up_ended, last_slices, release_ended
from workbench.flows.gather import open_slots
from workbench.flows.hearing import Hearing
from workbench.flows.index import rehash
from workbench.flows.memory import Memory, lazy_rows
from workbench.flows.rows import (
    BITMAP_BLOCKS,
    F_BACK,
    F_BAD,
    F_EVICTED,
    F_INNER,
    F_OFFLOADED,
    F_ORPHANS,
    F_TUNNELS,
    FIRST_FRAMES,
    FRAGMENT_SETS,
    NANOS,
    TUNNEL_ROWS,
)
from workbench.flows.signatures import prepare, sizes
from workbench.flows.stream_rows import BUFFERS
from workbench.flows.update import end_all, update_flows
from workbench.records.packet import L4_BAD, L4_OFFLOAD
from workbench.records.reasons import LedgerLine
from workbench.settings import FlowSettings

#: Ended flows that may wait in their slots before `update` sets them aside itself.
_WAITING: Final = 1 << 19
_SPARE: Final = 1 << 16  # slots for one more update and what it evicts at once
_FIRST_BITS: Final = 14
_SIDE_ROWS: Final = 1 << 16
_SCOPES: Final = {"none": 0, "vni": 1, "vlan": 2, "both": 3}
_BAD: Final = {"verify": L4_BAD | L4_OFFLOAD, "auto": L4_BAD, "ignore": 0}
_GOOD: Final = {"verify": 0, "auto": L4_OFFLOAD, "ignore": 0}

#: Reason, its count and its first frames, of the ledger's lines.
_LINES: Final = (
    ("fragment_orphan", "orphans", F_ORPHANS),
    ("flow_table_full", "evicted", F_EVICTED),
    ("checksum_bad", "bad", F_BAD),
    ("checksum_offloaded", "offloaded", F_OFFLOADED),
    ("clock_back", "back", F_BACK),
    ("inner_undecoded", "inner", F_INNER),
    ("tunnels_full", "tunnels_lost", F_TUNNELS),
)


#: Messages are handed to their readers when this much waits: memory stays flat where few flows end, and readers, who work
#: beside the kernels, begin early.
_ARENA_FULL: Final = 16 << 20
_MESSAGES_FULL: Final = 1 << 15
_MANY_BUFFERS: Final = BUFFERS // 2


def keyed_hash(key: bytes, value: str | bytes) -> str:
    """32 hex digits of HMAC-SHA-256 (RFC 2104), cut to half."""
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return hmac.new(key, data, hashlib.sha256).hexdigest()[:32]


def _nanos(seconds: float) -> int:
    return round(seconds * NANOS)


def _new_memory(settings: FlowSettings) -> Memory:
    """An empty table; rows take memory as they are used."""
    slots = settings.max_open_flows + _WAITING + _SPARE
    memory = Memory(
        {
            "hot": slots,
            "ends": 2 * slots,
            "cold": slots,
            "index": 1 << _FIRST_BITS,
            "free": slots,
            "ended": slots,
            "outer": slots,
            "slices": slots,
            "holes": _SIDE_ROWS,
            "letters": 4 * _SIDE_ROWS,
            "fragments": 4 * FRAGMENT_SETS,
            "tunnels": TUNNEL_ROWS,
            "servers": 65536,
            **(sizes(slots) if settings.application else {}),
        }
    )
    seeds = np.frombuffer(os.urandom(16), np.uint64)
    memory.row["seed"] = seeds[0]
    memory.row["seed_2"] = seeds[1]
    values = {
        "tcp_idle": _nanos(settings.tcp_idle),
        "tcp_close": _nanos(settings.tcp_close),
        "udp_idle": _nanos(settings.udp_idle),
        "icmp_idle": _nanos(settings.icmp_idle),
        "bad_mask": _BAD[settings.checksums],
        "good_mask": _GOOD[settings.checksums],
        "believing": int(settings.checksums == "auto"),
        "scope": _SCOPES[settings.key_scope],
        "max_open": settings.max_open_flows,
        "soonest": _nanos(min(settings.tcp_idle, settings.tcp_close, settings.udp_idle, settings.icmp_idle)),
        "bits": _FIRST_BITS,
        "outer_free": -1,
        "slices_free": -1,
        "holes_free": -1,
        "letters_free": -1,
    }
    for name, value in values.items():
        memory.set(name, value)
    servers = memory.regions["servers"]["value"]
    for proto, port in settings.server_ports():
        servers[port] |= {6: 1, 17: 2}.get(proto, 0)
    return memory


class FlowTable:
    """Flows of one source. Not for use by several threads at once.

    source_id: row of `sources`; sensor: name of the observation point, in every row; key: for hashing what names people, one
    that nobody keeps where none is given.
    """

    def __init__(self, source_id: int, sensor: str, settings: FlowSettings, key: bytes = b"") -> None:
        self.source_id = source_id
        self.sensor = sensor
        self._memory = _new_memory(settings)
        self._pool, arena = prepare(self._memory, listening=settings.application)
        self._hearing = Hearing(self._memory, arena, source_id, partial(keyed_hash, key or os.urandom(32)))
        self._told_ended = 0  # of the flows that ended and wait, those of which the readers know
        self._read_ended = 0  # of them, those whose messages were all read
        self._marks: deque[int] = deque()  # what `_read_ended` becomes with each turn of the readers that is settled
        self._scratch = np.zeros((2, 0), np.uint64)
        self._aside: list[pa.RecordBatch] = []
        self._told: NDArray[np.int64] | None = None  # as STATE.frames, with the numbers that `update` was given

    def update(
        self, buf: NDArray[np.uint8], packets: NDArray[Any], n: int, base: int, numbers: NDArray[np.int64] | None = None
    ) -> None:
        """Take packets[:n] (PACKET rows, in capture order) decoded from `buf`; base: source offset of buf[0].

        numbers: their frame numbers, where packets of the source are left out, then with every call; otherwise they
        count from 1. ValueError where there are fewer than n packets, or numbers.
        """
        if not 0 <= n <= len(packets) or (numbers is not None and n > len(numbers)):
            raise ValueError(f"{n} packets asked for, {len(packets)} given")
        for start in range(0, n, _SPARE // 2):
            before = self._memory.get("seen")
            self._update(buf, packets[start : min(n, start + _SPARE // 2)], base)
            if numbers is not None:
                self._renumber(before, numbers[start:])

    def _renumber(self, before: int, numbers: NDArray[np.int64]) -> None:
        """Note the given numbers of the packets, counted from `before`, that the kernel just told of by its own."""
        frames = self._memory.row["frames"][0]
        if self._told is None:
            self._told = np.zeros_like(frames)
        new = np.flatnonzero(frames > before)
        new = new[self._told[new] == 0]
        self._told[new] = numbers[frames[new] - before - 1]

    def _update(self, buf: NDArray[np.uint8], packets: NDArray[Any], base: int) -> None:
        n = len(packets)
        if self._memory.get("ended_count") + n > _WAITING:
            self._set_aside()
        self._make_room(n)
        arena = self._hearing.arena
        update_flows(self._memory.row, buf, packets, n, base, self._scratch[0], self._scratch[1], self._pool, arena)
        crowded = self._memory.get("buffers_used") - self._memory.get("buffers_free") > _MANY_BUFFERS
        if self._memory.get("arena_used") > _ARENA_FULL or self._memory.get("message_count") > _MESSAGES_FULL or crowded:
            self._hear()

    def _make_room(self, n: int) -> None:
        """Whatever n packets can need, so that the kernel never allocates."""
        memory = self._memory
        if self._scratch.shape[1] < n:
            self._scratch = np.zeros((2, n), np.uint64)
        need = memory.get("open") + n
        old = memory.regions["index"]
        if need * 2 > len(old):
            bits = max(memory.get("bits") + 1, (need * 2 - 1).bit_length())
            index = lazy_rows(1 << bits, old.dtype)
            rehash(old["value"], index["value"], bits)
            memory.put("index", index)
            memory.set("bits", bits)
        self._grow("slice_rows", memory.get("slice_count"), n)
        self._grow("arp_rows", memory.get("arp_count"), n)
        self._grow("block_rows", memory.get("block_count"), n * (BITMAP_BLOCKS + 1))

    def _grow(self, name: str, used: int, more: int) -> None:
        rows = self._memory.regions[name]
        if len(rows) < used + more:
            grown = lazy_rows(2 * (used + more), rows.dtype)
            grown[:used] = rows[:used]
            self._memory.put(name, grown)

    def pending(self) -> int:
        """Rows that came since the last `drain`."""
        new = self._memory.get("ended_count") - self._told_ended
        waiting = sum(self._memory.get(name) for name in ("slice_count", "block_count", "arp_count"))
        return new + waiting + sum(int(b.num_rows) for b in self._aside) + self._hearing.pending()

    def _hear(self, *, drain: bool = False) -> None:
        """Hand over what was heard, and which flows ended since; ended flows are hung up, and stay until they are emitted."""
        memory = self._memory
        if not memory.get("listening"):
            self._told_ended = self._read_ended = memory.get("ended_count")
            return
        hang_up_ended(memory.row, self._told_ended, self._pool, self._hearing.arena)
        ended = memory.get("ended_count")
        slots = memory.regions["ended"]["value"][self._told_ended : ended]
        self._hearing.hand_over(np.sort(memory.regions["cold"]["n"][slots]), drain=drain)
        self._told_ended = ended
        self._marks.append(ended)
        self._take_marks()

    def _take_marks(self) -> None:
        """Flows whose turn is settled were read; one that no turn began for had nothing to read."""
        while len(self._marks) > self._hearing.turns:
            self._read_ended = self._marks.popleft()

    def _take_ended(self, *, whole: bool) -> pa.RecordBatch:
        """The flows that ended and whose messages were read; whole: wait until that is all of them."""
        self._hear(drain=True)
        if whole:
            self._hearing.settle()
            self._take_marks()
        memory = self._memory
        ended = self._read_ended
        self._grow("slice_rows", memory.get("slice_count"), ended)
        last_slices(memory.row, ended)
        slots = memory.regions["ended"]["value"][:ended].copy()
        batch = flow_batch(memory.row, slots, self.source_id, self.sensor)
        release_ended(memory.row, ended)
        self._told_ended -= ended
        self._read_ended = 0
        self._marks = deque(mark - ended for mark in self._marks)
        return batch

    def _set_aside(self) -> None:
        self._aside.append(self._take_ended(whole=True))

    def drain(self, *, whole: bool = True) -> dict[str, pa.RecordBatch]:
        """Everything that is complete: flows that ended, slices, blocks and ARP rows since the last call.

        whole: flows that ended since the last call too, for which the readers of what was said in them are waited for;
        otherwise they come with the next call, and the readers work meanwhile.
        """
        flows = self._take_ended(whole=whole)
        if self._aside:
            table = pa.Table.from_batches([*self._aside, flows]).unify_dictionaries().combine_chunks()
            flows = table.to_batches()[0]
            self._aside = []
        memory = self._memory
        # Copied: the next packets overwrite these rows, and whoever has a batch may keep it.
        out = {
            "flows": flows,
            "flow_slices": slice_batch(memory.regions["slice_rows"][: memory.get("slice_count")].copy(), self.source_id),
            "flow_blocks": block_batch(memory.regions["block_rows"][: memory.get("block_count")].copy(), self.source_id),
            "arp": arp_batch(memory.regions["arp_rows"][: memory.get("arp_count")].copy(), self.source_id),
        }
        for name in ("slice_count", "block_count", "arp_count"):
            memory.set(name, 0)
        return out | self._hearing.tables()

    def tick(self, now_ns: int) -> None:
        """Time has come to `now_ns` by the packets' clock although no packet says so: flows whose time is up end.

        For live sources; costs a look at every open flow. A time before the last packet's ends nothing early.
        """
        from workbench.flows.ticking import end_idle  # its kernel is only needed where packets can fail to come

        if not self._memory.get("seen"):
            return
        if self._memory.get("ended_count") >= _WAITING // 2:
            self._set_aside()
        end_idle(self._memory.row, now_ns, _WAITING // 2)

    def open_rows(self) -> pa.RecordBatch:
        """The flows that are open now, as they are; end_reason null."""
        slots = np.empty(self._memory.get("slots"), np.int32)
        count = open_slots(self._memory.row, slots)
        return flow_batch(self._memory.row, slots[:count].copy(), self.source_id, self.sensor)

    def finish(self) -> dict[str, pa.RecordBatch]:
        """The source is over: end what is open; everything left, and the sums of the tunnels."""
        end_all(self._memory.row, self._memory.get("ts_last"))
        self._hear()
        self._hearing.finish()
        out = self.drain()
        tunnels = self._memory.regions["tunnels"]
        out["tunnels"] = tunnel_batch(tunnels[tunnels["tunnel"] != 0], self.source_id)
        return out

    def ledger(self) -> list[LedgerLine]:
        """What the table has to tell, with the first frame numbers; counts so far."""
        lines = []
        frames = self._memory.row["frames"][0] if self._told is None else self._told
        for reason, count, kind in _LINES:
            total = self._memory.get(count)
            if total:
                first = frames[FIRST_FRAMES * kind :][: min(total, FIRST_FRAMES)]
                lines.append(LedgerLine(reason, total, tuple(int(f) for f in first)))
        for reason, count in (("application_full", "unheard"), ("application_gap", "holes")):
            if total := self._memory.get(count):
                lines.append(LedgerLine(reason, total))
        return lines + self._hearing.ledger()

    @property
    def packets(self) -> int:
        """Packets in flows."""
        return self._memory.get("packets")

    @property
    def arp_packets(self) -> int:
        """Packets in `arp`."""
        return self._memory.get("arp_packets")

    @property
    def orphans(self) -> int:
        """Later fragments whose first was not seen: undecoded."""
        return self._memory.get("orphans")

    @property
    def flows(self) -> int:
        """Flows so far, open ones too."""
        return self._memory.get("flows")

    @property
    def open_flows(self) -> int:
        """Flows open now."""
        return self._memory.get("open")

    @property
    def ts_first(self) -> int | None:
        """Earliest packet time, ns; None before the first packet."""
        return self._memory.get("ts_first") if self._memory.get("seen") else None

    @property
    def ts_previous(self) -> int | None:
        """Time of the last packet taken, ns; None before the first. `ts_last` may be later, where a clock went back."""
        return self._memory.get("ts_previous") if self._memory.get("seen") else None

    @property
    def ts_last(self) -> int | None:
        """Latest packet time, ns; None before the first packet."""
        return self._memory.get("ts_last") if self._memory.get("seen") else None
