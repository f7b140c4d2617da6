"""The frame around the views: the way back and forward, what is kept with the case, and a case that others write."""

from __future__ import annotations

import json

import pytest

from tests.tui.driving import case_screen, flows_view, press, screen_text, settle
from tests.tui.synthetic import RowCase, flow, rack_case
from workbench.errors import CaseBusyError
from workbench.tui.app import theme_named
from workbench.tui.application import WorkbenchApp
from workbench.tui.data import Sorting, Span, View
from workbench.tui.keymap import wrong_keys
from workbench.tui.screens.help import binding_groups
from workbench.tui.trail import Stop, Trail, from_layout, layout
from workbench.tui.views import NAMES


class Notes:
    """Stands where a case's notebook stands, as far as the frame uses it."""

    def __init__(self, kept=None, *, broken=False):
        self.kept = kept or {}
        self.saved = []
        self.broken = broken
        self.at = 1

    def layout(self, name):
        assert name == "app"
        return self.kept

    def save_layout(self, name, found):
        assert name == "app"
        if self.broken:
            raise CaseBusyError("the case cannot be written", "Ask its owner.")
        self.kept = json.loads(json.dumps(found))
        self.saved.append(self.kept)

    def version(self):
        return self.at


def noted_case(notes):
    case = rack_case()
    case.notebook = notes
    return case


def text_of(pilot):
    return "\n".join(screen_text(pilot))


async def test_back_and_forward_bring_filter_range_order_and_row():
    async with WorkbenchApp(rack_case()).run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        screen, flows = case_screen(pilot), flows_view(pilot)
        await press(pilot, *["j"] * 7)
        row = flows.table.record["flow_id"]
        await press(pilot, *["l"] * 6, "f")
        kept = screen.view.filter
        assert kept
        await press(pilot, "t", "enter")
        await press(pilot, "escape")
        zoomed = screen.view
        assert zoomed.span is not None
        await press(pilot, "left_square_bracket")
        assert screen.view == View(filter=kept)
        assert flows.table.total == sum(r["conn_state"] == "S0" for r in rack_case().rows) or flows.table.total < 300
        await press(pilot, "left_square_bracket")
        assert screen.view == View()
        assert flows.table.total == 300
        assert flows.table.record["flow_id"] == row
        assert "applied" not in text_of(pilot)
        await press(pilot, "left_square_bracket")
        assert "nothing further back" in text_of(pilot)
        await press(pilot, "right_square_bracket", "right_square_bracket")
        assert screen.view == zoomed
        assert kept in text_of(pilot)


async def test_a_filter_that_was_stopped_is_no_step_back():
    case = rack_case()
    async with WorkbenchApp(case).run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        case.gate.clear()
        case_screen(pilot).filter_pane.build('conn_state == "S0"')
        while not flows_view(pilot).inquiry.filtering:
            await pilot.pause()
        await press(pilot, "escape")
        case.gate.set()
        await press(pilot, "left_square_bracket")
        assert "nothing further back" in text_of(pilot)


def test_a_trail():
    one, two, three = (Stop(n, View(filter=str(n))) for n in (1, 2, 3))
    trail = Trail()
    assert trail.back(one) is None
    assert trail.forward(one) is None
    trail.leave(one)
    trail.leave(two)
    assert trail.back(three) == two
    assert trail.back(two) == one
    assert trail.forward(one) == two
    trail.leave(two)
    assert trail.forward(three) is None
    assert trail.back(three) == two


async def test_a_case_is_opened_where_it_was_left():
    notes = Notes()
    async with WorkbenchApp(noted_case(notes)).run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, *["l"] * 6, "f", "S", *["j"] * 4)
        before = case_screen(pilot).view
        row = flows_view(pilot).table.record["flow_id"]
        await pilot.press("q")
    assert notes.saved
    async with WorkbenchApp(noted_case(notes)).run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        assert case_screen(pilot).view == before
        assert flows_view(pilot).sorting == Sorting(descending=True)
        assert flows_view(pilot).table.record["flow_id"] == row
        assert before.filter in text_of(pilot)
        assert "● applied" in text_of(pilot)
        assert "As you left it" in text_of(pilot)


async def test_a_case_that_was_only_looked_at_is_not_written_and_one_that_cannot_be_is_left_alone():
    notes = Notes()
    async with WorkbenchApp(noted_case(notes)).run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("q")
    assert notes.saved == []
    async with WorkbenchApp(noted_case(Notes(broken=True))).run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "j", "j")
        await pilot.press("q")
    assert pilot.app.return_code == 0


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"view": 2, "filter": "nonsense ==", "span": [2, 1], "places": 3},
        {"view": "2", "filter": 7, "span": "x", "places": {"2": 7}},
        {"view": True},
        {"view": [2]},
        {"view": 77, "places": {"77": {}}},
        {"view": 2, "places": {"2": {"sort": "no such", "flow": "x", "row": -5, "column": 4}}},
        {"view": 2, "span": [2**70, 2**71]},
    ],
)
async def test_a_strangers_layout_is_passed_over_where_it_makes_no_sense(found):
    async with WorkbenchApp(noted_case(Notes(found))).run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        assert case_screen(pilot).view == View()
        assert flows_view(pilot).table.total == 300


def test_a_layout_says_what_it_was_made_of():
    stop = Stop(3, View(span=Span(5, 9), filter="tcp"))
    kept = json.loads(json.dumps(layout(stop, {3: {"row": 1}, 7: {}})))
    assert from_layout(kept) == (stop, {3: {"row": 1}, 7: {}})


async def test_what_another_process_adds_to_the_case_is_shown():
    case = rack_case()
    async with WorkbenchApp(case).run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        case.rows = [*case.rows, flow(900)]
        case_screen(pilot)._watch()
        await settle(pilot)
        assert flows_view(pilot).table.total == 300
        case.generation += 1
        case_screen(pilot)._watch()
        await settle(pilot)
        assert flows_view(pilot).table.total == 301
        assert "301 flows" in text_of(pilot)


async def test_the_view_that_is_shown_is_told_of_the_notebook(monkeypatch):
    notes, told = Notes(), []
    async with WorkbenchApp(noted_case(notes)).run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        monkeypatch.setattr(flows_view(pilot), "noted", lambda: told.append(1))
        notes.at += 1
        case_screen(pilot)._watch()
        await settle(pilot)
        assert told == [1]
        case_screen(pilot)._watch()
        await settle(pilot)
        assert told == [1]


async def test_what_an_answer_cost_is_said():
    async with WorkbenchApp(RowCase([flow(n) for n in range(9)])).run_test(size=(130, 24)) as pilot:
        await settle(pilot)
        assert "ready, 9 rows in " in text_of(pilot)
        await pilot.resize_terminal(80, 24)
        await settle(pilot)
        assert "9 rows in" not in text_of(pilot)
        assert " ready " in text_of(pilot)


async def test_keys_of_views_type_in_the_filter_bar():
    async with WorkbenchApp(rack_case()).run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "slash", "1", "9", "left_square_bracket")
        assert case_screen(pilot).filter_pane.bar.text == "19["


def test_keys_of_the_settings_that_go_wrong_are_named():
    said = wrong_keys({"case.ledgr": "x", "case.reload": "L", "table.down": "w"})
    assert 'There is no action "case.ledgr"; the nearest is case.ledger.' in said
    assert "L is the key of both case.ledger and case.reload: give one of them another key." in said
    assert len(said) == 2
    assert wrong_keys({"case.ledger": "f12", "table.down": "down,w"}) == []
    assert wrong_keys({}) == []


async def test_wrong_keys_are_said_on_the_screen():
    app = WorkbenchApp(rack_case(), keymap={"case.ledgr": "x"})
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        assert 'no action "case.ledgr"' in text_of(pilot)


@pytest.mark.parametrize(
    ("wanted", "colours", "theme"),
    [("auto", "truecolor", "dark"), ("auto", "standard", "16"), ("light", "standard", "light"), ("auto", None, "dark")],
)
def test_themes_by_setting_and_terminal(wanted, colours, theme):
    assert theme_named(wanted, colours) == f"workbench-{theme}"


async def palette(pilot, words):
    await press(pilot, "ctrl+p", *words)
    await pilot.pause(0.3)
    await press(pilot, "enter")
    await settle(pilot)


async def test_the_palette_has_views_and_filters_of_this_case():
    app = WorkbenchApp(rack_case())
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, *["l"] * 6, "f", "backspace")
        assert case_screen(pilot).view == View()
        await palette(pilot, "filter state")
        assert case_screen(pilot).view.filter.startswith("conn_state ==")
        await palette(pilot, "view packets".replace(" ", ""))
        assert case_screen(pilot).shown.number == 6
        await press(pilot, "left_square_bracket")
        assert case_screen(pilot).shown.number == 2


async def test_the_keys_of_a_view_are_in_the_help_and_the_row_names_it():
    app = WorkbenchApp(rack_case())
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        for number in (6, 2):
            case_screen(pilot).go(number)
            await settle(pilot)
            assert f"[{number} {NAMES[number]}]" in text_of(pilot)
            listed = {name for _, rows in binding_groups(case_screen(pilot)) for _, _, name in rows}
            own = {b.id for b in type(case_screen(pilot).shown).BINDINGS}
            assert own
            assert own <= listed
