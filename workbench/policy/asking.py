"""What a policy says of some sets of packets, each asked about by its place: which verdicts they get, and a packet for each."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from workbench.policy import examples
from workbench.policy.decisions import store_kernel as K  # noqa: N812
from workbench.policy.decisions.listing import Listing, Measured
from workbench.policy.decisions.runs import of_diagram
from workbench.policy.decisions.space import Product
from workbench.policy.decisions.store import NOTHING
from workbench.policy.decisions.verdicts import OUTCOMES, Judges
from workbench.policy.resolved import Resolved
from workbench.policy.rows import Example

_WIDTHS = (32, 128)
_CALLED = {number: verdict for verdict, number in OUTCOMES.items()}


class Asked:
    """A policy and products of packets. Made once for all of them: the policy costs most."""

    def __init__(self, resolved: Resolved, products: Sequence[Product]) -> None:
        with ThreadPoolExecutor(2) as pool:  # kernels of the two families run beside each other
            self._judges = list(pool.map(lambda wide: Judges(wide, [(resolved, resolved.rules)], products), _WIDTHS))
            self._said = list(pool.map(lambda judges: judges.verdicts(0), self._judges))

    def verdicts(self, nth: int) -> frozenset[str]:
        """Every verdict that some packet of the nth product gets; none where it has no packet."""
        out: set[str] = set()
        for judges, said in zip(self._judges, self._said, strict=True):
            within = judges.asked(nth, nth + 1)
            if within != NOTHING:
                out.update(_CALLED[int(number)] for number in judges.store.met(said, within) if number)
        return frozenset(out)

    def packet(self, nth: int, verdict: str) -> Example | None:
        """A packet of the nth product that gets this verdict; None where none does."""
        for wide, judges, said in zip(_WIDTHS, self._judges, self._said, strict=True):
            root = judges.store.apply(K.AND, said, judges.asked(nth, nth + 1))
            inside = Measured(judges.space, of_diagram(judges.space, root))
            found = Listing(inside, OUTCOMES[verdict]).rows(1)
            if found:
                proto, dst, dport, src, sport = found[0]
                return examples.of_product((proto, dst, dport, src, sport), wide)
        return None
