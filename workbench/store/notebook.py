"""Notes, bookmarks, what people made of findings, and where they left the app: `case.sqlite`.

Any number of processes write it at once. What is read may be a stranger's: kinds, times and lengths are checked, text is
shown through `visible` only. Nothing that a person wrote is ever changed: a note stays, of a finding's states all are kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from workbench.audit.log import AuditLog, actor
from workbench.errors import BadInputError, CaseBusyError, ExternalError, UsageError, WorkbenchError
from workbench.records.visible import visible
from workbench.store import notebook_file
from workbench.store.notebook_rows import is_too_big, rows_that_fit

#: What a note or a bookmark can be on, and what its key is.
KINDS: Final[dict[str, str]] = {
    "flow": "flow_id",
    "host": "address",
    "pair": "two addresses",
    "query": "id of a query",
    "finding": "finding_id",
    "source": "source_id",
    "case": "id of the case",
}
State = Literal["open", "confirmed", "benign", "done"]
STATES: Final[tuple[State, ...]] = get_args(State)

#: Characters of a note, a key, a reason; a note that says more is a document.
MOST_TEXT: Final = 65_536
_MOST_KEY: Final = 1_024
_MOST_LAYOUT: Final = 65_536
#: So many lines of one table are read, the newest.
_MOST_ROWS: Final = 100_000
_JUDGEMENT: Final = "finding_id, state, reason, author, ts"
#: Times that a calendar can show, in microseconds.
_LAST_TIME: Final = 253_402_300_799_000_000


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody wrote on something. ts: microseconds since 1970 UTC. words: how the thing was shown to them."""

    note_id: int
    ts: int
    author: str
    kind: str
    key: str
    words: str
    text: str


@dataclass(frozen=True, slots=True)
class Bookmark:
    """What somebody wants to find again; everybody who opens the case sees it."""

    ts: int
    author: str
    kind: str
    key: str
    words: str


@dataclass(frozen=True, slots=True)
class FindingState:
    """What somebody made of a finding, and why."""

    finding_id: str
    state: State
    reason: str
    author: str
    ts: int


class Notebook:
    """One per process and case; threads may share it. The file is made by the first who writes.

    Reading never fails: where the file is refused there is nothing to read, where rows of it are these are passed over, and
    `trouble` says why. Writing raises.
    """

    def __init__(self, case_root: Path) -> None:
        self.path = Path(case_root).absolute() / notebook_file.FILE
        self._lock = threading.Lock()
        self._con: sqlite3.Connection | None = None
        self._identity: tuple[int, ...] = ()
        self._seen = 0
        self._version = 0
        self._trouble: WorkbenchError | None = None
        self._passed: dict[str, int] = {}

    @property
    def readable_only(self) -> bool:
        """Whether the case cannot be written; then writing raises."""
        return not os.access(self.path.parent, os.W_OK) or (self.path.exists() and not os.access(self.path, os.W_OK))

    @property
    def trouble(self) -> WorkbenchError | None:
        """Why the file, or a row of it, is not used; None where all of it is, or there is none yet."""
        with self._lock:
            self._opened()
            return self._trouble or self._passed_over()

    def version(self) -> int:
        """Grows when anybody wrote, here or elsewhere. Cheap: views ask each second."""
        with self._lock:
            self._look()
            return self._version

    def close(self) -> None:
        """Let go of the file; the next call opens it again."""
        with self._lock:
            self._drop()

    # -- notes and bookmarks ----------------------------------------------------------------------

    def add_note(self, kind: str, key: str, words: str, text: str) -> Note:
        """Write a note; it is on the disk, and named in the audit log with its hash, before this returns.

        UsageError for an empty or an overlong text or an unknown kind; what writing raises.
        """
        text = text.strip()
        if not text:
            raise UsageError("the note is empty", "Say something, or leave it.")
        if len(text) > MOST_TEXT:
            raise UsageError(f"the note has {len(text):,} characters", f"Keep it under {MOST_TEXT:,}; put more into a file.")
        row = (_now(), actor(), *_subject(kind, key, words), _text(text))
        with self._writing() as con:
            sql = "INSERT INTO notes(ts, author, kind, key, words, text) VALUES (?, ?, ?, ?, ?, ?)"
            note_id = int(con.execute(sql, row).lastrowid or 0)
            digest = hashlib.sha256(row[-1].encode()).hexdigest()
            self._log("note_added", note=note_id, kind=kind, key=row[3], sha256=digest)
        return Note(note_id, *row)

    def notes(self, kind: str | None = None, key: str | None = None) -> list[Note]:
        """Notes, oldest first; of one kind, of one thing."""
        columns, wanted = "note_id, ts, author, kind, key, words, text", [("kind", 3, kind), ("key", 4, key)]
        where = " AND ".join(f"{name} = ?" for name, _, value in wanted if value is not None) or "true"
        values = [value for _, _, value in wanted if value is not None]
        sql = f"SELECT {columns} FROM notes WHERE {where} ORDER BY note_id DESC LIMIT {_MOST_ROWS}"
        rows = self._read(sql, values, "notes", columns)
        rows = [row for row in rows if all(value in (None, row[at]) for _, at, value in wanted)]
        good = (row for row in reversed(rows) if _fits(row, (int, int, str, str, str, str, str)))
        return [Note(*row) for row in good if row[3] in KINDS and 0 <= row[1] <= _LAST_TIME]

    def turn_bookmark(self, kind: str, key: str, words: str) -> bool:
        """Set the bookmark, or take it away where there is one; whether there is one now."""
        row = (*_subject(kind, key, words), _now(), actor())
        with self._writing() as con:
            if con.execute("DELETE FROM bookmarks WHERE kind = ? AND key = ?", row[:2]).rowcount:
                return False
            con.execute("INSERT INTO bookmarks(kind, key, words, ts, author) VALUES (?, ?, ?, ?, ?)", row)
        return True

    def bookmarks(self) -> list[Bookmark]:
        """All of them, oldest first."""
        columns = "ts, author, kind, key, words"
        sql = f"SELECT {columns} FROM bookmarks ORDER BY ts DESC, kind, key LIMIT {_MOST_ROWS}"
        rows = self._read(sql, (), "bookmarks", columns)
        good = (Bookmark(*row) for row in reversed(rows) if _fits(row, (int, str, str, str, str)))
        return sorted((one for one in good if one.kind in KINDS and 0 <= one.ts <= _LAST_TIME), key=lambda one: one.ts)

    # -- findings ---------------------------------------------------------------------------------

    def set_state(self, finding_id: str, state: str, reason: str) -> FindingState:
        """Say what a finding is, and why; what was said before is kept. UsageError without a reason."""
        reason = reason.strip()
        if state not in STATES:
            raise UsageError(f"{state} is no state of a finding", f"One of {', '.join(STATES)}.")
        if not reason:
            raise UsageError("a finding's state needs a reason", "Say in a few words why; it is kept with your name.")
        row = (_now(), actor(), _text(finding_id)[:_MOST_KEY], state, _text(reason)[:MOST_TEXT])
        with self._writing() as con:
            con.execute("INSERT INTO judgements(ts, author, finding_id, state, reason) VALUES (?, ?, ?, ?, ?)", row)
            self._log("finding_judged", finding=row[2], state=state, reason=row[4][:1000])
        return FindingState(row[2], state, row[4], row[1], row[0])

    def states(self) -> dict[str, FindingState]:
        """The state of every finding that somebody judged, by its id."""
        sql = (
            f"SELECT {_JUDGEMENT} FROM judgements WHERE judgement_id IN (SELECT max(judgement_id) FROM judgements"
            f" GROUP BY finding_id) ORDER BY judgement_id DESC LIMIT {_MOST_ROWS}"
        )
        found = _judgements(self._read(sql, (), "judgements", _JUDGEMENT))
        return {state.finding_id: state for state in reversed(found)}  # read row by row there are all: the last one counts

    def history(self, finding_id: str) -> list[FindingState]:
        """What was said of a finding, oldest first."""
        sql = f"SELECT {_JUDGEMENT} FROM judgements WHERE finding_id = ? ORDER BY judgement_id DESC LIMIT {_MOST_ROWS}"
        found = _judgements(self._read(sql, [finding_id], "judgements", _JUDGEMENT))[::-1]
        return [one for one in found if one.finding_id == finding_id]

    # -- layout -----------------------------------------------------------------------------------

    def save_layout(self, name: str, layout: dict[str, Any]) -> bool:
        """Keep where this person is in the app; whether that could be. Never raises: a place is not worth a message."""
        value = json.dumps(layout, ensure_ascii=True)
        if len(value) > _MOST_LAYOUT or self.readable_only:
            return False
        row = (actor(), name, _now(), value)
        try:
            with self._writing() as con:
                con.execute("INSERT OR REPLACE INTO layouts(author, name, ts, value) VALUES (?, ?, ?, ?)", row)
        except WorkbenchError:
            return False
        return True

    def layout(self, name: str) -> dict[str, Any]:
        """Where this person left; empty where they were never here. What is in it may be anything that JSON has."""
        columns, who = "author, name, value", (actor(), name)
        rows = self._read(f"SELECT {columns} FROM layouts WHERE author = ? AND name = ?", who, "layouts", columns)
        value = next((row[2] for row in rows if row[:2] == who), None)
        try:
            found = json.loads(value) if isinstance(value, str) else {}
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    # -- the file ---------------------------------------------------------------------------------

    def _read(self, sql: str, params: Sequence[Any], table: str, columns: str) -> list[Any]:
        """The answer; where a row of the table cannot be had, these columns of all other rows of it, whatever `sql` chooses."""
        with self._lock:
            con = self._opened()
            if con is None:
                return []
            try:
                try:
                    return con.execute(sql, params).fetchall()
                except sqlite3.Error as error:
                    if not is_too_big(error):
                        raise
                rows, self._passed[table] = rows_that_fit(con, table, columns)
            except sqlite3.Error as error:
                self._fail(error)
                return []
            return rows

    def _passed_over(self) -> WorkbenchError | None:
        many = sum(self._passed.values())
        if not many:
            return None
        return BadInputError(
            f"{self.path}: {many:,} row{'s' * (many > 1)} with a text of more than 1 MiB, passed over",
            "No version of workbench writes such a row; all others are read.",
        )

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, on the disk when it is left; nothing of it where it raises."""
        if self.readable_only:
            raise ExternalError(
                f"{self.path.parent} cannot be written: this case is read-only for you",
                "Copy the case to a folder of your own and open that.",
            )
        with self._lock, notebook_file.failures(self.path):
            notebook_file.make(self.path)
            con = self._opened()
            if con is None:
                raise self._trouble or ExternalError(f"{self.path} cannot be opened", "Check its permissions.")
            con.execute("BEGIN IMMEDIATE")
            try:
                yield con
                con.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    con.rollback()
                raise
            self._version += 1

    def _log(self, action: str, **detail: Any) -> None:
        """Before the write is kept: where the log cannot say it, it is not written."""
        AuditLog(self.path.parent).append(action, **detail)

    def _opened(self) -> sqlite3.Connection | None:
        """The connection to the file that is there now; None where there is none, or it is refused."""
        identity = self._identify()
        if identity != self._identity:
            self._drop()
            self._identity, self._trouble, self._passed = identity, None, {}
            self._version += 1
        if self._con is None and identity and self._trouble is None:
            try:
                self._con = notebook_file.connect(self.path, writable=not self.readable_only)
                self._seen = self._data_version(self._con)
            except WorkbenchError as error:
                self._trouble = error
                self._identity = self._identify()
        return self._con

    def _identify(self) -> tuple[int, ...]:
        """Which file it is; of one that is not held, or only read and so perhaps not locked, also its state."""
        try:
            found = self.path.lstat()
        except OSError:
            return ()
        read, state = self.readable_only, (found.st_size, found.st_mtime_ns)
        return (found.st_dev, found.st_ino, int(read), *(state if read or self._trouble is not None else ()))

    def _look(self) -> None:
        con = self._opened()
        if con is None:
            return
        try:
            seen = self._data_version(con)
        except sqlite3.Error as error:
            self._fail(error)
            return
        if seen != self._seen:
            self._seen = seen
            self._version += 1

    def _fail(self, error: sqlite3.Error) -> None:
        """Nothing is read from it any more, until it is another file; waiting for a writer is no such failure."""
        found = notebook_file.as_ours(error, self.path)
        if not isinstance(found, CaseBusyError):
            self._trouble = found
            self._identity = self._identify()
            self._drop()

    @staticmethod
    def _data_version(con: sqlite3.Connection) -> int:
        """SQLite's: another number after another connection's commit."""
        return int(con.execute("PRAGMA data_version").fetchone()[0])

    def _drop(self) -> None:
        con, self._con = self._con, None
        if con is not None:
            con.close()


def _now() -> int:
    return time.time_ns() // 1000


def _subject(kind: str, key: str, words: str) -> tuple[str, str, str]:
    if kind not in KINDS:
        raise UsageError(f"{visible(kind[:80])} cannot have notes", f"One of {', '.join(KINDS)}.")
    return kind, _text(key)[:_MOST_KEY], _text(words)[:_MOST_KEY]


def _text(text: str) -> str:
    """As SQLite can hold it: lone surrogates spelled out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _fits(row: Sequence[Any], kinds: tuple[type, ...]) -> bool:
    return all(type(value) is kind for value, kind in zip(row, kinds, strict=True))


def _judgements(rows: Sequence[Any]) -> list[FindingState]:
    good = (row for row in rows if _fits(row, (str, str, str, str, int)))
    return [FindingState(*row) for row in good if row[1] in STATES and 0 <= row[4] <= _LAST_TIME]
