"""Rules without which a network stops working although nobody thinks of them, marked as such.

Each lets through no more than it must: to the servers that were seen where some were, and never for a host whose own flows of
that kind were left out as part of an attack.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from workbench.policy import addresses, services
from workbench.policy.addresses import AddressSet
from workbench.policy.draft_peers import is_group
from workbench.policy.draft_seen import Edge, Evidence, summed
from workbench.policy.draft_text import Groups, evidence_note

#: Hosts that a guard is closed to, at most; more are told.
_MOST_CLOSED: Final = 64
_MOST_SERVERS: Final = 64
_FEW: Final = 3


@dataclass(frozen=True, slots=True)
class Guard:
    """What a guard is for. servers: whose observed destinations it is narrowed to; everywhere: it cannot be narrowed."""

    name: str
    what: str
    services: tuple[str, ...]
    everywhere: bool = False
    needs_server: bool = False
    hosts: tuple[str, ...] = ()


GUARDS: Final = (
    Guard("guard-neighbours", "neighbour discovery and group membership of IPv6; ARP is no IP and no rule is needed",
          ("icmp6/130-136", "icmp6/143"), everywhere=True),
    Guard("guard-icmp-errors", "errors that connections need to hear of, path MTU among them",
          ("icmp/unreachable", "icmp/time-exceeded", "icmp/parameter-problem", "icmp6/1-4"), everywhere=True),
    Guard("guard-dhcp", "addresses and their renewal", ("dhcp", "dhcp6"), everywhere=True),
    Guard("guard-dns", "names", ("dns",)),
    Guard("guard-ntp", "time, which certificates and logs need", ("ntp",)),
    Guard("guard-telemetry", "export of flow records, so that the policy can be watched", ("ipfix", "netflow", "sflow"),
          needs_server=True),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kept:
    """A guard as a rule (without tier and priority), its evidence, and the edges that it allows."""

    rule: dict[str, Any]
    evidence: Evidence
    edges: frozenset[int]


def of_targets(devices: Sequence[tuple[str, int]], collectors: Sequence[tuple[str, int]]) -> tuple[Guard, ...]:
    """Guards that keep the way to devices that enforce policies, and theirs to their collectors: addresses with ports."""
    out: list[Guard] = []
    if devices:
        ports = tuple(sorted({f"tcp/{port}" for _, port in devices}))
        what = "ssh to the devices that enforce this, as the settings name them"
        out.append(Guard("guard-management", what, ports, hosts=tuple(sorted({host for host, _ in devices}))))
    if collectors:
        ports = tuple(sorted({f"{proto}/{port}" for _, port in collectors for proto in ("udp", "tcp")}))
        what = "flow records of these devices to their collectors, as the settings name them"
        out.append(Guard("guard-collectors", what, ports, hosts=tuple(sorted({host for host, _ in collectors}))))
    return tuple(out)


def kept(
    guards: Iterable[Guard], edges: Sequence[Edge], attacks: Sequence[Edge], inside: AddressSet, groups: Groups
) -> list[Kept]:
    """The guards as rules. attacks: flows of findings that were left out. Edges are told by their places."""
    return [one for guard in guards if (one := _kept(guard, edges, attacks, inside, groups)) is not None]


def _kept(guard: Guard, edges: Sequence[Edge], attacks: Sequence[Edge], inside: AddressSet, groups: Groups) -> Kept | None:
    boxes = [box for text in guard.services for box in services.parse(text)]
    of_it = [n for n, edge in enumerate(edges) if _serves(boxes, edge)]
    against = {edge.src for edge in attacks if _serves(boxes, edge)}
    targets, words = _targets(guard, [edges[n] for n in of_it if edges[n].src not in against], groups)
    if not words:
        return None
    bad = sorted({edge.src for edge in attacks if _serves(boxes, edge) and (targets is None or edge.dst in targets)})
    covered = frozenset(
        n
        for n in of_it
        if edges[n].src not in bad
        and (guard.everywhere or edges[n].src in inside)
        and (edges[n].dst in targets if targets is not None else guard.everywhere or edges[n].dst in inside)
    )
    evidence = summed(edges[n] for n in covered)
    evidence.guard = True
    evidence.notes = [f"guard: {guard.what}", evidence_note(evidence)]
    if targets is None and not guard.everywhere:
        evidence.notes.append("no server of it was seen: name yours here instead of all inside")
    sources = [_but(guard, bad, groups, evidence)]
    rule = {
        "name": guard.name, "action": "allow", "from": sources, "to": words, "services": list(guard.services),
        "description": f"guard: {guard.what}",
    }  # fmt: skip
    return Kept(rule, evidence, covered)


def _targets(guard: Guard, seen: Sequence[Edge], groups: Groups) -> tuple[AddressSet | None, list[str]]:
    """Where a guard leads: None for anywhere; no words where there is to be no such rule."""
    if guard.everywhere:
        return None, ["any"]
    servers = {addresses.address(host) for host in guard.hosts} or {edge.dst for edge in seen if not is_group(edge.dst)}
    if not servers or len(servers) > _MOST_SERVERS:
        return None, [] if guard.needs_server else ["internal"]
    found = addresses.of_ranges((server, server) for server in servers)
    texts = found.texts()
    return found, texts if len(texts) <= _FEW else [groups.add(f"{guard.name}-servers", {"cidr": texts})]


def _but(guard: Guard, bad: Sequence[int], groups: Groups, evidence: Evidence) -> str:
    """From whom: everybody, but for hosts whose flows of this kind were left out as part of an attack."""
    word = "any" if guard.everywhere or guard.hosts else "internal"
    if not bad:
        return word
    if len(bad) > _MOST_CLOSED:
        evidence.notes.append(f"{len(bad):,} hosts have flows of this kind in findings: it is open to them all the same")
        return word
    texts = [addresses.address_text(one) for one in bad]
    evidence.notes.append("not for hosts that have flows of this kind in findings")
    return groups.add(f"{guard.name}-hosts", {"union": [word], "except": texts})


def _serves(boxes: Sequence[services.Box], edge: Edge) -> bool:
    sport, dport = (edge.port, 0) if edge.proto in (services.ICMP, services.ICMP6) else (0, edge.port)
    return any(
        box.proto[0] <= edge.proto <= box.proto[1]
        and box.sport[0] <= sport <= box.sport[1]
        and box.dport[0] <= dport <= box.dport[1]
        for box in boxes
    )
