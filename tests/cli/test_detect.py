"""`detect` and `query --name`: data on stdout, words on stderr, the exit code is the answer."""

import json
from pathlib import Path

import pytest

from tests.store.rows import index
from tests.workflows.test_hunt import BUSY, HEADER
from workbench.cli.app import run
from workbench.store.notebook import Notebook


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options that name a case, and questions of our own."""
    monkeypatch.setenv("WORKBENCH_CONFIG", str(tmp_path / "home" / "settings.toml"))
    index(tmp_path / "case", 260)
    folder = tmp_path / "queries"
    folder.mkdir()
    (folder / "busy.sql").write_text(HEADER.format(id="busy", kind="detection") + BUSY.replace("flows' AS", "\x1b[2J' AS"))
    (folder / "broken.sql").write_text(HEADER.format(id="broken", kind="detection") + "SELECT $least AS sent")
    (folder / "sent.sql").write_text(HEADER.format(id="sent", kind="hunt") + "SELECT max(src_bytes) + $least AS sent FROM flows")
    (folder / "odd.sql").write_text("SELECT 1")
    return ["--case", str(tmp_path / "case"), "--queries", str(folder)]


def test_findings_are_data_and_the_rest_is_said(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["detect", *words, "--only", "busy", "--format", "json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert len(found) == 10
    assert (found[0]["detection"], found[0]["severity"], found[0]["subject"]) == ("busy", "medium", "10.0.0.0")
    assert "refused: " in err
    assert "odd.sql does not begin with a /* */ comment" in err
    assert "1 detections in" in err
    assert "10 findings (busy 10)" in err


def test_a_table_shows_what_came_from_the_wire_harmlessly(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["detect", *words, "--only", "busy", "--format", "table"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "medium" in out


@pytest.mark.parametrize(("limit", "code"), [("low", 1), ("medium", 1), ("high", 0)])
def test_findings_at_or_above_the_limit_are_exit_code_1(words: list[str], limit: str, code: int) -> None:
    assert run(["detect", *words, "--only", "busy", "--fail-on", limit]) == code


def test_a_detection_that_fails_is_no_clean_bill(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["detect", *words, "--only", "broken,busy", "--fail-on", "critical"]) == 2
    assert "failed: broken: its SELECT yields no column subject" in capsys.readouterr().err
    assert run(["detect", *words, "--only", "nothing"]) == 2
    assert run(["detect", *words, "--only", "busy", "-p", "least=x"]) == 2
    assert run(["detect", *words[:2], "--queries", "/nowhere"]) == 2


def test_a_question_by_name(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["query", *words, "--name", "sent", "-p", "least=1000", "--format", "csv"]) == 0
    assert capsys.readouterr().out == "sent\r\n1559\r\n"
    assert run(["query", *words, "--name", "sent", "--filter", "src_bytes < 301", "--format", "csv"]) == 0
    assert capsys.readouterr().out == "sent\r\n302\r\n"


def test_the_list_of_questions_needs_no_case(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["query", "--list", *words[2:], "--format", "json"]) == 0
    out, err = capsys.readouterr()
    listed = {row["id"]: row for row in json.loads(out)}
    assert listed["sent"]["kind"] == "hunt"
    assert listed["busy"]["parameters"] == "least=2"
    assert "odd.sql" in err


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ([], "one of them"),
        (["SELECT 1", "--list"], "one of them"),
        (["SELECT 1", "-p", "a=1"], "-p goes with --name"),
        (["--name", "sent", "-p", "least"], "is no parameter"),
        (["--name", "sent", "-p", "least=1", "-p", "least=2"], "given twice"),
        (["--name", "sunt"], "Did you mean sent?"),
    ],
)
def test_wrong_usage(words: list[str], more: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["query", *words, *more]) == 2
    assert reason in capsys.readouterr().err


def test_sql_needs_a_case(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["query", "SELECT 1"]) == 2
    assert "--case is missing" in capsys.readouterr().err


def test_what_people_judged_harmless_or_done_does_not_count(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    ask = ["detect", *words, "--only", "busy", "--fail-on", "medium"]
    assert run([*ask, "--format", "json"]) == 1
    found = [row["finding_id"] for row in json.loads(capsys.readouterr().out)]
    book = Notebook(Path(words[1]))
    for finding_id in found[1:]:
        book.set_state(finding_id, "benign", "ours")
    book.set_state(found[0], "done", "gone")
    book.set_state(found[0], "confirmed", "there again")
    assert run(ask) == 1
    assert "9 of 10 findings are judged benign or done and do not count" in capsys.readouterr().err
    book.set_state(found[0], "done", "gone")
    assert run(ask) == 0
    assert "10 of 10" in capsys.readouterr().err
