"""Scans: the walk in SQL takes the steps that a plain loop takes, and ends where it ends."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.detections.shipped import Cases, case_of, ends, flows_of, found, truth
from tests.store.rows import T0

ALPHA, BETA = 0.01, 0.99


def walk(outcomes: list[bool], theta0: float, theta1: float) -> tuple[bool, bool, float, int, int]:
    """Whether the classical walk and the restarting one call a scanner, the highest rise, and the steps that it is between.

    Jung et al., section 4, a step at a time; Schechter et al., section 3: the restarting one is max(0, before + step).
    """
    up, down = math.log((1 - theta1) / (1 - theta0)), math.log(theta1 / theta0)
    high, low = math.log(BETA / ALPHA), math.log((1 - BETA) / (1 - ALPHA))
    verdict, restarted, sums, begin = None, False, [0.0], 0
    best, span = 0.0, (0, 0)
    lowest = 0.0
    for n, failed in enumerate(outcomes, 1):
        failures = sum(outcomes[:n])
        position = failures * up + (n - failures) * down
        assert position == pytest.approx(sums[-1] + (up if failed else down))
        sums.append(position)
        if verdict is None and position >= high:
            verdict = True
        elif verdict is None and position <= low:
            verdict = False
        lowest = min(lowest, position)
        rise = position - lowest
        if rise == 0:
            begin = n
        restarted |= rise >= high + math.log(n)
        if rise > best:
            best, span = rise, (begin, n)
    return verdict is True, restarted, best, *span


def rows_of(outcomes: list[bool], vertical: bool, src: str = "10.0.0.7") -> list[dict[str, Any]]:
    """One contact after the other; each host (or port) is tried twice, and only the first time counts."""
    made = []
    for n, failed in enumerate(outcomes):
        for again in (0, 1):
            state = "REJ" if failed != bool(again) else "SF"
            where = {**ends(src, "10.0.1.1"), "dst_port": 1000 + n} if vertical else ends(src, f"10.1.{n // 200}.{n % 200}")
            made.append({"ts": T0 + n * 1000 + again * 500_000, "conn_state": state, **where})
    return made


@pytest.mark.parametrize("vertical", [False, True], ids=["horizontal", "vertical"])
@given(
    walks=st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=60), min_size=1, max_size=20),
    share=st.integers(1, 8),
    theta=st.sampled_from([(0.8, 0.2), (0.7, 0.1), (0.6, 0.3)]),
)
@settings(max_examples=8, deadline=None)
def test_the_walk_is_the_papers(vertical: bool, walks: list[list[int]], share: int, theta: tuple[float, float]) -> None:
    """Several sources in a case, each with its own walk."""
    outcomes = {f"10.0.0.{k + 10}": [n < share for n in one] for k, one in enumerate(walks)}
    name, counted = ("scan-vertical", "ports") if vertical else ("scan-horizontal", "hosts")
    own = {"min_failed": 1, "theta0": theta[0], "theta1": theta[1], "alpha": ALPHA, "beta": BETA}
    made = [row for src, failed in outcomes.items() for row in rows_of(failed, vertical, src)]
    with tempfile.TemporaryDirectory() as folder, case_of(Path(folder) / "case", made) as reader:
        rows = {row["subject"]: row for row in found(name, reader, **own)}
        strict = {row["subject"] for row in found(name, reader, restart=0, **own)}
    told = {src: walk(failed, *theta) for src, failed in outcomes.items()}
    assert set(rows) == {src for src, (first, restarted, *_) in told.items() if first or restarted}
    assert strict == {src for src, (first, *_) in told.items() if first}
    for src, row in rows.items():
        first, _, rise, onset, top = told[src]
        assert row["from_start"] == first
        assert row["llr"] == pytest.approx(rise)
        assert row[counted] == top - onset
        assert row["failed"] == sum(outcomes[src][onset:top])


def test_four_failures_at_the_very_start_are_enough_and_three_are_not(tmp_path: Path) -> None:
    """ln(99) is 4.6, and a failure is worth ln(4) = 1.39."""
    for count, hits in ((3, 0), (4, 1)):
        with case_of(tmp_path / str(count), rows_of([True] * count, vertical=False)) as reader:
            assert len(found("scan-horizontal", reader, min_failed=1)) == hits


def test_who_was_harmless_is_found_when_it_begins_to_scan(tmp_path: Path) -> None:
    with case_of(tmp_path / "case", rows_of([False] * 50 + [True] * 12, vertical=False)) as reader:
        (row,) = found("scan-horizontal", reader)
        assert (row["hosts"], row["failed"], row["from_start"]) == (12, 12, False)
        assert found("scan-horizontal", reader, restart=0) == []


def test_the_sweep_of_the_sample_is_whole(cases: Cases) -> None:
    (row,) = cases.findings("scan-horizontal", "esxi-lateral")
    swept = {c["dst"] for c in truth("esxi-lateral")["connections"] if c["dst_port"] == 427 and c["proto"] == "udp"}
    assert {f["dst_ip"] for f in flows_of(cases.reader("esxi-lateral"), row)} >= swept
    assert row["answered"] == 4


def test_open_ports_of_the_sample_are_named(cases: Cases) -> None:
    rows = {row["object"]: row for row in cases.findings("scan-vertical", "scans")}
    told = [c for c in truth("scans")["connections"] if c.get("nmap_state") == "open" and c["scan"] in ("syn", "udp")]
    for host, row in rows.items():
        assert set(row["open_ports"].split(", ")) == {f"{c['proto']}/{c['dst_port']}" for c in told if c["dst"] == host}


def test_datagrams_that_are_answered_in_flows_of_their_own_are_no_scan(tmp_path: Path) -> None:
    one_way = {"proto": 17, "proto_name": "udp", "dst_port": 4791, "conn_state": "S0", "dst_pkts": 0, "history": "D"}
    there = [{**one_way, **ends("10.0.0.7", f"10.0.1.{n}")} for n in range(20)]
    back = [{**one_way, **ends(f"10.0.1.{n}", "10.0.0.7")} for n in range(20)]
    with case_of(tmp_path / "both", there + back) as reader:
        assert found("scan-horizontal", reader) == []
    with case_of(tmp_path / "one", there) as reader:
        assert len(found("scan-horizontal", reader)) == 1
