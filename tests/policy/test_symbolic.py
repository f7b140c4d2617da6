"""Answers for all packets at once agree with the plain evaluator, packet by packet, and their counts are exact."""

import random

import pytest

from tests.policy import made
from tests.policy.test_naive import rules
from workbench.policy import addresses, diagrams, services
from workbench.policy.addresses import AddressSet
from workbench.policy.contradictions import contradictions
from workbench.policy.model import Policy
from workbench.policy.naive import End, Packet, judge
from workbench.policy.resolved import Resolved, resolve
from workbench.policy.symbolic import BLOCKED, Rows, difference, idle, let_through, needless, newly_allowed, with_verdict

ALLOW = "tier: app, priority: 1, action: allow"
HOME = "internal: [10.0.0.0/8]\n"


def meant(policy: Policy) -> Resolved:
    return resolve(policy, made.resolver, made.NOW)


def stopped(policy: Policy, packet: Packet) -> bool:
    return judge(policy, packet, made.resolver).verdict in BLOCKED


def times(rows: Rows, packet: Packet) -> int:
    """In how many rows a packet is: in one at most, since they are disjoint."""
    values = packet.proto, packet.sport, packet.dport
    return sum(
        packet.src.address in row.src
        and packet.dst.address in row.dst
        and any(all(a <= v <= b for v, (a, b) in zip(values, box, strict=True)) for box in row.services)
        for row in rows.rows
    )


def agree(seed: int) -> int:
    """One pair of policies and packets at their edges; returns on how many packets the policies differ."""
    dice = random.Random(seed)
    old = made.policy(dice)
    kept = dice.sample(old.rules, max(0, len(old.rules) - 1))
    new = made.policy(dice) if dice.random() < 0.5 else old.model_copy(update={"rules": kept})
    found = difference(meant(old), meant(new), 100_000)
    for rows, before in ((found.allowed, True), (found.denied, False)):
        assert sum(row.packets for row in rows.rows) == rows.packets
        if (one := rows.example) is not None:
            packet = Packet(End(one.src), End(one.dst), one.proto, one.sport, one.dport, made.NOW)
            assert (stopped(old, packet), stopped(new, packet)) == (before, not before)
    differ = 0
    for _ in range(20):
        some = made.packet(dice)
        packet = Packet(some.src, some.dst, some.proto, some.sport, some.dport, made.NOW)
        was, now = stopped(old, packet), stopped(new, packet)
        if (packet.src.address in addresses.V4) == (packet.dst.address in addresses.V4):
            assert (times(found.allowed, packet), times(found.denied, packet)) == (int(was and not now), int(now and not was)), (
                seed
            )
            differ += was != now
    return differ


def test_differences_are_those_of_the_plain_evaluator() -> None:
    assert sum(agree(seed) for seed in range(25)) > 20


def same_as_dd(seed: int) -> int:
    """The same packets, counted and as sets, as decision diagrams of `dd` hold."""
    dice = random.Random(seed)
    old, new = meant(made.policy(dice, 20)), meant(made.policy(dice, 20))
    found = difference(old, new, 100_000)
    total = 0
    for wide, shift in ((32, addresses.V4), (128, addresses.V6)):
        space = diagrams.Space(wide)
        before, after = (with_verdict(space, one, BLOCKED) for one in (old, new))
        for rows, packets in ((found.allowed, before & ~after), (found.denied, after & ~before)):
            listed = space.nothing
            for row in rows.rows:
                listed |= space.product(row.src & shift, row.dst & shift, row.services)
            assert listed == packets, seed
            total += space.count(packets)
    assert total == found.allowed.packets + found.denied.packets
    return total


def test_the_diagrams_of_dd_hold_the_same_packets() -> None:
    assert sum(same_as_dd(seed) > 0 for seed in range(12)) > 6


def test_those_of_dd_in_python_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from dd import autoref

    monkeypatch.setattr(diagrams, "_engine", autoref)
    assert sum(same_as_dd(seed) > 0 for seed in range(100, 102)) > 0


def test_a_difference_is_few_rows_with_exact_counts() -> None:
    old = rules(f"{ALLOW}, from: 10.1.0.0/16, to: 10.2.0.0/24, services: tcp/443", head=HOME)
    new = rules(f"{ALLOW}, from: 10.1.0.0/16, to: [10.2.0.0/24, 10.3.0.7], services: [tcp/443, tcp/8443]", head=HOME)
    found = difference(meant(old), meant(new))
    assert found.denied.packets == 0
    assert found.denied.example is None
    assert found.allowed.packets == 65536 * 65536 * (256 + 2)
    assert [(r.src.texts(), r.dst.texts(), list(map(services.texts, r.services))) for r in found.allowed.rows] == [
        (["10.1.0.0/16"], ["10.2.0.0/24"], ["tcp/8443"]),
        (["10.1.0.0/16"], ["10.3.0.7"], ["tcp/443", "tcp/8443"]),
    ]
    assert newly_allowed(meant(new), meant(old)).packets == 0


def test_counts_of_ipv6_are_whole_numbers_and_leave_out_where_ipv4_lies() -> None:
    everything = rules(f"{ALLOW}, from: any, to: any")
    found = difference(meant(rules()), meant(everything)).allowed
    headers = 256 * 65536 * 65536
    assert found.packets == headers * (2**64 + (2**128 - 2**32) ** 2)
    assert sum(row.packets for row in found.rows) == found.packets


def test_other_names_priorities_and_orders_that_change_nothing_are_no_difference() -> None:
    one = rules(f"{ALLOW}, from: any, to: 10.0.0.0/24", "tier: app, priority: 9, action: deny, from: any, to: any")
    other = rules(
        "tier: admin, priority: 3, action: pass, from: any, to: any",
        f"{ALLOW}, from: any, to: [10.0.0.0/25, 10.0.0.128/25]",
        "tier: baseline, priority: 0, action: deny, from: any, to: any",
    )
    assert not difference(meant(one), meant(other))


def test_deny_is_not_reject_and_allow_is_not_unmanaged() -> None:
    one = rules(
        f"{ALLOW}, from: 10.0.0.0/24, to: 9.9.9.9", "tier: app, priority: 2, action: deny, from: any, to: 8.8.8.8", head=HOME
    )
    other = rules("tier: app, priority: 2, action: reject, from: any, to: 8.8.8.8", f"{ALLOW}, from: any, to: 7.7.7.7", head=HOME)
    found = difference(meant(one), meant(other))
    headers = 256 * 65536 * 65536
    assert {kind: rows.packets // headers for kind, rows in found.kinds()} == {
        "allowed": 0, "denied": 0, "rejected": 1 << 32, "silenced": 0, "managed": 1 << 32, "unmanaged": 256,
    }  # fmt: skip
    assert found
    assert not found.passage
    back = difference(meant(other), meant(one))
    assert (back.silenced.packets, back.unmanaged.packets) == (found.rejected.packets, found.managed.packets)
    assert newly_allowed(meant(one), meant(other)).packets == 0


def test_a_changed_default_or_space_is_a_difference() -> None:
    assert difference(meant(rules(head=HOME)), meant(rules(head=HOME + "defaults: {east_west: allow}\n"))).allowed.packets
    assert difference(meant(rules(head=HOME)), meant(rules(head="internal: [10.0.0.0/9]\n"))).allowed.packets


def test_what_must_never_get_through_is_shown_by_a_packet() -> None:
    found = meant(rules(f"{ALLOW}, from: 10.1.0.0/16, to: 10.2.0.5, services: tcp/1-1023", head=HOME))
    a, b = addresses.prefix("10.1.9.0/24"), addresses.prefix("10.2.0.0/24")
    leak = let_through(found, a, b, services.parse("tcp/1000-2000"))
    assert leak.packets == 256 * 24 * 65536
    assert leak.example is not None
    assert (addresses.address_text(leak.example.src), addresses.address_text(leak.example.dst)) == ("10.1.9.0", "10.2.0.5")
    assert (leak.example.proto, leak.example.dport) == (6, 1000)
    assert let_through(found, a, b, services.parse("udp/53")).packets == 0
    assert let_through(found, a, AddressSet(), services.parse("any")).packets == 0


def test_rules_that_decide_nothing_are_told_with_what_covers_them() -> None:
    found = meant(
        rules(
            f"{ALLOW}, from: 10.0.0.0/9, to: any",
            f"{ALLOW}, from: 10.128.0.0/9, to: any",
            "tier: app, priority: 2, action: deny, from: 10.0.0.0/8, to: any, services: tcp",
            "tier: app, priority: 3, action: allow, from: 10.64.0.0/16, to: any",
            "tier: app, priority: 4, action: allow, from: idle, to: any",
            "tier: baseline, priority: 4, action: deny, from: any, to: any",
            head="groups:\n  idle: {labels: {app: idle}}\n",
        )
    )
    assert [(one.rule_id, one.kind, one.covered_by) for one in idle(found)] == [
        ("p/r2", "shadowed", ("p/r0", "p/r1")),
        ("p/r3", "redundant", ("p/r0",)),
        ("p/r4", "empty", ()),
    ]


def test_rules_that_decide_what_others_would_are_told_with_those() -> None:
    found = meant(
        rules(
            "tier: admin, priority: 1, action: pass, from: 10.0.0.0/9, to: any",
            "tier: admin, priority: 2, action: pass, from: 10.0.0.0/8, to: any, services: udp",
            "tier: admin, priority: 3, action: deny, from: 10.0.0.0/9, to: 10.0.0.1, services: tcp",
            f"{ALLOW}, from: 10.0.0.0/16, to: any",
            "tier: app, priority: 2, action: allow, from: 10.0.0.0/8, to: any, services: tcp",
            "tier: baseline, priority: 4, action: deny, from: 172.16.0.0/12, to: any",
            "tier: baseline, priority: 5, action: reject, from: 172.16.0.0/12, to: any",
        )
    )
    assert [(one.rule_id, one.kind, one.covered_by) for one in idle(found)] == [
        ("p/r2", "shadowed", ("p/r0",)),
        ("p/r6", "shadowed", ("p/r5",)),
    ]
    assert [(one.rule_id, one.covered_by) for one in needless(found)] == [
        ("p/r1", ("p/default",)),
    ]


def judged_without(policy: Policy, gone: set[str]) -> Resolved:
    return meant(policy.model_copy(update={"rules": [rule for rule in policy.rules if rule.name not in gone]}))


@pytest.mark.parametrize("seed", range(400, 430))
def test_exactly_the_rules_without_effect_can_go(seed: int) -> None:
    policy = made.policy(random.Random(seed), 12)
    all_of_them = meant(policy)
    lost, vain = idle(all_of_them), needless(all_of_them)
    names = {one.rule_id.partition("/")[2] for one in lost}
    assert not difference(all_of_them, judged_without(policy, names))
    for rule in policy.rules:
        if rule.name in names:
            continue
        told = any(one.rule_id == f"made/{rule.name}" for one in vain)
        in_force = any(one.rule.name == rule.name for one in all_of_them.rules)
        ways = [difference(all_of_them, judged_without(policy, gone | {rule.name})) for gone in (names, set[str]())]
        assert (not any(ways)) == (told or not in_force), rule.name
    ids = {one.rule_id for one in all_of_them.rules} | {"made/default", "unmanaged"}
    assert all(ids.issuperset(one.covered_by) for one in (*lost, *vain))
    assert all(one.covered_by for one in (*lost, *vain) if one.kind != "empty")


def test_one_priority_with_two_verdicts_on_one_packet_is_a_contradiction() -> None:
    def pairs(other: str) -> int:
        return len(contradictions(meant(rules(f"{ALLOW}, from: 10.0.0.0/8, to: any, services: tcp/1-100", other))))

    deny = "tier: app, priority: 1, action: deny"
    assert pairs(f"{deny}, from: 10.9.9.9, to: 10.0.0.1, services: tcp/100") == 1
    assert pairs(f"{deny}, from: 10.9.9.9, to: 10.0.0.1, services: tcp/101") == 0
    assert pairs(f"{deny}, from: 11.9.9.9, to: 10.0.0.1, services: tcp/100") == 0
    assert pairs(f"{deny}, from: any, to: 'fd00::/8', services: tcp/100") == 0  # no packet has both families
    assert pairs(f"{ALLOW}, from: any, to: any") == 0
    assert pairs("tier: app, priority: 2, action: deny, from: any, to: any") == 0
