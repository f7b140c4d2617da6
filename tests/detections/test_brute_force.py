"""Guessing: the sample's two guessers and not its administrator; one, spread and sprayed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.detections.shipped import Cases, case_of, ends, flows_of, found, truth
from tests.store.rows import T0


def session(n: int, src: str, dst: str, port: int = 22, pause: float = 2.0, **more: Any) -> dict[str, Any]:
    when = T0 + round(n * pause * 1e6)
    size = {"src_payload": 2000 + n % 5, "dst_payload": 1800, "duration": 0.3}
    return {"ts": when, "ts_end": when + 300_000, "dst_port": port, **ends(src, dst), **size, **more}


def test_each_guess_of_the_sample_is_counted(cases: Cases) -> None:
    rows = {row["service"]: row for row in cases.findings("brute-force", "guessing")}
    told = truth("guessing")["guessing"]
    for service, way in (("tcp/22", "ssh"), ("tcp/80", "http")):
        assert (rows[service]["subject"], rows[service]["sessions"]) == (told[way]["source"], told[way]["guesses"])
        assert {f["src_ip"] for f in flows_of(cases.reader("guessing"), rows[service])} == {told[way]["source"]}


@pytest.mark.parametrize("sample", ["ssh", "windows", "web", "beacon", "esxi-lateral"])
def test_ordinary_sessions_and_a_few_mistakes_are_none(cases: Cases, sample: str) -> None:
    assert cases.findings("brute-force", sample) == []


def test_a_login_that_worked_afterwards_makes_it_worse(tmp_path: Path) -> None:
    guesses = [session(n, "10.0.0.7", "10.0.1.1") for n in range(12)]
    with case_of(tmp_path / "failed", guesses) as reader:
        (failed,) = found("brute-force", reader)
    with case_of(tmp_path / "worked", [*guesses, session(13, "10.0.0.7", "10.0.1.1", dst_payload=90_000)]) as reader:
        (worked,) = found("brute-force", reader)
    assert (failed["severity"], worked["severity"], worked["larger"]) == ("medium", "high", 1)
    assert worked["score"] > failed["score"]


def test_spraying_and_spreading_are_seen_as_what_they_are(tmp_path: Path) -> None:
    sprayed = [session(n, "10.0.0.7", f"10.0.1.{n}", 3389) for n in range(12)]
    spread = [session(n, f"10.0.2.{n % 6}", "10.0.3.1", 445) for n in range(18)]
    with case_of(tmp_path / "case", sprayed + spread) as reader:
        rows = {row["way"]: row for row in found("brute-force", reader)}
    assert set(rows) == {"spray", "spread"}
    assert (rows["spray"]["subject"], rows["spray"]["targets"], rows["spray"]["object"]) == ("10.0.0.7", 12, "tcp/3389")
    assert (rows["spread"]["subject"], rows["spread"]["sources"], rows["spread"]["object"]) == (
        "several sources",
        6,
        "10.0.3.1 tcp/445",
    )


def test_sizes_that_differ_or_pauses_of_hours_are_no_guesses(tmp_path: Path) -> None:
    different = [session(n, "10.0.0.7", "10.0.1.1", src_payload=400 + 300 * n) for n in range(12)]
    with case_of(tmp_path / "sizes", different) as reader:
        assert found("brute-force", reader) == []
    with case_of(tmp_path / "pauses", [session(n, "10.0.0.7", "10.0.1.1", pause=3600) for n in range(12)]) as reader:
        assert found("brute-force", reader) == []


def test_web_servers_are_asked_often(tmp_path: Path) -> None:
    polled = [session(n, "10.0.0.7", "10.0.1.1", 80, pause=3) for n in range(60)]
    with case_of(tmp_path / "polled", polled) as reader:
        assert found("brute-force", reader) == []
    browsed = [session(n, "10.0.0.7", "10.0.1.1", 80, pause=0.2, dst_payload=500 + 50 * n) for n in range(60)]
    with case_of(tmp_path / "browsed", browsed) as reader:
        assert found("brute-force", reader) == []
    guessed = [session(n, "10.0.0.7", "10.0.1.1", 80, pause=0.2) for n in range(60)]
    with case_of(tmp_path / "guessed", guessed) as reader:
        assert [row["sessions"] for row in found("brute-force", reader)] == [60]
