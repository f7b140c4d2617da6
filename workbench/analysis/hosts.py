"""Hosts of a case: addresses within a tenant network, when they were there, what they said and what they offer.

Which come first is found with one measure of everybody (`ranking`); all else, which takes a look at every flow of
a host (sums, peers, MACs, services, lifelines), is asked for the listed ones only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workbench.analysis.prefixes import Prefix, address_of
from workbench.analysis.ranking import MEASURES, Measure, rank
from workbench.analysis.sides import ENDS, Halves, Listed, asked_of, of_listed, peers_of
from workbench.store.pages import Where
from workbench.store.reader import Asks

__all__ = ["MEASURES", "Host", "Hosts", "Measure", "Range", "Tenure", "hosts"]

#: Hosts listed at once, with lifelines.
LIMIT: Final = 500
#: Tenures of one address that are told apart; the rest stays in the address's own line.
TENURES: Final = 12
#: Services named for one host.
SERVICES: Final = 12

#: A flow in which the responder's port answered: it sent something, and not only a refusal.
ANSWERED: Final = "dst_pkts > 0 AND (conn_state IS NULL OR conn_state NOT IN ('REJ', 'RSTRH', 'RSTOS0', 'S0', 'SH'))"
#: A flow that got no answer at all.
UNANSWERED: Final = "dst_pkts = 0"


@dataclass(frozen=True, slots=True)
class Tenure:
    """An address while one MAC held it. bins: open flows in each bin of the range that was asked about."""

    mac: str
    first: int  # microseconds since 1970, UTC
    last: int
    flows: int
    bins: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Host:
    """An address within a network, over the flows that were asked about; bytes are IP bytes, times microseconds.

    flows: it is on either side. began: it is the originator. sent_packets 0: nothing came from it, it was only asked
    for. macs: whose packets carried the address, latest first. services: what it answered at (`tcp/443 tls`), most used first.
    """

    network: str
    addr: bytes
    first: int
    last: int
    flows: int
    began: int
    sent: int
    received: int
    sent_packets: int
    peers: int
    macs: tuple[Tenure, ...]
    more_macs: int
    services: tuple[str, ...]
    bins: NDArray[np.int64]

    @property
    def ip(self) -> str:
        """The address as text."""
        return str(Prefix(self.addr, 32 if self.addr[:12] == bytes(10) + b"\xff\xff" else 128))

    @property
    def lifetime(self) -> int:
        """Microseconds from its first to its last packet."""
        return self.last - self.first


@dataclass(frozen=True, slots=True)
class Hosts:
    """The listed hosts in order. talking, silent: how many addresses sent something, and how many nothing, in all."""

    listed: tuple[Host, ...]
    talking: int
    silent: int
    networks: int


@dataclass(frozen=True, slots=True)
class Range:
    """A time range in equal bins: microseconds since 1970, end excluded."""

    start: int
    end: int
    bins: int

    def sql(self, column: str) -> str:
        """The bin of a moment; those outside lie in the first or the last."""
        width = max(1, self.end - self.start)
        return f"least(greatest((epoch_us({column}) - {self.start}) * {self.bins} // {width}, 0), {self.bins - 1})"


def hosts(
    asks: Asks,
    where: Where,
    over: Range,
    *,
    by: Measure = "bytes",
    descending: bool = True,
    silent: bool = False,
    limit: int = LIMIT,
    progress: Callable[[str], None] = lambda _: None,
) -> Hosts:
    """The first `limit` hosts by a measure, with lifelines over a range; ties by network and address.

    silent: list those that sent nothing, too. CancelledError when stopped. KeyError for an unknown measure.
    """
    progress("summing up both sides of the flows")
    ranked = rank(asks, where, by, descending=descending, silent=silent, limit=limit)
    listed = ranked.listed
    if not listed[0]:
        return Hosts((), ranked.talking, ranked.silent, ranked.networks)
    progress("drawing lifelines")
    seen = _seen(asks, where, over, listed)
    progress("counting peers and services")
    peers, services = peers_of(asks, where, listed), _services(asks, where, listed)
    made = [
        _host(network, addr, seen[n], over.bins, peers.get(n, 0), services.get(n, ()))
        for n, (network, addr) in enumerate(zip(*listed, strict=True))
    ]
    return Hosts(tuple(made), ranked.talking, ranked.silent, ranked.networks)


# -- the listed ------------------------------------------------------------------------------------

#: What is summed of an end, by what it is called: the originator's and the responder's bytes lie the other way round.
_SUMS: Final = ("flows", "began", "sent", "received", "sent_packets")


def _seen(asks: Asks, where: Where, over: Range, listed: Listed) -> dict[int, dict[str, _Held]]:
    """By host and MAC what its flows sum up to, from one pass over either end."""
    one = """
SELECT n, CASE WHEN f.{near}_pkts > 0 THEN f.{near}_mac END AS mac, {begin} AS begin, {end} AS ending, f.ts, f.ts_end,
       {began} AS began, f.{near}_bytes AS sent, f.{far}_bytes AS received, f.{near}_pkts AS packets
FROM {flows}"""
    ends = " UNION ALL ".join(
        one.format(near=near, far=far, begin=over.sql("f.ts"), end=over.sql("f.ts_end"), began=int(near == "src"),
                   flows=of_listed(where, near))
        for near, far in ENDS
    )  # fmt: skip
    sql = f"""
SELECT n, coalesce(mac, '') AS mac, begin, ending, epoch_us(min(ts)) AS first, epoch_us(max(ts_end)) AS last,
       count(*) AS flows, sum(began)::BIGINT AS began, sum(sent)::BIGINT AS sent, sum(received)::BIGINT AS received,
       sum(packets)::BIGINT AS sent_packets
FROM ({ends}) GROUP BY ALL"""
    found: dict[int, dict[str, _Held]] = {}
    table = asked_of(asks, sql, where, listed, 2)
    for n, mac, begin, ending, first, last, *sums in zip(*(c.to_pylist() for c in table.columns), strict=True):
        held = found.setdefault(n, {}).setdefault(mac, _Held(first, last, over.bins))
        held.add(begin, ending, first, last, sums)
    return found


class _Held:
    """What the flows of a host sum up to while one MAC held it."""

    def __init__(self, first: int, last: int, bins: int) -> None:
        self.first, self.last = first, last
        self.sums = [0] * len(_SUMS)
        self.changes = [0] * (bins + 1)

    def add(self, begin: int, ending: int, first: int, last: int, sums: Sequence[int]) -> None:
        """Flows that were open from one bin until another."""
        self.first, self.last = min(self.first, first), max(self.last, last)
        self.sums = [a + b for a, b in zip(self.sums, sums, strict=True)]
        self.changes[begin] += sums[0]
        self.changes[ending + 1] -= sums[0]

    def tenure(self, mac: str) -> Tenure:
        """As it is shown."""
        return Tenure(mac, self.first, self.last, self.sums[0], np.cumsum(np.array(self.changes, np.int64))[:-1])


def _services(asks: Asks, where: Where, listed: Listed) -> dict[int, tuple[str, ...]]:
    """What each host answered at; a port and its protocol, and the application protocol where one was seen."""
    sql = f"""
, offered AS (
  SELECT n, f.proto_name AS proto, f.dst_port AS port, min(f.service) AS service, count(*) AS flows
  FROM {of_listed(where, "dst")}
  WHERE f.proto IN (6, 17, 33, 132, 136) AND {ANSWERED} GROUP BY n, f.proto_name, f.dst_port
)
SELECT n, proto, port, service FROM offered
QUALIFY row_number() OVER (PARTITION BY n ORDER BY flows DESC, proto, port) <= {SERVICES} ORDER BY n, flows DESC, proto, port"""
    found: dict[int, tuple[str, ...]] = {}
    for row in asked_of(asks, sql, where, listed, 1).to_pylist():
        words = f"{row['proto']}/{row['port']}" + (f" {row['service']}" if row["service"] else "")
        found[row["n"]] = (*found.get(row["n"], ()), words)
    return found


def _host(
    network: str, halves: Halves, seen: dict[str, _Held], bins: int, peers: int, services: tuple[str, ...]
) -> Host:  # fmt: skip
    tenures = [held.tenure(mac) for mac, held in seen.items()]
    named = sorted((t for t in tenures if t.mac), key=lambda t: (-t.last, t.mac))
    sums = dict(zip(_SUMS, (sum(of_all) for of_all in zip(*(held.sums for held in seen.values()), strict=True)), strict=True))
    return Host(
        network, address_of(*halves), min(t.first for t in tenures), max(t.last for t in tenures), **sums, peers=peers,
        macs=tuple(named[:TENURES]), more_macs=max(0, len(named) - TENURES), services=services,
        bins=sum((t.bins for t in tenures), np.zeros(bins, np.int64)),
    )  # fmt: skip
