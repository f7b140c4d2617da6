"""The filter bar, key by key: checked while typed, completed, applied, refused, recalled; rows and timeline obey it together."""

from __future__ import annotations

import threading

import pytest
from textual import events

from tests.tui.driving import case_screen, flows_view, press, screen_text, settle
from tests.tui.synthetic import RowCase, flow, keeps, rack_case
from workbench.errors import FilterError
from workbench.tui import conditions
from workbench.tui.application import WorkbenchApp
from workbench.tui.data import Sorting, Wrong
from workbench.tui.looks import flow_looks
from workbench.tui.past_filters import KEPT, filters_path, past_filters, remember_filter
from workbench.tui.screens.dialog import ErrorDialog
from workbench.tui.widgets.completions import CompletionList
from workbench.tui.widgets.filter_bar import FilterInput, FilterMessage, State, shown

SIZES = pytest.mark.parametrize("size", [(80, 24), (160, 50)])


def kinds(text):
    """Keys that type a text."""
    names = {
        " ": "space", "=": "equals_sign", '"': "quotation_mark", ".": "full_stop", "&": "ampersand", "_": "underscore",
        "!": "exclamation_mark", "(": "left_parenthesis", ")": "right_parenthesis",
    }  # fmt: skip
    return [names.get(char, char) for char in text]


async def typed(pilot, text):
    await press(pilot, "slash", *kinds(text))


def text_of(pilot):
    return "\n".join(screen_text(pilot))


def count(case, state):
    return sum(row["conn_state"] == state for row in case.rows)


async def test_a_filter_is_typed_and_applied_to_rows_and_timeline():
    case = rack_case()
    async with WorkbenchApp(case).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        screen = case_screen(pilot)
        bars = int(screen.timeline.values.sum())
        await typed(pilot, 'conn_state == "S0"')
        assert "✓ valid" in text_of(pilot)
        assert "300 flows, row" in text_of(pilot)
        await press(pilot, "enter")
        wanted = count(case, "S0")
        assert f"{wanted} of 300 flows, row 1" in text_of(pilot)
        assert flows_view(pilot).table.has_focus
        assert {flows_view(pilot).table._cache.record(n)["conn_state"] for n in range(wanted)} == {"S0"}
        assert int(screen.timeline.values.sum()) == wanted < bars
        assert ", filtered" in screen_text(pilot)[1]
        assert "● applied" in screen_text(pilot)[0]
        assert case.counted[-1] == 'conn_state == "S0"'
        await press(pilot, "slash", "ctrl+u", "enter")
        assert flows_view(pilot).table.total == 300
        assert "applied" not in text_of(pilot)
        assert "filtered" not in text_of(pilot)


@SIZES
async def test_a_wrong_word_is_named_with_a_caret_under_it(size):
    async with WorkbenchApp(rack_case()).run_test(size=size) as pilot:
        await settle(pilot)
        await typed(pilot, "src_ip && nonsense == 1")
        lines = screen_text(pilot)
        assert "✗ wrong" in lines[0]
        start = lines[0].index("nonsense")
        assert lines[1][start : start + 8] == "^" * 8
        assert lines[1].strip() == "^" * 8
        assert 'wrong: unknown field "nonsense" at column 11' in lines[2]
        assert "docs/filters.md" in lines[2]
        await press(pilot, "enter")
        assert flows_view(pilot).table.total == 300
        assert case_screen(pilot).view.filter == ""
        assert pilot.app.screen.focused is case_screen(pilot).filter_pane.bar.line
        await press(pilot, "escape")
        assert "wrong" not in text_of(pilot)
        assert flows_view(pilot).table.has_focus


async def test_the_caret_follows_a_line_that_is_longer_than_the_bar():
    async with WorkbenchApp(rack_case()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await typed(pilot, "src_ip && " * 8 + "nonsense == 1")
        lines = screen_text(pilot)
        start = lines[0].index("nonsense")
        assert lines[1].index("^") == start


async def test_what_is_begun_is_incomplete_and_not_wrong():
    async with WorkbenchApp(rack_case()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        bar = case_screen(pilot).filter_pane.bar
        await typed(pilot, "conn_sta")
        assert bar.state is State.INCOMPLETE
        assert "… incomplete" in text_of(pilot)
        await press(pilot, *kinds("te == "))
        assert bar.state is State.INCOMPLETE
        await press(pilot, *kinds('"S0"'))
        assert bar.state is State.VALID
        await press(pilot, *kinds(" && zzz"))
        assert bar.state is State.WRONG


async def test_completions_of_fields_and_of_values_that_were_seen():
    case = rack_case()
    async with WorkbenchApp(case).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        bar = case_screen(pilot).filter_pane.bar
        await typed(pilot, "conn_s")
        assert bar.offers.is_open
        assert "▸ conn_state" in text_of(pilot)
        await press(pilot, "tab")
        assert bar.text == "conn_state"
        assert bar.state is State.VALID
        await press(pilot, *kinds(" == RS"))
        assert "▸ RSTO" in text_of(pilot)
        assert "seen in conn_state" in text_of(pilot)
        await press(pilot, "tab", "enter")
        assert flows_view(pilot).table.total == count(case, "RSTO") > 0


async def test_arrows_choose_enter_takes_what_they_chose_and_escape_closes():
    async with WorkbenchApp(rack_case()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        bar = case_screen(pilot).filter_pane.bar
        await typed(pilot, "src_p")
        names = [offer.text for offer in bar.offers.offers]
        assert len(names) > 3
        await press(pilot, "down", "down", "enter")
        assert bar.text == names[1]
        assert case_screen(pilot).view.filter == ""
        await press(pilot, "ctrl+u", *kinds("src_p"))
        await press(pilot, "up", "enter")
        assert bar.text == names[-1]
        await press(pilot, "ctrl+u", *kinds("src_p"))
        await press(pilot, "escape")
        assert not bar.offers.is_open
        assert bar.line.has_focus
        await press(pilot, "escape")
        assert bar.text == ""
        assert flows_view(pilot).table.has_focus


async def test_the_list_scrolls_and_stays_inside_the_terminal():
    async with WorkbenchApp(rack_case()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await typed(pilot, "src_ip && src_ip && src_ip && src_ip && src_ip && o")
        listed = pilot.app.screen.query_one(CompletionList)
        assert pilot.app.screen.region.contains_region(listed.region)
        for _ in listed.offers:
            assert f"▸ {listed.chosen.text}" in text_of(pilot)
            await press(pilot, "down")


async def test_earlier_filters_come_back_with_the_arrows_and_in_another_session():
    case = rack_case()
    for begin in (True, False):
        async with WorkbenchApp(case).run_test(size=(80, 24)) as pilot:
            await settle(pilot)
            bar = case_screen(pilot).filter_pane.bar
            if begin:
                for text in ('conn_state == "S0"', 'conn_state == "SF"'):
                    await press(pilot, "slash", "ctrl+u", *kinds(text), "enter")
                await press(pilot, "slash")
                assert bar.text == 'conn_state == "SF"'
                await press(pilot, "up")
            else:
                await typed(pilot, "src_ip && ")
                await press(pilot, "escape") if bar.offers.is_open else None
                await press(pilot, "up", "up")
            assert bar.text == 'conn_state == "S0"'
            await press(pilot, "up")
            assert bar.text == 'conn_state == "S0"'
            await press(pilot, "down", "down")
            assert bar.text == ('conn_state == "SF"' if begin else "src_ip && ")
    assert past_filters(case.path) == ['conn_state == "S0"', 'conn_state == "SF"']
    assert filters_path().stat().st_mode & 0o777 == 0o600


def test_past_filters_are_bounded_and_those_of_one_case(tmp_path):
    for n in range(KEPT + 5):
        remember_filter(tmp_path / "a", f"f{n}")
    remember_filter(tmp_path / "a", "f20")
    remember_filter(tmp_path / "b", "other")
    assert past_filters(tmp_path / "a")[-2:] == [f"f{KEPT + 4}", "f20"]
    assert len(past_filters(tmp_path / "a")) == KEPT
    assert past_filters(tmp_path / "b") == ["other"]
    filters_path().write_text("[1, 2")
    assert past_filters(tmp_path / "a") == []
    remember_filter(tmp_path / "a", "lone \udc80 surrogate")
    remember_filter(tmp_path / "a", "again")
    assert past_filters(tmp_path / "a")[-1] == "again"


async def test_keep_and_exclude_the_value_under_the_cursor():
    case = rack_case()
    async with WorkbenchApp(case).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        screen = case_screen(pilot)
        await press(pilot, "j", *["l"] * 6)
        value = flows_view(pilot).table.record["conn_state"]
        await press(pilot, "f")
        assert screen.view.filter == f'conn_state == "{value}"'
        assert flows_view(pilot).table.total == count(case, value)
        await press(pilot, "f")
        assert screen.view.filter == f'conn_state == "{value}"'
        await press(pilot, "h", "F")
        kept = flows_view(pilot).table.total
        assert screen.view.filter.startswith(f'conn_state == "{value}" && !(proto_name == "')
        assert 0 <= kept < count(case, value)
        await press(pilot, "backspace")
        assert flows_view(pilot).table.total == count(case, value)
        await press(pilot, "backspace")
        assert flows_view(pilot).table.total == 300
        await press(pilot, "backspace")
        assert flows_view(pilot).table.total == 300


async def test_a_filter_that_keeps_nothing_says_how_to_go_back():
    async with WorkbenchApp(rack_case()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await typed(pilot, 'conn_state == "S9"')
        await press(pilot, "enter")
        assert "0 of 300 flows" in text_of(pilot)
        assert "No flow passes the filter." in text_of(pilot)
        await press(pilot, "backspace")
        assert flows_view(pilot).table.total == 300


async def test_escape_stops_a_slow_filter_and_the_rows_of_before_stay():
    case = rack_case()
    async with WorkbenchApp(case).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        screen = case_screen(pilot)
        before = flows_view(pilot).table.source
        await typed(pilot, 'conn_state == "S0"')
        case.gate.clear()
        await pilot.press("enter")
        while not flows_view(pilot).inquiry.filtering:
            await pilot.pause()
        assert "filtering, Esc stops" in text_of(pilot)
        assert flows_view(pilot).table.source is before
        assert "300 flows, row 1" in text_of(pilot)
        assert ", filtered" not in screen_text(pilot)[1]
        await pilot.press("j")  # and it is not in the way
        await pilot.pause()
        assert flows_view(pilot).table.cursor_row == 1
        await press(pilot, "escape")
        assert case.interrupted.is_set()
        assert flows_view(pilot).table.source is before
        assert screen.view.filter == ""
        assert screen.filter_pane.bar.text == ""
        assert screen.status.activity == "ready"
        assert ", filtered" not in screen_text(pilot)[1]
        assert not isinstance(pilot.app.screen, ErrorDialog)


async def test_another_filter_stops_one_that_is_on_its_way():
    case = rack_case()
    async with WorkbenchApp(case).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        screen = case_screen(pilot)
        case.gate.clear()
        screen.filter_pane.build('conn_state == "S0"')
        while not flows_view(pilot).inquiry.filtering:
            await pilot.pause()
        screen.filter_pane.build('conn_state == "SF"')
        while flows_view(pilot).inquiry.asked.filter != 'conn_state == "SF"':
            await pilot.pause()
        assert case.stopped == 1
        case.gate.set()
        await settle(pilot)
        assert flows_view(pilot).table.total == count(case, "SF")
        assert flows_view(pilot).inquiry.shown.filter == 'conn_state == "SF"'


async def test_a_slow_look_for_values_holds_up_no_check():
    case = rack_case()
    wait = threading.Event()
    asked = []

    def slow(text, cursor):
        asked.append(text)
        assert wait.wait(60)
        return []

    case.complete = slow
    async with WorkbenchApp(case).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        bar = case_screen(pilot).filter_pane.bar
        await pilot.press("slash", *kinds("src_ip"))
        while bar.state is not State.VALID or not asked:
            await pilot.pause(0.01)
        for key in kinds(" && dst_ip"):
            await pilot.press(key)
            await pilot.pause(0.1)
        while bar.text != "src_ip && dst_ip" or bar.state is not State.VALID:
            await pilot.pause(0.01)
        assert len(asked) == 1  # the others wait, and only the last of them is asked
        wait.set()
        await settle(pilot)
        assert asked[1:] == ["src_ip && dst_ip"]


async def test_what_the_case_refuses_after_all_is_shown_in_the_bar():
    class Picky(RowCase):
        def check(self, text):
            return None

        def order(self, view):
            if view.filter:
                raise FilterError("no table tls in this case (column 1)", "Index it again.", position=0, length=3)
            return super().order(view)

    async with WorkbenchApp(Picky([flow(n) for n in range(9)])).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await typed(pilot, "tls")
        await press(pilot, "enter")
        for _ in range(200):  # its words are painted behind the mark
            if "no table tls in this case" in text_of(pilot):
                break
            await pilot.pause(0.02)
        assert "✗ wrong" in text_of(pilot)
        assert "no table tls in this case" in text_of(pilot)
        assert case_screen(pilot).view.filter == ""
        assert flows_view(pilot).table.total == 9
        assert not isinstance(pilot.app.screen, ErrorDialog)


async def test_sorting_and_zooming_keep_the_filter_and_the_other_way_round():
    case = rack_case()
    async with WorkbenchApp(case).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        screen = case_screen(pilot)
        await press(pilot, *["l"] * 6, "f", "S")
        assert flows_view(pilot).table.total == count(case, "SF")
        assert flows_view(pilot).sorting == Sorting(descending=True)
        await press(pilot, "t", "enter")
        assert 0 < flows_view(pilot).table.total < count(case, "SF")
        assert screen.view.filter == 'conn_state == "SF"'
        await press(pilot, "R", "escape", "L")
        assert "whatever the filter" in " ".join(text_of(pilot).split())


async def test_a_burst_of_keys_is_text_from_the_slash_on():
    """As a slow line delivers it: all keys are there before the first one is handled."""
    async with WorkbenchApp(rack_case()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        for key in ("slash", *"ipsql"):
            pilot.app.post_message(events.Key(key, "/" if key == "slash" else key))
        await settle(pilot)
        assert case_screen(pilot).filter_pane.bar.text == "ipsql"
        assert pilot.app.screen is case_screen(pilot)
        await press(pilot, "slash")
        assert case_screen(pilot).filter_pane.bar.text == "ipsql/"
        for key in ("ctrl+u", "t", "c", "p", "home", "u", "d", "p"):
            pilot.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await settle(pilot)
        assert case_screen(pilot).filter_pane.bar.text == "udptcp"


async def test_a_burst_that_ends_with_enter_is_applied():
    async with WorkbenchApp(rack_case()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        for number in range(5):
            text = f"dst_port == {440 + number}"
            pilot.app.post_message(events.Key("slash", "/"))
            pilot.app.post_message(events.Key("ctrl+u", None))
            for sign in text:
                pilot.app.post_message(events.Key("space" if sign == " " else sign, sign))
            pilot.app.post_message(events.Key("enter", "\r"))
            await settle(pilot)
            assert case_screen(pilot).view.filter == text


async def test_a_tiny_terminal_shows_the_bar_while_it_matters():
    async with WorkbenchApp(rack_case()).run_test(size=(60, 12)) as pilot:
        await settle(pilot)
        assert "filter" not in screen_text(pilot)[0]
        await typed(pilot, 'conn_state == "S0"')
        assert "✓ valid" in screen_text(pilot)[0]
        await press(pilot, "enter")
        assert "● applied" in screen_text(pilot)[0]
        assert flows_view(pilot).table.visible_rows >= 3


@pytest.mark.parametrize(
    "text", ["\x1b]52;c;eA==\x07", "\u202egnp.exe\u2066", "a\u200bb", "[/foo][red]", "e\u0301\u0301", "\x9b31m"]
)
async def test_what_is_pasted_is_painted_and_not_obeyed(text):
    assert len(shown(text)) == len(text)
    async with WorkbenchApp(rack_case()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "slash")
        line = pilot.app.screen.query_one(FilterInput)
        line.insert_text_at_cursor(f"dst_ip {text} nonsense")
        await settle(pilot)
        for row in screen_text(pilot):
            assert row.isprintable(), row
            assert len(row) == 80 or "漢" in row
        assert shown(line.value) in screen_text(pilot)[0]
        assert line.value.startswith("dst_ip ")


def test_conditions_from_values():
    row = flow(3)
    assert conditions.condition("service", None, keep=True) == "!(service)"
    assert conditions.condition("service", None, keep=False) == "service"
    assert conditions.condition("service", "smb", keep=True) == 'service === "smb"'  # and no smb,dcerpc
    assert conditions.condition("service", "smb,dcerpc", keep=False) == '!(service === "smb,dcerpc")'
    assert conditions.condition("dst_port", 22, keep=False) == "!(dst_port == 22)"
    assert conditions.condition("ts", row["ts"], keep=True) == 'ts == "2026-03-14 09:26:54.000793"'
    assert conditions.joined("", "a == 1") == "a == 1"
    assert conditions.joined("b == 2 or c", "a == 1") == "(b == 2 or c) && a == 1"
    assert conditions.joined("b == 2", "a == 1") == "b == 2 && a == 1"
    assert conditions.joined("b == 2 && a == 1", "a == 1") == "b == 2 && a == 1"


def test_every_value_of_every_column_makes_a_filter_that_is_true_to_it():
    names = [
        "*",
        "a?b",
        'q"uote',
        "back\\slash",
        "a || b",
        "\x1b[2J",
        "\u202e",
        "tab\t",
        "caf\u00e9",
        "",
        " ",
        "\U000e0001",
        "nul\0",
    ]
    columns = [look.name for look in flow_looks(dates=False)]
    rows = [flow(n, service=text) for n, text in enumerate(names)] + [flow(n + 50, service="other*") for n in range(9)]
    for column, value in dict.fromkeys((column, row.get(column)) for column in columns for row in rows):
        kept = keeps(conditions.condition(column, value, keep=True), rows)
        assert [r for r in rows if r.get(column) == value] == kept, (column, value)
        rest = keeps(conditions.condition(column, value, keep=False), rows)
        assert [r for r in rows if r.get(column) != value] == rest, (column, value)


async def test_a_message_said_while_the_bar_is_out_of_sight_has_the_whole_width_once_it_is_seen():
    async with WorkbenchApp(rack_case()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        words = "no table tls in this case (column 1)"
        bar = case_screen(pilot).filter_pane.bar
        assert not bar.query_one(FilterMessage).display
        bar.show_state(State.WRONG, Wrong(words, "Index it again.", 0, 3))
        bar.enter()
        await settle(pilot)
        assert words in text_of(pilot)
