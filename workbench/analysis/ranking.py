"""Which hosts come first, and how many there are: the part of Workloads that has to look at everybody.

A case of 20 million flows may hold millions of addresses within networks. What is kept of each is its name, the one
measure that is asked for and whether it ever sent anything: whole rows of all of them would not fit into what the
engine may hold beside the app. The numbers of the listed are summed afterwards, for them alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import pyarrow.compute as pc

from workbench.analysis.prefixes import address_of, halves_order
from workbench.analysis.sides import ENDS, KEY, Listed, end_of, halves_of, peers_of
from workbench.store.pages import Where
from workbench.store.reader import Asks

Measure = Literal["bytes", "flows", "peers", "first", "last", "lifetime"]

#: By measure: what an end is summed up to, how both ends are put together, and what is ranked by.
_SUMMED: Final[dict[str, tuple[str, str, str]]] = {
    "bytes": ("sum(src_bytes + dst_bytes)::BIGINT AS a", "sum(a)::BIGINT AS a", "a"),
    "flows": ("count(*) AS a", "sum(a)::BIGINT AS a", "a"),
    "first": ("min(ts) AS a", "min(a) AS a", "a"),
    "last": ("max(ts_end) AS a", "max(a) AS a", "a"),
    "lifetime": ("min(ts) AS a, max(ts_end) AS b", "min(a) AS a, max(b) AS b", "epoch_us(b) - epoch_us(a)"),
}
#: What hosts are ranked by.
MEASURES: Final = ("bytes", "flows", "peers", "first", "last", "lifetime")
#: Hosts whose peers are counted by themselves, at most; more are counted with everybody's.
_CANDIDATES: Final = 2_000


@dataclass(frozen=True, slots=True)
class Ranked:
    """The first hosts in order with the measure of each, and of how many: senders, those that sent nothing, networks."""

    listed: Listed
    measures: list[Any]
    talking: int
    silent: int
    networks: int


def rank(asks: Asks, where: Where, by: Measure, *, descending: bool, silent: bool, limit: int) -> Ranked:
    """The first `limit` hosts by a measure; ties by network and address. KeyError for an unknown measure.

    silent: those that sent nothing, too.
    """
    kept = "true" if silent else "sent > 0"
    if by == "peers":
        found = _by_peers(asks, where, kept, limit) if descending else None
        if found is not None:
            return found
        return _ranked(asks, _peers_sql(where.sql), where.params * 4, "a", kept, limit, descending=descending)
    measure = _SUMMED[by][2]
    return _ranked(asks, _summed_sql(where.sql, by), where.params * 2, measure, kept, limit, descending=descending)


def _ranked(asks: Asks, every: str, params: Sequence[Any], measure: str, kept: str, limit: int, *, descending: bool) -> Ranked:
    """Rank what `every` gives (network, key, sent, measures); how many there are is of all of it."""
    order = f"{measure} {'DESC' if descending else 'ASC'}, network, {halves_order('hi', 'lo')}"
    found = asks.query(
        f"""WITH every AS MATERIALIZED ({every}), counted AS (
  SELECT count(*) FILTER (sent > 0) AS talking, count(*) FILTER (sent = 0) AS silent, count(DISTINCT network) AS networks
  FROM every
), best AS (SELECT * FROM every WHERE {kept} ORDER BY {order} LIMIT {int(limit)})
SELECT network, {KEY}, {measure} AS measure, talking, silent, networks FROM counted LEFT JOIN best ON true ORDER BY {order}""",
        params,
    )
    counts = [int(found[name][0].as_py()) for name in ("talking", "silent", "networks")]
    found = found.filter(pc.is_valid(found["network"]))  # where there is nobody the counts stand alone
    return Ranked((found["network"].to_pylist(), halves_of(found)), found["measure"].to_pylist(), *counts)


def _summed_sql(condition: str, by: str) -> str:
    """Every host with one measure. Either end is summed up by itself first: the responders of most cases are few."""
    one, both, _ = _SUMMED[by]
    ends = " UNION ALL ".join(
        f"SELECT network, {end_of(near)}, max({near}_pkts) AS sent, {one} FROM flows WHERE {condition} GROUP BY ALL"
        for near, _ in ENDS
    )
    return f"SELECT network, {KEY}, max(sent) AS sent, {both} FROM ({ends}) WHERE lo IS NOT NULL GROUP BY ALL"


def _peers_sql(condition: str) -> str:
    """Every host with the number of addresses that it met. What it holds goes to disk where it has to: every pair there is."""
    met = " UNION ".join(
        f"SELECT network, {end_of(near)}, {far}_hi AS far_hi, {far}_lo AS far_lo FROM flows WHERE {condition}"
        for near, far in ENDS
    )
    ends = " UNION ALL ".join(
        f"SELECT network, {end_of(near)}, max({near}_pkts) AS sent FROM flows WHERE {condition} GROUP BY ALL" for near, _ in ENDS
    )
    # the ends stand first, as the values of the condition do
    return f"""
SELECT network, {KEY}, sent, a FROM (
  SELECT network, {KEY}, max(sent) AS sent FROM ({ends}) WHERE lo IS NOT NULL GROUP BY ALL
) JOIN (SELECT network, {KEY}, count(far_lo) AS a FROM ({met}) GROUP BY ALL) USING (network, {KEY})"""


def _by_peers(asks: Asks, where: Where, kept: str, limit: int) -> Ranked | None:
    """Those with most peers, where few can be: a host has no more peers than flows.

    Peers of those with most flows are counted. Who is not among them has no more flows, so no more peers, than the last
    of them has flows: if all that are listed have more peers than that, nobody was missed. None where that is not so.
    """
    most = max(_CANDIDATES, limit)
    ranked = _ranked(asks, _summed_sql(where.sql, "flows"), where.params * 2, "a", kept, most, descending=True)
    networks, addresses = ranked.listed
    peers = peers_of(asks, where, ranked.listed) if networks else {}
    order = sorted(range(len(networks)), key=lambda n: (-peers.get(n, 0), networks[n], address_of(*addresses[n])))[:limit]
    if len(networks) == most and (not order or peers.get(order[-1], 0) <= ranked.measures[-1]):
        return None
    first = [networks[n] for n in order], [addresses[n] for n in order]
    return replace(ranked, listed=first, measures=[peers.get(n, 0) for n in order])
