"""Where steps of a push are written down: the audit log of the plan's case, or one of this user's own where there is none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from workbench.audit.log import AuditLog
from workbench.settings import Settings, load_settings


def folder() -> Path:
    """Where the log of pushes without a case is."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "workbench" / "push"


def note(case: str, action: str, **detail: Any) -> None:
    """A line in the case's log; in one's own where the push has no case, or the case is gone. Raises as AuditLog.append."""
    where = Path(case) if case and (Path(case) / "case.toml").exists() else folder()
    if where == folder():
        where.mkdir(mode=0o700, parents=True, exist_ok=True)
    AuditLog(where).append(action, **detail)


def principal(settings: Settings | None = None) -> str:
    """Who pushes, as the DPUs' allowed signers name them."""
    from workbench.audit.log import actor

    return (settings or load_settings()).audit.principal or actor()


def signer(signature: str) -> dict[str, str]:
    """Whose key made a signature, for a line of the log: its fingerprint, and its name in the settings' allowed signers.

    who: '' where they do not know the key, or cannot be read: who somebody says to be is no evidence.
    """
    from workbench.push.resident import workbench_dpu as dpu

    mark = dpu.read_signature(signature)[0]
    named = load_settings().audit.allowed_signers
    try:
        known = dpu.read_signers(Path(named).expanduser().read_text("utf-8")) if named else {}
    except (OSError, ValueError, dpu.Refused):
        known = {}
    return {"who": known.get(mark, ""), "key": mark}
