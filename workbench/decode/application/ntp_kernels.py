"""NTP many messages at a time: what each is, and the sums of a flow by version, mode and request (RFC 5905, 7.3; RFC 9327)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import from_dtype, types

from workbench.decode.bits import be16, be32, be64, exported, i64, kernel
from workbench.records.message import BODY_END, MESSAGE

CLIENT, SERVER, CONTROL, PRIVATE = 3, 4, 6, 7

_OLD_MONLIST, _MONLIST = 20, 42  # the same request, and one name

#: A row's key: its flow's number above; version, mode and request (0 where the mode has none) below.
VERSION_SHIFT: Final = 11
MODE_SHIFT: Final = 8
FLOW_SHIFT: Final = 14

#: Messages of one flow, version, mode and request. 64 bytes.
ROW: Final = np.dtype(
    [
        ("key", np.int64),
        ("ts", np.int64),  # us; of the first
        ("count", np.int64),
        ("answers", np.int64),
        ("rtt", np.int64),  # us; -1 while there is none
        ("reference", np.uint32),
        ("stratum", np.int16),  # -1: the mode has none
    ],
    align=True,
)
#: What a flow waits for: the answer to the first request of a row. said: what the answer repeats; form: how much of it.
ASKED: Final = np.dtype(
    [("key", np.int64), ("ts", np.int64), ("said", np.uint64), ("row", np.int64), ("form", np.uint8)], align=True
)

_ROWS: Final = types.Array(from_dtype(MESSAGE), 1, "C", readonly=True)
_BYTES: Final = types.Array(types.uint8, 1, "C", readonly=True)
_KEYS: Final = types.Array(types.int64, 1, "C")
_PLACES: Final = types.Array(types.int64, 1, "C", readonly=True)
_SUMS: Final = types.Array(from_dtype(ROW), 1, "C")
_ASKED: Final = types.Array(from_dtype(ASKED), 1, "C")


@kernel
def _key(buf: Any, at: Any, stop: Any) -> Any:
    """Version, mode and request of a message; -1 where its length does not go with them."""
    if stop == at:
        return i64(-1)
    mode = i64(buf[at]) & 7
    version = (i64(buf[at]) >> 3) & 7
    least = 12 if mode == CONTROL else 4 if mode == PRIVATE else 48
    if mode == 0 or not 1 <= version <= 4 or stop - at < least:
        return i64(-1)
    request = i64(0)
    if mode == CONTROL:
        request = i64(buf[at + 1]) & 31
    elif mode == PRIVATE:
        request = i64(buf[at + 3])
        if request == _OLD_MONLIST:
            request = i64(_MONLIST)
    elif mode == 2:
        mode = i64(1)  # active and passive: symmetric
    return (version << VERSION_SHIFT) | (mode << MODE_SHIFT) | request


@exported((_ROWS, _BYTES, _KEYS))
def find_keys(rows: Any, arena: Any, keys: Any) -> Any:
    """Key of each message's row; -1 where it is not NTP: how many of those."""
    bad = i64(0)
    for place in range(rows.size):
        row = rows[place]
        at = i64(row.at)
        stop = at + i64(row.size)
        keys[place] = -1
        if row.flags & BODY_END or at < 0 or stop > arena.size:
            continue
        key = _key(arena, at, stop)
        if key < 0:
            bad += 1
        else:
            keys[place] = (i64(row.n) << FLOW_SHIFT) | key
    return bad


@kernel
def _repeated(buf: Any, at: Any, mode: Any, answer: Any) -> Any:
    """What a request says that its answer repeats, and in which form: sequence number, request code, time of sending."""
    if mode == CONTROL:
        return np.uint64(be16(buf, at + 2)), 1
    if mode == PRIVATE:
        return np.uint64(buf[at + 3]), 2
    return be64(buf, at + (24 if answer else 40)), 3


@exported((_ROWS, _BYTES, _KEYS, _PLACES, _PLACES, _SUMS, _ASKED))
def count(rows: Any, arena: Any, keys: Any, places: Any, flows: Any, sums: Any, asked: Any) -> None:
    """Add messages up. places, flows: the row and the flow of each, of keys that are not -1; sums in the order of their keys.

    The time to the answer is that of the first request that waits for one: the latest kind that has none yet.
    """
    for place in range(rows.size):
        if keys[place] < 0:
            continue
        row = rows[place]
        at = i64(row.at)
        ts = i64(row.ts) // 1000
        mode = (keys[place] >> MODE_SHIFT) & 7
        one = sums[places[place]]
        answer = mode == SERVER
        if mode == CONTROL:
            answer = arena[at + 1] >= 0x80
        elif mode == PRIVATE:
            answer = arena[at] >= 0x80
        if one.count == 0:
            one.ts = ts
        one.count += 1
        one.answers += 1 if answer else 0
        if mode < CONTROL:
            one.stratum = i64(arena[at + 1])
            one.reference = be32(arena, at + 12)
        flow = asked[flows[place]]
        said, form = _repeated(arena, at, mode, answer)
        if not answer and one.rtt < 0 and (flow.form == 0 or flow.row != keys[place]):
            flow.said = said
            flow.form = form
            flow.ts = ts
            flow.row = keys[place]
        elif answer and form == flow.form and said == flow.said and ts >= flow.ts:
            flow.form = 0
            low, high = i64(0), i64(sums.size) - 1
            while low < high:
                middle = (low + high) // 2
                if sums[middle].key < flow.row:
                    low = middle + 1
                else:
                    high = middle
            if sums[low].key == flow.row:
                sums[low].rtt = ts - flow.ts
