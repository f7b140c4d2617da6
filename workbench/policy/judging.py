"""A policy's verdicts on what was recorded, twice: as it was meant, and as a push would enforce it.

*Intended*: a group's members are who the ends were when each flow began. *Enforced*: the members of one time, the push, as
addresses; undetermined where others claim an end's address then than those whom a group means. Where several claim an end with
equal right each of them is judged; where that makes a difference, the verdict is undetermined and marked as ambiguous.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.errors import CancelledError
from workbench.policy.addresses import AddressSet
from workbench.policy.classes import Classes, Places, Side, rules_in_order, selectors_of, services_side
from workbench.policy.contested import contested_by
from workbench.policy.members import Resolver, nobody
from workbench.policy.model import TIERS, Policy, Rule, lasts, until
from workbench.policy.naive import in_order
from workbench.policy.recorded import KNOWN, Codes, Ends, History, Ints, microseconds, moment
from workbench.policy.resolved import boxes_of
from workbench.policy.selectors import of_claimed

#: Verdicts by number.
VERDICTS: Final = ("allow", "deny", "reject", "unmanaged", "undetermined")
ALLOW, DENY, REJECT, UNMANAGED, UNDETERMINED = range(5)
_ACTIONS: Final = {"allow": ALLOW, "deny": DENY, "reject": REJECT, "pass": 5}
_NEVER: Final = int(np.iinfo(np.int64).max)
#: Rows that a thread judges before it looks whether it should stop.
_PIECE: Final = 1 << 17
#: Pairs of ends that rows of ambiguous ends are judged as, altogether; what comes behind them nobody tells apart.
_MOST_PAIRS: Final = 1 << 24

Stopped = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """One value a row. verdict: of VERDICTS; decided, following: numbers of `Judged.rules`, -1 for none; ambiguous: 0 or 1."""

    verdict: NDArray[np.uint8]
    decided: NDArray[np.int32]
    following: NDArray[np.int32]
    ambiguous: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Judged:
    """A policy's verdicts on the rows of `history` (a value a flow: `verdict[history.told.row]`).

    rules: in the order in which they are tried. at: when the members of *enforced* are those of, us since 1970.
    """

    history: History
    policy: Policy
    rules: tuple[Rule, ...]
    intended: Verdicts
    enforced: Verdicts
    at: int
    resolver: Resolver = field(repr=False)
    _sides: dict[str, Any] = field(repr=False)

    def rule_id(self, row: int, verdicts: Verdicts | None = None) -> str:
        """What decided: `policy/rule`, `policy/default`, or '' where nothing did."""
        found = verdicts or self.intended
        if int(found.decided[row]) >= 0:
            return f"{self.policy.metadata.name}/{self.rules[int(found.decided[row])].name}"
        return "" if int(found.verdict[row]) in (UNMANAGED, UNDETERMINED) else f"{self.policy.metadata.name}/default"

    def others(self, row: int, *, enforced: bool = False) -> tuple[str, ...]:
        """Ids of all rules that would have matched after the one that decided, in order; as intended, or as enforced."""
        side = self._sides["enforced" if enforced else "intended"]
        decided = int((self.enforced if enforced else self.intended).decided[row])
        if decided < 0:
            return ()
        asked = self._sides["asked"]
        rows, src, dst = self.history.rows, asked.src[row], asked.dst[row]
        bits = side.froms.bits[side.froms.of[src]] & side.tos.bits[side.tos.of[dst]]
        bits = bits & side.services.bits[side.services.of[asked.service[row]]]
        places = np.flatnonzero(np.unpackbits(bits.view(np.uint8), bitorder="little")).tolist()
        ends = self._sides["ready"].expires
        name = self.policy.metadata.name
        return tuple(f"{name}/{self.rules[n].name}" for n in places if n > decided and rows.first[row] < ends[n])

    def over(self, history: History) -> Judged:
        """The same policy on another history, such as one that was split."""
        return self if history is self.history else judge(history, self.policy, self.resolver, moment(self.at))


@dataclass(frozen=True, slots=True)
class Tables:
    """Classes of one way to read a policy, with their bits."""

    froms: Side
    tos: Side
    services: Side
    inside: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Ready:
    """What a policy says without its members: action, first rule of the next tier and end of each rule."""

    rules: tuple[Rule, ...]
    actions: NDArray[np.uint8]
    next_tier: NDArray[np.int32]
    expires: NDArray[np.int64]
    default: int


@dataclass(frozen=True, slots=True)
class Asked:
    """Rows as the kernel takes them, and behind them one for each that a row of ambiguous ends may be. of: the row of these.

    services: distinct protocol << 16 | port or type. unsure: rows of which an end has more claimants than are told.
    """

    src: NDArray[np.int32]
    dst: NDArray[np.int32]
    service: NDArray[np.int32]
    known: NDArray[np.uint8]
    when: NDArray[np.int64]
    services: NDArray[np.int64]
    of: NDArray[np.int64]
    unsure: NDArray[np.int64]


def judge(
    history: History, policy: Policy, resolver: Resolver = nobody, at: datetime | None = None,
    stopped: Stopped = lambda: False, threads: int = 0,
) -> Judged:  # fmt: skip
    """Every row's verdict. at: when the push would be, default the newest flow's end. CancelledError where `stopped` says so.

    A rule that ends at a time holds for flows before it: `history` is split there (the answer's `history` is the split one).
    """
    ready = ready_of(policy)
    history = history.split(ends_of_rules(ready))
    when = microseconds(at) if at is not None else history.end
    places, asked = _kept(history.ends.kept, "places", lambda: Places(history.ends)), _asked(history)
    services = services_side([boxes_of(rule.services) for rule in ready.rules], asked.services)
    then = moment(when)
    intended = _tables(ready, Classes(policy, history.ends, places), services)
    enforced = intended
    if selectors_of(policy):
        enforced = _tables(ready, Classes(policy, history.ends, places, lambda s: resolver(s, then)), services)
    count = len(history.rows)
    guess = any(of_claimed(selector) or selector.macs for selector in selectors_of(policy))
    first = _judged(asked, ready, intended, len(asked.src), stopped, threads)
    meant = _settled(first, asked, count, guess=guess)
    pushed = meant  # without selectors nothing depends on who an end is
    if enforced is not intended:
        pushed = Verdicts(*_judged(asked, ready, enforced, count, stopped, threads), np.zeros(count, np.uint8))
        pushed = _doubted(pushed, history, places, [contested_by(resolver, s, then) for s in selectors_of(policy)])
    sides = {"intended": intended, "enforced": enforced, "asked": asked, "ready": ready}
    return Judged(history, policy, ready.rules, meant, pushed, when, resolver, sides)


def ready_of(policy: Policy) -> Ready:
    """A policy's rules in order, as numbers."""
    rules = tuple(in_order(policy))
    tiers = [TIERS.index(rule.tier) for rule in rules]
    return Ready(
        rules,
        np.array([_ACTIONS[rule.action] for rule in rules] or [0], np.uint8),
        np.searchsorted(np.array(tiers, np.int64), tiers or [0], "right").astype(np.int32),
        np.array([_end(rule) for rule in rules] or [0], np.int64),
        _ACTIONS[policy.defaults.east_west],
    )


def ends_of_rules(ready: Ready) -> list[int]:
    """Times at which a rule ends, us since 1970."""
    return sorted({int(end) for end in ready.expires[: len(ready.rules)] if end != _NEVER})


def _end(rule: Rule) -> int:
    if rule.expires is None or lasts(rule.expires):
        return _NEVER
    return microseconds(until(rule.expires, datetime.now(UTC)))


def _tables(ready: Ready, classes: Classes, services: Side) -> Tables:
    froms, tos = rules_in_order(ready.rules)
    return Tables(classes.matrix(froms), classes.matrix(tos), services, classes.internal.astype(np.uint8))


def _kept(kept: dict[str, Any], name: str, make: Callable[[], Any]) -> Any:
    if name not in kept:
        kept[name] = make()
    return kept[name]


def _asked(history: History) -> Asked:
    found: Asked = _kept(history.rows.kept, "asked", lambda: _made(history))
    return found


def _made(history: History) -> Asked:
    rows, ends = history.rows, history.ends
    asked = rows.proto.astype(np.int64) << 16 | rows.service
    there = np.zeros(1 << 24, bool)
    there[asked] = True
    services = np.flatnonzero(there)
    number = np.zeros(1 << 24, np.int32)
    number[services] = np.arange(len(services), dtype=np.int32)
    unsure = np.zeros(len(ends), bool)
    unsure[list(ends.unsure)] = True
    src, dst, of, more = _expanded(rows.src, rows.dst, ends)
    service, known = number[asked], (rows.state == KNOWN).astype(np.uint8)
    service, known, when = (np.concatenate([column, column[of]]) for column in (service, known, rows.first))
    return Asked(
        np.concatenate([rows.src, src]), np.concatenate([rows.dst, dst]), service, known, when,
        services, of, np.union1d(np.flatnonzero(unsure[rows.src] | unsure[rows.dst]), more),
    )  # fmt: skip


def _expanded(src: Codes, dst: Codes, ends: Ends) -> tuple[Codes, Codes, Ints, Ints]:
    """Every pair of ends that a row of ambiguous ones may be of, the row of each, and rows for which that would be too many."""
    first, count = np.arange(len(ends), dtype=np.int64), np.ones(len(ends), np.int64)
    for end, made in ends.candidates.items():  # which follow each other
        first[end], count[end] = made[0], len(made)
    rows = np.flatnonzero((count[src] > 1) | (count[dst] > 1) | (first[src] != src) | (first[dst] != dst))
    pairs = count[src[rows]] * count[dst[rows]]
    fits = np.cumsum(pairs) <= _MOST_PAIRS
    rows, pairs, more = rows[fits], pairs[fits], rows[~fits]
    of = np.repeat(rows, pairs)
    turn = np.arange(len(of)) - np.repeat(np.cumsum(pairs) - pairs, pairs)
    others = count[dst[of]]
    as_src = (first[src[of]] + turn // others).astype(np.int32)
    return as_src, (first[dst[of]] + turn % others).astype(np.int32), of, more


def _judged(asked: Asked, ready: Ready, tables: Tables, count: int, stopped: Stopped, threads: int) -> tuple[Any, Any, Any]:
    from workbench.policy import row_kernel as K  # noqa: N812

    out = np.empty(count, np.uint8), np.empty(count, np.int32), np.empty(count, np.int32)
    rows = asked.src, asked.dst, asked.service, asked.known, asked.when
    froms, tos, services = ((side.of, side.bits, side.summary) for side in (tables.froms, tables.tos, tables.services))
    rules = ready.actions, ready.next_tier, ready.expires, tables.inside

    def piece(start: int) -> None:
        if stopped():
            raise CancelledError("judging was stopped")
        K.judge_rows(rows, froms, tos, services, rules, ready.default, start, min(start + _PIECE, count), out)

    starts: Sequence[int] = range(0, count, _PIECE)
    if len(starts) < 2:
        for start in starts:
            piece(start)
        return out
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        for _ in pool.map(piece, starts):
            pass
    return out


def _doubted(found: Verdicts, history: History, places: Places, contested: Sequence[AddressSet]) -> Verdicts:
    """Undetermined where an end's address may or may not be in a group that the policy asks for: a push has it in none."""
    doubt = np.zeros(len(places) + 1, bool)
    for one in contested:
        for first, after in zip(*places.spans(one), strict=True):
            doubt[first:after] = True
    at = doubt[places.of[history.rows.src]] | doubt[places.of[history.rows.dst]]
    at &= found.verdict != UNDETERMINED
    fields = ((found.verdict, UNDETERMINED), (found.decided, -1), (found.following, -1), (found.ambiguous, 1))
    for column, value in fields:
        column[at] = value
    return found


def _settled(first: tuple[Any, Any, Any], asked: Asked, count: int, *, guess: bool) -> Verdicts:
    """Rows of ambiguous ends as all of what they may be agree; else undetermined. guess: whether any rule asks who an end is."""
    verdict, decided, following = (column[:count] for column in first)
    ambiguous = np.zeros(count, np.uint8)
    if len(asked.of):
        of, verdicts = asked.of, first[0][count:]
        new = np.flatnonzero(np.r_[True, of[1:] != of[:-1]])
        rows = of[new]
        least, most = np.minimum.reduceat(verdicts, new), np.maximum.reduceat(verdicts, new)
        verdict[rows], decided[rows], following[rows] = least, first[1][count:][new], first[2][count:][new]
        ambiguous[rows[least != most]] = 1
    if guess:
        ambiguous[asked.unsure[asked.known[asked.unsure] != 0]] = 1
    at = ambiguous != 0
    verdict[at], decided[at], following[at] = UNDETERMINED, -1, -1
    return Verdicts(verdict, decided, following, ambiguous)
