"""Recorded flows as a policy sees them: who asked whom for what, each question once, with what its flows sum up to.

A policy judges addresses, workloads, protocol and port or ICMP type; ten million flows ask much fewer different things, so
that what depends on a policy is done once a question (a row) and not once a flow.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.policy.addresses import address_text
from workbench.policy.selectors import People

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Small = NDArray[np.uint8]

#: What is known of who began a flow. Only KNOWN is judged: the others are undetermined, each for its own reason.
MID_STREAM, KNOWN, RELATED = range(3)
#: Flows whose protocol, port or type of ICMP is no number that there is: no packet was like that.
IMPOSSIBLE: Final = 4


def microseconds(at: datetime) -> int:
    """Since 1970, exactly."""
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds


def moment(us: int) -> datetime:
    """The time of so many microseconds since 1970; the last that there is where that is too far."""
    try:
        return datetime.fromtimestamp(us // 1_000_000, UTC).replace(microsecond=us % 1_000_000)
    except (ValueError, OverflowError, OSError):
        return datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Ends:
    """Distinct ends. hi, lo: the address, two's complement; who: row of `people`; party: number of the name it goes by.

    candidates: of an end that several claim, the ends that it may be (its address with each claimant), which no row names;
    unsure: those with more claimants than are told by name. kept: what was worked out of them, so that it is done once.
    """

    hi: Ints
    lo: Ints
    who: Codes
    party: Codes
    people: People
    parties: Sequence[str] = field(repr=False)
    candidates: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    unsure: frozenset[int] = frozenset()
    kept: dict[str, Any] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.hi)

    def address(self, end: int) -> str:
        """Canonical text of an end's address."""
        mask = (1 << 64) - 1
        return address_text((int(self.hi[end]) & mask) << 64 | int(self.lo[end]) & mask)

    def name(self, end: int) -> str:
        """The workload that it was, `namespace/name`; else the address."""
        party = int(self.party[end])
        return self.parties[party] if party < len(self.parties) else self.address(end)


@dataclass(frozen=True, slots=True)
class Rows:
    """Different questions. src, dst: ends; service: destination port, of ICMP the type; state: KNOWN or why not.

    flows, bytes (IP, both directions), live: sums over their flows; first, last: when they began and ended, us since 1970.
    """

    src: Codes
    dst: Codes
    proto: Small
    service: NDArray[np.uint16]
    state: Small
    flows: Ints
    bytes: Ints
    live: Ints
    first: Ints
    last: Ints
    kept: dict[str, Any] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.src)


_ROWS: Final = Rows.__slots__[:-1]


@dataclass(frozen=True, slots=True)
class Told:
    """One value a flow, in the order in which they were read. row: number of `Rows`; ts, ts_end: us since 1970; live: 0 or 1."""

    flow_id: Ints
    row: Codes
    ts: Ints
    ts_end: Ints
    bytes: Ints
    live: Small

    def __len__(self) -> int:
        return len(self.flow_id)


_TOLD: Final = (np.int64, np.int32, np.int64, np.int64, np.int64, np.uint8)


@dataclass(frozen=True, slots=True)
class History:
    """What was recorded. 45 bytes a flow and 60 a row. begin, end: of all flows, us since 1970; without: flows without addresses.

    split_at: times at which rows were cut, so that no row has flows on both sides of one.
    """

    ends: Ends
    rows: Rows
    told: Told
    begin: int
    end: int
    without: int = 0
    split_at: tuple[int, ...] = ()

    def split(self, times: Sequence[int]) -> History:
        """The same flows with no row on both sides of a time (us): for rules that end. Costs what the cut rows' flows cost."""
        every = tuple(sorted({*self.split_at, *times}))
        if every == self.split_at:
            return self
        edges = np.array(every, np.int64)
        cut = np.searchsorted(edges, self.rows.first, "right") != np.searchsorted(edges, self.rows.last, "right")
        if not cut.any():
            return replace(self, split_at=every)
        at = np.flatnonzero(cut[self.told.row])
        piece = np.searchsorted(edges, self.told.ts[at], "right")
        key = self.told.row[at].astype(np.int64) * (len(edges) + 1) + piece
        found, place = np.unique(key, return_inverse=True)
        row = self.told.row.copy()
        row[at] = len(self.rows) + place
        fresh = _pieces(self.rows, self.told, at, found // (len(edges) + 1), place)
        had = {name: getattr(self.rows, name) for name in _ROWS}
        had |= {name: np.where(cut, 0, had[name]) for name in ("flows", "bytes", "live")}
        columns: Any = (np.concatenate([had[name], getattr(fresh, name)]) for name in _ROWS)
        rows = Rows(*columns)
        return replace(self, rows=rows, told=replace(self.told, row=row), split_at=every)

    def flows_of(self, rows: Sequence[int] | Ints) -> Ints:
        """flow_ids of some rows, in the order in which they were read."""
        wanted = np.zeros(len(self.rows), bool)
        wanted[np.asarray(rows, np.int64)] = True
        return self.told.flow_id[wanted[self.told.row]]


def _pieces(rows: Rows, told: Told, at: Ints, of: Ints, place: Ints) -> Rows:
    """Rows for pieces of rows: `of` the row each is of, `place` the piece of each flow at `at`."""
    count = len(of)
    sums = {name: np.zeros(count, np.int64) for name in ("flows", "bytes", "live")}
    np.add.at(sums["flows"], place, 1)
    np.add.at(sums["bytes"], place, told.bytes[at])
    np.add.at(sums["live"], place, told.live[at].astype(np.int64))
    first, last = np.full(count, np.iinfo(np.int64).max), np.full(count, np.iinfo(np.int64).min)
    np.minimum.at(first, place, told.ts[at])
    np.maximum.at(last, place, told.ts_end[at])
    src, dst, proto, service, state = (getattr(rows, name)[of] for name in ("src", "dst", "proto", "service", "state"))
    return Rows(src, dst, proto, service, state, sums["flows"], sums["bytes"], sums["live"], first, last)


@dataclass(frozen=True, slots=True)
class Columns:
    """Flows as they are read, one value each. workload: of `workloads`, 0 nobody, below 0 one of several; network: its code.

    service: destination port, of ICMP the type; state: KNOWN or why not; live: 0 or 1.
    """

    flow_id: Ints
    src: tuple[Ints, Ints, Ints]
    dst: tuple[Ints, Ints, Ints]
    network: Codes
    proto: Small
    service: NDArray[np.uint16]
    state: Small
    ts: Ints
    ts_end: Ints
    bytes: Ints
    live: Small


class Gathering:
    """Numbers ends and questions as batches of flows come. Memory grows with what is different, and by 37 bytes a flow."""

    def __init__(self) -> None:
        from workbench.policy import history_kernel  # the compiler takes half a second to load

        self._kernels = history_kernel
        self._seed = np.uint64(secrets.randbits(64))
        self._ends = _Numbered(history_kernel.END_COLUMNS)
        self._rows = _Numbered(history_kernel.ROW_COLUMNS)
        self._told: dict[str, list[NDArray[Any]]] = {name: [] for name in Told.__slots__}

    def add(self, flows: Columns) -> None:
        """One more batch. ValueError where its columns differ in length."""
        count = len(flows.flow_id)
        every = [*flows.src, *flows.dst, *(getattr(flows, name) for name in Columns.__slots__[3:])]
        if any(len(column) != count for column in every):
            raise ValueError("columns of flows differ in length")
        src, dst = (self._of_ends(side, flows.network) for side in (flows.src, flows.dst))
        row = self._asked((src, dst, flows.proto, flows.service, flows.state), flows)
        told: list[NDArray[Any]] = [flows.flow_id, row, flows.ts, flows.ts_end, flows.bytes, flows.live]
        for name, column in zip(Told.__slots__, told, strict=True):
            self._told[name].append(column.copy())  # a view would keep all columns of its batch

    def told(self) -> Told:
        """All flows, given away: a column at a time, since both forms of all of them would be twice the memory."""
        columns: list[Any] = []
        for name, kind in zip(Told.__slots__, _TOLD, strict=True):
            parts = self._told.pop(name, [])
            columns.append(np.concatenate([np.empty(0, kind), *parts]))
        return Told(*columns)

    def ends(self) -> tuple[Ints, Ints, Ints, Codes]:
        """Numbered ends: hi, lo, workload, network."""
        known, K = self._ends.known(), self._kernels  # noqa: N806
        hi, lo, workload = (np.ascontiguousarray(known[:, n]) for n in (K.HI, K.LO, K.WORKLOAD))
        return hi, lo, workload, known[:, K.NETWORK].astype(np.int32)

    def rows(self) -> Rows:
        """What was asked, given away."""
        known, K = self._rows.known(), self._kernels  # noqa: N806
        self._rows = _Numbered(K.ROW_COLUMNS)
        pair, asked = known[:, K.PAIR], known[:, K.ASKED]
        src, dst = (pair >> 32).astype(np.int32), (pair & 0xFFFFFFFF).astype(np.int32)
        flows, size, live, first, last = (known[:, n].copy() for n in (K.FLOWS, K.BYTES, K.LIVE, K.FIRST, K.LAST))
        service = (asked >> 8 & 0xFFFF).astype(np.uint16)
        proto, state = (asked >> 24).astype(np.uint8), (asked & 255).astype(np.uint8)
        return Rows(src, dst, proto, service, state, flows, size, live, first, last)

    def _of_ends(self, side: tuple[Ints, Ints, Ints], network: Codes) -> Codes:
        out, known, at = np.empty(len(network), np.int32), self._ends, 0
        told = tuple(np.ascontiguousarray(c) for c in (*side, network))
        while True:
            at = self._kernels.number_ends(told, known.table, known.rows, known.count, self._seed, at, len(network), out)
            if at == len(network):
                return out
            known.grow(len(network) - at)
            self._kernels.place_ends(known.rows, int(known.count[0]), self._seed, known.table)

    def _asked(self, asked: tuple[Any, ...], flows: Columns) -> Codes:
        out, known, at = np.empty(len(flows.ts), np.int32), self._rows, 0
        asked = tuple(np.ascontiguousarray(c) for c in asked)
        told = tuple(np.ascontiguousarray(c) for c in (flows.ts, flows.ts_end, flows.bytes, flows.live))
        while True:
            at = self._kernels.number_asked(asked, told, known.table, known.rows, known.count, self._seed, at, len(out), out)
            if at == len(out):
                return out
            known.grow(len(out) - at)
            self._kernels.place_asked(known.rows, int(known.count[0]), self._seed, known.table)


class _Numbered:
    """Different keys with a table to find them; see `history_kernel`."""

    def __init__(self, columns: int, room: int = 1 << 12) -> None:
        self.rows = np.empty((room, columns), np.int64)
        self.table = np.full(room * 2, -1, np.int32)
        self.count = np.zeros(1, np.int64)

    def grow(self, coming: int) -> None:
        """Room for more, and a table without entries."""
        had = int(self.count[0])
        room = 1 << max(had * 2, min(had + coming, had * 4)).bit_length()
        rows = np.empty((room, self.rows.shape[1]), np.int64)
        rows[:had] = self.rows[:had]
        self.rows = rows
        self.table = np.full(room * 2, -1, np.int32)

    def known(self) -> NDArray[np.int64]:
        """One row a number."""
        return self.rows[: int(self.count[0])]


def gathered(gathering: Gathering, ends: Ends, without: int = 0) -> History:
    """What was gathered, once it is known who the ends were; the gathering has it no longer."""
    rows, told = gathering.rows(), gathering.told()
    begin, end = (int(told.ts.min()), int(told.ts_end.max())) if len(told) else (0, 0)
    return History(ends, rows, told, begin, end, without)
