"""Workloads that live for seconds on each other's addresses, played for real: what is known of them agrees with the packets."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from tests import needs
from tests.lab import marks
from tests.lab.identity import plan, world
from tests.lab.identity.scenario import KEPT, Scenario
from workbench.store.reader import CaseReader

pytestmark = [*marks.LAB, *(needs.program(name) for name in ("udhcpc", "ping"))]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> world.Played:
    """A small scenario: sixteen workloads, most of them second on their address, in two overlays and a plain network."""
    small = plan.make(7, workloads=16, addresses=4, seconds=2.0, actions=4)
    return world.run(small, tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def seen(played: world.Played) -> Scenario:
    """Its capture, indexed."""
    return Scenario(played, played.capture.parent)


def test_who_held_an_address_when_is_what_the_packets_say(played: world.Played, seen: Scenario) -> None:
    agree = Counter[bool]()
    with CaseReader(seen.wire) as reader:
        rows = reader.query("SELECT network, epoch_us(ts) AS ts, src_ip, src_mac FROM flows").to_pylist()
    for row in rows:
        if held := seen.truth.at(row["network"], row["src_ip"], row["ts"]):
            agree[held.mac == row["src_mac"]] += 1
    assert agree[False] == 0
    assert agree[True] > 60
    assert {row["network"] for row in rows} == {tenant.network for tenant in played.plan.tenants}


def test_addresses_pass_from_one_to_the_next_and_tenants_overlap(played: world.Played) -> None:
    holders: dict[tuple[str, str], list[world.Held]] = {}
    for held in sorted(played.held, key=lambda row: row.begin):
        holders.setdefault((held.network, held.ip), []).append(held)
    ends = [(a.end, b.begin) for rows in holders.values() for a, b in pairwise(rows)]
    assert len(ends) > 5
    assert all(end is not None and end <= begin for end, begin in ends)
    assert max(Counter(ip for _, ip in holders).values()) == 3
    assert played.counted["dropped"] == 0


def test_every_flow_has_the_names_of_its_time_and_late_evidence_changes_what_it_has_to(seen: Scenario) -> None:
    shown = seen.shown({name: KEPT[name] for name in ("kubernetes", "no list")})
    everything = shown.scores["all"].counts
    assert everything["right"] > 150
    assert {name: count for name, count in everything.items() if name in ("ambiguous", "unnamed", "wrong")} == {}
    assert [name for name, score in shown.scores.items() if score.counts["wrong"]] == []
    assert shown.scores["kubernetes"].counts["right"] > 20
    assert shown.late.due == shown.late.changed > 20
    assert shown.late.other == 0
