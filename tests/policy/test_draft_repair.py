"""A repair makes all hold, changes no other connection, cites what it is for, and says when it cannot be."""

import random

from tests.policy import made
from tests.policy.test_draft_judged import packet_of
from workbench.policy.draft_judged import judge
from workbench.policy.draft_repair import repair
from workbench.policy.draft_seen import Edge
from workbench.policy.lint import lint
from workbench.policy.loader import load
from workbench.policy.model import Policy
from workbench.policy.naive import judge as plainly
from workbench.policy.resolved import resolve
from workbench.policy.symbolic import difference
from workbench.policy.written import text_of


def edges_of(dice: random.Random, count: int) -> list[Edge]:
    out = {}
    while len(out) < count:
        p = made.packet(dice)
        if p.proto in (6, 17):
            out[p.src.address, p.dst.address, p.proto, p.dport] = Edge(p.src.address, p.dst.address, p.proto, p.dport, ids=(7,))
    return list(out.values())


def test_what_must_gets_through_and_what_must_not_does_not_by_the_plain_evaluator_and_nothing_else_changes() -> None:
    mended = 0
    for seed in range(80):
        dice = random.Random(seed)
        policy = made.policy(dice)
        edges = edges_of(dice, 8)
        allow, block, others = edges[:3], edges[3:6], edges[6:]
        before = judge(policy, others).stopped
        found = repair(policy, allow, block)
        if found.drafted is None:  # every place before the rule that decides is taken: priority 0 of the first tier
            assert any(rule.tier == "quarantine" and rule.priority == 0 for rule in policy.rules)
            continue
        new = load([("x", text_of(found.drafted.policy, found.drafted.comments()))]).policy
        assert all(plainly(new, packet_of(edge)).verdict in ("allow", "unmanaged") for edge in allow)
        assert all(plainly(new, packet_of(edge)).verdict in ("deny", "reject") for edge in block)
        assert (judge(new, others).stopped == before).all()
        assert new.rules[: len(policy.rules)] == policy.rules
        assert all(found.drafted.evidence[rule.name].ids for rule in found.added)
        mended += bool(found.added)
    assert mended > 40


POLICY = """\
apiVersion: workbench/v1
kind: Policy
metadata: {name: site}
internal: 10.0.0.0/8
rules:
  - {name: no-ssh, tier: app, priority: 100, action: deny, from: any, to: 10.0.1.0/24, services: tcp/22}
  - {name: rest, tier: app, priority: 200, action: allow, from: any, to: any}
"""


def policy() -> Policy:
    return load([("site.yaml", POLICY)]).policy


def edge(src: str, dst: str, port: int) -> Edge:
    from workbench.policy.addresses import address

    return Edge(address(src), address(dst), 6, port, ids=(1,))


def test_a_repair_changes_exactly_the_packets_that_it_must() -> None:
    old = policy()
    allow = [edge("10.0.0.5", "10.0.1.1", 22), edge("10.0.0.5", "10.0.1.2", 22), edge("10.0.0.9", "10.0.1.1", 443)]
    block = [edge("10.0.0.7", "10.0.2.1", 445)]
    found = repair(old, allow, block)
    assert found.drafted is not None
    assert [(rule.action, rule.to) for rule in found.added] == [("deny", ["10.0.2.1"]), ("allow", ["10.0.1.1", "10.0.1.2"])]
    changed = difference(resolve(old), resolve(found.drafted.policy))
    assert (changed.allowed.packets, changed.denied.packets) == (2 * 65536, 65536)
    assert not [one for one in lint(load([("x", text_of(found.drafted.policy))])) if one.severity == "error"]


def test_what_must_be_both_is_said_and_what_holds_is_left_alone() -> None:
    one = edge("10.0.0.5", "10.0.1.1", 22)
    assert repair(policy(), [one], [one]).conflicts == (one,)
    held = repair(policy(), [], [one])
    assert held.drafted is not None
    assert (held.drafted.policy, held.added) == (policy(), ())


def test_wider_repairs_stop_before_what_must_stay() -> None:
    allow = [edge(f"10.0.0.{n}", "10.0.1.1", 22) for n in (4, 5, 6)]
    stays = edge("10.0.0.7", "10.0.1.1", 22)
    wide = repair(policy(), allow, [], breadth=2)
    narrow = repair(policy(), allow, [stays], breadth=2)
    assert wide.drafted is not None
    assert narrow.drafted is not None
    assert not judge(wide.drafted.policy, [stays]).stopped[0]
    assert judge(narrow.drafted.policy, [stays]).stopped[0]
