"""NetworkPolicy of networking.k8s.io/v1: who is selected is denied in that direction but for what some policy allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from workbench.policy.foreign import who
from workbench.policy.foreign.cluster import Cluster, cidr, selected
from workbench.policy.foreign.objects import Field, Kinds, Object
from workbench.policy.foreign.ports import ALL, PORTED, Services, most, ports, whole
from workbench.policy.foreign.stages import Entry, Made, Stage, policy_of
from workbench.policy.foreign.who import ANYBODY, Who

KINDS: Final[Kinds] = {("networking.k8s.io", "v1"): ("NetworkPolicy",)}
NAMESPACED: Final = frozenset({"NetworkPolicy"})
FACTS: Final[Kinds] = {}
CAUTION: Final = "Kubernetes always lets a node reach its own pods; this policy judges that like anything else"


@dataclass(frozen=True, slots=True)
class Side:
    """What one policy says of a direction: what it accepts, and that its pods are denied the rest."""

    accepting: tuple[Entry, ...] = ()
    isolating: tuple[Entry, ...] = ()


Sides = tuple[Side, Side]  # egress, ingress


def made(name: str, found: Sequence[Sides], cluster: Cluster) -> Made:  # noqa: ARG001  one shape for all formats
    """The policy that all of them make."""
    egress, ingress = stages(found)
    return policy_of(name, [egress], [ingress], ("app",))


def stages(found: Sequence[Sides]) -> tuple[Stage, Stage]:
    """Egress and ingress of all policies together: everything that is allowed, then who else is denied."""
    out: list[Stage] = []
    for side in (0, 1):
        denied: dict[Who, Entry] = {}
        for sides in found:
            for entry in sides[side].isolating:
                denied.setdefault(entry.dst if side else entry.src, entry)
        out.append([*(entry for sides in found for entry in sides[side].accepting), *denied.values()])
    return out[0], out[1]


def read(one: Object, cluster: Cluster) -> Sides:
    """One policy."""
    spec = one.spec().only("podSelector", "policyTypes", "ingress", "egress")
    pods = spec.empty_or("podSelector")
    if pods is None:
        raise spec.missing("podSelector", "missing: write {} for every pod of the namespace")
    subject = selected(cluster, one.namespace, pods, None)
    types = _types(spec)
    sides: list[Side] = []
    for into, key in enumerate(("egress", "ingress")):
        rules = spec.listed(key)
        if key in types:
            accepting = [e for n, rule in enumerate(rules) for e in _rule(one, rule, n, bool(into), subject, cluster)]
            src, dst = (ANYBODY, subject) if into else (subject, ANYBODY)
            origin = f"{one.title()}: selected, so what {key} nobody allows is denied"
            sides.append(Side(tuple(accepting), (Entry(src, dst, ALL, "deny", f"{one.name}-{key}-rest", origin),)))
            continue
        sides.append(Side())
        if rules:
            told = f"{rules[0].file}:{rules[0].line}: {key} means nothing, since policyTypes does not say {key.capitalize()}"
            cluster.notes[told] = None
    return sides[0], sides[1]


def _types(spec: Field) -> set[str]:
    said = spec.get("policyTypes")
    if said is not None and said.items():
        return {one.word("Ingress", "Egress").lower() for one in said.items()}
    return {"ingress", "egress"} if spec.listed("egress") else {"ingress"}


def _rule(one: Object, rule: Field, n: int, into: bool, subject: Who, cluster: Cluster) -> Iterator[Entry]:
    peers_key = "from" if into else "to"
    rule.only(peers_key, "ports")
    listed = rule.listed(peers_key)
    peers = who.union(peer(p, one.namespace, cluster) for p in listed) if listed else ANYBODY
    side = "ingress" if into else "egress"
    origin = f"{one.title()}: {side}[{n}]"
    dst = subject if into else peers
    plain, named = services(rule.listed("ports"))
    pieces = [(dst, plain)]
    for port, protocol in named:
        pieces += cluster.named(port, protocol, dst)
    for to, wanted in pieces:
        yield Entry(peers if into else subject, to, wanted, "accept", f"{one.name}-{side}-{n}", origin)


def peer(one: Field, namespace: str, cluster: Cluster) -> Who:
    """One NetworkPolicyPeer."""
    one.only("podSelector", "namespaceSelector", "ipBlock")
    block = one.get("ipBlock")
    pods, spaces = one.empty_or("podSelector"), one.empty_or("namespaceSelector")
    if block is not None:
        if pods is not None or spaces is not None:
            raise block.wrong("stands alone: no selectors beside it")
        block.only("cidr", "except")
        inside = who.nets([cidr(block.need("cidr"))])
        return who.minus(inside, who.nets(cidr(part) for part in block.listed("except")))
    if pods is None and spaces is None:
        raise one.wrong("names nobody: podSelector, namespaceSelector or ipBlock belongs here")
    return selected(cluster, namespace, pods, spaces)


def services(listed: list[Field]) -> tuple[Services, list[tuple[Field, str]]]:
    """What the ports of a rule allow, and those by name with their protocol. No ports: everything."""
    if not listed:
        return ALL, []
    out, named = Services(), []
    for one in listed:
        one.only("protocol", "port", "endPort")
        said = one.get("protocol")
        protocol = said.word(*PORTED) if said is not None else "TCP"
        number = PORTED[protocol]
        port, end = one.get("port"), one.get("endPort")
        if port is None:
            if end is not None:
                raise end.wrong("needs `port`, where the range begins")
            out |= whole(number)
        elif isinstance(port.value, str):
            if end is not None:
                raise end.wrong("needs a number in `port`")
            if port.value.isdecimal():
                raise port.wrong(f'"{port.value[:20]}" in quotes is the name of a port, and no name: leave the quotes out')
            named.append((port, protocol))
        else:
            first = port.number(1, most(number))
            out |= ports(number, first, end.number(first, most(number)) if end is not None else first)
    return out, named
