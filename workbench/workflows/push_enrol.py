"""Enrolling a DPU: its resident, its own allowed signers, and the one command that ssh may run there."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import ExternalError, MissingPathError, UsageError
from workbench.workflows import push_log

if TYPE_CHECKING:
    from workbench.push.enrolment import Enrolled


def enrol(name: str, signers: Path | None, login_key: Path | None, longest_window: int, longest_break_glass: int) -> Enrolled:
    """Install or renew the resident, and see that it answers and that its daemon lives."""
    from workbench.push import channel, enrolment
    from workbench.push.targets import target_of
    from workbench.settings import load_settings

    settings = load_settings()
    target = target_of(settings, name)
    if signers is None:  # no default: those of the audit log are not meant to push
        raise UsageError("whose signatures the DPU shall take is not said", "Name a file with --signers (see docs/push.md).")
    done = enrolment.enrol(
        target,
        _read(signers),
        login_key=_read(login_key) if login_key else "",
        longest_window=longest_window,
        longest_break_glass=longest_break_glass,
    )
    for _ in range(30):
        if channel.ask(target, "status")["watched"]:
            break
        time.sleep(0.1)
    else:
        raise ExternalError(f"the daemon on {target.far} does not live", f"See {target.home}/watch.log or its journal.")
    push_log.note("", "push_enrolled", target=name, address=str(target.far), resident=done.resident, signers=list(done.signers))
    return done


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MissingPathError(f"{path} cannot be read") from error
