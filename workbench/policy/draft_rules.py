"""From edges to few rules: each end and port widened as far as asked, never over what was left out, then products merged."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from workbench.policy.draft_peers import Peer, Peers
from workbench.policy.draft_seen import Edge, Service

#: Ports of one host, each hardly used twice, that are taken for negotiated ones (passive FTP, RPC and the like).
_PASSIVE_LEAST: Final = 8
_PASSIVE_FLOWS: Final = 2.0
_LOWEST_PASSIVE: Final = 1024

#: Spans that passive ports are rounded to at a wide breadth, tightest first: IANA's, Linux's, all that are not privileged.
_ROUNDED: Final = ((49152, 65535), (32768, 65535), (1024, 65535))


class Triple(NamedTuple):
    """What is allowed: one peer to another, one service."""

    src: Peer
    dst: Peer
    service: Service


@dataclass(frozen=True, slots=True)
class Product:
    """Any of src to any of dst, any of the services; and the edges that it was made from. breadth: the widest of its parts."""

    src: tuple[Peer, ...]
    dst: tuple[Peer, ...]
    services: tuple[Service, ...]
    edges: tuple[Edge, ...]
    breadth: int = 0
    narrowed: bool = False


def widened(edges: Sequence[Edge], against: Sequence[Edge], peers: Peers, breadth: int) -> dict[Triple, list[tuple[Edge, int]]]:
    """Triples with their edges, and at which breadth. An edge whose triple would let in what stays out is widened less."""
    out: dict[Triple, list[tuple[Edge, int]]] = defaultdict(list)
    pending = list(edges)
    out_of = _Against(against, peers)
    for level in range(breadth, 0, -1):
        if not pending:
            break
        left: list[Edge] = []
        for edge, triple in zip(pending, _triples(pending, peers, level), strict=True):
            if out_of.within(triple):
                left.append(edge)
            else:
                out[triple].append((edge, level))
        pending = left
    for edge in pending:
        out[Triple(Peer(edge.src, edge.src), Peer(edge.dst, edge.dst), edge.service)].append((edge, 0))
    return out


def merged(triples: Mapping[Triple, list[tuple[Edge, int]]], breadth: int) -> list[Product]:
    """Few products that hold exactly these triples: services of a pair, then sources alike, then destinations alike."""
    services: dict[tuple[Peer, Peer], set[Service]] = defaultdict(set)
    for triple in triples:
        services[triple.src, triple.dst].add(triple.service)
    sources: dict[tuple[Peer, frozenset[Service]], set[Peer]] = defaultdict(set)
    for (src, dst), several in services.items():
        sources[dst, frozenset(several)].add(src)
    places: dict[tuple[frozenset[Peer], frozenset[Service]], set[Peer]] = defaultdict(set)
    for (dst, used), srcs in sources.items():
        places[frozenset(srcs), used].add(dst)
    where = {
        (src, dst, service): n
        for n, ((srcs, used), dsts) in enumerate(places.items())
        for src in srcs
        for dst in dsts
        for service in used
    }
    held: list[list[tuple[Edge, int]]] = [[] for _ in places]
    for triple, theirs in triples.items():
        held[where[triple]] += theirs
    out = [
        Product(
            tuple(sorted(srcs, key=_order)),
            tuple(sorted(dsts, key=_order)),
            tuple(sorted(used)),
            tuple(edge for edge, _ in theirs),
            max((level for _, level in theirs), default=0),
            any(level < breadth for _, level in theirs),
        )
        for ((srcs, used), dsts), theirs in zip(places.items(), held, strict=True)
    ]
    return sorted(out, key=lambda p: (tuple(map(_order, p.dst)), p.services, tuple(map(_order, p.src))))


def joined(listed: Iterable[Service]) -> list[Service]:
    """The same packets in fewer services: spans that touch or overlap are one."""
    out: list[Service] = []
    for service in sorted(set(listed)):
        if out and out[-1].proto == service.proto and service.ported and service.low <= out[-1].high + 1:
            out[-1] = Service(service.proto, out[-1].low, max(out[-1].high, service.high))
        else:
            out.append(service)
    return out


def _order(peer: Peer) -> tuple[str, str, int, int]:
    return repr(peer.selector or ""), peer.word, peer.first, peer.last


def _triples(edges: Sequence[Edge], peers: Peers, level: int) -> list[Triple]:
    """At one breadth. Destinations are joined by service, then sources by destination and service."""
    spans = passive(edges, level)
    used = [spans.get((edge.dst, edge.proto, edge.port), edge.service) for edge in edges]
    by_service: dict[Service, set[tuple[int, object]]] = defaultdict(set)
    for edge, service in zip(edges, used, strict=True):
        by_service[service].add((edge.dst, edge.dst_who))
    to = {service: peers.of(ends, level, sources=False) for service, ends in by_service.items()}  # type: ignore[arg-type]
    dsts = [to[service][edge.dst, edge.dst_who] for edge, service in zip(edges, used, strict=True)]
    by_target: dict[tuple[Service, Peer], set[tuple[int, object]]] = defaultdict(set)
    for edge, service, dst in zip(edges, used, dsts, strict=True):
        by_target[service, dst].add((edge.src, edge.src_who))
    of = {target: peers.of(ends, level, sources=True) for target, ends in by_target.items()}  # type: ignore[arg-type]
    return [
        Triple(of[service, dst][edge.src, edge.src_who], dst, service)
        for edge, service, dst in zip(edges, used, dsts, strict=True)
    ]


def passive(edges: Sequence[Edge], level: int) -> dict[tuple[int, int, int], Service]:
    """The span for each (destination, protocol, port) whose ports are negotiated: many of one host, each hardly used twice."""
    flows: dict[tuple[int, int], dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for edge in edges:
        if edge.proto in (6, 17) and edge.port >= _LOWEST_PASSIVE:
            flows[edge.dst, edge.proto][edge.port] += edge.flows
    out: dict[tuple[int, int, int], Service] = {}
    for (dst, proto), ports in flows.items():
        seldom = [port for port, count in ports.items() if count <= _PASSIVE_FLOWS]
        if len(seldom) < _PASSIVE_LEAST:
            continue
        low, high = min(seldom), max(seldom)
        if level >= 3:
            low, high = next((a, b) for a, b in _ROUNDED if a <= low)
        out.update({(dst, proto, port): Service(proto, low, high) for port in ports if low <= port <= high})
    return out


class _Against:
    """What stays out, found by service and destination: a draft of many edges asks for each of its triples."""

    def __init__(self, against: Sequence[Edge], peers: Peers) -> None:
        by: dict[tuple[int, int], list[Edge]] = defaultdict(list)
        for edge in against:
            by[edge.proto, edge.port].append(edge)
        self._by = {key: sorted(edges, key=lambda edge: edge.dst) for key, edges in by.items()}
        self._places = {key: [edge.dst for edge in edges] for key, edges in self._by.items()}
        self._ports: dict[int, list[int]] = defaultdict(list)
        for proto, port in sorted(by):
            self._ports[proto].append(port)
        self._peers = peers
        self._known: dict[Triple, bool] = {}
        self._meant: dict[tuple[tuple[int, int], Peer], list[Edge]] = {}

    def within(self, triple: Triple) -> bool:
        """Whether a triple would let in something that stays out."""
        if triple not in self._known:
            self._known[triple] = any(
                self._peers.holds(triple.src, edge.src, edge.src_who)
                for key in self._alike(triple.service)
                for edge in self._to(key, triple.dst)
            )
        return self._known[triple]

    def _to(self, key: tuple[int, int], dst: Peer) -> Sequence[Edge]:
        """Those of one port whose destination a peer means."""
        edges = self._by[key]
        if dst.selector is None and not dst.word:
            places = self._places[key]
            return edges[bisect_left(places, dst.first) : bisect_right(places, dst.last)]
        if (key, dst) not in self._meant:
            self._meant[key, dst] = [edge for edge in edges if self._peers.holds(dst, edge.dst, edge.dst_who)]
        return self._meant[key, dst]

    def _alike(self, service: Service) -> Iterable[tuple[int, int]]:
        if service.low == service.high and service.ported:
            return [(service.proto, service.low)] if (service.proto, service.low) in self._by else []
        ports = self._ports.get(service.proto, ())
        return [(service.proto, port) for port in ports if not service.ported or service.low <= port <= service.high]
