"""What this machine notes of mirrors that it set up: what was there before, and that one is still standing.

The DPU's own marks are what counts; a note only names a later difference, and reminds of what was forgotten. One file a host,
for this user alone.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from workbench.push.mirror import Setup
from workbench.sources.ssh import Far

#: A mirror that stands for longer than that is asked about.
FORGOTTEN: Final = dt.timedelta(hours=24)


def folder() -> Path:
    """Where the notes are."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "workbench" / "mirrors"


def remembered(far: Far) -> dict[str, dict[str, Any]]:
    """Mirror name to its note; empty where the notes can't be read."""
    return _read(_path(far))[1]


def standing() -> Iterator[tuple[str, str, dt.timedelta | None]]:
    """Host, name and age of every mirror that was set up from here and not torn down from here."""
    for path in sorted(folder().glob("*.json")):
        host, found = _read(path)
        for name, note in sorted(found.items()):
            yield host, name, age(str(note.get("made", "")))


def remember(far: Far, plan: Setup) -> None:
    """Note it, before anything is changed there."""
    note = {"bridge": plan.bridge, "ports": plan.ports, "made": plan.made, "prior": plan.prior}
    _write(far, {**remembered(far), plan.name: note})


def forget(far: Far, name: str) -> None:
    """It isn't there any more."""
    found = remembered(far)
    if found.pop(name, None) is None:
        return
    with contextlib.suppress(OSError):
        _write(far, found)


def age(made: str) -> dt.timedelta | None:
    """How long ago that was, by this machine's clock; None for what is no time (a mark is anybody's text)."""
    try:
        then = dt.datetime.fromisoformat(made)
        return max(dt.timedelta(), dt.datetime.now(dt.UTC) - then)
    except (ValueError, TypeError, OverflowError):  # no time; a time without a zone; one that no clock shows
        return None


def age_words(span: dt.timedelta) -> str:
    """In days, hours or minutes, the largest that fits."""
    minutes = int(span.total_seconds() // 60)
    for size, word in ((1440, "day"), (60, "hour")):
        if minutes >= size:
            return f"{minutes // size} {word}{'s' if minutes >= 2 * size else ''}"
    return f"{minutes} minute{'' if minutes == 1 else 's'}"


def _path(far: Far) -> Path:
    return folder() / f"{hashlib.sha256(str(far).encode()).hexdigest()[:16]}.json"


def _read(path: Path) -> tuple[str, dict[str, dict[str, Any]]]:
    try:
        found = json.loads(path.read_text("utf-8"))
        return str(found["host"]), {name: note for name, note in found["mirrors"].items() if isinstance(note["prior"], list)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "", {}


def _write(far: Far, notes: dict[str, Any]) -> None:
    """Only this user reads it; a process killed while writing leaves the notes before."""
    path = _path(far)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not notes:
        path.unlink(missing_ok=True)
        return
    made = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as sink:
        json.dump({"host": str(far), "mirrors": notes}, sink)
        sink.flush()
        os.fsync(sink.fileno())
    made.replace(path)
