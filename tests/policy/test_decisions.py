"""Arrays of diagrams grow as they fill, with the same answers, and what would not fit is refused."""

import pytest

from benchmarks import policies
from tests.policy import made
from workbench.errors import PolicyError
from workbench.policy.decisions import store, verdicts
from workbench.policy.loader import load
from workbench.policy.resolved import Resolved, resolve
from workbench.policy.symbolic import difference


def two(rules: int) -> list[Resolved]:
    return [resolve(load([("p", policies.text("wild", rules, seed, "v4"))]).policy, made.resolver) for seed in (1, 2)]


def test_arrays_that_grow_give_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = two(120)
    want = difference(old, new, 50)
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
    monkeypatch.setattr(store, "_MOST", 1 << 8)
    with pytest.raises(PolicyError, match="too many ways"):
        difference(*two(60))
