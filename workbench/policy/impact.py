"""What a change of policy would have done to what was recorded: flows newly denied, newly allowed and newly undetermined.

By who asked whom for what: a workload by its name, everybody else by address. Live sessions are told apart: those that go on
although they are denied, since the rule keeps what exists, and those that are cut.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.errors import CancelledError
from workbench.policy.addresses import AddressSet
from workbench.policy.judging import UNDETERMINED, UNMANAGED, Judged, Verdicts, judge
from workbench.policy.members import Resolver, Selector, nobody
from workbench.policy.model import Policy
from workbench.policy.recorded import IMPOSSIBLE, KNOWN, MID_STREAM, RELATED, History
from workbench.policy.services import ICMP, ICMP6, Box, texts

#: What may become of a flow, by number.
KINDS: Final = ("", "newly denied", "newly allowed", "newly undetermined")
DENIED, ALLOWED, DOUBTFUL = 1, 2, 3
#: Groups that are told of each kind, those of most flows.
MOST: Final = 500

_PASSED: Final = (0, 3)
_BLOCKED: Final = (1, 2)


@dataclass(frozen=True, slots=True)
class Change:
    """Flows between two parties for one service that share a fate. src, dst: `namespace/name`, or an address; first, last: us.

    live: sessions still open at the end of history; surviving: those of them that go on although newly denied. rule, before:
    ids of what decides and decided most of them. row: one of theirs.
    """

    kind: str
    src: str
    dst: str
    service: str
    flows: int
    bytes: int
    first: int
    last: int
    live: int
    surviving: int
    rule: str
    before: str
    row: int


@dataclass(frozen=True, slots=True)
class Sum:
    """All flows of a kind, those that no Change tells included. groups: pairs and services."""

    flows: int = 0
    bytes: int = 0
    live: int = 0
    surviving: int = 0
    groups: int = 0


@dataclass(frozen=True, slots=True)
class Changes:
    """One way to read both policies: what is newly denied, allowed and undetermined, most flows first, and their sums."""

    denied: tuple[Change, ...]
    allowed: tuple[Change, ...]
    undetermined: tuple[Change, ...]
    sums: tuple[Sum, Sum, Sum]

    @property
    def nothing(self) -> bool:
        """Whether no flow's fate changes."""
        return not any(one.flows for one in self.sums)


@dataclass(frozen=True, slots=True)
class Impact:
    """Of a change from `old` to `new`. intended: members as of each flow; enforced: as of the push.

    flows: judged in all; mid_stream, related, impossible, ambiguous: undetermined under the new policy, and why; apart: flows
    whose verdict under the new policy differs between intended and enforced.
    """

    intended: Changes
    enforced: Changes
    old: Judged | None = field(repr=False)
    new: Judged = field(repr=False)
    flows: int
    mid_stream: int
    related: int
    impossible: int
    ambiguous: int
    apart: int

    def rows_of(self, change: Change) -> NDArray[np.int64]:
        """Rows of the new judgement's history that a change sums up, as intended; `history.flows_of` gives their flow_ids."""
        history = self.new.history
        group, _ = _grouped(history)
        kinds = _kinds()[_old(self.old, history, "intended").verdict.astype(np.int64) << 3 | self.new.intended.verdict]
        found: NDArray[np.int64] = np.flatnonzero((group == group[change.row]) & (kinds == KINDS.index(change.kind)))
        return found


def compare(history: History, old: Judged | None, new: Judged, most: int = MOST) -> Impact:
    """What changes from one policy to another; old None: nothing was in force, everything passed.

    Where they were judged on histories that are split differently both are judged anew on one that is split for both.
    """
    history = history.split([*new.history.split_at, *(old.history.split_at if old is not None else ())])
    if history.split_at == new.history.split_at and len(history.rows) == len(new.history.rows):
        history = new.history
    new, old = new.over(history), old.over(history) if old is not None else None
    rows = history.rows
    doubt = np.bincount(rows.state, weights=rows.flows, minlength=5)
    meant = _changes(history, old, new, "intended", most)
    alike = new.enforced is new.intended and (old is None or old.enforced is old.intended)
    pushed = meant if alike else _changes(history, old, new, "enforced", most)
    differ = new.intended.verdict != new.enforced.verdict
    return Impact(
        meant, pushed, old, new, int(rows.flows.sum()), int(doubt[MID_STREAM]), int(doubt[RELATED]), int(doubt[IMPOSSIBLE]),
        int(rows.flows[new.intended.ambiguous != 0].sum()), int(rows.flows[differ].sum()),
    )  # fmt: skip


class Session:
    """History kept for an editor: what each state of a policy would change against a base. One worker asks, any thread stops.

    base None: nothing in force. at: when the push would be, default the end of history.
    """

    def __init__(
        self, history: History, base: Policy | None = None, resolver: Resolver = nobody, at: datetime | None = None,
        most: int = MOST,
    ) -> None:  # fmt: skip
        self._history, self._base, self._at, self._most = history, base, at, most
        self._resolver = _remembered(resolver)
        self._lock = threading.Lock()
        self._turn = 0
        self._old: Judged | None = None
        self._last: tuple[Policy, Impact] | None = None

    def update(self, policy: Policy) -> Impact:
        """The impact of this policy. CancelledError after `stop`, whose effect ends with the call that it stopped."""
        with self._lock:
            turn = self._turn

            def stopped() -> bool:
                return turn != self._turn

            if self._last is not None and self._last[0] == policy:
                return self._last[1]
            if self._base is not None and self._old is None:
                self._old = judge(self._history, self._base, self._resolver, self._at, stopped)
            new = judge(self._old.history if self._old else self._history, policy, self._resolver, self._at, stopped)
            if self._old is not None and self._old.history is not new.history:
                self._old = self._old.over(new.history)
            if stopped():
                raise CancelledError("judging was stopped")
            found = compare(new.history, self._old, new, self._most)
            self._last = (policy, found)
            return found

    def stop(self) -> None:
        """Stop the update that is running, from any thread; without one nothing happens."""
        self._turn += 1


def _remembered(resolver: Resolver) -> Resolver:
    known: dict[tuple[Selector, datetime | None], AddressSet] = {}

    def resolve(selector: Selector, at: datetime | None) -> AddressSet:
        if (selector, at) not in known:
            known[selector, at] = resolver(selector, at)
        return known[selector, at]

    return resolve


def _kinds() -> NDArray[np.uint8]:
    """The kind of each old verdict * 8 + new one."""
    out = np.zeros(64, np.uint8)
    for new in _BLOCKED:
        out[[old * 8 + new for old in (*_PASSED, UNDETERMINED)]] = DENIED
    for new in _PASSED:
        out[[old * 8 + new for old in (*_BLOCKED, UNDETERMINED)]] = ALLOWED
    out[[old * 8 + UNDETERMINED for old in (*_PASSED, *_BLOCKED)]] = DOUBTFUL
    return out


def _old(old: Judged | None, history: History, name: str) -> Verdicts:
    """The old verdicts; of nothing in force that everything passes, what is undetermined by itself stays so."""
    if old is not None:
        found: Verdicts = getattr(old, name)
        return found
    count = len(history.rows)
    verdict = np.where(history.rows.state == KNOWN, UNMANAGED, UNDETERMINED).astype(np.uint8)
    none = np.full(count, -1, np.int32)
    return Verdicts(verdict, none, none, np.zeros(count, np.uint8))


def _grouped(history: History) -> tuple[NDArray[np.int32], int]:
    """The group of each row, its two parties and service, and how many there are."""
    rows, ends = history.rows, history.ends
    if "groups" not in rows.kept:
        service = rows.proto.astype(np.int64) << 16 | rows.service
        pair = _ranks(ends.party[rows.src].astype(np.int64) << 32 | ends.party[rows.dst].astype(np.int64))
        group = _ranks(pair * (1 << 24) + service)
        rows.kept["groups"] = group.astype(np.int32), int(group.max(initial=-1)) + 1
    found: tuple[NDArray[np.int32], int] = rows.kept["groups"]
    return found


def _ranks(values: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _changes(history: History, old: Judged | None, new: Judged, name: str, most: int) -> Changes:
    before: Verdicts = _old(old, history, name)
    after: Verdicts = getattr(new, name)
    sums, total = _summed(history, before, after, new), [Sum(), Sum(), Sum()]
    keep: list[tuple[Change, ...]] = []
    for kind in (DENIED, ALLOWED, DOUBTFUL):
        at = np.flatnonzero(sums["kind"] == kind)
        flows, size, live, surviving = (int(sums[part][at].sum()) for part in ("flows", "bytes", "live", "surviving"))
        total[kind - 1] = Sum(flows, size, live, surviving, len(at))
        order = at[np.lexsort((sums["row"][at], -sums["bytes"][at], -sums["flows"][at]))][:most]
        keep.append(tuple(_change(history, sums, int(n), (old, before), (new, after)) for n in order))
    return Changes(keep[0], keep[1], keep[2], (total[0], total[1], total[2]))


def _summed(history: History, before: Verdicts, after: Verdicts, new: Judged) -> dict[str, NDArray[Any]]:
    from workbench.policy import row_kernel as K  # noqa: N812

    rows = history.rows
    group, count = _grouped(history)
    room = min(len(rows), 3 * count)
    out = tuple(np.empty(room, kind) for kind in (np.uint8, np.int32, *(np.int64,) * 7))
    slot = np.full(count * 4, -1, np.int32)
    surviving = rows.live * _keeps(new, after)
    told = (rows.flows, rows.bytes, rows.live, rows.first, rows.last)
    had = K.sum_changes((before.verdict, after.verdict, group), told, _kinds(), slot, out)
    names = ("kind", "row", "flows", "bytes", "live", "first", "last", "rows", "most")
    sums: dict[str, NDArray[Any]] = {name: column[:had] for name, column in zip(names, out, strict=True)}
    sums["surviving"] = np.zeros(had, np.int64)
    at = np.flatnonzero((surviving > 0) & (_kinds()[before.verdict.astype(np.int64) << 3 | after.verdict] == DENIED))
    np.add.at(sums["surviving"], slot[group[at].astype(np.int64) * 4 + DENIED], surviving[at])
    return sums


def _keeps(new: Judged, after: Verdicts) -> NDArray[np.int64]:
    """Whether sessions that exist go on under what decided each row: no rule cuts them."""
    keeps = np.array([*(rule.existing == "keep" for rule in new.rules), True], np.int64)
    found: NDArray[np.int64] = keeps[after.decided]  # -1, the default, is the last
    return found


def _change(
    history: History, sums: dict[str, NDArray[Any]], n: int, old: tuple[Judged | None, Verdicts], new: tuple[Judged, Verdicts]
) -> Change:
    row = int(sums["row"][n])
    rows, ends = history.rows, history.ends
    numbers = {name: int(sums[name][n]) for name in ("flows", "bytes", "first", "last", "live", "surviving")}
    return Change(
        KINDS[int(sums["kind"][n])], ends.name(int(rows.src[row])), ends.name(int(rows.dst[row])),
        service_text(int(rows.proto[row]), int(rows.service[row])), **numbers,
        rule=new[0].rule_id(row, new[1]), before=old[0].rule_id(row, old[1]) if old[0] is not None else "", row=row,
    )  # fmt: skip


def service_text(proto: int, service: int) -> str:
    """A service as policies write it: `tcp/443`, `icmp/8`, `gre`."""
    one, every = (service, service), (0, 65535)
    if proto in (ICMP, ICMP6):
        return texts(Box((proto, proto), one, every))
    return texts(Box((proto, proto), every, one if service or proto in (6, 17, 132, 136, 33) else every))


def parties(history: History, rows: Sequence[int]) -> list[tuple[str, str]]:
    """Who the ends of some rows are called."""
    return [(history.ends.name(int(history.rows.src[n])), history.ends.name(int(history.rows.dst[n]))) for n in rows]
