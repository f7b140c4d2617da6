"""`note` writes and lists."""

import json
from pathlib import Path

import pytest

from tests.store.rows import batch, flow, source
from workbench.cli import app as cli
from workbench.store.writer import CaseWriter


@pytest.fixture
def case(tmp_path: Path) -> Path:
    with CaseWriter(tmp_path / "case") as writer:
        writer.add_source(source(1))
        writer.append("flows", batch("flows", [flow(n) for n in range(3)]))
    return tmp_path / "case"


def listed(case: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, object]]:
    capsys.readouterr()
    assert cli.run(["note", "--case", str(case), "--format", "json", *words]) == 0
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return found


def test_written_and_listed(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert listed(case, capsys) == []
    assert cli.run(["flows", "--case", str(case), "--format", "json", "--limit", "1"]) == 0
    number = json.loads(capsys.readouterr().out)[0]["flow_id"]
    assert cli.run(["note", "--case", str(case), "on the case"]) == 0
    assert cli.run(["note", "--case", str(case), "--flow", str(number), "on \x1b[2Ja flow"]) == 0
    assert capsys.readouterr().out.startswith("note 1 on case case\nnote 2 on flow ")
    assert [(row["kind"], row["text"]) for row in listed(case, capsys)] == [("case", "on the case"), ("flow", "on \x1b[2Ja flow")]
    dotted = f"{number >> 40}.{number & ((1 << 40) - 1)}"
    assert [row["key"] for row in listed(case, capsys, "--flow", dotted)] == [str(number)]
    assert cli.run(["note", "--case", str(case), "--format", "table"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u241b[2Ja flow" in out


@pytest.mark.parametrize(
    "words",
    [["--flow", "99", "x"], ["--flow", "x", "x"], ["--flow", "9" * 19, "x"], [" "], ["x", "--format", "csv"]],
    ids=["absent", "no id", "too large", "empty", "format"],
)
def test_what_cannot_be_written(case: Path, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert cli.run(["note", "--case", str(case), *words]) == 2
    assert listed(case, capsys) == []


def test_a_damaged_file_is_said(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (case / "case.sqlite").write_bytes(b"x" * 999)
    assert cli.run(["note", "--case", str(case)]) == 3
    assert "Move it aside" in capsys.readouterr().err
