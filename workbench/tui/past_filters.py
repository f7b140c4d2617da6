"""Filters that were applied, by case: one small file in the state folder of the user, as the list of recent cases is.

Not in the case: a case may be someone else's or read-only, and what a person looked for is theirs.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from workbench.tui.recent import recent_path

#: Filters kept of a case, and cases.
KEPT: Final = 50
CASES: Final = 30


#: Queries are kept in the same way, in a file of their own.
FILTERS: Final = "filters.json"
QUERIES: Final = "queries.json"


def filters_path(name: str = FILTERS) -> Path:
    """Where they are kept: XDG_STATE_HOME/workbench/filters.json."""
    return recent_path().with_name(name)


def _load(name: str) -> dict[str, list[str]]:
    try:
        found = json.loads(filters_path(name).read_text("utf-8"))
        return {str(case): [str(text) for text in texts] for case, texts in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def past_filters(case: Path, name: str = FILTERS) -> list[str]:
    """Filters applied to a case, the last one last; empty where the file is missing or not ours."""
    return _load(name).get(str(case.absolute()), [])


def remember_filter(case: Path, text: str, name: str = FILTERS) -> None:
    """Put a filter at the end. A list that cannot be written is no reason to stop anyone."""
    known = _load(name)
    here = str(case.absolute())
    mine = [other for other in known.pop(here, []) if other != text]
    known[here] = [*mine, text][-KEPT:]
    kept = dict(list(known.items())[-CASES:])
    path = filters_path(name)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}.tmp")
        new.write_text(json.dumps(kept, indent=1), "utf-8")
        new.chmod(0o600)
        new.replace(path)
    except (OSError, UnicodeEncodeError):
        return
