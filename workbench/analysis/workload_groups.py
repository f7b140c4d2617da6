"""Lifelines in groups by namespace, node, kind or a label: which come first, and what each group sums up to. Asks nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from workbench.analysis.workload_traffic import Lifelines
from workbench.analysis.workloads import CONTESTED, Workload

Rank = Literal["bytes", "flows", "name", "first", "last", "lifetime"]
RANKS: Final[tuple[Rank, ...]] = get_args(Rank)

#: What a group is made of, beside `label:KEY`; '' puts all into one.
GROUPINGS: Final = ("namespace", "node", "kind", "")


@dataclass(frozen=True, slots=True)
class Group:
    """value: what its members share; None where they have none of it. members: numbers of workloads, in order.

    alive: how many were there in each bin. new, gone, brief: members that appeared in the window, that vanished in it, and
    that lived for minutes only. contested: members of which an address is claimed by others, too.
    """

    value: str | None
    members: tuple[int, ...]
    flows: int
    bytes: int
    alive: NDArray[np.int64]
    new: int
    gone: int
    brief: int
    contested: int


def appeared(one: Workload, window: tuple[int, int]) -> bool:
    """Whether it came in the window."""
    first = one.first
    return first is not None and window[0] <= first < window[1]


def vanished(one: Workload, window: tuple[int, int]) -> bool:
    """Whether it went in the window."""
    last = one.last
    return last is not None and window[0] < last <= window[1]


def kept(found: Lifelines, window: tuple[int, int], *, filtered: bool) -> list[int]:
    """Workloads to list: those that were there in the window; under a filter, those of which a flow is kept."""
    flows = found.traffic.flows
    return [
        n for n, one in enumerate(found.living.workloads) if (flows[n] > 0 if filtered else flows[n] > 0 or one.touches(*window))
    ]


def grouped(
    found: Lifelines, numbers: Sequence[int], by: str, rank: Rank, window: tuple[int, int], *, descending: bool = True
) -> tuple[Group, ...]:
    """The workloads of these numbers in groups; groups and members by the same measure, ties by name."""
    members: dict[str | None, list[int]] = defaultdict(list)
    workloads = found.living.workloads
    for n in numbers:
        members[workloads[n].value(by) if by else ""].append(n)
    measure = _measure(found, rank)
    made = [_group(found, value, _ordered(found, of, measure, descending=descending), window) for value, of in members.items()]
    weights = {group.value: _weight(group, rank, measure, descending=descending) for group in made}
    made.sort(key=lambda group: group.value or "")
    made.sort(key=lambda group: weights[group.value], reverse=descending)
    made.sort(key=lambda group: group.value is None)  # those without come last, whatever the order
    return tuple(made)


def _measure(found: Lifelines, rank: Rank) -> Callable[[int], Any]:
    workloads, sums = found.living.workloads, found.traffic
    over = found.living.over
    if rank == "name":
        return lambda n: workloads[n].words
    if rank == "first":
        return lambda n: over.start if workloads[n].first is None else workloads[n].first
    if rank == "last":
        return lambda n: over.end if workloads[n].last is None else workloads[n].last
    if rank == "lifetime":
        return lambda n: 2**62 if workloads[n].lifetime is None else workloads[n].lifetime
    amounts = (sums.bytes if rank == "bytes" else sums.flows).tolist()
    return lambda n: amounts[n]


def _ordered(found: Lifelines, numbers: Sequence[int], measure: Callable[[int], Any], *, descending: bool) -> tuple[int, ...]:
    by_name = sorted(numbers, key=lambda n: (found.living.workloads[n].words, found.living.workloads[n].uid))
    return tuple(sorted(by_name, key=measure, reverse=descending))


def _weight(group: Group, rank: Rank, measure: Callable[[int], Any], *, descending: bool) -> Any:
    """What a group is ranked by: its sums; its name; the first of its members else."""
    if rank in ("bytes", "flows"):
        return group.bytes if rank == "bytes" else group.flows
    if rank == "name":
        return group.value or ""
    values = [measure(n) for n in group.members]
    return max(values) if descending else min(values)


def _group(found: Lifelines, value: str | None, members: tuple[int, ...], window: tuple[int, int]) -> Group:
    at = np.array(members, np.int64)
    of = [found.living.workloads[n] for n in members]
    cells = found.living.cells[at]
    return Group(
        value,
        members,
        flows=int(found.traffic.flows[at].sum()),
        bytes=int(found.traffic.bytes[at].sum()),
        alive=(cells > 0).sum(axis=0).astype(np.int64),
        new=sum(appeared(one, window) for one in of),
        gone=sum(vanished(one, window) for one in of),
        brief=sum(one.brief for one in of),
        contested=int((cells == CONTESTED).any(axis=1).sum()),
    )
