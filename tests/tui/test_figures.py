from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.tui import figures

BIG = st.integers(min_value=0, max_value=2**63 - 1)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (7, "7"),
        (9_999, "9,999"),
        (10_000, "10.0k"),
        (12_345, "12.3k"),
        (999_949, "1.0M"),
        (1_234_567, "1.2M"),
        (None, "\u2013"),
    ],
)
def test_counts_are_exact_while_they_are_small(value, text):
    assert figures.count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0  B"),
        (999, "999  B"),
        (1_000, "1.0 kB"),
        (1_234_567, "1.2 MB"),
        (99_960, "100 kB"),
        (999_600, "1.0 MB"),
        (None, "\u2013"),
    ],
)
def test_sizes_put_digits_under_digits(value, text):
    assert figures.size(value) == text


@given(BIG)
def test_sizes_and_counts_keep_their_width_and_order_of_magnitude(value):
    assert len(figures.size(value)) <= 7
    assert len(figures.count(value)) <= 6
    number, unit = figures.size(value).split()
    scale = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15, "EB": 10**18}[unit]
    assert float(number) * scale == pytest.approx(value, rel=0.05, abs=0.5)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.000412, "412 µs"),
        (0.0032, "3.2 ms"),
        (0.9999, "1.0 s"),
        (12.34, "12.3 s"),
        (59.97, "1m 00s"),
        (252, "4m 12s"),
        (11_220, "3h 07m"),
        (187_200, "2d 04h"),
        (-0.5, "-500 ms"),
        (None, "\u2013"),
    ],
)
def test_durations(seconds, text):
    assert figures.duration(seconds) == text


@given(st.floats(min_value=0, max_value=1e9))
def test_durations_stay_short(seconds):
    assert 0 < len(figures.duration(seconds)) <= 8


@given(st.datetimes(min_value=dt.datetime(1, 1, 1)))
def test_microseconds_and_times_are_one(when):
    assert figures.from_us(figures.to_us(when)) == when


def test_times_beyond_the_calendar_are_its_edges():
    assert figures.from_us(2**63 - 1) == dt.datetime.max
    assert figures.from_us(-(2**63)) == dt.datetime.min


def test_a_span_names_its_day_once():
    start = figures.to_us(dt.datetime(2026, 3, 14, 9, 26, 53, 500_000))
    assert figures.span_text(start, start + 60_000_000) == "2026-03-14 09:26:53 \u2013 09:27:53"
    assert figures.span_text(start, start + 2_000_000) == "2026-03-14 09:26:53.500 \u2013 09:26:55.500"
    assert figures.span_text(start, start + 86_400_000_000) == "2026-03-14 09:26:53 \u2013 2026-03-15 09:26:53"


@pytest.mark.parametrize(
    ("width", "text"),
    [(10**12, "03-14"), (10**10, "09:26"), (10**8, "09:26:53"), (10**6, "09:26:53.500"), (900, "09:26:53.500000")],
)
def test_axis_labels_are_as_fine_as_the_axis(width, text):
    assert figures.tick(figures.to_us(dt.datetime(2026, 3, 14, 9, 26, 53, 500_000)), width) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 10, "0%"), (1, 10**6, "<0.1%"), (999_999, 10**6, ">99.9%"), (10, 10, "100.0%"), (1, 4, "25%"), (1, 0, "\u2013")],
)
def test_shares_are_never_rounded_to_nothing_or_everything(part, whole, text):
    assert figures.share(part, whole) == text
