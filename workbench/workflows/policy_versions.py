"""Versions of policies in a case: `policies/NAME/0001.yaml` and so on, only ever added to, each with a line in the audit log.

What is being written and is no version yet lies beside them as `draft.yaml`, and survives a crash.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workbench.audit.log import AuditLog
from workbench.errors import BadInputError, CancelledError, ExternalError, UsageError, WorkbenchError
from workbench.workflows import policy_files as files

if TYPE_CHECKING:
    from workbench.audit.log import Entry

#: What a text that says no name is kept under while it is a draft.
UNNAMED: Final = "untitled"
#: As the model has it: such a name is one part of a path and hides nothing.
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}\Z")
_VERSION: Final = re.compile(r"[0-9]{4,6}\.yaml\Z")
_DRAFT: Final = "draft.yaml"
_MOST_REASON: Final = 400
_MOST_NUMBER: Final = 999_999
_MOST_POLICIES: Final = 10_000
ACTION: Final = "policy_saved"
#: Versions that are listed at once, of all policies and of one: each of them is read, to be held against the log.
MOST_LISTED: Final = 1000
_MOST_OF_ONE: Final = 200
#: Lines of the log that are followed back to a version that is still there.
_MOST_LOOKED: Final = 1000
#: What stands for a time that a file has and no calendar.
NO_TIME: Final = dt.datetime.min.replace(tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Version:
    """One version. author, saved, why: by the audit log; trouble: what is wrong with it, '' where the log vouches for it."""

    name: str
    number: int
    author: str = ""
    saved: dt.datetime | None = None
    why: str = ""
    sha256: str = ""
    trouble: str = ""

    @property
    def words(self) -> str:
        """`contain-esxi 3`."""
        return f"{self.name} {self.number}"


def safe_name(name: str) -> str:
    """The name, where it can be a folder; UsageError that names it where it cannot."""
    if not _NAME.match(name):
        raise UsageError(
            f"`{name[:80]}` cannot be the name of a policy", "A letter first, then up to 62 letters, digits, `_`, `.`, `-`."
        )
    return name


class PolicyVersions:
    """The policies of one case. Every call reads the folder anew: other people write there, too."""

    def __init__(self, case_root: Path) -> None:
        self.root = case_root
        self._log = AuditLog(case_root)

    @property
    def readable_only(self) -> bool:
        """Whether nothing can be kept here."""
        return not os.access(self.root, os.W_OK)

    def names(self) -> list[str]:
        """Policies with a version or a draft, by name. Folders that cannot be ours are passed over."""
        with files.folder(self.root) as handle:
            found = [] if handle is None else [name for name in files.listing(handle) if _NAME.match(name)]
        return sorted(found)[:_MOST_POLICIES]

    def versions(self, name: str) -> list[Version]:
        """All versions of a policy, oldest first, with what the audit log says of each."""
        return self._versions(name, self._told(), _MOST_NUMBER)[0]

    def listed(self, names: Sequence[str], stopped: Callable[[], bool] = lambda: False) -> tuple[list[Version], int]:
        """Versions of these policies as `versions` has them, the latest of each at most; and how many older ones are left out.

        The log is read once. What is wrong with a folder or a draft is told as a version of number 0. CancelledError where
        `stopped` says so.
        """
        told = self._told()
        out: list[Version] = []
        left_out = 0
        for name in names:
            try:
                found, more = self._versions(name, told, min(_MOST_OF_ONE, MOST_LISTED - len(out)), stopped)
            except CancelledError:
                raise
            except WorkbenchError as error:  # a link, say: shown as what it is
                found, more = [Version(name, 0, trouble=error.message)], 0
            out += found
            left_out += more
        return out, left_out

    def latest(self, name: str) -> Version | None:
        """The newest version; None where there is none. No other is read."""
        found, _ = self._versions(name, self._told(), 1)
        return found[-1] if found else None

    def newest(self) -> Version | None:
        """Of all policies the version that was saved last, by the audit log; None where there is none.

        One that the log knows nothing of is taken where there is no other.
        """
        told = self._told()
        latest_first = sorted(told.items(), key=lambda one: one[1].seq, reverse=True)
        for (name, number), entry in latest_first[:_MOST_LOOKED]:
            with contextlib.suppress(WorkbenchError), files.folder(self.root, safe_name(name)) as handle:
                if handle is not None and files.there(handle, _file(number)):
                    return self._version(handle, name, number, entry)
        for name in reversed(self.names()):
            with contextlib.suppress(WorkbenchError):  # a link or the like: the others are read
                if found := self._versions(name, told, 1)[0]:
                    return found[-1]
        return None

    def _versions(
        self, name: str, told: Mapping[tuple[str, int], Entry], most: int, stopped: Callable[[], bool] = lambda: False
    ) -> tuple[list[Version], int]:
        """So many of the latest versions, oldest first, and how many there are before them."""
        with files.folder(self.root, safe_name(name)) as handle:
            if handle is None:
                return [], 0
            numbers = sorted(int(one[:-5]) for one in files.listing(handle) if _VERSION.match(one))
            out = []
            for number in numbers[max(0, len(numbers) - most) :]:
                if stopped():
                    raise CancelledError("reading versions was stopped")
                out.append(self._version(handle, name, number, told.get((name, number))))
            return out, len(numbers) - len(out)

    def read(self, name: str, number: int) -> str:
        """The text of a version. UsageError where there is none, BadInputError where it is no text."""
        with files.folder(self.root, safe_name(name)) as handle:
            found = None if handle is None else files.read(handle, _file(number), self._shown(name, number))
        if found is None:
            raise UsageError(f"{name} has no version {number}", "`policies` in the case folder has those there are.")
        return _text(found, self._shown(name, number))

    def save(self, name: str, text: str, why: str, base: int = 0) -> Version:
        """Keep a text as the next version, and say so in the audit log; without that line it is not kept.

        base: the version that it was made from, 0 for none. UsageError for a name that cannot be one, an empty reason or a
        text that is the latest version already; ExternalError, DiskFullError where the case cannot be written.
        """
        why = " ".join(why.split())[:_MOST_REASON]
        if not why:
            raise UsageError("a version needs a reason", "Say in a few words why the policy changes.")
        data = _bytes(text)
        self._writable(safe_name(name))
        latest = self.latest(name)
        digest = hashlib.sha256(data).hexdigest()
        if latest is not None and latest.sha256 == digest:
            raise UsageError(f"{latest.words} says exactly this already", "Change something first.")
        with files.folder(self.root, name, make=True) as handle:
            assert handle is not None
            number = self._claim(handle, name, data, (latest.number if latest else 0) + 1)
            try:
                entry = self._log.append(ACTION, name=name, version=number, sha256=digest, bytes=len(data), base=base, why=why)
            except BaseException:
                files.remove(handle, _file(number))
                raise
        return _of_entry(name, number, digest, entry)

    def _claim(self, handle: int, name: str, data: bytes, number: int) -> int:
        """Write it under the first free number from there on: another person may be saving as well."""
        while number <= _MOST_NUMBER:
            try:
                files.write_new(handle, _file(number), data, self._shown(name, number))
            except FileExistsError:
                number += 1
            else:
                return number
        raise UsageError(f"{name} has too many versions", "Give the policy another name.")

    # -- what is no version yet ---------------------------------------------------------------------

    def keep_draft(self, name: str, text: str) -> None:
        """Keep what is being written, in place of what was. Raises what says why it cannot be kept."""
        self._writable(safe_name(name))
        with files.folder(self.root, name, make=True) as handle:
            assert handle is not None
            files.replace(handle, _DRAFT, _bytes(text), self._shown(name))

    def draft(self, name: str) -> str | None:
        """What was being written; None where nothing was."""
        with files.folder(self.root, safe_name(name)) as handle:
            found = None if handle is None else files.read(handle, _DRAFT, self._shown(name))
        return None if found is None else _text(found, self._shown(name))

    def drop_draft(self, name: str) -> None:
        """It is a version now, or not wanted; a folder with nothing else in it goes, too."""
        with files.folder(self.root, safe_name(name)) as handle:
            if handle is None:
                return
            files.remove(handle, _DRAFT)
            empty = not files.listing(handle)
        if empty and not self.readable_only:
            with files.folder(self.root) as above:
                if above is not None:
                    _remove_folder(above, name)

    def drafts(self) -> list[tuple[str, dt.datetime]]:
        """Policies that are being written, and since when nothing was added (NO_TIME: nobody knows); the latest first.

        What is no plain file is no draft.
        """
        out = []
        for name in self.names():
            with contextlib.suppress(WorkbenchError, OSError), files.folder(self.root, name) as handle:
                if handle is None:
                    continue
                found = os.stat(_DRAFT, dir_fd=handle, follow_symlinks=False)
                if stat.S_ISREG(found.st_mode):
                    out.append((name, _time(found.st_mtime)))
        return sorted(out, key=lambda one: one[1], reverse=True)

    # -- parts ----------------------------------------------------------------------------------------

    def _shown(self, name: str, number: int = 0) -> Path:
        return self.root / files.FOLDER / name / (_file(number) if number else _DRAFT)

    def _writable(self, name: str) -> None:
        if self.readable_only:
            raise ExternalError(
                f"{self.root} cannot be written: this case is read-only for you, so {name} cannot be kept here",
                "Copy the case to a folder of your own and open that.",
            )

    def _told(self) -> Mapping[tuple[str, int], Entry]:
        """What the audit log says of versions, by policy and number: the first line about each."""
        out: dict[tuple[str, int], Entry] = {}
        for entry in self._log.read():
            name, number = entry.detail.get("name"), entry.detail.get("version")
            if entry.action == ACTION and isinstance(name, str) and type(number) is int:
                out.setdefault((name, number), entry)
        return out

    def _version(self, handle: int, name: str, number: int, entry: Entry | None) -> Version:
        try:
            data = files.read(handle, _file(number), self._shown(name, number))
        except BadInputError as error:
            return Version(name, number, trouble=error.message)
        digest = hashlib.sha256(data or b"").hexdigest()
        return (
            Version(name, number, sha256=digest, trouble="no line in the audit log")
            if entry is None
            else _of_entry(name, number, digest, entry)
        )


def _of_entry(name: str, number: int, digest: str, entry: Entry) -> Version:
    why: Any = entry.detail.get("why")
    trouble = "" if entry.detail.get("sha256") == digest else "changed since it was saved"
    try:
        saved = dt.datetime.fromisoformat(entry.ts)
    except ValueError:
        saved = None
    return Version(name, number, entry.actor, saved, why if isinstance(why, str) else "", digest, trouble)


def _time(seconds: float) -> dt.datetime:
    """A file's time; NO_TIME where no calendar has it, which whoever sends a case can bring about."""
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return NO_TIME


def _file(number: int) -> str:
    return f"{number:04}.yaml"


def _bytes(text: str) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise UsageError("the text has half a character in it", "Write it anew.") from error
    if len(data) > files.MOST_BYTES:
        raise UsageError(f"the text is larger than {files.MOST_BYTES >> 20} MiB", "Split the policy.")
    return data


def _text(data: bytes, shown: Path) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInputError(f"{shown} is no text", "Move it aside: policies are UTF-8.") from error


def _remove_folder(above: int, name: str) -> None:
    try:
        os.rmdir(name, dir_fd=above)
    except OSError:  # somebody put something into it
        return
