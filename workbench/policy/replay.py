"""A policy on recorded flows: millions of them, each with its verdict and the rule that decided.

Members are those of one moment, given by whoever resolved the policy; rules that end at a time hold for flows before it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.policy import replay_kernel as K  # noqa: N812  the codes
from workbench.policy.addresses import LAST, V4_FIRST, V4_LAST, AddressSet
from workbench.policy.model import TIERS, lasts, until
from workbench.policy.resolved import Meant, Resolved

#: Verdicts by number, as in the answer's column.
VERDICTS: Final = ("allow", "deny", "reject", "unmanaged", "undetermined")

_ACTIONS: Final = {"allow": K.ALLOW, "deny": K.DENY, "reject": K.REJECT, "pass": K.PASS}
_NEVER: Final = np.iinfo(np.int64).max
_LOW: Final = (1 << 64) - 1
_PIECE: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Flows:
    """Columns of flows, one value a flow. Addresses as in the index: two halves of 128 bits, two's complement.

    ts: microseconds since 1970; known: whether the initiator is; proto, sport, dport: int32.
    """

    src_hi: NDArray[np.int64]
    src_lo: NDArray[np.int64]
    dst_hi: NDArray[np.int64]
    dst_lo: NDArray[np.int64]
    proto: NDArray[np.int32]
    sport: NDArray[np.int32]
    dport: NDArray[np.int32]
    ts: NDArray[np.int64]
    known: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Judged:
    """One value a flow. verdict: VERDICTS; decided, following: numbers of `Resolved.rules`, -1 where no rule."""

    verdict: NDArray[np.uint8]
    decided: NDArray[np.int32]
    following: NDArray[np.int32]


class Replay:
    """A policy made ready: tables of one bit an entry, where an entry is a rule with one of its boxes.

    Costs about 2 KB an entry for each thousand of them. `resolved` must be of no time (at=None): rules end by themselves here.
    """

    def __init__(self, resolved: Resolved) -> None:
        entries = [(n, meant, box) for n, meant in enumerate(resolved.rules) for box in meant.boxes]
        words = len(entries) // 64 + 1
        self._from = _side([m.src for _, m, _ in entries], resolved.internal, words)
        self._to = _side([m.dst for _, m, _ in entries], resolved.internal, words)
        tops = (255, 65535, 65535)
        protos, sports, dports = (_numbers([box[n] for _, _, box in entries], top, words) for n, top in enumerate(tops))
        self._services = (np.ascontiguousarray(protos[1][protos[0]]), sports[0], sports[1], dports[0], dports[1])
        self._rules = np.array([n for n, _, _ in entries], np.int32)
        self._actions = np.array([_ACTIONS[m.rule.action] for _, m, _ in entries], np.uint8)
        tiers = [TIERS.index(m.rule.tier) for _, m, _ in entries]
        self._tiers = np.searchsorted(np.array(tiers, np.int64), tiers, "right").astype(np.int32)
        self._expires = np.array([_end(m) for _, m, _ in entries], np.int64)
        self._default = _ACTIONS[resolved.default]

    def judge(self, flows: Flows, threads: int = 0) -> Judged:
        """All flows, on so many threads (0: a thread a core). ValueError where columns differ in length."""
        count = len(flows.src_hi)
        columns = {name: np.ascontiguousarray(getattr(flows, name)) for name in Flows.__slots__}
        if any(len(column) != count for column in columns.values()):
            raise ValueError("columns of flows differ in length")
        out = Judged(np.empty(count, np.uint8), np.empty(count, np.int32), np.empty(count, np.int32))

        def piece(start: int) -> None:
            K.judge_flows(
                tuple(columns[name] for name in ("src_hi", "src_lo", "dst_hi", "dst_lo")),
                tuple(columns[name] for name in ("proto", "sport", "dport")),
                columns["ts"], columns["known"], self._from, self._to, self._services, self._rules, self._actions, self._tiers,
                self._expires, self._default, start, min(start + _PIECE, count), out.verdict, out.decided, out.following,
            )  # fmt: skip

        _spread(piece, range(0, count, _PIECE), threads or os.cpu_count() or 1)
        return out


def _spread(work: Callable[[int], None], starts: Iterable[int], threads: int) -> None:
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, starts):
            pass


def _end(meant: Meant) -> int:
    text = meant.rule.expires
    if text is None or lasts(text):
        return int(_NEVER)
    since = until(text, datetime.now(UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds


def _side(sets: list[AddressSet], internal: AddressSet, words: int) -> Any:
    """Classes of one end's addresses: where each begins, how to find it, its bits and whether it is internal."""
    edges = {0, V4_FIRST, V4_LAST + 1}
    for found in {*sets, internal}:
        edges.update(edge for first, last in found.ranges for edge in (first, last + 1) if edge <= LAST)
    starts = sorted(edges)
    place = {edge: n for n, edge in enumerate(starts)}
    place[LAST + 1] = len(starts)
    bits = np.zeros((len(starts), words), np.uint64)
    inside = np.zeros(len(starts), np.uint8)
    for n, found in enumerate(sets):
        for first, last in found.ranges:
            bits[place[first] : place[last + 1], n // 64] |= np.uint64(1 << n % 64)
    for first, last in internal.ranges:
        inside[place[first] : place[last + 1]] = 1
    upper = np.array([edge >> 64 for edge in starts], np.uint64)
    lower = np.array([edge & _LOW for edge in starts], np.uint64)
    begin = place[V4_FIRST]
    v4 = np.array([edge - V4_FIRST for edge in starts[begin : place[V4_LAST + 1]]], np.uint32)
    return upper, lower, v4, _v4_index(v4, begin), bits, inside


def _v4_index(starts: NDArray[np.uint32], begin: int) -> NDArray[np.int32]:
    """For each upper half of an IPv4 address the class of its first address, then the last class, then where IPv4's begin."""
    first = np.searchsorted(starts, np.arange(65536, dtype=np.uint32) << np.uint32(16), "right") - 1
    return np.concatenate([first, [len(starts) - 1, begin]]).astype(np.int32)


def _numbers(ranges: list[tuple[int, int]], top: int, words: int) -> tuple[NDArray[np.int32], NDArray[np.uint64]]:
    """Classes of a small number: the class of each value, and the bits of each class."""
    edges = {0}.union(edge for first, last in ranges for edge in (first, last + 1) if edge <= top)
    starts = sorted(edges)
    place = {edge: n for n, edge in enumerate(starts)}
    place[top + 1] = len(starts)
    bits = np.zeros((len(starts), words), np.uint64)
    for n, (first, last) in enumerate(ranges):
        bits[place[first] : place[last + 1], n // 64] |= np.uint64(1 << n % 64)
    lengths = np.diff([*starts, top + 1])
    return np.repeat(np.arange(len(starts), dtype=np.int32), lengths), bits
