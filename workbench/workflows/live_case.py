"""Where a live case is kept that nobody named a folder for: the person's data folder, since it cannot be had a second time."""

from __future__ import annotations

import datetime as dt
import os
import re
from pathlib import Path
from typing import Final

from workbench.errors import MissingPathError

_STRANGE: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_NAME_MOST: Final = 60


def live_root() -> Path:
    """The folder of live cases: $XDG_DATA_HOME/workbench/live or ~/.local/share/workbench/live. Not made here."""
    base = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".local" / "share") / "workbench" / "live"


def live_case(source: str, now: dt.datetime) -> Path:
    """A new folder's path for a source, named by it and the time (UTC); its root is made, open to this user alone.

    MissingPathError where that cannot be.
    """
    root = live_root()
    name = "stdin" if source == "-" else _STRANGE.sub("_", source)[:_NAME_MOST].strip(".") or "source"
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise MissingPathError(f"{root} cannot be made: {error.strerror}", "Name a folder with --case.") from error
    folder = root / f"{name}-{now:%Y%m%dT%H%M%SZ}"
    n = 1
    while folder.exists():
        n += 1
        folder = root / f"{name}-{now:%Y%m%dT%H%M%SZ}-{n}"
    return folder
