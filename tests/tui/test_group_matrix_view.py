"""The matrix by groups of workloads: findings between them, inwards to workloads and addresses, and to the flows."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lives import make_named_case
from tests.tui.driving import case_screen, press, screen_text, settle
from workbench.store.notebook import Notebook
from workbench.tui.application import WorkbenchApp
from workbench.tui.case_data import StoredCase
from workbench.tui.matrix_ends import pair
from workbench.tui.views.matrix import MatrixView
from workbench.tui.widgets.matrix_grid import pieces

SIZES = pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=["80x24", "160x50"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_named_case(tmp_path_factory.mktemp("named") / "case", findings=True)


@pytest.fixture
def lives(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "case"))


def app(case: Path) -> WorkbenchApp:
    return WorkbenchApp(StoredCase.open(case))


def shown(pilot: Any) -> MatrixView:
    return case_screen(pilot).query_one(MatrixView)


async def by_namespace(pilot: Any) -> None:
    await settle(pilot)
    await press(pilot, "4", "w", "home", "enter")
    assert shown(pilot).grouping == "namespace"


def cells(pilot: Any) -> dict[tuple[str, str], tuple[int, int]]:
    """Flows and open findings by the names of both ends."""
    found = shown(pilot).found
    assert found is not None
    return {(str(found.rows[a]), str(found.columns[b])): (cell.flows, cell.findings) for (a, b), cell in found.cells.items()}


EXPECTED = {
    ("web", "data"): (2, 0), ("web", "web"): (1, 0), ("web", "(no name)"): (1, 0), ("train", "data"): (3, 0),
    ("train", "web"): (2, 1), ("train", "(no name)"): (1, 1), ("(ambiguous)", "data"): (1, 0),
}  # fmt: skip


async def test_groups_have_flows_and_findings_between_them(lives: Path) -> None:
    async with app(lives).run_test(size=(80, 24)) as pilot:
        await by_namespace(pilot)
        assert cells(pilot) == EXPECTED
        text = "\n".join(screen_text(pilot))
        assert "train → data: 3 flows" in text
        assert "* open findings" in text
        assert "*" in next(line for line in text.split("\n") if line.lstrip("▶ ").startswith("train "))
        await press(pilot, "v", "v", "v")
        assert shown(pilot).by == "findings"
        await press(pilot, "v")
        assert shown(pilot).by == "flows"


async def test_a_finding_that_was_judged_is_not_an_open_one(lives: Path) -> None:
    book = Notebook(lives)
    book.set_state("a" * 16, "benign", "known")
    book.close()
    async with app(lives).run_test(size=(80, 24)) as pilot:
        await by_namespace(pilot)
        assert cells(pilot) == EXPECTED | {("train", "(no name)"): (1, 0)}


async def test_inwards_to_workloads_and_their_flows_and_out_again(lives: Path) -> None:
    async with app(lives).run_test(size=(80, 24)) as pilot:
        await by_namespace(pilot)
        view = shown(pilot)
        await press(pilot, "enter")
        assert cells(pilot) == {
            ("train/job-c", "data/db-0"): (1, 0), ("train/job-a", "data/db-0"): (1, 0), ("train/job-b", "data/db-0"): (1, 0)
        }  # fmt: skip
        place = view.place()
        assert place["path"] == [["=train", "=data"]]
        subject = view.subject()
        assert subject is not None
        assert subject.kept == 'src.workload == "train/job-a" && dst.workload == "data/db-0"'
        await press(pilot, "escape")
        assert cells(pilot) == EXPECTED
        view.restore(place)
        await settle(pilot)
        assert len(cells(pilot)) == 3
        view.restore({"grouping": "label:app", "path": [["=x", 3]], "by": "findings"})
        await settle(pilot)
        assert (view.path, view.by, view.grouping) == ((), "findings", "label:app")
        view.restore({"grouping": "no such", "by": "findings"})
        await settle(pilot)
        assert (view.by, view.grouping) == ("flows", "")


async def test_ends_without_a_name_are_addresses_inside(lives: Path) -> None:
    async with app(lives).run_test(size=(80, 24)) as pilot:
        await by_namespace(pilot)
        view = shown(pilot)
        found = view.found
        assert found is not None
        names = [str(end) for end in found.rows], [str(end) for end in found.columns]
        view.grid.row, view.grid.column = names[0].index("(ambiguous)"), names[1].index("data")
        view.grid.action_open()
        await settle(pilot)
        assert cells(pilot) == {("10.244.0.40", "data/db-0"): (1, 0)}
        assert view.keep_value() == ("src_ip", "10.244.0.40")


async def test_cells_of_groups_and_of_workloads_lead_to_their_flows(lives: Path) -> None:
    async with app(lives).run_test(size=(80, 24)) as pilot:
        await by_namespace(pilot)
        await press(pilot, "o")
        screen = case_screen(pilot)
        assert screen.view.filter == 'src.workload.namespace == "train" && dst.workload.namespace == "data"'
        assert any("3 of 11 flows" in line for line in screen_text(pilot))
        await press(pilot, "4", "enter", "enter")
        assert screen.view.filter.endswith('src.workload == "train/job-a" && dst.workload == "data/db-0"')
        assert any("1 of 11 flows" in line for line in screen_text(pilot))


def test_names_are_cut_into_pieces_that_fit_and_odd_places_are_passed_over() -> None:
    assert pieces("payments-prod") == ["paymen", "ts-pro", "d"]
    assert pieces("漢字漢字") == ["漢字漢", "字"]
    assert pieces("") == [""]
    assert len(pieces("x" * 900)) == 4
    odd: list[Any] = [None, "ab", ["x"], [1, 2], ["=a", "b"], ["", "=b"]]
    assert all(pair(one, "namespace") is None for one in odd)


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="snapshots are made by one Python")
@SIZES
def test_group_matrix(snap_compare: Any, lives: Path, size: tuple[int, int]) -> None:
    assert snap_compare(app(lives), terminal_size=size, run_before=by_namespace)
