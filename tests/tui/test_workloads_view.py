"""Workloads as a person meets it: lifelines, ranking, the way to flows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tui.driving import case_screen, press, screen_text, settle
from workbench.tui.application import WorkbenchApp
from workbench.tui.case_data import StoredCase
from workbench.tui.host_rows import lifeline
from workbench.tui.views.hosts import HostsView

SIZES = pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=["80x24", "160x50"])


@pytest.fixture
def churn(own: Callable[[str], Path]) -> Path:
    return own("churn")


def app(case: Path) -> WorkbenchApp:
    return WorkbenchApp(StoredCase.open(case))


def workloads(pilot: Any) -> HostsView:
    return case_screen(pilot).query_one(HostsView)


async def test_an_address_that_changed_hands_has_a_line_for_each(churn: Path) -> None:
    async with app(churn).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        lines = screen_text(pilot)
        at = next(n for n, line in enumerate(lines) if "10.244.7.23" in line)
        held = lines[at + 1 : at + 4]
        assert [line.split()[1] for line in held] == ["5a:7c:1e:40:11:01", "5a:7c:1e:40:22:02", "5a:7c:1e:40:33:03"]
        drawn = [line.split()[2] for line in held]
        assert all(sum(line[n] != "·" for line in drawn) <= 1 for n in range(24))
        assert any("14 hosts by address, most bytes first, 10 silent not listed (u)" in line for line in lines)


async def test_ranked_the_other_way_the_shortest_lived_come_first(churn: Path) -> None:
    async with app(churn).run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        view = workloads(pilot)
        assert view.by == "bytes"
        while view.by != "lifetime":
            await press(pilot, "s")
        await press(pilot, "S", "g")
        assert view.row is not None
        assert view.found is not None
        assert view.row.host.lifetime == min(host.lifetime for host in view.found.listed)
        assert "shortest life first" in "\n".join(screen_text(pilot))


async def test_enter_leads_to_the_flows_of_the_host(churn: Path) -> None:
    async with app(churn).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        subject = workloads(pilot).subject()
        assert subject is not None
        assert (subject.kind, subject.key, subject.kept) == ("host", "10.244.7.23", "addr == 10.244.7.23")
        await press(pilot, "enter")
        assert case_screen(pilot).view.filter == "addr == 10.244.7.23"
        assert case_screen(pilot).shown.number == 2
        assert any("49" in line and "flows" in line for line in screen_text(pilot))
        await press(pilot, "3")
        found = workloads(pilot).found
        assert found is not None
        assert found.talking + found.silent == 5  # the host and its four peers


async def test_silent_addresses_are_listed_where_wanted_and_the_place_is_kept(churn: Path) -> None:
    async with app(churn).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "3", "u", "G")
        view = workloads(pilot)
        row = view.row
        assert row is not None
        assert row.host.sent_packets == 0
        place = view.place()
        await press(pilot, "g", "u")
        view.restore(place)
        await settle(pilot)
        assert view.row is not None
        assert view.row.host.ip == row.host.ip
        view.restore({"by": "nonsense", "row": 7, "silent": "yes"})
        await settle(pilot)
        assert not view.silent


async def test_a_filter_that_keeps_nothing_says_what_to_do(churn: Path) -> None:
    async with app(churn).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        case_screen(pilot).filter_by("tcp.dstport == 1")
        await settle(pilot)
        await press(pilot, "3")
        assert any("No host has a flow here" in line for line in screen_text(pilot))
        assert workloads(pilot).subject() is None


async def test_stopped_before_anything_was_found_it_says_how_to_ask_again(churn: Path) -> None:
    async with app(churn).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        view = workloads(pilot)
        view._rank("flows", descending=True)
        assert view.activity
        assert view.stop()
        await settle(pilot)
        assert view.resting
        assert view.by == "flows"
        assert view.found is not None  # of before
        assert "Stopped. r asks again" in view.table.empty
        assert not view.stop()


def test_lifelines_show_gaps_and_the_busiest_moment() -> None:
    import numpy as np

    assert lifeline(np.array([0, 1, 100, 0, 0, 1000]), 6) == "·▂▆··█"
    assert lifeline(np.array([0, 1, 0, 0]), 2) == "█·"
    assert lifeline(np.zeros(4, np.int64), 4) == "····"


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="snapshots are made by one Python")
@SIZES
def test_workloads(snap_compare: Any, churn: Path, size: tuple[int, int]) -> None:
    async def before(pilot: Any) -> None:
        await settle(pilot)
        await press(pilot, "3", "j")

    assert snap_compare(app(churn), terminal_size=size, run_before=before)
