"""Drafts of any flows: what they claim gets through, what was left out doesn't unless it is said, and wider is never narrower."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given, settings

from tests.policy.test_draft_judged import packet_of
from workbench.policy.addresses import address
from workbench.policy.draft import Wish, checked, draft
from workbench.policy.draft_judged import judge
from workbench.policy.draft_rules import passive
from workbench.policy.draft_seen import REASONS, Edge, LeftOut, Seen, Service, Who
from workbench.policy.draft_text import Names
from workbench.policy.lint import lint
from workbench.policy.loader import load
from workbench.policy.model import Policy
from workbench.policy.naive import judge as plainly
from workbench.policy.written import text_of

HOSTS = [*(f"10.0.{n}.{m}" for n in (0, 1) for m in (1, 2, 3, 7)), "192.0.2.1", "198.51.100.9", "255.255.255.255", "0.0.0.0"]
HOSTS6 = ["fd00::1", "fd00::2", "fd00:1::1", "fe80::1", "ff02::1", "2001:db8::1"]
PODS = [Who(f"u{n}", f"web-{n}", "shop", "pod", (("app", "web"), ("pod-template-hash", str(n)))) for n in range(3)]
PODS += [Who("u9", "train\n-9", "ml", "pod", (("app", 'tr"ain\u2028'),)), Who("v", "vm", "", "vm"), Who("m", "", "", "many")]


@st.composite
def edges(draw: st.DrawFn) -> Edge:
    hosts = draw(st.sampled_from([HOSTS, HOSTS6]))
    src, dst = draw(st.sampled_from(hosts)), draw(st.sampled_from(hosts))
    proto = draw(st.sampled_from([6, 6, 17, 1, 58, 47, 0, 255]))
    port = draw(st.sampled_from([0, 22, 53, 67, 123, 443, 1024, 49152, 65535]) | st.integers(1024, 65535))
    port = port % 256 if proto in (1, 58) else port if proto in (6, 17) else 0
    who = st.sampled_from([None, None, *PODS])
    flows, first = draw(st.integers(1, 9)), draw(st.integers(0, 1 << 50))
    return Edge(address(src), address(dst), proto, port, flows, 10, first, first + 5, (first,), draw(who), draw(who))


def connection(edge: Edge) -> tuple[object, ...]:
    return edge.src, edge.dst, edge.proto, edge.port


SEVERAL = st.lists(edges(), max_size=14)


@given(st.lists(edges(), min_size=1, max_size=14), SEVERAL, SEVERAL)
@settings(max_examples=50, deadline=None)
def test_exactly_what_was_seen_is_allowed_and_nothing_else(seen: list[Edge], attacks: list[Edge], others: list[Edge]) -> None:
    left = (LeftOut(REASONS["finding"], sum(one.flows for one in attacks)),) if attacks else ()
    shown = Seen(tuple(seen), tuple(attacks), left_out=left)
    drafted = checked(draft(shown, Wish(breadth=0, guards=())), shown)
    policy = load([("draft.yaml", text_of(drafted.policy, drafted.comments()))]).policy
    assert policy == drafted.policy
    claimed = {connection(edge) for edge in seen}
    for edge in (*seen, *attacks, *others):
        allowed = plainly(policy, packet_of(edge)).verdict == "allow"
        assert allowed == (connection(edge) in claimed)
    still = sum(one.flows for one in attacks if plainly(policy, packet_of(one)).verdict in ("allow", "unmanaged"))
    assert sum(one.still for one in drafted.left_out) == still  # and what gets through all the same is told
    assert sum(one.flows for one in drafted.evidence.values()) == sum(edge.flows for edge in seen)


@given(st.lists(edges(), min_size=1, max_size=20), SEVERAL, st.integers(0, 4), st.booleans())
@settings(max_examples=50, deadline=None)
def test_at_any_breadth_what_was_seen_gets_through_and_widening_lets_no_attack_in(
    seen: list[Edge], attacks: list[Edge], breadth: int, guards: bool
) -> None:
    wish = Wish(breadth=breadth) if guards else Wish(breadth=breadth, guards=())
    left = (LeftOut(REASONS["finding"], sum(one.flows for one in attacks)),) if attacks else ()
    shown = Seen(tuple(seen), tuple(attacks), left_out=left, known=tuple(PODS))
    drafted = checked(draft(shown, wish), shown)
    assert load([("draft.yaml", text_of(drafted.policy, drafted.comments()))]).policy == drafted.policy
    verdicts = [plainly(drafted.policy, packet_of(edge)).verdict for edge in seen]
    assert set(verdicts) == {"allow"}
    if not guards:
        claimed = {connection(edge) for edge in seen}
        let_in = [one for one in attacks if not judge(drafted.policy, [one]).stopped[0]]
        assert all(connection(one) in claimed or plainly(drafted.policy, packet_of(one)).verdict == "unmanaged" for one in let_in)
    assert sum(one.flows for one in drafted.evidence.values()) == sum(edge.flows for edge in seen)


def drafted(seen: list[Edge], breadth: int, attacks: list[Edge] | None = None, known: list[Who] | None = None) -> Policy:
    shown = Seen(tuple(seen), tuple(attacks or ()), known=tuple(known or ()))
    return draft(shown, Wish(breadth=breadth, guards=())).policy


def test_labels_are_proposed_where_half_of_those_they_mean_were_seen() -> None:
    db = Who("d", "db-0", "shop", "pod", (("app", "db"),))
    seen = [Edge(address(f"10.0.0.{n}"), address("10.0.1.1"), 6, 5432, src_who=PODS[n], dst_who=db) for n in (0, 1)]
    rule = drafted(seen, 1, known=[*PODS, db])
    assert {name: group.model_dump(exclude_defaults=True) for name, group in rule.groups.items()} == {
        "shop-db": {"labels": {"matchLabels": {"app": "db"}}, "namespace": ["shop"], "kind": ["pod"]},
        "shop-web": {"labels": {"matchLabels": {"app": "web"}}, "namespace": ["shop"], "kind": ["pod"]},
    }
    assert (rule.rules[0].from_, rule.rules[0].to) == (["shop-web"], ["shop-db"])
    many = [*PODS, *(Who(f"x{n}", f"web-x{n}", "shop", "pod", (("app", "web"),)) for n in range(2))]
    assert drafted(seen, 1, known=[*many, db]).rules[0].from_ == ["10.0.0.0/31"]  # two of five: too few
    assert drafted(seen, 3, known=[*many, db]).rules[0].from_ == ["shop"]
    hostile = [Edge(address("10.0.0.7"), address("10.0.1.1"), 6, 5432, src_who=PODS[2], dst_who=db)]
    assert drafted(seen, 1, hostile, [*PODS, db]).rules[0].from_ == ["10.0.0.0/31"]  # the third web was caught


def test_prefixes_are_tight_then_whole_then_inside() -> None:
    seen = [Edge(address(f"10.0.0.{n}"), address("10.0.1.9"), 6, 443) for n in (5, 6, 7, 200)]
    froms = [drafted(seen, breadth).rules[0].from_ for breadth in range(5)]
    one_by_one = ["10.0.0.5", "10.0.0.6/31", "10.0.0.200"]
    assert froms == [one_by_one, one_by_one, ["10.0.0.4/30", "10.0.0.200"], ["10.0.0.0/24"], ["internal"]]


def test_negotiated_ports_become_a_span_and_listeners_do_not() -> None:
    calls = [Edge(1, 9, 6, port, 1) for port in range(50000, 50800, 100)]
    listeners = [Edge(1, 9, 6, port, 50) for port in (8080, 9090, 9091, 9092, 9093, 9094, 9095, 9096)]
    spans = passive([*calls, *listeners], 1)
    assert set(spans.values()) == {Service(6, 50000, 50700)}
    assert len(spans) == 8
    assert set(passive(calls, 3).values()) == {Service(6, 49152, 65535)}
    assert not passive(calls[:7], 4)


def test_a_guard_leads_to_servers_that_were_seen_and_not_from_hosts_that_abused_it() -> None:
    dns = [Edge(address("10.0.0.1"), address("10.0.1.53"), 17, 53), Edge(address("10.0.0.2"), address("10.0.1.53"), 17, 53)]
    shown = Seen(tuple(dns), (Edge(address("10.0.0.2"), address("10.0.1.53"), 6, 53),))
    policy = draft(shown, Wish()).policy
    guard = next(rule for rule in policy.rules if rule.name == "guard-dns")
    assert guard.to == ["10.0.1.53"]
    assert policy.groups[guard.from_[0]].except_ == ["10.0.0.2"]
    kept = next(rule for rule in policy.rules if rule.tier == "app")
    assert (kept.from_, kept.services) == (["10.0.0.2"], ["udp/53"])  # its own names it may go on asking for


def test_too_many_rules_are_drafted_wider_and_the_least_used_left_out() -> None:
    seen = [Edge(address(f"10.{n}.0.1"), address(f"10.{n}.1.1"), 6, 1000 + n, n + 1) for n in range(12)]
    found = draft(Seen(tuple(seen)), Wish(breadth=0, guards=(), most_rules=5))
    assert (found.breadth, len([rule for rule in found.policy.rules if rule.tier == "app"])) == (4, 5)
    assert found.left_out[0].flows == sum(range(1, 8))
    assert "more than 5 rules" in "".join(found.notes)


def test_names_are_given_once_and_are_short_and_plain() -> None:
    names = Names(["web"])
    given_ = [names.give(word) for word in ("web", "web", "\x1b[31m", "x" * 99, "x" * 99, "internal", "10.0.0.1")]
    assert given_ == ["web-2", "web-3", "n-31m", "x" * 31, "x" * 29 + "-2", "internal-2", "n-10.0.0.1"]


def test_drafts_of_any_breadth_have_no_error_of_lint() -> None:
    seen = [
        Edge(address(HOSTS[n % 8]), address(HOSTS[(n * 3 + 1) % 10]), (6, 17, 1)[n % 3], (443, 53, 8)[n % 3]) for n in range(12)
    ]
    for breadth in (0, 2, 4):
        policy = draft(Seen(tuple(seen)), Wish(breadth=breadth)).policy
        assert not [one for one in lint(load([("x", text_of(policy))])) if one.severity != "note"]
