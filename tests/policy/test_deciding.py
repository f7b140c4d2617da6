"""One packet judged on a resolved policy: as the naive evaluator does, examples of differences included."""

import random

from tests.policy import made
from workbench.policy import examples, symbolic
from workbench.policy.deciding import decide
from workbench.policy.naive import End, Packet, judge
from workbench.policy.resolved import resolve
from workbench.policy.symbolic import BLOCKED, Example


def test_it_agrees_with_the_naive_evaluator() -> None:
    dice = random.Random(8)
    for _ in range(60):
        policy = made.policy(dice)
        for _ in range(20):
            packet = made.packet(dice)
            if not packet.initiator_known or packet.at is None:
                continue
            wanted = judge(policy, packet, made.resolver)
            one = Example(packet.src.address, packet.dst.address, packet.proto, packet.sport, packet.dport)
            found = decide(resolve(policy, made.resolver, packet.at), one)
            assert (found.verdict, found.rule, found.others) == (wanted.verdict, wanted.rule, wanted.others)


def test_examples_of_a_difference_are_judged_differently() -> None:
    dice = random.Random(9)
    seen = 0
    for _ in range(25):
        one, other = made.policy(dice, 4), made.policy(dice, 4)
        old, new = (resolve(policy, made.resolver, made.NOW) for policy in (one, other))
        found = symbolic.difference(old, new, 20)
        for rows, stopped in ((found.allowed, "old"), (found.denied, "new")):
            for row in rows.rows:
                packet = examples.of_row(row)
                said = Packet(End(packet.src), End(packet.dst), packet.proto, packet.sport, packet.dport, made.NOW)
                verdicts = {"old": judge(one, said, made.resolver).verdict, "new": judge(other, said, made.resolver).verdict}
                assert [name for name, verdict in verdicts.items() if verdict in BLOCKED] == [stopped]
                seen += 1
    assert seen > 60
