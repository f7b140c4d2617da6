"""Plots of a result in text: what suits it, numbers that no axis can hold, any size of the screen."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from workbench.tui import plot_data
from workbench.tui.plot_canvas import drawn, nice_ticks
from workbench.tui.plot_data import Choice, Kind, chart, fitting, suggested

NUMBERS = st.lists(st.none() | st.floats() | st.just(1e308) | st.just(-1e308), min_size=0, max_size=30)


def text_of(table: pa.Table, choice: Choice, width: int = 60, height: int = 12) -> str:
    lines = drawn(chart(table, fitting(choice, table.schema)), width, height)
    assert len(lines) == height
    joined = ["".join(text for text, _ in line) for line in lines]
    assert all(cell_len(line) <= width for line in joined)
    return "\n".join(joined)


def test_what_suits_follows_from_the_types() -> None:
    when, words, n = pa.timestamp("us"), pa.string(), pa.int64()
    assert suggested(pa.schema([("ts", when), ("n", n)])) == Choice(Kind.LINE, "ts", "n")
    assert suggested(pa.schema([("who", words), ("n", n)])) == Choice(Kind.BAR, "who", "n")
    assert suggested(pa.schema([("a", n), ("b", n)])) == Choice(Kind.SCATTER, "a", "b")
    assert suggested(pa.schema([("who", words), ("whom", words), ("n", n)])) == Choice(Kind.HEAT, "whom", "who")
    assert suggested(pa.schema([("n", n)])) == Choice(Kind.LINE, "", "n")
    assert suggested(pa.schema([("who", words)])) is None


def test_bars_are_as_long_as_their_numbers() -> None:
    table = pa.table({"who": ["a", "b", "c"], "n": [10, 20, 0]})
    lines = text_of(table, Choice(Kind.BAR, "who", "n")).split("\n")
    lengths = [line.count("█") for line in lines[:3]]
    assert lengths[1] == pytest.approx(2 * lengths[0], abs=2)
    assert lengths[2] == 0
    assert lines[1].startswith("b │")
    assert lines[1].endswith(" 20")


def test_bars_come_in_the_order_of_the_rows() -> None:
    names = [f"host-{n * 7 % 50}" for n in range(9)]
    lines = text_of(pa.table({"who": names, "n": [3] * 9}), Choice(Kind.BAR, "who", "n")).split("\n")
    assert [line.split("│")[0].strip() for line in lines[:9]] == names


def test_bars_sum_by_value_and_say_what_is_not_shown() -> None:
    table = pa.table({"who": [str(n % 30) for n in range(90)], "n": [1] * 90})
    text = text_of(table, Choice(Kind.BAR, "who", "n"))
    assert "│" in text
    assert " 3" in text
    assert "and 19 more" in text


def test_a_line_rises_from_left_to_right() -> None:
    start = dt.datetime(2024, 1, 31, 9)
    table = pa.table({"ts": [start + dt.timedelta(seconds=n) for n in range(60)], "n": list(range(60))})
    lines = text_of(table, Choice(Kind.LINE, "ts", "n")).split("\n")
    marks = [min(i for i, char in enumerate(line) if "\u2800" < char <= "\u28ff") for line in lines[:10]]
    assert marks == sorted(marks, reverse=True)
    assert "09:00:" in lines[-1]


def test_a_heat_map_is_darkest_where_most_rows_are() -> None:
    table = pa.table({"a": ["x"] * 50 + ["y"], "b": ["p"] * 50 + ["q"]})
    lines = text_of(table, Choice(Kind.HEAT, "a", "b")).split("\n")
    assert "█" in lines[0]
    assert "░" in lines[1] or "▒" in lines[1]


def test_a_long_result_is_sampled_and_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plot_data, "ROWS_PLOTTED", 100)
    made = chart(pa.table({"n": list(range(1000))}), Choice(Kind.LINE, "", "n"))
    assert (made.step, made.xs.size) == (10, 100)


@settings(max_examples=60, deadline=None)
@given(NUMBERS, NUMBERS, st.sampled_from(list(Kind)), st.integers(1, 90), st.integers(1, 30))
def test_any_numbers_can_be_drawn_at_any_size(xs: list[float], ys: list[float], kind: Kind, width: int, height: int) -> None:
    rows = min(len(xs), len(ys))
    table = pa.table({"x": pa.array(xs[:rows], pa.float64()), "y": pa.array(ys[:rows], pa.float64())})
    text_of(table, Choice(kind, "x", "y"), width, height)


@given(st.text(max_size=40), st.sampled_from(list(Kind)))
def test_hostile_labels_stay_in_their_place(label: str, kind: Kind) -> None:
    hostile = "\x1b]0;x\x07\u202e" + label
    table = pa.table({"who": [hostile, "b"], "n": [1, 2]})
    text = text_of(table, Choice(kind, "who", "n"))
    assert "\x1b" not in text
    assert "\u202e" not in text


@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300), st.integers(1, 20))
def test_ticks_lie_within(a: float, b: float, most: int) -> None:
    low, high = sorted((a, b))
    assert len(nice_ticks(low, high, most)) <= most + 1


def test_a_heat_map_says_what_its_shades_are_and_names_its_columns() -> None:
    """Twelve columns of ten letters do not fit beside each other in one line."""
    rows = [(f"10.20.30.{n}", "p") for n in range(100, 112) for _ in range(1 if n < 111 else 60)]
    table = pa.table({"a": [a for a, _ in rows], "b": [b for _, b in rows]})
    lines = text_of(table, Choice(Kind.HEAT, "a", "b"), 78, 14).split("\n")
    assert lines[-1] == "rows: ░ 1 ▒ 2-6 ▓ 7-20 █ 21-60"
    below = "\n".join(lines[-4:-1])
    for n in range(100, 111):
        assert f"╵10.20.30.{n}" in below
    place = next(line for line in lines[-4:-1] if "╵10.20.30.110" in line).index("╵10.20.30.110")
    assert (lines[0][place], lines[0].rstrip()[-1]) == ("░", "█")


def test_a_label_at_the_edge_ends_under_its_column() -> None:
    names = ["a", "b", "c", "nineteen characters"]
    lines = text_of(pa.table({"a": names, "b": ["p", "p", "p", "q"]}), Choice(Kind.HEAT, "a", "b"), 60, 12).split("\n")
    last = next(line for line in lines if "nineteen characters╵" in line)
    assert lines[1].index("█") == last.index("╵")


@pytest.mark.parametrize("most", range(1, 60))
def test_every_amount_has_a_shade(most: int) -> None:
    """Logarithms are not exact: the largest amount is the darkest shade, not one beyond."""
    table = pa.table({"a": ["x"] * most + ["y"], "b": ["p"] * most + ["q"]})
    fields, _, legend = text_of(table, Choice(Kind.HEAT, "a", "b")).rpartition("\n")
    assert legend.startswith("rows: ")
    assert "█" in fields
