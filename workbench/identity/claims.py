"""Claims made ready to be cut into intervals: who is meant, from when to when, after what was said later.

What counts of what was said (docs/identity.md):
- of two claims of one origin, owner and address that begin alike the later said holds; one whose beginning is not known
  gives way to any later said;
- a claim without an end ends where the next end of that origin, owner and address lies, if that was said later;
- a claim without an address ends everything that its owner holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.identity.codes import Bools, Ints, row_codes, text_codes

#: Times are whole microseconds since 1970; these stand for since ever and no end known.
EVER: Final = -(1 << 62)
NEVER: Final = 1 << 62
#: Strength is confidence in hundredths.
STRENGTHS: Final = 100
#: What is kept of who an owner is, in the order of `workloads`.
WHO: Final = ("uid", "name", "namespace", "kind", "node", "labels", "mac")
#: Origins told apart by name; a stranger's claims may have any number of them.
_MOST_ORIGINS: Final = 60


@dataclass(frozen=True, slots=True)
class Ready:
    """Claims with an address and a time, an array a column. record: row of `who`; owner, origin, network: codes.

    network: 0 for any, else 1 + place in `networks`. who: the distinct owners as they were described, WHO as columns.
    """

    network: Ints
    hi: Ints
    lo: Ints
    begin: Ints
    end: Ints
    seen: Ints
    strength: Ints
    owner: Ints
    record: Ints
    origin: Ints
    networks: list[str]
    origins: list[str]
    who: pa.Table

    def __len__(self) -> int:
        return len(self.hi)


def ready(claims: pa.Table, networks: Mapping[str, str] | None = None) -> Ready:
    """Rows of `claims` made ready. networks: origin -> the network that its claims without one are of.

    A claim of no address and no end, of an address that is no number, or of no time says nothing and is left out.
    """
    claims = claims.set_column(claims.schema.get_field_index("uid"), "uid", _owners(claims))
    if networks:
        claims = claims.set_column(claims.schema.get_field_index("network"), "network", _mapped(claims, networks))
    uid, _ = text_codes(claims["uid"])
    origin, origins = text_codes(claims["origin"])
    network, named = text_codes(claims["network"])
    begin, end, seen = _times(claims["ts_from"], EVER), _times(claims["ts_to"], NEVER), _times(claims["ts_seen"], EVER)
    given = pc.and_(pc.is_valid(claims["hi"]), pc.is_valid(claims["lo"])).to_numpy(zero_copy_only=False).astype(bool)
    hi, lo = (pc.fill_null(claims[half], 0).to_numpy(zero_copy_only=False).astype(np.int64) for half in ("hi", "lo"))
    address = row_codes([origin, uid, network, hi, lo])
    over = ~given & (end < NEVER) & pc.is_null(claims["ip"]).to_numpy(zero_copy_only=False).astype(bool)
    end = _ended(uid, begin, end, seen, given, over)
    end = _closed(address, begin, end, seen, given)
    described = row_codes([uid, *(text_codes(claims[name])[0] for name in WHO[1:])])
    confidence = np.nan_to_num(pc.fill_null(claims["confidence"], 0.0).to_numpy(zero_copy_only=False))
    strength = np.clip(np.rint(confidence * STRENGTHS), 0, STRENGTHS).astype(np.int64)
    last = _last_said(address, begin, (described, strength, end, seen), given)
    at = np.flatnonzero(given & (begin < end) & last)
    record = row_codes([described[at]])
    _, first = np.unique(record, return_index=True)
    who = claims.select(list(WHO)).take(pa.array(at[first]))
    return Ready(
        network[at],
        hi[at],
        lo[at],
        begin[at],
        end[at],
        seen[at],
        strength[at],
        uid[at],
        record,
        np.minimum(origin[at], _MOST_ORIGINS),
        named,
        origins,
        who,
    )


def _owners(claims: pa.Table) -> pa.ChunkedArray:
    """Every claim's uid; made of the origin and a name, a MAC or the address where it tells none."""
    origin = claims["origin"]
    named = pc.binary_join_element_wise(origin, ":", pc.fill_null(claims["namespace"], ""), "/", claims["name"], "")
    by_mac = pc.binary_join_element_wise("mac:", claims["mac"], "")
    return pc.coalesce(claims["uid"], named, by_mac, pc.binary_join_element_wise(origin, ":", claims["ip"], ""), origin)


def _mapped(claims: pa.Table, networks: Mapping[str, str]) -> pa.ChunkedArray:
    origins = pa.array(list(networks), pa.utf8())
    places = pc.index_in(claims["origin"], value_set=origins)
    mapped = pa.array(list(networks.values()), pa.utf8()).take(places.combine_chunks())
    return pc.coalesce(claims["network"].combine_chunks(), mapped)


def _times(column: pa.ChunkedArray, absent: int) -> Ints:
    found: Ints = pc.fill_null(column.cast(pa.timestamp("us")).cast(pa.int64()), absent).to_numpy(zero_copy_only=False)
    return np.clip(found, EVER, NEVER)


def _ended(uid: Ints, begin: Ints, end: Ints, seen: Ints, given: Bools, over: Bools) -> Ints:
    """Ends with those that were told of an owner as such: the first at or behind a claim's beginning.

    One exactly at the beginning ends a claim that was said no later: what was said after it has begun again.
    """
    if not over.any():
        return end
    order = np.lexsort((-seen[over], end[over], uid[over]))
    who, when, said = uid[over][order], end[over][order], seen[over][order]
    first = np.ones(len(who), bool)
    first[1:] = (who[1:] != who[:-1]) | (when[1:] != when[:-1])
    who, when, said = who[first], when[first], said[first]
    at = _first_at(who, when, uid, begin)
    same = np.flatnonzero(at < len(who))
    same = same[(who[at[same]] == uid[same]) & (when[at[same]] == begin[same]) & (said[at[same]] < seen[same])]
    at[same] += 1
    there = np.flatnonzero(given & (at < len(who)))
    there = there[who[at[there]] == uid[there]]
    ended = end.copy()
    ended[there] = np.minimum(ended[there], when[at[there]])
    return ended


def _closed(address: Ints, begin: Ints, end: Ints, seen: Ints, given: Bools) -> Ints:
    """Ends of claims that have none: the next that the same origin tells of the same owner and address, if said later."""
    closed = given & (end < NEVER) & (begin < end)
    if not closed.any():
        return end
    order = np.lexsort((-seen[closed], end[closed], address[closed]))
    where, when, said = address[closed][order], end[closed][order], seen[closed][order]
    at = _first_at(where, when, address, begin + 1)
    there = np.flatnonzero(given & (end == NEVER) & (at < len(where)))
    there = there[(where[at[there]] == address[there]) & (said[at[there]] > seen[there])]
    ended = end.copy()
    ended[there] = when[at[there]]
    return ended


def _first_at(group: Ints, when: Ints, wanted: Ints, since: Ints) -> Ints:
    """Place of the first row of (group, when), which is sorted, that is at or behind (wanted, since)."""
    both = np.lexsort(
        (np.r_[np.zeros(len(wanted), np.int64), np.ones(len(group), np.int64)], np.r_[since, when], np.r_[wanted, group])
    )
    is_row = both >= len(wanted)
    before: Ints = np.cumsum(is_row) - is_row
    at = np.empty(len(wanted), np.int64)
    at[both[~is_row]] = before[~is_row]
    return at


def _last_said(address: Ints, begin: Ints, order_of: tuple[Ints, ...], given: Bools) -> Bools:
    """Which claims no other of the same origin, owner, address and beginning takes the place of.

    order_of: what decides which is the last, the weightiest at the end: when it was said; the others make ties certain.
    """
    keep = given.copy()
    at = np.flatnonzero(given)
    if not len(at):
        return keep
    order = at[np.lexsort((*(column[at] for column in order_of), begin[at], address[at]))]
    after = order[1:]
    replaced = (address[order[:-1]] == address[after]) & (begin[order[:-1]] == begin[after])
    keep[order[:-1][replaced]] = False
    seen = order_of[-1]
    latest = np.full(int(address.max()) + 1, EVER, np.int64)
    np.maximum.at(latest, address[at], seen[at])
    keep &= ~((begin == EVER) & (seen < latest[address]))
    return keep
