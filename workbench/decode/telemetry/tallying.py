"""What an exporter's messages cost: counts by reason, with the first messages concerned and what exactly, bounded."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from workbench.records.reasons import LedgerLine

_FIRST: Final = 5
#: Different details kept of a reason, and how many of them are told.
_DETAILS: Final = 64
_TOLD: Final = 8


@dataclass(slots=True)
class _Line:
    count: int = 0
    first: list[int] = field(default_factory=list)
    details: Counter[str] = field(default_factory=Counter)


class Tally:
    """Counts by reason of the ledger."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    def add(self, reason: str, count: int, message: int = 0, detail: str = "") -> None:
        """Count; message: its number, from 1, or 0 where none is to be named."""
        line = self._lines.setdefault(reason, _Line())
        line.count += count
        if message and len(line.first) < _FIRST and message not in line.first:
            line.first.append(message)
        if detail and (detail in line.details or len(line.details) < _DETAILS):
            line.details[detail] += count

    def count(self, reason: str) -> int:
        """So far."""
        line = self._lines.get(reason)
        return line.count if line is not None else 0

    def ledger(self) -> list[LedgerLine]:
        """One line a reason, in the order they came up; details by how often they came."""
        return [LedgerLine(name, line.count, tuple(line.first), _told(line.details)) for name, line in self._lines.items()]


def _told(details: Counter[str]) -> str:
    shown = [f"{detail}: {count}" if len(details) > 1 else detail for detail, count in details.most_common(_TOLD)]
    return "; ".join(shown) + ("; ..." if len(details) > _TOLD else "")
