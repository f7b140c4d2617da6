"""Flows by the values of some of their columns: how many, how much, when, with how many others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from workbench.records.columns import FLOWS, Type
from workbench.store.engine import identifier
from workbench.store.pages import EVERYTHING, Where
from workbench.store.reader import Asks

#: Columns that a group may be made of, at most.
MOST_KEYS: Final = 4
#: Groups that are given, at most: nobody reads more, and each has to be held in memory.
MOST_GROUPS: Final = 10_000

#: What is said of a group, behind its keys: name, SQL, meaning.
_SUMS: Final = (
    ("flows", "count(*)", "flows in the group"),
    ("packets", "(sum(src_pkts) + sum(dst_pkts))::BIGINT", "packets both ways"),
    ("bytes", "(sum(src_bytes) + sum(dst_bytes))::BIGINT", "IP bytes both ways"),
    ("first", "min(ts)", "first packet of its first flow"),
    ("last", "max(ts_end)", "last packet of its last flow"),
)
PEERS: Final = "peers"
#: Every measure with what it means; `peers` last.
MEASURES: Final = {**{name: meaning for name, _, meaning in _SUMS}, PEERS: "different addresses at the other end"}


@dataclass(frozen=True, slots=True)
class Groups:
    """rows: the key columns as `flows` has them, then MEASURES; the first MOST_GROUPS in the order. total: all there are."""

    keys: tuple[str, ...]
    rows: pa.Table
    total: int


def group_flows(
    asks: Asks, keys: Sequence[str], where: Where = EVERYTHING, *, by: str = "flows", descending: bool = True
) -> Groups:
    """Group the flows that a filter keeps by one to four columns; null is a value like others.

    by: a key or a measure; ties by the keys, so that the order is always the same. KeyError for an unknown column,
    ValueError for too many, none, or one twice; CancelledError when stopped.
    """
    names = tuple(FLOWS.column(key).name for key in keys)
    if not 1 <= len(names) <= MOST_KEYS or len(set(names)) != len(names):
        raise ValueError(f"a group is made of 1 to {MOST_KEYS} different columns")
    if by not in MEASURES and by not in names:
        raise KeyError(by)
    if by == PEERS:
        return _by_peers(asks, names, where, descending=descending)
    found = asks.query(_groups_sql(names, where, _order(names, by, descending=descending)), where.params)
    total = int(found["groups"][0].as_py()) if found.num_rows else 0
    rows = found.drop_columns(["groups"])
    return Groups(names, rows.append_column(PEERS, _peers_of(asks, names, where, rows)), total)


def _by_peers(asks: Asks, names: tuple[str, ...], where: Where, *, descending: bool) -> Groups:
    """Everybody's peers have to be counted before the first group is known."""
    order = _order(names, PEERS, descending=descending)
    sql = _groups_sql(names, where, order, f", count(DISTINCT {_peer(names)})::BIGINT AS {PEERS}")
    found = asks.query(sql, where.params)
    total = int(found["groups"][0].as_py()) if found.num_rows else 0
    return Groups(names, found.drop_columns(["groups"]), total)


def _groups_sql(names: tuple[str, ...], where: Where, order: str, more: str = "") -> str:
    listed = ", ".join(identifier(name) for name in names)
    sums = ", ".join(f"{sql} AS {identifier(name)}" for name, sql, _ in _SUMS)
    return (
        f"WITH found AS MATERIALIZED (SELECT {listed}, {sums}{more} FROM flows WHERE {where.sql} GROUP BY {listed})"
        f" SELECT *, (SELECT count(*) FROM found)::BIGINT AS groups FROM found ORDER BY {order} LIMIT {MOST_GROUPS}"
    )


def _order(names: tuple[str, ...], by: str, *, descending: bool) -> str:
    first = f"{identifier(by)} {'DESC' if descending else 'ASC'} NULLS LAST"
    return ", ".join([first, *(f"{identifier(name)} NULLS LAST" for name in names if name != by)])


def _peer(names: Sequence[str]) -> str:
    """What is counted once: the end that is no key; where both or neither are keys, the pair.

    By its hash: whole addresses of a case of 20 million flows would take three times the memory.
    """
    src, dst = "src_ip" in names, "dst_ip" in names
    if src and not dst:
        return "hash(flows.dst_ip)"
    if dst and not src:
        return "hash(flows.src_ip)"
    return "hash(flows.src_ip, flows.dst_ip)"


def _peers_of(asks: Asks, names: tuple[str, ...], where: Where, rows: pa.Table) -> pa.Array:
    """The peers of these groups and no others: counting everybody's takes longer than all the rest."""
    count = rows.num_rows
    lists = ", ".join(f"unnest(?::{_sql_type(name)}[]) AS k{n}" for n, name in enumerate(names))
    same = " AND ".join(f"flows.{identifier(name)} IS NOT DISTINCT FROM wanted.k{n}" for n, name in enumerate(names))
    sql = (
        f"SELECT wanted.row_n, count(DISTINCT {_peer(names)})::BIGINT AS peers"
        f" FROM (SELECT {lists}, unnest(range({count})) AS row_n) wanted JOIN flows ON {same}"
        f" WHERE {where.sql} GROUP BY wanted.row_n ORDER BY wanted.row_n"
    )
    if not count:
        return pa.array([], pa.int64())
    found = asks.query(sql, (*(rows[name].to_pylist() for name in names), *where.params))
    peers = dict(zip(found["row_n"].to_pylist(), found["peers"].to_pylist(), strict=True))
    return pa.array([peers.get(n, 0) for n in range(count)], pa.int64())


def _sql_type(name: str) -> str:
    kind = FLOWS.column(name).type
    return {Type.TIMESTAMP: "TIMESTAMP"}.get(kind, kind.value)
