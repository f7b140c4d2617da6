"""Which stretches of a field no set tells apart.

Going through the field from its first value to its last, the sets that a value is in are kept as a binary tree over the numbers
of the sets, of which equal parts are one: two stretches are in the same sets exactly where their trees are the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from workbench.decode.bits import Numbers, exported, i64, kernel, u64


@kernel
def _same(nodes: Any, table: Any, count: int, low: int, high: int) -> int:
    """The number of the tree with these halves: an older one, or `count`."""
    mask = i64(table.shape[0] - 1)
    h = u64(low) * u64(0x9E3779B97F4A7C15) ^ u64(high) * u64(0xC2B2AE3D27D4EB4F)
    h *= u64(0xD6E8FEB86659FD93)
    at = i64((h ^ h >> u64(31)) & u64(mask))
    while table[at] != 0:
        n = i64(table[at] - 1)
        if nodes[n, 0] == low and nodes[n, 1] == high:
            return n
        at = (at + 1) & mask
    nodes[count, 0], nodes[count, 1] = low, high
    table[at] = count + 1
    return count


@exported(types.int64(types.int64[::1], types.int64[::1], types.int64, types.int64, types.int32[::1]))
def classify(places: Numbers, sets: Numbers, depth: int, stretches: int, classes: Any) -> int:
    """The class of each stretch, numbered as they come, -1 where it is in no set; returns how many there are.

    places: ascending, the stretch before which the set of the same place in `sets` begins or ends; 2**depth sets at most.
    """
    events = places.shape[0]
    size = i64(2)
    while size < 2 * (events * depth + 2):
        size *= 2
    nodes = np.empty((events * depth + 2, 2), np.int64)
    table = np.zeros(size, np.int32)
    nodes[0, 0], nodes[0, 1] = -1, -1  # the empty tree, whatever its depth; 1: the full one of depth 0
    nodes[1, 0], nodes[1, 1] = -2, -2
    count = i64(2)
    path = np.zeros(depth + 1, np.int64)
    found = np.zeros(events * depth + 2, np.int32)
    root = i64(0)
    event = i64(0)
    known = i64(0)
    for stretch in range(stretches):
        while event < events and places[event] == stretch:
            node = root
            for bit in range(depth - 1, -1, -1):
                path[bit] = node
                node = nodes[node, sets[event] >> bit & 1] if node > 1 else i64(0)
            node = 1 - node
            for bit in range(depth):
                above = path[bit]
                low = nodes[above, 0] if above > 1 else i64(0)
                high = nodes[above, 1] if above > 1 else i64(0)
                if sets[event] >> bit & 1:
                    high = node
                else:
                    low = node
                if low == 0 and high == 0:
                    node = i64(0)
                    continue
                node = _same(nodes, table, count, low, high)
                if node == count:
                    count += 1
            root = node
            event += 1
        if root == 0:
            classes[stretch] = -1
            continue
        if found[root] == 0:
            known += 1
            found[root] = known
        classes[stretch] = found[root] - 1
    return known


@exported(
    types.int64(types.int32[::1], types.int64[:, ::1], types.int64[:, ::1], types.int64, types.int64[:, ::1], types.int64[:, ::1])
)
def ranges_of_classes(classes: Any, spans: Any, sets: Any, count: int, ranges: Any, bounds: Any) -> int:
    """The classes of sets of stretches as ranges of class numbers; returns how many ranges, more than fit where they do not.

    spans: first and last stretch of each range of a set; sets, bounds: where the spans and the ranges of each set begin and end.
    """
    seen = np.full(count, -1, np.int64)
    some = np.empty(count, np.int64)
    total = i64(0)
    for s in range(sets.shape[0]):
        found = i64(0)
        for span in range(sets[s, 0], sets[s, 1]):
            for stretch in range(spans[span, 0], spans[span, 1] + 1):
                one = i64(classes[stretch])
                if seen[one] != s:
                    seen[one] = s
                    some[found] = one
                    found += 1
        mine = some[:found]
        ordered = True
        for i in range(1, found):
            if mine[i] < mine[i - 1]:
                ordered = False
        if not ordered:
            mine.sort()
        bounds[s, 0] = total
        for i in range(found):
            if i and mine[i] == mine[i - 1] + 1:
                if total <= ranges.shape[0]:
                    ranges[total - 1, 1] = mine[i]
                continue
            if total < ranges.shape[0]:
                ranges[total, 0] = ranges[total, 1] = mine[i]
            total += 1
        bounds[s, 1] = total
    return total
