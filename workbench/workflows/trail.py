"""Reading the audit log of a case, and checking it with what the settings say about signers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.audit import anchors, merkle
from workbench.audit.heads import FILE as HEADS
from workbench.audit.heads import Anchor, read_heads, verified, verify_case
from workbench.audit.log import FILE, AuditLog, Entry, Problem, Verdict
from workbench.audit.vouch import vouch
from workbench.errors import BadInputError, MissingPathError, UsageError
from workbench.settings import AuditSettings, load_settings
from workbench.store.case import CaseFolder

#: More than any proof has.
_MOST_PROOF = 4 << 20


@dataclass(frozen=True, slots=True)
class Root:
    """The Merkle root over the first `seq` lines, the last of which has this hash."""

    seq: int
    hash: str
    root: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What a log rests on. signed: (line, by whom it says) of its signed heads; anchored: (line, where), as the log says.

    checked: whether signatures and anchors were, too; else only the chain, and that the heads are of this log.
    """

    verdict: Verdict
    signed: tuple[tuple[int, str], ...] = ()
    anchored: tuple[tuple[int, str], ...] = ()
    checked: bool = False


def audit_standing(case: Path, *, check: bool) -> Standing:
    """How a log stands. check: verify signatures and ask where it was anchored as well, which may take seconds.

    MissingPathError, NotACaseError, ExternalError where a remote can't be asked.
    """
    folder = _root(case)
    verdict = audit_verdict(case) if check else verify_case(folder)
    signed = tuple((head.seq, head.principal) for head in read_heads(folder / HEADS)[0])
    said = [one.detail for one in AuditLog(folder).read() if one.action == "head_anchored"]
    anchored = tuple((one["seq"], str(one.get("where", ""))) for one in said if isinstance(one.get("seq"), int))
    return Standing(verdict, signed, anchored, check)


def audit_entries(case: Path) -> list[Entry]:
    """Every line that can be read, oldest first; NotACaseError or MissingPathError where there is no case."""
    return AuditLog(_root(case)).read()


def audit_root(case: Path, at: int | None = None) -> Root:
    """Of the whole log, or of its first lines. AuditError where the log does not verify, UsageError where it has fewer lines."""
    folder = _root(case)
    verdict = verified(folder)
    seq = verdict.entries if at is None else at
    if not 1 <= seq <= verdict.entries:
        raise UsageError(f"there is no line {seq}", f"The log has lines 1 to {verdict.entries}.")
    return Root(seq, verdict.hashes[seq - 1], AuditLog(folder).roots([seq])[seq])


def audit_sign(case: Path, key: Path | None = None) -> list[str]:
    """Sign the head and anchor it, as the settings say. key: instead of the settings'. UsageError where there is neither."""
    settings = load_settings().audit
    if key is not None:
        settings = replace(settings, signing_key=str(key))
    done = vouch(_root(case), settings)
    if not done:
        raise UsageError("there is no key to sign with, nor a place to anchor in", "Name a key with --key, or see the settings.")
    return done


def audit_proof(case: Path, seq: int) -> dict[str, Any]:
    """That a line is in the log as it is now: the line, the root, and the hashes beside the way between them."""
    now = audit_root(case)
    if not 1 <= seq <= now.seq:
        raise UsageError(f"there is no line {seq}", f"The log has lines 1 to {now.seq}.")
    lines = AuditLog(_root(case)).lines()[: now.seq]
    path = merkle.path([merkle.leaf(line) for line in lines], seq - 1)
    return {"seq": seq, "size": now.seq, "root": now.root, "path": path, "line": lines[seq - 1].decode("ascii")}


def proof_problems(case: Path, file: Path) -> list[Problem]:
    """What is wrong with a proof, in itself or against the log. BadInputError where the file holds none."""
    try:
        with file.open("rb") as source:
            said = json.loads(source.read(_MOST_PROOF))
        seq, size, root, path, line = (said[key] for key in ("seq", "size", "root", "path", "line"))
        kinds = (type(seq), type(size), type(root), type(path), type(line))
        if kinds != (int, int, str, list, str) or not all(isinstance(one, str) for one in path):
            raise ValueError
        shown = line.encode("ascii")
    except OSError as error:
        raise MissingPathError(f"{file} cannot be read: {error.strerror}", "Name what `audit prove` wrote.") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadInputError(f"{file} holds no proof", "Name what `audit prove` wrote.") from error
    if not merkle.holds(shown, seq - 1, size, path, root):
        return [Problem(seq, "the proof does not lead from its line to its root")]
    if AuditLog(_root(case)).roots([size]).get(size) != root:
        return [Problem(seq, f"the proof is of a log whose first {size} lines were others")]
    return []


def _root(case: Path) -> Path:
    """The folder of a case, or one that holds nothing but a log, as that of pushes without a case does."""
    if (case / FILE).is_file() and not (case / "case.toml").exists():
        return case
    return CaseFolder.open(case).root


def audit_verdict(case: Path, noted: Sequence[str] = (), heads: Path | None = None) -> Verdict:
    """Check the chain, the signed heads and the anchors.

    noted: anchors, SEQ:HASH as `audit verify` printed them once. heads: a copy of the signed heads kept elsewhere.
    UsageError for an anchor of another form, MissingPathError for heads that are not there.
    """
    if heads is not None and not heads.is_file():
        raise MissingPathError(f"{heads} does not exist", "Name a copy of audit.heads.jsonl.")
    folder = _root(case)
    settings = load_settings().audit
    trusted = Path(settings.allowed_signers).expanduser() if settings.allowed_signers else None
    verdict = verify_case(folder, trusted, [_anchor(text) for text in noted], heads)
    return _anchored(folder, verdict, settings)


def _anchored(folder: Path, verdict: Verdict, settings: AuditSettings) -> Verdict:
    """With what the anchors contradict that are kept where the settings say."""
    for at, read in ((settings.anchor_file, anchors.read_file), (settings.anchor_git, anchors.read_git)):
        if at:
            place = Path(at).expanduser()
            kept, wrong = read(place)
            verdict = replace(verdict, problems=(*verdict.problems, *wrong))
            verdict = anchors.verify_anchors(folder, verdict, kept, str(place))
    return verdict


def _anchor(text: str) -> Anchor:
    number, _, value = text.partition(":")
    value = value.lower()
    if not (number.isascii() and number.isdigit()) or len(value) != 64 or set(value) - set("0123456789abcdef"):
        raise UsageError(f"{text} is no anchor", "Write it as it was printed: the line's number, a colon, 64 hex digits.")
    return Anchor(int(number), value)
