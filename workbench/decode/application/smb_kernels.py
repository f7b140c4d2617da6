"""Reading many messages of SMB 2 and 3 (MS-SMB2) at a time: requests matched with answers, counted by kind.

What needs more than numbers is an event for Python: tokens of session setups, bytes through named pipes, messages of SMB 1.
p: the pool; f: place of a connection; u, stop: a command in the arena, from its header on; row: of its message; ts: us.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import from_dtype, int64, types, uint8
from numpy.typing import NDArray

from workbench.decode.application import smb_rows as R  # noqa: N812
from workbench.decode.application import smb_state_kernels as S  # noqa: N812
from workbench.decode.application.protocol import MOST_WAITING
from workbench.decode.application.smb_state_kernels import le16, le64
from workbench.decode.bits import Numbers, exported, i64, kernel, le32
from workbench.records.message import BODY_END, MESSAGE

_HEADER: Final = 64
_SMB1, _SMB2, _SEALED, _PACKED = 0x424D53FF, 0x424D53FE, 0x424D53FD, 0x424D53FC
_RESPONSE, _ASYNC, _RELATED, _SIGNED = 0x1, 0x2, 0x4, 0x8
_PENDING: Final = 0x00000103
_TRANSCEIVE: Final = 0x0011C017
_NEGOTIATE, _SETUP, _TREE, _UNTREE, _CREATE, _CLOSE = 0, 1, 3, 4, 5, 6
_READ, _WRITE, _IOCTL, _CANCEL = 8, 9, 11, 12
#: Where a request's body names the open file; by command, -1 nowhere.
_FILE_AT: Final = np.array([-1, -1, -1, -1, -1, -1, 8, 8, 16, 16, 8, 8, -1, -1, 8, 8, 24, 16], np.int64)

_MESSAGES: Final = types.Array(from_dtype(MESSAGE), 1, "C")
_ARENA: Final = types.Array(types.uint8, 1, "C", readonly=True)


@kernel
def _field(a: NDArray[np.uint8], u: int, stop: int, at: int) -> tuple[int, int]:
    """Where the bytes are that offset and length at `at` of a body describe, and how many are there; -1: no such fields."""
    if u + _HEADER + at + 4 > stop:
        return u, i64(-1)
    offset, size = le16(a, u + _HEADER + at), le16(a, u + _HEADER + at + 2)
    if offset < _HEADER or u + offset >= stop:
        return u, i64(0)
    return u + offset, min(size, stop - u - offset)


@kernel
def _feed(p: Numbers, f: int, pipe: int, side: int, row: int, ts: int, start: int, stop: int, size: int) -> None:
    """The next `size` bytes that a side sent through a pipe, if it is one; those before `stop` are there."""
    if pipe >= 0:
        e = S.event(p, f, R.FED, row, ts, pipe)
        start = min(start, stop)
        p[e + R.E_AT], p[e + R.E_SIZE] = start, min(size, stop - start)
        p[e + R.E_WHOLE], p[e + R.E_FLAG] = size, side


@kernel
def _pull(p: Numbers, f: int, number: int) -> int:
    """Take a request out of those that wait; -1."""
    before, w = S.find(p, p[f + R.WAITS], number, 0)
    if w >= 0:
        S.unlink(p, f, R.WAITS, before, w)
    return w


@kernel
def _lost(p: Numbers, f: int, w: int, row: int, ts: int) -> None:
    """A request goes without an answer."""
    if p[w + R.LOGIN]:
        S.event(p, f, R.LOST, row, ts, p[w + R.NUMBER])
    S.over(p, f, w, -1, 0)


@kernel
def _new(p: Numbers, a: NDArray[np.uint8], f: int, u: int, ts: int, flags: int, tree: int, session: int) -> int:
    """A request of which the header is known; in no list."""
    share = S.share_of(p, f, session, tree)
    w = S.take(p, R.WAIT)
    p[w + R.NUMBER], p[w + R.TS], p[w + R.COMMAND], p[w + R.SHARE] = le64(a, u + 24), ts, le16(a, u + 12), share
    p[w + R.SIGNED] = 1 if flags & _SIGNED else 0
    p[w + R.PIPE] = p[w + R.ABOUT] = p[w + R.OPENS] = -1
    return w


@kernel
def _names_file(p: Numbers, a: NDArray[np.uint8], f: int, w: int, at: int, stop: int) -> None:
    """Notes the open file that a request is about, and which pipe that is."""
    if at + 16 > stop:
        return
    p[w + R.LOW], p[w + R.HIGH], p[w + R.HANDLED] = le64(a, at), le64(a, at + 8), 1
    _, pipe = S.find(p, p[f + R.PIPES], p[w + R.LOW], p[w + R.HIGH])
    if pipe >= 0:
        p[w + R.PIPE], p[w + R.ABOUT] = p[pipe + R.PIPE_NUMBER], p[pipe + R.PIPE_NAME]


@kernel
def _request(
    p: Numbers, heap: NDArray[np.uint8], a: NDArray[np.uint8],
    f: int, u: int, stop: int, row: int, ts: int, flags: int, tree: int, session: int,
) -> bool:  # fmt: skip
    """Reads a request; False where it lacks its fields."""
    command, number, body = le16(a, u + 12), le64(a, u + 24), u + _HEADER
    w = _new(p, a, f, u, ts, flags, tree, session)
    if command == _CANCEL:  # is never answered, and names the request that it cancels
        S.over(p, f, w, -1, 0)
        return True
    again = _pull(p, f, number)
    if again >= 0:
        _lost(p, f, again, row, ts)
    if p[f + R.WAITS + R.COUNT] >= MOST_WAITING:
        oldest = i64(p[f + R.WAITS])
        S.unlink(p, f, R.WAITS, -1, oldest)
        _lost(p, f, oldest, row, ts)
    S.append(p, f, R.WAITS, w)
    if command < len(_FILE_AT) and _FILE_AT[command] >= 0:
        _names_file(p, a, f, w, body + _FILE_AT[command], stop)
    if command == _SETUP:
        at, size = _field(a, u, stop, 12)
        p[w + R.LOGIN] = 1
        e = S.event(p, f, R.ASKED, row, ts, number)
        p[e + R.E_SESSION], p[e + R.E_AT], p[e + R.E_SIZE] = session, at, size
        return size >= 0
    if command == _TREE:
        at, size = _field(a, u, stop, 4)
        if size >= 0:
            p[w + R.SHARE] = S.name_of(p, heap, a, at, size)
        return size >= 0
    if command == _CREATE:
        at, size = _field(a, u, stop, 44)
        if size >= 0:
            p[w + R.OPENS] = S.pipe_wanted(p, heap, a, at, size, i64(p[w + R.SHARE]))
        return size >= 0
    if command in (_WRITE, _IOCTL):
        return _sent(p, a, f, w, u, stop, row, ts)
    return True


@kernel
def _sent(p: Numbers, a: NDArray[np.uint8], f: int, w: int, u: int, stop: int, row: int, ts: int) -> bool:
    """What a request writes: WRITE; or a control that writes to a pipe and reads from it. False where it lacks its fields."""
    body = u + _HEADER
    if body + 8 > stop:
        return False
    if p[w + R.COMMAND] == _WRITE:
        start, size = u + le16(a, body + 2), le32(a, body + 4)
    elif le32(a, body + 4) != _TRANSCEIVE:
        return True
    elif body + 32 > stop:
        return False
    else:
        start, size = u + le32(a, body + 24), le32(a, body + 28)
        p[w + R.TRANSCEIVE] = 1
    p[w + R.SENT] = size
    S.bound(p, a, f, w, row, ts, start, stop)
    _feed(p, f, i64(p[w + R.PIPE]), 0, row, ts, start, stop, size)
    return True


@kernel
def _answer(
    p: Numbers, a: NDArray[np.uint8],
    f: int, u: int, stop: int, row: int, ts: int, flags: int, tree: int, session: int,
) -> bool:  # fmt: skip
    """Reads an answer; False where it lacks its fields."""
    command, number, status = le16(a, u + 12), le64(a, u + 24), le32(a, u + 8)
    p[f + R.HEARD] = 1
    if status == _PENDING and flags & _ASYNC and S.find(p, p[f + R.WAITS], number, 0)[1] >= 0:
        return True
    w = _pull(p, f, number)
    if w < 0:
        w = _new(p, a, f, u, ts, flags, tree, session)
    body, received = u + _HEADER, i64(0)
    good = True
    if command == _SETUP:
        at, size = _field(a, u, stop, 4)
        e = S.event(p, f, R.TOLD_SETUP, row, ts, number)
        p[e + R.E_SESSION], p[e + R.E_STATUS], p[e + R.E_FLAG] = session, status, p[w + R.LOGIN]
        p[e + R.E_AT], p[e + R.E_SIZE] = at, size
    elif p[w + R.LOGIN]:
        S.event(p, f, R.LOST, row, ts, number)
    if command == _NEGOTIATE:
        good = status != 0 or body + 6 <= stop
        if status == 0 and good:
            p[f + R.REVISION] = le16(a, body + 4)
    elif command == _READ and status >> 30 != 3:
        good = body + 8 <= stop
        if good:
            received = le32(a, body + 4)
            _feed(p, f, i64(p[w + R.PIPE]), 1, row, ts, u + i64(a[body + 2]), stop, received)
    elif command != _SETUP and p[w + R.TRANSCEIVE] and status >> 30 != 3:
        good = body + 40 <= stop
        if good:
            received = le32(a, body + 36)
            _feed(p, f, i64(p[w + R.PIPE]), 1, row, ts, u + le32(a, body + 32), stop, received)
    elif status == 0:
        _succeeded(p, a, f, w, u, stop, row, ts, tree, session)
    S.over(p, f, w, status, received)
    return good


@kernel
def _succeeded(
    p: Numbers, a: NDArray[np.uint8],
    f: int, w: int, u: int, stop: int, row: int, ts: int, tree: int, session: int,
) -> None:  # fmt: skip
    """What an answer that says so has brought about."""
    command, at = le16(a, u + 12), u + _HEADER + 64
    if command in (_TREE, _UNTREE):
        before, t = S.find(p, p[f + R.TREES], session, tree)
        if command == _TREE and p[w + R.SHARE] >= 0:
            if t < 0:
                t = S.put(p, f, R.TREES, R.MOST_TREES, session, tree)
            p[t + R.OF_SHARE] = p[w + R.SHARE]
        elif command == _UNTREE and t >= 0:
            S.unlink(p, f, R.TREES, before, t)
            S.give(p, t)
    elif command == _CREATE and p[w + R.OPENS] >= 0 and at + 16 <= stop:
        S.opened(p, f, le64(a, at), le64(a, at + 8), i64(p[w + R.OPENS]), row, ts)
    elif command == _CLOSE and p[w + R.HANDLED] and (p[w + R.LOW] != -1 or p[w + R.HIGH] != -1):
        S.shut(p, f, i64(p[w + R.LOW]), i64(p[w + R.HIGH]), row, ts)


@kernel
def _commands(
    p: Numbers, heap: NDArray[np.uint8], a: NDArray[np.uint8],
    f: int, at: int, end: int, row: int, ts: int,
) -> bool:  # fmt: skip
    """Reads the commands of one message at a[at:end]; False where it is malformed."""
    before = False
    last_tree = last_session = i64(0)
    for _ in range(R.MOST_CHAINED):
        if end - at < _HEADER:
            break
        if le32(a, at) != _SMB2:
            return False
        flags, following, tree, session = le32(a, at + 16), le32(a, at + 20), le32(a, at + 36), le64(a, at + 40)
        if flags & _ASYNC:
            tree = i64(0xFFFFFFFF)
        if flags & _RELATED and before and not flags & _RESPONSE:
            tree, session = last_tree, last_session
        stop = min(at + following, end) if following else end
        if flags & _RESPONSE:
            good = _answer(p, a, f, at, stop, row, ts, flags, tree, session)
        else:
            good = _request(p, heap, a, f, at, stop, row, ts, flags, tree, session)
        if not good:
            return False
        before, last_tree, last_session = True, tree, session
        if following < _HEADER:
            break
        at += following
    return True


@kernel
def _message(
    p: Numbers, heap: NDArray[np.uint8], a: NDArray[np.uint8],
    m: Any, row: int,
) -> int:  # fmt: skip
    """Reads one session packet. 1: of the protocol; 2: of it, and malformed; -1: malformed; 0: nothing of interest."""
    at, end, ts = i64(m.at), i64(m.at) + i64(m.size), i64(m.ts) // 1000
    if at == end or a[at] != 0:
        return 0 if at < end and 0x81 <= a[at] <= 0x85 else -1  # NetBIOS: request, answers, keep-alive
    if at + 8 > end:
        return -1
    magic = le32(a, at + 4)
    if magic < _PACKED or magic > _SMB1:
        return -1
    f = S.open_flow(p, i64(m.n))
    if magic == _SMB2:
        return 1 if _commands(p, heap, a, f, at + 4, end, row, ts) else 2
    if magic == _SMB1:
        e = S.event(p, f, R.ONE, row, ts, 0)
        p[e + R.E_AT], p[e + R.E_SIZE] = at + 4, end - at - 4
        return 1
    w = S.take(p, R.WAIT)
    p[w + R.TS], p[w + R.COMMAND], p[w + R.SIGNED] = ts, R.ENCRYPTED if magic == _SEALED else R.COMPRESSED, R.UNKNOWN
    p[w + R.SHARE] = p[w + R.PIPE] = p[w + R.OPENS] = -1
    S.over(p, f, w, -1, 0)
    return 1


@kernel
def _end(p: Numbers, n: int) -> None:
    """A connection is over: its rows are done."""
    before, f = S.find(p, p[R.FLOW_HEADS + (n & (R.BUCKETS - 1))], n, 0)
    if f < 0:
        return
    while p[f + R.WAITS] >= 0:
        w = i64(p[f + R.WAITS])
        S.unlink(p, f, R.WAITS, -1, w)
        S.over(p, f, w, -1, 0)
    S.hand_out(p, f)
    if p[f + R.TOLD]:
        S.event(p, f, R.ENDED, -1, 0, 0)
    S.close_flow(p, before, f)


@exported(int64(_MESSAGES, _ARENA, int64[::1], int64, int64[::1], uint8[::1], uint8[::1]))
def walk(
    rows: NDArray[Any],
    arena: NDArray[np.uint8],
    ended: NDArray[np.int64],
    start: int,
    p: Numbers,
    heap: NDArray[np.uint8],
    seen: NDArray[np.uint8],
) -> int:
    """Read messages, then end connections, from `start` on in both; returns where it stopped: at the end, or for room."""
    for i in range(start, len(rows) + len(ended)):
        size = i64(rows[i].size) if i < len(rows) else i64(-1)
        if not S.room(p, heap, size):
            return i
        if i >= len(rows):
            _end(p, i64(ended[i - len(rows)]))
            continue
        m = rows[i]
        if m.at < 0 or i64(m.at) + size > len(arena) or m.flags & BODY_END:
            continue
        what = _message(p, heap, arena, m, i)
        if what > 0:
            seen[i] = 1
        if what == 2 or what < 0:
            p[R.BAD] += 1
    return len(rows) + len(ended)
