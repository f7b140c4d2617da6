"""Exfiltration: against the pair's own past where it has one, its network's where it has none."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.detections.shipped import Cases, case_of, ends, found, truth
from tests.store.rows import T0


def upload(hour: float, up: int, down: int = 500, src: str = "10.0.0.7", dst: str = "10.0.1.1") -> dict[str, Any]:
    when = T0 + round(hour * 3.6e9)
    return {"ts": when, "ts_end": when + 1000, "src_payload": up, "dst_payload": down, **ends(src, dst)}


PAST = [upload(n, 20_000 + 1000 * (n % 4)) for n in range(9)]


def test_the_days_upload_is_measured_by_the_pairs_own_past(cases: Cases) -> None:
    (row,) = cases.findings("exfiltration", "day")
    told = truth("day")["exfiltration"]
    before = [c["sent_bytes"] for c in truth("day")["connections"] if c["dst"] == told["target"] and c["time"] < told["time"] - 1]
    assert (row["subject"], row["object"], row["sent"]) == (told["source"], told["target"], told["sent_bytes"])
    assert (row["basis"], row["history"], row["usual"]) == ("own", len(before), median(before))
    assert row["deviation"] == pytest.approx(1.4826 * median(abs(b - median(before)) for b in before))


def test_a_new_pair_is_measured_by_its_network(cases: Cases) -> None:
    (row,) = cases.findings("exfiltration", "exfil")
    told = truth("exfil")["exfiltration"]
    assert (row["subject"], row["object"], row["basis"]) == (told["source"], told["target"], "network")
    assert row["sent"] >= told["sent_bytes"]


@pytest.mark.parametrize("sample", ["ssh", "web", "names"])
def test_ordinary_uploads_are_none(cases: Cases, sample: str) -> None:
    assert cases.findings("exfiltration", sample) == []


def test_inside_counts_as_well_as_outside_and_much_is_not_much_for_who_always_sends_much(tmp_path: Path) -> None:
    large = [upload(n, 5_000_000, dst="10.0.2.2") for n in range(9)]
    with case_of(tmp_path / "case", [*PAST, *large, upload(9.5, 900_000), upload(9.5, 9_000_000, dst="10.0.2.2")]) as reader:
        assert [(row["object"], row["basis"]) for row in found("exfiltration", reader)] == [("10.0.1.1", "own")]


def test_what_comes_back_as_much_is_no_exfiltration(tmp_path: Path) -> None:
    with case_of(tmp_path / "case", [*PAST, upload(9.5, 900_000, down=800_000)]) as reader:
        assert found("exfiltration", reader) == []


def test_earlier_peaks_do_not_hide_a_later_one(tmp_path: Path) -> None:
    with case_of(tmp_path / "case", [*PAST, upload(9.5, 900_000), upload(10.5, 900_000)]) as reader:
        (row,) = found("exfiltration", reader)
    assert (row["intervals"], row["sent"], row["most"]) == (2, 1_800_000, 900_000)


def test_an_interval_adds_up_small_flows(tmp_path: Path) -> None:
    parts = [upload(9.5 + n / 3600, 40_000) for n in range(20)]
    with case_of(tmp_path / "case", PAST + parts) as reader:
        (row,) = found("exfiltration", reader)
    assert (row["most"], row["flows"]) == (800_000, 20)
