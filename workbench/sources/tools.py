"""Programs of the system that the workbench can use: where they are and which version."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import Final

_VERSION: Final = re.compile(r"\d+(?:\.\d+)+(?:[-\w.]*\w)?")
_SECONDS: Final = 5.0
#: Programs that say their version otherwise.
_ARGUMENTS: Final = {"ssh": "-V"}


@dataclass(frozen=True, slots=True)
class Tool:
    """A program: its path (None = not on PATH) and version (None = it does not say)."""

    name: str
    path: str | None
    version: str | None


def find_tool(name: str) -> Tool:
    """Look the program up on PATH and ask its version; at most five seconds, no input, no terminal."""
    path = shutil.which(name)
    if path is None:
        return Tool(name, None, None)
    try:
        done = subprocess.run(  # noqa: S603  the program is one of our own list, found on PATH
            [path, _ARGUMENTS.get(name, "--version")],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return Tool(name, path, None)
    said = (done.stdout + done.stderr)[:4096].decode("utf-8", "replace")
    found = _VERSION.search(said)
    return Tool(name, path, found.group() if found else None)
