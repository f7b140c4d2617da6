"""Diagrams made from the outermost field inwards, of lists of the rules that still matter.

A list names the entries (rules, each with one of its services) that match what was asked so far, in the order in which they are
tried. Of each field, the classes that the same entries of a list have make the same list of the next; lists that are equal, entry
by entry, are one. An entry that asks nothing more ends its list: what stands behind it decides nothing. Kernels write past no
array: one that is full is said by how many lists are done, enlarged in Python, and the next list is taken again.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import types

from workbench.decode.bits import Numbers, exported, i64, kernel, u64
from workbench.policy.decisions.store_kernel import NONE, PASS

#: Places in `state`: lists there are, items of lists, parts, steps taken; how many of the first three the next list may come to.
LISTS, ITEMS, PARTS, STEPS, MORE_LISTS, MORE_ITEMS, MORE_PARTS = range(7)
#: Of nodes: nodes there are, and their runs.
NODES, RUNS = range(2)
#: Steps that one list may take; past them it is left, and counted as if they were all.
MOST: Final = 1 << 27
#: Entries of what is asked about; 0 and 1 are the policies.
ASKED: Final = 2

_tuple: Any = types.Tuple
_I64: Final = types.int64[::1]
_I32: Final = types.int32[::1]
_U8: Final = types.uint8[::1]
_PAIRS: Final = types.int64[:, ::1]
_RUNS: Final = types.int32[:, ::1]
#: Where each list begins and ends, and its entries.
_LISTS: Final = _tuple((_I64, _I32))
#: Of each entry: its set of this field; whether it asks nothing in the fields behind; the first entry that asks the same there;
#: where its tier and its policy end; whose it is; its verdict.
_ENTRIES: Final = _tuple((_I64, _U8, _I32, _I32, _I32, _U8, _U8))
#: Where the ranges of each set begin and end, and the ranges.
_FIELD: Final = _tuple((_PAIRS, _PAIRS))


@kernel
def _lowest(word: Any) -> int:
    """The number of the lowest bit that is set. (Kernels are kept by the files of their own folder, so it is not imported.)"""
    n = i64(0)
    for step in (32, 16, 8, 4, 2, 1):
        if word & ((u64(1) << u64(step)) - u64(1)) == 0:
            word >>= u64(step)
            n += step
    return n


@kernel
def _edges(lists: Any, entries: Any, field: Any, count: int, n: int, words: Any, edges: Any, where: Any) -> int:
    """Classes at which a set of a list begins or has ended, ascending, and the place of each; returns how many. words: all 0."""
    at, items = lists
    bounds, ranges = field
    for i in range(at[n], at[n + 1]):
        one = entries[0][items[i]]
        for r in range(bounds[one, 0], bounds[one, 1]):
            first, behind = ranges[r, 0], min(ranges[r, 1] + 1, count)
            words[first >> 6] |= u64(1) << u64(first & 63)
            words[behind >> 6] |= u64(1) << u64(behind & 63)
    found = i64(0)
    for w in range(words.shape[0]):
        word = words[w]
        words[w] = 0
        while word != 0:
            edge = w * 64 + _lowest(word)
            word &= word - u64(1)
            edges[found] = edge
            where[edge] = found
            found += 1
    return found


@kernel
def _hash(items: Any, first: int, behind: int) -> Any:
    h = u64(behind - first)
    for i in range(first, behind):
        h = (h ^ u64(items[i])) * u64(0x9E3779B97F4A7C15)
        h ^= h >> u64(29)
    return h


@kernel
def _known(made: Any, table: Any, first: int, behind: int) -> int:
    """The number of the list that has these items, or -1 less the place in the table where it is to stand."""
    at, items = made
    mask = u64(table.shape[0] - 1)
    slot = i64(_hash(items, first, behind) & mask)
    while table[slot] != 0:
        n = i64(table[slot] - 1)
        length = behind - first
        if at[n + 1] - at[n] == length:
            same = True
            for i in range(length):
                if items[at[n] + i] != items[first + i]:
                    same = False
                    break
            if same:
                return n
        slot = (slot + 1) & i64(mask)
    return -1 - slot


@kernel
def _ended(entries: Any, e: int, passed: int) -> int:
    """Where a list goes on behind an entry; passed: where the tier ends of the last entry in it that passes.

    What decides ends its policy, unless something before it in its tier may pass: what comes behind the tier matters then.
    """
    _, full, _, tier, policy, _, verdict = entries
    if full[e] == 0:
        return i64(0)
    return i64(tier[e]) if verdict[e] == PASS or passed == tier[e] else i64(policy[e])


@exported(types.void(_LISTS, types.int64, _I32))
def fill_table(made: Any, count: int, table: Any) -> None:
    """Put so many lists into an empty table."""
    at, _ = made
    for n in range(count):
        table[-1 - _known(made, table, at[n], at[n + 1])] = n + 1


@kernel
def _part(parts: Any, state: Any, begins: int, first: int, last: int, child: int) -> None:
    """One part more, or a longer one; parts of the list begin at `begins`."""
    before = state[PARTS] - 1
    if before >= begins and parts[before, 2] == child and parts[before, 1] + 1 == first:
        parts[before, 1] = last
        return
    parts[before + 1, 0], parts[before + 1, 1], parts[before + 1, 2] = first, last, child
    state[PARTS] = before + 2


@kernel
def _walk(lists: Any, entries: Any, field: Any, count: int, n: int, where: Any, room: Any, out: Any, writes: int) -> int:
    """Give every part of a list its entries, in order; returns how many steps that took, all of them or more than MOST.

    room: until where each part ends, whether it may pass, and how many entries it has, or where the next is written to in `out`.
    """
    _, _, alike, tier, _, _, verdict = entries
    bounds, ranges = field
    at, items = lists
    until, passed, to = room
    steps = i64(0)
    for i in range(at[n], at[n + 1]):
        e = i64(items[i])
        one = entries[0][e]
        if steps > MOST:
            break
        for r in range(bounds[one, 0], bounds[one, 1]):
            first, behind = where[ranges[r, 0]], where[min(ranges[r, 1] + 1, count)]
            steps += behind - first
            for s in range(first, behind):
                if e >= until[s]:
                    if writes:
                        out[to[s]] = alike[e]
                    to[s] += 1
                    if verdict[e] == PASS:
                        passed[s] = tier[e]
                    until[s] = _ended(entries, e, passed[s])
    return steps


@exported(
    types.int64(
        _LISTS, _ENTRIES, _FIELD, types.int64, types.int64, types.int64, types.int64, _LISTS, _I32, _I64, _RUNS, _I64
    )
)  # fmt: skip
def split(
    lists: Any, entries: Any, field: Any, count: int, within: int, start: int, most: int, made: Any, table: Any, part_at: Numbers,
    parts: Any, state: Numbers,
) -> int:  # fmt: skip
    """Lists of one field in parts, each with a list of the next; returns how many are done: all but where an array is full.

    It also ends past so many steps (`most`). count: classes of the field; within: whether only what is asked about counts. made,
    table: the lists of the next field; parts: first class, last class and list, those of each list from and to which place in
    part_at.
    """
    at, _ = lists
    whose = entries[5]
    words = np.zeros((count >> 6) + 1, np.uint64)
    edges, where = np.empty(count + 1, np.int64), np.empty(count + 1, np.int64)
    until, passed = np.empty(count + 1, np.int64), np.empty(count + 1, np.int64)
    size, to = np.empty(count + 1, np.int64), np.empty(count + 1, np.int64)
    room = until, passed, to
    for n in range(start, at.shape[0] - 1):
        if state[STEPS] > most:
            return n
        several = max(_edges(lists, entries, field, count, n, words, edges, where) - 1, 0)
        until[:several] = 0
        passed[:several] = 0
        to[:several] = 0
        out_at, out = made
        steps = several + _walk(lists, entries, field, count, n, where, room, out, 0)
        used = i64(state[ITEMS])
        place = used
        for s in range(several):
            size[s] = to[s]
            to[s] = place
            place += size[s]
            until[s] = passed[s] = 0
        state[MORE_LISTS], state[MORE_ITEMS], state[MORE_PARTS] = state[LISTS] + several, place, state[PARTS] + several
        if steps > MOST:
            state[STEPS] += steps
            return n
        if place > out.shape[0] or state[MORE_PARTS] > parts.shape[0]:
            return n
        if state[MORE_LISTS] >= out_at.shape[0] or 2 * state[MORE_LISTS] > table.shape[0]:
            return n
        state[STEPS] += steps
        _walk(lists, entries, field, count, n, where, room, out, 1)
        begins = i64(state[PARTS])
        for s in range(several):
            behind = to[s]
            first = behind - size[s]
            if first == behind or (within and whose[out[behind - 1]] != ASKED):
                continue
            child = _known(made, table, first, behind)
            if child < 0:
                table[-1 - child] = state[LISTS] + 1
                child = i64(state[LISTS])
                for i in range(behind - first):
                    out[used + i] = out[first + i]
                used += behind - first
                out_at[child + 1] = used
                state[LISTS] = child + 1
            _part(parts, state, begins, edges[s], edges[s + 1] - 1, child)
        state[ITEMS] = used
        part_at[n + 1] = state[PARTS]
    return i64(at.shape[0] - 1)


@exported(types.int64(_LISTS, _ENTRIES, _FIELD, types.int64, types.int64, _U8, _U8, types.int64, types.int64, _I64, _RUNS, _I64))
def paint(
    lists: Any, entries: Any, field: Any, count: int, within: int, unsaid: Any, kinds: Any, start: int, most: int,
    part_at: Numbers, parts: Any, state: Numbers,
) -> int:  # fmt: skip
    """Lists of the last field in parts, each with its outcome (as a reference: -1 less it); returns how many are done,
    as `split` does.

    unsaid: what each policy says where no entry does, and what is asked about; kinds: outcomes by both verdicts, 8 by 8.
    """
    _, _, _, tier, policy, whose, verdict_of = entries
    bounds, ranges = field
    at, items = lists
    words = np.zeros((count >> 6) + 1, np.uint64)
    edges, where = np.empty(count + 1, np.int64), np.empty(count + 1, np.int64)
    until, said = np.empty(count + 1, np.int64), np.empty((3, count + 1), np.uint8)
    for n in range(start, at.shape[0] - 1):
        several = max(_edges(lists, entries, field, count, n, words, edges, where) - 1, 0)
        state[MORE_PARTS] = state[PARTS] + several
        if state[STEPS] > most or state[MORE_PARTS] > parts.shape[0]:
            return n
        until[:several] = 0
        for one in range(3):
            said[one, :several] = unsaid[one]
        for i in range(at[n], at[n + 1]):
            e = i64(items[i])
            one = entries[0][e]
            verdict = verdict_of[e]
            for r in range(bounds[one, 0], bounds[one, 1]):
                first, behind = where[ranges[r, 0]], where[min(ranges[r, 1] + 1, count)]
                state[STEPS] += behind - first
                for s in range(first, behind):
                    if e >= until[s]:
                        until[s] = tier[e] if verdict == PASS else policy[e]
                        if verdict != PASS:
                            said[whose[e], s] = verdict
        begins = i64(state[PARTS])
        for s in range(several):
            if within and said[ASKED, s] == NONE:
                continue
            kind = i64(kinds[i64(said[0, s]) * 8 + said[1, s]])
            if kind != NONE:
                _part(parts, state, begins, edges[s], edges[s + 1] - 1, -1 - kind)
        part_at[n + 1] = state[PARTS]
    return i64(at.shape[0] - 1)


@kernel
def _node(nodes: Any, table: Any, state: Any, field: int, begins: int, behind: int) -> int:
    """The one node of a field that has these runs, which stand behind all others."""
    fields, at, runs = nodes
    mask = u64(table.shape[0] - 1)
    h = u64(field)
    for i in range(begins, behind):
        h = (h ^ u64(runs[i, 0])) * u64(0x9E3779B97F4A7C15)
        h = (h ^ h >> u64(29) ^ u64(runs[i, 1])) * u64(0xC2B2AE3D27D4EB4F)
        h = (h ^ h >> u64(31) ^ u64(runs[i, 2])) * u64(0x165667B19E3779F9)
        h ^= h >> u64(32)
    slot = i64(h & mask)
    while table[slot] != 0:
        n = i64(table[slot] - 1)
        if fields[n] == field and at[n + 1] - at[n] == behind - begins:
            same = True
            for i in range(behind - begins):
                a, b = at[n] + i, begins + i
                if runs[a, 0] != runs[b, 0] or runs[a, 1] != runs[b, 1] or runs[a, 2] != runs[b, 2]:
                    same = False
                    break
            if same:
                return n
        slot = (slot + 1) & i64(mask)
    n = i64(state[NODES])
    table[slot] = n + 1
    fields[n] = field
    at[n + 1] = behind
    state[NODES], state[RUNS] = n + 1, behind
    return n


@exported(types.void(types.int64, types.int64, _I64, _RUNS, _I64, _I64, _tuple((_U8, _I64, _RUNS)), _I32, _I64))
def close(
    field: int, count: int, part_at: Numbers, parts: Any, behind: Numbers, refs: Numbers, nodes: Any, table: Any, state: Numbers
) -> None:
    """The node of each list of a field, into refs. behind: nodes of the lists of the next field.

    nodes: field, where its runs begin (and the last ends), runs as in `decisions.runs`; with room for all lists and their parts,
    and a table of twice as many.
    """
    runs = nodes[2]
    for n in range(refs.shape[0]):
        first = i64(state[RUNS])
        place = first
        for part in range(part_at[n], part_at[n + 1]):
            ref = i64(parts[part, 2])
            if ref >= 0:
                ref = behind[ref]
            if ref == -1:
                continue
            if place > first and runs[place - 1, 2] == ref and runs[place - 1, 1] + 1 == parts[part, 0]:
                runs[place - 1, 1] = parts[part, 1]
                continue
            runs[place, 0], runs[place, 1], runs[place, 2] = parts[part, 0], parts[part, 1], ref
            place += 1
        if place == first:
            refs[n] = -1
        elif place == first + 1 and runs[first, 0] == 0 and runs[first, 1] == count - 1:
            refs[n] = runs[first, 2]
        else:
            refs[n] = _node(nodes, table, state, field, first, place)
