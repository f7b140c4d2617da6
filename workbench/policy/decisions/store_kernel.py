"""Nodes of diagrams in arrays, and what is done with them a step at a time.

A reference is the number of a node, or -1 - value of an outcome. Values below B are outcomes by themselves (0 is nothing, the
others are told apart by `verdict_of`); those from B on are pairs of outcomes, B + first * M + second. No kernel writes past an
array: one that is full is said (FULL), enlarged in Python, and the step is taken again; what was made is found again.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import types

from workbench.decode.bits import Numbers, exported, i64, kernel, u64

#: An array is full.
FULL: Final = -(1 << 40)
#: Places in `state`: nodes there are, nodes there may be, size of the table less one, B, M.
COUNT, LIMIT, MASK, BASE, WIDE = range(5)
#: Outcomes where `verdict_of` says so: none, and pass.
NONE, PASS = 0, 5
#: What `apply` does: the first of two that says something; the same where pass says nothing; which kind of change from one to
#: the other; one where the other says something; the other where one leaves it open; the first two that say something; mark what
#: they decide; who would decide instead; from COLLECT on, one number a call, outcomes that are met.
SEQ, TIER, PAIR, AND, OPEN, TWO, MARK, COVER, COLLECT = range(9)
_LEAF: Final = 1 << 20

_tuple: Any = types.Tuple
_I32: Final = types.int32[::1]
_U8: Final = types.uint8[::1]
#: nodes (level, low, high, flags); table; state; cache (f, g, op, result); frames; verdict_of; kinds; marks of outcomes (decides,
#: not in vain, met); pairs (outcome << 32 | who would decide instead), a table.
STORE: Final = _tuple(
    (
        types.int32[:, ::1], _I32, types.int64[::1], types.int32[:, ::1], types.int64[:, ::1], _U8, _U8, types.uint8[:, ::1],
        types.int64[::1],
    )
)  # fmt: skip


@kernel
def _hash(a: int, b: int, c: int) -> Any:
    h = u64(a) * u64(0x9E3779B97F4A7C15) ^ u64(b) * u64(0xC2B2AE3D27D4EB4F) ^ u64(c) * u64(0x165667B19E3779F9)
    h ^= h >> u64(32)
    h *= u64(0xD6E8FEB86659FD93)
    return h ^ h >> u64(29)


@kernel
def _flags(store: Any, ref: int) -> int:
    """1: somewhere nothing is said, or no second; 2: somewhere it is passed on."""
    if ref >= 0:
        return i64(store[0][ref, 3])
    value = -1 - ref
    base = store[2][BASE]
    if value >= base:
        return i64(1) if (value - base) % store[2][WIDE] == 0 else i64(0)
    if value == NONE:
        return i64(1)
    return i64(2) if store[5][value] == PASS else i64(0)


@kernel
def make(store: Any, level: int, low: int, high: int) -> int:
    """The one node that asks at a level; FULL where there is no room."""
    if low == high:
        return low
    nodes, table, state = store[0], store[1], store[2]
    mask = state[MASK]
    at = i64(_hash(level, low, high) & u64(mask))
    while table[at] != 0:
        n = i64(table[at] - 1)
        if nodes[n, 1] == low and nodes[n, 2] == high and nodes[n, 0] == level:
            return n
        at = (at + 1) & mask
    n = i64(state[COUNT])
    if n >= state[LIMIT]:
        return FULL
    state[COUNT] = n + 1
    nodes[n, 0] = level
    nodes[n, 1] = low
    nodes[n, 2] = high
    nodes[n, 3] = _flags(store, low) | _flags(store, high)
    table[at] = n + 1
    return n


@exported(types.void(STORE))
def rehash(store: Any) -> None:
    """Fill an empty table with all nodes."""
    nodes, table, state = store[0], store[1], store[2]
    mask = state[MASK]
    for n in range(state[COUNT]):
        at = i64(_hash(nodes[n, 0], nodes[n, 1], nodes[n, 2]) & u64(mask))
        while table[at] != 0:
            at = (at + 1) & mask
        table[at] = n + 1


@kernel
def _two(store: Any, a: int, b: int) -> int:
    """The first two of two lists of outcomes; the boxes of one rule are one outcome."""
    base, wide = store[2][BASE], store[2][WIDE]
    first, second = (a - base) // wide, (a - base) % wide
    if second != 0:
        return a
    then = (b - base) // wide
    if then == first:
        return b
    return i64(base + first * wide + then)


@kernel
def _marked(store: Any, both: int, behind: int) -> None:
    """A packet that meets `both` in a tier, and behind it, where it leaves the tier, `behind`; 0: it never comes to this tier."""
    base, wide, verdict_of, marks = store[2][BASE], store[2][WIDE], store[5], store[7]
    if both < base or behind == NONE:
        return
    first, second = (both - base) // wide, (both - base) % wide
    marks[first, 0] = 1
    with_it, without = verdict_of[first], verdict_of[second]
    after = verdict_of[behind]
    if with_it == PASS:
        with_it = after
    if second == NONE or without == PASS:
        without = after
    if with_it != without:
        marks[first, 1] = 1


@kernel
def _covered(store: Any, both: int, behind: int) -> None:
    """Keep who would decide instead of an outcome that decides in vain; pairs beyond what fits are left out."""
    base, wide, verdict_of, marks, pairs = store[2][BASE], store[2][WIDE], store[5], store[7], store[8]
    if both < base or behind == NONE:
        return
    first, second = (both - base) // wide, (both - base) % wide
    if marks[first, 0] == 0 or marks[first, 1] == 1:
        return
    if second == NONE or verdict_of[second] == PASS:
        second = behind
    pair = i64(first << 32 | second)
    mask = i64(pairs.shape[0] - 1)
    at = i64(_hash(first, second, 0) & u64(mask))
    for _ in range(64):
        if pairs[at] == pair:
            return
        if pairs[at] == 0:
            pairs[at] = pair
            return
        at = (at + 1) & mask


@kernel
def _joined(store: Any, op: int, f: int, g: int) -> int:
    """SEQ, TIER and TWO where the answer can be told at once; FULL where not."""
    if op == TIER:
        if _flags(store, f) == 0:
            return f
        return g if f < 0 else FULL
    if f == g or g == -1 or _flags(store, f) & 1 == 0:
        return f
    if f == -1:
        return g
    if op == TWO and f < 0 and g < 0:
        return -1 - _two(store, -1 - f, -1 - g)
    return FULL


@kernel
def _told(store: Any, op: int, f: int, g: int) -> int:
    """MARK, COVER and COLLECT, which answer nothing; FULL where both must be followed."""
    if f == -1 or g == -1:
        return -1
    if f >= 0 or g >= 0:
        return FULL
    if op == MARK:
        _marked(store, -1 - f, -1 - g)
    elif op == COVER:
        _covered(store, -1 - f, -1 - g)
    else:
        store[7][-1 - f, 2] = 1
    return -1


@kernel
def _leaf(store: Any, op: int, f: int, g: int) -> int:
    """The answer where it can be told at once; FULL where both must be followed."""
    if op == SEQ or op == TIER or op == TWO:  # noqa: SIM109  numba knows no `in`
        return _joined(store, op, f, g)
    if op == PAIR:
        if f == g:
            return -1
        return -1 - i64(store[6][(-1 - f) * 8 - 1 - g]) if f < 0 and g < 0 else FULL
    if op == AND:
        if f == -1 or g == -1:
            return -1
        return f if g < 0 else FULL
    if op == OPEN:
        if g == -1 or _flags(store, f) == 0:
            return -1
        return g if f < 0 else FULL
    return _told(store, op, f, g)


@kernel
def apply(store: Any, op: int, f: int, g: int) -> int:
    """One diagram of two, node by node, with what was answered before kept; FULL where there is no room."""
    nodes, cache, frames = store[0], store[3], store[4]
    last = u64(cache.shape[0] - 1)
    result = _leaf(store, op, f, g)
    if result != FULL:
        return result
    top = i64(0)
    frames[0, 0], frames[0, 1], frames[0, 2] = f, g, 0
    while top >= 0:
        a, b, stage = frames[top, 0], frames[top, 1], frames[top, 2]
        here = i64(_hash(a, b, op) & last)
        if stage == 0 and cache[here, 0] == a and cache[here, 1] == b and cache[here, 2] == op + 1:
            result = i64(cache[here, 3])
            top -= 1
            continue
        one = i64(nodes[a, 0]) if a >= 0 else i64(_LEAF)
        other = i64(nodes[b, 0]) if b >= 0 else i64(_LEAF)
        level = min(one, other)
        if stage == 2:
            result = make(store, level, frames[top, 3], result)
            if result == FULL:
                return FULL
            cache[here, 0], cache[here, 1], cache[here, 2], cache[here, 3] = a, b, op + 1, result
            top -= 1
            continue
        if stage == 1:
            frames[top, 3] = result
        side = 1 + stage
        frames[top, 2] = side
        x = i64(nodes[a, side]) if one == level else a
        y = i64(nodes[b, side]) if other == level else b
        result = _leaf(store, op, x, y)
        if result == FULL:
            top += 1
            frames[top, 0], frames[top, 1], frames[top, 2] = x, y, 0
    return result


@exported(types.int64(STORE, types.int64, types.int64, types.int64))
def apply_one(store: Any, op: int, f: int, g: int) -> int:
    """`apply` for Python."""
    return apply(store, op, f, g)


@exported(types.int64(STORE, types.int64, types.int64[::1], types.int64, types.int64))
def fold(store: Any, op: int, refs: Numbers, count: int, start: int) -> int:
    """Neighbours joined, from the pair `start` on, into the front of refs; returns how many pairs are done."""
    for i in range(start, count // 2):
        result = apply(store, op, refs[2 * i], refs[2 * i + 1])
        if result == FULL:
            return i
        refs[i] = result
    if count % 2:
        refs[count // 2] = refs[count - 1]
    return count // 2


@kernel
def _field(store: Any, ranges: Any, first: int, stop: int, top: int, bits: int, then: int, room: Any) -> int:
    """The diagram over one field: `then` where the class is in the ranges, else nothing. room: positions and values, twice."""
    count = i64(0)
    at = i64(0)
    for r in range(first, stop):
        if ranges[r, 0] > at:
            room[0, count], room[1, count] = at, -1
            count += 1
        room[0, count], room[1, count] = ranges[r, 0], then
        count += 1
        at = ranges[r, 1] + 1
    size = i64(1) << bits
    if at < size:
        room[0, count], room[1, count] = at, -1
        count += 1
    now = i64(0)
    for level in range(top + bits - 1, top - 1, -1):
        new = i64(0)
        old = now
        now = 2 - old
        for i in range(count):
            low = room[old, i]
            high = room[old, i + 1] if i + 1 < count else size
            value = room[old + 1, i]
            low += low & 1
            if low < high - (high & 1) and (new == 0 or room[now + 1, new - 1] != value):
                room[now, new], room[now + 1, new] = low >> 1, value
                new += 1
            if high & 1 and low < high:
                both = make(store, level, value, room[old + 1, i + 1])
                if both == FULL:
                    return FULL
                if new == 0 or room[now + 1, new - 1] != both:
                    room[now, new], room[now + 1, new] = high >> 1, both
                    new += 1
        count = new
        size >>= 1
    return i64(room[now + 1, 0])


@exported(
    types.int64(
        STORE, types.int64[:, ::1], types.int64[:, ::1], types.int64[:, ::1], types.int64[::1], types.int64[:, ::1],
        types.int64, types.int64[::1],
    )
)  # fmt: skip
def products(store: Any, entries: Any, ranges: Any, sets: Any, values: Numbers, fields: Any, start: int, refs: Numbers) -> int:
    """A diagram an entry, from `start` on; returns how many are done (all but where FULL).

    entries: numbers of sets, a field each; sets: where their ranges begin and end; values: outcomes of entries; fields: first
    level and bits of each, outermost first.
    """
    widest = i64(0)
    for s in range(sets.shape[0]):
        widest = max(widest, sets[s, 1] - sets[s, 0])
    room = np.empty((4, 2 * widest + 4), np.int64)
    for e in range(start, entries.shape[0]):
        ref = -1 - values[e]
        for field in range(fields.shape[0] - 1, -1, -1):
            one = entries[e, field]
            if sets[one, 0] == sets[one, 1]:
                ref = i64(-1)
                break
            ref = _field(store, ranges, sets[one, 0], sets[one, 1], fields[field, 0], fields[field, 1], ref, room)
            if ref == FULL:
                return e
        refs[e] = ref
    return i64(entries.shape[0])
