"""What workloads sent and received, by the bins of a range; who they met; and addresses that nobody has a name for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workbench.analysis.hosts import Range
from workbench.analysis.prefixes import Prefix, address_of, halves_order
from workbench.analysis.sides import ENDS
from workbench.analysis.workloads import Living, living
from workbench.store.pages import Where
from workbench.store.reader import Asks

#: Addresses without a name that are listed.
UNNAMED: Final = 200
#: Peers of one workload that are listed.
PEERS: Final = 40


@dataclass(frozen=True, slots=True)
class Traffic:
    """Sums for each workload by its number; bytes are IP bytes. bins: flows open, a row for each, a column for each bin."""

    flows: NDArray[np.int64]
    sent: NDArray[np.int64]
    received: NDArray[np.int64]
    bins: NDArray[np.int64]

    @property
    def bytes(self) -> NDArray[np.int64]:
        """Both ways."""
        both: NDArray[np.int64] = self.sent + self.received
        return both


@dataclass(frozen=True, slots=True)
class Unnamed:
    """An address that nobody claims, over the flows of which that end has no name. Times are microseconds since 1970."""

    network: str
    ip: str
    flows: int
    sent: int
    received: int
    first: int
    last: int
    bins: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Lifelines:
    """Everything that the map shows of a range. unnamed: those with most bytes; unnamed_in_all: how many there are."""

    living: Living
    traffic: Traffic
    unnamed: tuple[Unnamed, ...]
    unnamed_in_all: int


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom a workload met. uid: None for an address without a name. began: flows that the workload began.

    words: `namespace/name`, or the address; ambiguous: several claim it.
    """

    uid: str | None
    words: str
    flows: int
    began: int
    bytes: int
    ambiguous: bool


def lifelines(
    asks: Asks, where: Where, over: Range, *, progress: Callable[[str], None] = lambda _: None
) -> Lifelines:  # fmt: skip
    """Workloads of a range and what the flows that `where` keeps say of them. CancelledError when stopped."""
    progress("reading workloads")
    found = living(asks, over)
    progress("adding up their flows")
    sums = traffic(asks, where, found)
    progress("finding addresses without a name")
    listed, count = unnamed(asks, where, over)
    return Lifelines(found, sums, listed, count)


def traffic(asks: Asks, where: Where, found: Living) -> Traffic:
    """What each workload sent and received in the flows that are kept."""
    over, count = found.over, len(found.workloads)
    ends = " UNION ALL ".join(
        f"SELECT {near}_wid AS row, {over.sql('ts')} AS begin, {over.sql('ts_end')} AS ending,"
        f" {near}_bytes AS sent, {far}_bytes AS received FROM kept WHERE {near}_wid IS NOT NULL"
        for near, far in ENDS
    )
    sql = f"""
WITH kept AS (SELECT f.ts, f.ts_end, f.src_bytes, f.dst_bytes, i.src_wid, i.dst_wid
  FROM (SELECT flow_id, ts, ts_end, src_bytes, dst_bytes FROM flows WHERE {where.sql}) f JOIN flow_identity i USING (flow_id))
SELECT row, begin, ending, count(*) AS flows, sum(sent)::BIGINT AS sent, sum(received)::BIGINT AS received
FROM ({ends}) GROUP BY ALL"""
    table = asks.query(sql, where.params)
    rows, begin, ending, flows, sent, received = (
        table[name].to_numpy().astype(np.int64) for name in ("row", "begin", "ending", "flows", "sent", "received")
    )
    numbers = _numbers(rows, *found.rows())
    known = numbers >= 0
    numbers, begin, ending, flows, sent, received = (a[known] for a in (numbers, begin, ending, flows, sent, received))
    out = {name: np.zeros(count, np.int64) for name in ("flows", "sent", "received")}
    for name, amounts in (("flows", flows), ("sent", sent), ("received", received)):
        np.add.at(out[name], numbers, amounts)
    changes = np.zeros((count, over.bins + 1), np.int64)
    np.add.at(changes, (numbers, begin), flows)
    np.add.at(changes, (numbers, ending + 1), -flows)
    return Traffic(out["flows"], out["sent"], out["received"], np.cumsum(changes, axis=1)[:, :-1])


def _numbers(rows: NDArray[np.int64], ids: Sequence[int], numbers: Sequence[int]) -> NDArray[np.int64]:
    """The workload's number of each row; -1 for rows of workloads that are not laid out."""
    known, named = np.array(ids, np.int64), np.array(numbers, np.int64)
    if not known.size:
        return np.full(rows.shape, -1, np.int64)
    order = np.argsort(known)
    at = np.minimum(np.searchsorted(known[order], rows), known.size - 1)
    return np.where(known[order][at] == rows, named[order][at], -1)


# -- addresses without a name ----------------------------------------------------------------------


def _nameless(where: Where) -> str:
    """Ends of flows that nobody claims: network, hi, lo, and what went through them. Holds the condition twice."""
    return " UNION ALL ".join(
        f"SELECT network, {near}_hi AS hi, {near}_lo AS lo, ts, ts_end, {near}_bytes AS sent, {far}_bytes AS received"
        f" FROM (SELECT * FROM flows WHERE {where.sql}) f ANTI JOIN (SELECT flow_id FROM flow_identity"
        f" WHERE {near}_wid IS NOT NULL OR {near}_claimants > 0) named USING (flow_id) WHERE {near}_lo IS NOT NULL"
        for near, far in ENDS
    )


def unnamed(asks: Asks, where: Where, over: Range, limit: int = UNNAMED) -> tuple[tuple[Unnamed, ...], int]:
    """Addresses that nobody claims, those with most bytes first, and how many there are."""
    sql = f"""
WITH ends AS MATERIALIZED (SELECT network, hi, lo, {over.sql("ts")} AS begin, {over.sql("ts_end")} AS ending,
    count(*) AS flows, sum(sent)::BIGINT AS sent, sum(received)::BIGINT AS received, min(ts) AS first, max(ts_end) AS last
  FROM ({_nameless(where)}) GROUP BY ALL),
ranked AS (SELECT network, hi, lo, sum(sent) + sum(received) AS m FROM ends GROUP BY ALL),
listed AS (SELECT *, row_number() OVER (ORDER BY m DESC, network, {halves_order("hi", "lo")}) AS n FROM ranked
  ORDER BY n LIMIT {int(limit)})
SELECT n, ends.* EXCLUDE (first, last), epoch_us(first) AS first, epoch_us(last) AS last,
       (SELECT count(*) FROM ranked) AS total
FROM ends JOIN listed USING (network, hi, lo) ORDER BY n"""
    rows = asks.query(sql, where.params * 2).to_pylist()
    by_number: dict[int, list[dict[str, int]]] = {}
    for row in rows:
        by_number.setdefault(row["n"], []).append(row)
    return tuple(_unnamed(parts, over.bins) for parts in by_number.values()), rows[0]["total"] if rows else 0


def _unnamed(parts: Sequence[dict[str, int]], bins: int) -> Unnamed:
    changes = np.zeros(bins + 1, np.int64)
    for part in parts:
        changes[part["begin"]] += part["flows"]
        changes[part["ending"] + 1] -= part["flows"]
    flows, sent, received = (sum(part[name] for part in parts) for name in ("flows", "sent", "received"))
    first, last = min(part["first"] for part in parts), max(part["last"] for part in parts)
    return Unnamed(
        str(parts[0]["network"]), ip_of(parts[0]["hi"], parts[0]["lo"]), flows, sent, received, first, last,
        np.cumsum(changes)[:-1],
    )  # fmt: skip


def ip_of(hi: int, lo: int) -> str:
    """An address as text from its halves."""
    address = address_of(hi, lo)
    return str(Prefix(address, 32 if address[:12] == bytes(10) + b"\xff\xff" else 128))


# -- whom one met -----------------------------------------------------------------------------------


def peers(asks: Asks, where: Where, rows: Sequence[int], limit: int = PEERS) -> tuple[list[Peer], int]:
    """Whom the workload that holds these rows met, by bytes, named as of each flow; and how many there are."""
    met = " UNION ALL ".join(
        f"SELECT {far}_wid AS peer, {far}_claimants AS claimants, {far}_hi AS hi, {far}_lo AS lo, {began} AS began,"
        f" src_bytes + dst_bytes AS bytes FROM kept WHERE {near}_wid IN (SELECT unnest(?::BIGINT[]))"
        for (near, far), began in zip(ENDS, (1, 0), strict=True)
    )
    sql = f"""
WITH mine AS MATERIALIZED (SELECT * FROM flow_identity
  WHERE src_wid IN (SELECT unnest(?::BIGINT[])) OR dst_wid IN (SELECT unnest(?::BIGINT[]))),
kept AS MATERIALIZED (SELECT f.*, i.src_wid, i.dst_wid, i.src_claimants, i.dst_claimants FROM mine i
  JOIN (SELECT flow_id, src_hi, src_lo, dst_hi, dst_lo, src_bytes, dst_bytes FROM flows WHERE {where.sql}) f USING (flow_id)),
summed AS (SELECT peer, claimants, CASE WHEN peer IS NULL THEN hi END AS hi, CASE WHEN peer IS NULL THEN lo END AS lo,
    count(*) AS flows, sum(began)::BIGINT AS began, sum(bytes)::BIGINT AS bytes FROM ({met}) GROUP BY ALL),
named AS (SELECT CASE WHEN peer IS NOT NULL THEN coalesce(w.uid, 'row ' || peer) END AS uid,
    coalesce(CASE WHEN w.name IS NOT NULL THEN coalesce(w.namespace || '/', '') || w.name END, w.mac, w.ip) AS words,
    s.hi, s.lo, coalesce(s.claimants, 0) > 1 AS ambiguous, flows, began, bytes
  FROM summed s LEFT JOIN workloads w ON w.workload_id = s.peer)
SELECT uid, any_value(words) AS words, hi, lo, bool_or(ambiguous) AS ambiguous, sum(flows)::BIGINT AS flows,
       sum(began)::BIGINT AS began, sum(bytes)::BIGINT AS bytes, count(*) OVER () AS total
FROM named GROUP BY uid, hi, lo ORDER BY bytes DESC, words, hi, lo LIMIT {int(limit)}"""
    ids = list(rows)
    found = asks.query(sql, (ids, ids, *where.params, ids, ids)).to_pylist()
    made = [
        Peer(
            row["uid"], row["words"] or (ip_of(row["hi"], row["lo"]) if row["lo"] is not None else row["uid"] or ""),
            row["flows"], row["began"], row["bytes"], row["ambiguous"],
        )
        for row in found
    ]  # fmt: skip
    return made, found[0]["total"] if found else 0
