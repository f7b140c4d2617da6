"""Where tshark is, and what to install where it is not."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import Final

from workbench.errors import ExternalError

INSTALL: Final = (
    "Install it: apt install tshark (Debian, Ubuntu), dnf install wireshark-cli (Fedora, RHEL), brew install wireshark (macOS)."
)


@dataclass(frozen=True, slots=True)
class Tshark:
    """A tshark that answers. missing: fields of our allow-list that it lacks and that are therefore not shown."""

    path: str
    version: str
    missing: tuple[str, ...] = ()


def tshark_path() -> str:
    """Its path. ExternalError where it is not on PATH."""
    path = shutil.which("tshark")
    if path is None:
        raise ExternalError("tshark is not installed; packets cannot be dissected without it", INSTALL)
    return path
