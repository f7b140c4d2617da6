"""The matrix as a person meets it: shades, inwards, outwards, the way to flows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tui.driving import case_screen, press, screen_text, settle
from workbench.analysis.prefixes import Prefix
from workbench.tui.application import WorkbenchApp
from workbench.tui.case_data import StoredCase
from workbench.tui.views.matrix import MatrixView
from workbench.tui.widgets.matrix_grid import heading, shade, short

SIZES = pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=["80x24", "160x50"])


@pytest.fixture
def lateral(own: Callable[[str], Path]) -> Path:
    return own("esxi-lateral")


def app(case: Path) -> WorkbenchApp:
    return WorkbenchApp(StoredCase.open(case))


def shown(pilot: Any) -> MatrixView:
    return case_screen(pilot).query_one(MatrixView)


def where(pilot: Any) -> str:
    subject = shown(pilot).subject()
    assert subject is not None
    return subject.words


async def test_inwards_to_the_flows_of_a_pair_and_out_again(lateral: Path) -> None:
    async with app(lateral).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "4")
        assert where(pilot) == "10.0.0.0/8 → 10.0.0.0/8"
        await press(pilot, "enter")
        assert [str(p) for p in shown(pilot).path[0]] == ["10.0.0.0/8", "10.0.0.0/8"]
        assert where(pilot).startswith("10.20.1.0/24 → ")  # /16 alone would show one cell
        inner = where(pilot)
        await press(pilot, "enter")
        pair = where(pilot)
        assert "/" not in pair
        await press(pilot, "escape")
        assert where(pilot).count("/24") == 2 == inner.count("/24")
        await press(pilot, "enter", "enter")
        screen = case_screen(pilot)
        source, target = pair.split(" → ")
        assert screen.view.filter == f"src_ip == {source} && dst_ip == {target}"
        assert screen.shown.number == 2


async def test_a_cell_is_said_in_words_with_its_services(lateral: Path) -> None:
    async with app(lateral).run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        await press(pilot, "4", "enter")
        text = "\n".join(screen_text(pilot))
        assert "flows unanswered" in text or "all answered" in text
        assert "pairs of hosts" in text
        assert "a port answered in" in text
        assert "tcp/" in text
        assert "[" in text  # the cursor is a shape, too


async def test_numbers_and_measures(lateral: Path) -> None:
    async with app(lateral).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "4", "x")
        found = shown(pilot).found
        assert found is not None
        most = max(cell.flows for cell in found.cells.values())
        assert f"[{short(most):>4}]" in "\n".join(screen_text(pilot))
        await press(pilot, "v")
        assert shown(pilot).by == "bytes"
        assert "by bytes" in "\n".join(screen_text(pilot))


async def test_the_filter_is_obeyed_and_nothing_left_says_so(lateral: Path) -> None:
    async with app(lateral).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "4")
        case_screen(pilot).filter_by("tcp.dstport == 427")
        await settle(pilot)
        found = shown(pilot).found
        assert found is not None
        assert sum(cell.flows for cell in found.cells.values()) < 100
        case_screen(pilot).filter_by("tcp.dstport == 1")
        await settle(pilot)
        assert any("No flow between two addresses" in line for line in screen_text(pilot))
        assert shown(pilot).subject() is None
        await press(pilot, "enter", "o", "j")


async def test_the_place_is_kept_and_a_strangers_is_passed_over(lateral: Path) -> None:
    async with app(lateral).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "4", "enter")
        view = shown(pilot)
        place = view.place()
        assert place["path"] == [["10.0.0.0/8", "10.0.0.0/8"]]
        await press(pilot, "escape")
        assert view.path == ()
        view.restore(place)
        await settle(pilot)
        assert len(view.path) == 1
        for odd in ({"path": [["x", 3]]}, {"path": "10.0.0.0/8"}, {"path": [[]], "by": 4}):
            view.restore(odd)
            await settle(pilot)
        assert view.path == ()
        assert view.by == "flows"


def test_shades_numbers_and_headings() -> None:
    assert "".join(shade(n, 1000) for n in (0, 1, 50, 300, 1000)) == " ░▒▓█"
    assert [short(n) for n in (0, 999, 1000, 99_999, 100_000, 1_000_000, 123_456_789)] == [
        *("0", "999", "1k", "99k", ".1M", "1M", ".1G")
    ]
    assert all(len(short(10**n - 1)) <= 3 for n in range(1, 20))
    assert heading(Prefix(bytes(10) + b"\xff\xff\x0a\x14\x01\x00", 24)) == ["10", "20", "1"]
    assert heading(Prefix(bytes.fromhex("20010db8000100000000000000000000"), 48)) == ["2001", "db8", "1"]
    assert heading(None) == ["oth", "ers"]


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="snapshots are made by one Python")
@SIZES
def test_matrix(snap_compare: Any, lateral: Path, size: tuple[int, int]) -> None:
    async def before(pilot: Any) -> None:
        await settle(pilot)
        await press(pilot, "4", "enter")

    assert snap_compare(app(lateral), terminal_size=size, run_before=before)


async def test_what_shades_and_marks_mean_is_on_the_screen(lateral: Path) -> None:
    async with app(lateral).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "4")
        assert "░▒▓█ from few to most flows, ! most of it unanswered" in "\n".join(screen_text(pilot))
        await press(pilot, "x")
        text = "\n".join(screen_text(pilot))
        assert "░▒▓█" not in text
        assert "! most of it unanswered" in text
