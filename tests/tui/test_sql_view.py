"""The view SQL over a case that was indexed: asking, stopping, bounds, mistakes, hostile text."""

from __future__ import annotations

import time

import pytest

from tests.tui.driving import case_screen, press, screen_text, settle
from workbench.audit.log import AuditLog
from workbench.tui.application import WorkbenchApp
from workbench.tui.case_data import StoredCase
from workbench.tui.views.sql import SqlView
from workbench.tui.widgets.sql_editor import clean
from workbench.workflows import ask as ask_module

RUNAWAY = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE (a.range * b.range) % 7 = 3"


@pytest.fixture
def stored(own):
    data = StoredCase.open(own("names"))
    yield data
    data.close()


async def begun(pilot) -> SqlView:
    await settle(pilot)
    await press(pilot, "7")
    return case_screen(pilot).query_one(SqlView)


async def asked(pilot, sql: str) -> SqlView:
    view = await begun(pilot)
    view.editor.put(sql)
    await press(pilot, "f5")
    return view


def typed(text: str) -> list[str]:
    return [{" ": "space", ".": "full_stop"}.get(char, char) for char in text]


def shown(pilot) -> str:
    return "\n".join(screen_text(pilot))


async def test_rows_of_a_query_are_shown_with_their_number_and_time(stored):
    async with WorkbenchApp(stored).run_test(size=(80, 24)) as pilot:
        view = await asked(pilot, "SELECT i AS number, 'word ' || i AS words FROM range(3) t(i)")
        assert view.table.total == 3
        assert "3 rows" in shown(pilot)
        assert "word 2" in shown(pilot)
        await press(pilot, "down")
        assert view.table.record == {"number": 1, "words": "word 1"}


async def test_a_mistake_is_told_where_it_is_and_the_rows_of_before_stay(stored):
    async with WorkbenchApp(stored).run_test(size=(80, 24)) as pilot:
        view = await asked(pilot, "SELECT 1 AS one")
        view.editor.put("SELECT src_ip,\n  nonsense\nFROM flows")
        view.editor.area.focus()
        await press(pilot, "f5")
        assert "line 2, column 3" in shown(pilot)
        assert view.editor.area.cursor_location == (1, 2)
        assert view.editor.area.has_focus
        assert view.table.total == 1


async def test_a_query_that_never_ends_is_stopped_and_the_engine_is_free(stored):
    async with WorkbenchApp(stored).run_test(size=(80, 24)) as pilot:
        view = await begun(pilot)
        view.editor.put(RUNAWAY)
        await pilot.press("f5")
        await pilot.pause(0.3)
        assert view.busy
        await press(pilot, "escape")
        assert not view.busy
        assert "stopped" in shown(pilot)
        await asked(pilot, "SELECT count(*) AS n FROM flows")
        assert "1 row," in shown(pilot)
        before = time.process_time()
        await pilot.pause(0.2)
        assert time.process_time() - before < 0.18  # nothing of it computes on


async def test_another_query_replaces_one_that_runs(stored):
    async with WorkbenchApp(stored).run_test(size=(80, 24)) as pilot:
        view = await begun(pilot)
        view.editor.put(RUNAWAY)
        await pilot.press("f5")
        view.editor.put("SELECT 42 AS answer")
        await press(pilot, "f5")
        assert view.table.record == {"answer": 42}
        assert not view.busy


async def test_a_long_answer_is_cut_and_that_is_said(stored, monkeypatch):
    monkeypatch.setattr(ask_module, "ROWS_KEPT", 10_000)
    async with WorkbenchApp(stored).run_test(size=(80, 24)) as pilot:
        view = await asked(pilot, "SELECT i FROM range(20000000) t(i)")
        assert view.table.total == 10_000
        assert "first 10,000 rows, there are more" in shown(pilot)
        await press(pilot, "G")
        assert view.table.record == {"i": 9999}


async def test_an_answer_is_bounded_by_bytes_too(stored, monkeypatch):
    monkeypatch.setattr(ask_module, "BYTES_KEPT", 1_000_000)
    async with WorkbenchApp(stored).run_test(size=(80, 24)) as pilot:
        view = await asked(pilot, "SELECT repeat('x', 1000) AS x FROM range(1000000)")
        assert 1000 <= view.table.total < 20_000
        assert "there are more" in shown(pilot)


async def test_the_filter_of_the_frame_applies_where_it_is_asked_for(stored):
    async with WorkbenchApp(stored).run_test(size=(80, 24)) as pilot:
        view = await asked(pilot, "SELECT count(*) AS n FROM flows")
        everything = view.table.record["n"]
        case_screen(pilot).filter_by("proto_name == 'udp'")
        await settle(pilot)
        assert view.table.record["n"] == everything
        await press(pilot, "ctrl+t")
        assert 0 < view.table.record["n"] < everything
        assert "filtered" in shown(pilot)
        case_screen(pilot).filter_by("proto_name == 'tcp'")
        await settle(pilot)
        assert "the filter is another now" in shown(pilot)
        await press(pilot, "ctrl+t")
        assert view.table.record["n"] == everything


async def test_hostile_values_and_names_change_nothing_but_their_cell(stored):
    evil = "chr(27) || ']52;c;aGk=' || chr(7) || chr(8238) || '[red]x[/]'"
    sql = f"SELECT 1 AS first, {evil} AS \"a\u202e[/foo]\x1b[31m\", repeat('y', 65536) AS long, 2 AS last"
    async with WorkbenchApp(stored).run_test(size=(80, 24)) as pilot:
        view = await begun(pilot)
        view.ask(sql)
        await settle(pilot)
        text = shown(pilot)
        assert view.table.total == 1
        assert "\x1b" not in text
        assert "\x07" not in text
        assert "\u202e" not in text
        lines = screen_text(pilot)
        assert all(len(line) <= 80 for line in lines)


async def test_what_is_pasted_is_harmless_and_bounded(stored):
    async with WorkbenchApp(stored).run_test(size=(80, 24)) as pilot:
        view = await begun(pilot)
        view.editor.put("")
        view.editor.area.insert("SELECT\t'\x1b]0;gone\x07\u202e\0'\r\nFROM flows" + "x" * 100_000)
        await settle(pilot)
        assert view.editor.text.startswith("SELECT    '□]0;gone□□□'\nFROM flowsx")
        assert len(view.editor.text) <= 65_536


async def test_values_that_python_cannot_hold_do_not_end_the_app(stored):
    async with WorkbenchApp(stored).run_test(size=(80, 24)) as pilot:
        odd = "'infinity'::TIMESTAMP AS t, INTERVAL 3 MONTH AS i, [1, 2] AS l, MAP {'a': 1} AS m, 2::HUGEINT AS h"
        view = await asked(pilot, f"SELECT {odd}")
        assert view.table.total == 1
        assert "infinity" in shown(pilot)


async def test_earlier_queries_come_back(stored):
    async with WorkbenchApp(stored).run_test(size=(80, 24)) as pilot:
        view = await asked(pilot, "SELECT 1 AS one")
        view.editor.put("SELECT 2 AS two")
        await press(pilot, "f5")
        view.editor.area.focus()
        view.editor.put("SELECT 3")
        await press(pilot, "ctrl+up")
        assert view.editor.text == "SELECT 2 AS two"
        await press(pilot, "ctrl+up")
        assert view.editor.text == "SELECT 1 AS one"
        await press(pilot, "ctrl+down", "ctrl+down")
        assert view.editor.text == "SELECT 3"


async def test_completion_knows_tables_and_the_columns_of_an_alias(stored):
    async with WorkbenchApp(stored).run_test(size=(80, 24)) as pilot:
        view = await begun(pilot)
        view.editor.put("")
        view.editor.area.focus()
        await press(pilot, *typed("FROM led"))
        assert view.editor.offers.is_open
        assert "ledger" in shown(pilot)
        await press(pilot, "tab")
        assert view.editor.text == "FROM ledger"
        await press(pilot, *typed(" d WHERE d.rea"))
        await press(pilot, "tab")
        assert view.editor.text == "FROM ledger d WHERE d.reason"


async def test_keys_are_text_in_the_editor_and_keys_outside(stored):
    async with WorkbenchApp(stored).run_test(size=(80, 24)) as pilot:
        view = await begun(pilot)
        view.editor.put("")
        view.editor.area.focus()
        await press(pilot, "1", "slash", "q", "2")
        assert view.editor.text == "1/q2"
        await press(pilot, "escape", "2")
        assert case_screen(pilot).shown.number == 2


async def test_a_place_comes_back_and_a_strangers_place_is_passed_over(stored):
    async with WorkbenchApp(stored).run_test(size=(80, 24)) as pilot:
        view = await asked(pilot, "SELECT 7 AS seven")
        place = view.place()
        view.editor.put("else")
        view.restore({"sql": 7, "narrowed": "yes"})
        assert view.editor.text == "else"
        view.restore(place)
        assert view.editor.text == "SELECT 7 AS seven"
        assert not view.narrowed


async def test_a_saved_question_is_found_filled_in_and_asked(stored):
    async with WorkbenchApp(stored).run_test(size=(80, 24)) as pilot:
        view = await begun(pilot)
        await press(pilot, "ctrl+o")
        await press(pilot, *typed("hours"))
        assert "A connection that lasts for hours" in shown(pilot)
        await press(pilot, "enter")
        assert "min_score" in shown(pilot)
        await press(pilot, "end", *["backspace"] * 9, *typed("lots"), "enter")
        assert "is no value of parameter" in shown(pilot)
        await press(pilot, *["backspace"] * 9, "enter")
        assert view.last is not None
        assert view.last.name == "long-connection"
        assert "FROM" in view.editor.text
        assert "rows" in shown(pilot)
        assert "long-connection" in shown(pilot)


async def test_a_saved_view_can_be_put_into_the_editor_without_asking(stored):
    async with WorkbenchApp(stored).run_test(size=(80, 24)) as pilot:
        view = await begun(pilot)
        await press(pilot, "ctrl+o", *typed("zeek"))
        await press(pilot, "ctrl+e")
        assert view.editor.text == "SELECT *\nFROM zeek_conn"
        assert view.last is None


async def test_an_answer_is_plotted_and_the_keys_choose_how(stored):
    async with WorkbenchApp(stored).run_test(size=(80, 24)) as pilot:
        view = await asked(pilot, "SELECT 'host ' || i AS host, i * 10 AS flows, i AS n FROM range(1, 5) t(i)")
        await press(pilot, "v")
        assert "bar: flows over host" in shown(pilot)
        assert "host 4 │█" in shown(pilot)
        await press(pilot, "y")
        assert "bar: n over host" in shown(pilot)
        await press(pilot, "k")
        assert "scatter" in shown(pilot)
        await press(pilot, "k", "k")
        assert "line" in shown(pilot)
        await press(pilot, "escape")
        assert not view.plotted
        await asked(pilot, "SELECT 'x' AS x")
        await press(pilot, "v")
        assert not view.plotted


async def test_all_rows_are_exported_and_formulas_are_harmless(stored, tmp_path, monkeypatch):
    monkeypatch.setattr(ask_module, "ROWS_KEPT", 100)
    out = tmp_path / "out.csv"
    async with WorkbenchApp(stored).run_test(size=(80, 24)) as pilot:
        await asked(pilot, "SELECT i, '=HYPERLINK(' || i || ')' AS text, -i AS below FROM range(5000) t(i)")
        await press(pilot, "e")
        line = pilot.app.screen.query_one("#rows-file")
        line.value = str(out)
        await press(pilot, "enter")
        assert "5,000 rows" in shown(pilot)
        await press(pilot, "enter", "e")
        pilot.app.screen.query_one("#rows-file").value = str(out)
        await press(pilot, "enter")
        assert "exists" in shown(pilot)
    lines = out.read_text().split("\n")
    assert len(lines) == 5002
    assert lines[4].strip() == "3,'=HYPERLINK(3),-3"
    assert 5000 in [entry.detail["rows"] for entry in AuditLog(stored.path).read() if entry.action == "rows_exported"]


@pytest.mark.parametrize("ending", ["json", "parquet"])
async def test_the_ending_of_the_name_chooses_the_format(stored, tmp_path, ending):
    out = tmp_path / f"out.{ending}"
    async with WorkbenchApp(stored).run_test(size=(80, 24)) as pilot:
        await asked(pilot, "SELECT i AS number FROM range(30) t(i)")
        await press(pilot, "e")
        pilot.app.screen.query_one("#rows-file").value = str(out)
        await press(pilot, "enter")
    if ending == "json":
        import json

        assert json.loads(out.read_text())[29] == {"number": 29}
    else:
        from pyarrow import parquet

        assert parquet.read_table(out)["number"].to_pylist() == list(range(30))


async def test_an_export_that_is_stopped_leaves_nothing(stored, tmp_path):
    out = tmp_path / "out.csv"
    async with WorkbenchApp(stored).run_test(size=(80, 24)) as pilot:
        view = await begun(pilot)
        view.editor.put(RUNAWAY)
        await pilot.press("f5")
        await press(pilot, "escape", "escape", "e")
        pilot.app.screen.query_one("#rows-file").value = str(out)
        await pilot.press("enter")
        await pilot.pause(0.2)
        await press(pilot, "escape")
        assert "nothing was written" in shown(pilot)
    assert list(tmp_path.glob("*out*")) == []


async def test_a_row_is_shown_whole(stored):
    async with WorkbenchApp(stored).run_test(size=(80, 24)) as pilot:
        await asked(pilot, "SELECT 'first' || chr(10) || repeat('long ', 40) || chr(27) AS text")
        await press(pilot, "enter")
        lines = screen_text(pilot)
        assert any("first" in line and "long" not in line for line in lines)
        assert any("␛" in line for line in lines)


def test_clean_keeps_what_languages_need():
    assert clean("SELECT 'ﬁt für Zoë, 日本'") == "SELECT 'ﬁt für Zoë, 日本'"


async def test_running_a_query_closes_the_list_over_it(stored):
    async with WorkbenchApp(stored).run_test(size=(80, 24)) as pilot:
        view = await begun(pilot)
        view.editor.put("SELECT 1 AS one FROM sourc")
        view.editor.area.focus()
        await press(pilot, "e", "s")
        view.editor.put("SELECT nothing FROM sourc")
        view.editor.area.focus()
        await press(pilot, "e")
        assert view.editor.offers.is_open
        await press(pilot, "f5")  # refused: the cursor stays in the editor
        assert view.editor.area.has_focus
        assert not view.editor.offers.is_open


async def test_the_key_line_names_the_way_out_of_the_editor_and_only_keys_that_do_something(stored):
    async with WorkbenchApp(stored).run_test(size=(160, 50)) as pilot:
        view = await begun(pilot)
        view.editor.area.focus()
        await settle(pilot)
        assert "esc Out of the editor" in screen_text(pilot)[-1]
        await asked(pilot, "SELECT 1 AS one")
        keys = screen_text(pilot)[-1]
        for idle in ("Out of the editor", "f Keep", "F Exclude", "p Packets", "t Time", "m Measure"):
            assert idle not in keys
        await press(pilot, "tab", "escape")
        await asked(pilot, "SELECT flow_id, src_ip FROM flows")
        assert view.answer.has_focus
        for useful in ("f Keep", "F Exclude", "p Packets"):
            assert useful in screen_text(pilot)[-1]
