"""The three engines agree on whatever policies and packets there are; `make agree` tries a hundred thousand."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.policy import made
from tests.policy.agreement import agree
from tests.policy.test_loader import EXAMPLE
from workbench.errors import PolicyError
from workbench.policy.decisions.space import Space
from workbench.policy.loader import load

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUICK
@given(st.randoms(use_true_random=False))
def test_a_policy_and_packets_get_the_same_of_every_engine(dice: random.Random) -> None:
    agree(dice)


def test_policies_of_many_rules_and_every_verdict() -> None:
    seen = agree(random.Random(0), 120, 40)
    for seed in range(1, 30):
        seen += agree(random.Random(seed))
    assert set(seen) == {"allow", "deny", "reject", "unmanaged", "undetermined"}


def test_an_engine_that_errs_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Space.outcome
    monkeypatch.setattr(Space, "outcome", lambda *given: right(*given) % 4 + 1)
    with pytest.raises(AssertionError):
        agree(random.Random(2))


def loads_or_is_refused(text: str) -> bool:
    try:
        load([("p.yaml", text)])
    except PolicyError:
        return False
    return True


@QUICK
@given(st.text(max_size=300))
def test_any_text_loads_or_is_refused(text: str) -> None:
    loads_or_is_refused(text)


_WORDS = st.one_of(
    st.sampled_from(
        [
            "allow",
            "deny",
            "any",
            "10.0.0.0/8",
            "tcp/443",
            "2h",
            "-1",
            "1e9",
            "no",
            "~",
            "{}",
            "[]",
            "[a, b]",
            "{a: b}",
            "*a",
            "&a b",
        ]
    ),
    st.text(max_size=12),
    st.integers().map(str),
)


@settings(QUICK, max_examples=150)
@given(st.data())
def test_the_example_with_a_piece_of_it_changed_loads_or_is_refused(data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(EXAMPLE) - 1))
    length = data.draw(st.integers(0, 30))
    loads_or_is_refused(EXAMPLE[:first] + data.draw(_WORDS) + EXAMPLE[first + length :])


_JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.sampled_from(["any", "tcp", "app", "10.0.0.1", "x"]), st.text(max_size=5)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["name", "cidr", "labels", "from", "to", "rules", "tier", "matchExpressions", "x"]), inner, max_size=4
        ),
    ),
    max_leaves=12,
)


@settings(QUICK, max_examples=150)
@given(st.sampled_from(["metadata", "internal", "groups", "rules", "defaults", "tests"]), _JSON)
def test_any_value_of_a_key_loads_or_is_refused(key: str, value: object) -> None:
    import json

    said = {"apiVersion": '"workbench/v1"', "kind": "Policy", "metadata": "{name: p}", key: json.dumps(value)}
    loads_or_is_refused("".join(f"{name}: {text}\n" for name, text in said.items()))


def test_what_is_made_at_random_loads_as_text() -> None:
    from workbench.policy.written import text_of

    for seed in range(30):
        policy = made.policy(random.Random(seed))
        assert load([("p", text_of(policy))]).policy == policy
