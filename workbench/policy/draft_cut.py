"""The smallest cut: the fewest connections, or those of the fewest bytes, whose denial leaves no way from some hosts to others.

A way is a chain of connections that history shows, each begun by the host before; *timed*, only where each is seen after the
one before it began. The smallest cut of all ways is exact (max-flow, Dinic 1970). Of timed ways the smallest is NP-hard (Kempe,
Kleinberg and Kumar 2002): connections on no timed way are left out first, then whatever the cut can do without; it is a cut, and
none of it is idle, but another may be smaller.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from workbench.policy.draft_seen import Edge

#: More than any cut costs: of what must not be cut.
_NEVER: Final = 1 << 62

Connection = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Cut:
    """cut: the connections to deny, empty where there is no way. possible: whether what must stay leaves none open.

    way: where it is not, one chain of connections that must stay. exact: whether no smaller cut exists.
    """

    cut: tuple[Edge, ...]
    possible: bool = True
    way: tuple[Edge, ...] = ()
    exact: bool = True


def separate(
    edges: Sequence[Edge],
    sources: Collection[int],
    targets: Collection[int],
    *,
    by_bytes: bool = False,
    timed: bool = False,
    keep: Collection[Connection] = (),
) -> Cut:
    """What to deny so that nobody of `sources` reaches any of `targets`. keep: connections that must stay.

    sources and targets have nobody in common, else there is nothing that a network could cut: ValueError.
    """
    if set(sources) & set(targets):
        raise ValueError("a host would have to be separated from itself")
    used = [edge for edge in edges if edge.src != edge.dst]
    if timed:
        used = _on_a_way(used, sources, targets)
    kept = frozenset(keep)
    must = [edge for edge in used if connection(edge) in kept]
    reached = _reached(must, sources, timed=timed)
    if any(target in reached for target in targets):
        return Cut((), possible=False, way=_way(must, sources, targets, timed=timed))
    cost: Callable[[Edge], int] = (lambda edge: edge.bytes + 1) if by_bytes else (lambda _: 1)
    found = _smallest(used, sources, targets, cost, kept)
    if found is None:
        found = [edge for edge in used if connection(edge) not in kept]
    thinned = _thinned(found, used, sources, targets, cost) if timed else found
    exact = not timed or len(thinned) <= 1
    return Cut(tuple(sorted(thinned, key=lambda e: (e.src, e.dst, e.proto, e.port))), exact=exact)


def connection(edge: Edge) -> Connection:
    """What a rule can deny: ends and service."""
    return edge.src, edge.dst, edge.proto, edge.port


def _smallest(
    edges: Sequence[Edge],
    sources: Collection[int],
    targets: Collection[int],
    cost: Callable[[Edge], int],
    kept: Collection[Connection],
) -> list[Edge] | None:
    """By max-flow; None where only what must stay leads there."""
    graph = _Graph()
    capacity: dict[tuple[int, int], int] = defaultdict(int)
    for edge in edges:
        capacity[edge.src, edge.dst] += _NEVER if connection(edge) in kept else cost(edge)
    for (src, dst), most in capacity.items():
        graph.join(src, dst, min(most, _NEVER))
    for source in sources:
        graph.join("from", source, _NEVER)
    for target in targets:
        graph.join(target, "to", _NEVER)
    graph.fill("from", "to")
    near = graph.near("from")
    crossing = [edge for edge in edges if edge.src in near and edge.dst not in near]
    return None if any(connection(edge) in kept for edge in crossing) else crossing


class _Graph:
    """A residual graph by Dinic's levels; without recursion, since a way may be as long as the case is large."""

    def __init__(self) -> None:
        self._arcs: dict[object, list[int]] = defaultdict(list)
        self._head: list[object] = []
        self._left: list[int] = []

    def join(self, src: object, dst: object, capacity: int) -> None:
        for head, tail, left in ((dst, src, capacity), (src, dst, 0)):
            self._arcs[tail].append(len(self._head))
            self._head.append(head)
            self._left.append(left)

    def fill(self, source: object, sink: object) -> None:
        """A largest flow."""
        while sink in (levels := self._levels(source)):
            place: dict[object, int] = defaultdict(int)
            while self._augmented(source, sink, levels, place):
                pass

    def near(self, source: object) -> frozenset[object]:
        """The side of a smallest cut that the source is on."""
        return frozenset(self._levels(source))

    def _levels(self, source: object) -> dict[object, int]:
        levels = {source: 0}
        todo = deque([source])
        while todo:
            node = todo.popleft()
            for arc in self._arcs[node]:
                if self._left[arc] > 0 and self._head[arc] not in levels:
                    levels[self._head[arc]] = levels[node] + 1
                    todo.append(self._head[arc])
        return levels

    def _augmented(self, source: object, sink: object, levels: Mapping[object, int], place: dict[object, int]) -> bool:
        """One more path of this level graph, filled; whether there was one."""
        path: list[int] = []
        node = source
        while node != sink:
            arcs = self._arcs[node]
            while place[node] < len(arcs):
                arc = arcs[place[node]]
                if self._left[arc] > 0 and levels.get(self._head[arc], -1) == levels[node] + 1:
                    break
                place[node] += 1
            else:
                if not path:
                    return False
                node = self._head[path.pop() ^ 1]
                place[node] += 1
                continue
            path.append(arc)
            node = self._head[arc]
        least = min(self._left[arc] for arc in path)
        for arc in path:
            self._left[arc] -= least
            self._left[arc ^ 1] += least
        return True


def _reached(edges: Sequence[Edge], sources: Collection[int], *, timed: bool) -> dict[int, int]:
    """Who can be reached, and how early. Timed: over a connection whose last flow is not before one is there.

    Earliest first (Dijkstra over times), for who is there early can take whatever who is there late can.
    """
    import heapq

    out: dict[int, list[Edge]] = defaultdict(list)
    for edge in edges:
        out[edge.src].append(edge)
    start = min((edge.first for edge in edges), default=0)
    early = dict.fromkeys(sources, start)
    todo = [(start, node) for node in sorted(early)]
    while todo:
        at, node = heapq.heappop(todo)
        if at > early[node]:
            continue
        for edge in out[node]:
            if timed and edge.last < at:
                continue
            there = max(at, edge.first) if timed else start
            if edge.dst not in early or there < early[edge.dst]:
                early[edge.dst] = there
                heapq.heappush(todo, (there, edge.dst))
    return early


def _on_a_way(edges: Sequence[Edge], sources: Collection[int], targets: Collection[int]) -> list[Edge]:
    """Connections that lie on a timed way: somebody is there before they end, and can still go on behind them."""
    early = _reached(edges, sources, timed=True)
    turned = [Edge(edge.dst, edge.src, edge.proto, edge.port, first=-edge.last, last=-edge.first) for edge in edges]
    late = {node: -at for node, at in _reached(turned, targets, timed=True).items()}
    return [
        edge
        for edge in edges
        if edge.src in early and edge.dst in late and max(edge.first, early[edge.src]) <= min(edge.last, late[edge.dst])
    ]


def _thinned(
    cut: Sequence[Edge], edges: Sequence[Edge], sources: Collection[int], targets: Collection[int], cost: Callable[[Edge], int]
) -> list[Edge]:
    """The cut without what it can do without, the dearest first."""
    kept = list(cut)
    for edge in sorted(cut, key=cost, reverse=True):
        without = [one for one in kept if one is not edge]
        denied = {connection(one) for one in without}
        left = [one for one in edges if connection(one) not in denied]
        reached = _reached(left, sources, timed=True)
        if not any(target in reached for target in targets):
            kept = without
    return kept


def _way(edges: Sequence[Edge], sources: Collection[int], targets: Collection[int], *, timed: bool) -> tuple[Edge, ...]:
    """One chain of connections from one to the other."""
    early = _reached(edges, sources, timed=timed)
    into: dict[int, list[Edge]] = defaultdict(list)
    for edge in edges:
        if edge.src in early and (not timed or edge.last >= early[edge.src]):
            into[edge.dst].append(edge)
    starts = set(sources)
    todo: deque[tuple[int, tuple[Edge, ...]]] = deque((target, ()) for target in targets if target in early)
    seen = {target for target, _ in todo}
    while todo:
        node, chain = todo.popleft()
        if node in starts:
            return chain
        for edge in into[node]:
            if edge.src not in seen:
                seen.add(edge.src)
                todo.append((edge.src, (edge, *chain)))
    return ()


def reaches(edges: Sequence[Edge], sources: Collection[int], targets: Collection[int], *, timed: bool = False) -> bool:
    """Whether there is a way."""
    reached = _reached(edges, sources, timed=timed)
    return any(target in reached for target in targets)
