"""Workloads that live for seconds on each other's addresses, played for real: what is known of them agrees with the packets."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from tests import needs
from tests.lab import marks
from tests.lab.identity import plan, world
from tests.lab.identity.judge import Truth
from workbench.store.reader import CaseReader

pytestmark = [*marks.LAB, *(needs.program(name) for name in ("udhcpc", "ping"))]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> world.Played:
    """A small scenario: sixteen workloads, most of them second on their address, in two overlays and a plain network."""
    small = plan.make(7, workloads=16, addresses=4, seconds=2.0, actions=4)
    return world.run(small, tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def case(played: world.Played) -> Path:
    """Its capture, indexed."""
    folder = played.capture.parent / "case"
    subprocess.run([sys.executable, "-m", "workbench", "index", str(played.capture), "--case", str(folder)], check=True)
    return folder


def test_who_held_an_address_when_is_what_the_packets_say(played: world.Played, case: Path) -> None:
    truth, seen = Truth(played.held), Counter[bool]()
    with CaseReader(case) as reader:
        rows = reader.query("SELECT network, epoch_us(ts) AS ts, src_ip, src_mac FROM flows").to_pylist()
    for row in rows:
        if held := truth.at(row["network"], row["src_ip"], row["ts"]):
            seen[held.mac == row["src_mac"]] += 1
    assert seen[False] == 0
    assert seen[True] > 60
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
