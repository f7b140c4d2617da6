"""`case.sqlite`, opened so that a stranger's file can do no harm: its catalogue is exactly ours, or it is refused.

SQLite in write-ahead mode, so that readers never wait for a writer; where the folder lies on a network, whose machines
share no memory, in rollback mode. docs/case.md describes the tables.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from pathlib import Path
from typing import Final

from workbench.errors import BadInputError, CaseBusyError, DiskFullError, ExternalError, ForeignCaseError, WorkbenchError

FILE: Final = "case.sqlite"

#: "WBNB": the file says itself whose it is.
_APPLICATION: Final = 0x57424E42
_VERSION: Final = 1
#: A larger file is not made of notes.
_MOST_BYTES: Final = 1 << 30
#: No value in it is longer; SQLite refuses what is.
_MOST_LENGTH: Final = 1 << 20
#: Seconds that a writer waits for another one.
_BUSY: Final = 5.0

#: The whole catalogue. Notes and judgements are only added to; of a judgement the last one counts.
TABLES: Final[dict[str, str]] = {
    "notes": "CREATE TABLE notes(note_id INTEGER PRIMARY KEY, ts INTEGER NOT NULL, author TEXT NOT NULL,"
    " kind TEXT NOT NULL, key TEXT NOT NULL, words TEXT NOT NULL, text TEXT NOT NULL)",
    "bookmarks": "CREATE TABLE bookmarks(kind TEXT NOT NULL, key TEXT NOT NULL, ts INTEGER NOT NULL,"
    " author TEXT NOT NULL, words TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID",
    "judgements": "CREATE TABLE judgements(judgement_id INTEGER PRIMARY KEY, ts INTEGER NOT NULL, author TEXT NOT NULL,"
    " finding_id TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL)",
    "layouts": "CREATE TABLE layouts(author TEXT NOT NULL, name TEXT NOT NULL, ts INTEGER NOT NULL, value TEXT NOT NULL,"
    " PRIMARY KEY (author, name)) WITHOUT ROWID",
}

#: File systems whose machines share no memory: write-ahead mode would damage the file there (sqlite.org/wal.html).
_NETWORKS: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "ncpfs"})
_NETWORK_PREFIXES: Final = ("fuse.sshfs", "fuse.gluster", "fuse.ceph", "fuse.s3", "fuse.rclone")


def connect(path: Path, *, writable: bool) -> sqlite3.Connection:
    """The file, checked. For any thread, one at a time; transactions are begun and ended by hand.

    Raises ForeignCaseError for a file of another make, BadInputError for a damaged one, ExternalError, CaseBusyError.
    """
    _check_kind(path)
    with failures(path):
        con = _opened(path, writable=writable)
        try:
            _guard(con)
            if writable:
                _choose_journal(con, path)
                _make_tables(con)
            _check_catalogue(con, path)
        except BaseException:
            con.close()
            raise
    return con


def make(path: Path) -> None:
    """An empty file, if there is none: for its owner, and for the group as far as the umask has it."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o660))


class failures(contextlib.AbstractContextManager[None]):  # noqa: N801  reads as a statement
    """What SQLite and the system raise, as our errors."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.Error | OSError):
            raise as_ours(error, self._path) from error


def as_ours(error: sqlite3.Error | OSError, path: Path) -> WorkbenchError:
    """What went wrong, and what to do about it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if isinstance(error, OSError):
        return ExternalError(f"{path} cannot be written: {error.strerror}", "Check the permissions of the case folder.")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return CaseBusyError(f"{path}: another process has been writing notes for {_BUSY:g} s", "Try again.")
    if code == sqlite3.SQLITE_FULL:
        return DiskFullError(f"{path}: no space left", "Free some space; the notes are as they were.")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR):
        return ExternalError(f"{path} cannot be used: {error}", "Check its permissions and the disk.")
    return BadInputError(
        f"{path} is damaged: {error}", "Move it aside: the case goes on without its notes, and a new one is made for the next."
    )


def _check_kind(path: Path) -> None:
    """A plain file of a size that notes have: a link could lead anywhere, a pipe would never answer."""
    try:
        found = path.lstat()
    except OSError as error:
        raise ExternalError(f"{path} cannot be read: {error.strerror}", "Check its permissions.") from error
    if not stat.S_ISREG(found.st_mode):
        raise ForeignCaseError(f"{path} is no plain file", "Move it aside; the case goes on without it.")
    if found.st_size > _MOST_BYTES:
        raise ForeignCaseError(
            f"{path} has {found.st_size:,} bytes; notes never do", "Move it aside; the case goes on without it."
        )


def _opened(path: Path, *, writable: bool) -> sqlite3.Connection:
    """A connection. In a folder that cannot be written the file is read as it lies, once nobody writes it."""
    uri = path.as_uri()
    forms = (f"{uri}?mode=rw",) if writable else (f"{uri}?mode=ro", f"{uri}?mode=ro&immutable=1")
    for form in forms:
        con = sqlite3.connect(form, uri=True, timeout=_BUSY, isolation_level=None, check_same_thread=False)
        try:
            con.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            con.close()
            if form is forms[-1]:
                raise
        except BaseException:
            con.close()
            raise
        else:
            return con
    raise AssertionError("unreachable")


def _guard(con: sqlite3.Connection) -> None:
    con.text_factory = lambda data: data.decode("utf-8", "replace")
    con.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_LENGTH)
    con.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0", "synchronous = FULL", "temp_store = MEMORY"):
        con.execute(f"PRAGMA {pragma}")


def _choose_journal(con: sqlite3.Connection, path: Path) -> None:
    """Write-ahead where it is safe. Another process may be at it, or the file system may not have it: then as it is."""
    mode = "delete" if on_network(path) else "wal"
    if con.execute("PRAGMA journal_mode").fetchone()[0] != mode:
        with contextlib.suppress(sqlite3.OperationalError):
            con.execute(f"PRAGMA journal_mode = {mode}").fetchone()


def _make_tables(con: sqlite3.Connection) -> None:
    """In an empty file; all of them or none."""
    if con.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        return
    con.execute("BEGIN IMMEDIATE")
    try:
        if not con.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            for sql in TABLES.values():
                con.execute(sql)
            con.execute(f"PRAGMA application_id = {_APPLICATION}")
            con.execute(f"PRAGMA user_version = {_VERSION}")
        con.execute("COMMIT")
    except BaseException:
        con.rollback()
        raise


def _check_catalogue(con: sqlite3.Connection, path: Path) -> None:
    """Exactly our tables: no trigger, view, index or virtual table that would run or read something else."""
    version = con.execute("PRAGMA user_version").fetchone()[0]
    ours = con.execute("PRAGMA application_id").fetchone()[0] == _APPLICATION
    if ours and version > _VERSION:
        raise ForeignCaseError(f"{path} was written by a newer version of workbench", "Open the case with that version.")
    found = con.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name LIMIT 100").fetchall()
    wanted = [("table", name, name, sql) for name, sql in sorted(TABLES.items())]
    if not found and not ours:
        return  # empty: made by a process that was killed before it wrote anything
    if not ours or found != wanted:
        strange = [row[1] for row in found if row not in wanted]
        about = f"holds {str(strange[0])[:80]!r}, which is not ours" if strange else "lacks tables that ours has"
        raise ForeignCaseError(f"{path} {about}", "Move it aside: the case goes on without its notes.")


def on_network(path: Path, mounts: str | None = None) -> bool:
    """Whether the folder lies on a network. mounts: text of /proc/self/mounts; where there is none, False."""
    if mounts is None:
        try:
            mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return False
    best, kind = -1, ""
    where = f"{path.parent.resolve()}/"
    for line in mounts.splitlines():
        words = line.split(" ")
        if len(words) < 3:
            continue
        point = words[1].replace("\\040", " ").rstrip("/") + "/"
        if where.startswith(point) and len(point) >= best:
            best, kind = len(point), words[2]
    return kind in _NETWORKS or kind.startswith(_NETWORK_PREFIXES)
