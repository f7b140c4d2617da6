"""Flows: columns, marks, groups and the way into them, pairs, other tables' rows, copies."""

from __future__ import annotations

import csv
import io
import json
import sys

import pyarrow as pa
import pytest

from tests.tui.driving import case_screen, flows_view, press, screen_text, settle
from tests.tui.synthetic import flow, keeps, rack_case
from tests.tui.test_snapshots import after
from workbench.analysis.grouping import Groups
from workbench.analysis.metadata import rows_of, tables_of_flows
from workbench.store.reader import CaseReader
from workbench.tui.application import WorkbenchApp
from workbench.tui.case_data import StoredCase
from workbench.tui.screens.copy_menu import CopyMenu
from workbench.tui.screens.flow_rows import FlowRows
from workbench.tui.views.flows import pair_filter
from workbench.tui.widgets.group_table import GroupTable

SIZES = pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=["80x24", "160x50"])


@pytest.fixture
def case(own):
    return own("overlays")


def text_of(pilot):
    return "\n".join(screen_text(pilot))


async def group_by(pilot, *names):
    """Through the dialog, from nothing chosen."""
    await press(pilot, "o")
    pilot.app.screen.chosen[:] = names
    await press(pilot, "enter")


async def test_groups_are_gone_into_and_left_again_with_the_cursor_where_it_was(case):
    with CaseReader(case) as reader:
        counts = reader.query("SELECT dst_port, count(*) AS n FROM flows GROUP BY 1 ORDER BY 2 DESC, 1 NULLS LAST").to_pylist()
        whole = sum(row["n"] for row in counts)
    async with WorkbenchApp(StoredCase.open(case)).run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        view = flows_view(pilot)
        await group_by(pilot, "dst_port")
        assert f"{len(counts):,} groups by" in text_of(pilot)
        assert [row["flows"] for row in view.groups.groups.rows.to_pylist()] == [row["n"] for row in counts]
        await press(pilot, "j", "enter")
        assert not view.grouped
        assert view.table.total == counts[1]["n"] < whole
        assert case_screen(pilot).view.filter == f"dst_port == {counts[1]['dst_port']}"
        await press(pilot, "escape")
        assert view.grouped
        assert view.groups.cursor_row == 1
        assert case_screen(pilot).view.filter == ""
        await press(pilot, "f")
        assert view.grouped
        assert view.groups.total == 1
        await press(pilot, "backspace", "escape")
        assert not view.grouped
        assert view.table.total == whole


async def test_groups_are_sorted_by_any_of_their_columns(case):
    async with WorkbenchApp(StoredCase.open(case)).run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        view = flows_view(pilot)
        await group_by(pilot, "src_ip", "proto_name")
        for column in ("bytes", "peers", "src_ip"):
            view._sort_by(view._order.__class__(column, True))
            await settle(pilot)
            values = view.groups.groups.rows[column].to_pylist()
            assert values == sorted(values, reverse=True)
            await press(pilot, "S")
            values = view.groups.groups.rows[column].to_pylist()
            assert values == sorted(values)
        assert "▲" in text_of(pilot)


async def test_escape_stops_grouping_and_the_engine(case):
    async with WorkbenchApp(StoredCase.open(case)).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        view = flows_view(pilot)
        view.show_groups(("src_ip",))
        question = view.groups._question
        await pilot.press("escape")
        await settle(pilot)
        if question.stopped:  # it may have been there before the key was
            assert not view.grouped
        view.show_groups(("dst_ip",))  # others than those, which may be there already
        assert view.activity == "grouping, Esc stops"
        assert view.stop()
        assert view.groups._question.stopped
        await settle(pilot)
        assert view.activity == ""


async def test_a_place_with_groups_and_columns_is_gone_to_and_a_strangers_is_passed_over(case):
    async with WorkbenchApp(StoredCase.open(case)).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        view = flows_view(pilot)
        view.restore({"groups": ["proto_name"], "group": 1, "columns": ["dst_port", "src_ip"]})
        await settle(pilot)
        assert view.grouped
        assert view.groups.cursor_row == 1
        assert [look.name for look in view.table.looks] == ["dst_port", "src_ip"]
        place = json.loads(json.dumps(view.place()))
        assert (place["groups"], place["group"], place["columns"]) == (["proto_name"], 1, ["dst_port", "src_ip"])
        for odd in (["no"], ["src_ip"] * 2, [3], "src_ip", [{}], ["src_ip", "dst_ip", "vni", "vlan", "proto"]):
            view.restore({"groups": odd, "columns": ["no", 5]})
            await settle(pilot)
            assert not view.grouped
        assert len(view.table.looks) > 40


async def test_columns_are_chosen_hidden_and_moved():
    async with WorkbenchApp(rack_case()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "C", "space", "shift+down", "down", "enter")
        names = [look.name for look in flows_view(pilot).table.looks]
        assert names[0] == "src_ip"
        assert "ts" not in names
        await press(pilot, "C", "shift+down", "enter")
        assert [look.name for look in flows_view(pilot).table.looks][:2] == ["src_port", "src_ip"]
        assert flows_view(pilot).place()["columns"][:2] == ["src_port", "src_ip"]
        await press(pilot, "C", "escape")
        assert [look.name for look in flows_view(pilot).table.looks][:2] == ["src_port", "src_ip"]


async def test_marks_are_shown_by_a_sign_counted_and_what_keys_mean(case):
    async with WorkbenchApp(StoredCase.open(case)).run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        view = flows_view(pilot)
        await press(pilot, "space", "j", "space")
        ids = [row["flow_id"] for row in view.table.source.page(0, 3).to_pylist()]
        assert view.table.marked == {ids[0], ids[2]}
        assert "✓ 2 marked" in text_of(pilot)
        lines = [line for line in screen_text(pilot) if line[1:2] == "✓"]
        assert len(lines) == 2
        subject = view.subject()
        assert (subject.kind, subject.words) == ("query", "2 marked flows")
        assert subject.kept == f"flow_id in {{{ids[0]}, {ids[2]}}}"
        await press(pilot, "y")
        assert isinstance(pilot.app.screen, CopyMenu)
        await press(pilot, "j", "y")
        rows = list(csv.DictReader(io.StringIO(pilot.app.clipboard, newline="")))
        assert [int(row["flow_id"]) for row in rows] == [ids[0], ids[2]]
        await press(pilot, "y", "j", "j", "j", "enter")
        case_screen(pilot).filter_by(pilot.app.clipboard)
        await settle(pilot)
        assert view.table.total == 2
        await press(pilot, "e")
        assert "marked: " in text_of(pilot)
        await press(pilot, "escape", "backspace", "A")
        assert len(view.table.marked) == view.table.total
        await press(pilot, "A")
        assert not view.table.marked


async def test_too_many_flows_are_not_marked():
    case = rack_case()
    case.rows = 1_000_000
    async with WorkbenchApp(case).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        told = []
        case_screen(pilot).tell = lambda _title, text: told.append(text)
        await press(pilot, "A")
        assert not flows_view(pilot).table.marked
        assert "A filter narrows them" in told[0]


async def test_copy_of_one_flow_and_into_a_file(tmp_path):
    async with WorkbenchApp(rack_case()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "j", "l", "y")
        assert "Copy this flow" in text_of(pilot)
        await press(pilot, "enter")
        assert pilot.app.clipboard == "10.20.0.2"
        await press(pilot, "y", "j", "j", "j", "y")
        assert pilot.app.clipboard.startswith(f"SELECT * FROM flows WHERE flow_id IN ({(1 << 40) | 1})")
        await press(pilot, "y", "j", "j", "w")
        pilot.app.screen.query_one("Input").value = str(tmp_path / "one.csv")
        await press(pilot, "enter")
        assert case_screen(pilot) is pilot.app.screen
        assert (tmp_path / "one.csv").read_text().startswith("ts,src_ip,")
        await press(pilot, "y", "w")
        pilot.app.screen.query_one("Input").value = str(tmp_path / "one.csv")
        await press(pilot, "enter")
        assert "There is such a file already" in text_of(pilot)


async def test_a_pair_is_followed_whoever_began():
    rows = [flow(n) for n in range(40)]
    back = rows[5] | {"flow_id": 99, "src_ip": rows[5]["dst_ip"], "dst_ip": rows[5]["src_ip"]}
    assert [row["flow_id"] for row in keeps(pair_filter(rows[5]), [*rows, back])] == [rows[5]["flow_id"], 99]
    own = rows[5] | {"flow_id": 98, "dst_ip": rows[5]["src_ip"]}
    assert [row["flow_id"] for row in keeps(pair_filter(own), [*rows, back, own])] == [98]
    async with WorkbenchApp(rack_case()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "j", "P")
        assert case_screen(pilot).view.filter == 'addr == "10.20.0.2" && addr == "192.168.7.14"'
        assert flows_view(pilot).table.total == 1
        await press(pilot, "backspace")
        assert flows_view(pilot).table.total == 300


def test_every_table_that_names_flows_can_be_asked(case):
    with CaseReader(case) as reader:
        assert {"flow_slices", "links", "flow_blocks"} <= {table.name for table in tables_of_flows()}
        for table in tables_of_flows():
            assert set(rows_of(reader, table, -1).column_names) == {column.name for column in table.columns}


async def test_rows_of_other_tables_about_a_flow(case):
    with CaseReader(case) as reader:
        linked = reader.query("SELECT flow_id FROM links ORDER BY flow_id LIMIT 1")["flow_id"].to_pylist()
    async with WorkbenchApp(StoredCase.open(case)).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        case_screen(pilot).filter_by(f"flow_id == {linked[0]}" if linked else "")
        await settle(pilot)
        await press(pilot, "M")
        assert isinstance(pilot.app.screen, FlowRows)
        await settle(pilot)
        assert ("[links " in text_of(pilot)) == bool(linked)
        assert ("No other table has a row" in text_of(pilot)) == (not pilot.app.screen._found)
        await press(pilot, "tab", "escape")
        assert case_screen(pilot) is pilot.app.screen


class TestLooks:
    """How it looks, at both sizes; the case is rows, so that nothing changes by itself."""

    pytestmark = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="snapshots are made by one Python")

    @pytest.fixture(autouse=True)
    def _no_clock(self, monkeypatch):
        """What an answer cost is not the same twice."""
        monkeypatch.setattr("workbench.tui.inquiry.monotonic", lambda: 0.0)

    @SIZES
    def test_marked(self, snap_compare, size):
        assert snap_compare(WorkbenchApp(rack_case()), terminal_size=size, run_before=after("space", "j", "space", "space"))

    @SIZES
    def test_copy_menu(self, snap_compare, size):
        assert snap_compare(WorkbenchApp(rack_case()), terminal_size=size, run_before=after("j", "l", "y", "j"))

    @SIZES
    def test_columns(self, snap_compare, size):
        keys = ("C", "space", "down", "shift+down")
        assert snap_compare(WorkbenchApp(rack_case()), terminal_size=size, run_before=after(*keys))

    @SIZES
    def test_groups(self, snap_compare, size):
        async def show(pilot):
            await settle(pilot)
            table = flows_view(pilot).groups
            view = case_screen(pilot).view
            flows_view(pilot)._front(grouped=True)
            table.keys, table.obeyed = ("src_ip", "dst_port"), view
            table.post_message(GroupTable.Ready(groups_of_rows(), view, table.order))
            await settle(pilot)
            await press(pilot, "j", "j")

        assert snap_compare(WorkbenchApp(rack_case()), terminal_size=size, run_before=show)

    @SIZES
    def test_packets_without_a_flow(self, snap_compare, size):
        assert snap_compare(WorkbenchApp(rack_case()), terminal_size=size, run_before=after("6"))

    @SIZES
    def test_packets_one_way_since_the_first(self, snap_compare, size):
        keys = ("j", "p", "w", "c", "j", "j")
        assert snap_compare(WorkbenchApp(rack_case()), terminal_size=size, run_before=after(*keys))


def groups_of_rows():
    rows = [flow(n) for n in range(30)]
    columns = {name: [row[name] for row in rows] for name in ("src_ip", "dst_port")}
    columns["flows"] = [900 - 31 * n for n in range(30)]
    columns["packets"] = [row["src_pkts"] for row in rows]
    columns["bytes"] = [row["src_bytes"] for row in rows]
    columns |= {"first": [row["ts"] for row in rows], "last": [row["ts_end"] for row in rows]}
    return Groups(("src_ip", "dst_port"), pa.table(columns | {"peers": [n % 7 + 1 for n in range(30)]}), 12_345)
