"""What a policy means: order, pass, defaults, members as of a time, expiry."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.policy.test_loader import EXAMPLE
from workbench.policy import addresses
from workbench.policy.addresses import AddressSet, address
from workbench.policy.loader import load
from workbench.policy.members import Members, Selector, Workload
from workbench.policy.model import Policy
from workbench.policy.naive import End, Judged, Packet, judge

T = datetime(2030, 6, 1, tzinfo=UTC)


def rules(*texts: str, head: str = "") -> Policy:
    lines = "".join(f"\n  - {{name: r{i}, {text}}}" for i, text in enumerate(texts))
    return load([("p", f"apiVersion: workbench/v1\nkind: Policy\nmetadata: {{name: p}}\n{head}rules:{lines or ' []'}")]).policy


def tcp(src: str, dst: str, port: int = 443, **more: object) -> Packet:
    return Packet(End(address(src)), End(address(dst)), 6, 40000, port, **more)  # type: ignore[arg-type]


def test_the_tier_comes_before_the_priority_and_the_priority_before_the_order() -> None:
    everyone = "from: any, to: any"
    found = rules(
        f"tier: app, priority: 1, action: allow, {everyone}",
        f"tier: app, priority: 0, action: deny, {everyone}",
        f"tier: app, priority: 0, action: deny, {everyone}",
        f"tier: quarantine, priority: 900, action: reject, {everyone}, services: tcp/1",
    )
    assert judge(found, tcp("10.0.0.1", "10.0.0.2")) == Judged("deny", "p/r1", ("p/r2", "p/r0"))
    assert judge(found, tcp("10.0.0.1", "10.0.0.2", 1)) == Judged("reject", "p/r3", ("p/r1", "p/r2", "p/r0"))


def test_pass_skips_the_rest_of_its_tier_only() -> None:
    found = rules(
        "tier: admin, priority: 1, action: pass, from: any, to: 10.0.0.2",
        "tier: admin, priority: 2, action: deny, from: any, to: any",
        "tier: app, priority: 1, action: allow, from: any, to: any",
    )
    assert judge(found, tcp("10.0.0.1", "10.0.0.2")).rule == "p/r2"
    assert judge(found, tcp("10.0.0.1", "10.0.0.3")).rule == "p/r1"


def test_the_default_holds_between_internal_ends_and_others_are_unmanaged() -> None:
    found = rules("tier: app, priority: 1, action: deny, from: internal, to: 9.9.9.9", head="internal: [10.0.0.0/8]\n")
    assert judge(found, tcp("10.0.0.1", "10.0.0.2")) == Judged("deny", "p/default")
    assert judge(found, tcp("10.0.0.1", "8.8.8.8")) == Judged("unmanaged", "")
    assert judge(found, tcp("10.0.0.1", "9.9.9.9")) == Judged("deny", "p/r0")
    assert judge(rules(), tcp("8.8.8.8", "9.9.9.9")) == Judged("deny", "p/default")


def test_who_began_is_asked_before_anything_else() -> None:
    found = rules("tier: app, priority: 1, action: allow, from: any, to: any")
    assert judge(found, tcp("10.0.0.1", "10.0.0.2", initiator_known=False)) == Judged("undetermined", "")


def test_members_are_those_of_the_time_of_the_flow() -> None:
    policy = load([("p", EXAMPLE)]).policy

    def held(selector: Selector, at: datetime | None) -> AddressSet:
        assert selector.labels == (("app", "train"),)
        return addresses.prefix("10.9.0.1") if at is not None and at >= T else addresses.NONE

    one = Packet(End(address("10.9.0.1")), End(address("10.20.0.5")), 6, 40000, 427, T)
    assert judge(policy, one, held).rule == "contain-esxi/no-guest-to-mgmt"
    before = Packet(one.src, one.dst, 6, 40000, 427, T - timedelta(microseconds=1))
    assert judge(policy, before, held).rule == "contain-esxi/default"


@pytest.mark.parametrize(
    ("group", "labels", "inside"),
    [
        ("{labels: {app: a}}", {"app": "a", "x": "y"}, True),
        ("{labels: {app: a}}", {"app": "b"}, False),
        ("{labels: {matchExpressions: [{key: app, operator: In, values: [a, b]}]}}", {"app": "b"}, True),
        ("{labels: {matchExpressions: [{key: app, operator: NotIn, values: [a]}]}}", {}, True),
        ("{labels: {matchExpressions: [{key: app, operator: NotIn, values: [a]}]}}", {"app": "a"}, False),
        ("{labels: {matchExpressions: [{key: app, operator: Exists}]}}", {"app": ""}, True),
        ("{labels: {matchExpressions: [{key: app, operator: DoesNotExist}]}}", {"app": ""}, False),
        ("{namespace: ml}", {}, True),
        ("{namespace: [web, db]}", {}, False),
        ("{namespace: ml, labels: {app: a}}", {"app": "b"}, False),
        ("{namespace: ml, kind: pod}", {}, True),
        ("{kind: [service, node]}", {}, False),
        ("{mac: '02-00-00-00-00-0A'}", {}, True),
        ("{vni: 5001}", {}, True),
        ("{vni: 500}", {}, False),
        ("{network: 'vni:5001/vlan:7'}", {}, True),
        ("{namespace: ml, cidr: 10.0.0.0/24}", {}, True),
        ("{namespace: ml, cidr: 10.0.1.0/24}", {}, False),
        ("{namespace: ml, except: [10.0.0.1]}", {}, False),
        ("{except: [10.0.0.1]}", {}, False),
        ("{except: [10.0.0.2]}", {}, True),
        ("{union: [10.0.0.0/30, 10.1.0.0/16], intersection: [internal]}", {}, True),
        ("{intersection: [10.0.0.0/30, 10.1.0.0/16]}", {}, False),
    ],
)
def test_who_a_group_means(group: str, labels: dict[str, str], inside: bool) -> None:
    found = rules("tier: app, priority: 1, action: allow, from: g, to: any", head=f"groups:\n  g: {group}\n")
    workload = Workload(labels, "ml", "02:00:00:00:00:0a", "vni:5001/vlan:7", "pod")
    packet = Packet(End(address("10.0.0.1"), workload), End(address("10.0.0.2")), 6, 1, 2)
    assert (judge(found, packet).verdict == "allow") is inside


def test_a_rule_ends_at_its_time_and_one_of_a_length_of_time_is_in_force_in_history() -> None:
    found = rules(
        "tier: admin, priority: 1, action: allow, expires: '2030-06-01T02:00:00+02:00', from: any, to: any",
        "tier: app, priority: 1, action: reject, expires: 2h, from: any, to: any",
    )
    assert judge(found, tcp("10.0.0.1", "10.0.0.2", at=T - timedelta(seconds=1))).rule == "p/r0"
    assert judge(found, tcp("10.0.0.1", "10.0.0.2", at=T)).rule == "p/r1"


def test_the_type_of_icmp_is_its_source_port_as_in_flows() -> None:
    found = rules("tier: app, priority: 1, action: allow, from: any, to: any, services: ping")
    ends = End(address("10.0.0.1")), End(address("10.0.0.2"))
    assert judge(found, Packet(*ends, 1, 8, 0)).verdict == "allow"
    assert judge(found, Packet(*ends, 1, 0, 8)).verdict == "deny"
    assert judge(found, Packet(*ends, 58, 8, 0)).verdict == "deny"


def test_sets_of_addresses_keep_the_families_apart() -> None:
    assert addresses.ANY.v4() == addresses.prefix("0.0.0.0/0")
    assert addresses.ANY.v6() == addresses.prefix("::/0")
    assert addresses.ANY.count() == 1 << 128
    some = addresses.prefix("10.0.0.0/30") | addresses.prefix("10.0.0.4/30") | addresses.prefix("fd00::/127")
    assert some.texts() == ["10.0.0.0/29", "fd00::/127"]
    assert (some - addresses.prefix("10.0.0.0")).texts() == ["10.0.0.1", "10.0.0.2/31", "10.0.0.4/30", "fd00::/127"]
    assert (some & some.complement()) == addresses.NONE
    members = Members(load([("p", EXAMPLE)]).policy)
    assert members.peer("hypervisors").texts() == ["10.20.0.0/24", "fd00:20::/64"]
    assert members.peer("external").count() == (1 << 128) - (1 << 24) - (1 << 120)
