"""Question files are read strictly: what is wrong is said with file and line, and keeps no other from loading."""

import os
from pathlib import Path

import pytest

from workbench.detections.loader import Library, load_library
from workbench.detections.question import QuestionError, load_question
from workbench.errors import MissingPathError, UsageError

GOOD = """/*
id: mine
title: Everything twice
description: >
  For tests.
kind: hunt
attack: [T1046]
parameters:
  least: {type: integer, default: 3, help: how many at least}
columns:
  n: how many
references: ["https://attack.mitre.org/techniques/T1046/"]
false_positives: [none]
*/
SELECT count(*) AS n FROM flows HAVING count(*) >= $least
"""


@pytest.fixture(autouse=True)
def nobodys_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_CONFIG", str(tmp_path / "home" / "settings.toml"))


def written(folder: Path, text: str = GOOD, name: str = "mine.sql") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def test_a_complete_file_is_read(tmp_path: Path) -> None:
    question = load_question(written(tmp_path))
    assert (question.id, question.kind, question.severity, question.attack) == ("mine", "hunt", "info", ("T1046",))
    assert question.description == "For tests."
    assert question.values() == {"least": 3}
    assert question.values({"least": "7"}) == {"least": 7}
    assert question.sql.startswith("SELECT")
    with pytest.raises(UsageError, match="mine has no parameter most"):
        question.values({"most": "1"})


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("id: mine", "id: other", 2, "its id is other, its file's name is mine.sql"),
        ("id: mine", "id: 7", 2, "its id is 7"),
        ("title: Everything twice\n", "", 1, "its header lacks title"),
        ("title: Everything twice", "title: [a]", 3, "title is no text"),
        ("title: Everything twice", "title: ''", 3, "title is no text, or empty"),
        ("kind: hunt\n", "", 1, "its header lacks kind"),
        ("kind: hunt", "kind: hunting", 6, "kind is 'hunting'"),
        ("kind: hunt", "kind: detection", 1, "its header lacks severity"),
        ("kind: hunt", "kind: hunt\nseverity: bad", 7, "severity is 'bad'"),
        ("attack: [T1046]", "attack: [scan]", 7, "attack is no list of techniques"),
        ("attack: [T1046]", "attack: T1046", 7, "attack is no list of techniques"),
        ("[none]", "[]", 13, "false_positives is empty"),
        ("[none]", "[1]", 13, "false_positives is no list of texts"),
        ("type: integer", "type: int", 8, "parameter least is of type 'int'"),
        ("default: 3", "default: three", 8, "its default: 'three' is no value of parameter least"),
        ("default: 3", "default: " + "1:" * 9_000 + "1", 0, "its header cannot be read: Exceeds the limit"),
        (", help: how many at least", "", 8, "parameter least has not exactly type, default and help"),
        ("  n: how many", "  n: 3", 10, "columns is no list of names"),
        ("kind: hunt", "kind: hunt\nauthor: me", 7, "author is no key of a header"),
        ("kind: hunt", "kind: hunt\nkind: hunt", 7, "kind is there twice"),
        ("kind: hunt", "yes: hunt", 6, "'yes' is no key"),
        ("kind: hunt", "kind: &a hunt", 6, "its header has anchors or aliases"),
        ("kind: hunt", "kind: !!python/object/apply:os.system [id]", 6, "its header has tags"),
        ("kind: hunt", "kind: 'hunt", 13, "its header is not YAML"),
        ("kind: hunt", "kind: 2026-13-45", 2, "its header cannot be read"),
        ("kind: hunt", "kind: " + "[" * 9 + "]" * 9, 6, "its header is nested more than 8 deep"),
        ("kind: hunt", "kind: " + "[" * 30_000, 6, "its header is nested more than 8 deep"),
        ("kind: hunt", "kind: hunt # " + "x" * 70_000, 2, "its header is longer than 64 KiB"),
        (GOOD[:2], "", 0, "mine.sql does not begin with a /* */ comment"),
        (GOOD[GOOD.index("SELECT") :], ";", 0, "mine.sql has no SQL behind its header"),
        ("SELECT", "SELECT\0", 15, "it holds a NUL character"),
        ("SELECT", "-- " + "x" * 300_000 + "\nSELECT", 0, "it is longer than 256 KiB"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, old: str, new: str, line: int, reason: str) -> None:
    path = written(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(QuestionError) as refused:
        load_question(path)
    assert refused.value.message.startswith(reason)
    assert refused.value.line == line
    assert refused.value.remedy


def test_aliases_that_stand_for_gigabytes_are_refused_before_they_are_built(tmp_path: Path) -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(QuestionError, match="anchors or aliases"):
        load_question(written(tmp_path, GOOD.replace("kind: hunt\n", "kind: hunt\n" + bomb)))


def test_no_other_thing_than_a_file_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mine.sql")
    with pytest.raises(QuestionError, match="no plain file"):
        load_question(tmp_path / "mine.sql")
    (tmp_path / "latin.sql").write_bytes(b"/*\nid: \xff\n*/ SELECT 1")
    with pytest.raises(QuestionError, match="not UTF-8") as refused:
        load_question(tmp_path / "latin.sql")
    assert refused.value.line == 2


def test_a_mistake_in_one_file_keeps_no_other_from_loading(tmp_path: Path) -> None:
    written(tmp_path / "q" / "hunts")
    written(tmp_path / "q", "nothing", "bad.sql")
    found = load_library([tmp_path / "q"])
    assert found.questions["mine"].kind == "hunt"
    assert [str(one) for one in found.refused] == [f"{tmp_path / 'q' / 'bad.sql'}: bad.sql does not begin with a /* */ comment"]
    with pytest.raises(UsageError, match=r"bad was refused: .*bad\.sql"):
        found.find("bad")
    with pytest.raises(UsageError, match="there is no question mime") as unknown:
        found.find("mime")
    assert "Did you mean mine?" in unknown.value.remedy


def test_the_persons_own_win_over_shipped_ones_and_named_folders_over_both(tmp_path: Path) -> None:
    written(tmp_path / "home" / "queries")
    assert load_library().find("mine").path.parent.parent == tmp_path / "home"
    path = written(tmp_path / "named")
    found = load_library([tmp_path / "named"])
    assert found.find("mine").path == path
    assert [one.path.parent.name for one in found.replaced] == ["queries"]


def test_the_same_id_twice_in_one_folder_is_said(tmp_path: Path) -> None:
    written(tmp_path / "q")
    written(tmp_path / "q" / "hunts")
    found: Library = load_library([tmp_path / "q"])
    assert found.find("mine").path == tmp_path / "q" / "mine.sql"
    assert "has the same id" in found.refused[0].reason


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingPathError):
        load_library([tmp_path / "nowhere"])
