"""Reading the audit log of a case, and checking it with what the settings say about signers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workbench.audit.heads import Anchor, verify_case
from workbench.audit.log import AuditLog, Entry, Verdict
from workbench.errors import MissingPathError, UsageError
from workbench.settings import load_settings
from workbench.store.case import CaseFolder


def audit_entries(case: Path) -> list[Entry]:
    """Every line that can be read, oldest first; NotACaseError or MissingPathError where there is no case."""
    return AuditLog(CaseFolder.open(case).root).read()


def audit_verdict(case: Path, anchors: Sequence[str] = (), heads: Path | None = None) -> Verdict:
    """Check the chain, the signed heads and the anchors.

    anchors: SEQ:HASH as `audit verify` printed them once. heads: a copy of the signed heads kept elsewhere.
    UsageError for an anchor of another form, MissingPathError for heads that are not there.
    """
    if heads is not None and not heads.is_file():
        raise MissingPathError(f"{heads} does not exist", "Name a copy of audit.heads.jsonl.")
    folder = CaseFolder.open(case)
    signers = load_settings().audit.allowed_signers
    trusted = Path(signers).expanduser() if signers else None
    return verify_case(folder.root, trusted, [_anchor(text) for text in anchors], heads)


def _anchor(text: str) -> Anchor:
    number, _, value = text.partition(":")
    value = value.lower()
    if not (number.isascii() and number.isdigit()) or len(value) != 64 or set(value) - set("0123456789abcdef"):
        raise UsageError(f"{text} is no anchor", "Write it as it was printed: the line's number, a colon, 64 hex digits.")
    return Anchor(int(number), value)
