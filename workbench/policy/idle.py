"""Rules without which a policy says the same: those that no packet reaches, and those that decide what others would as well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np

from workbench.errors import PolicyError
from workbench.policy.decisions import store_kernel as K  # noqa: N812
from workbench.policy.decisions.space import Space
from workbench.policy.decisions.store import NOTHING, Store, leaf
from workbench.policy.decisions.verdicts import OUTCOMES, UNMANAGED, tiers
from workbench.policy.resolved import Resolved
from workbench.policy.services import ANY

#: Rules that can be told apart (decisions.store).
MOST_RULES: Final = 40_000


@dataclass(frozen=True, slots=True)
class Idle:
    """A rule without which the policy says the same.

    kind: `empty` (nobody is meant), `redundant` (those before say the same), `shadowed` (those before say otherwise): all of
    these can go at once; or `needless` (packets reach it, and those behind it say the same): it can go by itself or with those,
    but of two that say the same not both. covered_by: the rules that take its packets, or would.
    """

    rule_id: str
    kind: str
    covered_by: tuple[str, ...]


def idle(resolved: Resolved) -> list[Idle]:
    """Rules that no packet reaches, in the order in which rules are tried."""
    return [one for one in without_effect(resolved) if one.kind != "needless"]


def needless(resolved: Resolved) -> list[Idle]:
    """Rules that packets reach, and without which every packet gets the same verdict; in the order in which rules are tried."""
    return [one for one in without_effect(resolved) if one.kind == "needless"]


def without_effect(resolved: Resolved) -> list[Idle]:
    """Both. PolicyError for more than MOST_RULES rules."""
    if len(resolved.rules) > MOST_RULES:
        raise PolicyError(f"{len(resolved.rules)} rules: only {MOST_RULES} can be told apart", "Check parts of the policy.")
    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(lambda wide: _Family(wide, resolved), (32, 128)))

        def both(work: Callable[[_Family], None]) -> None:
            list(pool.map(work, parts))

        reached = parts[0].reached | parts[1].reached
        meant = parts[0].meant | parts[1].meant
        out = {n: Idle(rule.rule_id, "empty", ()) for n, rule in enumerate(resolved.rules) if n not in meant}
        lost = [n for n in range(len(resolved.rules)) if n in meant and n not in reached]
        both(lambda part: part.takers(lost))
        for n in lost:
            by = sorted(parts[0].taken.get(n, set()) | parts[1].taken.get(n, set()))
            same = all(resolved.rules[one].rule.action == resolved.rules[n].rule.action for one in by)
            out[n] = Idle(resolved.rules[n].rule_id, "redundant" if same else "shadowed", _ids(resolved, by))
        both(lambda part: part.mark(lost))
        marks = parts[0].store.marks | parts[1].store.marks
        for part in parts:
            part.store.marks[:] = marks
        both(_Family.cover)
        for n in sorted(reached):
            if marks[n + 1, 0] and not marks[n + 1, 1]:
                by = sorted({one - 1 for part in parts for one in part.instead.get(n + 1, ())})
                out[n] = Idle(resolved.rules[n].rule_id, "needless", _ids(resolved, by))
    return [out[n] for n in sorted(out)]


def _ids(resolved: Resolved, numbers: Sequence[int]) -> tuple[str, ...]:
    behind = [f"{resolved.name}/default", "unmanaged"]
    return tuple(resolved.rules[n].rule_id if n < len(resolved.rules) else behind[n - len(resolved.rules)] for n in numbers)


@dataclass(slots=True)
class _Tier:
    """first, behind: its rules. said: who decides in it; after: who decides behind it; reach: what comes to it."""

    first: int
    behind: int
    said: int
    after: int = NOTHING
    reach: int = NOTHING
    pairs: int = NOTHING


class _Family:
    """One address family. Outcomes are rules from 1 on, then the default, then nobody."""

    def __init__(self, wide: int, resolved: Resolved) -> None:
        rules = resolved.rules
        verdicts = [OUTCOMES[meant.rule.action] for meant in rules]
        self.store = Store([0, *verdicts, OUTCOMES[resolved.default], UNMANAGED], 2 * len(rules))
        products = [(meant.src, meant.dst, meant.boxes) for meant in rules]
        self._space = Space(wide, [*products, (resolved.internal, resolved.internal, (ANY,))], self.store)
        count = len(rules)
        after = self.store.apply(K.SEQ, self._fold(count, count + 1), leaf(count + 2))
        self._tiers = [_Tier(first, behind, self._fold(first, behind)) for first, behind in tiers(rules)]
        for tier in reversed(self._tiers):
            tier.after = after
            after = self.store.apply(K.TIER, tier.said, after)
        reach = leaf(1)
        self.reached: set[int] = set()
        for tier in self._tiers:
            tier.reach = reach
            self.reached.update(int(one) - 1 for one in self.store.met(tier.said, reach))
            reach = self.store.apply(K.OPEN, tier.said, reach)
        self.meant = self._space.owners() - {count}
        self.taken: dict[int, set[int]] = {}
        self.instead: dict[int, list[int]] = {}

    def _fold(self, first: int, behind: int) -> int:
        return self.store.fold(K.SEQ, self._space.diagrams(first, behind, range(first + 1, behind + 1)))

    def takers(self, rules: Sequence[int]) -> None:
        """Which rules take the packets of these, which reach none of them."""
        for n, tier in enumerate(self._tiers):
            mine = [one for one in rules if tier.first <= one < tier.behind and one in self.meant]
            if not mine:
                continue
            said = tier.said
            for before in reversed(self._tiers[:n]):
                said = self.store.apply(K.TIER, before.said, said)
            for one in mine:
                self.taken[one] = {int(by) - 1 for by in self.store.met(said, self._fold(one, one + 1))}

    def mark(self, lost: Sequence[int]) -> None:
        """Which rules decide, and which change what is decided: with all others, or without those that no packet reaches."""
        self.store.marks[:] = 0
        for tier in self._tiers:
            alone = [self.store.alone(n + 1) for n in range(tier.first, tier.behind)]
            parts = self._space.diagrams(tier.first, tier.behind, alone)
            kept = np.isin(self._space.owners_of(tier.first, tier.behind), lost, invert=True)
            tier.pairs = self.store.fold(K.TWO, parts[kept])
            ways = [tier.pairs] if kept.all() else [tier.pairs, self.store.fold(K.TWO, parts)]
            for pairs in ways:
                self.store.apply(K.MARK, pairs, self.store.apply(K.AND, tier.after, tier.reach))

    def cover(self) -> None:
        """Who would decide instead of those that decide in vain."""
        for tier in self._tiers:
            self.store.apply(K.COVER, tier.pairs, self.store.apply(K.AND, tier.after, tier.reach))
        self.instead = self.store.instead()
