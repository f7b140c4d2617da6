"""Claims cut into intervals that do not overlap per network and address, each with its claimants.

At every instant the strongest claims count, and who makes them is a claimant: one is the answer, several mean that nobody
knows. Times at which something begins or ends are sorted once per step; between two of them nothing changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from workbench.identity.claims import Ready
from workbench.identity.codes import Bools, Ints, row_codes
from workbench.identity.cover import all_bits, greatest

#: Claimants of one interval that are told by name. Where more claim it one row without a name says how many.
MOST_CLAIMANTS: Final = 8


@dataclass(frozen=True, slots=True)
class Intervals:
    """A row per interval and claimant, by address, network, time and claimant. record: row of who, -1 where too many claim it.

    group: number of the interval's network and address. origins: bits.
    """

    network: Ints
    hi: Ints
    lo: Ints
    begin: Ints
    end: Ints
    record: Ints
    origins: Ints
    strength: Ints
    claimants: Ints


@dataclass(frozen=True, slots=True)
class _Pieces:
    """What one owner holds at one strength: disjoint per place, each as the claim that was said last describes it."""

    place: Ints
    strength: Ints
    record: Ints
    origins: Ints
    begin: Ints
    end: Ints


def intervals(claims: Ready) -> Intervals:
    """The intervals of claims that were made ready. n log n, whatever they overlap; at most 2 x 8 rows a claim."""
    place = row_codes([claims.hi, claims.lo, claims.network])
    return _held(claims, place, _pieces(claims, place))


def _cut(group: Ints, begin: Ints, end: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Every beginning and end in order, by group: their groups and times, and the places of each range's two among them."""
    groups, times = np.r_[group, group], np.r_[begin, end]
    order = np.lexsort((times, groups))
    groups, times = groups[order], times[order]
    new = np.ones(len(groups), bool)
    new[1:] = (groups[1:] != groups[:-1]) | (times[1:] != times[:-1])
    at = np.empty(len(groups), np.int64)
    at[order] = np.cumsum(new) - 1
    return groups[new], times[new], at[: len(group)], at[len(group) :]


def _pieces(claims: Ready, place: Ints) -> _Pieces:
    """Of the claims of one owner at one strength the last said, from time to time, with the origins of all."""
    group = row_codes([place, claims.strength, claims.owner])
    _, times, begin, end = _cut(group, claims.begin, claims.end)
    rank = np.empty(len(claims), np.int64)
    rank[np.lexsort((claims.record, claims.end, claims.begin, claims.seen))] = np.arange(len(claims))
    order = np.argsort(rank)
    size = len(times)
    best = greatest(size, begin, end, rank)
    origins = all_bits(size, begin, end, np.left_shift(np.int64(1), claims.origin))
    at = np.flatnonzero(best >= 0)  # the last place of a group is never covered
    claim = order[best[at]]
    fresh = np.ones(len(at), bool)
    fresh[1:] = (
        (at[1:] != at[:-1] + 1)
        | (group[claim[1:]] != group[claim[:-1]])
        | (claims.record[claim[1:]] != claims.record[claim[:-1]])
        | (origins[at[1:]] != origins[at[:-1]])
    )
    first = np.flatnonzero(fresh)
    last = np.r_[first[1:], len(at)] - 1 if len(first) else first
    of = claim[first]
    return _Pieces(place[of], claims.strength[of], claims.record[of], origins[at[first]], times[at[first]], times[at[last] + 1])


def _held(claims: Ready, place: Ints, pieces: _Pieces) -> Intervals:
    """Which pieces count from time to time: those of the greatest strength over their place."""
    places, times, begin, end = _cut(pieces.place, pieces.begin, pieces.end)
    size = len(places)
    strongest = greatest(size, begin, end, pieces.strength)
    covered = np.flatnonzero(strongest >= 0)
    key = strongest[covered] * size + covered
    order = np.argsort(key, kind="stable")
    steps, key = covered[order], key[order]  # places in time by strength: a piece counts in a run of them
    lower = np.searchsorted(key, pieces.strength * size + begin)
    upper = np.searchsorted(key, pieces.strength * size + end)
    change = np.zeros(len(steps) + 1, np.int64)
    np.add.at(change, lower, 1)
    np.add.at(change, upper, -1)
    count = np.cumsum(change)[:-1]
    few = count <= MOST_CLAIMANTS
    piece, step = _expanded(lower, upper, few)
    step = steps[step]
    crowd = steps[~few]
    claimants = np.zeros(size, np.int64)
    claimants[steps] = count
    record = np.r_[pieces.record[piece], np.full(len(crowd), -1, np.int64)]
    origins = np.r_[pieces.origins[piece], np.zeros(len(crowd), np.int64)]
    step = np.r_[step, crowd]
    order = np.lexsort((origins, record, step))
    return _joined(claims, place, places, times, strongest, claimants, step[order], record[order], origins[order])


def _expanded(lower: Ints, upper: Ints, few: Bools) -> tuple[Ints, Ints]:
    """Each piece with every step of its range that few pieces share: as many rows as these steps have claimants."""
    before = np.r_[0, np.cumsum(few)]
    kept = np.flatnonzero(few)
    first, length = before[lower], before[upper] - before[lower]
    piece = np.repeat(np.arange(len(lower)), length)
    offset = np.arange(len(piece)) - np.repeat(np.cumsum(length) - length, length)
    return piece, kept[first[piece] + offset]


def _joined(
    claims: Ready,
    place: Ints,
    places: Ints,
    times: Ints,
    strongest: Ints,
    claimants: Ints,
    step: Ints,
    record: Ints,
    origins: Ints,
) -> Intervals:
    """Steps that follow each other and have the same claimants are one interval. Rows are by step, then claimant."""
    begins = np.ones(len(step), bool)
    begins[1:] = step[1:] != step[:-1]
    first = np.flatnonzero(begins)
    rows = np.diff(np.r_[first, len(step)])
    at = step[first]
    same = np.zeros(len(first), bool)
    if len(first) > 1:
        back = np.arange(len(step)) - np.repeat(rows, rows)  # the same claimant's row, one step before
        alike = (back >= 0) & (record == record[back]) & (origins == origins[back])
        equal = np.logical_and.reduceat(alike, first)
        near = (at[1:] == at[:-1] + 1) & (places[at[1:]] == places[at[:-1]]) & (strongest[at[1:]] == strongest[at[:-1]])
        same[1:] = equal[1:] & near & (rows[1:] == rows[:-1])
    heads = np.flatnonzero(~same)
    tails = np.r_[heads[1:], len(at)] - 1 if len(heads) else heads
    most = np.maximum.reduceat(claimants[at], heads) if len(heads) else heads
    row = _ranges(first[heads], rows[heads])
    run = np.repeat(np.arange(len(heads)), rows[heads])
    head = at[heads][run]
    sample = np.empty(int(place.max()) + 1 if len(place) else 0, np.int64)
    sample[place] = np.arange(len(place))
    claim = sample[places[head]]
    return Intervals(
        claims.network[claim],
        claims.hi[claim],
        claims.lo[claim],
        times[head],
        times[at[tails][run] + 1],
        record[row],
        origins[row],
        strongest[head],
        most[run],
    )


def _ranges(first: Ints, length: Ints) -> Ints:
    """first[0], first[0] + 1, ... of each range, one behind the other."""
    total = int(length.sum())
    return np.arange(total) - np.repeat(np.cumsum(length) - length, length) + np.repeat(first, length)
