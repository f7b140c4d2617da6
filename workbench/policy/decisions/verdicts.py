"""What policies say of all packets of one family: a diagram a policy, of verdicts, or of the rules that decide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workbench.policy.decisions import lists
from workbench.policy.decisions import store_kernel as K  # noqa: N812
from workbench.policy.decisions.runs import Runs, of_diagram
from workbench.policy.decisions.space import Product, Space
from workbench.policy.decisions.store import NOTHING, Store, leaf
from workbench.policy.model import TIERS
from workbench.policy.resolved import Meant, Resolved
from workbench.policy.services import ANY

#: Verdicts as outcomes.
OUTCOMES: Final = {"allow": 1, "deny": 2, "reject": 3, "unmanaged": 4, "pass": K.PASS}
ALLOW, DENY, REJECT, UNMANAGED = 1, 2, 3, 4


class Judges:
    """Policies in one space. asked: what else will be asked about, each by its place."""

    def __init__(self, wide: int, policies: Sequence[tuple[Resolved, Sequence[Meant]]], asked: Sequence[Product] = ()) -> None:
        products: list[Product] = []
        self._products = products
        self._at: list[int] = []
        self._policies = policies
        for resolved, rules in policies:
            self._at.append(len(products))
            products += [(meant.src, meant.dst, meant.boxes) for meant in rules]
            products.append((resolved.internal, resolved.internal, (ANY,)))
        self._asked_at = len(products)
        products += asked
        self.store = Store((0, ALLOW, DENY, REJECT, UNMANAGED, K.PASS), len(products))
        self.space = Space(wide, products, self.store)

    def verdicts(self, nth: int) -> int:
        """The verdict on every packet, of one of the policies."""
        rules, at = self._policies[nth][1], self._at[nth]
        after = self._default(nth)
        for n, (first, behind) in enumerate(reversed(tiers(rules))):
            said = [OUTCOMES[meant.rule.action] for meant in rules[first:behind]]
            parts = self.space.diagrams(at + first, at + behind, said)
            if n == 0 and K.PASS not in said:  # what comes behind the last tier is only one rule more
                after = self.store.fold(K.SEQ, np.append(parts, after))
            else:
                after = self.store.apply(K.TIER, self.store.fold(K.SEQ, parts), after)
        return after

    def _default(self, nth: int) -> int:
        resolved, rules = self._policies[nth]
        at = self._at[nth] + len(rules)
        inside = self.space.diagrams(at, at + 1, [OUTCOMES[resolved.default]])
        return self.store.apply(K.SEQ, int(inside[0]) if len(inside) else NOTHING, leaf(UNMANAGED))

    def changes(self, kinds: NDArray[np.uint8]) -> Runs:
        """Kinds of change from the first policy to the second (to no verdict where there is none), in what is asked about if any.

        kinds: by verdict before and after, 8 by 8; nothing asked about, 0 for what nobody decides. Once.
        """
        within = len(self._products) > self._asked_at
        second = len(self._policies) > 1
        unsaid = UNMANAGED, UNMANAGED if second else K.NONE
        found = lists.changes(self.space, self._rules(), unsaid, kinds, within=within)
        if found is not None:
            return found
        root = self.store.changes(kinds, self.verdicts(0), self.verdicts(1) if second else leaf(K.NONE))
        if within:
            root = self.store.apply(K.AND, root, self.asked(0, len(self._products) - self._asked_at))
        return of_diagram(self.space, root)

    def _rules(self) -> lists.Rules:
        out = lists.Rules()
        for whose, (resolved, rules) in enumerate(self._policies):
            at = self._at[whose]
            behind = at + len(rules) + 1
            for first, last in tiers(rules):
                out.tiers += [at + last] * (last - first)
            out.tiers.append(behind)
            out.policies += [behind] * (len(rules) + 1)
            out.verdicts += [OUTCOMES[meant.rule.action] for meant in rules] + [OUTCOMES[resolved.default]]
            out.whose += [whose] * (len(rules) + 1)
        count = len(self._products) - self._asked_at
        out.tiers += [len(self._products)] * count
        out.policies += [len(self._products)] * count
        out.verdicts += [1] * count
        out.whose += [lists.ASKED] * count
        return out

    def asked(self, first: int, behind: int) -> int:
        """1 for the packets of any of what was asked about."""
        at = self._asked_at
        return self.store.fold(K.SEQ, self.space.diagrams(at + first, at + behind, [1] * (behind - first)))


def tiers(rules: Sequence[Meant]) -> list[tuple[int, int]]:
    """Where the rules of each tier begin and end, in order; tiers without rules left out."""
    numbers = [TIERS.index(meant.rule.tier) for meant in rules]
    edges = [n for n in range(len(rules)) if n == 0 or numbers[n] != numbers[n - 1]]
    return list(zip(edges, [*edges[1:], len(rules)], strict=False))
