"""CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy of cilium.io/v2: deny before allow, and otherwise in no order.

One stage a direction: what any policy denies, what any allows, then the rest of everybody whom one with default denial selects.
A prefix means addresses outside of the cluster: pods and nodes are known by what they are, never by their address.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from workbench.policy.foreign import who
from workbench.policy.foreign.cilium_services import services
from workbench.policy.foreign.cluster import NAME_LABEL, Cluster, cidr, label_conditions
from workbench.policy.foreign.objects import Field, Kinds, Object
from workbench.policy.foreign.ports import ALL
from workbench.policy.foreign.stages import Action, Entry, Made, Stage, policy_of
from workbench.policy.foreign.who import ANYBODY, NOBODY, PODS, Loads, Nets, Who
from workbench.policy.members import Condition

KINDS: Final[Kinds] = {("cilium.io", "v2"): ("CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy")}
NAMESPACED: Final = frozenset({"CiliumNetworkPolicy"})
FACTS: Final[Kinds] = {("cilium.io", "v2"): ("CiliumCIDRGroup",), ("cilium.io", "v2alpha1"): ("CiliumCIDRGroup",)}
CAUTION: Final = "Cilium lets a node reach its own pods unless told not to; this policy judges that like anything else"

#: What is managed: pods, and nodes. Everybody else is the world.
_MANAGED: Final = who.union((PODS, Loads((), (), ("node",))))
_WORLD: Final = who.minus(ANYBODY, _MANAGED)
_ENTITIES: Final[dict[str, Who]] = {
    "all": ANYBODY,
    "none": NOBODY,
    "cluster": _MANAGED,
    "world": _WORLD,
    "world-ipv4": who.minus(who.nets(["0.0.0.0/0"]), _MANAGED),
    "world-ipv6": who.minus(who.nets(["::/0"]), _MANAGED),
}
_HOSTS: Final = frozenset({"host", "remote-node"})

_NAMESPACE: Final = "io.kubernetes.pod.namespace"
_SPACE_LABELS: Final = "io.cilium.k8s.namespace.labels."
_NOT_LABELS: Final = ("io.cilium.", "io.kubernetes.")


@dataclass(frozen=True, slots=True)
class Read:
    """One policy by direction: egress, ingress."""

    entries: tuple[list[Entry], list[Entry]]
    rest: tuple[list[Entry], list[Entry]]


def made(name: str, found: Sequence[Read], cluster: Cluster) -> Made:  # noqa: ARG001  one shape for all formats
    """The policy that all of them make."""
    sides: list[Stage] = []
    for side in (0, 1):
        said = [entry for one in found for entry in one.entries[side]]
        rest: dict[Who, Entry] = {}
        for one in found:
            for entry in one.rest[side]:
                rest.setdefault(entry.dst if side else entry.src, entry)
        sides.append([*(e for e in said if e.action == "deny"), *(e for e in said if e.action != "deny"), *rest.values()])
    return policy_of(name, [sides[0]], [sides[1]], ("app",))


def read(one: Object, cluster: Cluster) -> Read:
    """One policy: its `spec`, its `specs`, or both."""
    body = one.body.only("apiVersion", "kind", "metadata", "spec", "specs", "status")
    parts = [*([body.need("spec")] if body.get("spec") is not None else []), *body.listed("specs")]
    if not parts:
        raise body.missing("spec")
    out = Read(([], []), ([], []))
    for spec in parts:
        _spec(one, spec, cluster, out)
    return out


def _spec(one: Object, spec: Field, cluster: Cluster, out: Read) -> None:
    sides = ("egress", "ingress")
    spec.refuse("our rules hold for workloads by what they are", "nodeSelector")
    spec.only("endpointSelector", "enableDefaultDeny", "description", "labels", "log", *sides, *(f"{s}Deny" for s in sides))
    chosen = spec.empty_or("endpointSelector")
    if chosen is None:
        raise spec.missing("endpointSelector", "missing: write {} for every pod")
    subject = _subject(chosen, one.namespace, cluster)
    denial = spec.get("enableDefaultDeny")
    if denial is not None:
        denial.only(*sides)
    if not any(spec.listed(key) for side in sides for key in (side, f"{side}Deny")):
        raise spec.wrong("says neither ingress nor egress: Cilium refuses it too")
    for into, side in enumerate(sides):
        listed = {action: spec.listed(key) for action, key in (("deny", f"{side}Deny"), ("accept", side))}
        for action, rules in listed.items():
            for n, rule in enumerate(rules):
                where = f"{side}{'Deny' if action == 'deny' else ''}"
                entry_of = _Making(one, subject, bool(into), "deny" if action == "deny" else "accept", f"{where}[{n}]")
                out.entries[into].extend(_rule(entry_of, rule, cluster))
        said = denial.get(side) if denial is not None else None
        if said.truth() if said is not None else any(listed.values()):
            src, dst = (ANYBODY, subject) if into else (subject, ANYBODY)
            origin = f"{one.title()}: selected, so what {side} nobody allows is denied"
            out.rest[into].append(Entry(src, dst, ALL, "deny", f"{one.name}-{side}-rest", origin))


@dataclass(frozen=True, slots=True)
class _Making:
    """What the entries of one rule have in common."""

    one: Object
    subject: Who
    into: bool
    action: Action
    where: str


def _rule(common: _Making, rule: Field, cluster: Cluster) -> Iterator[Entry]:
    prefix = "from" if common.into else "to"
    rule.refuse("it is about names, groups or services outside of the addresses that are known", "toFQDNs", "toServices")
    rule.refuse("groups of a cloud are not known", f"{prefix}Groups")
    rule.refuse("nodes by label are not told apart from their pods' peers", f"{prefix}Nodes")
    rule.refuse("it was withdrawn from Cilium", f"{prefix}Requires")
    rule.refuse("our rules do not authenticate", "authentication")
    keys = [f"{prefix}{key}" for key in ("Endpoints", "Entities", "CIDR", "CIDRSet")]
    rule.only(*keys, "toPorts", "icmps")
    peers = _peers(rule, keys, common.one.namespace, cluster)
    listed, icmps = rule.get("toPorts"), rule.get("icmps")
    if peers is None and listed is None and icmps is None:
        return  # a rule that says nothing allows nothing; that it is there means that the rest is denied
    other = ANYBODY if peers is None else peers
    dst = common.subject if common.into else other
    plain, named = services(listed, icmps)
    pieces = [(dst, plain)]
    for port, protocols in named:
        pieces += [piece for protocol in protocols for piece in cluster.named(port, protocol, dst)]
    name = f"{common.one.name}-{common.where.replace('[', '-').rstrip(']')}"
    for to, wanted in pieces:
        src = other if common.into else common.subject
        yield Entry(src, to, wanted, common.action, name, f"{common.one.title()}: {common.where}")


def _peers(rule: Field, keys: list[str], namespace: str, cluster: Cluster) -> Who | None:
    """Who the rule is about; None where it does not say. A list that is there and empty selects nobody, whatever else is said."""
    found: list[Who] = []
    endpoints, entities, nets, sets = (rule.get(key) for key in keys)
    lists = [one.items() for one in (endpoints, entities, nets, sets) if one is not None]
    if not lists:
        return None
    found += [_endpoints(part, namespace, cluster) for part in rule.listed(keys[0])]
    found.append(_entities(rule.listed(keys[1])))
    found += [_outside(Nets((cidr(part),))) for part in rule.listed(keys[2])]
    found += [_set(part, cluster) for part in rule.listed(keys[3])]
    return who.union(found) if all(lists) else NOBODY


def _outside(nets: Who) -> Who:
    return who.minus(nets, _MANAGED)


def _entities(listed: list[Field]) -> Who:
    words = {one.text() for one in listed}
    found: list[Who] = []
    for one in listed:
        word = one.text()
        if word in _HOSTS and words >= _HOSTS:
            found.append(Loads((), (), ("node",)))
        elif word in _HOSTS:
            raise one.wrong(f"`{word}` depends on where a pod runs: only host and remote-node together can be said")
        elif word not in _ENTITIES:
            raise one.wrong(f"`{word[:60]}` cannot be imported: of entities only {', '.join(_ENTITIES)} can")
        else:
            found.append(_ENTITIES[word])
    return who.union(found)


def _set(one: Field, cluster: Cluster) -> Who:
    """One of a CIDRSet."""
    one.refuse("groups by label are not looked up", "cidrGroupSelector")
    one.only("cidr", "cidrGroupRef", "except")
    ref, said = one.get("cidrGroupRef"), one.get("cidr")
    if (ref is None) == (said is None):
        raise one.wrong("exactly one of cidr, cidrGroupRef belongs here")
    if ref is not None:
        group = next((g for g in cluster.facts.get("CiliumCIDRGroup", []) if g.name == ref.text()), None)
        if group is None:
            raise ref.wrong(f"`{ref.text()[:60]}`: give the CiliumCIDRGroup of that name too")
        listed = group.spec().only("externalCIDRs").listed("externalCIDRs")
        cluster.notes[f"CiliumCIDRGroup {group.name} is what {group.body.file} says"] = None
        whole = who.nets(cidr(part) for part in listed)
    else:
        assert said is not None
        whole = Nets((cidr(said),))
    return _outside(who.minus(whole, who.nets(cidr(part) for part in one.listed("except"))))


def _subject(chosen: Field, namespace: str, cluster: Cluster) -> Who:
    """Whom the policy is for: in its namespace, where it has one."""
    found, spaces = _selected(chosen, cluster)
    if namespace and spaces:
        raise chosen.wrong("a policy of a namespace is for its own pods: leave labels of namespaces out")
    return who.both(found, Loads((namespace,))) if namespace else found


def _endpoints(chosen: Field, namespace: str, cluster: Cluster) -> Who:
    """A peer: in the policy's namespace, where it has one and the selector says none."""
    found, spaces = _selected(chosen, cluster)
    return found if spaces or not namespace else who.both(found, Loads((namespace,)))


def _selected(chosen: Field, cluster: Cluster) -> tuple[Who, bool]:
    """Pods that a selector means, and whether it speaks of namespaces."""
    own: list[Condition] = []
    spaces: list[Condition] = []
    for condition in label_conditions(chosen):
        source, colon, rest = condition.key.partition(":")
        key = rest if colon else condition.key
        if colon and source not in ("k8s", "any"):
            raise chosen.wrong(f"`{condition.key[:60]}`: only labels of pods (k8s:, any:) can be imported")
        if key == _NAMESPACE:
            spaces.append(condition._replace(key=NAME_LABEL))
        elif key.startswith(_SPACE_LABELS):
            spaces.append(condition._replace(key=key[len(_SPACE_LABELS) :]))
        elif key.startswith(_NOT_LABELS):
            raise chosen.wrong(f"`{condition.key[:60]}` is no label that pods have in the index")
        else:
            own.append(condition._replace(key=key))
    found = cluster.spaces_of(spaces, chosen) if spaces else PODS
    return who.both(found, Loads((), tuple(own))), bool(spaces)
