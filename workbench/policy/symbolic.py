"""What policies let through, for all packets at once: differences, equality, containment, what never gets through, idle rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from workbench.policy.addresses import AddressSet
from workbench.policy.decisions import store_kernel as K  # noqa: N812
from workbench.policy.decisions.listing import Listing, Measured
from workbench.policy.decisions.verdicts import ALLOW, DENY, REJECT, UNMANAGED, Judges
from workbench.policy.idle import Idle, idle, needless
from workbench.policy.reference import with_verdict
from workbench.policy.resolved import Resolved
from workbench.policy.rows import Example, Row, Rows, listed
from workbench.policy.services import Box
from workbench.policy.touched import changed_rules, touching

__all__ = [
    "BLOCKED", "KINDS", "Difference", "Example", "Idle", "Row", "Rows", "difference", "idle", "let_through", "needless",
    "newly_allowed", "with_verdict",
]  # fmt: skip

#: Verdicts that stop a packet.
BLOCKED: Final = frozenset({"deny", "reject"})

#: Kinds of change, and what they are.
KINDS: Final = {
    "allowed": "stopped before, let through now",
    "denied": "let through before, stopped now",
    "rejected": "denied before without an answer, rejected with one now",
    "silenced": "rejected with an answer before, denied without one now",
    "managed": "passed on as nobody's before, allowed by a rule or the default now",
    "unmanaged": "allowed by a rule or the default before, passed on as nobody's now",
}
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Difference:
    """What a change lets through that was stopped, stops that was let through, and says otherwise to the same effect (KINDS)."""

    allowed: Rows
    denied: Rows
    rejected: Rows
    silenced: Rows
    managed: Rows
    unmanaged: Rows

    def __bool__(self) -> bool:
        """Whether any packet gets another verdict."""
        return any(rows.packets for _, rows in self.kinds())

    @property
    def passage(self) -> bool:
        """Whether any packet is let through that was stopped, or the other way round."""
        return bool(self.allowed.packets or self.denied.packets)

    def kinds(self) -> Iterator[tuple[str, Rows]]:
        """Every kind of change with its rows, those without any too."""
        return ((kind, getattr(self, kind)) for kind in KINDS)


def difference(old: Resolved, new: Resolved, most: int = 1000) -> Difference:
    """What gets another verdict, exactly; at most so many rows of each kind are listed, the widest first."""
    changed = changed_rules(old, new)
    judged = [(one, one.rules if changed is None else touching(one.rules, changed)) for one in (old, new)]
    asked = [(meant.src, meant.dst, meant.boxes) for meant in changed or ()]

    def family(wide: int) -> list[Listing | None]:
        judges = Judges(wide, judged, asked)
        measured = Measured(judges.space, judges.changes(_CHANGES))
        return [Listing(measured, kind) if kind in measured.outcomes else None for kind in range(1, len(KINDS) + 1)]

    return Difference(*(listed(parts, most) for parts in zip(*_families(family), strict=True)))


def newly_allowed(old: Resolved, new: Resolved) -> Rows:
    """What new lets through and old does not: nothing where new is contained in old."""
    return difference(old, new).allowed


def let_through(resolved: Resolved, src: AddressSet, dst: AddressSet, boxes: tuple[Box, ...], most: int = 1000) -> Rows:
    """What of these packets is not stopped: nothing where the policy keeps `never`."""

    def family(wide: int) -> Listing:
        judges = Judges(wide, [(resolved, resolved.rules)], [(src, dst, boxes)])
        return Listing(Measured(judges.space, judges.changes(_PASSES)), 1)

    return listed(_families(family), most)


def _families(work: Callable[[int], _T]) -> list[_T]:
    """IPv4 and IPv6, at once: kernels run beside each other."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, (32, 128)))


def _changes() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    kinds = np.zeros((8, 8), np.uint8)
    number = {kind: n for n, kind in enumerate(KINDS, 1)}
    for passing in (ALLOW, UNMANAGED):
        for stopping in (DENY, REJECT):
            kinds[stopping, passing] = number["allowed"]
            kinds[passing, stopping] = number["denied"]
    kinds[DENY, REJECT], kinds[REJECT, DENY] = number["rejected"], number["silenced"]
    kinds[UNMANAGED, ALLOW], kinds[ALLOW, UNMANAGED] = number["managed"], number["unmanaged"]
    return kinds


_CHANGES: Final = _changes()
_PASSES: Final = np.zeros((8, 8), np.uint8)
_PASSES[[ALLOW, UNMANAGED], K.NONE] = 1
