"""NetworkPolicy and GlobalNetworkPolicy of projectcalico.org/v3 and crd.projectcalico.org/v1.

A stage for each tier, by order; in it the policies by order, then name; the first rule that matches decides; whoever a policy of
the tier selects is denied the rest (or passed on, where the tier says so). Behind the last tier everything is accepted, as the
profiles of Kubernetes' namespaces say.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from workbench.policy.foreign import calico_who, who
from workbench.policy.foreign.calico_services import services
from workbench.policy.foreign.cluster import Cluster
from workbench.policy.foreign.objects import Field, Kinds, Object
from workbench.policy.foreign.ports import ALL
from workbench.policy.foreign.stages import Action, Entry, Made, Stage, policy_of
from workbench.policy.foreign.who import ANYBODY, Loads, Nets, Who

_POLICIES: Final = ("NetworkPolicy", "GlobalNetworkPolicy")
_SETS: Final = ("NetworkSet", "GlobalNetworkSet", "Tier")
KINDS: Final[Kinds] = {("projectcalico.org", "v3"): _POLICIES, ("crd.projectcalico.org", "v1"): _POLICIES}
NAMESPACED: Final = frozenset({"NetworkPolicy"})
FACTS: Final[Kinds] = {("projectcalico.org", "v3"): _SETS, ("crd.projectcalico.org", "v1"): _SETS}
CAUTION: Final = "Calico lets a node reach its own pods unless told not to, which no rule here does; HostEndpoints are not known"

DEFAULT_TIER: Final = "default"
_DEFAULT_ORDER: Final = 1_000_000.0
_ACTIONS: Final[dict[str, Action]] = {"Allow": "accept", "Deny": "deny", "Pass": "pass"}
_FAMILIES: Final[dict[int, Who]] = {4: Nets(("0.0.0.0/0",)), 6: Nets(("::/0",))}
_WHOLE_HOSTS: Final = ("doNotTrack", "preDNAT", "applyOnForward")


@dataclass(frozen=True, slots=True)
class Read:
    """One policy by direction: egress, ingress. applies: whether it is of it, so that the rest is the tier's to decide."""

    one: Object
    tier: Field | None
    order: float
    subject: Who
    applies: tuple[bool, bool]
    entries: tuple[list[Entry], list[Entry]]

    def tier_name(self) -> str:
        """The tier that it is in."""
        return self.tier.text() if self.tier is not None else DEFAULT_TIER

    def key(self) -> tuple[float, str]:
        """Its place in the tier. Names are kept with their tier in front."""
        return self.order, self.one.name.removeprefix(f"{self.tier_name()}.")


def read(one: Object, cluster: Cluster) -> Read:
    """One policy."""
    spec = one.spec()
    spec.refuse("who a service account belongs to is not in the index", "serviceAccountSelector")
    wide = one.kind == "GlobalNetworkPolicy"
    keys = ("tier", "order", "selector", "types", "ingress", "egress", "performanceHints")
    spec.only(*keys, *(("namespaceSelector", *_WHOLE_HOSTS) if wide else ()))
    for key in _WHOLE_HOSTS:
        if (said := spec.get(key)) is not None and said.truth():
            raise said.wrong(f"`{key}` is about what passes through a host, before or without its connections")
    around: Who = calico_who.spaces(spec.get("namespaceSelector"), cluster) if wide else Loads((one.namespace,))
    subject = who.both(around, calico_who.pods(spec.get("selector"), cluster))
    types = _types(spec)
    entries: tuple[list[Entry], list[Entry]] = ([], [])
    for into, side in enumerate(("egress", "ingress")):
        for n, rule in enumerate(spec.listed(side)):
            made = list(_rule(one, rule, (bool(into), f"{side}[{n}]"), subject, cluster))
            if side in types:
                entries[into].extend(made)
            else:
                cluster.notes[f"{rule.file}:{rule.line}: {side} means nothing, since types does not say it"] = None
    return Read(one, spec.get("tier"), order_of(spec), subject, ("egress" in types, "ingress" in types), entries)


def order_of(spec: Field) -> float:
    """Absent: behind all others."""
    said = spec.get("order")
    if said is None:
        return math.inf
    try:
        found = float(said.value) if isinstance(said.value, int | str) and not isinstance(said.value, bool) else math.nan
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise said.wrong("a number belongs here")
    return found


def _types(spec: Field) -> set[str]:
    said = spec.listed("types")
    if said:
        return {one.word("Ingress", "Egress").lower() for one in said}
    if not spec.listed("egress"):
        return {"ingress"}
    return {"egress", "ingress"} if spec.listed("ingress") else {"egress"}


def _rule(one: Object, rule: Field, where: tuple[bool, str], subject: Who, cluster: Cluster) -> Iterator[Entry]:
    into, said = where
    rule.refuse("our rules end at ports", "http")
    rule.only("action", "protocol", "notProtocol", "icmp", "notICMP", "ipVersion", "source", "destination", "metadata")
    action = rule.need("action").word("Allow", "Deny", "Pass", "Log")
    source, destination = rule.get("source"), rule.get("destination")
    if source is not None:
        source.refuse("our rules have no source ports", "ports", "notPorts")
    src, dst = (calico_who.entity(end, one.namespace, cluster) if end is not None else ANYBODY for end in (source, destination))
    if (version := rule.get("ipVersion")) is not None:
        if version.value not in _FAMILIES:
            raise version.wrong("is neither 4 nor 6")
        src = who.both(src, _FAMILIES[version.value])
    src, dst = (src, who.both(subject, dst)) if into else (who.both(subject, src), dst)
    plain, named = services(rule, destination)
    pieces = [(dst, plain)]
    for port, protocol in named:
        pieces += cluster.named(port, protocol, dst)
    if action == "Log":
        cluster.notes[f"{rule.file}:{rule.line}: {said} only logs, and is left out"] = None
        return
    name = f"{one.name}-{said.replace('[', '-').rstrip(']')}"
    for to, wanted in pieces:
        yield Entry(src, to, wanted, _ACTIONS[action], name, f"{one.title()}: {said}")


def made(name: str, found: Sequence[Read], cluster: Cluster) -> Made:
    """The policy that all of them make: a stage a tier, in their order."""
    tiers: dict[str, list[Read]] = defaultdict(list)
    for one in found:
        tiers[one.tier_name()].append(one)
    placed = sorted((_tier(tier, policies[0], cluster), tier) for tier, policies in tiers.items())
    sides: tuple[list[Stage], list[Stage]] = ([], [])
    for (_, action), tier in placed:
        policies = sorted(tiers[tier], key=Read.key)
        _distinct(policies)
        for side in (0, 1):
            sides[side].append([*(e for p in policies for e in p.entries[side]), *_rest(policies, side, tier, action)])
    return policy_of(name, *sides)


def _rest(policies: list[Read], side: int, tier: str, action: str) -> Iterator[Entry]:
    """What becomes of whom a policy of the tier selects, and no rule matches."""
    seen: set[Who] = set()
    for policy in policies:
        if policy.applies[side] and policy.subject not in seen:
            seen.add(policy.subject)
            src, dst = (ANYBODY, policy.subject) if side else (policy.subject, ANYBODY)
            word = ("egress", "ingress")[side]
            origin = f"{policy.one.title()}: selected, so what {word} no rule of tier {tier} matches is {action.lower()}"
            yield Entry(src, dst, ALL, "pass" if action == "Pass" else "deny", f"{policy.one.name}-{word}-rest", origin)


def _tier(name: str, policy: Read, cluster: Cluster) -> tuple[float, str]:
    """Order and default action of a tier: what the input says, or what Calico ships."""
    given = next((one for one in cluster.facts.get("Tier", []) if one.name == name), None)
    if given is not None:
        spec = given.spec().only("order", "defaultAction")
        said = spec.get("defaultAction")
        order = order_of(spec)
        if name == DEFAULT_TIER and math.isinf(order):
            order = _DEFAULT_ORDER
        return order, said.word("Deny", "Pass") if said is not None else "Deny"
    if name != DEFAULT_TIER:
        assert policy.tier is not None
        raise policy.tier.wrong(f"`{name[:60]}`: give the Tier object of that name, which says its order")
    return _DEFAULT_ORDER, "Deny"


def _distinct(policies: list[Read]) -> None:
    """A policy of a namespace and a global one of one order and name: which comes first is not defined."""
    kinds: dict[tuple[float, str], Read] = {}
    for policy in policies:
        first = kinds.setdefault(policy.key(), policy)
        if first.one.kind != policy.one.kind:
            raise policy.one.body.wrong(f"{first.one.title()} has this order and name too: which comes first is not defined")
