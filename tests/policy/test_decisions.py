"""Two ways to the same differences: lists of rules, and where those would take too long, diagrams, whose arrays grow."""

import random

import pytest

from benchmarks import policies
from tests.policy import made
from workbench.errors import PolicyError
from workbench.policy import addresses
from workbench.policy.decisions import lists, store, verdicts
from workbench.policy.loader import load
from workbench.policy.resolved import Resolved, resolve
from workbench.policy.services import ANY
from workbench.policy.symbolic import Difference, Rows, difference, let_through


def two(rules: int) -> list[Resolved]:
    return [resolve(load([("p", policies.text("wild", rules, seed, "v4"))]).policy, made.resolver) for seed in (1, 2)]


def answers(seed: int) -> tuple[Difference, Difference, Rows]:
    """Of two unrelated policies, of one and itself without a rule, and of what one lets through between some hosts."""
    dice = random.Random(seed)
    policy = made.policy(dice, 20)
    fewer = policy.model_copy(update={"rules": dice.sample(policy.rules, max(0, len(policy.rules) - 1))})
    old, new, least = (resolve(one, made.resolver, made.NOW) for one in (policy, made.policy(dice, 20), fewer))
    near = addresses.of_ranges([(addresses.address(a), addresses.address(a) + 200) for a in ("10.0.0.4", "fd00::")])
    return difference(old, new, 50), difference(old, least, 50), let_through(old, near, near, (ANY,), 50)


def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists are given up before the first step."""
    monkeypatch.setattr(lists, "_MOST_STEPS", -1)


def test_lists_and_diagrams_give_the_same_answers_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = range(60)
    by_lists = [answers(seed) for seed in seeds]
    never(monkeypatch)
    assert [answers(seed) for seed in seeds] == by_lists


def test_lists_with_little_room_give_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays that begin small, and steps that are looked at again and again."""
    old, new = two(60)
    want = difference(old, new, 50)
    grown: list[int] = []
    right, begin = lists._Field._grow, lists._Field.__init__

    def small(self: lists._Field, *given: object) -> None:
        begin(self, *given)  # type: ignore[arg-type]
        self.parts = self.parts[:1].copy()
        self._made = self._made[0][:2].copy(), self._made[1][:1].copy()
        self._table = self._table[:2].copy()

    def grow(self: lists._Field) -> bool:
        grown.append(1)
        return right(self)

    monkeypatch.setattr(lists._Field, "__init__", small)
    monkeypatch.setattr(lists._Field, "_grow", grow)
    monkeypatch.setattr(lists, "_LOOK", 1)
    assert difference(old, new, 50) == want
    assert grown


def test_arrays_that_grow_give_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = two(120)
    want = difference(old, new, 50)
    never(monkeypatch)
    grown: list[int] = []
    right = store.Store._grow

    def grow(self: store.Store) -> None:
        grown.append(1)
        right(self)

    monkeypatch.setattr(store.Store, "_grow", grow)
    monkeypatch.setattr(verdicts, "Store", lambda said, _: store.Store(said))
    assert difference(old, new, 50) == want
    assert grown


def test_more_cases_than_there_is_room_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    never(monkeypatch)
    monkeypatch.setattr(store, "_MOST", 1 << 8)
    with pytest.raises(PolicyError, match="too many ways"):
        difference(*two(60))
