"""Reading many DNS messages at a time: a query waits for its answer in a ring, whoever is complete becomes a row.

Rows go into arrays of numbers (ROW) and buffers of text, whose ends stand in the rows. A kernel returns when a buffer could
not hold what comes next, and is called again with empty ones.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import from_dtype, types
from numpy.typing import NDArray

from workbench.decode.application import dns_names as names
from workbench.decode.application import dns_wire as W  # noqa: N812
from workbench.decode.application.dns_text import MOST_NAME, put_name, put_netbios
from workbench.decode.bits import Numbers, be16, exported, i64, kernel
from workbench.records.message import BODY_END, CUT, MESSAGE

#: Queries that wait at a time, of all flows of a source: 10 MB. At 10,000 queries a second that is three seconds.
MOST_WAITING: Final = 32_768
#: ns after which nobody waits for an answer any more.
PATIENCE: Final = 30_000_000_000
#: Queries of one flow and id that are compared with an answer.
_TRIES: Final = 64
BUCKETS: Final = 65_536

#: A query that waits. next, prev: others with the same bucket, newer ones first; -1 ends.
WAITING: Final = np.dtype(
    [
        ("n", np.int64),
        ("ts", np.int64),
        ("key", np.int64),
        ("bytes", np.int32),
        ("next", np.int32),
        ("prev", np.int32),
        ("bucket", np.int32),
        ("qtype", np.int32),
        ("qclass", np.int32),
        ("id", np.uint16),
        ("flags", np.uint16),
        ("size", np.uint16),
        ("kind", np.uint8),
        ("live", np.uint8),
    ],
    align=True,
)
#: A row. Numbers that are not known are -1; a text whose end is the end of the row before is null.
ROW: Final = np.dtype(
    [
        ("n", np.int64),
        ("ts", np.int64),  # ns
        ("rtt", np.int32),  # us
        ("query_bytes", np.int32),
        ("answer_bytes", np.int32),
        ("qtype", np.int32),
        ("qclass", np.int32),
        ("rcode", np.int32),
        ("query", np.int32),  # ends in the texts
        ("answers", np.int32),
        ("ttls", np.int32),
        ("id", np.uint16),
        ("flags", np.uint16),
        ("kind", np.uint8),
    ],
    align=True,
)
#: State between calls: places in the ring (they only grow), time of the last message, rows and text written, whether a buffer
#: is full, messages that are malformed.
HEAD, TAIL, NOW, ROWS, TEXT, FULL, BAD, STATE = range(8)

_BYTES: Final = types.uint8[::1]
_NUMBERS: Final = types.int64[::1]
_ARENA: Final = types.Array(types.uint8, 1, "C", readonly=True)
_MESSAGES: Final = types.Array(from_dtype(MESSAGE), 1, "C", readonly=True)
_WAITING: Final = from_dtype(WAITING)[::1]
_ROWS: Final = from_dtype(ROW)[::1]
_NAMES: Final = types.uint8[:, ::1]
_HEADS: Final = types.int32[::1]


@kernel
def _kind(m: Any) -> int:
    """Which kind of DNS a message is, by the ports of its flow; -1 where it is at home nowhere, and has to look right."""
    for k in range(2):
        port = i64(m.dst_port) if k == 0 else i64(m.src_port)
        if port == 53:
            return names.DNS
        if port == 5353:
            return names.MDNS
        if port == 5355:
            return names.LLMNR
        if port == 137:
            return names.NBNS
    return -1


@kernel
def _bucket(n: int, ident: int) -> int:
    """Where queries of a flow with an id are looked for."""
    mixed: int = (n * 0x9E3779B1 + ident * 0x85EBCA6B) & 0x7FFFFFFF
    return (mixed >> 7) & (BUCKETS - 1)


@kernel
def _forget(waiting: NDArray[Any], heads: NDArray[np.int32], slot: int) -> None:
    """Nobody waits in this slot any more."""
    entry = waiting[slot]
    entry.live = 0
    if entry.prev >= 0:
        waiting[entry.prev].next = entry.next
    else:
        heads[entry.bucket] = entry.next
    if entry.next >= 0:
        waiting[entry.next].prev = entry.prev


@kernel
def _find(waiting: NDArray[Any], heads: NDArray[np.int32], m: Any, ident: int, key: int, asked: bool) -> int:
    """The oldest query that this message answers, of the newest ones; -1 without. An answer may come without the question."""
    found = -1
    slot = i64(heads[_bucket(m.n, ident)])
    tries = 0
    while slot >= 0 and tries < _TRIES:
        entry = waiting[slot]
        if entry.n == m.n and entry.id == ident and (entry.key == key or not asked) and 0 <= m.ts - entry.ts <= PATIENCE:
            found = slot
        slot = i64(entry.next)
        tries += 1
    return found


@kernel
def _unanswered(waiting: NDArray[Any], stored: Any, slot: int, s: Numbers, rows: NDArray[Any], text: NDArray[np.uint8]) -> None:
    """A row of a query that nobody answered."""
    entry = waiting[slot]
    row = rows[s[ROWS]]
    _same(row, entry.n, entry.ts, entry.kind, entry.id)
    row.rtt = row.answer_bytes = row.rcode = -1
    row.query_bytes = entry.bytes
    row.qtype, row.qclass, row.flags = entry.qtype, entry.qclass, entry.flags
    _query(row, stored[slot], i64(entry.size), s, text)
    _answered(rows, row, s, -1, -1)


@kernel
def _same(row: Any, n: int, ts: int, kind: int, ident: int) -> None:
    row.n, row.ts, row.kind, row.id = n, ts, kind, ident


@kernel
def _query(row: Any, name: NDArray[np.uint8], size: int, s: Numbers, text: NDArray[np.uint8]) -> None:
    if size:
        s[TEXT] = put_netbios(text, s[TEXT], name, size) if row.kind == names.NBNS else put_name(text, s[TEXT], name, size)
    row.query = s[TEXT]


@kernel
def _answered(rows: NDArray[Any], row: Any, s: Numbers, answers: int, ttls: int) -> None:
    """Where the row's answers end: -1 where it has none. The row is complete."""
    at = s[ROWS]
    row.answers = answers if answers >= 0 else (rows[at - 1].answers if at else 0)
    row.ttls = ttls if ttls >= 0 else (rows[at - 1].ttls if at else 0)
    s[ROWS] = at + 1


@kernel
def _wait(
    m: Any,
    kind: int,
    ident: int,
    size: int,
    name: NDArray[np.uint8],
    w: Numbers,
    s: Numbers,
    waiting: NDArray[Any],
    stored: Any,
    heads: NDArray[np.int32],
) -> None:
    """A query waits from now on; the ring has room."""
    slot = s[HEAD] % MOST_WAITING
    s[HEAD] += 1
    entry = waiting[slot]
    entry.n, entry.ts, entry.id, entry.kind, entry.bytes = m.n, m.ts, ident, kind, size
    entry.key = W.key_of(name, w[W.SIZE], w[W.QTYPE])
    entry.qtype, entry.qclass, entry.flags, entry.size = w[W.QTYPE], w[W.QCLASS], w[W.FLAGS], w[W.SIZE]
    for k in range(w[W.SIZE]):
        stored[slot, k] = name[k]
    bucket = _bucket(m.n, ident)
    entry.bucket, entry.prev, entry.next, entry.live = bucket, -1, heads[bucket], 1
    if heads[bucket] >= 0:
        waiting[heads[bucket]].prev = slot
    heads[bucket] = slot


@kernel
def _answer(
    m: Any,
    kind: int,
    ident: int,
    size: int,
    name: NDArray[np.uint8],
    w: Numbers,
    s: Numbers,
    waiting: NDArray[Any],
    stored: Any,
    heads: NDArray[np.int32],
    rows: NDArray[Any],
    text: NDArray[np.uint8],
) -> None:
    """A row of an answer, with the query it belongs to where that was seen."""
    asked = w[W.SIZE] > 0 and kind != names.NBNS
    slot = i64(-1)
    if asked or kind != names.MDNS:  # announcements ask nothing, and answer nobody
        slot = i64(_find(waiting, heads, m, ident, W.key_of(name, w[W.SIZE], w[W.QTYPE]), asked))
    row = rows[s[ROWS]]
    _same(row, m.n, m.ts, kind, ident)
    row.rtt = row.query_bytes = -1
    row.qtype, row.qclass, row.flags = w[W.QTYPE], w[W.QCLASS], w[W.FLAGS]
    row.rcode, row.answer_bytes = w[W.RCODE], size
    if slot >= 0:
        entry = waiting[slot]
        row.ts, row.query_bytes = entry.ts, entry.bytes
        row.rtt = min((m.ts - entry.ts) // 1000, 0x7FFFFFFF)
        row.qtype, row.qclass = entry.qtype, entry.qclass
        _query(row, stored[slot], i64(entry.size), s, text)
        _forget(waiting, heads, slot)
    else:
        _query(row, name, w[W.SIZE], s, text)
    _answered(rows, row, s, w[W.ANSWERS], w[W.TTLS])


@kernel
def _parse(
    buf: NDArray[np.uint8],
    base: int,
    end: int,
    kind: int,
    name: NDArray[np.uint8],
    other: NDArray[np.uint8],
    w: Numbers,
    answers: NDArray[np.uint8],
    ttls: NDArray[np.uint8],
) -> int:
    """The message: 2 where all of it could be read, 1 where its bytes end behind the question, 0 where they are wrong there,

    SHORT or WRONG where the question could not.
    """
    code = W.question(buf, base, end, kind, name, w)
    if code < 0:
        return code
    if w[W.FLAGS] & 0x8000:
        code = W.answers(buf, base, end, kind, name, other, w, answers, ttls)
    else:
        code = W.walk(buf, end, be16(buf, base + 6), w)
    if code == 0:
        code = W.walk(buf, end, be16(buf, base + 8) + be16(buf, base + 10), w)
    return 2 if code == 0 else 1 if code == W.SHORT else 0


@exported(
    types.int64(
        _MESSAGES,
        _ARENA,
        types.int64,
        _WAITING,
        _NAMES,
        _HEADS,
        _NUMBERS,
        _NUMBERS,
        _NAMES,
        _ROWS,
        _BYTES,
        _BYTES,
        _BYTES,
        _BYTES,
    )
)
def read_messages(
    messages: NDArray[Any],
    buf: NDArray[np.uint8],
    start: int,
    waiting: NDArray[Any],
    stored: NDArray[np.uint8],
    heads: NDArray[np.int32],
    w: Numbers,
    s: Numbers,
    scratch: NDArray[np.uint8],
    rows: NDArray[Any],
    text: NDArray[np.uint8],
    answers: NDArray[np.uint8],
    ttls: NDArray[np.uint8],
    seen: NDArray[np.uint8],
) -> int:
    """Read messages from `start` on until a buffer is full; returns how many are done. seen: the kind plus 1, by message."""
    name, other = scratch[0], scratch[1]
    w[W.ANSWERS] = w[W.TTLS] = s[ROWS] = s[TEXT] = s[FULL] = 0
    for i in range(start, len(messages)):
        if s[ROWS] + 2 > len(rows) or s[TEXT] + 2 * MOST_NAME > len(text):
            return i
        if w[W.ANSWERS] + W.ROOM > len(answers) or w[W.TTLS] + W.ROOM > len(ttls):
            return i
        m = messages[i]
        base, end, whole = i64(m.at), i64(m.at) + i64(m.size), i64(m.whole)
        if base < 0 or end > len(buf) or m.flags & BODY_END:
            continue
        if m.proto == 6:  # two bytes of length ahead (RFC 7766)
            base += 2
            whole -= 2
        kind = i64(_kind(m))
        at_answers, at_ttls = w[W.ANSWERS], w[W.TTLS]
        done = _parse(buf, base, end, max(kind, i64(0)), name, other, w, answers, ttls)
        cut = m.flags & CUT or end - base < whole
        if done < 2 and not cut:
            s[BAD] += 1
        if done < (0 if kind >= 0 else 1 if cut else 2):
            w[W.ANSWERS], w[W.TTLS] = at_answers, at_ttls
            continue
        s[NOW] = m.ts
        kind = max(kind, i64(0))
        seen[i] = kind + 1
        ident, size = be16(buf, base), min(max(whole, end - base), 0x7FFFFFFF)
        if w[W.FLAGS] & 0x8000:
            _answer(m, kind, ident, size, name, w, s, waiting, stored, heads, rows, text)
            continue
        if s[HEAD] - s[TAIL] == MOST_WAITING:
            if waiting[s[TAIL] % MOST_WAITING].live:
                _unanswered(waiting, stored, s[TAIL] % MOST_WAITING, s, rows, text)
                _forget(waiting, heads, s[TAIL] % MOST_WAITING)
            s[TAIL] += 1
        _wait(m, kind, ident, size, name, w, s, waiting, stored, heads)
    return len(messages)


@kernel
def _among(ended: Numbers, n: int) -> bool:
    """Whether the sorted numbers have this one."""
    low, high = i64(0), i64(len(ended))
    while low < high:
        middle = (low + high) // 2
        if ended[middle] < n:
            low = middle + 1
        else:
            high = middle
    return bool(low < len(ended) and ended[low] == n)


@exported(types.int64(_NUMBERS, types.int64, _WAITING, _NAMES, _HEADS, _NUMBERS, _ROWS, _BYTES))
def release(
    ended: Numbers,
    start: int,
    waiting: NDArray[Any],
    stored: NDArray[np.uint8],
    heads: NDArray[np.int32],
    s: Numbers,
    rows: NDArray[Any],
    text: NDArray[np.uint8],
) -> int:
    """Rows of queries whose flow ended, or that waited too long, from place `start` of the ring on until a buffer is full.

    Returns the place to go on from; s[FULL] says whether there is more.
    """
    s[ROWS] = s[TEXT] = s[FULL] = 0
    for place in range(max(start, s[TAIL]), s[HEAD]):
        slot = place % MOST_WAITING
        entry = waiting[slot]
        if not entry.live:
            continue
        if s[NOW] - entry.ts <= PATIENCE and not _among(ended, entry.n):
            continue
        if s[ROWS] + 1 > len(rows) or s[TEXT] + MOST_NAME > len(text):
            s[FULL] = 1
            return place
        _unanswered(waiting, stored, slot, s, rows, text)
        _forget(waiting, heads, slot)
    while s[TAIL] < s[HEAD] and not waiting[s[TAIL] % MOST_WAITING].live:
        s[TAIL] += 1
    return i64(s[HEAD])
