"""The table over rows that nobody could hold: 20 million, made when asked for."""

from __future__ import annotations

import threading

from textual.app import App

from tests.tui.driving import press, screen_text, settle
from tests.tui.synthetic import EndlessOrder, RowOrder, flow
from workbench.tui.data import Sorting
from workbench.tui.looks import flow_looks
from workbench.tui.paging import PAGE_ROWS
from workbench.tui.widgets.virtual_table import VirtualTable

ROWS = 20_000_000


class TableApp(App[None]):
    def __init__(self, source, looks=None):
        super().__init__()
        self.source = source
        self.told = []
        self.chosen = []
        self.looks = looks or flow_looks(dates=False)

    def compose(self):
        yield VirtualTable(self.looks, empty="Nothing.\nDo this next.")

    def on_mount(self):
        table = self.query_one(VirtualTable)
        table.focus()
        table.set_source(self.source, Sorting())

    def on_virtual_table_moved(self, message):
        self.told.append((message.row, message.record))

    def on_virtual_table_chosen(self, message):
        self.chosen.append(message)

    def on_virtual_table_failed(self, message):
        self.told.append(("failed", message.error))


def times(pilot):
    """First column of every painted row."""
    return [line[2:14] for line in screen_text(pilot)[1:]]


def start_of(n):
    return flow(n)["ts"].strftime("%H:%M:%S.%f")[:12]


async def test_any_depth_of_twenty_million_rows_shows_its_rows():
    order = EndlessOrder(ROWS)
    app = TableApp(order)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        table = app.query_one(VirtualTable)
        assert times(pilot)[0] == start_of(0)
        await press(pilot, "G")
        assert table.cursor_row == ROWS - 1
        assert times(pilot) == [start_of(n) for n in range(ROWS - 23, ROWS)]
        await press(pilot, "pageup", "k")
        assert table.cursor_row == ROWS - 25
        table.move_to(12_345_678)
        await settle(pilot)
        assert start_of(12_345_678) in times(pilot)
        await press(pilot, "g")
        assert times(pilot)[0] == start_of(0)
        assert len(set(order.pages)) < 12


async def test_every_key_moves_as_it_says():
    app = TableApp(EndlessOrder(ROWS))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        table = app.query_one(VirtualTable)
        for key, row in (
            ("j", 1),
            ("down", 2),
            ("k", 1),
            ("up", 0),
            ("up", 0),
            ("pagedown", 23),
            ("space", 46),
            ("ctrl+d", 57),
            ("ctrl+u", 46),
            ("ctrl+b", 23),
            ("ctrl+f", 46),
            ("home", 0),
            ("end", ROWS - 1),
            ("down", ROWS - 1),
        ):
            await press(pilot, key)
            assert table.cursor_row == row, key
        for key, column in (("l", 1), ("right", 2), ("h", 1), ("left", 0), ("left", 0), ("dollar_sign", 43), ("l", 43), ("0", 0)):
            await press(pilot, key)
            assert table.cursor_column == column, key


async def test_rows_on_their_way_are_dots_and_then_the_rows():
    app = TableApp(RowOrder([]))
    async with app.run_test(size=(80, 10)) as pilot:
        await settle(pilot)
        table = app.query_one(VirtualTable)
        table._fetch = lambda: None
        table.set_source(EndlessOrder(1000), Sorting())
        await pilot.pause()
        assert screen_text(pilot)[1].split()[:2] == ["▶", "···"]
        assert table.record is None
        del table._fetch
        table._fetch()
        await settle(pilot)
        assert times(pilot)[0] == start_of(0)
        assert app.told[-1] == (0, table.record)


async def test_first_columns_stay_and_cut_columns_are_not_painted():
    app = TableApp(EndlessOrder(1000))
    async with app.run_test(size=(80, 10)) as pilot:
        await settle(pilot)
        heading, row = screen_text(pilot)[0], screen_text(pilot)[2]
        assert heading.split()[:2] == ["start▲", "source"]
        for _ in range(12):
            await press(pilot, "l")
        there = screen_text(pilot)
        assert there[0].startswith(heading[:35])
        assert there[2].startswith(row[:35])
        assert "service" in there[0]
        assert "dest ip" not in there[0]
        assert "\u2039" in there[0]
        await press(pilot, "dollar_sign")
        assert "id" in screen_text(pilot)[0].split()
        assert "1.1" in screen_text(pilot)[2].split()


async def test_numbers_are_whole_at_any_width():
    wanted = {n: f"{flow(n)['src_pkts']:,}" for n in range(8)}
    told = 0
    async with TableApp(EndlessOrder(1000)).run_test(size=(40, 10)) as pilot:
        for width in range(40, 121):
            await pilot.resize_terminal(width, 10)
            await settle(pilot)
            lines = screen_text(pilot)
            if "pkts>" not in lines[0]:
                continue
            right = lines[0].index("pkts>") + len("pkts>")
            for n in range(1, 8):
                assert lines[n + 1][:right].endswith(" " + wanted[n]), width
            told += 1
    assert told > 20


async def test_another_source_keeps_the_cursor_where_it_is_told():
    app = TableApp(EndlessOrder(100_000))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        table = app.query_one(VirtualTable)
        await press(pilot, *["pagedown"] * 3, "k", "k")
        height = table.cursor_row - table.scroll_offset.y
        table.set_source(EndlessOrder(200_000), Sorting(), row=50_000)
        await settle(pilot)
        assert table.cursor_row == 50_000
        assert table.cursor_row - table.scroll_offset.y == height
        assert start_of(50_000) in times(pilot)
        table.set_source(EndlessOrder(10), Sorting())
        await settle(pilot)
        assert table.cursor_row == 9


async def test_pages_of_an_earlier_source_are_dropped():
    app = TableApp(EndlessOrder(1000))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        table = app.query_one(VirtualTable)
        old = table._generation
        table.set_source(EndlessOrder(5), Sorting())
        table.post_message(VirtualTable._Arrived(old, 0, EndlessOrder(1000).page(700, PAGE_ROWS), None))
        await settle(pilot)
        assert times(pilot)[0] == start_of(0)


class InParts(EndlessOrder):
    """An order that gives the columns in view first, and the whole page when it is let."""

    by_columns = True

    def __init__(self, count):
        super().__init__(count)
        self.asked = []
        self.let = threading.Event()

    def part(self, start, count, columns):
        self.asked.append(tuple(columns))
        return super().page(start, count).select(list(columns))

    def page(self, start, count):
        assert self.let.wait(30)
        return super().page(start, count)


async def test_columns_in_view_are_painted_before_the_rest_of_the_rows_has_come():
    order = InParts(700)
    app = TableApp(RowOrder([]))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        table = app.query_one(VirtualTable)
        table.set_source(order, Sorting())
        for _ in range(2000):
            await pilot.pause()
            if start_of(0) in times(pilot):
                break
        assert times(pilot)[0] == start_of(0)
        assert "dst_ip" in order.asked[-1]
        assert "community_id" not in order.asked[-1]
        assert table.record is None
        table.action_choose()
        order.let.set()
        await settle(pilot)
        for _ in range(2000):
            if app.chosen:
                break
            await pilot.pause()
        assert table.record["community_id"]
        assert [message.row for message in app.chosen] == [0]  # by the Enter that came too early


async def test_an_empty_source_says_what_to_do():
    app = TableApp(RowOrder([]))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert any("Do this next." in line for line in screen_text(pilot))
        for key in ("j", "G", "pagedown", "enter", "l", "dollar_sign"):
            await press(pilot, key)


async def test_a_page_that_cannot_be_read_is_told():
    class Broken(EndlessOrder):
        def page(self, start, count):
            raise OSError("gone")

    app = TableApp(Broken(1000))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert [str(what[1]) for what in app.told if what[0] == "failed"] == ["gone"]


async def test_clicks():
    app = TableApp(EndlessOrder(1000))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.click(VirtualTable, offset=(20, 5))
        await settle(pilot)
        table = app.query_one(VirtualTable)
        assert table.cursor_row == 4
        assert table.column.name == "src_ip"


async def test_long_addresses_keep_both_ends_and_widths_never_shrink():
    rows = [flow(n) for n in range(1, 40)]
    app = TableApp(RowOrder(rows))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert any("2001:db8:" in line and "6:1" in line and "…" in line for line in screen_text(pilot))
    app = TableApp(RowOrder(rows))
    async with app.run_test(size=(220, 24)) as pilot:
        await settle(pilot)
        assert any("2001:db8:ffff:1000:a1b2:c3d4:e5f6:1" in line for line in screen_text(pilot))
