"""Flows summed up by what a policy can ask of them: their ends numbered, then alike flows counted together.

Two hash tables of numbers with linear probing; what a number stands for is one row of a matrix, so that a flow touches a line of
memory of each and not ten. A kernel stops where its table is half full and says at which flow; whoever called makes it larger
and goes on. Keys are compared whole, so that hashes that meet cost time and nothing else; a seed that nobody outside knows keeps
crafted addresses from meeting.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import types

from workbench.decode.bits import Numbers, exported, i64, kernel, prefetch, u64

_tuple: Any = types.Tuple
_I64: Final = types.int64[::1]
_I32: Final = types.int32[::1]
_ROWS: Final = types.int64[:, ::1]
#: What is only read: Arrow gives such arrays out.
_R64, _R32, _R16, _R8 = (
    types.Array(kind, 1, "C", readonly=True) for kind in (types.int64, types.int32, types.uint16, types.uint8)
)

#: Columns of what is known of an end, and of a question with its sums; eight numbers are a line of memory.
END_COLUMNS: Final = 4
HI, LO, WORKLOAD, NETWORK = range(END_COLUMNS)
ROW_COLUMNS: Final = 8
PAIR, ASKED, FLOWS, BYTES, LIVE, FIRST, LAST = range(7)

#: Flows between asking for a flow's place in the table, for what it stands for, and using it; a power of two that holds both.
_AHEAD: Final = 8
_RING: Final = 32


@kernel
def _mixed(a: Any, b: Any, seed: Any) -> Any:
    """64 bits that depend on every bit of both (the finaliser of splitmix64, twice)."""
    x = (u64(a) ^ seed) * u64(0xBF58476D1CE4E5B9)
    x ^= x >> u64(29)
    x = (x + u64(b)) * u64(0x94D049BB133111EB)
    x ^= x >> u64(32)
    x *= u64(0xBF58476D1CE4E5B9)
    return x ^ (x >> u64(29))


@kernel
def _end_hash(hi: Any, lo: Any, workload: Any, network: Any, seed: Any) -> Any:
    return _mixed(i64(hi) ^ (i64(network) << 20), i64(lo) ^ (i64(workload) << 40), seed)


@exported(types.int64(_tuple((_R64, _R64, _R64, _R32)), _I32, _ROWS, _I64, types.uint64, types.int64, types.int64, _I32))
def number_ends(flows: Any, table: Numbers, known: Any, count: Numbers, seed: Any, start: int, stop: int, out: Numbers) -> int:
    """Number the ends of flows from start to before stop; returns where it stopped for want of room, stop else.

    flows: hi, lo, workload, network of each. known: END_COLUMNS of each number. table: numbers by hash, -1 for none, a power
    of two long. count: one number, how many ends are known. out: the number of each flow's end.
    """
    hi, lo, workload, network = flows
    mask = u64(table.shape[0] - 1)
    room = min(table.shape[0] >> 1, known.shape[0])
    for i in range(start, min(stop, hi.shape[0], out.shape[0])):
        at = _end_hash(hi[i], lo[i], workload[i], network[i], seed) & mask
        number = i64(table[at])
        while number >= 0 and not (
            known[number, LO] == lo[i]
            and known[number, HI] == hi[i]
            and known[number, WORKLOAD] == workload[i]
            and known[number, NETWORK] == network[i]
        ):
            at = (at + u64(1)) & mask
            number = i64(table[at])
        if number < 0:
            number = i64(count[0])
            if number >= room:
                return i
            known[number, HI], known[number, LO] = hi[i], lo[i]
            known[number, WORKLOAD], known[number, NETWORK] = workload[i], network[i]
            table[at] = number
            count[0] = number + 1
        out[i] = number
    return stop


@exported(
    types.int64(
        _tuple((_R32, _R32, _R8, _R16, _R8)), _tuple((_R64, _R64, _R64, _R8)), _I32, _ROWS, _I64, types.uint64,
        types.int64, types.int64, _I32,
    )
)  # fmt: skip
def number_asked(
    flows: Any, told: Any, table: Numbers, known: Any, count: Numbers, seed: Any, start: int, stop: int, out: Numbers
) -> int:
    """Number what flows ask, from start to before stop, and sum them up; returns where it stopped for want of room, stop else.

    flows: src, dst, proto, service, state of each; told: begin, end, bytes and whether it is live. known: ROW_COLUMNS of each
    number. table, count, out: as in `number_ends`.
    """
    src, dst, proto, service, state = flows
    begin, end, size, live = told
    mask = u64(table.shape[0] - 1)
    room = min(table.shape[0] >> 1, known.shape[0])
    last = min(stop, src.shape[0], out.shape[0])
    places = np.zeros(_RING, np.uint64)  # of the flows to come: their memory is asked for before it is needed
    for i in range(start - 2 * _AHEAD, last):
        coming = i + 2 * _AHEAD
        if coming < last:
            pair = (i64(src[coming]) << 32) | i64(dst[coming])
            asked = (i64(proto[coming]) << 24) | (i64(service[coming]) << 8) | i64(state[coming])
            places[coming % _RING] = _mixed(pair, asked, seed) & mask
            prefetch(table, i64(places[coming % _RING]) * 4)
        if start <= i + _AHEAD < last:
            prefetch(known, max(i64(table[places[(i + _AHEAD) % _RING]]), 0) * ROW_COLUMNS * 8)
        if i < start:
            continue
        pair = (i64(src[i]) << 32) | i64(dst[i])
        asked = (i64(proto[i]) << 24) | (i64(service[i]) << 8) | i64(state[i])
        at = places[i % _RING]
        number = i64(table[at])
        while number >= 0 and not (known[number, PAIR] == pair and known[number, ASKED] == asked):
            at = (at + u64(1)) & mask
            number = i64(table[at])
        if number < 0:
            number = i64(count[0])
            if number >= room:
                return i
            known[number, PAIR], known[number, ASKED] = pair, asked
            known[number, FLOWS], known[number, BYTES], known[number, LIVE] = 0, 0, 0
            known[number, FIRST], known[number, LAST] = begin[i], end[i]
            table[at] = number
            count[0] = number + 1
        known[number, FLOWS] += 1
        known[number, BYTES] += size[i]
        known[number, LIVE] += i64(live[i])
        known[number, FIRST] = min(known[number, FIRST], begin[i])
        known[number, LAST] = max(known[number, LAST], end[i])
        out[i] = number
    return stop


@exported(types.void(_ROWS, types.int64, types.uint64, _I32))
def place_ends(known: Any, count: int, seed: Any, table: Numbers) -> None:
    """Enter known ends, all different, into an empty table at least twice as long."""
    mask = u64(table.shape[0] - 1)
    for n in range(min(count, known.shape[0], table.shape[0] >> 1)):
        at = _end_hash(known[n, HI], known[n, LO], known[n, WORKLOAD], known[n, NETWORK], seed) & mask
        while table[at] >= 0:
            at = (at + u64(1)) & mask
        table[at] = n


@exported(types.void(_ROWS, types.int64, types.uint64, _I32))
def place_asked(known: Any, count: int, seed: Any, table: Numbers) -> None:
    """Enter what is known to be asked, all different, into an empty table at least twice as long."""
    mask = u64(table.shape[0] - 1)
    for n in range(min(count, known.shape[0], table.shape[0] >> 1)):
        at = _mixed(known[n, PAIR], known[n, ASKED], seed) & mask
        while table[at] >= 0:
            at = (at + u64(1)) & mask
        table[at] = n
