"""Long connections: RITA's steps, open ones, and the sample's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.detections.shipped import Cases, case_of, ends, found, truth
from tests.store.rows import T0


def lasting(hours: float, **more: Any) -> dict[str, Any]:
    end = {"ts": T0, "ts_end": T0 + round(hours * 3.6e9), "duration": hours * 3600}
    return end | ends("10.0.0.7", "10.0.1.1") | more


@pytest.mark.parametrize(
    ("hours", "score"), [(1, 0.2), (2.5, 0.3), (4, 0.4), (6, 0.5), (8, 0.6), (10, 0.7), (12, 0.8), (300, 0.8)]
)
def test_the_score_is_a_line_between_the_steps(tmp_path: Path, hours: float, score: float) -> None:
    with case_of(tmp_path / "case", [lasting(hours)]) as reader:
        (row,) = found("long-connection", reader)
    assert row["score"] == pytest.approx(score)
    assert row["longest"] == pytest.approx(hours * 3600)


def test_less_than_an_hour_is_not_long_unless_the_scale_says_so(tmp_path: Path) -> None:
    with case_of(tmp_path / "case", [lasting(0.99)]) as reader:
        assert found("long-connection", reader) == []
        (row,) = found("long-connection", reader, scale=0.99 / 12)
    assert row["score"] == pytest.approx(0.8)


def test_what_is_still_open_counts_as_long_as_it_has_lasted(tmp_path: Path) -> None:
    with case_of(tmp_path / "case", [lasting(9, duration=0.0, end_reason=None, conn_state="S1")]) as reader:
        (row,) = found("long-connection", reader)
    assert row["score"] == pytest.approx(0.65)
    assert row["open"] == 1
    assert "had not ended" in row["why"]


def test_the_days_two_are_found_and_its_short_ones_are_not(cases: Cases) -> None:
    rows = cases.findings("long-connection", "day")
    told = truth("day")["long_connections"]
    assert [(row["subject"], row["object"].split()[0]) for row in rows] == [(one["src"], one["dst"]) for one in told]
    assert [row["longest"] / 3600 for row in rows] == pytest.approx([one["hours"] for one in told], rel=0.01)


@pytest.mark.parametrize("sample", ["esxi-lateral", "telemetry-packets"])
def test_a_minute_is_not_long(cases: Cases, sample: str) -> None:
    assert cases.findings("long-connection", sample) == []
