"""What a person does on the first screen, key by key."""

from __future__ import annotations

import importlib
import pkgutil
import re
import threading

import pytest

from tests.tui.driving import case_screen, flows_view, press, screen_text, settle
from tests.tui.synthetic import LEDGER, SOURCE, START, RowCase, RowOrder, flow, rack_case
from workbench.errors import SourceError
from workbench.tui.application import WorkbenchApp
from workbench.tui.data import Sorting, Span, View
from workbench.tui.figures import NOTHING, from_us, to_us
from workbench.tui.screens.column_picker import ColumnPicker
from workbench.tui.screens.dialog import ErrorDialog
from workbench.tui.screens.flow import FlowDialog
from workbench.tui.screens.help import _PARTS, HelpDialog, _view_part, binding_groups
from workbench.tui.screens.ledger import LedgerDialog
from workbench.tui.widgets.detail import FlowDetail
from workbench.tui.widgets.timeline import Metric, Timeline


def app_of(case=None, **more):
    return WorkbenchApp(case or rack_case(), **more)


async def test_everything_is_there_at_once():
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        text = "\n".join(screen_text(pilot))
        assert "2026-03-14 09:26:53" in text
        assert "300 flows" in text
        assert "2001:db8:20::" in text
        assert "drops 12" in text
        assert "undecoded 443" in text
        assert "unseen: cut 816 B" in text
        assert "established" in text
        assert "? Help" in text
        assert "q Quit" in text


async def test_before_the_case_has_answered_nothing_is_claimed():
    case = rack_case()
    case.gate.clear()
    async with app_of(case).run_test(size=(80, 24)) as pilot:
        await pilot.pause(0.1)
        said = "\n".join(screen_text(pilot))
        assert "Reading the case." in said
        assert "No flows." not in said
        assert "ready" not in said
        case.gate.set()
        await settle(pilot)
        assert "ready" in "\n".join(screen_text(pilot))


async def test_sorting_by_the_picker_reversing_and_moving_the_sorted_column():
    app = app_of()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "s")
        assert isinstance(app.screen, ColumnPicker)
        await press(pilot, *"src_bytes".replace("_", " ").split()[1], "enter")
        assert flows_view(pilot).sorting == Sorting("src_bytes", descending=True)
        values = [flows_view(pilot).table._cache.record(n)["src_bytes"] for n in range(300)]
        assert values == sorted(values, reverse=True)
        await press(pilot, "S")
        assert flows_view(pilot).sorting == Sorting("src_bytes", descending=False)
        await press(pilot, "g")
        assert flows_view(pilot).table.record["src_bytes"] == min(values)
        await press(pilot, "greater_than_sign")
        assert flows_view(pilot).sorting == Sorting("dst_bytes", descending=True)
        await press(pilot, "less_than_sign", "less_than_sign")
        assert flows_view(pilot).sorting == Sorting("conn_state", descending=False)
        assert any("state▲" in line for line in screen_text(pilot))


async def test_sorting_shows_the_first_rows_and_reading_again_keeps_the_flow():
    case = rack_case()
    app = app_of(case)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, *["pagedown"] * 4, "j", "j")
        kept = flows_view(pilot).table.record["flow_id"]
        height = flows_view(pilot).table.cursor_row - flows_view(pilot).table.scroll_offset.y
        case.rows = [flow(n, ts=from_us(START - 1000 + n), flow_id=(2 << 40) | n) for n in range(70)] + case.rows
        await press(pilot, "r")
        assert flows_view(pilot).table.total == 370
        assert flows_view(pilot).table.record["flow_id"] == kept
        assert flows_view(pilot).table.cursor_row - flows_view(pilot).table.scroll_offset.y == height
        assert any(line.startswith("▶") for line in screen_text(pilot))
        await press(pilot, "S")
        assert flows_view(pilot).table.cursor_row == 0


async def test_zoom_by_brush_out_and_back():
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        screen = case_screen(pilot)
        await press(pilot, "t")
        assert screen.timeline.has_focus
        await press(pilot, "0", "space", *["l"] * 9)
        brushed = screen.timeline.brushed
        assert any("┣━" in line for line in screen_text(pilot))
        await press(pilot, "enter")
        assert screen.span == brushed
        assert 0 < flows_view(pilot).table.total < 300
        assert screen.timeline.bins.span == brushed
        assert "zoom 2026-03-14" in "\n".join(screen_text(pilot))
        first = screen.span
        await press(pilot, "G", "t")
        assert screen.span.width < first.width
        await press(pilot, "T")
        assert screen.span == first
        await press(pilot, "T")
        assert screen.span is None
        assert flows_view(pilot).table.total == 300
        await press(pilot, "enter", "enter", "R")
        assert screen.span is None
        await press(pilot, "escape")
        assert flows_view(pilot).table.has_focus


async def test_t_goes_to_the_time_of_the_flow_under_the_cursor():
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        screen = case_screen(pilot)
        await press(pilot, "G", "t")
        edges = screen.timeline.edges(screen.timeline.cursor)
        assert edges.start <= to_us(flows_view(pilot).table.record["ts"]) < edges.end


async def test_a_range_without_flows_says_so():
    case = RowCase([flow(0, ts_end=flow(0)["ts"]), flow(10_000_000)])
    app = app_of(case)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        screen = case_screen(pilot)
        screen.post_message(Timeline.Zoomed(Span(START + 60_000_000, START + 70_000_000)))
        await settle(pilot)
        text = "\n".join(screen_text(pilot))
        assert "No flows in this time range." in text
        assert "Press T" in text


async def test_measures():
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        screen = case_screen(pilot)
        for metric, word in ((Metric.BYTES, "bytes per"), (Metric.PACKETS, "packets per"), (Metric.FLOWS, "flows per")):
            await press(pilot, "m")
            assert screen.timeline.metric is metric
            assert word in screen_text(pilot)[1]


async def test_details_follow_the_cursor_and_open_large():
    app = app_of()
    async with app.run_test(size=(160, 60)) as pilot:
        await settle(pilot)
        await press(pilot, "j", "j")
        record = flows_view(pilot).table.record
        text = "\n".join(screen_text(pilot))
        assert record["community_id"] in text
        assert "Where its packets are" in text
        assert "attempt refused" in text
        await press(pilot, "enter")
        assert isinstance(app.screen, FlowDialog)
        assert record["src_ip"] in "\n".join(screen_text(pilot))
        await press(pilot, "G", "escape")
        assert not isinstance(app.screen, FlowDialog)


async def test_every_column_of_a_flow_is_in_its_details():
    """The pane leaves nothing out: each value can be told from what it shows."""
    from workbench.records.columns import FLOWS
    from workbench.tui import words

    told = {"proto", "src_addr", "dst_addr", "src_hi", "src_lo", "dst_hi", "dst_lo", "source_id", "sampling"}
    base = flow(7)
    for column in FLOWS.names:
        if column in told:
            continue
        changed = dict(base)
        value = base.get(column)
        changed[column] = (
            "changed" if isinstance(value, str) or value is None else value + 977 if isinstance(value, int) else None
        )
        if column.endswith("_flags"):
            changed[column] = 0x02
        if column == "end_reason":
            changed[column] = 4
        if column in ("vlan", "inner_vlan", "outer_vlan", "verdict", "rule_id") or value is not None or column == "service":
            assert words.groups(changed, "p") != words.groups(base, "p"), column


async def test_the_pane_can_be_hidden():
    app = app_of()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        before = flows_view(pilot).table.visible_rows
        await press(pilot, "i")
        assert flows_view(pilot).table.visible_rows > before
        await press(pilot, "i")
        assert flows_view(pilot).table.visible_rows == before


async def test_the_ledger_in_words():
    app = app_of()
    async with app.run_test(size=(120, 50)) as pilot:
        await settle(pilot)
        await press(pilot, "L")
        assert isinstance(app.screen, LedgerDialog)
        text = "\n".join(screen_text(pilot))
        for words in ("Not decoded", "LLDP", "first at frame 3,19,44", "816 B", "Notes", "12 dropped while capturing", "partial"):
            assert words in text
        await press(pilot, "L")
        assert not isinstance(app.screen, LedgerDialog)


async def test_silence_about_drops_is_not_zero_drops():
    case = rack_case()
    case.sources = [SOURCE | {"dropped": None}]
    case.ledger = [line for line in LEDGER if line["kind"] == "note"]
    app = app_of(case)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        text = "\n".join(screen_text(pilot))
        assert "drops unknown" in text
        assert "all decoded" in text
        assert "unseen: none known" in text


async def test_jumps():
    app = app_of(RowCase(20_000_000))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        for answer, row in (
            ("12,345,678", 12_345_677),
            ("50%", 10_000_000),
            ("$", 19_999_999),
            ("0", 0),
            ("99999999999", 19_999_999),
        ):
            await press(pilot, "colon")
            app.screen.query_one("Input").value = answer
            await press(pilot, "enter")
            assert flows_view(pilot).table.cursor_row == row
            assert flows_view(pilot).table.record["flow_id"] & ((1 << 40) - 1) == row
        await press(pilot, "colon", "x", "enter")
        assert any("no row number" in line for line in screen_text(pilot))
        await press(pilot, "escape")
        assert flows_view(pilot).table.cursor_row == 19_999_999


async def test_escape_stops_a_sort_and_keeps_what_was_there():
    case = rack_case()
    app = app_of(case)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        screen = case_screen(pilot)
        before = flows_view(pilot).table.source
        case.gate.clear()
        await pilot.press("S")
        await pilot.pause()
        assert "sorting" in screen.status.activity
        await press(pilot, "escape")
        assert case.interrupted.is_set()
        assert flows_view(pilot).table.source is before
        assert flows_view(pilot).sorting == Sorting()
        assert screen.status.activity == "ready"
        assert not isinstance(app.screen, ErrorDialog)


async def test_overtaken_orders_are_closed():
    case = rack_case()
    app = app_of(case)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "S")
        await press(pilot, "S")
        assert [order.closed for order in case.orders] == [True] * (len(case.orders) - 1) + [False]


async def test_errors_say_what_and_what_to_do():
    class Broken(RowCase):
        def order(self, view):
            raise SourceError("the index ends early", "Index the capture again.")

    app = app_of(Broken(10))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert isinstance(app.screen, ErrorDialog)
        text = "\n".join(screen_text(pilot))
        for words in ("Source damaged", "the index ends early", "Index the capture again."):
            assert words in text
        await press(pilot, "escape")
        assert not isinstance(app.screen, ErrorDialog)


async def test_help_lists_every_key_of_the_moment():
    app = app_of()
    async with app.run_test(size=(120, 80)) as pilot:
        await settle(pilot)
        wanted = {a.binding.id for a in app.screen.active_bindings.values() if a.binding.id}
        await press(pilot, "question_mark")
        assert isinstance(app.screen, HelpDialog)
        listed = {name for _, rows in app.screen._groups for _, _, name in rows}
        assert wanted <= listed
        assert app.screen._groups[0][0] == "table"
        await press(pilot, "escape")


async def test_every_binding_has_an_id_a_description_and_a_tooltip():
    from textual.binding import Binding

    import workbench.tui

    owners = []
    for found in pkgutil.walk_packages(workbench.tui.__path__, "workbench.tui."):
        module = importlib.import_module(found.name)
        owners += [
            v for v in vars(module).values() if isinstance(v, type) and v.__module__ == found.name and "BINDINGS" in vars(v)
        ]
    assert len(owners) > 15
    ids = set()
    for owner in owners:
        for binding in owner.BINDINGS:
            assert isinstance(binding, Binding)
            assert binding.id, (owner, binding)
            assert binding.description
            assert binding.tooltip
            assert binding.id not in ids
            ids.add(binding.id)


async def test_keys_can_be_changed_and_clashes_are_told():
    app = app_of(keymap={"table.down": "w", "case.ledger": "x"})
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "w")
        assert flows_view(pilot).table.cursor_row == 1
        await press(pilot, "x")
        assert isinstance(app.screen, LedgerDialog)


async def test_the_palette_offers_what_the_keys_do():
    app = app_of()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "ctrl+p", *"ledger")
        await pilot.pause(0.3)
        await press(pilot, "enter")
        await settle(pilot)
        assert isinstance(app.screen, LedgerDialog)


async def test_small_screens_drop_parts_in_order():
    for size, parts in (((80, 24), (True, True)), ((60, 14), (False, False)), ((40, 10), (False, False))):
        app = app_of()
        async with app.run_test(size=size) as pilot:
            await settle(pilot)
            screen = case_screen(pilot)
            shown = screen.query_one("#timeline-box").display, screen.query_one("#detail-box").display
            assert shown == parts, size
            assert flows_view(pilot).table.visible_rows >= 3
            await press(pilot, "j", "s", "escape", "L", "escape", "question_mark", "escape", "enter", "escape")


async def test_wide_screens_stand_side_by_side():
    app = app_of()
    async with app.run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        screen = case_screen(pilot)
        assert screen.query_one(FlowDetail).region.x > flows_view(pilot).table.region.right - 1
        await pilot.resize_terminal(80, 24)
        await settle(pilot)
        assert screen.query_one(FlowDetail).region.y >= flows_view(pilot).table.region.bottom


async def test_a_case_without_flows_points_to_the_ledger():
    app = app_of(RowCase([], ledger=[LEDGER[0]]))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        text = "\n".join(screen_text(pilot))
        assert "No flows." in text
        assert "ledger (L)" in text
        assert "No packets yet." in text
        await press(pilot, "t", "space", "enter", "l", "m", "escape", "enter", "G", "S")


async def test_an_order_that_is_gone_back_to_is_waited_for():
    """Stopping leaves the order before; while its middle is still being numbered that is said, and no longer."""
    known = threading.Event()

    class Slow(RowOrder):
        @property
        def complete(self):
            return known.is_set()

        def wait(self, seconds):
            return known.wait(seconds)

    class Case(RowCase):
        def order(self, view):
            order = super().order(view)
            return Slow(order.rows) if view == View() else order

    case = Case([flow(n) for n in range(9)])
    async with app_of(case).run_test(size=(80, 24)) as pilot:
        screen = case_screen(pilot)
        while flows_view(pilot).table.total != 9:
            await pilot.pause(0.01)
        assert screen.status.activity == "sorting, Esc stops"
        case.gate.clear()
        await pilot.press("S", "escape")
        await pilot.pause()
        assert screen.status.activity == "sorting, Esc stops"
        known.set()
        case.gate.set()
        await settle(pilot)
        assert screen.status.activity == "ready"


async def test_keys_typed_ahead_of_the_rows_open_none_of_the_filter_before():
    case = rack_case()
    async with WorkbenchApp(case).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        screen = case_screen(pilot)
        case.gate.clear()
        screen.filter_by('conn_state == "S0"')
        while not flows_view(pilot).inquiry.filtering:
            await pilot.pause()
        for key in ("enter", "p", "e"):
            await pilot.press(key)
            await pilot.pause()
            assert pilot.app.screen is screen
            assert screen.shown.number == 2
        case.gate.set()
        await settle(pilot)
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, FlowDialog)
        assert flows_view(pilot).table.record["conn_state"] == "S0"


@pytest.mark.parametrize("number", [6, 9])
async def test_the_key_line_and_the_help_name_only_what_works_there(number):
    async with WorkbenchApp(rack_case()).run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        screen = case_screen(pilot)
        assert "f Keep  F Exclude  p Packets" in screen_text(pilot)[-1]
        screen.go(number)
        await settle(pilot)
        keys = screen_text(pilot)[-1]
        assert "L Ledger" in keys
        for idle in ("Keep", "Exclude", "p Packets", "t Time", "T Zoom", "m Measure"):
            assert idle not in keys
        listed = {name for _, rows in binding_groups(screen) for _, _, name in rows}
        assert {"case.ledger", "case.note"} <= listed
        assert listed.isdisjoint({"case.keep", "case.exclude", "case.packets", "case.time", "case.zoom_out", "case.metric", ""})


async def test_the_help_has_no_key_of_the_toolkit_and_no_two_parts_of_one_name():
    async with WorkbenchApp(rack_case()).run_test(size=(80, 50)) as pilot:
        await settle(pilot)
        await press(pilot, "question_mark")
        text = "\n".join(screen_text(pilot))
        assert not any(line.strip("│ ") == "Editing" for line in text.split("\n"))
        groups = pilot.app.screen._groups
        titles = [(_PARTS.get(part) or _view_part(part))[0] for part, _ in groups]
        assert len(set(titles)) == len(titles)
        assert all(name for _, rows in groups for _, _, name in rows)


@pytest.mark.parametrize("key", ["s", "C"])
async def test_dialogs_of_columns_say_how_they_close(key):
    async with WorkbenchApp(rack_case()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, key)
        assert "Esc closes" in "\n".join(screen_text(pilot))


def test_where_the_packets_of_a_flow_are():
    from workbench.tui import words

    def place(**offsets):
        return dict(words._where(flow(1, **offsets), "a.pcap")[1])["at"]

    assert place(first_offset=148, last_offset=148) == "byte 148"
    assert place(first_offset=148, last_offset=9048) == "byte 148 to byte 9,048"
    assert place(first_offset=None, last_offset=None) == NOTHING


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_findings_are_marked_below_the_bars(size):
    case = rack_case()
    end = case.summary().extent.end
    case.found = [("high", START, START + 10_000), ("low", START, START + 10_000), ("medium", (START + end) // 2, end - 1)]
    app = app_of(case)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        screen = case_screen(pilot)
        assert "3 findings, gravest ▲ high, flows" in screen_text(pilot)[1]
        row = screen_text(pilot)[screen.timeline.region.bottom - 2]
        assert re.fullmatch(r"▲ +●╌+", row)
        assert abs(row.index("●") - size[0] / 2) <= 1
        await press(pilot, "t", "0")
        assert "2 findings, gravest ▲ high" in screen_text(pilot)[1]
        await press(pilot, "l")
        assert "finding" not in screen_text(pilot)[1]
        screen.post_message(Timeline.Zoomed(Span(START + 1_000_000, START + 2_000_000)))
        await settle(pilot)
        assert "▲" not in screen_text(pilot)[screen.timeline.region.bottom - 2]  # no row of marks, where there are none
