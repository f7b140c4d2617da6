"""How fast packets, bits and flows came in the last minutes, from counts that grow. No clock of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Series = Literal["packets", "bits", "flows"]
#: What can be plotted, in the order of the plots.
SERIES: Final[tuple[Series, ...]] = ("packets", "bits", "flows")
#: Seconds that are kept, and seconds between two looks at least: more would only cost.
KEPT: Final = 600.0
_LEAST: Final = 0.5


@dataclass(frozen=True, slots=True)
class Rate:
    """What came between `since` and `until` (seconds by the caller's clock), per second."""

    since: float
    until: float
    packets: float
    bits: float
    flows: float


class RateHistory:
    """Rates of the last ten minutes. For one thread at a time."""

    def __init__(self) -> None:
        self._rates: deque[Rate] = deque()
        self._counts: dict[str, tuple[int, int, int, int]] = {}
        self._at: float | None = None

    def feed(self, at: float, counts: Mapping[str, tuple[int, int, int, int]]) -> None:
        """Note what every source has counted: (run of it, packets, bytes, flows). Another run counts from nought again."""
        if self._at is None:
            self._at, self._counts = at, dict(counts)
            return
        took = at - self._at
        if took < _LEAST:
            return
        packets, octets, flows = (sum(self._new(name, now, n) for name, now in counts.items()) for n in (1, 2, 3))
        self._rates.append(Rate(self._at, at, packets / took, 8 * octets / took, flows / took))
        self._at = at
        self._counts.update(counts)
        while self._rates and self._rates[0].until < at - KEPT:
            self._rates.popleft()

    def _new(self, name: str, now: tuple[int, int, int, int], n: int) -> int:
        before = self._counts.get(name)
        return max(0, now[n] - (before[n] if before is not None and before[0] == now[0] else 0))

    @property
    def last(self) -> Rate | None:
        """The newest; None before there are two counts."""
        return self._rates[-1] if self._rates else None

    def cells(self, series: Series, seconds: float, cells: int) -> list[float | None]:
        """The largest rate in each of so many equal parts of the last `seconds`, oldest first; None where nothing is known."""
        out: list[float | None] = [None] * cells
        if not self._rates or cells < 1:
            return out
        end = self._rates[-1].until
        each = seconds / cells
        for rate in self._rates:
            first = int((rate.since - end + seconds) // each)
            last = int(-(-(rate.until - end + seconds) // each)) - 1
            value = getattr(rate, series)
            for cell in range(max(0, first), min(cells - 1, last) + 1):
                out[cell] = max(out[cell] or 0.0, value)
        return out
