"""Any Arrow result as the virtual table takes it: names twice, values Python cannot hold, hostile text."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.tui.looks import TEXT_LIMIT
from workbench.tui.table_source import ArrowSource, distinct, looks_of

HOSTILE = "\x1b]52;c;aGk=\x07[red]\u202eevil\0" + "x" * 65_536


@given(st.lists(st.sampled_from(["", "n", "n_1", "n_2", "\x1b[31m"]) | st.text(max_size=3), max_size=12))
def test_no_name_comes_twice(names: list[str]) -> None:
    out = distinct(names)
    assert len(set(out)) == len(out) == len(names)


def test_names_that_come_once_stay() -> None:
    assert distinct(["n", "n_1", "n"]) == ["n", "n_1", "n_2"]
    assert distinct(["a", "b"]) == ["a", "b"]


def test_pages_are_cut_at_the_end() -> None:
    source = ArrowSource(pa.table({"n": list(range(1000))}))
    assert source.total == 1000
    assert source.page(900, 512)["n"].to_pylist() == list(range(900, 1000))
    assert source.ready(0, 512)


def test_a_column_of_flows_looks_as_it_does_there() -> None:
    looks = looks_of(pa.schema([("src_ip", pa.string()), ("src_bytes", pa.int64()), ("n", pa.int64())]))
    assert looks[0].heading == "source ip"
    assert looks[1].text(1_234_567) == "1.2 MB"
    assert [look.right for look in looks] == [False, True, True]
    assert looks[2].text(12_345) == "12.3k"


def test_exact_keeps_names_and_digits() -> None:
    looks = looks_of(pa.schema([("src_bytes", pa.int64()), ("ratio", pa.float64())]), exact=True)
    assert looks[0].heading == "src_bytes"
    assert looks[0].text(1_234_567) == "1234567"
    assert looks[1].text(0.1 + 0.2) == "0.3"


def test_a_name_of_flows_with_other_values_is_shown_by_its_type() -> None:
    looks = looks_of(pa.schema([("src_bytes", pa.string()), ("ts", pa.int64()), ("src_flags", pa.string())]))
    assert [look.text("x") for look in (looks[0], looks[2])] == ["x", "x"]
    assert looks[1].text(5) == "5"


@pytest.mark.parametrize("exact", [True, False])
def test_hostile_names_and_values_are_visible_and_cut(exact: bool) -> None:
    table = pa.table([[HOSTILE], [HOSTILE]], names=[HOSTILE, HOSTILE])
    looks = looks_of(table.schema, table, exact=exact)
    page = ArrowSource(table, bounded=True).page(0, 512)
    for look in looks:
        text = look.text(page.column(look.name)[0].as_py())
        assert (look.heading + text + look.meaning).isprintable()
        assert "\u202e" not in text
        assert len(text) <= TEXT_LIMIT * 8
        assert look.width <= 48


def test_values_that_python_cannot_hold_become_text() -> None:
    table = pa.table(
        {
            "far": pa.array([2**62], pa.timestamp("us")),
            "fine": pa.array([1_700_000_000_123_456_789], pa.timestamp("ns")),
            "zone": pa.array([0], pa.timestamp("us", tz="Mars/Olympus")),
            "date": pa.array([2**31 - 1], pa.date32()),
            "long": pa.array([list(range(100_000))]),
            "record": pa.array([{"a": {"b": {"c": 1}}, "d": None}]),
            "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
            "gap": pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
            "null": pa.nulls(1),
        }
    )
    page = ArrowSource(table, bounded=True).page(0, 512)
    row = page.to_pylist()[0]
    assert row["far"] == "infinity"
    assert row["fine"] == "2023-11-14 22:13:20.123456"
    assert row["zone"] == "1970-01-01 00:00:00.000000"
    assert "100,000 in all" in row["long"]
    assert len(row["long"]) < 100
    assert row["null"] is None
    for look in looks_of(table.schema, table):
        assert look.text(row[look.name]).isprintable()


def test_ordinary_times_stay_times() -> None:
    when = dt.datetime(2024, 1, 31, 9, 31, 5)
    table = pa.table({"when": pa.array([when, None], pa.timestamp("us"))})
    assert ArrowSource(table, bounded=True).page(0, 5)["when"].to_pylist() == [when, None]
    assert looks_of(table.schema)[0].text(when) == "2024-01-31 09:31:05"
