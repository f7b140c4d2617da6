"""Workloads that stand in meet what selectors ask for and nothing more, wherever no prefix of the policy is."""

from tests.policy.test_loader import EXAMPLE
from workbench.policy import addresses
from workbench.policy.loader import load
from workbench.policy.members import Members, Selector
from workbench.policy.model import Policy
from workbench.policy.stand_ins import StandIns, unknown_groups

HEAD = "apiVersion: workbench/v1\nkind: Policy\nmetadata: {name: p}\ninternal: [10.0.0.0/8, 'fd00::/8']\ngroups:\n"


def policy(groups: str) -> Policy:
    return load([("p.yaml", HEAD + groups)]).policy


def members(one: Policy, **how: bool) -> Members:
    return Members(one, StandIns([one], **how))


def test_they_are_internal_and_in_no_prefix_that_is_named() -> None:
    one = load([("esxi.yaml", EXAMPLE)]).policy
    known = members(one)
    training = known.peer("training")
    assert training.v4().count() == training.v6().count() == 1
    assert training & known.internal == training
    assert not training & known.peer("hypervisors")


def test_one_selector_means_those_of_another_that_asks_for_more() -> None:
    known = members(policy("  a: {labels: {app: x}}\n  b: {labels: {app: x, tier: y}}\n  c: {labels: {app: z}}\n"))
    a, b, c = map(known.peer, "abc")
    assert a & b == b
    assert a != b
    assert not a & c


def test_together_some_meet_two_selectors_unless_they_contradict() -> None:
    one = policy("  a: {labels: {app: x}}\n  b: {namespace: y}\n  c: {labels: {app: z}}\n")
    assert not members(one).peer("a") & members(one).peer("b")
    known = members(one, together=True)
    assert known.peer("a") & known.peer("b")
    assert not known.peer("a") & known.peer("c")


def test_one_with_a_label_that_another_group_shuns_is_thought_of() -> None:
    one = policy("  a: {labels: {app: x}}\n  b: {labels: {matchExpressions: [{key: env, operator: NotIn, values: [prod]}]}}\n")
    known = members(one, together=True)
    assert known.peer("a") & known.peer("b")
    assert known.peer("a") - known.peer("b"), "app x may be in prod"


def test_who_is_known_is_not_replaced() -> None:
    one = policy("  a: {labels: {app: x}}\n  b: {labels: {app: y}}\n  all: {union: [a, b]}\n")
    real = addresses.prefix("10.1.0.0/30")
    stand_ins = StandIns([one], lambda selector, at: real if selector == Selector((("app", "x"),)) else addresses.NONE)
    known = Members(one, stand_ins)
    assert known.peer("a") == real
    assert known.peer("b").count() == 2
    assert unknown_groups(one, ["all"], stand_ins.used) == ["b"]
    assert set(stand_ins.called().values()) == {"app=y"}


def test_a_policy_that_names_all_of_its_inside_leaves_room_for_them() -> None:
    one = policy("  a: {labels: {app: x}}\n  b: {cidr: [10.0.0.0/9]}\n  c: {cidr: [10.128.0.0/9]}\n")
    assert members(one).peer("a").v4().count() == 1
