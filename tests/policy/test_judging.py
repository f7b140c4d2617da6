"""Recorded flows with who their ends were get the verdicts of the plain evaluator: as meant, and as pushed."""

import random
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.policy import made
from workbench.errors import CancelledError
from workbench.policy import addresses
from workbench.policy.addresses import AddressSet
from workbench.policy.claimants import Claimants, ends_of
from workbench.policy.judging import VERDICTS, Judged, judge
from workbench.policy.members import Selector, Workload, means
from workbench.policy.model import Policy
from workbench.policy.naive import End, Packet
from workbench.policy.naive import judge as plainly
from workbench.policy.recorded import KNOWN, Columns, Gathering, History, gathered, microseconds

NETWORKS = ["", "vlan:100", "vni:5001", "vni:5001/vlan:7"]
PEOPLE: list[dict[str, Any]] = [
    {"labels": '{"app":"train"}', "namespace": "ml", "mac": "02:00:00:00:00:01", "kind": "pod"},
    {"labels": '{"app":"train","tier":"a"}', "namespace": "ml", "mac": None, "kind": "vm"},
    {"labels": '{"app":"idle"}', "namespace": "web", "mac": "02:00:00:00:00:02", "kind": "service"},
    {"labels": "no JSON", "namespace": None, "mac": None, "kind": "pod"},
    {"labels": None, "namespace": None, "mac": None, "kind": "many"},
]
SETS = [(1, 3), (2, 4), (1, 2, 3), (5,)]
GROUPS: dict[str, Any] = {
    "train": {"labels": {"app": "train"}},
    "idle": {"labels": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["train"]}]}},
    "ml": {"namespace": "ml", "kind": ["pod", "vm"]},
    "card": {"mac": "02-00-00-00-00-01"},
    "tenant": {"vni": 5001, "except": ["train"]},
    "lan": {"network": ["vlan:100", ""], "cidr": ["10.0.0.0/24", "fd00::/64"]},
    "both": {"union": ["ml", "10.0.0.128/25"], "except": ["card", "fd00::1"]},
}


class Known:
    """Workloads 1 to 5, and sets of them that claim an end."""

    def query(self, sql: str, params: Any = ()) -> pa.Table:
        said = {name: [one[name] for one in PEOPLE] for name in ("labels", "namespace", "mac", "kind")}
        ids = list(range(1, len(PEOPLE) + 1))
        return pa.table({"workload_id": ids, "words": [f"ns/w{n}" for n in ids], "uid": [f"u{n}" for n in ids], **said})


def policy(dice: random.Random, most: int) -> Policy:
    said = made.policy(dice, most).model_dump(by_alias=True, exclude_unset=True, exclude_none=True)
    said["groups"] |= {name: group for name, group in GROUPS.items() if name not in said["groups"]}
    for rule in said["rules"]:
        if dice.random() < 0.5:
            rule[dice.choice(["from", "to"])] = dice.choices(list(GROUPS), k=dice.randint(1, 2))
    return Policy.model_validate(said)


def resolver(selector: Selector, at: datetime | None) -> AddressSet:
    """Another half of the addresses for every selector, and later other ones."""
    shift = (len(repr(selector)) + (at is not None and at > made.NOW)) % 2
    return addresses.of_ranges([(a + shift, a + shift + 3) for a in (addresses.address("10.0.0.4"), addresses.address("fd00::"))])


def half(value: int, shift: int) -> int:
    part = value >> shift & (1 << 64) - 1
    return part - (1 << 64) if part >> 63 else part


#: A packet with a workload (0 nobody, below 0 a set) of each end, and the network.
Flow = tuple[Packet, tuple[int, int], str]


def recorded(dice: random.Random, count: int) -> tuple[History, list[Flow]]:
    """So many flows, also as a case is read into."""
    flows: list[Flow] = []
    for _ in range(count):
        packet = made.packet(dice)
        who = tuple(dice.choice([0, 0, 1, 2, 3, 4, -1, *(-2 - n for n in range(len(SETS)))]) for _ in range(2))
        flows.append((packet, (who[0], who[1]), dice.choice(NETWORKS)))
    return history_of(flows), flows


def history_of(flows: list[Flow]) -> History:
    """Flows as a case is read into, in two pieces."""
    gathering = Gathering()
    half_way = len(flows) // 2
    for part in (flows[:half_way], flows[half_way:]):
        gathering.add(columns(part))
    several = Claimants.__new__(Claimants)
    several.sets = SETS
    return gathered(gathering, ends_of(Known(), gathering.ends(), NETWORKS, several))


def columns(flows: list[Flow]) -> Columns:
    def ints(values: Iterable[int], kind: Any = np.int64) -> Any:
        return np.array(list(values), kind)

    def side(n: int) -> tuple[Any, Any, Any]:
        ends = [(p.src, p.dst)[n].address for p, _, _ in flows]
        return ints(half(e, 64) for e in ends), ints(half(e, 0) for e in ends), ints(who[n] for _, who, _ in flows)

    ts = [microseconds(p.at or made.NOW) for p, _, _ in flows]
    asked = [p.sport if p.proto in (1, 58) else p.dport for p, _, _ in flows]
    return Columns(
        ints(range(len(flows))), side(0), side(1), ints((NETWORKS.index(n) for _, _, n in flows), np.int32),
        ints((p.proto for p, _, _ in flows), np.uint8), ints(asked, np.uint16),
        ints((KNOWN if p.initiator_known else 0 for p, _, _ in flows), np.uint8),
        ints(ts), ints(t + 5 for t in ts), ints(100 for _ in ts), ints((0 for _ in ts), np.uint8),
    )  # fmt: skip


def person(who: int, network: str) -> Workload:
    if who == 0:
        return Workload({}, network=network, claimed=False)
    one = PEOPLE[who - 1]
    labels = {"app": "train"} if who == 1 else {"app": "train", "tier": "a"} if who == 2 else {"app": "idle"} if who == 3 else {}
    return Workload(labels, one["namespace"] or "", one["mac"] or "", network, one["kind"])


def possible(address: int, who: int, network: str) -> list[End]:
    members = SETS[-2 - who] if who < -1 else (max(who, 0),)
    return [End(address, person(one, network)) for one in members]


def check(found: Judged, flows: list[Flow]) -> set[str]:
    """Every flow both ways against the plain evaluator; the verdicts that were met."""
    told, seen = found.history.told, set()
    asks_who = any(set(rule.from_ + rule.to) & set(GROUPS) - {"lan", "tenant"} for rule in found.policy.rules)
    for i, (packet, who, network) in enumerate(flows):
        row = int(told.row[i])
        ends = [possible(end.address, one, network) for end, one in zip((packet.src, packet.dst), who, strict=True)]
        want = [plainly(found.policy, as_if(packet, a, b), resolver) for a in ends[0] for b in ends[1]]
        verdict = VERDICTS[found.intended.verdict[row]]
        unsure = asks_who and any(one == -1 or (one < -1 and 5 in SETS[-2 - one]) for one in who)
        if found.intended.ambiguous[row]:
            assert verdict == "undetermined"
            assert packet.initiator_known
            assert len({one.verdict for one in want}) > 1 or any(one == -1 or (one < -1 and 5 in SETS[-2 - one]) for one in who)
            seen.add("ambiguous")
        else:
            assert {one.verdict for one in want} == {verdict}, (packet, who)
            assert not (unsure and packet.initiator_known), (packet, who)
            assert found.rule_id(row) == want[0].rule, (packet, who)
            assert found.others(row) == want[0].others if len(want) == 1 else True, (packet, who)
        pushed = plainly(found.policy, packet, as_of_the_push)
        assert (VERDICTS[found.enforced.verdict[row]], found.rule_id(row, found.enforced)) == (pushed.verdict, pushed.rule)
        assert len(want) > 1 or following(found, row) == (want[0].others[0] if want[0].others else "") or unsure
        seen.add(verdict)
    return seen


def as_of_the_push(selector: Selector, at: datetime | None) -> AddressSet:
    return resolver(selector, made.NOW + timedelta(days=1))


def as_if(packet: Packet, src: End, dst: End) -> Packet:
    return Packet(src, dst, packet.proto, packet.sport, packet.dport, packet.at, packet.initiator_known)


def following(found: Judged, row: int) -> str:
    n = int(found.intended.following[row])
    return f"made/{found.rules[n].name}" if n >= 0 else ""


def agree(seed: int, most: int = 12, flows: int = 30) -> set[str]:
    dice = random.Random(seed)
    history, told = recorded(dice, flows)
    return check(judge(history, policy(dice, most), resolver, made.NOW + timedelta(days=1)), told)


def test_ends_are_judged_by_who_they_were_and_by_who_the_push_means() -> None:
    seen: set[str] = set()
    for seed in range(40):
        seen |= agree(seed)
    assert seen == {*VERDICTS, "ambiguous"}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1000, 2**32))
def test_whatever_policies_and_ends_there_are_get_the_plain_verdicts(seed: int) -> None:
    agree(seed, flows=10)


def test_rules_of_several_words_of_bits_are_judged_alike() -> None:
    for seed in range(3):
        agree(seed, 200)


def test_more_flows_than_a_table_has_room_for_keep_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.policy.judging._PIECE", 64)
    agree(5, flows=5000)


def test_no_flows_are_no_verdicts() -> None:
    found = judge(history_of([]), policy(random.Random(1), 5), resolver)
    assert len(found.intended.verdict) == len(found.enforced.verdict) == 0


def test_judging_that_is_stopped_says_so() -> None:
    dice = random.Random(1)
    history, _ = recorded(dice, 10)
    with pytest.raises(CancelledError):
        judge(history, policy(dice, 5), resolver, stopped=lambda: True)


def test_a_selector_asks_of_every_person_what_it_asks_of_one() -> None:
    history, _ = recorded(random.Random(3), 200)
    people = history.ends.people
    for labels in ((("app", "train"),), ()):
        selector = Selector(labels=labels, namespaces=() if labels else ("ml",))
        assert people.meant(selector).tolist() == [means(selector, people.workload(n)) for n in range(len(people))]
    assert people.meant(Selector(vnis=(5001,))).any()


def test_claimants_beyond_what_can_be_tried_are_told_apart_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.policy.judging._MOST_PAIRS", 0)
    dice = random.Random(11)
    history, flows = recorded(dice, 80)
    asks_who = Policy.model_validate(RULE)
    found = judge(history, asks_who, resolver)
    contested = [any(one < 0 for one in who) and packet.initiator_known for packet, who, _ in flows]
    assert found.intended.ambiguous[found.history.told.row].astype(bool).tolist() == contested
    assert any(contested)


RULE: dict[str, Any] = {
    "apiVersion": "workbench/v1",
    "kind": "Policy",
    "metadata": {"name": "made"},
    "groups": {"train": GROUPS["train"]},
    "rules": [{"name": "r", "tier": "app", "priority": 1, "action": "allow", "from": "train", "to": "any"}],
}
