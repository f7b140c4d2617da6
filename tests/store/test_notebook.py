"""Notes, bookmarks, findings' states and layout: by several processes at once, and out of a stranger's file."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.audit.log import AuditLog
from workbench.errors import BadInputError, ExternalError, ForeignCaseError, UsageError
from workbench.store.case import CaseFolder
from workbench.store.notebook import MOST_TEXT, Notebook
from workbench.store.notebook_file import TABLES, on_network

WRITER = """
import sys
from pathlib import Path
from workbench.store.notebook import Notebook
book, who, many = Notebook(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
for n in range(many):
    print(book.add_note("case", "id", "case", f"{who} {n}").note_id, flush=True)
"""


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return CaseFolder.create(tmp_path / "case").root


@pytest.fixture
def book(case: Path) -> Notebook:
    return Notebook(case)


def test_nothing_is_made_before_somebody_writes(case: Path, book: Notebook) -> None:
    assert (book.notes(), book.bookmarks(), book.states(), book.layout("app")) == ([], [], {}, {})
    assert (book.version(), book.trouble, book.path.exists()) == (0, None, False)
    assert not (case / "audit.jsonl").exists()


def test_a_note_is_kept_and_in_the_audit_log(case: Path, book: Notebook) -> None:
    hostile = "\x1b[2J\x1b]52;c;eA==\x07 \u202eevil\0 [red]x[/] \ud800"
    note = book.add_note("host", "10.0.0.1", "10.0.0.1", hostile)
    again = Notebook(case).notes()
    assert again == [note]
    assert note.text == hostile.replace("\ud800", "\\ud800")
    [line] = AuditLog(case).read()
    assert (line.action, line.detail["note"], line.detail["key"]) == ("note_added", note.note_id, "10.0.0.1")
    assert line.actor == note.author
    assert len(line.detail["sha256"]) == 64


def test_notes_of_one_thing(book: Notebook) -> None:
    for kind, key, text in (("flow", "1", "a"), ("flow", "2", "b"), ("host", "1", "c"), ("flow", "1", "d")):
        book.add_note(kind, key, key, text)
    assert [note.text for note in book.notes("flow", "1")] == ["a", "d"]
    assert [note.text for note in book.notes("host")] == ["c"]
    assert [note.text for note in book.notes()] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("kind", "text"), [("flow", " \n "), ("flow", "x" * (MOST_TEXT + 1)), ("moon", "x")], ids=["empty", "long", "kind"]
)
def test_what_is_no_note_is_refused(case: Path, book: Notebook, kind: str, text: str) -> None:
    with pytest.raises(UsageError):
        book.add_note(kind, "1", "1", text)
    assert book.notes() == []
    assert AuditLog(case).read() == []


def test_a_note_that_the_audit_log_cannot_name_is_not_written(case: Path, book: Notebook) -> None:
    book.add_note("case", "1", "1", "first")
    (case / "audit.jsonl").unlink()
    (case / "audit.jsonl").mkdir()
    with pytest.raises(ExternalError):
        book.add_note("case", "1", "1", "second")
    assert [note.text for note in book.notes()] == ["first"]


def test_bookmarks_turn(book: Notebook) -> None:
    assert book.turn_bookmark("flow", "7", "seven")
    assert [(mark.kind, mark.key, mark.words) for mark in book.bookmarks()] == [("flow", "7", "seven")]
    assert not book.turn_bookmark("flow", "7", "seven")
    assert book.bookmarks() == []


def test_states_keep_their_history(case: Path, book: Notebook) -> None:
    for state, reason in (("confirmed", "seen on the host"), ("benign", "the scanner of ours")):
        book.set_state("ab12", state, reason)
    assert {key: state.state for key, state in book.states().items()} == {"ab12": "benign"}
    assert [(was.state, was.reason) for was in book.history("ab12")] == [
        ("confirmed", "seen on the host"),
        ("benign", "the scanner of ours"),
    ]
    assert [line.action for line in AuditLog(case).read()] == ["finding_judged"] * 2
    for state, reason in (("gone", "x"), ("done", "  ")):
        with pytest.raises(UsageError):
            book.set_state("ab12", state, reason)


def test_layout_is_kept_whatever_it_was(case: Path, book: Notebook) -> None:
    assert book.save_layout("app", {"view": 5, "place": {"row": 3}})
    assert Notebook(case).layout("app") == {"view": 5, "place": {"row": 3}}
    assert not book.save_layout("app", {"view": "x" * 100_000})
    with sqlite3.connect(book.path) as con:
        con.execute("UPDATE layouts SET value = '[1, 2'")
    assert book.layout("app") == {}


def test_the_version_grows_when_anybody_wrote(case: Path, book: Notebook) -> None:
    other = Notebook(case)
    before = book.version()
    other.add_note("case", "1", "1", "from elsewhere")
    after = book.version()
    assert after > before
    assert book.version() == after
    book.turn_bookmark("flow", "1", "1")
    assert book.version() > after
    held = book.version()
    other.set_state("ab", "done", "x")
    assert book.version() > held


def test_processes_write_at_once(case: Path, book: Notebook) -> None:
    words = [sys.executable, "-c", WRITER, str(case)]
    writers = [subprocess.Popen([*words, who, "20"], stdout=subprocess.PIPE, text=True) for who in ("ann", "ben")]
    ids = [line for writer in writers for line in writer.communicate()[0].split()]
    assert [writer.returncode for writer in writers] == [0, 0]
    texts = [note.text for note in book.notes()]
    assert sorted(texts) == sorted(f"{who} {n}" for who in ("ann", "ben") for n in range(20))
    assert len(set(ids)) == 40
    assert AuditLog(case).verify().ok
    assert len(AuditLog(case).read()) == 40


def test_what_was_told_is_kept_when_the_writer_is_killed(case: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(case), "ann", "100000"], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    told = [int(writer.stdout.readline()) for _ in range(5)]
    os.kill(writer.pid, signal.SIGKILL)
    told += [int(line) for line in writer.communicate()[0].split("\n")[:-1]]
    book = Notebook(case)
    ids = [note.note_id for note in book.notes()]
    assert set(told) <= set(ids)
    assert ids == list(range(1, len(ids) + 1))
    logged = {entry.detail["note"] for entry in AuditLog(case).read() if entry.action == "note_added"}
    assert set(ids) <= logged, "no note without its line"
    assert book.add_note("case", "1", "1", "after the crash").note_id == len(ids) + 1


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TRIGGER t AFTER INSERT ON notes BEGIN DELETE FROM notes; END",
        "CREATE VIEW v AS SELECT * FROM notes",
        "CREATE TABLE more(x)",
        "DROP TABLE bookmarks",
        "ALTER TABLE notes ADD COLUMN x GENERATED ALWAYS AS (abs(ts))",
        "CREATE INDEX i ON notes(lower(text))",
        "PRAGMA application_id = 7",
        "PRAGMA user_version = 9",
    ],
)
def test_a_file_of_another_make_is_refused_in_words(case: Path, book: Notebook, sql: str) -> None:
    book.add_note("case", "1", "1", "mine")
    book.close()
    with sqlite3.connect(book.path) as con:
        con.execute(sql)
    con.close()
    book = Notebook(case)
    assert book.notes() == []
    assert isinstance(book.trouble, ForeignCaseError)
    assert book.trouble.remedy
    with pytest.raises(ForeignCaseError):
        book.add_note("case", "1", "1", "more")


def test_a_view_in_the_place_of_a_table_is_refused(case: Path) -> None:
    with sqlite3.connect(case / "case.sqlite") as con:
        for name, sql in TABLES.items():
            con.execute(sql if name != "notes" else "CREATE VIEW notes AS SELECT 1 AS note_id")
    con.close()
    assert isinstance(Notebook(case).trouble, ForeignCaseError)


@pytest.mark.parametrize("data", [b"x" * 5000, b"SQLite format 3\0" + bytes(5000)], ids=["text", "damaged"])
def test_what_is_no_database_is_refused_in_words(case: Path, data: bytes) -> None:
    (case / "case.sqlite").write_bytes(data)
    book = Notebook(case)
    assert (book.notes(), book.states(), book.layout("app"), book.save_layout("app", {})) == ([], {}, {}, False)
    assert isinstance(book.trouble, BadInputError)
    (case / "case.sqlite").unlink()
    assert book.add_note("case", "1", "1", "anew").note_id == 1
    assert book.trouble is None


def test_an_overwritten_page_is_refused_in_words(case: Path, book: Notebook) -> None:
    for n in range(50):
        book.turn_bookmark("flow", str(n), "words " * 100)
    book.close()
    size = book.path.stat().st_size
    with book.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    book = Notebook(case)
    assert book.bookmarks() == []
    assert isinstance(book.trouble, BadInputError)


def test_links_and_pipes_are_not_followed(case: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (case / "case.sqlite").symlink_to(elsewhere)
    with pytest.raises(ForeignCaseError):
        Notebook(case).add_note("case", "1", "1", "x")
    assert not elsewhere.exists()
    (case / "case.sqlite").unlink()
    os.mkfifo(case / "case.sqlite")
    assert isinstance(Notebook(case).trouble, ForeignCaseError)


def test_rows_that_cannot_be_ours_are_passed_over(case: Path, book: Notebook) -> None:
    good = book.add_note("flow", "1", "1", "good")
    book.set_state("ab", "done", "good")
    with sqlite3.connect(book.path) as con:
        for ts, kind, text in (
            (-1, "flow", "x"),
            (1 << 62, "flow", "x"),
            (1, "moon", "x"),
            (1, "flow", b"x"),
            ("when", "flow", "x"),
        ):
            con.execute("INSERT INTO notes VALUES (NULL, ?, 'a', ?, 'k', 'w', ?)", (ts, kind, text))
        con.execute("INSERT INTO bookmarks VALUES ('moon', 'k', 1, 'a', 'w')")
        con.execute("INSERT INTO judgements VALUES (NULL, 1, 'a', 'cd', 'gone', 'r')")
    con.close()
    assert (book.notes(), book.bookmarks(), set(book.states())) == ([good], [], {"ab"})


def test_a_case_that_cannot_be_written_is_read(case: Path, book: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    note = book.add_note("case", "1", "1", "kept")
    book.close()
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK and real(path, mode))
    again = Notebook(case)
    assert again.readable_only
    assert (again.notes(), again.trouble) == ([note], None)
    with pytest.raises(ExternalError, match="read-only"):
        again.add_note("case", "1", "1", "more")
    assert not again.save_layout("app", {})


def test_others_cannot_read_it(book: Notebook) -> None:
    book.add_note("case", "1", "1", "x")
    assert book.path.stat().st_mode & 0o007 == 0


@pytest.mark.parametrize(
    ("kind", "network"), [("nfs4", True), ("fuse.sshfs", True), ("cifs", True), ("ext4", False), ("fuseblk", False)]
)
def test_network_file_systems_are_told(kind: str, network: bool) -> None:
    mounts = f"/dev/sda1 / ext4 rw 0 0\nserver:/x /mnt/my\\040cases {kind} rw 0 0\nproc /mnt/my\\040cases2 nfs rw 0 0\nodd\n"
    assert on_network(Path("/mnt/my cases/a/case.sqlite"), mounts) is network
    assert not on_network(Path("/home/a/case.sqlite"), mounts)


def test_without_write_ahead_it_works_the_same(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.store.notebook_file.on_network", lambda path: True)
    one, other = Notebook(case), Notebook(case)
    one.add_note("case", "1", "1", "x")
    before = other.version()
    one.add_note("case", "1", "1", "y")
    assert other.version() > before
    assert [note.text for note in other.notes()] == ["x", "y"]
    assert not (case / "case.sqlite-wal").exists()


def test_a_row_that_is_too_long_is_passed_over_and_the_rest_read(case: Path, book: Notebook) -> None:
    """A stranger's: what we write is never half as long."""
    notes = [book.add_note("finding", "ab", "ab", "before"), book.add_note("flow", "1", "1", "other")]
    book.turn_bookmark("host", "10.0.0.1", "10.0.0.1")
    for state in ("confirmed", "done"):
        book.set_state("ab", state, "why")
    book.set_state("cd", "benign", "why")
    assert book.save_layout("app", {"view": 5})
    long = "x" * (1 << 20) + "x"
    with sqlite3.connect(book.path) as con:
        con.execute("INSERT INTO notes VALUES (NULL, 1, 'a', 'finding', 'ab', 'w', ?)", (long,))
        con.execute("INSERT INTO bookmarks VALUES ('flow', ?, 1, 'a', 'w')", (long,))
        con.execute("INSERT INTO judgements VALUES (NULL, 1, 'a', ?, 'done', 'r')", (long,))
        con.execute("INSERT INTO layouts VALUES ('a', 'app', 1, ?)", (long,))
    con.close()
    assert (book.notes(), book.notes("finding"), book.notes("finding", "ab")) == (notes, notes[:1], notes[:1])
    assert [mark.key for mark in book.bookmarks()] == ["10.0.0.1"]
    assert {key: one.state for key, one in book.states().items()} == {"ab": "done", "cd": "benign"}
    assert [one.state for one in book.history("ab")] == ["confirmed", "done"]
    assert book.layout("app") == {"view": 5}
    assert book.trouble is not None
    assert "3 rows with a text of more than 1 MiB" in book.trouble.message
    version = book.version()
    assert (book.version(), book.version()) == (version, version)  # views would read for ever
    assert book.add_note("case", "1", "1", "after") in book.notes()
