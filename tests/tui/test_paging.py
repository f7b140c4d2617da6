from __future__ import annotations

from tests.tui.synthetic import EndlessOrder, flow, table
from workbench.tui.paging import PAGE_ROWS, PageCache, PageLoader


def test_the_cache_keeps_what_was_used_last():
    cache = PageCache(keep=2)
    for number in range(2):
        cache.put(number, table([flow(number * PAGE_ROWS)]))
    assert cache.record(0)["flow_id"] == flow(0)["flow_id"]
    cache.put(2, table([flow(2 * PAGE_ROWS)]))
    assert cache.has(0)
    assert not cache.has(1)
    assert cache.record(PAGE_ROWS) is None


def test_a_row_beyond_the_end_of_a_short_page_is_none():
    cache = PageCache()
    cache.put(0, table([flow(0), flow(1)]))
    assert cache.record(1)["flow_id"] == flow(1)["flow_id"]
    assert cache.record(2) is None


def test_wanting_something_else_replaces_what_was_wanted():
    order = EndlessOrder(10**6)
    loader = PageLoader()
    assert loader.want(order, 1, [5, 6])
    assert not loader.want(order, 2, [900])
    got = []
    loader.drain(
        lambda generation, number, rows, error, whole: got.append((generation, number, rows.num_rows, error)), lambda: False
    )
    assert got == [(2, 900, PAGE_ROWS, None)]
    assert loader.want(order, 2, [7])


def test_a_cancelled_drain_ends_and_another_can_begin():
    loader = PageLoader()
    assert loader.want(EndlessOrder(10**6), 1, [1])
    got = []
    loader.drain(lambda *what: got.append(what), lambda: True)
    assert not got
    assert loader.want(EndlessOrder(10**6), 1, [1])


def test_an_error_is_delivered_and_the_rest_goes_on():
    class Broken(EndlessOrder):
        def page(self, start, count):
            if start == 0:
                raise OSError("gone")
            return super().page(start, count)

    loader = PageLoader()
    loader.want(Broken(10**6), 1, [0, 1])
    got = []
    loader.drain(lambda generation, number, rows, error, whole: got.append((number, rows is None, str(error))), lambda: False)
    assert got == [(0, True, "gone"), (1, False, "None")]


class Columned(EndlessOrder):
    """An order whose columns are asked for one by one."""

    by_columns = True

    def part(self, start, count, columns):
        return self.page(start, count).select(list(columns))


def test_columns_in_view_come_before_any_whole_page():
    loader = PageLoader()
    assert loader.want(Columned(10**6), 1, [5, 6, 7], [5, 7], ["src_ip", "flow_id"])
    got = []
    loader.drain(lambda generation, number, rows, error, whole: got.append((number, rows.num_columns, whole)), lambda: False)
    every = EndlessOrder(1).page(0, 1).num_columns
    assert got == [(5, 2, False), (7, 2, False), (5, every, True), (6, every, True), (7, every, True)]


def test_a_source_without_columns_gives_whole_pages_alone():
    loader = PageLoader()
    loader.want(EndlessOrder(10**6), 1, [5], [5], ["src_ip"])
    got = []
    loader.drain(lambda generation, number, rows, error, whole: got.append((number, whole)), lambda: False)
    assert got == [(5, True)]
    few = Columned(10**6)
    few.by_columns = False
    loader.want(few, 2, [6], [6], ["src_ip"])
    loader.drain(lambda generation, number, rows, error, whole: got.append((number, whole)), lambda: False)
    assert got == [(5, True), (6, True)]


def test_a_row_is_no_record_before_all_of_it_has_come():
    cache = PageCache(keep=2)
    whole = table([flow(0), flow(1)])
    cache.put(0, whole.select(["flow_id", "src_ip"]), whole=False)
    assert cache.has(0)
    assert cache.has(0, ["src_ip"])
    assert not cache.has(0, ["src_ip", "dst_ip"])
    assert not cache.whole(0)
    assert cache.record(1) is None
    assert set(cache.columns(1)[0]) == {"flow_id", "src_ip"}
    cache.put(0, whole)
    cache.put(0, whole.select(["flow_id"]), whole=False)  # one that was asked for earlier and came late
    assert cache.whole(0)
    assert cache.record(1)["dst_ip"] == flow(1)["dst_ip"]
