"""What every reader gives beside claims: what it could not use, where that stood, and how much there was."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from workbench.records.claims import Claim

#: Places of each cause that are told.
_PLACES: Final = 5
#: Causes that are told apart; what a hostile document says never becomes a cause of its own.
_CAUSES: Final = 64


@dataclass(slots=True)
class Told:
    """Collects while a document is read. objects: things that were read, used or not.

    bad: (cause, count, places) is what `refused` gives. first, last: earliest and latest time met in it.
    """

    objects: int = 0
    claims: list[Claim] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    gaps: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    first: dt.datetime | None = None
    last: dt.datetime | None = None
    _bad: Counter[str] = field(default_factory=Counter)
    _where: dict[str, list[str]] = field(default_factory=dict)

    def claim(self, claim: Claim) -> None:
        """One more."""
        self.claims.append(claim)
        self.kinds[claim.kind] += 1
        for at in (claim.ts_from, claim.ts_to, claim.ts_seen):
            self.met(at)

    def met(self, at: dt.datetime | None) -> None:
        """A time that the document has."""
        if at is not None:
            self.first = at if self.first is None else min(self.first, at)
            self.last = at if self.last is None else max(self.last, at)

    def bad(self, cause: str, where: str) -> None:
        """Something that could not be used: why, in words of ours, and where it stood."""
        if cause not in self._bad and len(self._bad) >= _CAUSES:
            cause = "other causes"
        self._bad[cause] += 1
        places = self._where.setdefault(cause, [])
        if len(places) < _PLACES:
            places.append(where)

    def refused(self) -> list[tuple[str, int, str]]:
        """What could not be used: cause, how many, where the first of them stood."""
        return [(cause, count, ", ".join(self._where[cause])) for cause, count in sorted(self._bad.items())]

    def take(self) -> list[Claim]:
        """Claims since the last call."""
        taken, self.claims = self.claims, []
        return taken
