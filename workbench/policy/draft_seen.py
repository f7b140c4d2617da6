"""What a draft is made from: connections of history, summed by source, destination and service, and what was left out of them.

Source ports are no part of it: no rule speaks of them, so for a policy two flows that differ in nothing else are one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from workbench.policy import services
from workbench.policy.members import Workload
from workbench.policy.services import ICMP, ICMP6, Box

#: Flow ids that are cited for one rule.
MOST_IDS: Final = 3

#: How wide a draft may be, from what was seen and nothing more to what is alike.
BREADTHS: Final = ("exact", "workloads", "tight", "subnets", "broad")

_PORTS: Final = (0, 65535)
_PORTED: Final = frozenset({6, 17, 132, 136, 33})
_TYPES: Final = {
    ICMP: {number: name for name, number in services.ICMP_TYPES.items()},
    ICMP6: {number: name for name, number in services.ICMP6_TYPES.items()},
}


@dataclass(frozen=True, slots=True)
class Who:
    """A workload that held an address when a flow began. uid: what it is known by for ever."""

    uid: str
    name: str = ""
    namespace: str = ""
    kind: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    network: str = ""
    mac: str = ""

    def workload(self) -> Workload:
        """As selectors look at it."""
        return Workload(dict(self.labels), self.namespace, self.mac, self.network, self.kind)


class Service(NamedTuple):
    """A protocol with a span of destination ports, or of types of ICMP; (0, 0) where the protocol has neither."""

    proto: int
    low: int = 0
    high: int = 0

    @property
    def ported(self) -> bool:
        """Whether the span is of ports or types; of other protocols the whole is meant."""
        return self.proto in _PORTED or self.proto in _TYPES

    def text(self) -> str:
        """As a rule says it."""
        if self.proto in _TYPES:
            names = _TYPES[self.proto]
            if self.low == self.high and self.low in names:
                return f"{'icmp' if self.proto == ICMP else 'icmp6'}/{names[self.low]}"
            return services.texts(Box((self.proto, self.proto), (self.low, self.high), _PORTS))
        return services.texts(Box((self.proto, self.proto), _PORTS, (self.low, self.high) if self.ported else _PORTS))

    def holds(self, other: Service) -> bool:
        """Whether every packet of the other is one of this."""
        return self.proto == other.proto and (not self.ported or (self.low <= other.low and other.high <= self.high))


@dataclass(frozen=True, slots=True)
class Edge:
    """Flows of one source, destination and service, of one holder each.

    src, dst: places of addresses (policy.addresses). port: of the destination, or the type of ICMP, else 0. bytes: of both
    directions; first, last: microseconds since 1970; ids: of the earliest flows, at most MOST_IDS.
    """

    src: int
    dst: int
    proto: int
    port: int = 0
    flows: int = 1
    bytes: int = 0
    first: int = 0
    last: int = 0
    ids: tuple[int, ...] = ()
    src_who: Who | None = None
    dst_who: Who | None = None

    @property
    def service(self) -> Service:
        """Its port or type alone."""
        made = Service(self.proto, self.port, self.port)
        return made if made.ported else Service(self.proto)


#: Why flows are no basis for a rule, as they are told.
REASONS: Final = {
    "finding": "part of a finding",
    "midstream": "who began it was not seen",
    "unanswered": "refused, unanswered or given up half open",
    "quiet": "single datagrams without an answer",
    "related": "errors of ICMP, which follow what they are about",
    "nowhere": "without addresses",
    "impossible": "of a protocol, port or type of ICMP that there is not",
}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Flows that a draft was not made from, and why. still: those of them that it allows all the same."""

    reason: str
    flows: int
    bytes: int = 0
    first: int = 0
    last: int = 0
    ids: tuple[int, ...] = ()
    detail: str = ""
    still: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """edges: what is to be allowed. known: all workloads.

    What was left out: attacks, of findings; refused, which never came about; quiet, datagrams that nobody answered. Of the
    first two nothing is let in by widening. asked: flows that were looked at. networks: tenant scopes among the edges.
    """

    edges: tuple[Edge, ...]
    attacks: tuple[Edge, ...] = ()
    refused: tuple[Edge, ...] = ()
    quiet: tuple[Edge, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    known: tuple[Who, ...] = ()
    networks: tuple[str, ...] = ()
    asked: int = 0
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class Evidence:
    """What speaks for one rule: how many flows, of how many bytes, from when to when (us), and some of their ids."""

    flows: int = 0
    bytes: int = 0
    first: int = 0
    last: int = 0
    ids: tuple[int, ...] = ()
    guard: bool = False
    notes: list[str] = field(default_factory=list)


def summed(edges: Iterable[Edge]) -> Evidence:
    """All of them as one. Ids are those of the earliest."""
    listed = sorted(edges, key=lambda edge: edge.first)
    if not listed:
        return Evidence()
    ids = tuple(dict.fromkeys(one for edge in listed[: MOST_IDS * 4] for one in edge.ids))[:MOST_IDS]
    return Evidence(
        sum(edge.flows for edge in listed),
        sum(edge.bytes for edge in listed),
        listed[0].first,
        max(edge.last for edge in listed),
        ids,
    )
