"""How far apart two sensors' clocks are, from conversations that both saw.

What both saw of one conversation bounds the difference like an exchange of NTP does (RFC 5905, section 8): with
`forward` the difference of the two sightings of its first packet and `back` that of the first packet the other way, the
clocks differ by something between the two, since the packets took their time between the sensors in opposite
directions. The middle is the estimate; half the distance bounds what unequal ways could make of it.

Evidence that does not fit together gives no offset: enough conversations have to agree within two seconds (besides
drift), an eighth of all at least, and twice as many as agree on anything else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Microseconds within which conversations agree on an offset at first, before any drift is known.
_WINDOW: Final = 2_000_000.0
#: Conversations that have to agree; with fewer only strong ones count, within `_WINDOW` of no offset at all.
_ENOUGH: Final = 3
#: The part of all conversations that seem to be shared that has to agree: tuples that come again by chance lie all over.
_PART: Final = 1 / 8
#: Of how many conversations the drift is told from, over how many microseconds at least.
_DRIFT_COUNT, _DRIFT_SPAN = 8, 60_000_000.0
#: Clocks worse than a thousandth are broken, and what looks like it is chance.
_MOST_DRIFT: Final = 1e-3
#: Microseconds that a packet may take between two sensors where only one direction is known.
ONE_WAY: Final = 200_000.0
#: Points of which every two give a slope.
_SLOPES_OF: Final = 400
_Z: Final = 1.96  # 95 %
_MEDIAN: Final = 1.2533  # standard error of a median in those of a mean
_MAD: Final = 1.4826  # standard deviation of a normal distribution in median absolute deviations

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Conversations that two sensors saw, an element each; microseconds.

    at: first packet by the second sensor's clock. forward: the second's minus the first's time of the first packet;
    back: of the first packet the other way, NaN where not known. strong: the same payload both ways, and some.
    """

    at: Floats
    forward: Floats
    back: Floats
    strong: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock minus another: `offset` + `drift` * (t - `at`), t by this clock; microseconds, drift without a unit.

    error: the offset is within it of the truth over the time seen, as far as can be told. count: conversations used.
    """

    offset: float
    error: float
    drift: float
    at: float
    count: int

    def reversed(self) -> Clock:
        """The other clock minus this one, t by the other."""
        return replace(self, offset=-self.offset, drift=-self.drift / (1 - self.drift), at=self.at - self.offset)

    def beyond(self, other: Clock) -> Clock:
        """This clock minus the one that `other` is relative to: this one is relative to `other`'s clock."""
        there = other.offset + other.drift * (self.at - self.offset - other.at)
        drift = self.drift + other.drift * (1 - self.drift)
        return Clock(self.offset + there, self.error + other.error, drift, self.at, min(self.count, other.count))


def estimate(seen: Evidence) -> Clock | None:
    """The second sensor's clock minus the first's; None where too little agrees. n log n in the conversations."""
    agreed = _agreed(seen)
    if agreed is None:
        return None
    at, offset, drift, member = _line(seen, agreed)
    rest = drift * (seen.at[member] - at)
    forward, back = seen.forward[member] - rest, seen.back[member] - rest
    two_way = ~np.isnan(back)
    count = int(member.sum())
    if two_way.sum() >= min(_ENOUGH, count):
        offset, error, spread = _both_ways(forward[two_way], back[two_way])
    else:
        spread = _spread(forward)
        offset = float(np.median(forward))
        error = ONE_WAY + _Z * spread
    if drift:
        error += _Z * spread * float(np.sqrt(3 / count))  # of the slope, at either end of the time seen
    return Clock(offset, error, drift, at, count)


def _agreed(seen: Evidence) -> NDArray[np.bool_] | None:
    """Which conversations agree on an offset within the window; None where others agree on another, or too few do."""
    if not len(seen.forward):
        return None
    start, count = _densest(np.sort(seen.forward))
    member = (seen.forward >= start) & (seen.forward <= start + _WINDOW)
    if count < _ENOUGH:
        strong = seen.strong & (np.abs(seen.forward) <= _WINDOW)
        return strong if strong.any() and strong.sum() == len(seen.forward) else None
    if count < _PART * len(seen.forward):
        return None
    # a drift of the whole allowed size moves neighbours past the window: they are no rivals
    rivals = seen.forward[(seen.forward < start - _WINDOW) | (seen.forward > start + 2 * _WINDOW)]
    near = np.abs(rivals - (start + _WINDOW / 2)) <= _WINDOW + _MOST_DRIFT * float(np.ptp(seen.at))
    rivals = np.sort(rivals[~near])
    if len(rivals) and 2 * _densest(rivals)[1] > count:
        return None
    return member


def _densest(ordered: Floats) -> tuple[float, int]:
    """Where the window that holds most of the values begins, and how many it holds."""
    counts = np.searchsorted(ordered, ordered + _WINDOW, side="right") - np.arange(len(ordered))
    best = int(np.argmax(counts))
    return float(ordered[best]), int(counts[best])


def _line(seen: Evidence, member: NDArray[np.bool_]) -> tuple[float, float, float, NDArray[np.bool_]]:
    """Where, how much and how fast the clocks differ, and which conversations lie on that line.

    The slope is the median of those between pairs (Theil and Sen), which a quarter of wrong ones does not move. What lay
    outside the window only because of the drift is taken in.
    """
    at = float(np.median(seen.at[member]))
    offset, drift = float(np.median(seen.forward[member])), 0.0
    for _ in range(3):
        x, y = seen.at[member], seen.forward[member]
        if len(x) < _DRIFT_COUNT or np.ptp(x) < _DRIFT_SPAN:
            break
        slope = _slope(x - at, y)
        level = float(np.median(y - slope * (x - at)))
        spread = _spread(y - slope * (x - at))
        if abs(slope) > _MOST_DRIFT or abs(slope) * np.ptp(x) < _Z * spread * float(np.sqrt(12 / len(x))):
            break
        offset, drift = level, slope
        within = max(100_000.0, 8 * spread)
        member = np.abs(seen.forward - offset - drift * (seen.at - at)) <= within
    away = np.abs(seen.forward - offset - drift * (seen.at - at))
    near = member & (away <= max(2_000.0, 8 * _spread(seen.forward[member] - drift * (seen.at[member] - at))))
    return at, offset, drift, near if near.any() else member


def _slope(x: Floats, y: Floats) -> float:
    """The median slope between pairs of points that are some time apart."""
    order = np.argsort(x, kind="stable")
    if len(order) > _SLOPES_OF:
        order = order[np.linspace(0, len(order) - 1, _SLOPES_OF).astype(np.int64)]
    a, b = np.triu_indices(len(order), 1)
    apart = x[order][b] - x[order][a]
    far = apart >= np.ptp(x) / 4
    return float(np.median((y[order][b] - y[order][a])[far] / apart[far])) if far.any() else 0.0


def _both_ways(forward: Floats, back: Floats) -> tuple[float, float, float]:
    """Offset, its error and the spread of what it is made of, from conversations of which both ways are known.

    Of these the quarter that was least long under way counts, at least five: waiting in queues is what makes ways unequal.
    The bound is the longest of that quarter, since noise makes some look shorter than any was.
    """
    middle, half = (forward + back) / 2, np.abs(back - forward) / 2
    least = float(np.sort(half)[min(len(half) - 1, max(4, len(half) // 4))])
    chosen = half <= least
    offset = float(np.median(middle[chosen]))
    spread = _spread(middle[chosen])
    error = least + _Z * _MEDIAN * spread / float(np.sqrt(chosen.sum())) + 1.0
    return offset, error, spread


def _spread(values: Floats) -> float:
    """The standard deviation, as told from the median: some wild ones do not move it."""
    return _MAD * float(np.median(np.abs(values - np.median(values)))) if len(values) else 0.0
