"""A policy's own tests hold for every packet that they speak of: as the naive evaluator says of packets at the edges."""

import random

import pytest

from tests.policy import made
from tests.policy.test_loader import EXAMPLE
from workbench.policy import addresses, model
from workbench.policy.expected import check
from workbench.policy.loader import Loaded, load
from workbench.policy.naive import End, Packet, judge
from workbench.policy.services import parse


def outcomes(*tests: str) -> list[tuple[bool, str, str]]:
    listed = "".join(f"  - {{name: t{n}, {test}}}\n" for n, test in enumerate(tests))
    text = EXAMPLE[: EXAMPLE.index("tests:")] + "tests:\n" + listed
    return [(one.passed, one.verdict, one.rule) for one in check(load([("esxi.yaml", text)]))]


@pytest.mark.parametrize(
    ("test", "wanted"),
    [
        ("from: hypervisors, to: hypervisors, service: tcp/8000, expect: allow", (True, "allow", "contain-esxi/vmotion")),
        ("from: hypervisors, to: hypervisors, service: tcp/8000-8001, expect: allow", (False, "deny", "contain-esxi/default")),
        ("from: any, to: hypervisors, service: tcp/8000, expect: allow", (False, "deny", "contain-esxi/default")),
        ("from: internal, to: 192.0.2.1, service: any, expect: unmanaged", (True, "unmanaged", "")),
        ("from: training, to: hypervisors, service: udp/427, expect: deny", (True, "deny", "contain-esxi/no-guest-to-mgmt")),
        ("from: training, to: hypervisors, service: udp/427, expect: reject", (False, "deny", "contain-esxi/no-guest-to-mgmt")),
        ("from: 10.20.0.1, to: 'fd00:20::1', service: any, expect: deny", (False, "", "")),
    ],
)
def test_of_the_example(test: str, wanted: tuple[bool, str, str]) -> None:
    assert outcomes(test) == [wanted]


def test_workloads_that_nobody_knows_stand_in_and_are_called_by_what_they_are() -> None:
    text = EXAMPLE.replace("from: 10.20.0.5, to: 10.20.0.6", "from: training, to: 10.20.0.6")
    (one,) = check(load([("esxi.yaml", text)]))
    assert (one.passed, one.stood_in) == (False, ("training",))
    assert one.example is not None
    assert one.called[one.example.src] == "app=train"


def test_they_agree_with_the_naive_evaluator() -> None:
    dice = random.Random(10)
    seen = [0, 0]
    for _ in range(40):
        policy = made.policy(dice, 6)
        tests = [made_test(dice, policy) for _ in range(4)]
        policy = model.Policy.model_validate({**policy.model_dump(by_alias=True, exclude_unset=True), "tests": tests})
        for one in check(Loaded(policy, {(): ("p", 1)}), made.resolver, made.NOW):
            if one.example is None:
                assert not one.passed
                continue
            ends = [End(address) for address in (one.example.src, one.example.dst)]
            packet = Packet(*ends, one.example.proto, one.example.sport, one.example.dport, made.NOW)
            said = judge(policy, packet, made.resolver)
            assert (said.verdict, said.rule) == (one.verdict, one.rule)
            assert (said.verdict == one.test.expect) == one.passed
            seen[one.passed] += 1
            if one.passed:
                check_edges(policy, one.test)
    assert min(seen) > 15


def made_test(dice: random.Random, policy: model.Policy) -> dict[str, str]:
    words = ["any", "internal", *(name for name in policy.groups if name != "idle"), *made.PREFIXES]
    src, dst = dice.choices(words, k=2)
    said = {"name": "t", "from": src, "to": dst, "service": dice.choice(made.SERVICES)}
    return said | {"expect": dice.choice(["allow", "deny", "reject", "unmanaged"])}


def check_edges(policy: model.Policy, test: model.Test) -> None:
    """The corners of what a passing test speaks of, where it names prefixes."""
    if test.from_ not in made.PREFIXES or test.to not in made.PREFIXES:
        return
    for src in addresses.prefix(test.from_).ranges:
        for dst in addresses.prefix(test.to).ranges:
            for box in parse(test.service):
                for nth in (0, 1):
                    packet = Packet(End(src[nth]), End(dst[1 - nth]), box.proto[nth], box.sport[nth], box.dport[nth], made.NOW)
                    if (src[nth] in addresses.V4) == (dst[1 - nth] in addresses.V4):
                        assert judge(policy, packet, made.resolver).verdict == test.expect
