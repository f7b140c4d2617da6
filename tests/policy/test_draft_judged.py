"""Edges are judged as the plain evaluator judges their flows, members as of the flows."""

import random

from tests.policy import made
from workbench.policy.draft_judged import VERDICTS, judge
from workbench.policy.draft_seen import Edge, Who
from workbench.policy.naive import End, Packet, in_order
from workbench.policy.naive import judge as plainly

TRAIN = Who("t", "train-1", "ml", "pod", (("app", "train"),))
IDLE = Who("i", "idle-1", "ml", "pod", (("app", "idle"),))


def packet_of(edge: Edge) -> Packet:
    ends = [End(a, who.workload() if who else None) for a, who in ((edge.src, edge.src_who), (edge.dst, edge.dst_who))]
    icmp = edge.proto in (1, 58)
    return Packet(*ends, edge.proto, edge.port if icmp else 0, 0 if icmp else edge.port, made.NOW)


def test_edges_get_the_verdict_and_the_rule_of_the_plain_evaluator() -> None:
    seen = set()
    for seed in range(150):
        dice = random.Random(seed)
        policy = made.policy(dice)
        edges = []
        for _ in range(20):
            p = made.packet(dice)
            port = p.sport if p.proto in (1, 58) else p.dport
            edges.append(
                Edge(
                    p.src.address,
                    p.dst.address,
                    p.proto,
                    port,
                    src_who=dice.choice([TRAIN, IDLE, None]),
                    dst_who=dice.choice([TRAIN, None]),
                )
            )
        found = judge(policy, edges, made.NOW)
        for n, edge in enumerate(edges):
            want = plainly(policy, packet_of(edge))
            assert VERDICTS[found.verdict[n]] == want.verdict
            name = found.rules[found.decided[n]].name if found.decided[n] >= 0 else "default"
            assert want.rule in ("", f"made/{name}")
            seen.add(want.verdict)
        assert found.rules == tuple(rule for rule in in_order(policy) if rule in found.rules)
    assert seen == set(VERDICTS)


def test_no_edges_are_no_verdicts() -> None:
    assert len(judge(made.policy(random.Random(1)), []).verdict) == 0
