"""The case folder: what lies where, how one is made and recognised, and the lock of the one who writes.

docs/case.md describes every file in it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import fcntl
import hashlib
import os
import tempfile
import time
import tomllib
import uuid
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

from workbench.errors import CaseBusyError, MissingPathError, NotACaseError
from workbench.records.columns import SCHEMA_VERSION

_TOML_LIMIT: Final = 65_536
_LOCK_TRIES: Final = 10


def _key_line(key: bytes) -> str:
    return f'hash_key = "{key.hex()}"'


@dataclass(frozen=True, slots=True)
class CaseFolder:
    """A case folder by its root. `create` and `open` check it; the attributes only name paths."""

    root: Path

    @property
    def database(self) -> Path:
        """The index, compacted; never changed in place."""
        return self.root / "case.duckdb"

    @property
    def database_next(self) -> Path:
        """The index that is being built; becomes `database` by rename."""
        return self.root / "case.duckdb.next"

    @property
    def segments(self) -> Path:
        """Parquet files that came after the last compaction, a folder a table."""
        return self.root / "segments"

    @property
    def toml(self) -> Path:
        """What the case is: id, creation time, schema version."""
        return self.root / "case.toml"

    @property
    def lock_file(self) -> Path:
        """Holds the lock of the writing process, and its process id."""
        return self.root / "ingest.lock"

    @staticmethod
    def is_case(root: Path) -> bool:
        """Whether the folder says that it is a case."""
        return (root / "case.toml").is_file()

    @classmethod
    def create(cls, root: Path, *, private: bool = False) -> CaseFolder:
        """The case at `root`, made if there is none. private: only its owner may enter (0700).

        MissingPathError where the folder can't be made, NotACaseError where it holds other things.
        """
        root = root.absolute()
        if cls.is_case(root):
            return cls.open(root)
        try:
            root.mkdir(mode=0o700 if private else 0o777, parents=True, exist_ok=True)
            others = sorted(p.name for p in root.iterdir() if p.name != "ingest.lock" and not p.name.startswith(".case.toml."))
        except OSError as error:
            why = f"{root} cannot be used as a case folder: {error.strerror}"
            raise MissingPathError(why, "Name another folder with --case.") from error
        if others:
            raise NotACaseError(
                f"{root} is no case and not empty (it holds {others[0]})", "Name an empty or a new folder with --case."
            )
        created = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = f'id = "{uuid.uuid4()}"\ncreated = "{created}"\nschema_version = {SCHEMA_VERSION}\n{_key_line(os.urandom(32))}\n'
        case = cls(root)
        part = root / f".case.toml.{os.getpid()}"
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(case.toml)
        except OSError as error:
            why = f"{root} cannot be written: {error.strerror}"
            raise MissingPathError(why, "Name a folder that you can write to.") from error
        return case

    @classmethod
    def open(cls, root: Path) -> CaseFolder:
        """The existing case at `root`; MissingPathError where nothing is there, NotACaseError where it is no case."""
        root = root.absolute()
        if not root.exists():
            raise MissingPathError(f"{root} does not exist", "Make a case with: workbench index PATH --case DIR")
        case = cls(root)
        case.describe()
        return case

    def describe(self) -> dict[str, object]:
        """What case.toml says; NotACaseError where it is absent, too long or not what we write."""
        remedy = "Make a case with: workbench index PATH --case DIR"
        if not self.toml.is_file():
            raise NotACaseError(f"{self.root} is no case: it has no case.toml", remedy)
        try:
            with self.toml.open("rb") as file:
                raw = file.read(_TOML_LIMIT + 1)
            fields = tomllib.loads(raw.decode()) if len(raw) <= _TOML_LIMIT else {}
        except (OSError, ValueError) as error:
            raise NotACaseError(f"{self.toml} cannot be read: {error}", remedy) from error
        if not isinstance(fields.get("id"), str) or not isinstance(fields.get("schema_version"), int):
            raise NotACaseError(f"{self.toml} does not describe a case", remedy)
        return fields

    def note_schema_version(self, version: int) -> None:
        """Write the version of the tables into case.toml, by rename."""
        fields = self.describe()
        lines = [f'id = "{fields["id"]}"', f'created = "{fields.get("created", "")}"', f"schema_version = {version}"]
        lines.append(_key_line(self.hash_key()))
        part = self.root / f".case.toml.{os.getpid()}"
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")
        part.replace(self.toml)

    def hash_key(self) -> bytes:
        """The case's own key for hashing what names people (32 bytes). Cases of older versions have none: one from their id.

        It keeps the same user recognisable within a case and not beyond it; whoever has the whole case can try names.
        """
        fields = self.describe()
        text = fields.get("hash_key")
        if isinstance(text, str) and len(text) == 64:
            with contextlib.suppress(ValueError):
                return bytes.fromhex(text)
        return hashlib.sha256(str(fields["id"]).encode()).digest()

    def temp_for_process(self) -> Path:
        """Where the engine of this process may spill: a folder name of its own, which the engine makes when it must.

        Removed at the end, or by the next writer where the process was killed. In the case; in the system's
        folder for such things where the case can't be written.
        """
        name = f"tmp-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        return self.root / name if os.access(self.root, os.W_OK) else Path(tempfile.gettempdir()) / f"workbench-{name}"

    def temp_of_the_dead(self) -> list[Path]:
        """Spill folders of processes that are no more."""
        found = []
        for folder in self.root.glob("tmp-*-*"):
            pid = folder.name.split("-")[1]
            if folder.is_dir() and not folder.is_symlink() and pid.isdecimal() and not Path(f"/proc/{pid}").exists():
                found.append(folder)
        return found

    def fsync(self) -> None:
        """Make renames in the root durable."""
        fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


class IngestLock:
    """The right to write into a case: an advisory lock that dies with the process that holds it."""

    def __init__(self, case: CaseFolder) -> None:
        """Take the lock; CaseBusyError naming the holder where another process (or this one) has it."""
        self._case = case
        try:
            self._fd = os.open(case.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            why = f"{case.root} cannot be written: {error.strerror}"
            raise MissingPathError(why, "Name a folder that you can write to.") from error
        for more in range(_LOCK_TRIES, -1, -1):
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if more and error.errno in (errno.EAGAIN, errno.EACCES):
                    time.sleep(0.01)  # somebody who only asks who holds it has it for an instant
                    continue
                os.close(self._fd)
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
                raise busy(case) from error
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the lock back; more than once does no harm."""
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> IngestLock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


def lock_holder(case: CaseFolder) -> int | None:
    """Process id of who holds the ingest lock, 0 where it can't be told, None where nobody holds it."""
    try:
        fd = os.open(case.lock_file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        text = os.pread(fd, 32, 0).strip()
        return int(text) if text.isdigit() else 0
    else:
        return None
    finally:
        os.close(fd)


def busy(case: CaseFolder, what: str = "is being written") -> CaseBusyError:
    """The error that names who holds the lock."""
    pid = lock_holder(case)
    who = f"process {pid}" if pid else "another process"
    return CaseBusyError(f"the case {case.root} {what} by {who}", "Wait until it is done, or stop it with Ctrl-C there.")
