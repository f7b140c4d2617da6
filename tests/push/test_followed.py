"""Templates whose members follow: what they become under a lease, and when it is over."""

from __future__ import annotations

import pytest

from workbench.errors import PlanError
from workbench.policy.loader import load
from workbench.push import followed, rules
from workbench.push.plans import Recorded, answering
from workbench.push.resident import workbench_dpu as dpu
from workbench.push.targets import addresses

HEAD = """apiVersion: workbench/v1
kind: Policy
metadata: {name: web}
internal: [10.0.0.0/8]
groups:
  a: {labels: {app: a}}
  b: {labels: {app: b}}
  c: {labels: {app: c}}
  ab: {union: [a, b]}
  ac: {union: [a, c]}
rules:
"""
HELD = {"a": "10.1.0.1 10.1.0.9", "b": "10.2.0.1", "c": "10.3.0.0/30"}


def made(kind: str, lines: str) -> tuple[list[str], dict[str, list[str]]]:
    """Templates of the rules, and the members in them."""
    policy = load([("policy", HEAD + lines)]).policy

    def held(selector: object, _at: object) -> addresses.AddressSet:
        words = HELD[dict(selector.labels)["app"]].split()  # type: ignore[attr-defined]
        return addresses.of_ranges(part for word in words for part in addresses.prefix(word).ranges)

    known = Recorded(held)
    rules.stages(kind, policy, known, 0, addresses.ANY)
    sets = known.sets("", ["10.0.0.0/8"], 600)
    stages = rules.stages(kind, policy, answering(sets), 0, addresses.ANY)
    return followed.templates(kind, policy, sets, 0, addresses.ANY, stages), {n: one["members"] for n, one in sets.items()}


@pytest.mark.parametrize("kind", ["ovs", "nft"])
@pytest.mark.parametrize("group", ["ab", "ac"])
def test_what_denies_a_union_keeps_all_its_members_when_the_lease_is_over(kind: str, group: str) -> None:
    (text,), members = made(
        kind,
        f"  - {{name: stop, tier: quarantine, priority: 1, action: deny, from: {group}, to: 10.9.0.0/24, services: tcp/22}}\n"
        "  - {name: go, tier: app, priority: 1, action: allow, from: any, to: any}\n"
        "  - {name: data, tier: app, priority: 2, action: allow, from: c, to: b, services: tcp/2049}\n",
    )
    for over in (False, True):
        found = dpu.expand(text, members, over)
        denying = [line for line in found.splitlines() if "10.9.0.0/24" in line]
        assert any("10.1.0.9" in line for line in denying)
        assert any(("10.2.0.1" if group == "ab" else "10.3.0.0") in line for line in denying)
    assert dpu.expand(text, members, False) != dpu.expand(text, members, True)


@pytest.mark.parametrize("kind", ["ovs", "nft"])
def test_who_is_passed_on_does_not_follow(kind: str) -> None:
    lines = (
        "  - {name: on, tier: quarantine, priority: 1, action: pass, from: a, to: any}\n"
        "  - {name: no, tier: quarantine, priority: 2, action: deny, from: any, to: 10.9.0.0/24}\n"
    )
    with pytest.raises(PlanError, match="web/on: who is passed on can't follow"):
        made(kind, lines)
