"""Vouching for a log: its head signed, and anchored elsewhere, as far as the settings say."""

from __future__ import annotations

from pathlib import Path

from workbench.audit import anchors
from workbench.audit.heads import sign_head, verified
from workbench.audit.log import AuditLog
from workbench.settings import AuditSettings


def vouch(case_dir: Path | str, settings: AuditSettings) -> list[str]:
    """What was done, a line each; nothing where the settings name neither a key nor a place.

    AuditError where the log does not verify, ExternalError where a key or a place cannot be had.
    """
    done: list[str] = []
    if settings.signing_key:
        head = sign_head(case_dir, Path(settings.signing_key).expanduser(), settings.principal)
        done.append(f"line {head.seq} signed by {head.principal}")
    places = [(key, Path(at).expanduser()) for key, at in (("file", settings.anchor_file), ("git", settings.anchor_git)) if at]
    if not places:
        return done
    kept = anchors.anchor_of(case_dir, verified(case_dir))
    for kind, at in places:
        (anchors.keep_in_file if kind == "file" else anchors.keep_in_git)(at, kept)
        AuditLog(case_dir).append("head_anchored", seq=kept.seq, hash=kept.hash, root=kept.root, where=str(at))
        done.append(f"line {kept.seq} anchored in {at}")
    return done
