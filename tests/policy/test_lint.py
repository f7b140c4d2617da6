"""Lint finds what was planted, at its line, and nothing in a policy that is in order."""

from collections.abc import Iterable
from datetime import UTC, datetime

import pytest

from workbench.policy import addresses
from workbench.policy.addresses import AddressSet
from workbench.policy.lint import Finding, Guard, lint
from workbench.policy.lint_guards import is_guard
from workbench.policy.loader import load
from workbench.policy.members import Selector
from workbench.policy.model import Rule

AT = datetime(2030, 6, 1, tzinfo=UTC)

#: Nothing is found in it.
GOOD = """\
apiVersion: workbench/v1
kind: Policy
metadata: {name: good}
internal: [10.0.0.0/8, "fd00::/8"]
groups:
  web: {cidr: [10.1.0.0/16, "fd00:1::/64"]}
  train: {labels: {app: train}}
  prod: {namespace: prod}
rules:
  - {name: guards, tier: baseline, priority: 1, action: allow, from: internal, to: internal,
     services: [dns, dhcp, dhcp6, icmp6, ssh, ipfix]}
  - {name: a, tier: app, priority: 1, action: allow, from: train, to: web, services: [tcp/80-90]}
  - {name: b, tier: app, priority: 2, action: reject, from: prod, to: web, services: [tcp/80]}
defaults: {east_west: deny}
tests:
  - {name: one, from: train, to: web, service: tcp/80, expect: allow}
"""


def found(text: str, resolver: object = None, guards: Iterable[Guard] = ()) -> list[Finding]:
    return lint(load([("p.yaml", text)]), resolver, AT, tuple(guards))  # type: ignore[arg-type]


def with_rule(name: str, how: str, src: str, dst: str, services: str) -> str:
    """GOOD with one more rule. how: tier, priority and action; services: and what stands behind them."""
    tier, priority, action = how.split()
    rule = f"name: {name}, tier: {tier}, priority: {priority}, action: {action}, from: {src}, to: {dst}, services: {services}"
    return GOOD.replace("defaults:", f"  - {{{rule}}}\ndefaults:")


#: A name that old kernels would not have taken.
LONG = "x" * 32


def test_nothing_is_found_in_what_is_in_order() -> None:
    assert found(GOOD) == []


PLANTED = [
    (with_rule("c", "app 1 deny", "train", "10.1.2.0/24", "tcp/85"),
     "error", "contradiction", 14, "c", "app=train -> 10.1.2.1 : tcp/85"),
    (with_rule("c", "app 3 deny", "train", "10.1.2.0/24", "tcp/85"),
     "warning", "shadowed", 14, "c", "`a`"),
    (with_rule("c", "app 3 allow", "train", "10.1.2.0/24", "tcp/85"),
     "warning", "redundant", 14, "c", "`a`"),
    (with_rule("c", "app 3 allow", "10.0.0.0/8", "'fd00::/8'", "any"),
     "warning", "empty", 14, "c", "no address family in common"),
    (with_rule("c", "app 3 allow", "10.9.0.1", "10.9.0.2", "tcp/1, expires: 2030-05-31T00:00:00Z"),
     "warning", "expired", 14, "c", "2030-05-31"),
    (with_rule("c", "app 3 allow", "10.9.0.1", "10.9.0.2", "tcp/1, expires: 2030-06-01T09:00:00Z"),
     "note", "expires-soon", 14, "c", "within a day"),
    (with_rule("c", "app 0 allow", "train", "web", "tcp/85"), "note", "needless", 14, "c", "`a` would decide alike"),
    (with_rule("c", "default 3 allow", "any", "any", "any"), "warning", "allow-any", 14, "c", "anybody to anybody"),
    (with_rule("c", "default 3 allow", "internal", "internal", "any"),
     "warning", "allow-any", 14, "c", "the default, deny, never holds"),
    (with_rule("c", "app 3 allow", "[prod, train]", "10.9.0.2", "tcp/1"),
     "warning", "either-or-both", 14, "c", "intersection: [prod, train]"),
    (with_rule("masquerade", "app 3 allow", "10.9.0.1", "10.9.0.2", "tcp/1"),
     "note", "name", 14, "masquerade", "a word of nftables"),
    (with_rule(LONG, "app 3 allow", "10.9.0.1", "10.9.0.2", "tcp/1"),
     "note", "name", 14, LONG, "32 characters"),
    (GOOD.replace('web: {cidr: [10.1.0.0/16, "fd00:1::/64"]}', "web: {cidr: [10.1.0.0/16]}"),
     "note", "one-family", 6, "web", "no IPv6 address"),
    (GOOD.replace("rules:", "  idle: {cidr: 10.2.0.0/16}\nrules:"), "note", "unused-group", 9, "idle", "no rule means it"),
    (GOOD.replace("rules:", "  never: {intersection: [web], except: [web]}\nrules:"),
     "warning", "empty-group", 9, "never", "excludes itself"),
    (GOOD.replace("{app: train}", '{app: "$(reboot)"}'), "error", "name", 7, "train", "which no name has"),
    (GOOD.replace("namespace: prod", 'namespace: "a\\n; drop"'), "error", "name", 8, "prod", "which no name has"),
    (GOOD.replace("dns, ", ""), "warning", "guard-dns", 9, "", "name servers"),
    (GOOD.replace("dhcp, ", ""), "warning", "guard-dhcp", 9, "", "renewed"),
    (GOOD.replace("dhcp6, ", ""), "note", "guard-dhcp6", 9, "", "renewed"),
    (GOOD.replace("icmp6, ", ""), "warning", "guard-nd", 9, "", "ARP always passes"),
    (GOOD.replace("ssh, ", ""), "note", "guard-management", 9, "", "[targets]"),
    (GOOD.replace(", ipfix", ""), "note", "guard-telemetry", 9, "", "[targets]"),
    (GOOD.replace('internal: [10.0.0.0/8, "fd00::/8"]\n', ""), "note", "no-internal", 13, "", "whole internet"),
    (GOOD + "  - {name: two, from: train, to: 10.1.0.1, service: tcp, expect: deny}\n",
     "error", "tests-contradict", 17, "two", "`one`"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "severity", "code", "line", "rule", "said"), PLANTED, ids=[p[2] for p in PLANTED])
def test_what_is_planted_is_found(text: str, severity: str, code: str, line: int, rule: str, said: str) -> None:
    wanted = [one for one in found(text) if one.code == code and one.line == line]
    assert [(one.severity, one.rule) for one in wanted] == [(severity, rule)]
    assert said in wanted[0].message
    others = {one.code for one in found(text)} - {code}
    assert others <= {"allow-any", "tests-contradict", "shadowed", "redundant", "unused-group", "needless"}


def test_a_family_that_falls_to_an_open_default_is_a_warning() -> None:
    text = GOOD.replace(', "fd00:1::/64"', "").replace("east_west: deny", "east_west: allow")
    (one,) = [one for one in found(text) if one.code == "one-family"]
    assert (one.severity, one.rule) == ("warning", "web")


def test_who_has_a_label_is_claimed_only_where_it_is_known() -> None:
    def resolver(selector: Selector, at: datetime | None) -> AddressSet:
        return addresses.prefix("10.7.0.0/30") if selector.labels else addresses.NONE

    codes = {(one.code, one.rule) for one in found(GOOD, resolver)}
    assert ("matches-nothing", "prod") in codes
    assert ("one-family", "train") in codes
    assert not {("matches-nothing", "train"), ("one-family", "web")} & codes


def test_a_rule_that_only_cuts_or_logs_or_guards_is_not_needless() -> None:
    cut = with_rule("c", "app 3 deny", "10.9.0.1", "web", "tcp/1, existing: cut")
    assert found(cut) == found(with_rule("c", "app 3 deny", "10.9.0.1", "web", "tcp/1, log: true")) == []
    assert found(with_rule("c", "app 3 deny", "10.9.0.1", "web", "tcp/1")) == [], "the default, written out"
    assert found(with_rule("c", "app 3 allow", "10.9.0.1", "10.9.0.2", "dns")) == [], "the guards are there already"


def test_a_rule_is_no_ones_shadow_where_a_workload_may_escape_the_other() -> None:
    """app=train may be in namespace prod or not: rule `c` is reached by those that are not."""
    text = GOOD.replace(
        "priority: 2, action: deny, from: prod, to: web, services: [tcp/80]", "priority: 0, action: deny, from: prod, to: web"
    )
    assert not [one for one in found(text) if one.code in ("shadowed", "redundant")]


def test_paths_of_targets_are_guarded_instead() -> None:
    guard = Guard("management", ("tcp/2222",), "dpu1 could not be reached", dst=addresses.prefix("10.3.0.1"))
    (one,) = found(GOOD.replace("ssh, ", ""), guards=[guard])
    assert (one.severity, one.code) == ("warning", "guard-management")
    assert "10.3.0.1: dpu1" in one.message
    outside = Guard("management", ("tcp/2222",), "dpu1 could not be reached", dst=addresses.prefix("192.0.2.1"))
    assert found(GOOD, guards=[outside]) == [], "what is outside is passed on"


@pytest.mark.parametrize(
    ("action", "services", "is_one"),
    [("allow", ["dns", "ssh"], True), ("allow", ["dns", "tcp/444"], False), ("deny", ["dns"], False), ("allow", ["any"], False)],
)
def test_guard_rules_are_known(action: str, services: list[str], *, is_one: bool) -> None:
    said = {"name": "x", "tier": "app", "priority": 1, "action": action, "from": "any", "to": "any", "services": services}
    assert is_guard(Rule.model_validate(said)) == is_one
