"""Network interfaces of this machine: is there such a one, is it up, what has it counted (Linux, /sys/class/net)."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workbench.errors import ExternalError, UsageError
from workbench.records.visible import visible

#: Where the kernel tells of interfaces; a namespace's own where /sys is mounted in it, else looked at through /proc.
_SYS: Final = Path("/sys/class/net")
_PROC: Final = Path("/proc/net/dev")
#: What a name can be (dev_valid_name of the kernel, and no option of a program: no dash in front).
_NAME: Final = re.compile(r"[A-Za-z0-9_.][^\s/:\x00-\x1f]{0,14}")
_COLUMNS: Final = 16


@dataclass(frozen=True, slots=True)
class Counters:
    """What an interface has counted since it came up, both directions; dropped: lost by the card for want of buffers.

    That is rx_missed_errors and rx_fifo_errors. rx_dropped isn't in it: the kernel counts there what nobody wanted, such as
    protocols it does not speak, after captures have seen it (Linux, Documentation/networking/statistics.rst).
    """

    packets: int
    bytes: int
    dropped: int


def interface_names() -> list[str]:
    """Every interface of this network namespace, by name."""
    return sorted(_counted())


def check_interface(name: str) -> str:
    """The name, if there is such an interface here; UsageError where it is no name, ExternalError where there is none."""
    if name == "any":
        return name
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise UsageError(f"{visible(name)!r} is no name of an interface", "Name one as `ip link` lists it.")
    there = _counted()
    if name not in there:
        near = difflib.get_close_matches(name, there, 1)
        known = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(map(visible, sorted(there)))}."
        raise ExternalError(f"there is no interface {visible(name)} here", known)
    return name


def counters(name: str) -> Counters | None:
    """What it has counted; None where it is gone, or for `any` where there are none at all."""
    there = _counted()
    rows = list(there.values()) if name == "any" else [there[name]] if name in there else []
    if not rows:
        return None
    total = [sum(column) for column in zip(*rows, strict=True)]
    missed = _missed(name)
    # receive: bytes packets errs drop fifo ...; transmit from the ninth column on
    return Counters(total[1] + total[9], total[0] + total[8], total[4] + missed)


def is_up(name: str) -> bool:
    """Whether packets can arrive there; true where that can't be told."""
    if name == "any":
        return True
    try:
        flags = int((_SYS / name / "flags").read_text(), 16)
    except (OSError, ValueError):
        return True
    return bool(flags & 1)


def _missed(name: str) -> int:
    try:
        return int((_SYS / name / "statistics" / "rx_missed_errors").read_text())
    except (OSError, ValueError):
        return 0


def _counted() -> dict[str, list[int]]:
    """The sixteen counters of every interface of this network namespace."""
    found: dict[str, list[int]] = {}
    try:
        lines = _PROC.read_text(encoding="utf-8", errors="replace").splitlines()[2:]
    except OSError:
        return found
    for line in lines:
        name, _, numbers = line.partition(":")
        fields = numbers.split()
        if len(fields) >= _COLUMNS and all(f.isdecimal() for f in fields[:_COLUMNS]):
            found[name.strip()] = [int(f) for f in fields[:_COLUMNS]]
    return found
