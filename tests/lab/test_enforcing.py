"""Compiled policies on real dataplanes with real packets: what they do is what the plain engine says."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import pytest

from tests.lab import marks
from tests.lab.enforced import ALONE, traced, try_established, try_new, with_sctp
from tests.lab.enforcing import LEFT, RIGHT, Enforcer, Prober, carries
from tests.lab.frames import UDP, Probe, frame
from tests.push import compiling
from workbench.policy.addresses import V4_FIRST
from workbench.push import nft, ovs

pytestmark = [*marks.LAB, pytest.mark.xdist_group("enforcing")]
COMPILERS = {"ovs": ovs, "nft": nft}
OTHERS = """
cookie=0x77,table=0,priority=50,ip,nw_dst=10.9.9.9,actions=NORMAL
cookie=0x78,table=9,priority=7,reg3=5,actions=drop
"""
ALIENS = "table inet filter {\n chain forward {\n  type filter hook forward priority 0; policy accept;\n  counter\n }\n}\n"


@pytest.fixture(scope="module", params=["ovs", "nft"])
def lab(request: pytest.FixtureRequest) -> Iterator[Enforcer]:
    """One of each dataplane for all tests of this module."""
    with Enforcer(request.param) as up:
        yield up


@pytest.fixture(scope="module")
def prober() -> Prober:
    return Prober(7)


def test_verdicts_are_the_engines_for_new_connections_and_what_follows(lab: Enforcer, prober: Prober) -> None:
    passed = stopped = 0
    for seed in (3, 4, 11, 20):
        tried = try_new(lab, prober, compiling.policy(random.Random(seed)), 60)
        assert tried.wrong == []
        passed, stopped = passed + tried.passed, stopped + tried.stopped
    assert min(passed, stopped) > 20


def test_live_connections_are_cut_in_both_directions_by_rules_that_cut_and_by_no_others(lab: Enforcer, prober: Prober) -> None:
    cut = kept = 0
    for seed in (1, 31, 37):
        tried = try_established(lab, prober, compiling.policy(random.Random(seed), 12), 60)
        assert tried.wrong == []
        cut, kept = cut + tried.stopped, kept + tried.passed
    assert min(cut, kept) > 10


def test_sctp_is_judged_as_the_engine_says(lab: Enforcer) -> None:
    prober, seen = Prober(9, sctp=True, alone=ALONE[lab.kind]), 0
    prober.number = 300_000
    lab.forget()
    for seed, attempt in ((3, try_new), (31, try_established)):
        tried = attempt(lab, prober, with_sctp(compiling.policy(random.Random(seed), 12)), 40)
        assert tried.wrong == []
        seen += min(tried.passed, tried.stopped)
    assert seen > 5


def test_a_session_survives_keep_dies_by_cut_and_stays_dead(lab: Enforcer) -> None:
    compiler = COMPILERS[lab.kind]
    allowing = compiling.contain(**{"action: deny": "action: allow", "existing: cut, ": ""})
    keeping, cutting = compiling.contain(**{"existing: cut, ": ""}), compiling.contain()
    first = compiler.compile_rules(allowing)
    lab.load(first.text)
    here, there = lab.talk()
    with here, there:
        assert carries(here, there)
        for meant, alive in ((keeping, True), (cutting, False)):
            made = compiler.compile_rules(meant, before=first.ids)
            lab.load(made.text)
            assert compiler.prove(made, meant, lab.loaded()).equal
            assert [carries(here, there, 5 if alive else 0.5), carries(there, here, 5 if alive else 0.5)] == [alive, alive]
        assert not carries(here, there, 1)  # both ends have sent again meanwhile
        with pytest.raises(TimeoutError):
            lab.talk(0.5)
    lab.load(made.remove)


def test_what_lived_before_the_first_time_is_kept_and_can_be_cut(lab: Enforcer) -> None:
    compiler = COMPILERS[lab.kind]
    keeping = compiler.compile_rules(compiling.contain(**{"existing: cut, ": ""}))
    cutting = compiler.compile_rules(compiling.contain())
    lab.load(cutting.remove)
    lab.forget()
    here, there = lab.talk()
    with here, there:
        lab.load(keeping.adopt)
        assert carries(here, there)
        assert carries(there, here)
        lab.load(keeping.text)
        assert carries(here, there)
        assert carries(there, here)
        lab.load(cutting.text)
        assert not carries(there, here, 0.5)
        assert not carries(here, there, 0.5)
    lab.load(cutting.remove)


def test_what_is_of_others_survives_byte_for_byte(lab: Enforcer) -> None:
    meant = compiling.contain()
    made = COMPILERS[lab.kind].compile_rules(meant)

    def others() -> str:
        if lab.kind == "ovs":
            found = lab.ofctl("--no-stats", "dump-flows", "ovsbr1").splitlines()
            return "\n".join(line for line in found if "cookie=0x57424331" not in line)
        return re.sub(r"(?s)table inet workbench_policy \{.*?\n\}\n", "", lab.run("mid", ["nft", "-s", "list", "ruleset"]))

    if lab.kind == "ovs":
        lab.ofctl("add-flows", "ovsbr1", "-", text=OTHERS)
    else:
        lab.run("mid", ["nft", "-f", "-"], text=ALIENS)
    before = others()
    assert before.count("\n") > 1
    for text in (made.text, made.adopt, made.text):
        lab.load(text)
        assert others() == before
    assert COMPILERS[lab.kind].prove(made, meant, lab.loaded()).equal
    lab.load(made.remove)
    assert others() == before


def test_ip_behind_more_tags_than_the_switch_reads_does_not_get_past_the_rules(lab: Enforcer) -> None:
    """Linux takes IP behind two tags of VLAN 0 for plain IP: whoever rules a host could send it so."""
    if lab.kind != "ovs":
        return  # a router's rules meet packets without tags
    made = ovs.compile_rules(compiling.contain())
    guest, managed = (V4_FIRST + (10 << 24) + (net << 16) + 5 for net in (30, 20))
    kinds = ((0x8100, 0x8100), (0x88A8, 0x8100), (0x8100, 0x88A8), (0x8100, 0x8100, 0x8100), (0x8100,), ())

    def through(first: int, meant: set[int]) -> set[int]:
        """The numbers of those kinds with which a packet comes through; waits for those meant to, and for another service."""
        for n, tags in enumerate(kinds):
            data = frame(Probe(first + n, guest, managed, UDP, 30_000 + n, 427), 0, False, (RIGHT, LEFT))
            lab.ends["left"].send(data[:12] + b"".join(tag.to_bytes(2) + b"\0\0" for tag in tags) + data[12:])
        last = Probe(first + 99, guest, guest + (1 << 20), UDP, 30_099, 9)
        seen = lab.send([last], 0, False, {last.number, *(first + n for n in meant)})
        return {number - first for number in seen} - {99}

    every = set(range(len(kinds)))
    lab.load(made.remove)
    assert through(100_000, every) == every
    lab.load(made.text)
    assert through(200_000, set()) == set()
    lab.load(made.remove)


def test_the_switch_traces_what_the_engine_says(lab: Enforcer, prober: Prober) -> None:
    if lab.kind != "ovs":
        return  # nft has no such thing
    policy = compiling.policy(random.Random(4))
    made = ovs.compile_rules(compiling.members(policy))
    lab.load(made.text)
    for probe in prober.probes(12):
        meant, does = traced(lab, policy, probe)
        assert meant == does, probe
