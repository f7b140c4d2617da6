"""Signed heads: what makes a cut of the audit log, or a log written anew, visible.

A head is the sequence number and hash of a line, signed with an SSH key (`ssh-keygen -Y sign`, namespace
`workbench-audit`). Heads are kept in `audit.heads.jsonl` beside the log; a copy kept elsewhere, or just
the number and the hash written down (an anchor), proves the log up to that line even against someone
who owns the whole case folder. The log itself says which heads were signed, so a missing one is noticed.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from workbench.audit.log import AuditLog, Problem, Verdict, actor, canonical
from workbench.errors import AuditError, ExternalError

FILE: Final = "audit.heads.jsonl"
NAMESPACE: Final = "workbench-audit"
_MAX_LINE: Final = 64 << 10
_PATIENCE: Final = 120  # seconds: a key may ask for a touch or a passphrase
_quiet = False


@dataclass(frozen=True, slots=True)
class Head:
    """A signed head: line `seq` of the log has hash `hash`. signature: armoured, as ssh-keygen writes it.

    root: Merkle root over the lines up to it; '' in heads of versions that had none.
    """

    seq: int
    hash: str
    principal: str
    signature: str
    root: str = ""

    def signed_bytes(self) -> bytes:
        """What the signature is over."""
        return _statement(self.seq, self.hash, self.principal, self.root)


@dataclass(frozen=True, slots=True)
class Anchor:
    """A line number and its hash, kept by a person somewhere else."""

    seq: int
    hash: str


def sign_head(case_dir: Path | str, key: Path | str, principal: str = "") -> Head:
    """Sign the log's last line and add the head to `audit.heads.jsonl`; the log gets a line saying so.

    key: private key file, or the public half of one that an agent holds. principal: who signs, as the
    allowed-signers file names them; empty = user@host. Raises AuditError where the log does not verify
    (a bad log must not get a good signature), ExternalError where ssh-keygen refuses.
    """
    verdict = verified(case_dir)
    log = AuditLog(case_dir)
    principal = principal or actor()
    root = log.roots([verdict.entries])[verdict.entries]
    signature = sign(_statement(verdict.entries, verdict.head, principal, root), key, NAMESPACE)
    head = Head(verdict.entries, verdict.head, principal, signature, root)
    _add(Path(case_dir) / FILE, head)
    log.append("head_signed", seq=head.seq, hash=head.hash, root=root, principal=principal)
    return head


def verified(case_dir: Path | str) -> Verdict:
    """The verdict on a log that can be vouched for; AuditError where it is broken or empty."""
    log = AuditLog(case_dir)
    verdict = log.verify()
    if not verdict.ok or not verdict.entries:
        what = verdict.problems[0] if verdict.problems else Problem(0, "it is empty")
        raise AuditError(f"{log.path} is not signed: line {what.line} {what.what}", "See `workbench audit verify`.")
    return verdict


def sign(data: bytes, key: Path | str, namespace: str) -> str:
    """An armoured SSH signature. key as in `sign_head`; ExternalError where ssh-keygen refuses."""
    signature = _ssh_keygen(["-Y", "sign", "-q", "-n", namespace, "-f", str(key)], data)
    return signature.decode("ascii", "replace")


def made_with(data: bytes, signature: str, namespace: str) -> bool:
    """Whether an armoured SSH signature is one of these bytes by the key that it names, whoever has that. ExternalError."""
    with tempfile.NamedTemporaryFile("w", suffix=".sig") as file:
        file.write(signature)
        file.flush()
        return _run(["-Y", "check-novalidate", "-q", "-n", namespace, "-s", file.name], data).returncode == 0


def read_heads(file: Path) -> tuple[list[Head], list[Problem]]:
    """The heads in a file, and the lines of it that are none."""
    heads: list[Head] = []
    problems: list[Problem] = []
    if not file.exists():
        return heads, problems
    with file.open("rb") as lines:
        for number, line in enumerate(iter(lambda: lines.readline(_MAX_LINE), b""), 1):
            try:
                fields: Any = json.loads(line)
                value, principal, signature = (str(fields[name]) for name in ("hash", "principal", "signature"))
                head = Head(int(fields["seq"]), value, principal, signature, str(fields.get("root", "")))
            except (ValueError, TypeError, KeyError, RecursionError):
                problems.append(Problem(0, f"line {number} of {file.name} is no signed head"))
                continue
            heads.append(head)
    return heads, problems


def verify_case(
    case_dir: Path | str,
    allowed_signers: Path | str | None = None,
    anchors: Sequence[Anchor] = (),
    heads_file: Path | None = None,
) -> Verdict:
    """Verify the log, and that it holds every signed head and every anchor.

    allowed_signers: whose signatures count (ssh-keygen(1), ALLOWED SIGNERS); without it the heads are
    compared with the log but nobody vouches for them. heads_file: a copy kept elsewhere instead of the
    one beside the log. Raises ExternalError where ssh-keygen is missing.
    """
    verdict = AuditLog(case_dir).verify()
    problems = list(verdict.problems)
    heads, wrong = read_heads(heads_file or Path(case_dir) / FILE)
    problems += wrong
    roots = AuditLog(case_dir).roots([head.seq for head in heads])
    good: list[int] = []
    for head in heads:
        problems += compare(verdict, head.seq, head.hash, f"head signed by {head.principal}")
        if head.root and roots.get(head.seq, head.root) != head.root:
            problems.append(Problem(head.seq, f"head signed by {head.principal}: the lines up to it have another Merkle root"))
        if allowed_signers is None:
            continue
        if _signature_holds(head, Path(allowed_signers)):
            good.append(head.seq)
        else:
            problems.append(Problem(head.seq, f"the signature of {head.principal} over this head does not hold"))
    for anchor in anchors:
        problems += compare(verdict, anchor.seq, anchor.hash, "anchor")
    said = {(e.detail.get("seq"), e.detail.get("hash")) for e in AuditLog(case_dir).read() if e.action == "head_signed"}
    for seq, value in said - {(head.seq, head.hash) for head in heads}:
        problems.append(
            Problem(seq if isinstance(seq, int) else 0, f"the log says its head {str(value)[:12]} was signed; it is missing")
        )
    vouched = max((*good, *(anchor.seq for anchor in anchors)), default=0)
    unchecked = max((head.seq for head in heads), default=0) if allowed_signers is None else 0
    return Verdict(verdict.entries, verdict.head, tuple(problems), verdict.hashes, vouched, unchecked)


def compare(verdict: Verdict, seq: int, value: str, what: str) -> list[Problem]:
    """What is wrong where line `seq` should have this hash."""
    if not 1 <= seq <= len(verdict.hashes):
        return [Problem(seq, f"{what} at line {seq}: the log ends before it; its end was cut off")]
    if verdict.hashes[seq - 1] != value:
        return [Problem(seq, f"{what} at line {seq}: the line is another one; the log was written anew")]
    return []


def _statement(seq: int, value: str, principal: str, root: str) -> bytes:
    """The signed bytes: canonical JSON that cannot be taken for anything else."""
    more = {"root": root} if root else {}
    return canonical({"hash": value, "kind": NAMESPACE, "principal": principal, "seq": seq, **more})


def _add(file: Path, head: Head) -> None:
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "ab", buffering=0) as out:
        fcntl.flock(out, fcntl.LOCK_EX)
        out.write(canonical(asdict(head)) + b"\n")
        os.fsync(out.fileno())


def _signature_holds(head: Head, allowed_signers: Path) -> bool:
    with tempfile.NamedTemporaryFile("w", suffix=".sig") as signature:
        signature.write(head.signature)
        signature.flush()
        command = ["-Y", "verify", "-q", "-n", NAMESPACE, "-f", str(allowed_signers), "-I", head.principal, "-s", signature.name]
        return _run(command, head.signed_bytes()).returncode == 0


def _ssh_keygen(arguments: list[str], given: bytes) -> bytes:
    done = _run(arguments, given)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip() or "no reason given"
        if _quiet and "passphrase" in said:
            raise ExternalError(
                f"the key asks for a passphrase, which can't be typed here: {said}",
                "Add it to an agent (ssh-add) and name its .pub file, or do this step in a terminal: workbench push.",
            )
        raise ExternalError(f"ssh-keygen refused to sign: {said}", "Check the key, or start ssh-agent and add it.")
    return done.stdout


def leave_terminal_alone() -> None:
    """From here on ssh-keygen may ask nothing: the terminal of this process is a screen that somebody draws on.

    It runs in a session of its own, so without a terminal, and its askpass is off: a key with a passphrase fails at once.
    """
    global _quiet
    _quiet = True


def _run(arguments: list[str], given: bytes) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("ssh-keygen")
    if program is None:
        raise ExternalError("ssh-keygen is not installed", "Install the OpenSSH client.")
    try:
        return subprocess.run(  # noqa: S603  words of ours
            [program, *arguments],
            input=given,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
            start_new_session=_quiet,
            env={**os.environ, "SSH_ASKPASS_REQUIRE": "never"} if _quiet else None,
        )
    except subprocess.TimeoutExpired as error:
        raise ExternalError(f"ssh-keygen did not answer within {_PATIENCE} s", "Check the key or the agent.") from error
