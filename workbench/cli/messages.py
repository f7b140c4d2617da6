"""What is said to people: everything goes to stderr, so that stdout stays data."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Final

from workbench.errors import ExitCode, PolicyError, WorkbenchError
from workbench.records.visible import visible

#: Messages of bugs can hold anything, compilers' reports among them; this much of the first line is shown.
_LONGEST: Final = 200

#: Mistakes of a policy that are shown; a generated file with one in every rule would fill the screen.
_MOST_PROBLEMS: Final = 50


def tell(text: str) -> None:
    """One line for the person at the terminal, made visible first (it may quote names from a capture)."""
    sys.stderr.write(visible(text) + "\n")
    sys.stderr.flush()


def tell_error(error: WorkbenchError) -> int:
    """``Title: message``, then the remedy on a line of its own; returns the exit code.

    A policy's mistakes are a line each, as an editor's jump list reads them; no text in one makes a line of its own.
    """
    problems = error.problems if isinstance(error, PolicyError) else ()
    if len(problems) > 1:
        tell(f"{error.title}: {len(problems)} mistakes")
        for problem in problems[:_MOST_PROBLEMS]:
            tell(problem.text())
        if len(problems) > _MOST_PROBLEMS:
            tell(f"and {len(problems) - _MOST_PROBLEMS} more")
    else:
        tell(f"{error.title}: {error.message}")
    if error.remedy:
        tell(f"  {error.remedy}")
    return int(error.exit_code)


def tell_bug(error: BaseException, *, debug: bool) -> int:
    """An error nobody foresaw: with `debug` its traceback, else where the traceback was written."""
    trace = "".join(traceback.format_exception(error))
    if debug:
        sys.stderr.write(trace)
        return int(ExitCode.BUG)
    first = str(error).partition("\n")[0]
    tell(f"Bug: {type(error).__name__}: {first[:_LONGEST]}")
    try:
        tell(f"  The traceback is in {_keep(trace)}; please send it with what you did.")
    except OSError:
        tell("  Run it again as `workbench --debug ...` to see where it happened.")
    return int(ExitCode.BUG)


def _keep(trace: str) -> Path:
    """Write the traceback where only this user can read it: paths in it are nobody else's business."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    folder = Path(base) / "workbench"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "traceback.txt"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as sink:
        sink.write(trace)
    return path
