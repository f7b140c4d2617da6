"""A least-privilege draft: rules for what history shows and nothing else, each with its evidence. Edges in, a policy out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from workbench.policy import addresses
from workbench.policy.addresses import AddressSet
from workbench.policy.draft_guards import GUARDS, Guard, kept
from workbench.policy.draft_judged import judge
from workbench.policy.draft_peers import Peers, internal_of, unsaid
from workbench.policy.draft_rules import Product, joined, merged, widened
from workbench.policy.draft_seen import BREADTHS, REASONS, Edge, Evidence, LeftOut, Seen, summed
from workbench.policy.draft_text import Groups, Names, evidence_note, left_out_note, rule_name
from workbench.policy.model import Policy

#: Rules of one draft, guards aside. More are drafted wider, and where that does not help the least used are left out.
MOST_RULES: Final = 500

#: Services of one rule: a host where more were used one by one is a case for the next breadth.
MOST_SERVICES: Final = 64


@dataclass(frozen=True, slots=True)
class Wish:
    """How to draft. breadth: of BREADTHS, as number. guards: rules of GUARDS and the like; none for none.

    external: whether what was not seen is denied between inside and outside as well.
    """

    name: str = "draft"
    description: str = ""
    breadth: int = 1
    guards: tuple[Guard, ...] = GUARDS
    external: bool = True
    most_rules: int = MOST_RULES


@dataclass(frozen=True, slots=True)
class Drafted:
    """A draft. evidence: by name of rule. notes: what is said of the whole."""

    policy: Policy
    evidence: Mapping[str, Evidence]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    breadth: int = 0

    def comments(self) -> dict[str, list[str]]:
        """Notes as `written.text_of` takes them."""
        out = {name: list(found.notes) for name, found in self.evidence.items()}
        out[""] = [*self.notes, *(f"left out: {left_out_note(one)}" for one in self.left_out)]
        return out


def draft(seen: Seen, wish: Wish = Wish()) -> Drafted:
    """Rules that allow `seen.edges`. Guards are closed to hosts of which such flows are part of a finding."""
    internal = internal_of(address for edge in seen.edges for address in (edge.src, edge.dst))
    inside = addresses.of_ranges(r for text in internal for r in addresses.prefix(text).ranges) if internal else addresses.ANY
    groups = Groups(Names())
    guards = kept(wish.guards, seen.edges, seen.attacks, inside, groups)
    covered = frozenset().union(*(one.edges for one in guards))
    rest = [edge for n, edge in enumerate(seen.edges) if n not in covered]
    products, breadth = _few(rest, seen, wish, inside)
    names = Names(one.rule["name"] for one in guards)
    rules: list[dict[str, Any]] = []
    evidence: dict[str, Evidence] = {}
    for n, one in enumerate(guards):
        rules.append({**one.rule, "tier": "admin", "priority": 10 * (n + 1)})
        evidence[one.rule["name"]] = one.evidence
    kept_products = products[: wish.most_rules]
    for product in kept_products:
        name = names.give(rule_name(product))
        rules.append(_rule(name, product, groups))
        evidence[name] = _evidence(product, breadth)
    if internal and wish.external:
        rules += _outside(names)
    left = [*seen.left_out, *_beyond(products[wish.most_rules :])]
    said: dict[str, Any] = {
        "apiVersion": "workbench/v1",
        "kind": "Policy",
        "metadata": {"name": Names().give(wish.name), "description": wish.description},
        "groups": groups.made,
        "rules": rules,
        "defaults": {"east_west": "deny"},
    }
    if internal:
        said["internal"] = internal
    policy = Policy.model_validate(said)
    return Drafted(policy, evidence, tuple(left), tuple(_notes(seen, wish, breadth)), breadth)


def _few(edges: Sequence[Edge], seen: Seen, wish: Wish, inside: AddressSet) -> tuple[list[Product], int]:
    """Products at the breadth asked for, or the next wider at which they are few enough; the most used first if none is."""
    peers = Peers(seen.known, inside)
    breadth = wish.breadth
    while True:
        products = merged(widened(edges, (*seen.attacks, *seen.refused), peers, breadth), breadth)
        if len(products) <= wish.most_rules or breadth == len(BREADTHS) - 1:
            break
        breadth += 1
    if len(products) > wish.most_rules:
        products.sort(key=lambda product: -sum(edge.flows for edge in product.edges))
    return products, breadth


def _rule(name: str, product: Product, groups: Groups) -> dict[str, Any]:
    return {
        "name": name,
        "tier": "app",
        "priority": 100,
        "action": "allow",
        "from": groups.words(product.src, f"{name}-from"),
        "to": groups.words(product.dst, f"{name}-to"),
        "services": [service.text() for service in joined(product.services)],
    }


def _evidence(product: Product, breadth: int) -> Evidence:
    found = summed(product.edges)
    found.notes = [evidence_note(found)]
    named = sorted({who.name for edge in product.edges for who in (edge.src_who, edge.dst_who) if who is not None and who.name})
    if named:
        more = f" and {len(named) - 6} more" if len(named) > 6 else ""
        found.notes.append(f"workloads: {', '.join(named[:6])}{more}")
    if product.narrowed:
        found.notes.append(f"kept narrower than `{BREADTHS[breadth]}`: wider it would let in what was left out")
    return found


def _outside(names: Names) -> list[dict[str, Any]]:
    """What the default verdict, which holds inside only, does not say."""
    ends = (("no-other-egress", "internal", "external"), ("no-other-ingress", "external", "internal"))
    return [
        {"name": names.give(name), "tier": "default", "priority": 1000, "action": "deny", "from": [src], "to": [dst],
         "description": "what was not seen stays denied between inside and outside as well"}
        for name, src, dst in ends
    ]  # fmt: skip


def _beyond(products: Sequence[Product]) -> list[LeftOut]:
    """What did not fit the size of a draft."""
    edges = [edge for product in products for edge in product.edges]
    if not edges:
        return []
    found = summed(edges)
    why = f"beyond {MOST_RULES} rules, the least used"
    return [LeftOut(why, found.flows, found.bytes, found.first, found.last, found.ids, f"{len(products):,} rules")]


def _notes(seen: Seen, wish: Wish, breadth: int) -> list[str]:
    found = summed(seen.edges)
    out = [f"drafted from what was seen, as {BREADTHS[breadth]}: {evidence_note(found).removeprefix('seen: ')}"]
    if breadth > wish.breadth:
        out.append(f"as {BREADTHS[wish.breadth]} there would be more than {wish.most_rules} rules")
    out += [*seen.warnings, *unsaid(seen.known)]
    if len(seen.networks) > 1:
        shown = ", ".join(repr(name) for name in seen.networks[:4])
        out.append(f"several networks ({shown}): rules speak of addresses and cannot tell them apart; draft one with --filter")
    return out


def checked(drafted: Drafted, seen: Seen) -> Drafted:
    """The draft once it was held against what it was made from.

    What it would stop of that (it should be nothing) gets exact rules; what was left out and gets through is told.
    """
    stopped = [edge for edge, no in zip(seen.edges, judge(drafted.policy, seen.edges).stopped, strict=True) if no]
    beyond = {one.reason: one for one in drafted.left_out}
    if stopped and not any(reason.startswith("beyond") and "rules" in reason for reason in beyond):
        drafted = _with_exact(drafted, stopped)
    out = []
    for one in drafted.left_out:
        edges = next((edges for reason, edges in _by_reason(seen) if REASONS[reason] == one.reason), ())
        through = ~judge(drafted.policy, edges).stopped
        out.append(replace(one, still=sum(edge.flows for edge, yes in zip(edges, through, strict=True) if yes)))
    return replace(drafted, left_out=tuple(out))


def _by_reason(seen: Seen) -> tuple[tuple[str, tuple[Edge, ...]], ...]:
    return ("finding", seen.attacks), ("unanswered", seen.refused), ("quiet", seen.quiet)


def _with_exact(drafted: Drafted, edges: Sequence[Edge]) -> Drafted:
    """With rules for exactly these, one behind the other."""
    names = Names(rule.name for rule in drafted.policy.rules)
    groups = Groups(Names(drafted.policy.groups))
    rules, evidence = [], dict(drafted.evidence)
    for product in merged(widened(edges, (), Peers((), addresses.ANY), 0), 0):
        name = names.give(rule_name(product))
        rules.append(_rule(name, product, groups))
        evidence[name] = _evidence(product, 0)
        evidence[name].notes.append("exact: what it is part of could not be said in a wider rule")
    said = drafted.policy.model_dump(by_alias=True, exclude_defaults=True)
    said["groups"] = {**said.get("groups", {}), **groups.made}
    said["rules"] = [*said["rules"], *rules]
    said["defaults"] = {"east_west": drafted.policy.defaults.east_west}
    return replace(drafted, policy=Policy.model_validate(said), evidence=evidence)
