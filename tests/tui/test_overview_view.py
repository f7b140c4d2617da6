"""The overview over real cases: what it shows, that every row leads to its flows, that it stops."""

from __future__ import annotations

import sys
import threading

import pytest
from rich.cells import cell_len

from tests.tui.driving import case_screen, press, screen_text, settle
from workbench.errors import CancelledError
from workbench.tui import overview_panels
from workbench.tui.application import WorkbenchApp
from workbench.tui.case_data import StoredCase
from workbench.tui.data import Span, View
from workbench.tui.screens.ledger import LedgerDialog
from workbench.tui.views.overview import OverviewView
from workbench.tui.widgets.board import Band, Panel, Row, _drawn, _shared
from workbench.tui.widgets.board_lines import Column, bar_text, row_lines
from workbench.workflows.hunt import detect

SMALL, LARGE = (80, 24), (160, 50)
BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "160x50"])


@pytest.fixture
def data(own):
    case = StoredCase.open(own("esxi-lateral"))
    yield case
    case.close()


def overview(pilot) -> OverviewView:
    return case_screen(pilot).query_one(OverviewView)


async def shown(pilot) -> OverviewView:
    await settle(pilot)
    await press(pilot, "1")
    return overview(pilot)


@BOTH
async def test_what_happened_is_on_one_screen(data, size):
    async with WorkbenchApp(data).run_test(size=size) as pilot:
        view = await shown(pilot)
        text = "\n".join(screen_text(pilot))
        assert "94 of 138 connections failed" in text
        assert "10.20.1.77 on hypervisor management port 427" in text
        assert view.cost is not None  # the last answer ended it
        for title in ("talkers by bytes", "services by bytes", "new after first tenth", "gone before last tenth"):
            assert title in text
        assert view.board.cursor == ("look", 0)
        assert view.activity == ""


async def test_every_row_filters_to_what_it_counts(data):
    async with WorkbenchApp(data).run_test(size=LARGE) as pilot:
        view = await shown(pilot)
        for key in ("services", "states", "places"):
            rows = view._panels[key].rows
            assert rows
            for row in rows:
                assert data.amount(View(filter=row.kept)).flows == int(row.cells[-1]), row.kept
        for row in view._panels["talkers"].rows:
            assert data.amount(View(filter=row.kept)).flows >= int(row.cells[-1])
        assert all(data.check(row.kept) is None for panel in view._panels.values() for row in panel.rows if row.kept)
        scan = next(row for row in view._panels["look"].rows if row.cells[0] == "scan")
        assert data.amount(View(filter=scan.kept)).flows == 94


async def test_enter_goes_to_the_flows_of_the_row_and_the_overview_obeys(data):
    async with WorkbenchApp(data).run_test(size=SMALL) as pilot:
        view = await shown(pilot)
        await press(pilot, "j")
        kept = view.board.row.kept
        await press(pilot, "enter")
        screen = case_screen(pilot)
        assert screen.shown.number == 2
        assert screen.view.filter == kept
        await press(pilot, "1")
        assert view._panels["states"].rows[0].cells[0] == "REJ"
        assert len(view._panels["states"].rows) == 1
        screen.zoom(Span(0, 1))
        await settle(pilot)
        assert not view._panels["talkers"].rows
        assert "no flow passes" in "\n".join(screen_text(pilot))


async def test_the_cursor_reaches_every_list(data):
    async with WorkbenchApp(data).run_test(size=LARGE) as pilot:
        view = await shown(pilot)
        seen = {view.board.cursor[0]}
        for _ in range(7):
            await pilot.press("tab")
            seen.add(view.board.cursor[0])
        assert seen == set(overview_panels.PANELS)
        await pilot.press("g", "j", "j")
        assert view.board.cursor == ("talkers", 0)
        await pilot.press("l")
        assert view.board.cursor == ("services", 0)
        await pilot.press("j", "h")
        assert view.board.cursor == ("talkers", 1)
        await pilot.press("G")
        assert view.board.cursor[0] == "ledger"
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, LedgerDialog)


async def test_at_80_cells_the_rest_scrolls_into_sight(data):
    async with WorkbenchApp(data).run_test(size=SMALL) as pilot:
        await shown(pilot)
        await press(pilot, "G")
        assert "comments in the capture" in "\n".join(screen_text(pilot))


async def test_keep_order_copy_subject_and_place(data):
    async with WorkbenchApp(data).run_test(size=SMALL) as pilot:
        view = await shown(pilot)
        await press(pilot, "tab")
        assert view.keep_value() == ("addr", "10.20.1.10")
        assert (view.subject().kind, view.subject().key) == ("host", "10.20.1.10")
        assert view.text().startswith("10.20.1.10  ")
        await press(pilot, "o")
        assert view.keep_value() == ("addr", "10.20.1.77")  # most flows
        assert view.place() == {"panel": "talkers", "row": 0, "by": "flows"}
        view.restore({"panel": "services", "row": 1, "by": "bytes"})
        await settle(pilot)
        assert (view.board.cursor, view._by) == (("services", 1), "bytes")
        for nonsense in ({}, {"panel": 5, "row": "x"}, {"panel": "talkers", "row": 1 << 40}, {"by": ["x"]}):
            view.restore(nonsense)
        assert view.board.cursor == ("services", 1)


async def test_esc_stops_the_questions(data, monkeypatch):
    entered, gate = threading.Event(), threading.Event()

    def slow(asks, where, *rest):
        entered.set()
        gate.wait(10)
        asks.query("SELECT 1")
        raise AssertionError("it was stopped")

    monkeypatch.setattr("workbench.tui.views.overview.services", slow)
    async with WorkbenchApp(data).run_test(size=LARGE) as pilot:
        await settle(pilot)
        await pilot.press("1")
        while not entered.is_set():
            await pilot.pause(0.01)
        view = overview(pilot)
        question = view._question
        assert "Esc stops" in view.activity
        await pilot.press("escape")
        gate.set()
        await settle(pilot)
        assert question.stopped
        with pytest.raises(CancelledError):
            question.query("SELECT 1")
        assert view.activity == ""
        assert view._panels["services"].note == "stopped; r asks again"
        assert view._panels["talkers"].rows or view._panels["talkers"].note
        monkeypatch.undo()
        await press(pilot, "r")
        assert view._panels["services"].rows


async def test_a_question_that_fails_is_told_and_the_answers_stay(data, monkeypatch):
    def broken(*_):
        raise ValueError("no such thing")

    monkeypatch.setattr("workbench.tui.views.overview.states", broken)
    async with WorkbenchApp(data).run_test(size=LARGE) as pilot:
        await shown(pilot)
        assert "no such thing" in "\n".join(screen_text(pilot))
        view = overview(pilot)
        assert view._panels["talkers"].rows
        assert view._panels["states"].note == "not answered; r asks again"


async def test_leaving_the_view_stops_it_and_coming_back_asks_again(data, monkeypatch):
    entered, gate = threading.Event(), threading.Event()

    def slow(asks, where, *rest):
        entered.set()
        gate.wait(10)
        return asks.query("SELECT 1")

    monkeypatch.setattr("workbench.tui.views.overview.talkers", slow)
    async with WorkbenchApp(data).run_test(size=LARGE) as pilot:
        await settle(pilot)
        await pilot.press("1")
        while not entered.is_set():
            await pilot.pause(0.01)
        view = overview(pilot)
        question = view._question
        await pilot.press("2")
        while not question.stopped:
            await pilot.pause(0.01)
        monkeypatch.undo()
        gate.set()
        await settle(pilot)
        await press(pilot, "1")
        assert view._panels["talkers"].rows


# -- the board's lines --------------------------------------------------------------------------------


def test_rows_fill_their_width_exactly():
    columns = (Column(middle=True), Column(bar=True), Column(8, right=True), Column(6, right=True))
    for width in (12, 20, 38, 53, 90):
        for cells in (
            ("10.0.0.1", "1 kB", "3"),
            ("fd00:1234:5678:9abc:def0:1234:5678:9abc", "123.4 MB", "123.4k"),
            ("日本語", "", ""),
        ):
            (line,) = row_lines(columns, cells, 0.5, "", width)
            assert sum(cell_len(text) for text, _ in line) == width


def test_an_address_is_cut_in_its_middle():
    (line,) = row_lines((Column(middle=True), Column(6)), ("fd00:1234:5678:9abc::beef", "x"), 0, "", 24)
    assert "fd00:12…c::beef" in "".join(text for text, _ in line)


@pytest.mark.parametrize(("share", "bar"), [(0, "    "), (0.0001, "▏   "), (0.5, "██  "), (1, "████"), (7, "████")])
def test_bars(share, bar):
    assert bar_text(share, 4) == bar


def test_a_long_sentence_goes_on_below_and_is_cut_where_there_is_no_room():
    panel = Panel("look", "look", (Column(4), Column()), (Row(("a", "one two three four")), Row(("b", "x" * 99))), wraps=True)
    lines = ["".join(text for text, _ in line) for _, line in _drawn(panel, 20, 3)]
    assert [line.strip() for line in lines] == ["a    one two three", "four", "b    xxxxxxxxxxxx…"]


def test_height_is_shared_in_turn():
    assert _shared([(2, 5), (3, 3), (2, 9)], 12) == [5, 3, 4]
    assert _shared([(2, 5), (3, 3)], 1) == [2, 3]
    assert Band(("a",), 1, 2).least == 1


# -- how it looks -----------------------------------------------------------------------------------


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="snapshots are made by one Python")
@BOTH
def test_looks(snap_compare, data, size):
    async def show(pilot):
        await shown(pilot)
        await press(pilot, "j")
        case_screen(pilot).set_focus(case_screen(pilot).focused)
        await settle(pilot)

    assert snap_compare(WorkbenchApp(data), terminal_size=size, run_before=show)


@BOTH
async def test_open_findings_come_first_and_lead_to_their_flows(data, size):
    detect(data.path)
    found = data.question().query("SELECT finding_id, title, severity FROM findings ORDER BY score DESC").to_pylist()
    for number, one in enumerate(found):
        if number:
            data.notebook.set_state(one["finding_id"], "benign", "known")
    left = found[0]
    async with WorkbenchApp(data).run_test(size=size) as pilot:
        view = await shown(pilot)
        text = "\n".join(screen_text(pilot))
        assert f"look first: findings, 1 {left['severity']}" in text
        assert left["title"] in text
        assert [row.kept for row in view._panels["look"].rows] == [f'finding == "{left["finding_id"]}"']
        assert screen_text(pilot)[_line_of(pilot, left["title"])].startswith("▶")
        assert (view.subject().kind, view.subject().key) == ("finding", left["finding_id"])
        await press(pilot, "enter")
        screen = case_screen(pilot)
        assert (screen.shown.number, screen.view.filter) == (2, f'finding == "{left["finding_id"]}"')
        assert screen.shown.table.total == data.amount(View(filter=screen.view.filter)).flows > 0


async def test_findings_judged_elsewhere_go_without_being_asked_for(data):
    detect(data.path)
    first, *_ = data.question().query("SELECT finding_id FROM findings ORDER BY finding_id").to_pylist()
    async with WorkbenchApp(data).run_test(size=LARGE) as pilot:
        view = await shown(pilot)
        listed = {row.subject.key for row in view._panels["look"].rows}
        talkers = view._panels["talkers"]
        assert first["finding_id"] in listed
        data.notebook.set_state(first["finding_id"], "benign", "known")
        view.noted()  # what CaseMoved says
        await settle(pilot)
        assert {row.subject.key for row in view._panels["look"].rows} == listed - {first["finding_id"]}
        assert view._panels["talkers"] is talkers  # not asked again
        await press(pilot, "2")
        data.notebook.set_state(first["finding_id"], "open", "not known after all")
        await press(pilot, "1")
        assert {row.subject.key for row in view._panels["look"].rows} == listed


def _line_of(pilot, words: str) -> int:
    return next(number for number, line in enumerate(screen_text(pilot)) if words in line)
