"""What is written reads back equal, whatever is in it, and a note can be nothing but a note."""

import random

import hypothesis.strategies as st
from hypothesis import given, settings

from tests.policy import made
from tests.policy.test_loader import EXAMPLE
from workbench.policy.loader import load
from workbench.policy.model import Policy
from workbench.policy.written import text_of

TEXTS = st.one_of(
    st.text(max_size=40),
    st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=40),
    st.sampled_from(
        ["no", "~", "1", "007", "1e3", "2030-01-31", "# x", "- x", "a: b", "{", "]", "\x85", "\u2028", "\ufeff", "😀", "\x00"]
    ),
    st.sampled_from(["", " ", "'", '"', "\\", "\n\n", "x" * 3000, "true", "Null", "0x1f", "*x", "&x", "!x", "|", "%x", "@", "`"]),
).filter(lambda text: not any(0xD800 <= ord(char) < 0xE000 for char in text))


def same(policy: Policy, notes: dict[str, list[str]] | None = None) -> str:
    text = text_of(policy, notes or {})
    assert load([("written.yaml", text)]).policy == policy, text
    return text


def test_the_example_reads_back_and_stays_readable() -> None:
    policy = load([("esxi.yaml", EXAMPLE)]).policy
    text = same(policy, {"": ["drafted"], "vmotion": ["3 flows", "last seen\nrules: []"]})
    assert "\n".join(text.splitlines()[:5]) == (
        "# drafted\napiVersion: workbench/v1\nkind: Policy\n"
        "metadata: {name: contain-esxi, description: why, owner: secops}\n"
        'internal: [10.0.0.0/8, "fd00::/8"]'
    )
    assert "  training: {labels: {app: train}}" in text
    assert "    services: [tcp/427, udp/427]\n    existing: cut\n    expires: 2h\n    log: true" in text
    assert "  # 3 flows\n  # last seen\u240arules: []\n  - name: vmotion\n    tier: app" in text
    assert 'tests:\n  - {name: "vmotion still works", from: 10.20.0.5,' in text


@given(st.integers(0, 1 << 30), st.data())
@settings(max_examples=150, deadline=None)
def test_any_policy_with_any_notes_reads_back_equal(seed: int, data: st.DataObject) -> None:
    policy = made.policy(random.Random(seed))
    notes = {name: data.draw(st.lists(TEXTS, max_size=2)) for name in ["", *(rule.name for rule in policy.rules[:2]), "absent"]}
    same(policy, notes)


@given(TEXTS, TEXTS, TEXTS, st.lists(TEXTS, min_size=1, max_size=3))
@settings(max_examples=300, deadline=None)
def test_any_text_in_any_place_reads_back_equal(description: str, key: str, value: str, several: list[str]) -> None:
    groups = {
        "one": {"labels": {"matchLabels": {key: value, "k": value}}, "namespace": several},
        "two": {"labels": {"matchExpressions": [{"key": key, "operator": "In", "values": several}]}, "network": several},
        "three": {"vni": [7, 9], "mac": "00:11:22:33:44:55", "except": ["one", "10.0.0.0/8"]},
    }
    rule = {
        "name": "r",
        "tier": "app",
        "priority": 1,
        "action": "allow",
        "from": "one",
        "to": ["two", "fd00::/8"],
        "description": value,
    }
    test = {"name": description, "from": "one", "to": "::1", "service": "tcp/1", "expect": "allow"}
    said = {"apiVersion": "workbench/v1", "kind": "Policy", "metadata": {"name": "x", "description": description, "owner": value}}
    same(Policy.model_validate({**said, "groups": groups, "rules": [rule], "tests": [test]}), {"r": [*several, key]})


def test_long_lists_and_long_keys_are_cut_to_lines() -> None:
    cidr = [f"10.0.{n}.0/24" for n in range(200)]
    said = {"apiVersion": "workbench/v1", "kind": "Policy", "metadata": {"name": "x"}}
    labels = {"k" * 4000: "v"}
    text = same(Policy.model_validate({**said, "groups": {"many": {"cidr": cidr}, "long": {"labels": labels}}}))
    assert "    cidr:\n      - 10.0.0.0/24\n" in text
