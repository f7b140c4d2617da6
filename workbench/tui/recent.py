"""Cases that were shown lately: one small file in the state folder of the user (XDG base directories)."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

#: How many are kept.
KEPT: Final = 30


@dataclass(frozen=True, slots=True)
class RecentCase:
    """A case that was shown. names: what is in it, as a person would say; opened: seconds since 1970."""

    case: str
    names: str
    opened: float


def recent_path() -> Path:
    """Where the list is kept: XDG_STATE_HOME/workbench/recent.json."""
    base = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".local" / "state") / "workbench" / "recent.json"


def load_recent() -> list[RecentCase]:
    """The list, latest first, without cases that are gone; empty where the file is missing or not ours."""
    try:
        found = json.loads(recent_path().read_text("utf-8"))
        cases = [RecentCase(str(f["case"]), str(f["names"]), float(f["opened"])) for f in found]
    except (OSError, ValueError, TypeError, KeyError):
        return []
    return [case for case in cases if Path(case.case).is_dir()]


def remember(case: Path, names: str) -> None:
    """Put a case at the head of the list. A list that cannot be written is no reason to stop anyone."""
    path = recent_path()
    entry = RecentCase(str(case.absolute()), names, time.time())
    others = [other for other in load_recent() if other.case != entry.case]
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}.tmp")
        new.write_text(json.dumps([asdict(e) for e in [entry, *others][:KEPT]], indent=1), "utf-8")
        new.chmod(0o600)
        new.replace(path)
    except OSError:
        return
