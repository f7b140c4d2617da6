"""Recorded flows are judged as the plain evaluator judges them: verdict, deciding rule and the one that would have been next."""

import random
from datetime import UTC, datetime

import numpy as np
import pytest

from tests.policy import made
from workbench.policy.model import Policy
from workbench.policy.naive import Packet, in_order, judge
from workbench.policy.replay import VERDICTS, Flows, Judged, Replay
from workbench.policy.resolved import resolve


def half(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def columns(packets: list[Packet]) -> Flows:
    sides = [[p.src.address for p in packets], [p.dst.address for p in packets]]
    ends = [np.array([half(a >> shift & (1 << 64) - 1) for a in side], np.int64) for side in sides for shift in (64, 0)]
    small = [np.array([getattr(p, name) for p in packets], np.int32) for name in ("proto", "sport", "dport")]
    since = [(p.at or made.NOW) - datetime(1970, 1, 1, tzinfo=UTC) for p in packets]
    ts = np.array([(s.days * 86400 + s.seconds) * 1_000_000 + s.microseconds for s in since], np.int64)
    return Flows(*ends, *small, ts, np.array([p.initiator_known for p in packets], np.uint8))


def check(policy: Policy, packets: list[Packet], found: Judged) -> set[str]:
    names = [f"{policy.metadata.name}/{rule.name}" for rule in in_order(policy)]
    seen = set()
    for i, packet in enumerate(packets):
        want = judge(policy, packet, made.resolver)
        decided, following = int(found.decided[i]), int(found.following[i])
        assert VERDICTS[found.verdict[i]] == want.verdict, packet
        assert (names[decided] if decided >= 0 else "") == ("" if want.rule.endswith("/default") else want.rule), packet
        assert (names[following] if following >= 0 else "") == (want.others[0] if want.others else ""), packet
        seen.add(want.verdict)
    return seen


def agree(seed: int, most: int = 8) -> set[str]:
    dice = random.Random(seed)
    policy = made.policy(dice, most)
    packets = [made.packet(dice) for _ in range(30)]
    return check(policy, packets, Replay(resolve(policy, made.resolver)).judge(columns(packets), 1))


def test_flows_get_the_verdict_and_the_rules_of_the_plain_evaluator() -> None:
    seen: set[str] = set()
    for seed in range(40):
        seen |= agree(seed)
    assert seen == set(VERDICTS)


def test_policies_of_many_rules_take_several_words_of_bits() -> None:
    for seed in range(4):
        agree(seed, 200)


def test_flows_of_several_pieces_are_judged_on_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.policy.replay._PIECE", 64)
    dice = random.Random(7)
    policy = made.policy(dice)
    packets = [made.packet(dice) for _ in range(500)]
    check(policy, packets, Replay(resolve(policy, made.resolver)).judge(columns(packets), 3))


def test_no_flows_are_no_verdicts_and_columns_of_other_lengths_are_refused() -> None:
    replay = Replay(resolve(made.policy(random.Random(1)), made.resolver))
    assert len(replay.judge(columns([])).verdict) == 0
    flows = columns([made.packet(random.Random(1)) for _ in range(3)])
    short = Flows(*(getattr(flows, name)[: 2 if name == "ts" else 3] for name in Flows.__slots__))
    with pytest.raises(ValueError, match="length"):
        replay.judge(short)
