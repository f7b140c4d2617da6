"""First paths: the sample's, what the baseline knows, and what is outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.detections.shipped import Cases, case_of, ends, flows_of, found, truth
from tests.store.rows import T0


def at(second: float, src: str, dst: str, **more: Any) -> dict[str, Any]:
    return {"ts": T0 + round(second * 1e6), "ts_end": T0 + round(second * 1e6) + 1000, **ends(src, dst), **more}


USUAL = [at(n, "10.1.0.7", "10.2.0.9") for n in range(100)]


def test_the_days_first_path_is_found_with_its_connections(cases: Cases) -> None:
    (row,) = cases.findings("first-path", "day")
    told = truth("day")["first_path"]
    assert (row["subject"], row["object"], row["flows"]) == (told["from"], told["to"], told["connections"])
    assert abs(row["ts_first"].timestamp() - told["time"]) < 1
    assert {f["dst_ip"] for f in flows_of(cases.reader("day"), row)} == {"10.70.9.5"}


def test_a_path_of_the_baseline_is_not_new(cases: Cases) -> None:
    assert "10.70.2.0/24" not in {row["object"] for row in cases.findings("first-path", "day")}
    assert cases.findings("first-path", "day", baseline=0.7) == []


def test_the_way_back_is_a_path_of_its_own(tmp_path: Path) -> None:
    with case_of(tmp_path / "case", [*USUAL, at(80, "10.2.0.9", "10.1.0.7")]) as reader:
        assert found("first-path", reader) == []  # that network never reached out before: it is new as a source
    rows = [*USUAL, at(3, "10.2.0.9", "10.2.0.10"), at(80, "10.2.0.9", "10.1.0.7")]
    with case_of(tmp_path / "again", rows) as reader:
        (row,) = found("first-path", reader)
    assert (row["subject"], row["object"], row["target_known"]) == ("10.2.0.0/24", "10.1.0.0/24", True)


def test_new_addresses_outside_and_of_groups_are_ordinary(tmp_path: Path) -> None:
    rows = [*USUAL, at(80, "10.1.0.7", "198.51.100.1"), at(81, "10.1.0.7", "224.0.0.251", proto=17)]
    with case_of(tmp_path / "case", rows) as reader:
        assert found("first-path", reader) == []
        assert [row["object"] for row in found("first-path", reader, internal="0.0.0.0/1, 198.51.100.0/24")] == [
            "198.51.100.0/24"
        ]


def test_prefixes_have_the_length_that_is_asked_for(tmp_path: Path) -> None:
    with case_of(tmp_path / "case", [*USUAL, at(80, "10.1.0.7", "10.2.5.9"), at(81, "10.1.0.7", "10.3.5.9")]) as reader:
        assert [row["object"] for row in found("first-path", reader)] == ["10.2.5.0/24", "10.3.5.0/24"]
        assert [row["object"] for row in found("first-path", reader, v4=16)] == ["10.3.0.0/16"]


def test_attempts_are_told_from_answers(tmp_path: Path) -> None:
    with case_of(tmp_path / "case", [*USUAL, at(80, "10.1.0.7", "10.3.0.9", conn_state="S0", dst_pkts=0)]) as reader:
        (row,) = found("first-path", reader)
    assert (row["severity"], row["answered"]) == ("low", 0)


def test_too_little_to_learn_from_says_nothing(tmp_path: Path) -> None:
    with case_of(
        tmp_path / "case", [at(0, "10.1.0.7", "10.2.0.9"), at(50, "10.1.0.7", "10.3.0.9"), at(60, "10.1.0.7", "10.2.0.9")]
    ) as reader:
        assert found("first-path", reader) == []
        assert len(found("first-path", reader, min_baseline=1)) == 1
