"""Where findings lie in time: the row of marks under the timeline's bars, and the same in words.

A finding is marked with its severity's sign (finding_rows.SIGNS) where it begins, and with a line as long as it goes on; the
gravest of one place is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workbench.tui.data import Span
from workbench.tui.finding_rows import SIGNS

_NAMES: Final = tuple(SIGNS)
_SIGNS: Final = tuple(sign[0] for sign in SIGNS.values())
_GOES_ON: Final = "╌"


def _none() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Marks:
    """Findings that nobody closed: first and last moment (us since 1970 UTC), rank of severity, 0 the gravest; one length."""

    first: NDArray[np.int64] = field(default_factory=_none)
    last: NDArray[np.int64] = field(default_factory=_none)
    rank: NDArray[np.int64] = field(default_factory=_none)

    @classmethod
    def of(cls, moments: Sequence[tuple[str, int, int]]) -> Marks:
        """From (severity, first, last)."""
        ranks = [_NAMES.index(severity) if severity in _NAMES else len(_NAMES) - 1 for severity, _, _ in moments]
        first, last = ([one[at] for one in moments] for at in (1, 2))
        return cls(np.array(first, np.int64), np.array(last, np.int64), np.array(ranks, np.int64))

    def touching(self, span: Span) -> Marks:
        """Those with a moment in the span."""
        kept = (self.first < span.end) & (self.last >= span.start)
        return Marks(self.first[kept], self.last[kept], self.rank[kept])

    def words(self) -> str:
        """How many, and the gravest: `3 findings, gravest ▲ high`; empty where there are none."""
        if not len(self.rank):
            return ""
        count, gravest = len(self.rank), int(self.rank.min())
        sign = f"{_SIGNS[gravest]} {_NAMES[gravest]}"
        return f"1 finding, {sign}" if count == 1 else f"{count:,} findings, gravest {sign}"

    def line(self, span: Span, width: int) -> str:
        """The row of marks for a timeline of that span, `width` cells."""
        here = self.touching(span)
        begins = (here.first - span.start) * width // span.width
        ends = np.minimum((here.last - span.start) * width // span.width, width - 1)
        cells = [" "] * width
        steps = np.zeros(width + 1, np.int64)
        np.add.at(steps, np.maximum(begins, 0), 1)
        np.add.at(steps, ends + 1, -1)
        for at in np.flatnonzero(np.cumsum(steps[:width])).tolist():
            cells[at] = _GOES_ON
        for at in np.flatnonzero(begins >= 0)[np.argsort(-here.rank[begins >= 0], kind="stable")].tolist():
            cells[begins[at]] = _SIGNS[here.rank[at]]
        return "".join(cells)
