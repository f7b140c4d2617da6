"""RoCEv2 headers (IBTA 1.4, 9 and annex A17), counted by flow, direction, transport and destination queue pair."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import from_dtype, int32, int64, types, uint8
from numpy.typing import NDArray

from workbench.decode.bits import be16, be32, exported, i64, kernel
from workbench.records.message import MESSAGE

#: What one queue pair was told in one direction of a flow. Times in ns.
QUEUE: Final = np.dtype(
    [
        ("n", np.int64),
        ("first", np.int64),
        ("last", np.int64),
        ("packets", np.int64),
        ("read_bytes", np.int64),
        ("write_bytes", np.int64),
        ("send_bytes", np.int64),
        ("acks", np.int64),
        ("naks", np.int64),
        ("operations", np.int64),  # a bit each
        ("qp", np.int32),
        ("psn_first", np.int32),
        ("psn_last", np.int32),
        ("partition", np.int32),
        ("nak", np.int32),  # kind of the first; -1 none
        ("side", np.uint8),
        ("transport", np.uint8),
    ],
    align=True,
)
RC: Final = 0
UC: Final = 1
RD: Final = 2
UD: Final = 3
CNP: Final = 4
XRC: Final = 5
#: Kinds of negative acknowledgement beyond the codes of AETH, which are 0 to 4.
RNR: Final = 32

_BTH: Final = 12
_ICRC: Final = 4
_RETH: Final = 16
_AETH: Final = 4
_READ_REQUEST: Final = 12
_ACK: Final = 17
_ATOMIC_ACK: Final = 18
_LAST_OPERATION: Final = 23
_CNP_OPERATION: Final = 1
_MESSAGES: Final = types.Array(from_dtype(MESSAGE), 1, "C")
_ARENA: Final = types.Array(types.uint8, 1, "C", readonly=True)
_QUEUES: Final = types.Array(from_dtype(QUEUE), 1, "C")


@kernel
def _plausible(transport: int, operation: int) -> bool:
    """Whether a transport has this operation (table 38 of the specification)."""
    if transport == CNP:
        return operation == _CNP_OPERATION
    if transport == UD:
        return operation == 4 or operation == 5
    if transport == UC:
        return operation <= 11
    return (transport in (RC, RD, XRC)) and operation <= _LAST_OPERATION


@kernel
def _before(transport: int) -> int:
    """Bytes between BTH and what belongs to the operation: XRCETH; RDETH and DETH; DETH."""
    return 4 if transport == XRC else 12 if transport == RD else 8 if transport == UD else 0


@kernel
def _is_send(operation: int) -> bool:
    return operation <= 5 or operation == 22 or operation == 23


@kernel
def _is_write_start(operation: int) -> bool:
    """RDMA WRITE first, only, only with immediate: those with a RETH."""
    return operation == 6 or operation == 10 or operation == 11


@kernel
def _has_aeth(operation: int) -> bool:
    """RDMA READ response first, last, only; acknowledgements."""
    return operation == 13 or 15 <= operation <= 18


@kernel
def _acknowledge(q: Any, syndrome: int) -> None:
    """AETH: 00 acknowledged, 01 receiver not ready, 11 refused; what is refused in the lower bits."""
    kind = syndrome >> 5 & 3
    if kind == 0:
        q.acks += 1
    elif kind != 2:
        q.naks += 1
        if q.nak < 0:
            q.nak = RNR if kind == 1 else syndrome & 31


@kernel
def _count(q: Any, a: NDArray[np.uint8], at: int, size: int, whole: int) -> None:
    """Add one packet, whose BTH is there."""
    transport = i64(a[at]) >> 5
    operation = i64(a[at]) & 31
    q.operations |= i64(1) << operation
    q.packets += 1
    q.psn_last = be32(a, at + 8) & 0xFFFFFF
    behind = _BTH + _before(transport)
    if transport == CNP:
        return
    if _is_send(operation):
        more = 4 if operation == 3 or operation == 5 or operation >= 22 else 0
        q.send_bytes += max(0, whole - behind - more - (i64(a[at + 1]) >> 4 & 3) - _ICRC)
    elif _is_write_start(operation) or operation == _READ_REQUEST:
        if size >= behind + _RETH:
            length = be32(a, at + behind + 12)
            if operation == _READ_REQUEST:
                q.read_bytes += length
            else:
                q.write_bytes += length
    elif _has_aeth(operation) and size >= behind + _AETH and (operation in (_ACK, _ATOMIC_ACK)):
        _acknowledge(q, i64(a[at + behind]))


@kernel
def _place(table: NDArray[np.int32], pool: NDArray[Any], n: int, side: int, transport: int, qp: int) -> int:
    """Place in the table of an entry, or the free one where it would stand."""
    mask = len(table) - 1
    at = (n * 0x9E3779B1 ^ qp * 0x85EBCA6B ^ (side << 3 | transport) * 0xC2B2AE35) >> 7 & mask
    while table[at] != 0:
        q = pool[table[at] - 1]
        if q.n == n and q.qp == qp and q.side == side and q.transport == transport:
            break
        at = (at + 1) & mask
    return at


@exported(types.void(_QUEUES, int64, int32[::1]))
def index(pool: NDArray[Any], used: int, table: NDArray[np.int32]) -> None:
    """Enter pool[:used] in an empty table."""
    for e in range(used):
        q = pool[e]
        table[_place(table, pool, q.n, i64(q.side), i64(q.transport), i64(q.qp))] = e + 1


@exported(int64(_MESSAGES, _ARENA, _QUEUES, int32[::1], int64[::1], uint8[::1], int64))
def walk(
    rows: NDArray[Any],
    arena: NDArray[np.uint8],
    pool: NDArray[Any],
    table: NDArray[np.int32],
    state: NDArray[np.int64],
    seen: NDArray[np.uint8],
    start: int,
) -> int:
    """Count the datagrams from `start` on; returns where it stopped: at the end, or where the pool is full.

    table: a power of two, at least twice the pool. state: entries of the pool that are used; malformed datagrams.
    """
    for i in range(start, len(rows)):
        m = rows[i]
        at, size = i64(m.at), i64(m.size)
        if at < 0 or at + size > len(arena):
            continue
        if size < _BTH or i64(m.whole) < _BTH + _ICRC or i64(arena[at + 1]) & 15 != 0:
            state[1] += 1
            continue
        transport, qp = i64(arena[at]) >> 5, be32(arena, at + 4) & 0xFFFFFF
        if not _plausible(transport, i64(arena[at]) & 31):
            state[1] += 1
            continue
        place = _place(table, pool, i64(m.n), i64(m.side), transport, qp)
        if table[place] == 0:
            if state[0] == len(pool):
                return i
            q = pool[state[0]]
            state[0] += 1
            table[place] = state[0]
            q.n, q.side, q.transport, q.qp = i64(m.n), m.side, transport, qp
            q.first = i64(m.ts)
            q.packets = q.read_bytes = q.write_bytes = q.send_bytes = q.acks = q.naks = q.operations = 0
            q.nak = -1
            q.psn_first = be32(arena, at + 8) & 0xFFFFFF
            q.partition = be16(arena, at + 2)
        q = pool[table[place] - 1]
        q.last = i64(m.ts)
        _count(q, arena, at, size, i64(m.whole))
        seen[i] = 1
    return len(rows)
