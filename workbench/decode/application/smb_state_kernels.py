"""The state of SMB connections inside kernels: a pool of rows, lists, names, counts. No bound is left to whoever calls.

A kernel asks `room` before it reads a message, and stops where anything could not take what one message can need.
p: everything that is held, as numbers (`smb_rows`); heap: bytes of names; a place is where a row begins in p; f: a connection's.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from workbench.decode.application import smb_rows as R  # noqa: N812
from workbench.decode.application.dcerpc_names import PIPES
from workbench.decode.application.protocol import MOST_WAITING
from workbench.decode.bits import Numbers, i64, kernel, le32

_KNOWN: Final = np.zeros((len(PIPES), 16), np.uint8)
_KNOWN_SIZES: Final = np.array([len(name) for name in sorted(PIPES)], np.int64)
for _place, _name in enumerate(sorted(PIPES)):
    _KNOWN[_place, : len(_name)] = np.frombuffer(_name.encode(), np.uint8)
_BACKSLASH: Final = 0x5C
#: What one message can take: rows (a request, a tree or pipe and two kinds a command), rows that are done, events. The end of
#: a connection gives back a row for each that it takes, so that there is always room for one.
_SPARE_ROWS: Final = 4 * R.MOST_CHAINED + 2
_SPARE_DONE: Final = R.MOST_KINDS + MOST_WAITING + 2 * R.MOST_CHAINED
_SPARE_EVENTS: Final = R.EVENTS_EACH * R.MOST_CHAINED + 2


@kernel
def room(p: Numbers, heap: NDArray[np.uint8], size: int) -> bool:
    """Whether there is room for all that a message of `size` bytes, or, where that is -1, the end of a connection can need."""
    if p[R.DONE] + _SPARE_DONE > R.MOST_DONE or p[R.EVENTS] + _SPARE_EVENTS > R.MOST_EVENTS:
        return False
    if size < 0:
        return True
    held = p[R.HELD] + _SPARE_ROWS <= (len(p) - R.POOL_AT) // R.WIDTH
    return bool(held and p[R.NAMES] + R.MOST_CHAINED <= R.MOST_NAMES and p[R.HEAP] + size <= len(heap))


@kernel
def le16(a: NDArray[np.uint8], o: int) -> int:
    """Two bytes at o, least significant first."""
    return i64(a[o]) | (i64(a[o + 1]) << 8)


@kernel
def le64(a: NDArray[np.uint8], o: int) -> int:
    """Eight bytes at o, least significant first, as a signed number."""
    return le32(a, o) | (le32(a, o + 4) << 32)


# -- rows and lists -----------------------------------------------------------------------------------


@kernel
def take(p: Numbers, what: int) -> int:
    """A row of the pool, all 0 but for what it is and NEXT; `room` has seen to it that there is one."""
    at = p[R.FREE]
    if at >= 0:
        p[R.FREE] = p[at + R.NEXT]
    else:
        at = p[R.USED]
        p[R.USED] += R.WIDTH
    p[R.HELD] += 1
    for column in range(R.WIDTH):
        p[at + column] = 0
    p[at + R.NEXT], p[at + R.WHAT] = -1, what
    return i64(at)


@kernel
def give(p: Numbers, at: int) -> None:
    """A row is free again."""
    p[at + R.WHAT] = 0
    p[at + R.NEXT] = p[R.FREE]
    p[R.FREE] = at
    p[R.HELD] -= 1


@kernel
def find(p: Numbers, first: int, one: int, two: int) -> tuple[int, int]:
    """The place before a row's and its own; -1."""
    at, before = i64(first), i64(-1)
    while at >= 0 and (p[at + 1] != one or p[at + 2] != two):
        before, at = at, i64(p[at + R.NEXT])
    return before, at


@kernel
def append(p: Numbers, f: int, which: int, at: int) -> None:
    """Put a row at the end of a connection's list."""
    if p[f + which + R.LAST] >= 0:
        p[p[f + which + R.LAST] + R.NEXT] = at
    else:
        p[f + which + R.FIRST] = at
    p[f + which + R.LAST] = at
    p[f + which + R.COUNT] += 1


@kernel
def unlink(p: Numbers, f: int, which: int, before: int, at: int) -> None:
    """Take a row out of a connection's list. before: the place before it; -1."""
    if before >= 0:
        p[before + R.NEXT] = p[at + R.NEXT]
    else:
        p[f + which + R.FIRST] = p[at + R.NEXT]
    if p[f + which + R.LAST] == at:
        p[f + which + R.LAST] = before
    p[f + which + R.COUNT] -= 1


# -- connections --------------------------------------------------------------------------------------


@kernel
def open_flow(p: Numbers, n: int) -> int:
    """Place of a connection, which is new where it was not there."""
    bucket = R.FLOW_HEADS + (n & (R.BUCKETS - 1))
    _, at = find(p, p[bucket], n, 0)
    if at >= 0:
        return at
    at = take(p, R.FLOW)
    p[at + R.N] = n
    p[R.FLOWS] += 1
    p[R.OPENINGS] += 1
    p[at + R.OPENED] = p[R.OPENINGS]
    for which in range(R.WAITS, R.KINDS + 1, 3):
        p[at + which + R.FIRST] = p[at + which + R.LAST] = -1
    p[at + R.NEXT] = p[bucket]
    p[bucket] = at
    return at


@kernel
def close_flow(p: Numbers, before: int, f: int) -> None:
    """Forget a connection, whose requests and kinds are gone already. before: the place before it in its bucket; -1."""
    for which in (R.TREES, R.PIPES):
        while p[f + which] >= 0:
            at = i64(p[f + which])
            unlink(p, f, which, -1, at)
            give(p, at)
    if before >= 0:
        p[before + R.NEXT] = p[f + R.NEXT]
    else:
        p[R.FLOW_HEADS + (p[f + R.N] & (R.BUCKETS - 1))] = p[f + R.NEXT]
    p[R.FLOWS] -= 1
    give(p, f)


@kernel
def event(p: Numbers, f: int, kind: int, row: int, ts: int, number: int) -> int:
    """Place of a new event; what else there is to it is said by whoever asked for it."""
    p[f + R.TOLD] = 1
    e = i64(R.EVENTS_AT + p[R.EVENTS] * R.EVENT_WIDTH)
    p[R.EVENTS] += 1
    for column in range(R.EVENT_WIDTH):
        p[e + column] = 0
    p[e + R.E_KIND], p[e + R.E_ROW], p[e + R.E_N] = kind, row, p[f + R.N]
    p[e + R.E_TS], p[e + R.E_NUMBER], p[e + R.E_REVISION] = ts, number, p[f + R.REVISION]
    return e


# -- trees and pipes ----------------------------------------------------------------------------------


@kernel
def share_of(p: Numbers, f: int, session: int, tree: int) -> int:
    """The name of a tree's share; -1."""
    _, at = find(p, p[f + R.TREES], session, tree)
    return i64(p[at + R.OF_SHARE]) if at >= 0 else i64(-1)


@kernel
def put(p: Numbers, f: int, which: int, most: int, one: int, two: int) -> int:
    """A new row in a connection's list, found by two numbers; the oldest goes where there are too many."""
    if p[f + which + R.COUNT] >= most:
        oldest = i64(p[f + which])
        unlink(p, f, which, -1, oldest)
        give(p, oldest)
    at = take(p, R.SHARED if which == R.TREES else R.OPEN)
    p[at + 1], p[at + 2] = one, two
    append(p, f, which, at)
    return at


@kernel
def bound(p: Numbers, a: NDArray[np.uint8], f: int, w: int, row: int, ts: int, start: int, stop: int) -> None:
    """Bytes were written to a handle that nobody was heard to open, since the server is not heard: a tap on one side only.

    What begins with a bind is a pipe; of which name, the last request to open one says, if any does.
    """
    if p[f + R.HEARD] or p[w + R.PIPE] >= 0 or not p[w + R.HANDLED] or start + 3 > stop or a[start] != 5 or a[start + 2] != 11:
        return
    name, at = i64(-1), i64(p[f + R.WAITS])
    while at >= 0:
        name = i64(p[at + R.OPENS]) if p[at + R.OPENS] >= 0 else name
        at = i64(p[at + R.NEXT])
    opened(p, f, i64(p[w + R.LOW]), i64(p[w + R.HIGH]), name, row, ts)
    p[w + R.PIPE] = p[R.PIPES_EVER]
    p[w + R.ABOUT] = name


@kernel
def shut(p: Numbers, f: int, low: int, high: int, row: int, ts: int) -> None:
    """A pipe, or a file, was closed."""
    before, at = find(p, p[f + R.PIPES], low, high)
    if at >= 0:
        event(p, f, R.CLOSED_PIPE, row, ts, p[at + R.PIPE_NUMBER])
        unlink(p, f, R.PIPES, before, at)
        give(p, at)


@kernel
def opened(p: Numbers, f: int, low: int, high: int, name: int, row: int, ts: int) -> None:
    """A pipe was opened."""
    shut(p, f, low, high, row, ts)
    if p[f + R.PIPES + R.COUNT] >= R.MOST_PIPES:
        event(p, f, R.CLOSED_PIPE, row, ts, p[p[f + R.PIPES] + R.PIPE_NUMBER])
    at = put(p, f, R.PIPES, R.MOST_PIPES, low, high)
    p[R.PIPES_EVER] += 1
    p[at + R.PIPE_NUMBER], p[at + R.PIPE_NAME] = p[R.PIPES_EVER], name
    e = event(p, f, R.OPENED_PIPE, row, ts, p[R.PIPES_EVER])
    p[e + R.E_STATUS] = name


# -- names --------------------------------------------------------------------------------------------


@kernel
def lower(a: NDArray[np.uint8], at: int) -> int:
    """The UTF-16 unit at an offset, in lower case where it is ASCII."""
    unit = le16(a, at)
    return unit + 32 if 0x41 <= unit <= 0x5A else unit


@kernel
def _units(a: NDArray[np.uint8], at: int, one: int, two: int, three: int, four: int) -> bool:
    """Whether four UTF-16 units, in lower case, are these."""
    return bool(lower(a, at) == one and lower(a, at + 2) == two and lower(a, at + 4) == three and lower(a, at + 6) == four)


@kernel
def name_of(p: Numbers, heap: NDArray[np.uint8], a: NDArray[np.uint8], at: int, size: int) -> int:
    """Place of a name, which is new where it was not there; `room` has seen to it."""
    mixed = i64(size)
    for o in range(at, at + size):
        mixed = (mixed ^ i64(a[o])) * 0x01000193 & 0x7FFFFFFFFFFF
    bucket = R.NAME_HEADS + ((mixed ^ mixed >> 17) & (R.BUCKETS - 1))
    _, place = find(p, p[bucket], mixed, size)
    while place >= 0:
        o = i64(0)
        while o < size and heap[p[place + R.NAME_AT] + o] == a[at + o]:
            o += 1
        if o == size:
            return place
        _, place = find(p, p[place + R.NEXT], mixed, size)
    place = i64(R.NAMES_AT + p[R.NAMES] * R.NAME_WIDTH)
    p[R.NAMES] += 1
    start = i64(p[R.HEAP])
    p[R.HEAP] += size
    for o in range(size):
        heap[start + o] = a[at + o]
    p[place + R.NEXT], p[place + R.NAME_HASH], p[place + R.NAME_SIZE] = p[bucket], mixed, size
    p[place + R.NAME_AT], p[place + R.NAME_IPC] = start, 0
    p[bucket] = place
    if size >= 8 and size % 2 == 0 and _units(a, at + size - 8, 0x69, 0x70, 0x63, 0x24):
        p[place + R.NAME_IPC] = 1
    return place


@kernel
def _is_known(a: NDArray[np.uint8], at: int, size: int) -> bool:
    """Whether a name is one of the pipes that are known by their names."""
    for known in range(len(_KNOWN_SIZES)):
        if size == 2 * _KNOWN_SIZES[known]:
            o = 0
            while 2 * o < size and lower(a, at + 2 * o) == i64(_KNOWN[known, o]):
                o += 1
            if 2 * o == size:
                return True
    return False


@kernel
def pipe_wanted(p: Numbers, heap: NDArray[np.uint8], a: NDArray[np.uint8], at: int, size: int, share: int) -> int:
    """The pipe that a name opens on a share; -1 where it is a file. Where the share was not seen, a pipe by its name."""
    if share >= 0 and p[share + R.NAME_IPC] == 0:
        return i64(-1)
    while size >= 2 and le16(a, at) == _BACKSLASH:
        at, size = at + 2, size - 2
    if size >= 10 and _units(a, at, 0x70, 0x69, 0x70, 0x65) and le16(a, at + 8) == _BACKSLASH:  # PIPE\
        at, size = at + 10, size - 10
    if size <= 0 or (share < 0 and not _is_known(a, at, size)):
        return i64(-1)
    return name_of(p, heap, a, at, size)


# -- counts -------------------------------------------------------------------------------------------


@kernel
def _same(p: Numbers, k: int, w: int, pipe: int, status: int, revision: int) -> bool:
    if p[k + R.COMMAND] != p[w + R.COMMAND] or p[k + R.KIND_STATUS] != status or p[k + R.SHARE] != p[w + R.SHARE]:
        return False
    return bool(p[k + R.KIND_PIPE] == pipe and p[k + R.SIGNED] == p[w + R.SIGNED] and p[k + R.KIND_REVISION] == revision)


@kernel
def over(p: Numbers, f: int, w: int, status: int, received: int) -> None:
    """A request that is in no list is done with: it is counted, and its row free again. status -1: nobody answered."""
    pipe, revision = i64(p[w + R.ABOUT] if p[w + R.PIPE] >= 0 else p[w + R.OPENS]), i64(p[f + R.REVISION])
    k = i64(p[f + R.KINDS])
    while k >= 0 and not _same(p, k, w, pipe, status, revision):
        k = i64(p[k + R.NEXT])
    if k < 0:
        if p[f + R.KINDS + R.COUNT] >= R.MOST_KINDS:
            hand_out(p, f)
        k = take(p, R.KIND)
        p[k + R.KIND_N] = p[f + R.N]
        for column in range(R.TS, R.SIGNED + 1):
            p[k + column] = p[w + column]
        p[k + R.KIND_PIPE], p[k + R.KIND_STATUS], p[k + R.KIND_REVISION] = pipe, status, revision
        append(p, f, R.KINDS, k)
    p[k + R.TS] = min(p[k + R.TS], p[w + R.TS])
    p[k + R.KIND_COUNT] += 1
    p[k + R.KIND_SENT] += p[w + R.SENT]
    p[k + R.KIND_RECEIVED] += received
    give(p, w)


@kernel
def hand_out(p: Numbers, f: int) -> None:
    """All kinds of a connection become rows."""
    k = i64(p[f + R.KINDS])
    while k >= 0:
        at = R.DONE_AT + p[R.DONE] * R.KIND_WIDTH
        for column in range(R.KIND_WIDTH):
            p[at + column] = p[k + column]
        p[R.DONE] += 1
        following = i64(p[k + R.NEXT])
        give(p, k)
        k = following
    p[f + R.KINDS + R.FIRST] = p[f + R.KINDS + R.LAST] = -1
    p[f + R.KINDS + R.COUNT] = 0
