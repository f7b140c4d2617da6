"""What this machine remembers of mirrors, and how it reminds of them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from workbench.push.mirror import Setup
from workbench.sources.ssh import Far
from workbench.workflows import mirror_notes as notes
from workbench.workflows.doctor import examine

FAR = Far("ssh", "dpu1", "root")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def setup(name: str, hours: float) -> Setup:
    made = (dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours)).isoformat(timespec="seconds")
    return Setup("ovsbr1", name, ("p0",), (), (), ("a row",), made)


def test_what_stands_is_remembered_until_it_is_gone() -> None:
    notes.remember(FAR, setup("wbm0000000001", 2))
    notes.remember(FAR, setup("wbm0000000002", 50))
    assert [(host, name) for host, name, _ in notes.standing()] == [
        ("ssh://root@dpu1", "wbm0000000001"),
        ("ssh://root@dpu1", "wbm0000000002"),
    ]
    assert notes.remembered(FAR)["wbm0000000001"]["prior"] == ["a row"]
    (file,) = notes.folder().iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    notes.forget(FAR, "wbm0000000001")
    notes.forget(FAR, "wbm0000000002")
    notes.forget(FAR, "wbm0000000002")
    assert list(notes.folder().iterdir()) == []


def test_the_doctor_asks_after_a_day() -> None:
    notes.remember(FAR, setup("wbm0000000001", 2))
    notes.remember(FAR, setup("wbm0000000002", 50))
    checks = {check.name: check for check in examine() if check.area == "mirror"}
    assert {name: check.state for name, check in checks.items()} == {"wbm0000000001": "info", "wbm0000000002": "missing"}
    assert "set up 2 days ago" in checks["wbm0000000002"].value
    assert checks["wbm0000000002"].advice == "Forgotten? workbench mirror teardown ssh://root@dpu1"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"host": 1, "mirrors": {"x": 3}}', "[" * 100_000])
def test_notes_that_cannot_be_read_are_none(text: str) -> None:
    notes.remember(FAR, setup("wbm0000000001", 2))
    (file,) = notes.folder().iterdir()
    file.write_text(text)
    assert notes.remembered(FAR) == {}
    assert list(notes.standing()) == []


@pytest.mark.parametrize("made", ["", "yesterday", "2026-01-01T00:00:00", "9999-99-99", "\x1b[2J"])
def test_a_mark_that_is_no_time_has_no_age(made: str) -> None:
    assert notes.age(made) is None


def test_ages_are_told_in_what_people_count_in() -> None:
    assert notes.age("9000-01-01T00:00:00+00:00") == dt.timedelta()  # another clock than ours: it has just been made
    words = {0: "0 minutes", 1: "1 minute", 59: "59 minutes", 60: "1 hour", 1439: "23 hours", 1440: "1 day", 9999: "6 days"}
    assert {minutes: notes.age_words(dt.timedelta(minutes=minutes)) for minutes in words} == words
