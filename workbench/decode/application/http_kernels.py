"""Pairing HTTP/1 requests with their answers: all messages of a source, many at a time.

An exchange is a request, its answer, or both. Those of one flow are a list in the order in which they began; the answer goes
to the first that has none, as RFC 9112 (9.3.2) demands of pipelines. Interim answers (1xx) are passed over. An exchange is
over when both heads were seen and both bodies are; then it leaves the list and becomes a row. Texts of open exchanges lie in
a heap that is copied together after every call.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import from_dtype, int32, int64, types, uint8
from numpy.typing import NDArray

from workbench.decode.application.http_heads_kernels import (
    AUTH,
    BAD,
    CODED,
    IS_CONNECT,
    IS_HEAD,
    LENGTH,
    NUMBERS,
    REQUEST,
    RESPONSE,
    SERVER,
    STATUS,
    TEXTS,
    VERSION,
    put_text,
    read_head,
)
from workbench.decode.application.protocol import MOST_WAITING
from workbench.decode.bits import exported, i64, kernel
from workbench.records.message import BODY_END, MESSAGE

#: An exchange. Times in ns; -1 stands for what is not known.
EXCHANGE: Final = np.dtype(
    [
        ("n", np.int64),
        ("asked", np.int64),  # when the request's head began; -1: it was not seen
        ("answered", np.int64),
        ("request", np.int64),  # the message's number on its side
        ("answer", np.int64),
        ("request_body", np.int64),
        ("answer_body", np.int64),
        ("after", np.int64),  # next of the same flow, -1 none
        ("status", np.int32),
        ("side", np.uint8),  # that asks
        ("asked_whole", np.uint8),  # the request's body is over
        ("answered_whole", np.uint8),
        ("bodiless", np.uint8),  # the answer can't have one: it was asked by HEAD or CONNECT
        ("done", np.uint8),  # it is a row
    ],
    align=True,
)
#: What `seen` says of a message: of the protocol; and with a field that carries NTLM or Negotiate.
SEEN: Final = 1
AUTH_SEEN: Final = 2

_MESSAGES: Final = types.Array(from_dtype(MESSAGE), 1, "C")
_ARENA: Final = types.Array(types.uint8, 1, "C", readonly=True)
_OPEN: Final = types.Array(from_dtype(EXCHANGE), 1, "C")
# Places in `state`, the counters of one walk.
_USED: Final = 0  # exchanges in the pool
_HEAP: Final = 1  # bytes in the heap
_ROWS: Final = 2  # exchanges that became rows
_BAD: Final = 3
_FIRST: Final = 1  # columns of the table of flows: number, first and last of its list, how many wait
_LAST: Final = 2
_WAITS: Final = 3


@kernel
def _find(flows: NDArray[np.int64], n: int) -> int:
    """Row of a flow in the table, or the free one where it would stand. Column 0 is n + 1, and 0 in a free row."""
    mask = len(flows) - 1
    at = (n * 0x9E3779B1 >> 12) & mask
    while flows[at, 0] != 0 and flows[at, 0] != n + 1:
        at = (at + 1) & mask
    return at


@kernel
def _slot(flows: NDArray[np.int64], n: int) -> int:
    """Row of a flow in the table, new where it has none: rows are twice as many as flows, so that one is always free."""
    at = _find(flows, n)
    if flows[at, 0] == 0:
        flows[at, 0] = n + 1
        flows[at, _FIRST] = -1
        flows[at, _LAST] = -1
        flows[at, _WAITS] = 0
    return at


@kernel
def _append(flows: NDArray[np.int64], slot: int, pool: NDArray[Any], e: int) -> None:
    pool[e].after = -1
    if flows[slot, _LAST] < 0:
        flows[slot, _FIRST] = e
    else:
        pool[flows[slot, _LAST]].after = e
    flows[slot, _LAST] = e
    flows[slot, _WAITS] += 1


@kernel
def _pop(flows: NDArray[np.int64], slot: int, pool: NDArray[Any], out: NDArray[np.int64], state: NDArray[np.int64]) -> None:
    """The first exchange of a flow becomes a row."""
    e = flows[slot, _FIRST]
    flows[slot, _FIRST] = pool[e].after
    if pool[e].after < 0:
        flows[slot, _LAST] = -1
    flows[slot, _WAITS] -= 1
    pool[e].done = 1
    out[state[_ROWS]] = e
    state[_ROWS] += 1


@kernel
def _settle(flows: NDArray[np.int64], slot: int, pool: NDArray[Any], out: NDArray[np.int64], state: NDArray[np.int64]) -> None:
    """Exchanges that are over become rows, in order."""
    while flows[slot, _FIRST] >= 0:
        e = flows[slot, _FIRST]
        p = pool[e]
        over = p.asked >= 0 and p.answered >= 0 and p.asked_whole and p.answered_whole
        if not over and flows[slot, _WAITS] <= MOST_WAITING:
            return
        _pop(flows, slot, pool, out, state)


@kernel
def _new(pool: NDArray[Any], spans: NDArray[np.int64], state: NDArray[np.int64], n: int) -> int:
    e: int = state[_USED]
    state[_USED] += 1
    p = pool[e]
    p.n = n
    p.asked = p.answered = p.request = p.answer = p.request_body = p.answer_body = p.after = -1
    p.status = -1
    p.side = p.asked_whole = p.answered_whole = p.bodiless = p.done = 0
    spans[e, :] = -1
    return e


@kernel
def _put(
    spans: NDArray[np.int64], heap: NDArray[np.uint8], state: NDArray[np.int64], e: int, text: int,
    arena: NDArray[np.uint8], at: int, end: int,
) -> None:  # fmt: skip
    if at < 0:
        return
    start = state[_HEAP]
    state[_HEAP] = put_text(heap, start, arena, at, end)
    spans[e, 2 * text] = start
    spans[e, 2 * text + 1] = state[_HEAP]


@kernel
def _bodies(flows: NDArray[np.int64], slot: int, pool: NDArray[Any], side: int) -> None:
    """A head on a side: all bodies before it are over, however long they were."""
    e = flows[slot, _FIRST]
    while e >= 0:
        if pool[e].side == side:
            pool[e].asked_whole = 1
        elif pool[e].answered >= 0:
            pool[e].answered_whole = 1
        e = pool[e].after


@kernel
def _body_end(flows: NDArray[np.int64], slot: int, pool: NDArray[Any], side: int, number: int, whole: int) -> None:
    e = flows[slot, _FIRST]
    while e >= 0:
        if pool[e].side == side and pool[e].request == number:
            pool[e].request_body = whole
            pool[e].asked_whole = 1
            return
        if pool[e].side != side and pool[e].answer == number:
            pool[e].answer_body = whole
            pool[e].answered_whole = 1
            return
        e = pool[e].after


@kernel
def _ask(p: Any, m: Any, numbers: NDArray[np.int64]) -> None:
    """What a request's head says of an exchange."""
    p.asked = i64(m.ts)
    p.request = i64(m.number)
    p.side = m.side
    p.bodiless = numbers[IS_HEAD] or numbers[IS_CONNECT]
    if numbers[CODED] == 0 and numbers[LENGTH] <= 0:  # no length, no body (RFC 9112, 6.3)
        p.asked_whole = 1
        p.request_body = 0


@kernel
def _answer(p: Any, m: Any, numbers: NDArray[np.int64]) -> None:
    """What a final response's head says of an exchange."""
    status = numbers[STATUS]
    p.answered = i64(m.ts)
    p.answer = i64(m.number)
    p.status = status
    if status == 204 or status == 304 or status == 101 or (numbers[LENGTH] == 0 and numbers[CODED] == 0):
        p.answered_whole = 1
        p.answer_body = 0


@kernel
def _request(
    flows: NDArray[np.int64], slot: int, pool: NDArray[Any], spans: NDArray[np.int64], m: Any, numbers: NDArray[np.int64],
    out: NDArray[np.int64], state: NDArray[np.int64],
) -> int:  # fmt: skip
    """The exchange that a request begins, or that its answer began where that was handed over first."""
    first: int = flows[slot, _FIRST]
    while first >= 0 and pool[first].asked < 0:
        if pool[first].answered >= i64(m.ts):
            break
        _pop(flows, slot, pool, out, state)  # answers something from before the capture
        first = flows[slot, _FIRST]
    e = first
    while e >= 0 and pool[e].asked >= 0:
        e = pool[e].after
    if e < 0:
        e = _new(pool, spans, state, i64(m.n))
        _append(flows, slot, pool, e)
    _ask(pool[e], m, numbers)
    if pool[e].answered >= 0 and pool[e].bodiless:
        pool[e].answered_whole = 1
    return e


@kernel
def _response(
    flows: NDArray[np.int64], slot: int, pool: NDArray[Any], spans: NDArray[np.int64], m: Any, numbers: NDArray[np.int64],
    state: NDArray[np.int64],
) -> int:  # fmt: skip
    """The exchange that a response answers, or a new one where nothing waits."""
    e: int = flows[slot, _FIRST]
    while e >= 0 and pool[e].answered >= 0:
        e = pool[e].after
    if e < 0:
        e = _new(pool, spans, state, i64(m.n))
        pool[e].side = 1 - m.side
        _append(flows, slot, pool, e)
    _answer(pool[e], m, numbers)
    if pool[e].bodiless and not pool[e].answered_whole:
        pool[e].answered_whole = 1
        pool[e].answer_body = 0
    return e


@kernel
def _head(
    m: Any, arena: NDArray[np.uint8], flows: NDArray[np.int64], pool: NDArray[Any], spans: NDArray[np.int64],
    heap: NDArray[np.uint8], out: NDArray[np.int64], state: NDArray[np.int64], numbers: NDArray[np.int64],
    found: NDArray[np.int64],
) -> int:  # fmt: skip
    """One message with bytes; returns what `seen` says of it."""
    at = i64(m.at)
    kind = read_head(arena, at, at + i64(m.size), numbers, found)
    if kind != REQUEST and kind != RESPONSE:
        state[_BAD] += kind == BAD or m.vouched != 0
        return 0
    seen = SEEN | (AUTH_SEEN if numbers[AUTH] else 0)
    slot = _slot(flows, i64(m.n))
    _bodies(flows, slot, pool, i64(m.side))
    if kind == REQUEST:
        e = _request(flows, slot, pool, spans, m, numbers, out, state)
        for text in range(SERVER):
            _put(spans, heap, state, e, text, arena, found[2 * text], found[2 * text + 1])
        if found[2 * VERSION] < 0:
            start = state[_HEAP]
            heap[start] = 48
            heap[start + 1] = 46
            heap[start + 2] = 57
            spans[e, 2 * VERSION] = start
            spans[e, 2 * VERSION + 1] = start + 3
            state[_HEAP] = start + 3
    elif numbers[STATUS] >= 200 or numbers[STATUS] == 101:
        e = _response(flows, slot, pool, spans, m, numbers, state)
        for text in range(SERVER, TEXTS):
            _put(spans, heap, state, e, text, arena, found[2 * text], found[2 * text + 1])
    _settle(flows, slot, pool, out, state)
    return seen


@exported(
    types.void(
        _MESSAGES, _ARENA, int64[::1], int64[:, ::1], _OPEN, int64[:, ::1], uint8[::1], int64[::1], int64[::1], uint8[::1], int64
    )
)
def walk(
    rows: NDArray[Any],
    arena: NDArray[np.uint8],
    ended: NDArray[np.int64],
    flows: NDArray[np.int64],
    pool: NDArray[Any],
    spans: NDArray[np.int64],
    heap: NDArray[np.uint8],
    out: NDArray[np.int64],
    state: NDArray[np.int64],
    seen: NDArray[np.uint8],
    oldest: int,
) -> None:
    """Take in messages; `out` lists the exchanges that became rows.

    flows: zeroed, a power of two of rows, at least twice state[0] and the messages. pool, spans, out: room for state[0]
    open exchanges and one more a message. heap: room for state[1] bytes, and four more a byte of the messages.
    state: exchanges, bytes, rows, malformed. oldest: exchanges from before it (ns) become rows as they are.
    """
    numbers = np.zeros(NUMBERS, np.int64)
    found = np.zeros(2 * TEXTS, np.int64)
    for e in range(state[_USED]):
        _append(flows, _slot(flows, pool[e].n), pool, e)
    for i in range(len(rows)):
        m = rows[i]
        if m.flags & BODY_END:
            slot = _slot(flows, i64(m.n))
            _body_end(flows, slot, pool, i64(m.side), i64(m.number), i64(m.whole))
            _settle(flows, slot, pool, out, state)
            seen[i] = SEEN
        elif i64(m.at) >= 0 and i64(m.at) + i64(m.size) <= len(arena):
            seen[i] = _head(m, arena, flows, pool, spans, heap, out, state, numbers, found)
    for i in range(len(ended)):
        slot = _find(flows, ended[i])
        while flows[slot, 0] != 0 and flows[slot, _FIRST] >= 0:
            _pop(flows, slot, pool, out, state)
    for e in range(state[_USED]):
        p = pool[e]
        if not p.done and max(p.asked, p.answered) < oldest:
            slot = _slot(flows, p.n)
            while not pool[e].done:
                _pop(flows, slot, pool, out, state)


@exported(types.void(_OPEN, int64[:, ::1], uint8[::1], int64[::1], uint8[::1]))
def keep(
    pool: NDArray[Any], spans: NDArray[np.int64], heap: NDArray[np.uint8], state: NDArray[np.int64], to: NDArray[np.uint8]
) -> None:
    """Move open exchanges to the front of pool and spans, their texts into `to`, which is as long as the heap was full."""
    kept = 0
    size = 0
    for e in range(state[_USED]):
        if pool[e].done:
            continue
        for text in range(TEXTS):
            start, end = spans[e, 2 * text], spans[e, 2 * text + 1]
            if start >= 0:
                to[size : size + end - start] = heap[start:end]
                start, end = size, size + end - start
                size = end
            spans[kept, 2 * text] = start
            spans[kept, 2 * text + 1] = end
        pool[kept] = pool[e]
        kept += 1
    state[_USED] = kept
    state[_HEAP] = size


@exported(int64(int64[::1], int64[:, ::1], int64, uint8[::1], int32[::1], uint8[::1], uint8[::1]))
def gather(
    rows: NDArray[np.int64],
    spans: NDArray[np.int64],
    text: int,
    heap: NDArray[np.uint8],
    offsets: NDArray[np.int32],
    data: NDArray[np.uint8],
    valid: NDArray[np.uint8],
) -> int:
    """One text of the exchanges `rows` into the buffers of an Arrow column; returns the bytes written."""
    at = 0
    offsets[0] = 0
    for i in range(len(rows)):
        start, end = spans[rows[i], 2 * text], spans[rows[i], 2 * text + 1]
        if start >= 0:
            valid[i >> 3] |= 1 << (i & 7)
            data[at : at + end - start] = heap[start:end]
            at += end - start
        offsets[i + 1] = at
    return at
