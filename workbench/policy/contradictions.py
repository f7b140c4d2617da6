"""Rules of one tier and priority that overlap and say different things: which of them holds would be a matter of chance.

Lint tells them; whatever is proven of a policy, tested with it or made of it refuses it, and does not take whichever is listed
first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workbench.errors import PolicyError
from workbench.policy.addresses import V4_FIRST, V4_LAST, AddressSet
from workbench.policy.loader import Loaded, Problem, refused
from workbench.policy.members import Resolver
from workbench.policy.resolved import Meant, Resolved, resolve
from workbench.policy.services import Box
from workbench.policy.stand_ins import StandIns

#: How many are told; of every rule one at most.
MOST: Final = 50

#: Comparisons of ranges and of services that are worth some 5 s.
_MOST_COMPARED: Final = 200_000_000

_REMEDY: Final = "Give one of them another priority; `workbench policy lint` shows a packet that both match."


def contradictions(resolved: Resolved, most: int = MOST) -> list[tuple[Meant, Meant]]:
    """Pairs that contradict each other, as listed: of every rule the first before it that does, `most` pairs at most.

    Exact. PolicyError where it would take too long to say, of thousands of rules of one priority with long lists in them.
    """
    alike: dict[tuple[str, int], list[Meant]] = defaultdict(list)
    for meant in resolved.rules:
        alike[meant.rule.tier, meant.rule.priority].append(meant)
    out: list[tuple[Meant, Meant]] = []
    effort = _Effort()
    for group in alike.values():
        if len({meant.rule.action for meant in group}) > 1:
            for pair in _pairs(group, effort):
                out.append(pair)
                if len(out) == most:
                    return out
    return out


def refuse_contradictions(loaded: Loaded, resolved: Resolved) -> None:
    """PolicyError with both rules of every contradiction, and where they are written."""
    places = {rule.name: n for n, rule in enumerate(loaded.policy.rules)}
    problems = []
    for one, other in contradictions(resolved):
        file, line = loaded.where("rules", places[one.rule.name], "name")
        why = (
            f"`{other.rule.name}` says {other.rule.action} where `{one.rule.name}` ({file}:{line}) says {one.rule.action}"
            f" at the same tier and priority ({one.rule.tier} {one.rule.priority})"
        )
        nth = places[other.rule.name]
        problems.append(Problem(*loaded.where("rules", nth, "name"), f"rules[{nth}]", why))
    if problems:
        raise refused(problems, _REMEDY)


def refuse_as_known(loaded: Loaded, resolver: Resolver, at: datetime) -> None:
    """The same for a policy in whose groups workloads stand in where nobody is known, each of one selector, as in lint."""
    refuse_contradictions(loaded, resolve(loaded.policy, StandIns([loaded.policy], resolver), at))


class _Effort:
    """What may still be compared."""

    def __init__(self) -> None:
        self._left = _MOST_COMPARED

    def spend(self, meant: Meant, much: int) -> None:
        """So many comparisons more, of this rule."""
        self._left -= much
        if self._left < 0:
            tier, priority = meant.rule.tier, meant.rule.priority
            raise PolicyError(
                f"too many rules of tier {tier}, priority {priority} to say whether they contradict each other:"
                f" `{meant.rule.name}` and others",
                "Give rules with different actions different priorities.",
            )


class _Sets:
    """Sets of addresses, a row each, none empty: ends by their rank, since no array holds 128 bits."""

    def __init__(self, sets: list[AddressSet]) -> None:
        flat = [part for one in sets for part in one.ranges]
        rank = {value: n for n, value in enumerate(sorted({end for part in flat for end in part}))}
        self._ends = np.array([(rank[low], rank[high]) for low, high in flat], np.int64).T
        self._v4 = np.array([V4_FIRST <= low <= V4_LAST for low, _ in flat])
        self._edges = np.cumsum([0, *(len(one.ranges) for one in sets)])
        starts, ends = self._edges[:-1], self._edges[1:]
        self.hull = np.stack([self._ends[0][starts], self._ends[1][ends - 1]])

    def meeting(self, n: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which sets before the nth share an IPv4 address with it, and which an IPv6 address."""
        begin, end = self._edges[n], self._edges[n + 1]
        low, high = self._ends[:, :begin]
        hit = np.searchsorted(self._ends[0][begin:end], high, "right") > np.searchsorted(self._ends[1][begin:end], low, "left")
        v4 = self._v4[:begin]
        return tuple(np.logical_or.reduceat(hit & family, self._edges[:n]) for family in (v4, ~v4))  # type: ignore[return-value]

    def size(self, n: int) -> int:
        """How many ranges `meeting` looks at."""
        return int(self._edges[n])


def _pairs(group: list[Meant], effort: _Effort) -> Iterator[tuple[Meant, Meant]]:
    """Of rules of one tier and priority. Most are told apart by the hulls of their sets; all earlier rules at once."""
    group = [meant for meant in group if meant.src and meant.dst]
    if not group:
        return
    actions = np.array([meant.rule.action for meant in group])
    src, dst = _Sets([meant.src for meant in group]), _Sets([meant.dst for meant in group])
    boxes = np.array([box for meant in group for box in meant.boxes], np.int32)
    edges = np.cumsum([0, *(len(meant.boxes) for meant in group)])
    for n in range(1, len(group)):
        effort.spend(group[n], n)
        near = actions[:n] != actions[n]
        for sets in (src, dst):
            near &= (sets.hull[0][:n] <= sets.hull[1][n]) & (sets.hull[0][n] <= sets.hull[1][:n])
        if not near.any():
            continue
        effort.spend(group[n], 2 * (src.size(n) + dst.size(n)) + 3 * int(edges[n]) * len(group[n].boxes))
        of_src, of_dst = src.meeting(n), dst.meeting(n)
        near &= (of_src[0] & of_dst[0]) | (of_src[1] & of_dst[1])  # no packet has both families
        if near.any():
            near &= np.logical_or.reduceat(_served(boxes[: edges[n]], group[n].boxes), edges[:n])
        if near.any():
            yield group[int(near.argmax())], group[n]


def _served(boxes: NDArray[np.int32], others: tuple[Box, ...]) -> NDArray[np.bool_]:
    """Which of the boxes (n, 3 sides, 2 ends) meet any of the others."""
    out = np.zeros(len(boxes), np.bool_)
    for other in np.array(others, np.int32):
        out |= ((boxes[:, :, 0] <= other[:, 1]) & (other[:, 0] <= boxes[:, :, 1])).all(axis=1)
    return out
