"""Which rules a small change concerns: what none of them matches meets the same rules on both sides."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from workbench.policy.resolved import Meant, Resolved

#: How many rules may differ before looking only at what they touch costs more than looking at everything.
_FEW: Final = 100


def changed_rules(old: Resolved, new: Resolved) -> list[Meant] | None:
    """The rules that are not in both in one order, where they are few; None where everything may have changed.

    A packet that none of them matches meets the same rules in the same order on both sides, so only theirs need judging.
    """
    if (old.internal, old.default) != (new.internal, new.default):
        return None
    where: dict[tuple[object, ...], int] = {}
    for n, meant in enumerate(new.rules):
        where.setdefault(meant.key(), n)
    pairs: list[tuple[int, int]] = []
    seen: set[int] = set()
    for i, meant in enumerate(old.rules):
        n = where.get(meant.key(), -1)
        if n >= 0 and n not in seen:
            seen.add(n)
            pairs.append((i, n))
    kept = _ascending([n for _, n in pairs])
    ours = {pairs[k][0] for k in kept}
    theirs = {pairs[k][1] for k in kept}
    out = [m for i, m in enumerate(old.rules) if i not in ours] + [m for i, m in enumerate(new.rules) if i not in theirs]
    return out if len(out) <= _FEW else None


def _ascending(values: list[int]) -> list[int]:
    """Places of a longest ascending part of a list (patience sorting)."""
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for place, value in enumerate(values):
        at = bisect_left(tails, value)
        before.append(ends[at - 1] if at else -1)
        tails[at : at + 1] = [value]
        ends[at : at + 1] = [place]
    out: list[int] = []
    place = ends[-1] if ends else -1
    while place >= 0:
        out.append(place)
        place = before[place]
    return out[::-1]


def touching(rules: Sequence[Meant], changed: Sequence[Meant]) -> list[Meant]:
    """The rules that may share packets with one of these."""
    return [meant for meant in rules if any(_near(meant, other) for other in changed)]


def _near(one: Meant, other: Meant) -> bool:
    """Whether two rules may share packets, by the outermost addresses of each: quick, and never wrongly no."""
    a, b = one.dst.ranges, other.dst.ranges
    if not a or not b or a[0][0] > b[-1][1] or b[0][0] > a[-1][1]:
        return False
    a, b = one.src.ranges, other.src.ranges
    return bool(a and b) and a[0][0] <= b[-1][1] and b[0][0] <= a[-1][1]
