"""Rows of `workloads` from claims, numbered so that what stays keeps its number, and where they differ from earlier ones."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.identity.claims import EVER, NEVER, STRENGTHS, WHO, Ready, ready
from workbench.identity.codes import Ints, row_codes, text_codes
from workbench.identity.intervals import Intervals, intervals
from workbench.records.arrow import arrow_schema

#: Kind of the one row of an interval that more claim than are told by name.
MANY: Final = "many"


@dataclass(frozen=True, slots=True)
class Change:
    """Addresses whose intervals changed, and when: begin inclusive, end exclusive, microseconds. One row an address."""

    hi: Ints
    lo: Ints
    begin: Ints
    end: Ints


def workloads_of(claims: pa.Table, networks: Mapping[str, str] | None = None, before: pa.Table | None = None) -> pa.Table:
    """Rows of `workloads` (its schema) for rows of `claims`. networks: origin -> network of its claims that name none.

    before: what they were until now. A row of the same address, beginning and owner keeps its workload_id, others get
    new ones; with no `before` they count from 1. The same claims give the same rows in whatever order they come.
    """
    prepared = ready(claims, networks)
    rows = _table(prepared, intervals(prepared))
    return rows.set_column(0, arrow_schema("workloads").field(0), pa.array(_numbers(rows, before), pa.int64()))


def changes(before: pa.Table, after: pa.Table) -> Change:
    """The addresses of two tables of `workloads`, of any network, at which lookups may differ, and between which times."""
    both = pa.concat_tables([before, after])
    n = before.num_rows
    begin, end = _time(both["ts_from"], EVER), _time(both["ts_to"], NEVER)
    hi, lo = _ints(both["hi"]), _ints(both["lo"])
    same = [_ints(both["workload_id"]), _ints(both["claimants"]), _hundredths(both["confidence"])]
    key = row_codes([text_codes(both["network"])[0], hi, lo, begin, *same])
    partner = _partners(key, n)
    differs = np.flatnonzero((partner < 0) | (end != end[partner]))
    since = np.where(partner < 0, begin, np.minimum(end, end[partner]))[differs]
    until = np.where(partner < 0, end, np.maximum(end, end[partner]))[differs]
    address = row_codes([hi[differs], lo[differs]])
    order = np.lexsort((since, address))
    first = np.flatnonzero(np.r_[True, address[order][1:] != address[order][:-1]]) if len(order) else order
    at = differs[order]
    earliest = np.minimum.reduceat(since[order], first) if len(order) else since
    latest = np.maximum.reduceat(until[order], first) if len(order) else until
    return Change(hi[at[first]], lo[at[first]], earliest, latest)


def _partners(key: Ints, n: int) -> Ints:
    """For each row of either table the row of the other with its key; -1 for none."""
    partner = np.full(len(key), -1, np.int64)
    order = np.argsort(key, kind="stable")  # the earlier table's row comes first
    pair = (key[order[1:]] == key[order[:-1]]) & (order[:-1] < n) & (order[1:] >= n)
    partner[order[:-1][pair]], partner[order[1:][pair]] = order[1:][pair], order[:-1][pair]
    return partner


def _numbers(rows: pa.Table, before: pa.Table | None) -> Ints:
    if before is None or not before.num_rows:
        return np.arange(1, rows.num_rows + 1)
    both = pa.concat_tables([before.cast(rows.schema), rows])
    texts = [text_codes(both[name])[0] for name in ("network", *WHO)]
    key = row_codes([_ints(both["hi"]), _ints(both["lo"]), _time(both["ts_from"], EVER), *texts])
    n = before.num_rows
    partner = _partners(key, n)[n:]
    known = _ints(before["workload_id"])
    ids = np.where(partner >= 0, known[np.maximum(partner, 0)], 0)
    fresh = np.flatnonzero(partner < 0)
    ids[fresh] = int(known.max()) + 1 + np.arange(len(fresh))
    return ids


def _table(claims: Ready, found: Intervals) -> pa.Table:
    schema = arrow_schema("workloads")
    n = len(found.hi)
    records = pa.array(np.where(found.record < 0, 0, found.record), mask=found.record < 0)
    who = {name: claims.who[name].combine_chunks().take(records) for name in WHO}
    columns = {
        "workload_id": pa.array(np.zeros(n, np.int64)),
        **who,
        "kind": pc.fill_null(who["kind"], MANY),
        "network": pa.array([None, *claims.networks], pa.utf8()).take(pa.array(found.network)),
        "ip": addresses(found.hi, found.lo),
        "hi": pa.array(found.hi),
        "lo": pa.array(found.lo),
        "ts_from": _moments(found.begin, EVER),
        "ts_to": _moments(found.end, NEVER),
        "claimants": pa.array(found.claimants.astype(np.int32)),
        "origin": _origins(found.origins, claims.origins),
        "confidence": pa.array(found.strength / STRENGTHS),
    }
    return pa.table([columns[field.name].cast(field.type) for field in schema], schema=schema)


def _origins(bits: Ints, names: list[str]) -> pa.Array:
    sets, place = np.unique(bits, return_inverse=True)
    spelled = [",".join(name for n, name in enumerate(names, 1) if int(one) >> n & 1) for one in sets.tolist()]
    return pa.array(spelled, pa.utf8()).take(pa.array(place.astype(np.int64)))


def addresses(hi: Ints, lo: Ints) -> pa.Array:
    """Canonical text of addresses given as two numbers."""
    both = row_codes([hi, lo])
    first = np.unique(both, return_index=True)[1]
    texts = [_address(h, low) for h, low in zip(hi[first].tolist(), lo[first].tolist(), strict=True)]
    return pa.array(texts, pa.utf8()).take(pa.array(both))


def _address(hi: int, lo: int) -> str:
    low = lo & 0xFFFFFFFFFFFFFFFF
    if hi == 0 and low >> 32 == 0xFFFF:
        return f"{low >> 24 & 255}.{low >> 16 & 255}.{low >> 8 & 255}.{low & 255}"
    return str(ipaddress.IPv6Address((hi & 0xFFFFFFFFFFFFFFFF) << 64 | low))


def _moments(times: Ints, absent: int) -> pa.Array:
    return pa.array(times, mask=times == absent).cast(pa.timestamp("us"))


def _time(column: pa.ChunkedArray, absent: int) -> Ints:
    return _ints(pc.fill_null(column.cast(pa.int64()), absent))


def _ints(column: pa.ChunkedArray) -> Ints:
    found: Ints = column.to_numpy().astype(np.int64)
    return found


def _hundredths(column: pa.ChunkedArray) -> Ints:
    found: Ints = np.rint(column.to_numpy() * STRENGTHS).astype(np.int64)
    return found
