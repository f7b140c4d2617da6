"""`audit show` prints the chain, `audit verify` answers whether anybody touched it."""

import json
from pathlib import Path

import pytest

from workbench.audit.log import AuditLog
from workbench.cli import app as cli
from workbench.store.case import CaseFolder


@pytest.fixture
def case(tmp_path: Path) -> Path:
    root = tmp_path / "case"
    CaseFolder.create(root)
    for n in range(3):
        AuditLog(root).append("note_added", id=n, text="\x1b[2J")
    return root


def test_show(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["audit", "show", "--case", str(case)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    assert lines[0].endswith("note_added  id=0 text=\u241b[2J")


def test_show_json_is_what_was_written(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["audit", "show", "--case", str(case), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == [json.loads(line) for line in (case / "audit.jsonl").read_text().splitlines()]


def test_verify(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["audit", "verify", "--case", str(case)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("intact: 3 lines, head 3:")
    anchor = out.split()[-1]
    assert cli.run(["audit", "verify", "--case", str(case), "--anchor", anchor]) == 0
    log = case / "audit.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:2]))
    assert cli.run(["audit", "verify", "--case", str(case)]) == 0
    assert cli.run(["audit", "verify", "--case", str(case), "--anchor", anchor]) == 1
    assert "cut off" in capsys.readouterr().out


def test_verify_finds_an_edit(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = case / "audit.jsonl"
    log.write_text(log.read_text().replace('"id":1', '"id":7'))
    assert cli.run(["audit", "verify", "--case", str(case), "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["problems"][0]["line"]) == (False, 2)
    assert cli.run(["audit", "verify", "--case", str(case)]) == 1
    assert "BROKEN" in capsys.readouterr().out


@pytest.mark.parametrize("anchor", ["", "3", "x:" + "0" * 64, "3:" + "0" * 63, "3:" + "g" * 64])
def test_an_anchor_has_one_form(anchor: str, case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["audit", "verify", "--case", str(case), "--anchor", anchor]) == 2
    assert "anchor" in capsys.readouterr().err


def test_heads_that_are_not_there(case: Path) -> None:
    assert cli.run(["audit", "verify", "--case", str(case), "--heads", str(case / "none")]) == 2


def test_root_sign_prove_and_anchor(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    anchors = tmp_path / "anchors.jsonl"
    (tmp_path / "settings.toml").write_text(f'[audit]\nanchor_file = "{anchors}"\n')
    monkeypatch.setenv("WORKBENCH_CONFIG", str(tmp_path / "settings.toml"))
    where = ["--case", str(case)]
    assert cli.run(["audit", "root", *where, "--format", "json"]) == 0
    root = json.loads(capsys.readouterr().out)
    assert (root["seq"], len(root["root"])) == (3, 64)
    assert cli.run(["audit", "root", *where, "--at", "9"]) == 2
    assert cli.run(["audit", "prove", "2", *where]) == 0
    proof = tmp_path / "proof.json"
    proof.write_text(capsys.readouterr().out)
    assert json.loads(proof.read_text())["root"] == root["root"]
    assert cli.run(["audit", "sign", *where]) == 0
    assert json.loads(anchors.read_text())["root"] == root["root"]
    assert cli.run(["audit", "verify", *where, "--proof", str(proof)]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("intact: 4 lines")
    assert "signed or anchored up to line 3" in told.err
    proof.write_text(proof.read_text().replace("note_added", "note_adder"))
    assert cli.run(["audit", "verify", *where, "--proof", str(proof)]) == 1
    assert "does not lead from its line" in capsys.readouterr().out
    proof.write_text("[]")
    assert cli.run(["audit", "verify", *where, "--proof", str(proof)]) == 3
    log = case / "audit.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:2]))
    assert cli.run(["audit", "verify", *where]) == 1
    assert "cut off" in capsys.readouterr().out
    log.unlink()
    for n in range(5):
        AuditLog(case).append("note_added", id=n)
    assert cli.run(["audit", "verify", *where]) == 1
    assert "was anchored here" in capsys.readouterr().out


def test_without_a_key_or_a_place_nothing_is_signed(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["audit", "sign", "--case", str(case)]) == 2
    assert "no key to sign with" in capsys.readouterr().err


def test_a_folder_with_nothing_but_a_log_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    AuditLog(tmp_path).append("push_planned", target="dpu")
    assert cli.run(["audit", "verify", "--case", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("intact: 1 lines")
