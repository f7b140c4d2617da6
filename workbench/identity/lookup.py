"""Who held an address of a network at a time: a binary search in the intervals of that address.

A flow is looked up under its network and under any; the stronger answer holds, the named network's where both are as
strong. Costs about 0.1 us an end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.identity.claims import EVER, NEVER, STRENGTHS
from workbench.identity.codes import Ints, row_codes, text_codes

#: Places that a table of them all may have for each that is claimed: ten times as fast as a search, for so much memory.
_DENSE: Final = 16


@dataclass(frozen=True, slots=True)
class Answer:
    """For each end that was looked up: claimants (0: nobody) and the workload_id where there is one of them, else 0."""

    workload: Ints
    claimants: Ints


class Holders:
    """The intervals of a table of `workloads`, to be asked with numbers of addresses and networks that it gives out.

    address: the distinct addresses as columns hi, lo, id. networks: the names, number is place + 1; 0 is every other.
    """

    def __init__(self, workloads: pa.Table) -> None:
        hi, lo = (workloads[half].to_numpy().astype(np.int64) for half in ("hi", "lo"))
        network, self.networks = text_codes(workloads["network"])
        begin = _times(workloads["ts_from"], EVER)
        address = row_codes([hi, lo])
        self._span = len(self.networks) + 1
        order = np.lexsort((begin, network, address))
        place = address[order] * self._span + network[order]
        new = np.ones(len(order), bool)
        new[1:] = (place[1:] != place[:-1]) | (begin[order][1:] != begin[order][:-1])
        row = order[new]
        place = place[new]
        self._begin = begin[row]
        self._end = _times(workloads["ts_to"], NEVER)[row]
        self._claimants = workloads["claimants"].to_numpy().astype(np.int64)[row]
        self._strength = np.rint(workloads["confidence"].to_numpy()[row] * STRENGTHS).astype(np.int64)
        ids = workloads["workload_id"].to_numpy().astype(np.int64)[row]
        self._workload = np.where(self._claimants == 1, ids, 0)
        self._places, self._first = np.unique(place, return_index=True)
        self._last = np.r_[self._first[1:], len(place)][: len(self._first)]
        self._any = bool((network == 0).any())
        self._table = _table(self._places, (int(address.max()) + 1 if len(address) else 0) * self._span)
        at = np.unique(address, return_index=True)[1]
        self.addresses = pa.table({"hi": hi[at], "lo": lo[at], "id": np.arange(len(at))})

    def ask(self, address: Ints, network: Ints, when: Ints) -> Answer:
        """Who held the addresses (numbers of `addresses`, -1 for none of them) in the networks at these times."""
        size = len(address)
        answer = Answer(np.zeros(size, np.int64), np.zeros(size, np.int64))
        known = np.flatnonzero(address >= 0)
        if not len(known) or not len(self._places):
            return answer
        address, network, when = address[known], network[known], when[known]
        found = self._interval(address * self._span + network, when)
        if self._any and self._span > 1:
            other = self._interval(address * self._span, when)
            weaker = (other >= 0) & ((found < 0) | (self._strength[found] < self._strength[other]))
            found = np.where(weaker, other, found)
        held = found >= 0
        answer.workload[known[held]] = self._workload[found[held]]
        answer.claimants[known[held]] = self._claimants[found[held]]
        return answer

    def _interval(self, place: Ints, when: Ints) -> Ints:
        """The interval of each place and time, -1 where there is none: the last that begins no later, if it goes on."""
        at = self._at(place)
        found = np.full(len(place), -1, np.int64)
        there = np.flatnonzero(at >= 0)
        low, high, when = self._first[at[there]], self._last[at[there]], when[there]
        before = low - 1
        while len(going := np.flatnonzero(low < high)):
            middle = (low[going] + high[going]) >> 1
            later = self._begin[middle] > when[going]
            high[going] = np.where(later, middle, high[going])
            low[going] = np.where(later, low[going], middle + 1)
        last = low - 1
        held = (last > before) & (self._end[np.maximum(last, 0)] > when)
        found[there[held]] = last[held]
        return found

    def _at(self, place: Ints) -> Ints:
        """Where a place stands in the sorted ones, -1 for nowhere: by a table of them all, or searched for."""
        if self._table is not None:
            return self._table[place]
        at = np.minimum(np.searchsorted(self._places, place), len(self._places) - 1)
        return np.where(self._places[at] == place, at, -1)


def _table(places: Ints, size: int) -> Ints | None:
    """Where each of `size` places stands among the sorted ones, -1 for nowhere; None where that takes more than it is worth."""
    if size > _DENSE * (len(places) + 1000):
        return None
    table = np.full(size, -1, np.int64)
    table[places] = np.arange(len(places))
    return table


def _times(column: pa.ChunkedArray, absent: int) -> Ints:
    found: Ints = pc.fill_null(column.cast(pa.int64()), absent).to_numpy().astype(np.int64)
    return found
