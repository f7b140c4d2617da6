"""Anchors: heads of audit logs kept where whoever changes a log cannot change them: in a file, or with a git remote.

An anchor is a line of JSON: which log (the hash of its first line, and where its case is), how many lines it had, the hash of
the last and the Merkle root over all. Whoever owns a case folder can write its log and its signed heads anew; an anchor then says
that there was another one.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any, Final

from workbench.audit.heads import compare
from workbench.audit.log import AuditLog, Problem, Verdict, canonical
from workbench.errors import ExternalError

#: What the file is called in a clone.
FILE: Final = "workbench-anchors.jsonl"
_MAX_LINE: Final = 64 << 10
_PATIENCE: Final = 120  # seconds
_KINDS: Final = {"log": str, "case": str, "seq": int, "hash": str, "root": str, "ts": str}


@dataclass(frozen=True, slots=True)
class Kept:
    """One anchor. log: hash of the first line of its log; case: `host:folder`; ts: of the last line."""

    log: str
    case: str
    seq: int
    hash: str
    root: str
    ts: str


def anchor_of(case_dir: Path | str, verdict: Verdict) -> Kept:
    """The anchor of a log as it is. The log must have verified, and have a line."""
    log = AuditLog(case_dir)
    last = log.read()[verdict.entries - 1]
    root = log.roots([verdict.entries])[verdict.entries]
    return Kept(verdict.hashes[0], place_of(case_dir), verdict.entries, verdict.head, root, last.ts)


def place_of(case_dir: Path | str) -> str:
    """`host:folder`."""
    return f"{os.uname().nodename}:{os.path.realpath(case_dir)}"


def keep_in_file(file: Path, kept: Kept) -> None:
    """Add it to a file. ExternalError where that cannot be done."""
    try:
        with _opened(file) as out:
            _add(out, kept)
    except OSError as error:
        raise ExternalError(f"{file} takes no anchor: {error.strerror}", "See audit.anchor_file in the settings.") from error


def keep_in_git(clone: Path, kept: Kept) -> None:
    """Add it to the clone's file, commit it and push it. ExternalError with what git said."""
    try:
        with _opened(clone / FILE) as out:
            _add(out, kept)
            _git(clone, "add", "--", FILE)
            _git(clone, "commit", "--quiet", "--message", f"anchor {kept.log[:12]} at line {kept.seq}", "--", FILE)
            if _run(clone, "push", "--quiet").returncode:  # somebody else's came first
                _git(clone, "pull", "--quiet", "--rebase")
                _git(clone, "push", "--quiet")
    except OSError as error:
        raise ExternalError(f"{clone} takes no anchor: {error.strerror}", "See audit.anchor_git in the settings.") from error


def read_file(file: Path) -> tuple[list[Kept], list[Problem]]:
    """The anchors in a file, and what in it is none. A file that is not there has none."""
    try:
        with file.open("rb") as lines:
            return _parsed(list(iter(lambda: lines.readline(_MAX_LINE), b"")), file.name)
    except FileNotFoundError:
        return [], []
    except OSError as error:
        raise ExternalError(f"{file} cannot be read: {error.strerror}", "See audit.anchor_file in the settings.") from error


def read_git(clone: Path) -> tuple[list[Kept], list[Problem]]:
    """The anchors that the remote has now. ExternalError where it cannot be asked."""
    _git(clone, "fetch", "--quiet")
    if not _git(clone, "ls-tree", "--name-only", "@{upstream}", "--", FILE).strip():
        return [], []
    return _parsed(_git(clone, "show", f"@{{upstream}}:{FILE}").splitlines(keepends=True), f"{FILE} of the remote")


def verify_anchors(case_dir: Path | str, verdict: Verdict, kept: Sequence[Kept], where: str) -> Verdict:
    """The verdict with what these anchors contradict. where: what `head_anchored` lines call the place that they are of."""
    log = AuditLog(case_dir)
    problems: list[Problem] = []
    ours = [one for one in kept if verdict.hashes and one.log == verdict.hashes[0]]
    strange = [one for one in kept if one.case == place_of(case_dir) and one not in ours]
    if strange:
        said = f"a log that began otherwise was anchored here on {strange[-1].ts[:40]}: this one was written anew"
        problems.append(Problem(1, said))
    roots = log.roots([one.seq for one in ours])
    for one in ours:
        found = compare(verdict, one.seq, one.hash, "anchor")
        if not found and roots.get(one.seq) != one.root:
            found = [Problem(one.seq, f"anchor at line {one.seq}: the lines up to it have another Merkle root")]
        problems += found
    have = {(one.seq, one.hash) for one in ours}
    for entry in log.read():
        said_of = entry.detail.get("seq"), entry.detail.get("hash")
        if entry.action == "head_anchored" and entry.detail.get("where") == where and said_of not in have:
            problems.append(
                Problem(entry.seq, f"the log says that line {said_of[0]} was anchored in {where}; it is missing there")
            )
    return replace(verdict, problems=(*verdict.problems, *problems), vouched=max([verdict.vouched, *(one.seq for one in ours)]))


def _opened(file: Path) -> IO[bytes]:
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    out = os.fdopen(fd, "r+b", buffering=0)
    fcntl.flock(out, fcntl.LOCK_EX)
    return out


def _add(out: IO[bytes], kept: Kept) -> None:
    out.write(canonical(asdict(kept)) + b"\n")
    os.fsync(out.fileno())


def _parsed(lines: Sequence[bytes], name: str) -> tuple[list[Kept], list[Problem]]:
    found: list[Kept] = []
    problems: list[Problem] = []
    for number, line in enumerate(lines, 1):
        try:
            fields: Any = json.loads(line)
            values = {key: fields[key] for key in _KINDS}
            if not all(type(values[key]) is kind for key, kind in _KINDS.items()):
                raise ValueError
            found.append(Kept(**values))
        except (ValueError, TypeError, KeyError, RecursionError):
            problems.append(Problem(0, f"line {number} of {name} is no anchor"))
    return found, problems


def _git(clone: Path, *words: str) -> bytes:
    done = _run(clone, *words)
    if done.returncode:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())[:300] or "no reason given"
        raise ExternalError(f"git {words[0]} in {clone}: {said}", "See audit.anchor_git in the settings.")
    return done.stdout


def _run(clone: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    """git, asking nobody anything and running no hooks."""
    program = shutil.which("git")
    if program is None:
        raise ExternalError("git is not installed", "Install it, or take audit.anchor_git out of the settings.")
    command = [program, "-C", str(clone), "-c", "core.hooksPath=/dev/null", *words]
    try:
        return subprocess.run(  # noqa: S603
            command, capture_output=True, timeout=_PATIENCE, check=False, env={**os.environ, "GIT_TERMINAL_PROMPT": "0"}
        )
    except subprocess.TimeoutExpired as error:
        raise ExternalError(f"git did not answer within {_PATIENCE} s", "Try again, or see audit.anchor_git.") from error
