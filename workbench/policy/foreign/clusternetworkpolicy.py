"""ClusterNetworkPolicy of policy.networking.k8s.io/v1alpha2, and AdminNetworkPolicy and BaselineAdminNetworkPolicy of v1alpha1.

Three stages a direction: Admin by priority, the NetworkPolicies, Baseline by priority. What an implementation must fail closed on
(a peer it does not know) is refused here, as any field is that is not known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from workbench.policy.foreign import kubernetes, who
from workbench.policy.foreign.cluster import Cluster, cidr, label_conditions, selected
from workbench.policy.foreign.objects import Field, Kinds, Object
from workbench.policy.foreign.ports import ALL, PORTED, Services, ports, whole
from workbench.policy.foreign.stages import Action, Entry, Made, Stage, policy_of
from workbench.policy.foreign.who import Loads, Who

KINDS: Final[Kinds] = {
    ("policy.networking.k8s.io", "v1alpha2"): ("ClusterNetworkPolicy",),
    ("policy.networking.k8s.io", "v1alpha1"): ("AdminNetworkPolicy", "BaselineAdminNetworkPolicy"),
    **kubernetes.KINDS,
}
NAMESPACED: Final = kubernetes.NAMESPACED
FACTS: Final[Kinds] = {}
CAUTION: Final = kubernetes.CAUTION

_ACTIONS: Final[dict[str, Action]] = {"Accept": "accept", "Allow": "accept", "Deny": "deny", "Pass": "pass"}


@dataclass(frozen=True, slots=True)
class _Policy:
    """Entries of both directions: egress, ingress. at: where its priority is written."""

    tier: str
    priority: int
    at: Field
    title: str
    entries: tuple[list[Entry], list[Entry]]


Read = _Policy | kubernetes.Sides


def read(one: Object, cluster: Cluster) -> Read:
    """One policy of any of the kinds."""
    return _policy(one, cluster) if one.kind != "NetworkPolicy" else kubernetes.read(one, cluster)


def made(name: str, found: Sequence[Read], cluster: Cluster) -> Made:  # noqa: ARG001  one shape for all formats
    """The policy that all of them make."""
    ours = sorted((one for one in found if isinstance(one, _Policy)), key=lambda policy: policy.priority)
    beside = kubernetes.stages([one for one in found if not isinstance(one, _Policy)])
    _distinct(ours)
    sides: list[list[Stage]] = []
    for side in (0, 1):
        admin, baseline = ([e for p in ours if p.tier == tier for e in p.entries[side]] for tier in ("Admin", "Baseline"))
        sides.append([admin, beside[side], baseline])
    return policy_of(name, sides[0], sides[1], ("admin", "app", "baseline"))


def _distinct(ours: list[_Policy]) -> None:
    """Of two policies of one priority either may come first: an error where that could matter."""
    alike: dict[tuple[str, int], list[_Policy]] = defaultdict(list)
    for policy in ours:
        alike[policy.tier, policy.priority].append(policy)
    for policies in alike.values():
        for side in (0, 1):
            if len(policies) > 1 and len({entry.action for policy in policies for entry in policy.entries[side]}) > 1:
                names = ", ".join(policy.title for policy in policies[:5])
                raise policies[-1].at.wrong(f"{names} have this priority: which of them comes first is not defined")


def _policy(one: Object, cluster: Cluster) -> _Policy:
    old = one.version == "v1alpha1"
    baseline = one.kind == "BaselineAdminNetworkPolicy"
    spec = one.spec().only(*("subject", "ingress", "egress"), *(() if baseline else ("priority",)), *(() if old else ("tier",)))
    tier = "Baseline" if baseline else "Admin" if old else spec.need("tier").word("Admin", "Baseline")
    at = spec if baseline else spec.need("priority")
    priority = 0 if baseline else at.number(0, 1000)
    subject = _pods(spec.need("subject"), cluster, "namespaces", "pods")
    words = ("Allow", "Deny") if baseline else ("Allow", "Deny", "Pass") if old else ("Accept", "Deny", "Pass")
    sides = []
    for key, peers in (("egress", "to"), ("ingress", "from")):
        listed = spec.listed(key)
        sides.append([e for n, r in enumerate(listed) for e in _rule(one, r, (key, peers, n), words, subject, cluster)])
    return _Policy(tier, priority, at, one.title(), (sides[0], sides[1]))


def _rule(
    one: Object, rule: Field, where: tuple[str, str, int], words: tuple[str, ...], subject: Who, cluster: Cluster
) -> Iterator[Entry]:
    side, peers_key, n = where
    old = one.version == "v1alpha1"
    ports_key = "ports" if old else "protocols"
    rule.only("name", "action", peers_key, ports_key)
    action = _ACTIONS[rule.need("action").word(*words)]
    listed = rule.need(peers_key).items()
    if not listed:
        raise rule.need(peers_key).wrong("names nobody: one peer at least belongs here")
    into = side == "ingress"
    peers = [_pods(peer, cluster, "namespaces", "pods", *(() if into else ("nodes", "networks"))) for peer in listed]
    other = who.union(peers)
    plain, named = _services(rule.get(ports_key), old=old)
    dst = subject if into else other
    pieces = [(dst, plain)]
    for port, protocols in named:
        for protocol in protocols:
            pieces += cluster.named(port, protocol, dst)
    name = rule.get("name")
    called = f" ({name.text()[:100]})" if name is not None else ""
    for to, wanted in pieces:
        origin = f"{one.title()}: {side}[{n}]{called}"
        yield Entry(other if into else subject, to, wanted, action, f"{one.name}-{side}-{n}", origin)


def _pods(said: Field, cluster: Cluster, *keys: str) -> Who:
    """A subject or a peer: exactly one of its keys."""
    said.refuse("names of domains are not addresses", "domainNames")
    said.only(*keys)
    if len(said.value) != 1:
        raise said.wrong(f"exactly one of {', '.join(keys)} belongs here")
    key = next(iter(said.value))
    found = said.empty_or(key)
    assert found is not None
    if key == "namespaces":
        return cluster.spaces(found)
    if key == "nodes":
        return Loads((), tuple(label_conditions(found)), ("node",))
    if key == "networks":
        if not found.items():
            raise found.wrong("names nobody: one network at least belongs here")
        return who.nets(cidr(net) for net in found.items())
    found.only("namespaceSelector", "podSelector")
    spaces, pods = found.empty_or("namespaceSelector"), found.empty_or("podSelector")
    if pods is None or spaces is None:
        raise found.missing("podSelector" if pods is None else "namespaceSelector", "missing: write {} for all of them")
    return selected(cluster, "", pods, spaces)


def _services(listed: Field | None, *, old: bool) -> tuple[Services, list[tuple[Field, tuple[str, ...]]]]:
    """What is matched, and names of ports with the protocols that they may be of. Absent: everything."""
    if listed is None:
        return ALL, []
    if not listed.items():
        raise listed.wrong("matches nothing: leave the key out where everything is meant")
    out, named = Services(), []
    for one in listed.items():
        key = next(iter(one.only(*_KEYS[old]).value), "")
        if len(one.value) != 1:
            raise one.wrong(f"exactly one of {', '.join(_KEYS[old])} belongs here")
        said = one.need(key)
        if key in ("namedPort", "destinationNamedPort"):
            named.append((said, tuple(PORTED)))
        elif key == "portNumber":
            out |= _numbers(said.only("protocol", "port"), said.need("port"), said.need("port"))
        elif key == "portRange":
            out |= _numbers(said.only("protocol", "start", "end"), said.need("start"), said.need("end"))
        else:
            out |= _destination(PORTED[key.upper()], said.only("destinationPort").get("destinationPort"), said)
    return out, named


_KEYS: Final = {True: ("portNumber", "portRange", "namedPort"), False: ("tcp", "udp", "sctp", "destinationNamedPort")}


def _numbers(said: Field, first: Field, last: Field) -> Services:
    protocol = said.get("protocol")
    low = first.number(1, 65535)
    return ports(PORTED[protocol.word(*PORTED) if protocol is not None else "TCP"], low, last.number(low, 65535))


def _destination(protocol: int, port: Field | None, around: Field) -> Services:
    if port is None:
        if around.value:
            raise around.wrong("destinationPort is null: leave the key out for all ports")
        return whole(protocol)
    port.only("number", "range")
    if len(port.value) != 1:
        raise port.wrong("exactly one of number, range belongs here")
    if (number := port.get("number")) is not None:
        return ports(protocol, number.number(1, 65535), number.number(1, 65535))
    span = port.need("range").only("start", "end")
    first = span.need("start").number(1, 65535)
    return ports(protocol, first, span.need("end").number(first, 65535))
