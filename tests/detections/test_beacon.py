"""Beacons: both scores against plain loops written from the definitions, the implant of the sample, and what is none."""

from __future__ import annotations

import itertools
import math
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.detections.shipped import Cases, case_of, ends, found, truth
from tests.store.rows import T0

SECOND = 1_000_000


def half_up(value: float) -> float:
    """Three decimals; halves away from zero."""
    return math.floor(value * 1000 + 0.5) / 1000


def statistic(values: list[float], close: float, default: float) -> float:
    """Mean of 1 - |Bowley skew| and (median - MAD) / median. close: quartiles nearer than this have no skew."""
    ordered = sorted(values)
    half = len(ordered) // 2
    q1, q2, q3 = median(ordered[:half]), median(ordered), median(ordered[len(ordered) - half :])
    skew = (q1 + q3 - 2 * q2) / (q3 - q1) if q3 - q1 >= close and q2 not in (q1, q3) else 0.0
    mad = median(abs(v - q2) for v in ordered)
    even = max(0.0, (q2 - mad) / q2) if q2 >= 1 else default
    return half_up((1 - abs(skew) + even) / 2)


def histogram(times: list[int], first: int, last: int, count: int) -> list[int]:
    """How many lie in each of `count` equal bins; who lies on an edge belongs to the later one, the end to the last."""
    bins = [0] * count
    for time in times:
        place = 0
        while place < count - 1 and (time - first) * count >= (place + 1) * (last - first):
            place += 1
        bins[place] += 1
    return bins


def evenness(bins: list[int]) -> float:
    """The larger of 1 - CV and the share of bins in the two commonest heights."""
    mean = sum(bins) / len(bins)
    cv = math.sqrt(sum((f - mean) ** 2 for f in bins) / len(bins)) / mean
    bars = [f for f in bins if f]
    step = math.ceil(max(bins) * 0.05)
    heights: dict[int, int] = {}
    for f in bars:
        heights[f // step] = heights.get(f // step, 0) + 1
    two = sum(sorted(heights.values(), reverse=True)[:2])
    modal = min(1.0, half_up(two / max(len(bars) - 1, 1))) if len(bars) >= 11 else 0.0
    return max(0.0 if cv > 1 else half_up(1 - cv), modal)


def longest(bins: list[int]) -> int:
    """The longest run of bins that are not empty."""
    best = run = 0
    for f in bins:
        run = run + 1 if f else 0
        best = max(best, run)
    return best


def rita(times: list[int], sizes: list[int], first: int, last: int) -> dict[str, float]:
    """By RITA's definition; times in whole seconds, in order; first and last of the data set."""
    bins = histogram(times, first, last, 24)
    cover = math.ceil((times[-1] - times[0]) / (last - first) * 1000) / 1000
    steady = math.ceil(min(24, longest(bins + bins)) / 12 * 1000) / 1000
    parts = {
        "rita_ts": statistic([float(b - a) for a, b in itertools.pairwise(times) if b > a], 10, 1),
        "rita_ds": statistic([float(s) for s in sizes], 10, 0),
        "rita_hist": evenness(bins),
        "rita_dur": max(min(1.0, cover), min(1.0, steady)) if sum(f > 0 for f in bins) >= 6 else 0.0,
    }
    return parts | {"rita": half_up(sum(parts.values()) / 4)}


def own(times: list[int], sizes: list[int]) -> dict[str, float]:
    """Ours: microseconds, bins over the lifetime."""
    gaps = [float(b - a) for a, b in itertools.pairwise(times) if b > a]
    count = max(2, min(24, len(times) // 4))
    bins = histogram(times, times[0], times[-1], count)
    parts = {
        "own_ts": statistic(gaps, 0.1 * median(gaps), 0),
        "own_ds": statistic([float(s) for s in sizes], 10, 0),
        "own_hist": evenness(bins),
        "own_dur": half_up(longest(bins) / count * min(1.0, len(times) / 20)),
    }
    return parts | {"score": half_up(sum(parts.values()) / 4)}


def calls(times: list[int], sizes: list[int], dst: str = "10.0.9.9") -> list[dict[str, Any]]:
    """Flows of one pair; times in microseconds after T0."""
    return [
        {"ts": T0 + time, "ts_end": T0 + time + 1000, "src_bytes": size, **ends("10.0.0.7", dst)}
        for time, size in zip(times, sizes, strict=True)
    ]


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Calls with jitter, bursts and holes; from seconds to days."""
    period = draw(st.sampled_from([40_000, SECOND, 30 * SECOND, 3600 * SECOND]))
    jitter = draw(st.sampled_from([0.0, 0.2, 1.0]))
    steps = draw(st.lists(st.floats(0, 1), min_size=5, max_size=60))
    times, now = [0], 0
    for step in steps:
        now += round(period * (1 + jitter * (step - 0.5)) * (20 if step > 0.97 else 0 if step < 0.03 else 1))
        times.append(now)
    sizes = draw(st.lists(st.integers(0, 400), min_size=len(times), max_size=len(times)))
    base = draw(st.integers(0, 2000))
    return times, [base + size for size in sizes]


@given(several=st.lists(pairs(), min_size=1, max_size=12))
@settings(max_examples=10, deadline=None)
def test_both_scores_are_what_their_definitions_say(several: list[tuple[list[int], list[int]]]) -> None:
    rows = [row for n, (times, sizes) in enumerate(several) for row in calls(times, sizes, f"10.0.9.{n}")]
    with tempfile.TemporaryDirectory() as folder, case_of(Path(folder) / "case", rows) as reader:
        loose = {"min_connections": 4, "min_score": 0, "min_period": 0, "window": "1000d"}
        got = {row["object"]: row for row in found("beacon", reader, **loose)}
    first, last = (end(T0 + t for times, _ in several for t in times) // SECOND for end in (min, max))
    for n, (times, sizes) in enumerate(several):
        gaps = [b - a for a, b in itertools.pairwise(times) if b > a]
        if len(gaps) < 3:
            assert f"10.0.9.{n}" not in got
            continue
        row = got[f"10.0.9.{n}"]
        for name, value in own(times, sizes).items():
            assert row[name] == pytest.approx(value, abs=0.00101), name  # a rounding of 0.0005 may fall to either side
        whole = [(T0 + t) // SECOND for t in times]
        if len(set(whole)) < 4:
            assert row["rita"] is None
            continue
        for name, value in rita(whole, sizes, first, last).items():
            assert row[name] == pytest.approx(value, abs=0.00101), name


def test_a_container_of_ten_minutes_in_a_day(tmp_path: Path) -> None:
    """Why there are two scores: perfect beats in one of RITA's 24 bins."""
    beats = [5 * 3600 * SECOND + n * 10 * SECOND for n in range(60)]
    rows = calls(beats, [500] * 60) + [{"ts": T0 + h * 3600 * SECOND, **ends("10.0.0.8", f"10.0.8.{h}")} for h in range(25)]
    with case_of(tmp_path / "case", rows) as reader:
        (row,) = found("beacon", reader)
    assert (row["object"], row["rita"], row["rita_hist"], row["rita_dur"]) == ("10.0.9.9", 0.5, 0.0, 0.0)
    assert row["score"] > 0.95
    assert row["period"] == 10.0


def test_the_window_is_the_end_of_the_case(tmp_path: Path) -> None:
    beats = [n * 600 * SECOND for n in range(300)]  # fifty hours
    with case_of(tmp_path / "case", calls(beats, [500] * 300)) as reader:
        (row,) = found("beacon", reader)
        (short,) = found("beacon", reader, window="1000s")
    assert (row["connections"], row["rita"], row["score"]) == (300, 1.0, 1.0)
    assert short["rita"] is None  # fewer than four seconds of calls in it


def test_the_implant_is_found_and_the_person_is_not(cases: Cases) -> None:
    told = truth("beacon")["beacon"]
    rows = {row["subject"]: row for row in cases.findings("beacon", "beacon")}
    implant = rows[told["source"]]
    assert (implant["object"], implant["connections"]) == (told["target"], told["beats"])
    assert implant["period"] == pytest.approx(told["period"], rel=0.15)
    assert "10.40.7.21" not in rows


@pytest.mark.parametrize("sample", ["web", "ssh", "churn"])
def test_ordinary_traffic_is_no_beacon(cases: Cases, sample: str) -> None:
    assert cases.findings("beacon", sample) == []
