"""Workloads by name as a person meets them: lifelines in groups, folding, who held an address, the way to hosts."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lives import make_named_case
from tests.tui.driving import case_screen, press, screen_text, settle
from workbench.tui.application import WorkbenchApp
from workbench.tui.case_data import StoredCase
from workbench.tui.conditions import condition
from workbench.tui.views.flows import FlowsView
from workbench.tui.views.hosts import HostsView
from workbench.tui.views.lifelines import LifelinesView
from workbench.tui.views.workloads import WorkloadsView

SIZES = pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=["80x24", "160x50"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_named_case(tmp_path_factory.mktemp("named") / "case", findings=True)


@pytest.fixture
def lives(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "case"))


def app(case: Path) -> WorkbenchApp:
    return WorkbenchApp(StoredCase.open(case))


def view(pilot: Any) -> LifelinesView:
    return case_screen(pilot).query_one(LifelinesView)


def names(pilot: Any) -> list[str]:
    """What is listed: groups by what they share, workloads by name, addresses."""
    found = view(pilot).found
    assert found is not None
    listed = []
    for row in view(pilot).rows:
        if row.number is not None:
            listed.append(str(found.living.workloads[row.number].name))
        elif row.unnamed is not None:
            listed.append(row.unnamed.ip)
        else:
            listed.append("no name" if row.group is None else f"[{row.group.value}]")
    return listed


async def to(pilot: Any, name: str) -> None:
    """The cursor onto that row."""
    view(pilot).table.move_to(names(pilot).index(name))
    await settle(pilot)


async def test_lives_are_drawn_in_groups_and_what_changed_is_said_in_words(lives: Path) -> None:
    async with app(lives).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        train = ["[train]", "job-c", "job-a", "job-b", "twin-1", "twin-2"]
        assert names(pilot) == [*train, "[data]", "db-0", "[web]", "api-1", "api-0", "no name"]
        lines = screen_text(pilot)
        assert any("8 workloads by namespace, most bytes first: 6 new, 5 gone, 2 brief" in line for line in lines)
        job = next(line for line in lines if "job-a" in line)
        assert "·─█─█─··" in job
        assert "brief" in job
        twin = next(line for line in lines if "twin-1" in line)
        assert "?????" in twin
        assert "new gone ?" in twin


async def test_groups_fold_and_all_of_them_at_once(lives: Path) -> None:
    async with app(lives).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "3", "g", "enter")
        assert names(pilot)[:2] == ["[train]", "[data]"]
        await press(pilot, "enter")
        assert names(pilot)[1] == "job-c"
        await press(pilot, "z")
        assert names(pilot) == ["[train]", "[data]", "[web]", "no name"]
        await press(pilot, "z")
        assert "api-0" in names(pilot)
        await to(pilot, "no name")
        await press(pilot, "enter")
        assert names(pilot)[-1] == "203.0.113.9"


async def test_who_held_the_address_before_and_after_is_drawn(lives: Path) -> None:
    async with app(lives).run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        await to(pilot, "job-b")
        lines = screen_text(pilot)
        at = next(n for n, line in enumerate(lines) if "10.244.0.30, held by 3 one after the other" in line)
        held = [line.split() for line in lines[at + 1 : at + 4]]
        assert [words[1] for words in held] == ["train/job-a", "▶train/job-b", "train/job-c"]
        first, mine, last = (words[0] for words in held)
        assert all((a, b).count("─") <= 1 for a, b in zip(first, last, strict=True))
        assert mine.index("─") > first.index("─")
        assert any("2/3" in line and "job-b" in line for line in lines)
        await to(pilot, "api-0")
        text = "\n".join(screen_text(pilot))
        assert "kubernetes, confidence 0.9; status Running" in text
        assert "old.example (name): 10.244.0.10" in text
        assert "beaten" in text
        await to(pilot, "job-c")
        assert "203.0.113.9 (no name): 2.0 MB, 1 to it, 0 from it" in "\n".join(screen_text(pilot))


async def test_grouping_is_chosen_among_the_labels_there_are(lives: Path) -> None:
    async with app(lives).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "3", "o")
        assert any("label of 6 workloads" in line for line in screen_text(pilot))
        await press(pilot, "j", "j", "j", "j", "enter")
        assert view(pilot).by == "label:app"
        assert [name for name in names(pilot) if name.startswith("[")] == ["[job]", "[db]", "[api]", "[None]"]
        place = view(pilot).place()
        await press(pilot, "o", "escape")
        assert view(pilot).by == "label:app"
        view(pilot).group_by("node")
        await settle(pilot)
        view(pilot).restore(place)
        await settle(pilot)
        assert view(pilot).by == "label:app"
        view(pilot).restore({"by": 7, "rank": "x", "row": "y", "descending": None})
        await settle(pilot)
        assert view(pilot).by == "label:app"


async def test_the_measure_turns_and_the_cursor_stays_on_its_workload(lives: Path) -> None:
    async with app(lives).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        await to(pilot, "api-1")
        await press(pilot, "s", "s", "S")
        assert view(pilot).rank == "name"
        assert names(pilot)[:2] == ["[data]", "db-0"]
        one = view(pilot).workload
        assert one is not None
        assert one.name == "api-1"
        assert case_screen(pilot).shown.text() == "web/api-1"


async def test_hosts_are_a_key_away_and_come_first_where_nobody_has_a_name(lives: Path, own: Callable[[str], Path]) -> None:
    async with app(lives).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "3", "v")
        shown = case_screen(pilot).shown
        assert isinstance(shown, WorkloadsView)
        assert isinstance(shown.front, HostsView)
        assert any("hosts by address" in line for line in screen_text(pilot))
        place = shown.place()
        await press(pilot, "v")
        assert shown.front is view(pilot)
        shown.restore(place)
        await settle(pilot)
        assert isinstance(shown.front, HostsView)


async def test_a_case_without_names_says_how_to_get_some(own: Callable[[str], Path]) -> None:
    async with app(own("churn")).run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        assert "workbench import kubernetes" in "\n".join(screen_text(pilot))


async def test_the_time_window_moves_every_view_and_is_one_step_back(lives: Path) -> None:
    async with app(lives).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        screen = case_screen(pilot)
        await press(pilot, "3", "full_stop")
        whole = screen.summary.extent
        assert whole is not None
        assert screen.outer == whole
        first = screen.span
        assert first is not None
        assert first.start == whole.start
        await press(pilot, *["full_stop"] * 3)
        assert screen.span is not None
        assert screen.span.start == first.start + 3 * first.width
        assert names(pilot) == ["[data]", "db-0", "[train]", "job-a", "twin-1", "twin-2", "[web]", "api-0"]
        assert "┣" in "".join(screen_text(pilot)[7:9])  # on the axis of the lifelines
        assert any("window 2023-11-14 22:20:53" in line for line in screen_text(pilot))
        await press(pilot, "2")
        assert all(row["ts"] is not None for row in [screen.shown.subject()] if isinstance(row, dict))
        assert screen.view.span == screen.span
        await press(pilot, "comma", "plus")
        assert screen.span.width == 2 * first.width
        await press(pilot, "minus")
        assert screen.span.width == first.width
        await press(pilot, "T")
        assert screen.span is None
        assert screen.outer is None
        assert screen.timeline.window is None


async def test_a_window_stops_at_the_edges_of_the_range_that_was_zoomed_into(lives: Path) -> None:
    from workbench.tui.data import Span

    async with app(lives).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        screen = case_screen(pilot)
        whole = screen.summary.extent
        assert whole is not None
        half, part = Span(whole.start, whole.start + whole.width // 2), Span(whole.start, whole.start + whole.width // 8)
        screen.zoom(half)
        screen.zoom(part)
        await settle(pilot)
        await press(pilot, *["full_stop"] * 9)
        assert screen.outer == half
        assert screen.span is not None
        assert screen.span.end == half.end
        await press(pilot, "T")
        assert screen.span == half


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="snapshots are made by one Python")
@SIZES
def test_lifelines(snap_compare: Any, lives: Path, size: tuple[int, int]) -> None:
    async def before(pilot: Any) -> None:
        await settle(pilot)
        await press(pilot, "3")
        await to(pilot, "job-b")

    assert snap_compare(app(lives), terminal_size=size, run_before=before)


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="snapshots are made by one Python")
def test_window(snap_compare: Any, lives: Path) -> None:
    async def before(pilot: Any) -> None:
        await settle(pilot)
        await press(pilot, "3", *["full_stop"] * 9, "plus")

    assert snap_compare(app(lives), terminal_size=(80, 24), run_before=before)


async def test_flows_have_columns_of_names_and_say_in_words_who_claims_an_end(lives: Path) -> None:
    async with app(lives).run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        screen = case_screen(pilot)
        flows = screen.shown
        assert isinstance(flows, FlowsView)
        flows._take_columns(("ts", "src_name", "src_ip", "dst_name", "dst_ip"))
        await settle(pilot)
        lines = screen_text(pilot)
        assert any("web/api-0" in line and "data/db-0" in line for line in lines)
        assert any("? 2 claim it" in line and "10.244.0.40" in line for line in lines)
        assert any("203.0.113.9" in line and "train/job-c" in line and "\N{EN DASH}" in line for line in lines)
        flows.table.cursor_column = 1
        assert flows.keep_value() == ("src_name", "web/api-0")
        assert condition("src_name", "web/api-0", keep=True) == 'src.workload == "web/api-0"'
        assert condition("dst_name", None, keep=True) == "!(dst.workload)"
        flows.table.move_to(7)
        await settle(pilot)
        text = "\n".join(screen_text(pilot))
        assert all(
            words in text for words in ("ambiguous: claimed by", "train/twin-1", "train/twin-2", "data/db-0: pod on node-a")
        )
        place = flows.place()
        assert place["columns"] == ["ts", "src_name", "src_ip", "dst_name", "dst_ip"]
        await press(pilot, "greater_than_sign")  # to the column beside, past the names
        assert flows.sorting.column == "src_ip"


async def test_enter_leads_to_the_flows_of_a_workload_and_the_filter_lists_who_it_keeps(lives: Path) -> None:
    async with app(lives).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "3")
        await to(pilot, "job-c")
        await press(pilot, "enter")
        screen = case_screen(pilot)
        assert screen.view.filter == 'workload == "train/job-c"'
        assert screen.shown.number == 2
        assert any("3 of 11 flows" in line for line in screen_text(pilot))
        await press(pilot, "3")
        assert names(pilot) == ["[train]", "job-c", "[data]", "db-0", "[web]", "api-1", "no name"]
        await press(pilot, "backspace")
        await to(pilot, "db-0")
        await press(pilot, "f")
        assert screen.view.filter == 'workload == "data/db-0"'
