"""Rules of which it would be a matter of chance which holds are told in time, one a rule, and refused by name and line."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from tests.policy.made import policy as made
from tests.policy.made import resolver
from workbench.errors import PolicyError
from workbench.policy import contradictions as module
from workbench.policy.contradictions import MOST, contradictions, refuse_as_known, refuse_contradictions
from workbench.policy.loader import Loaded, load
from workbench.policy.members import Members, nobody
from workbench.policy.resolved import Meant, resolve
from workbench.workflows import policy_desk as desk

AT = datetime(2030, 6, 1, tzinfo=UTC)
HEAD = "apiVersion: workbench/v1\nkind: Policy\nmetadata: {name: p}\n"


def listed(*rules: str, groups: str = "") -> Loaded:
    """Rules of one tier and priority, from line 5 on."""
    lines = "".join(f"  - {{name: r{n}, tier: app, priority: 1, {rule}}}\n" for n, rule in enumerate(rules))
    return load([("p.yaml", f"{HEAD}rules:\n{lines}{groups}")])


def overlap(one: Meant, other: Meant) -> bool:
    """The plain way."""
    served = any(all(a[0] <= b[1] and b[0] <= a[1] for a, b in zip(x, y, strict=True)) for x in one.boxes for y in other.boxes)
    src, dst = one.src & other.src, one.dst & other.dst
    return served and (bool(src.v4() and dst.v4()) or bool(src.v6() and dst.v6()))


def test_of_each_rule_the_first_that_contradicts_it_is_found_as_the_plain_way_finds_it() -> None:
    dice = random.Random(11)
    found = 0
    for _ in range(40):
        policy = made(dice, 20)
        rules = [rule.model_copy(update={"tier": "app", "priority": n % 9 // 8}) for n, rule in enumerate(policy.rules)]
        alike = policy.model_copy(update={"rules": rules})
        resolved = resolve(alike, resolver, AT)
        expected = set()
        for n, other in enumerate(resolved.rules):
            before = [
                one for one in resolved.rules[:n]
                if one.rule.priority == other.rule.priority and one.rule.action != other.rule.action and overlap(one, other)
            ]  # fmt: skip
            if before:
                expected.add((before[0].rule.name, other.rule.name))
        assert {(one.rule.name, other.rule.name) for one, other in contradictions(resolved, 1000)} == expected
        found += len(expected)
    assert found > 20


def test_a_thousand_rules_that_all_contradict_are_told_in_part() -> None:
    loaded = listed(*(f"action: {('allow', 'deny')[n % 2]}, from: any, to: any" for n in range(1000)))
    found = contradictions(resolve(loaded.policy))
    assert len(found) == MOST
    assert len({other.rule.name for _, other in found}) == MOST


def test_what_takes_too_long_to_say_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = listed(*(f"action: {('allow', 'deny')[n % 2]}, from: 10.0.0.{n}, to: any" for n in range(100)))
    assert not contradictions(resolve(loaded.policy))
    monkeypatch.setattr(module, "_MOST_COMPARED", 1000)
    with pytest.raises(PolicyError, match="tier app, priority 1"):
        contradictions(resolve(loaded.policy))


def test_both_rules_are_named_with_their_lines() -> None:
    loaded = listed(
        "action: allow, from: 10.0.0.0/8, to: any", "action: deny, from: any, to: 10.1.2.3", "action: deny, from: any, to: any"
    )
    with pytest.raises(PolicyError) as caught:
        refuse_contradictions(loaded, resolve(loaded.policy))
    first, second = caught.value.message.splitlines()
    assert first == "p.yaml:6: rules[1]: `r1` says deny where `r0` (p.yaml:5) says allow at the same tier and priority (app 1)"
    assert second.startswith("p.yaml:7: rules[2]: `r2` says deny where `r0` (p.yaml:5)")


def test_who_has_two_labels_is_not_thought_up_to_contradict() -> None:
    groups = "groups: {a: {labels: {app: a}}, b: {labels: {app: b}}, c: {labels: {role: c}}}\n"
    for other, refused in (("b", False), ("c", False), ("a", True)):
        loaded = listed("action: allow, from: a, to: any", f"action: deny, from: {other}, to: any", groups=groups)
        try:
            refuse_as_known(loaded, nobody, AT)
        except PolicyError:
            assert refused
        else:
            assert not refused


def test_a_chain_of_groups_that_holds_all_of_them_in_every_one_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.policy.members.MOST_RANGES", 1000)
    chain = "".join(f"  g{n}: {{union: [g{n - 1}, 10.0.{n}.1]}}\n" for n in range(1, 100))
    policy = load([("p.yaml", f"{HEAD}groups:\n  g0: {{cidr: 10.1.0.0}}\n{chain}")]).policy
    assert len(Members(policy).peer("g40").ranges) == 41
    with pytest.raises(PolicyError, match="group `g44`"):
        Members(policy).peer("g99")


def test_a_rule_whose_end_is_past_is_not_in_force_where_no_time_is_given() -> None:
    past = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    ends = ("2h", past, "9000-01-01T00:00:00Z")
    loaded = listed(*(f"action: allow, from: any, to: any, expires: '{end}'" for end in ends))
    assert [meant.rule.name for meant in resolve(loaded.policy).rules] == ["r0", "r2"]


def test_the_editor_tells_what_is_too_large_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    both = "tier: app, priority: 1, from: any"
    rules = f"  - {{name: r0, {both}, action: allow, to: g0}}\n  - {{name: r1, {both}, action: deny, to: g1}}\n"
    text = f"{HEAD}groups:\n  g0: {{cidr: 10.1.0.0}}\n  g1: {{union: [g0, 10.0.0.1]}}\n  g2: {{union: [g1, g0]}}\nrules:\n{rules}"
    with monkeypatch.context() as patched:
        patched.setattr("workbench.policy.members.MOST_RANGES", 4)
        (told,) = desk.remarks(desk.read(text, nobody, AT), nobody)
        assert "group `g2`" in told.text
    found = desk.read(text, nobody, AT)
    assert any("`r0` says allow" in one.text for one in desk.remarks(found, nobody))
    monkeypatch.setattr(module, "_MOST_COMPARED", 0)
    (told,) = desk.remarks(found, nobody)
    assert "too many rules" in told.text


def test_the_editor_compares_a_draft_whose_rules_contradict_each_other() -> None:
    rules = "  - {name: r0, tier: app, priority: 1, action: deny, from: any, to: any}\n"
    draft = desk.read(f"{HEAD}rules:\n{rules}{rules.replace('r0', 'r1').replace('deny', 'allow')}", nobody, AT)
    assert any(one.severity == "error" for one in desk.remarks(draft, nobody))
    assert desk.proof(None, draft).rows
