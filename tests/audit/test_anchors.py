"""Anchors find what whoever owns the case folder can do: cut, edit and write anew, signed heads included."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import needs
from workbench.audit import anchors
from workbench.audit.heads import verify_case
from workbench.audit.log import AuditLog, Verdict
from workbench.audit.vouch import vouch
from workbench.errors import AuditError, ExternalError
from workbench.settings import AuditSettings


@pytest.fixture
def case(tmp_path: Path) -> Path:
    folder = tmp_path / "case"
    folder.mkdir()
    for n in range(5):
        AuditLog(folder).append("note_added", id=n)
    return folder


def checked(case: Path, file: Path) -> Verdict:
    kept, wrong = anchors.read_file(file)
    verdict = anchors.verify_anchors(case, verify_case(case), kept, str(file))
    return replace(verdict, problems=(*verdict.problems, *wrong))


def whats(case: Path, file: Path) -> str:
    return "; ".join(problem.what for problem in checked(case, file).problems)


def vouched(case: Path, file: Path) -> None:
    assert vouch(case, AuditSettings(anchor_file=str(file))) == [f"line {len(AuditLog(case).read()) - 1} anchored in {file}"]


def test_an_anchored_log_verifies_and_goes_on(case: Path, tmp_path: Path) -> None:
    file = tmp_path / "anchors.jsonl"
    vouched(case, file)
    AuditLog(case).append("note_added", id=9)
    vouched(case, file)
    verdict = checked(case, file)
    assert verdict.ok
    assert (verdict.entries, verdict.vouched) == (8, 7)
    assert [entry.action for entry in AuditLog(case).read()][5:] == ["head_anchored", "note_added", "head_anchored"]
    assert file.stat().st_mode & 0o777 == 0o600


def lines(case: Path) -> list[bytes]:
    return (case / "audit.jsonl").read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("keep", range(5))
def test_any_cut_before_the_anchor_is_found(case: Path, tmp_path: Path, keep: int) -> None:
    file = tmp_path / "anchors.jsonl"
    vouched(case, file)
    (case / "audit.jsonl").write_bytes(b"".join(lines(case)[:keep]))
    assert not checked(case, file).ok


def test_a_log_written_anew_in_the_same_place_is_found(case: Path, tmp_path: Path) -> None:
    file = tmp_path / "anchors.jsonl"
    vouched(case, file)
    (case / "audit.jsonl").unlink()
    for n in range(9):
        AuditLog(case).append("note_added", id=n)
    assert "a log that began otherwise was anchored here" in whats(case, file)


def test_a_log_that_goes_on_otherwise_behind_its_first_line_is_found(case: Path, tmp_path: Path) -> None:
    file = tmp_path / "anchors.jsonl"
    vouched(case, file)
    (case / "audit.jsonl").write_bytes(lines(case)[0])
    for n in range(9):
        AuditLog(case).append("note_added", id=n + 100)
    assert verify_case(case).ok
    assert "the line is another one; the log was written anew" in whats(case, file)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_kind_of_tampering_before_the_anchor_is_found(case: Path, tmp_path: Path, data: st.DataObject) -> None:
    file = tmp_path / "anchors.jsonl"
    if not file.exists():
        vouched(case, file)
        (tmp_path / "good").write_bytes((case / "audit.jsonl").read_bytes())
    good = (tmp_path / "good").read_bytes().splitlines(keepends=True)
    at, other = (data.draw(st.integers(0, 4)) for _ in range(2))
    how = data.draw(st.sampled_from(["byte", "remove", "double", "swap", "cut", "forge"]))
    bad = list(good)
    if how == "byte":
        place = data.draw(st.integers(0, len(good[at]) - 1))
        bad[at] = good[at][:place] + bytes([good[at][place] ^ data.draw(st.integers(1, 255))]) + good[at][place + 1 :]
    elif how == "remove":
        del bad[at]
    elif how == "double":
        bad.insert(at, good[at])
    elif how == "swap":
        bad[at], bad[other] = bad[other], bad[at]
    elif how == "cut":
        bad = bad[: at + 1] if at < 4 else bad[:4]
    log = AuditLog(case)
    log.path.write_bytes(b"".join(bad))
    if how == "forge":  # whatever follows is chained anew, as whoever knows the program can
        log.path.write_bytes(b"".join(good[:at]))
        for n in range(6 - at):
            log.append("note_added", id=n + 50)
    assert checked(case, file).ok == (how == "swap" and at == other)


def test_an_anchor_that_was_taken_away_or_edited_is_noticed(case: Path, tmp_path: Path) -> None:
    file = tmp_path / "anchors.jsonl"
    vouched(case, file)
    good = json.loads(file.read_text())
    file.write_text("")
    assert "it is missing there" in whats(case, file)
    file.write_text(json.dumps({**good, "root": "0" * 64}) + "\n")
    assert "another Merkle root" in whats(case, file)
    file.write_text(json.dumps({**good, "seq": "5"}) + "\n[]\n\xff")
    assert "line 1 of anchors.jsonl is no anchor; line 2 of anchors.jsonl is no anchor; line 3" in whats(case, file)


def test_a_broken_log_is_not_anchored_and_a_link_takes_none(case: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ExternalError, match="takes no anchor"):
        vouch(case, AuditSettings(anchor_file=str(link)))
    assert not (tmp_path / "elsewhere").exists()
    (case / "audit.jsonl").write_bytes(lines(case)[1])
    with pytest.raises(AuditError, match="is not signed"):
        vouch(case, AuditSettings(anchor_file=str(tmp_path / "anchors.jsonl")))
    assert not (tmp_path / "anchors.jsonl").exists()


def git(folder: Path, *words: str) -> None:
    name = ["-c", "user.name=ann", "-c", "user.email=ann@lab", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *name, "-C", str(folder), *words], check=True, capture_output=True)


@needs.program("git")
def test_anchors_with_a_git_remote(case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "ann")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "ann@lab")
    remote = tmp_path / "remote.git"
    remote.mkdir()
    git(remote, "init", "--bare")
    for clone in ("one", "two"):
        git(tmp_path, "clone", str(remote), clone)
    (tmp_path / "one" / "README").write_text("anchors\n")
    git(tmp_path / "one", "checkout", "-B", "main")
    git(tmp_path / "one", "add", "README")
    git(tmp_path / "one", "commit", "-m", "begin")
    git(tmp_path / "one", "push", "-u", "origin", "main")
    git(tmp_path / "two", "pull", "origin", "main")
    git(tmp_path / "two", "checkout", "-B", "main", "origin/main")
    vouch(case, AuditSettings(anchor_git=str(tmp_path / "one")))
    (tmp_path / "two" / "other").write_text("of somebody else\n")
    git(tmp_path / "two", "add", "other")
    git(tmp_path / "two", "commit", "-m", "other")
    git(tmp_path / "two", "pull", "--rebase")
    git(tmp_path / "two", "push")
    vouch(case, AuditSettings(anchor_git=str(tmp_path / "one")))  # behind what somebody else pushed
    kept, wrong = anchors.read_git(tmp_path / "two")
    assert ([one.seq for one in kept], wrong) == ([5, 6], [])
    assert anchors.verify_anchors(case, verify_case(case), kept, str(tmp_path / "one")).ok
    (tmp_path / "one" / anchors.FILE).write_text("")  # the clone is not the remote
    assert len(anchors.read_git(tmp_path / "one")[0]) == 2
    (case / "audit.jsonl").write_bytes(b"".join(lines(case)[:3]))
    assert not anchors.verify_anchors(case, verify_case(case), kept, str(tmp_path / "one")).ok
    remote.rename(tmp_path / "away")
    with pytest.raises(ExternalError, match="git fetch"):
        anchors.read_git(tmp_path / "two")
