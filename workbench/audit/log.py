"""The audit log of a case: `audit.jsonl`, one JSON object a line, each chained to the one before.

A line is canonical JSON (sorted keys, no spaces, ASCII) with seq, ts, actor, action, detail, prev and
hash; hash is SHA-256 over the same object without `hash`, prev the hash of the line before. Changing,
removing, inserting or moving a line breaks the chain. Whoever can write the file can still cut its end
or write all of it anew: that is what signed heads are for (heads.py). Appends take a file lock and are
on the disk before they return.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import fcntl
import hashlib
import json
import os
import pwd
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

from workbench.audit import merkle
from workbench.audit.events import ACTIONS
from workbench.errors import AuditError, DiskFullError, ExternalError

FILE: Final = "audit.jsonl"
#: What the first line has as `prev`.
GENESIS: Final = "0" * 64
#: A longer line is not ours.
MAX_LINE: Final = 1 << 20
_KEYS: Final = {"seq", "ts", "actor", "action", "detail", "prev", "hash"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. ts: UTC, ISO 8601 with microseconds and Z. detail: what the action is about."""

    seq: int
    ts: str
    actor: str
    action: str
    detail: dict[str, Any]
    prev: str
    hash: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. line: number in the file from 1; 0 where no line can be named."""

    line: int
    what: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verifying found. entries: good lines. head: hash of the last of them, GENESIS if none.

    hashes: of every good line in order, hashes[n] being that of seq n + 1; heads are checked against them.
    vouched: the last line that a head with a good signature or an anchor is about, 0 where none is: a cut behind it cannot be
    found. unchecked: the last line of heads whose signatures nobody has checked, for want of allowed signers: anybody can have
    written those.
    """

    entries: int
    head: str
    problems: tuple[Problem, ...] = ()
    hashes: tuple[str, ...] = ()
    vouched: int = 0
    unchecked: int = 0

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return not self.problems


class AuditLog:
    """The log in a case folder; the file is made by the first append."""

    def __init__(self, case_dir: Path | str) -> None:
        self.path = Path(case_dir) / FILE

    def append(self, action: str, **detail: Any) -> Entry:
        """Add a line and wait until it is on the disk.

        detail: what JSON can hold. A torn last line, left by a crash, is taken off first and its loss
        recorded. Raises ValueError for an action that is not in ACTIONS, AuditError where the last line
        is not one of ours, DiskFullError, ExternalError where the file cannot be written.
        """
        if action not in ACTIONS:
            raise ValueError(f"no such audit action: {action}")
        try:
            with self._locked() as file:
                last = self._last(file)
                return self._write(file, last, action, detail)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFullError(f"{self.path}: no space left", "Free some space; the log is as it was.") from error
            raise ExternalError(f"{self.path} cannot be written: {error.strerror}", "Check its permissions.") from error

    def read(self) -> list[Entry]:
        """Every line that can be read, in order, verified or not; a torn last one is left out."""
        return [found for _, found in self._lines() if isinstance(found, Entry)]

    def verify(self) -> Verdict:
        """Check every line and the chain. Never raises for what is in the file."""
        problems: list[Problem] = []
        hashes: list[str] = []
        prev, seq = GENESIS, 0
        if not self.path.exists():
            return Verdict(0, GENESIS, (Problem(0, "there is no audit log"),))
        for number, found in self._lines():
            if isinstance(found, str):
                problems.append(Problem(number, found))
                continue
            if found.seq != seq + 1:
                problems.append(Problem(number, f"sequence number {found.seq} where {seq + 1} is due"))
            if found.prev != prev:
                problems.append(Problem(number, "does not follow on the line before: one was removed, added, moved or changed"))
            prev, seq = found.hash, found.seq
            hashes.append(found.hash)
        return Verdict(len(hashes), prev, tuple(problems), tuple(hashes))

    def roots(self, sizes: Collection[int]) -> dict[int, str]:
        """Merkle roots over the first so many lines, for each of these sizes that the log has (merkle.py)."""
        return merkle.roots(map(merkle.leaf, self.lines()), sizes)

    def lines(self) -> list[bytes]:
        """Every good line as it is written, without its line feed."""
        return [canonical(asdict(entry)) for entry in self.read()]

    # -- writing ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _locked(self) -> Iterator[IO[bytes]]:
        """The file, made if need be, under an exclusive lock."""
        made = not self.path.exists()
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "r+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if made:
                _sync_folder(self.path.parent)
            yield file

    def _last(self, file: IO[bytes]) -> Entry | None:
        """The last whole line; what is torn behind it is cut off and recorded."""
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - 2 * MAX_LINE)
        file.seek(start)
        tail = file.read(size - start) or b""
        kept = tail.rfind(b"\n") + 1
        torn = tail[kept:]
        line = tail[tail.rfind(b"\n", 0, max(0, kept - 1)) + 1 : kept]
        last = _parse(line) if line else None
        if isinstance(last, str):
            raise AuditError(f"{self.path}: the last line {last}", "See `workbench audit verify`; move the file aside to go on.")
        if torn:
            file.truncate(size - len(torn))
            lost = {"bytes": len(torn), "sha256": hashlib.sha256(torn).hexdigest()}
            last = self._write(file, last, "log_recovered", lost)
        return last

    def _write(self, file: IO[bytes], last: Entry | None, action: str, detail: dict[str, Any]) -> Entry:
        """One line in one write; taken back where the disk cannot hold it."""
        fields: dict[str, Any] = {
            "seq": last.seq + 1 if last else 1,
            "ts": dt.datetime.now(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "actor": actor(),
            "action": action,
            "detail": json.loads(canonical(detail)),
            "prev": last.hash if last else GENESIS,
        }
        fields["hash"] = hashlib.sha256(canonical(fields)).hexdigest()
        line = canonical(fields) + b"\n"
        if len(line) > MAX_LINE:
            raise ValueError(f"an audit line of {len(line)} bytes is too long")
        size = file.seek(0, os.SEEK_END)
        try:
            if file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                file.truncate(size)
            raise
        return Entry(**fields)

    # -- reading ----------------------------------------------------------------------------------

    def _lines(self) -> Iterator[tuple[int, Entry | str]]:
        """Line numbers from 1 with the entry, or with what is wrong with the line."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        except OSError as error:
            raise ExternalError(f"{self.path} cannot be read: {error.strerror}", "Check its permissions.") from error
        with file:
            fcntl.flock(file, fcntl.LOCK_SH)
            number = 0
            while line := file.readline(MAX_LINE + 1):
                number += 1
                if line.endswith(b"\n"):
                    yield number, _parse(line)
                elif len(line) > MAX_LINE:
                    yield number, "is too long to be one of ours; what follows was not read"
                    return
                else:
                    yield number, "is torn: the program or the machine stopped while writing it, or its end was cut off"


def canonical(value: Any) -> bytes:
    """The one way a value is written: sorted keys, no spaces, ASCII. Raises for NaN and what JSON lacks."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def actor() -> str:
    """user@host of this process, by its user id (the environment can say anything)."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return f"{name}@{os.uname().nodename}"


def _parse(line: bytes) -> Entry | str:
    """A line (with its newline) as an entry whose own hash is right, or what is wrong with it."""
    try:
        fields = json.loads(line)
        if not isinstance(fields, dict) or set(fields) != _KEYS or canonical(fields) + b"\n" != line:
            return "is not as it was written: its form is not canonical"
        claimed = fields.pop("hash")
        if hashlib.sha256(canonical(fields)).hexdigest() != claimed:
            return "was changed: its hash is not that of its content"
    except (ValueError, RecursionError):
        return "is no JSON: it was changed or damaged"
    kinds = (int, str, str, str, dict, str)
    values = [fields[key] for key in ("seq", "ts", "actor", "action", "detail", "prev")]
    if not all(type(value) is kind for value, kind in zip(values, kinds, strict=True)):
        return "has a field of the wrong kind"
    return Entry(**fields, hash=claimed)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
