"""The smallest cut against every subset of small graphs; a cut leaves no way, and what must stay is not in it."""

import itertools
import random

import pytest

from workbench.policy.draft_cut import connection, reaches, separate
from workbench.policy.draft_seen import Edge


def graph(dice: random.Random) -> list[Edge]:
    nodes = dice.randint(3, 6)
    out = {}
    for _ in range(dice.randint(2, 9)):
        src, dst = dice.sample(range(nodes), 2)
        first = dice.randint(0, 20)
        edge = Edge(src, dst, 6, dice.choice([22, 443]), 1, dice.randint(0, 50), first, first + dice.randint(0, 8))
        out[connection(edge)] = edge
    return list(out.values())


def smallest(edges: list[Edge], cost: dict[Edge, int], timed: bool) -> int:
    best = sum(cost.values())
    for size in range(len(edges) + 1):
        for chosen in itertools.combinations(edges, size):
            if not reaches([e for e in edges if e not in chosen], [0], [1], timed=timed):
                best = min(best, sum(cost[e] for e in chosen))
    return best


@pytest.mark.parametrize("by_bytes", [False, True])
def test_a_cut_of_all_ways_is_the_smallest_there_is(by_bytes: bool) -> None:
    sizes = set()
    for seed in range(60):
        edges = graph(random.Random(seed))
        cost = {edge: edge.bytes + 1 if by_bytes else 1 for edge in edges}
        found = separate(edges, [0], [1], by_bytes=by_bytes)
        assert found.exact
        assert not reaches([e for e in edges if e not in found.cut], [0], [1])
        assert sum(cost[e] for e in found.cut) == smallest(edges, cost, False)
        sizes.add(len(found.cut))
    assert len(sizes) >= 3


def test_a_timed_cut_leaves_no_timed_way_and_nothing_of_it_is_idle() -> None:
    fewer = 0
    for seed in range(60):
        edges = graph(random.Random(seed))
        found = separate(edges, [0], [1], timed=True)
        left = [e for e in edges if e not in found.cut]
        assert not reaches(left, [0], [1], timed=True)
        assert all(reaches([*left, one], [0], [1], timed=True) for one in found.cut)
        assert len(found.cut) >= smallest(edges, dict.fromkeys(edges, 1), True)
        if found.exact:
            assert len(found.cut) == smallest(edges, dict.fromkeys(edges, 1), True)
        fewer += len(found.cut) < len(separate(edges, [0], [1]).cut)
    assert fewer  # times matter


def test_what_must_stay_is_not_cut_or_it_is_said_that_there_is_no_cut() -> None:
    chain = [Edge(0, 2, 6, 22), Edge(2, 1, 6, 22), Edge(0, 3, 6, 22), Edge(3, 1, 6, 22)]
    found = separate(chain, [0], [1], keep=[connection(chain[0])])
    assert found.possible
    assert chain[0] not in found.cut
    assert not reaches([e for e in chain if e not in found.cut], [0], [1])
    never = separate(chain, [0], [1], keep=[connection(chain[0]), connection(chain[1])])
    assert (never.possible, never.way) == (False, (chain[0], chain[1]))
    with pytest.raises(ValueError, match="itself"):
        separate(chain, [0], [0])


def test_a_long_chain_needs_no_stack() -> None:
    chain = [Edge(n, n + 1, 6, 22) for n in range(20_000)]
    assert len(separate(chain, [0], [20_000]).cut) == 1
