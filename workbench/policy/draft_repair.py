"""The smallest repair: rules added before those that decide wrongly, until what must get through does and the rest does not.

Small in packets: at breadth `exact` no connection changes its verdict but those that must. What is in the policy stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from workbench.policy import addresses
from workbench.policy.draft import Drafted
from workbench.policy.draft_cut import connection
from workbench.policy.draft_judged import Judged, judge
from workbench.policy.draft_peers import Peers, unsaid
from workbench.policy.draft_rules import Product, joined, merged, widened
from workbench.policy.draft_seen import Edge, Evidence, Who, summed
from workbench.policy.draft_text import Groups, Names, evidence_note, flows, rule_name
from workbench.policy.model import TIERS, Policy, Rule

#: The last priority of a tier.
_LAST: Final = 65535

Slot = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Repaired:
    """added: rules that are new, none where the policy held already. conflicts: connections that must be both.

    drafted: None where it cannot be: for conflicts, or since no place before the rules that decide is free.
    """

    drafted: Drafted | None
    added: tuple[Rule, ...] = ()
    conflicts: tuple[Edge, ...] = ()


def repair(policy: Policy, allow: Sequence[Edge], block: Sequence[Edge], known: Sequence[Who] = (), breadth: int = 0) -> Repaired:
    """Rules so that every edge of `allow` gets through and none of `block` does."""
    both = {connection(edge) for edge in allow} & {connection(edge) for edge in block}
    if both:
        return Repaired(None, conflicts=tuple(edge for edge in block if connection(edge) in both))
    edges = [*allow, *block]
    judged = judge(policy, edges)
    wanted = np.array([False] * len(allow) + [True] * len(block), bool)
    wrong = judged.stopped != wanted
    if not wrong.any():
        return Repaired(Drafted(policy, {}, (), ("the policy does it already: nothing is added",), breadth))
    stopped = [edge for edge, no in zip(allow, wrong[: len(allow)], strict=True) if no]
    let_in = [edge for edge, yes in zip(block, wrong[len(allow) :], strict=True) if yes]
    peers = Peers(known, addresses.ANY)
    products = [
        ("deny", product) for product in merged(widened(let_in, allow, peers, breadth), breadth)
    ] + [("allow", product) for product in merged(widened(stopped, block, peers, breadth), breadth)]  # fmt: skip
    for slot in _slots(policy, judged, wrong, 1 if breadth == 0 else 2):
        made, evidence, added = _with(policy, products, slot)
        if bool((judge(made, edges).stopped == wanted).all()):
            through, out = flows(summed(stopped).flows), flows(summed(let_in).flows)
            whole = f"{flows(summed(allow).flows)} that must get through, {flows(summed(block).flows)} that must not"
            added_note = (
                f"repair: {len(added)} rules added; {through} let through that were stopped, {out} stopped that got through"
            )
            notes = (added_note, f"holds for all: {whole}", *(unsaid(known) if breadth else ()))
            return Repaired(Drafted(made, evidence, (), notes, breadth), added)
    return Repaired(None)


def _slots(policy: Policy, judged: Judged, wrong: Any, need: int) -> Iterator[Slot]:
    """Free places before what decides wrongly, the latest first: tier, and priorities of denials and of what is let through.

    need: 1 where the two have no packet in common, so that one priority does for both.
    """
    first = min(int(n) for n in np.where(judged.decided[wrong] < 0, len(judged.rules), judged.decided[wrong]))
    used: dict[str, set[int]] = {tier: {rule.priority for rule in policy.rules if rule.tier == tier} for tier in TIERS}
    if first < len(judged.rules):
        rule = judged.rules[first]
        tiers = TIERS[: TIERS.index(rule.tier) + 1]
        before = rule.priority
    else:
        tiers, before = TIERS[: TIERS.index("app") + 1], _LAST + 1
        yield from _pair("default", _LAST + 1, used["default"], below=max(used["default"], default=-1), need=need)
    for tier in reversed(tiers):
        near = max((priority for priority in used[tier] if priority < before), default=-1)
        yield from _pair(tier, before, used[tier], below=near, need=need)  # not over rules that need not be jumped over
        yield from _pair(tier, before, used[tier], below=-1, need=need)
        before = _LAST + 1
    for tier in tiers[:1]:
        yield from _pair(tier, min(used[tier], default=_LAST + 1), used[tier], below=-1, need=need)


def _pair(tier: str, before: int, used: set[int], *, below: int, need: int) -> Iterator[Slot]:
    """One or two free priorities of a tier, the highest that are below `before` and above `below`."""
    # round numbers where there are any, so that there is room around them
    for step in (100, 10, 1):
        top = (before - 1) // step * step
        candidates = range(min(top, _LAST), below if step == 1 else max(below, 0), -step)
        free = [priority for _, priority in zip(range(4), (p for p in candidates if p not in used), strict=False)]
        if len(free) >= need:
            yield tier, free[need - 1], free[0]
            return


def _with(
    policy: Policy, products: Sequence[tuple[str, Product]], slot: Slot
) -> tuple[Policy, dict[str, Evidence], tuple[Rule, ...]]:
    tier, first, second = slot
    names, groups = Names(rule.name for rule in policy.rules), Groups(Names(policy.groups))
    rules: list[dict[str, Any]] = []
    evidence: dict[str, Evidence] = {}
    for action, product in products:
        name = names.give(f"{'no-' if action == 'deny' else ''}{rule_name(product)}")
        rules.append(
            {
                "name": name, "tier": tier, "priority": first if action == "deny" else second, "action": action,
                "from": groups.words(product.src, f"{name}-from"), "to": groups.words(product.dst, f"{name}-to"),
                "services": [service.text() for service in joined(product.services)],
            }
        )  # fmt: skip
        evidence[name] = summed(product.edges)
        evidence[name].notes = [f"must be {'stopped' if action == 'deny' else 'let through'}; {evidence_note(evidence[name])}"]
    said = policy.model_dump(by_alias=True, exclude_defaults=True)
    said["defaults"] = {"east_west": policy.defaults.east_west}
    said["groups"] = {**said.get("groups", {}), **groups.made}
    said["rules"] = [*said.get("rules", ()), *rules]
    made = Policy.model_validate(said)
    return made, evidence, tuple(made.rules[-len(rules) :])
