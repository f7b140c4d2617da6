"""Hosts of a case: addresses within a tenant network, when they were there, what they said and what they offer.

Each side of the flows is summed by itself before both are put together, which keeps 20 million flows to seconds.
What takes a look at every flow of a host (peers, MACs, services, lifelines) is asked for the listed ones only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.analysis.prefixes import Prefix
from workbench.store.pages import Where
from workbench.store.reader import Asks

Measure = Literal["bytes", "flows", "peers", "first", "last", "lifetime"]
#: What hosts are ranked by.
MEASURES: Final[dict[str, str]] = {
    "bytes": "sent + received",
    "flows": "flows",
    "peers": "peers",
    "first": "first",
    "last": "last",
    "lifetime": "epoch_us(last) - epoch_us(first)",
}
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
    ranked = asks.query(_ranking(where.sql, by, descending=descending, silent=silent, limit=limit), where.params * _SIDES[by])
    rows = ranked.to_pylist()
    if not rows:
        return Hosts((), *_counts(asks, where) if not silent else (0, 0, 0))
    listed = [row["network"] for row in rows], [row["addr"] for row in rows]
    progress("drawing lifelines")
    tenures = _tenures(asks, where, over, listed)
    progress("counting peers and services")
    peers, services = _peers(asks, where, listed), _services(asks, where, listed)
    made = [_host(row, tenures.get(n, {}), over.bins, peers.get(n, 0), services.get(n, ())) for n, row in enumerate(rows)]
    return Hosts(tuple(made), rows[0]["talking"], rows[0]["silent"], rows[0]["networks"])


# -- ranking --------------------------------------------------------------------------------------

#: How often a ranking holds the condition.
_SIDES: Final = dict.fromkeys(MEASURES, 2) | {"peers": 4}


def _ranking(condition: str, by: str, *, descending: bool, silent: bool, limit: int) -> str:
    """SQL for the first hosts; with how many there are in all on every row."""
    order = f"{MEASURES[by]} {'DESC' if descending else 'ASC'}, network, addr"
    extra, joined = "", ""
    if by == "peers":
        extra = f"""
, pairs AS (
  SELECT network, src_addr AS addr, dst_addr AS peer FROM flows WHERE {condition}
  UNION
  SELECT network, dst_addr, src_addr FROM flows WHERE {condition}
), peers AS (SELECT network, addr, count(peer) AS peers FROM pairs GROUP BY ALL)"""
        joined = "JOIN peers USING (network, addr)"
    # sides come first in the text: the values of the condition stand in the order of its places
    return f"""
WITH sides AS ({_side("src", "dst", condition)} UNION ALL {_side("dst", "src", condition)}){extra}
, every AS MATERIALIZED (
  SELECT network, addr, min(first) AS first, max(last) AS last, sum(flows)::BIGINT AS flows, sum(began)::BIGINT AS began,
         sum(sent)::BIGINT AS sent, sum(received)::BIGINT AS received, sum(sent_packets)::BIGINT AS sent_packets
  FROM sides WHERE addr IS NOT NULL GROUP BY ALL
), counted AS (
  SELECT count(*) FILTER (sent_packets > 0) AS talking, count(*) FILTER (sent_packets = 0) AS silent,
         count(DISTINCT network) AS networks FROM every
)
SELECT every.*, counted.* FROM every {joined} CROSS JOIN counted
WHERE {"true" if silent else "sent_packets > 0"} ORDER BY {order} LIMIT {int(limit)}"""


def _side(near: str, far: str, condition: str) -> str:
    return f"""
SELECT network, {near}_addr AS addr, min(ts) AS first, max(ts_end) AS last, count(*) AS flows,
       {"count(*)" if near == "src" else "0"} AS began, sum({near}_bytes)::BIGINT AS sent,
       sum({far}_bytes)::BIGINT AS received, sum({near}_pkts)::BIGINT AS sent_packets
FROM flows WHERE {condition} GROUP BY network, {near}_addr"""


def _counts(asks: Asks, where: Where) -> tuple[int, int, int]:
    """Where nobody talked: how many were asked for."""
    row = asks.query(
        f"""SELECT count(*) AS n, count(DISTINCT network) AS networks FROM (
SELECT network, src_addr AS addr FROM flows WHERE {where.sql} UNION SELECT network, dst_addr FROM flows WHERE {where.sql}
) WHERE addr IS NOT NULL""",
        where.params * 2,
    ).to_pylist()[0]
    return 0, row["n"], row["networks"]


# -- the listed ------------------------------------------------------------------------------------

Listed = tuple[list[str], list[bytes]]

_LISTED: Final = """
WITH listed AS (SELECT unnest(?::VARCHAR[]) AS network, unnest(?::BLOB[]) AS addr, unnest(range({count})) AS n)"""


def _asked(asks: Asks, sql: str, where: Where, listed: Listed, sides: int) -> pa.Table:
    return asks.query(_LISTED.format(count=len(listed[0])) + sql, (*listed, *where.params * sides))


def _joined(near: str) -> str:
    return f"JOIN listed l ON f.network = l.network AND f.{near}_addr = l.addr"


def _flows(where: Where) -> str:
    """The flows asked about, under a name: a condition says plain column names, which a join would make ambiguous."""
    return f"(SELECT * FROM flows WHERE {where.sql}) f"


def _tenures(asks: Asks, where: Where, over: Range, listed: Listed) -> dict[int, dict[str, list[Any]]]:
    """By host and MAC: [first, last, flows, changes in open flows by bin], from one pass over either side."""
    one = """
SELECT n, CASE WHEN f.{near}_pkts > 0 THEN f.{near}_mac END AS mac, {begin} AS begin, {end} AS ending, f.ts, f.ts_end
FROM {flows} {joined}"""
    sides = " UNION ALL ".join(
        one.format(near=near, begin=over.sql("f.ts"), end=over.sql("f.ts_end"), flows=_flows(where), joined=_joined(near))
        for near in ("src", "dst")
    )
    sql = f"""
SELECT n, coalesce(mac, '') AS mac, begin, ending, count(*) AS flows, epoch_us(min(ts)) AS first, epoch_us(max(ts_end)) AS last
FROM ({sides}) GROUP BY ALL"""
    found: dict[int, dict[str, list[Any]]] = {}
    table = _asked(asks, sql, where, listed, 2)
    for n, mac, begin, ending, flows, first, last in zip(*(c.to_pylist() for c in table.columns), strict=True):
        held = found.setdefault(n, {}).setdefault(mac, [first, last, 0, np.zeros(over.bins + 1, np.int64)])
        held[0], held[1], held[2] = min(held[0], first), max(held[1], last), held[2] + flows
        held[3][begin] += flows
        held[3][ending + 1] -= flows
    return found


def _peers(asks: Asks, where: Where, listed: Listed) -> dict[int, int]:
    sides = " UNION ALL ".join(
        f"SELECT n, f.{far}_addr AS peer FROM {_flows(where)} {_joined(near)}" for near, far in (("src", "dst"), ("dst", "src"))
    )
    table = _asked(asks, f" SELECT n, count(DISTINCT peer) AS peers FROM ({sides}) GROUP BY n", where, listed, 2)
    return dict(zip(table["n"].to_pylist(), table["peers"].to_pylist(), strict=True))


def _services(asks: Asks, where: Where, listed: Listed) -> dict[int, tuple[str, ...]]:
    """What each host answered at; a port and its protocol, and the application protocol where one was seen."""
    sql = f"""
, offered AS (
  SELECT n, f.proto_name AS proto, f.dst_port AS port, min(f.service) AS service, count(*) AS flows
  FROM {_flows(where)} {_joined("dst")}
  WHERE f.proto IN (6, 17, 33, 132, 136) AND {ANSWERED} GROUP BY n, f.proto_name, f.dst_port
)
SELECT n, proto, port, service FROM offered
QUALIFY row_number() OVER (PARTITION BY n ORDER BY flows DESC, proto, port) <= {SERVICES} ORDER BY n, flows DESC, proto, port"""
    found: dict[int, tuple[str, ...]] = {}
    for row in _asked(asks, sql, where, listed, 1).to_pylist():
        words = f"{row['proto']}/{row['port']}" + (f" {row['service']}" if row["service"] else "")
        found[row["n"]] = (*found.get(row["n"], ()), words)
    return found


def _host(row: dict[str, Any], macs: dict[str, list[Any]], bins: int, peers: int, services: tuple[str, ...]) -> Host:
    held = [Tenure(mac, first, last, flows, np.cumsum(changes)[:bins]) for mac, (first, last, flows, changes) in macs.items()]
    named = sorted((t for t in held if t.mac), key=lambda t: (-t.last, t.mac))
    whole = sum((t.bins for t in held), np.zeros(bins, np.int64))
    first, last = _us(row["first"]), _us(row["last"])
    counts = {name: row[name] for name in ("flows", "began", "sent", "received", "sent_packets")}
    return Host(
        row["network"], row["addr"], first, last, **counts, peers=peers, macs=tuple(named[:TENURES]),
        more_macs=max(0, len(named) - TENURES), services=services, bins=whole,
    )  # fmt: skip


def _us(when: Any) -> int:
    """Microseconds since 1970 of a UTC time without zone."""
    return int(np.datetime64(when, "us").astype(np.int64))
