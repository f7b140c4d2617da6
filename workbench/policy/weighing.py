"""What recorded flows show of a difference between two policies: which of its rows matter to anybody.

A row is of all packets there can be, judged by the members of one time, as a push would enforce them. Flows whose fate changes
by the members of their own time alone belong to no row; they are told apart.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.policy.addresses import AddressSet
from workbench.policy.impact import Change, Impact
from workbench.policy.judging import ALLOW, DENY, REJECT, UNMANAGED
from workbench.policy.recorded import Ends, History
from workbench.policy.services import ICMP, ICMP6, Box
from workbench.policy.symbolic import Difference, Row

#: Verdicts by number (judging.VERDICTS) before and after each kind of change.
_VERDICTS: Final = {
    "allowed": ((DENY, REJECT), (ALLOW, UNMANAGED)),
    "denied": ((ALLOW, UNMANAGED), (DENY, REJECT)),
    "rejected": ((DENY,), (REJECT,)),
    "silenced": ((REJECT,), (DENY,)),
    "managed": ((UNMANAGED,), (ALLOW,)),
    "unmanaged": ((ALLOW,), (UNMANAGED,)),
}
_MASK: Final = (1 << 64) - 1

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Weight:
    """Recorded flows of one row. pairs: of workloads or addresses; last: us since 1970, 0 where none; live: sessions still open.

    surviving: those of them that go on although newly denied, since the rule keeps what exists.
    """

    flows: int = 0
    bytes: int = 0
    pairs: int = 0
    last: int = 0
    live: int = 0
    surviving: int = 0


@dataclass(frozen=True, slots=True)
class Weighed:
    """rows: a weight for each row of a difference, kind by kind. apart: changes of flows that are in no row."""

    rows: tuple[Weight, ...]
    apart: tuple[Change, ...]


def weigh(found: Difference, impact: Impact) -> Weighed:
    """Put every flow whose verdict changes to its row. impact: of the same two policies, as of the same time."""
    assert impact.old is not None
    history = impact.new.history
    places = _Places(history.ends)
    old, new = impact.old.enforced.verdict, impact.new.enforced.verdict
    keeps = np.array([*(rule.existing == "keep" for rule in impact.new.rules), True])
    surviving = np.where(keeps[impact.new.enforced.decided], history.rows.live, 0)
    placed = np.zeros(len(history.rows), bool)
    weights: list[Weight] = []
    for kind, part in found.kinds():
        before, after = _VERDICTS[kind]
        at = np.flatnonzero(np.isin(old, before) & np.isin(new, after))
        left = surviving if kind == "denied" else np.zeros_like(surviving)
        weights += [_weight(history, places, row, at, left, placed) for row in part.rows]
    changes = (*impact.intended.denied, *impact.intended.allowed)
    return Weighed(tuple(weights), tuple(change for change in changes if not placed[impact.rows_of(change)].all()))


def _weight(
    history: History, places: _Places, row: Row, at: NDArray[np.int64], surviving: NDArray[np.int64], placed: Bools
) -> Weight:
    if not len(at):
        return Weight()
    rows = history.rows
    src, dst = places.inside(row.src), places.inside(row.dst)
    here = at[src[rows.src[at]] & dst[rows.dst[at]] & _served(rows.proto[at], rows.service[at], row.services)]
    placed[here] = True
    if not len(here):
        return Weight()
    party = history.ends.party
    pairs = len(set(zip(party[rows.src[here]].tolist(), party[rows.dst[here]].tolist(), strict=True)))
    flows, size, live, left = (int(column[here].sum()) for column in (rows.flows, rows.bytes, rows.live, surviving))
    return Weight(flows, size, pairs, int(rows.last[here].max()), live, left)


def called(ends: Ends, n: int) -> str:
    """The workload's name, else the address: a MAC, which is all that neighbours tell, says less than that."""
    name = ends.name(n)
    return ends.address(n) if name.startswith("mac:") else name


class _Places:
    """Ends in the order of their addresses, to find those of a set at the cost of its ranges."""

    def __init__(self, ends: Ends) -> None:
        numbers = [(h & _MASK) << 64 | low & _MASK for h, low in zip(ends.hi.tolist(), ends.lo.tolist(), strict=True)]
        self._order = np.array(sorted(range(len(numbers)), key=numbers.__getitem__), np.int64)
        self._numbers = sorted(numbers)
        self._known: dict[AddressSet, Bools] = {}

    def inside(self, found: AddressSet) -> Bools:
        """Which ends are of a set."""
        if found not in self._known:
            out = np.zeros(len(self._order), bool)
            for first, last in found.ranges:
                out[self._order[bisect_left(self._numbers, first) : bisect_right(self._numbers, last)]] = True
            self._known[found] = out
        return self._known[found]


def _served(proto: NDArray[Any], service: NDArray[Any], boxes: Sequence[Box]) -> Bools:
    """Which questions are for one of these services. Of ICMP the type is a box's source port."""
    out = np.zeros(len(proto), bool)
    icmp = (proto == ICMP) | (proto == ICMP6)
    for box in boxes:
        first, last = (np.where(icmp, box.sport[n], box.dport[n]) for n in (0, 1))
        out |= (proto >= box.proto[0]) & (proto <= box.proto[1]) & (service >= first) & (service <= last)
    return out
