"""What changes between two policies, made at once from lists of the rules that still matter: no diagram of either is made.

Of most policies few rules match the same addresses, so the lists are short where joined diagrams would be large. Where they are
not, it is given up after a bounded number of steps, and diagrams are joined instead (`verdicts`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.policy.decisions import lists_kernel as K  # noqa: N812
from workbench.policy.decisions.runs import Runs
from workbench.policy.decisions.space import Space

#: Steps after which it is given up, or as soon as it is seen that there would be more of them: about a second.
_MOST_STEPS: Final = 1 << 26
#: Steps after which that is first looked at.
_LOOK: Final = 1 << 22
#: Items of lists, and parts of one field, after which it is given up: 64 and 200 MB.
_MOST: Final = 1 << 24
#: Whose what is asked about is.
ASKED: Final = K.ASKED


@dataclass(slots=True)
class Rules:
    """Of each product, in the order in which they are tried.

    verdicts: outcomes; tiers, policies: the first product behind its tier and its policy; whose: 0 and 1 for the policies, 2 for
    what is asked about.
    """

    verdicts: list[int] = field(default_factory=list)
    tiers: list[int] = field(default_factory=list)
    policies: list[int] = field(default_factory=list)
    whose: list[int] = field(default_factory=list)


def changes(space: Space, rules: Rules, unsaid: tuple[int, int], kinds: NDArray[np.uint8], *, within: bool) -> Runs | None:
    """Kinds of change from policy 0 to policy 1; None where that would take too many steps.

    unsaid: what each says where no rule does; kinds: by both verdicts, 8 by 8; 0 for those two unless `within`: then only what
    is asked about counts.
    """
    entries = _Entries(space, rules)
    lists = np.array([0, len(entries.order)], np.int64), entries.order
    fields: list[_Field] = []
    left = _MOST_STEPS
    for number in range(entries.last + 1):
        one = _Field(entries, number, lists, within, left)
        painted = number == entries.last
        done = one.paint(np.array([*unsaid, 0], np.uint8), np.ascontiguousarray(kinds.ravel())) if painted else one.split()
        if not done:
            return None
        left -= one.steps
        fields.append(one)
        lists = one.made
    return _closed(fields)


class _Entries:
    """Entries of a space as kernels take them. order: those that match anything; last: the last field that any of them asks."""

    def __init__(self, space: Space, rules: Rules) -> None:
        self.space = space
        owners, sets = space.of_products, space.entries
        lengths = space.bounds[:, 1] - space.bounds[:, 0]
        begins = space.ranges[np.minimum(space.bounds[:, 0], len(space.ranges) - 1)]
        counts = np.array([one.count for one in space.classes], np.int64)
        full = (lengths[sets] == 1) & (begins[sets, 0] == 0) & (begins[sets, 1] >= counts - 1)
        self.order = np.flatnonzero((lengths[sets] > 0).all(axis=1)).astype(np.int32)
        self.last = int(np.flatnonzero(~full[self.order].all(axis=0)).max(initial=0))
        self.verdicts = np.array(rules.verdicts, np.uint8)[owners]
        self.whose = np.array(rules.whose, np.uint8)[owners]
        self.tiers, self.policies = (
            np.searchsorted(owners, np.array(ends, np.int64)[owners]).astype(np.int32) for ends in (rules.tiers, rules.policies)
        )
        self.full: list[NDArray[np.uint8]] = []
        self.alike: list[NDArray[np.int32]] = []
        behind = np.ones(len(sets), bool)
        same = np.array(rules.tiers, np.int64)[owners] * 8 + self.verdicts
        for number in range(4, -1, -1):
            _, first, kind = np.unique(same, return_index=True, return_inverse=True)
            self.full.insert(0, behind.astype(np.uint8))
            self.alike.insert(0, first[kind].astype(np.int32))
            behind = behind & full[:, number]
            same = kind.astype(np.int64) * len(space.bounds) + sets[:, number]

    def of(self, number: int) -> Any:
        """What the kernels ask of entries in a field."""
        sets = np.ascontiguousarray(self.space.entries[:, number])
        return sets, self.full[number], self.alike[number], self.tiers, self.policies, self.whose, self.verdicts


class _Field:
    """Lists of one field, and what they come to. made: the lists of the next."""

    def __init__(self, entries: _Entries, number: int, lists: Any, within: bool, steps: int) -> None:
        self.number, self.count = number, entries.space.classes[number].count
        self._lists, self._entries, self._within, self._most = lists, entries.of(number), int(within), steps
        self._sets = entries.space.bounds, entries.space.ranges
        self._state = np.zeros(7, np.int64)
        self.part_at = np.zeros(len(lists[0]), np.int64)
        self.parts = np.empty((1 << 18, 3), np.int32)  # memory that is not written to costs nothing
        self._made = np.zeros(1 << 17, np.int64), np.empty(_MOST, np.int32)
        self._table = np.zeros(1 << 18, np.int32)

    @property
    def steps(self) -> int:
        """Taken."""
        return int(self._state[K.STEPS])

    @property
    def made(self) -> Any:
        """The lists of the next field."""
        at, items = self._made
        return at[: int(self._state[K.LISTS]) + 1].copy(), items[: int(self._state[K.ITEMS])].copy()

    def split(self) -> bool:
        """Make the lists of the next field; False where that takes too much."""
        return self._all(
            lambda done, most: K.split(
                self._lists, self._entries, self._sets, self.count, self._within, done, most, self._made, self._table,
                self.part_at, self.parts, self._state,
            )
        )  # fmt: skip

    def paint(self, unsaid: NDArray[np.uint8], kinds: NDArray[np.uint8]) -> bool:
        """Outcomes in place of lists; False where that takes too much."""
        return self._all(
            lambda done, most: K.paint(
                self._lists, self._entries, self._sets, self.count, self._within, unsaid, kinds, done, most, self.part_at,
                self.parts, self._state,
            )
        )  # fmt: skip

    def _all(self, kernel: Callable[[int, int], int]) -> bool:
        count, done, most = len(self.part_at) - 1, 0, min(_LOOK, self._most)
        while (done := int(kernel(done, most))) < count:
            if self.steps > most:
                if most == self._most or (count > 1 and self.steps * count > max(done, 1) * self._most):
                    return False
                most = self._most
            elif not self._grow():
                return False
        return True

    def _grow(self) -> bool:
        """Room for the next list; False where it is at an end."""
        lists, items, parts = self._state[K.MORE_LISTS :].tolist()
        if max(items, parts) > _MOST:
            return False
        if parts > len(self.parts):
            self.parts = _longer(self.parts, 2 * parts)
        at, things = self._made
        if items > len(things):
            things = _longer(things, 2 * items)
        if lists >= len(at) or 2 * lists >= len(self._table):
            at = _longer(at, 2 * lists + 2)
            self._table = np.zeros(1 << (4 * lists + 4).bit_length(), np.int32)
            K.fill_table((at, things), int(self._state[K.LISTS]), self._table)
        self._made = at, things
        return True


def _longer(array: NDArray[Any], length: int) -> NDArray[Any]:
    out = np.empty((length, *array.shape[1:]), array.dtype)
    out[: len(array)] = array
    return out


def _closed(fields: list[_Field]) -> Runs:
    """Nodes of all lists, from the last field to the first."""
    most = sum(len(one.part_at) - 1 for one in fields)
    room = sum(int(one.part_at[-1]) for one in fields)
    nodes = np.empty(most, np.uint8), np.zeros(most + 1, np.int64), np.empty((room + 1, 3), np.int32)
    table = np.zeros(1 << (2 * most).bit_length(), np.int32)
    state = np.zeros(2, np.int64)
    behind = np.empty(0, np.int64)
    for one in reversed(fields):
        refs = np.empty(len(one.part_at) - 1, np.int64)
        K.close(one.number, one.count, one.part_at, one.parts, behind, refs, nodes, table, state)
        behind = refs
    count, runs = state.tolist()
    return Runs(int(behind[0]), nodes[0][:count], nodes[1][: count + 1], nodes[2][:runs])
