"""SSH many messages at a time: what each is, and what sizes of encrypted segments say of the outcome (RFC 4253, 4.2, 6, 7.1).

The outcome is guessed as Zeek does. The server's first encrypted segment after the client's accepts the service; one that is
16 bytes shorter says that authentication succeeded; the first other one is a failure (one that is over 256 bytes longer a
banner), and each of the failure's size one more failed attempt.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import from_dtype, types

from workbench.decode.application.tls_texts import keyed
from workbench.decode.bits import be32, exported, i64, kernel
from workbench.records.message import BODY_END, MESSAGE

#: What a message is.
NOTHING, SEGMENT, BANNER, LISTS, LIE, SHORT, CLIENT_SAYS, OTHER = range(8)

#: FLOW.result
UNKNOWN, FAILED, CAME_IN = range(3)

#: One connection. banner, lists: by side, numbers of what was said; -1. 80 bytes.
FLOW: Final = np.dtype(
    [
        ("key", np.int64),  # number of the flow
        ("ts", np.int64),  # us; of the first message
        ("accept", np.int64),  # bytes of the segment that accepted the service, and of the first failure; 0
        ("failure", np.int64),
        ("attempts", np.int64),
        ("heard", np.int64),  # encrypted segments of the server
        ("banner", np.int32, (2,)),
        ("lists", np.int32, (2,)),
        ("result", np.uint8),
        ("client", np.uint8),  # the side of the client
        ("begun", np.uint8),
        ("known", np.uint8),  # it is SSH
        ("asked", np.uint8),  # the client said something encrypted
        ("bannered", np.uint8),
        ("told", np.uint8),
    ],
    align=True,
)

_KEXINIT: Final = 20
_KEXDH_INIT, _GEX_REQUEST = 30, 34  # numbers that only a client sends
_LISTS_AT: Final = 4 + 1 + 1 + 16
_MOST_LISTS: Final = 10
_MOST_BANNER: Final = 255
_SSH: Final = 0x5353482D  # "SSH-"
#: What a guess rests on, in bytes (Zeek's numbers).
_SHORTER: Final = 16
_BANNER_LONGER: Final = 256
#: Encrypted messages of the server after which no more is waited for.
_ENOUGH: Final = 12

_ROWS: Final = types.Array(from_dtype(MESSAGE), 1, "C", readonly=True)
_BYTES: Final = types.Array(types.uint8, 1, "C", readonly=True)
_KEYS: Final = types.Array(types.uint64, 1, "C")
_SIZES: Final = types.Array(types.int32, 1, "C")
_KINDS: Final = types.Array(types.uint8, 1, "C")
_PLACES: Final = types.Array(types.int64, 1, "C", readonly=True)
_FLOWS: Final = types.Array(from_dtype(FLOW), 1, "C")


@kernel
def _lists_end(buf: Any, at: Any, stop: Any) -> Any:
    """Where the last of the ten lists that are whole ends, and how many are."""
    count = i64(0)
    while count < _MOST_LISTS and at + 4 <= stop:
        size = be32(buf, at)
        if at + 4 + size > stop:
            break
        at += 4 + size
        count += 1
    return at, count


@kernel
def _line(buf: Any, at: Any, stop: Any) -> Any:
    """Bytes of a banner without what ends its line."""
    stop = min(stop, at + _MOST_BANNER)
    while stop > at and (buf[stop - 1] == 10 or buf[stop - 1] == 13):
        stop -= 1
    return stop - at


@exported((_ROWS, _BYTES, _KEYS, _KINDS, _KEYS, _SIZES))
def sort_out(rows: Any, arena: Any, key: Any, kinds: Any, keys: Any, sizes: Any) -> None:
    """What each message is; of banners and lists the bytes that matter (from `at`, or _LISTS_AT behind it) and their keyed hash.

    The cookie ahead of the lists is another one every time, the lists are not.
    """
    for place in range(rows.size):
        row = rows[place]
        at = i64(row.at)
        stop = at + i64(row.size)
        kinds[place] = NOTHING
        keys[place] = np.uint64(0)
        sizes[place] = 0
        if row.flags & BODY_END or at < 0 or stop > arena.size:
            continue
        if stop == at:
            kinds[place] = SEGMENT
        elif stop - at >= 4 and be32(arena, at) == _SSH:
            kinds[place] = BANNER
            sizes[place] = _line(arena, at, stop)
            keys[place] = keyed(arena, at, i64(sizes[place]), key)
        elif stop - at < 6:
            kinds[place] = SHORT
        elif arena[at + 5] == _KEXINIT:
            end, count = _lists_end(arena, at + _LISTS_AT, stop)
            kinds[place] = LIE if count < _MOST_LISTS and stop - at >= i64(row.whole) else LISTS
            if count:
                sizes[place] = end - at - _LISTS_AT
                keys[place] = keyed(arena, at + _LISTS_AT, i64(sizes[place]), key)
        else:
            kinds[place] = CLIENT_SAYS if arena[at + 5] == _KEXDH_INIT or arena[at + 5] == _GEX_REQUEST else OTHER


@kernel
def _segment(flow: Any, client: Any, size: Any) -> None:
    """One encrypted segment."""
    if client:
        flow.asked = 1
        return
    flow.heard += 1
    if flow.result == CAME_IN or not flow.asked:
        return
    if flow.accept == 0:
        flow.accept = size
    elif size == flow.accept - _SHORTER and size != flow.failure:
        flow.result = CAME_IN
        flow.attempts += 1
    elif flow.failure == 0:
        if not flow.bannered and size - flow.accept > _BANNER_LONGER:
            flow.bannered = 1
        else:
            flow.failure = size
    elif size == flow.failure:
        flow.result = FAILED
        flow.attempts += 1


@exported((_ROWS, _KINDS, _SIZES, _PLACES, _FLOWS, _FLOWS, _KINDS))
def follow(rows: Any, kinds: Any, numbers: Any, places: Any, flows: Any, told: Any, seen: Any) -> Any:
    """Take messages into their flows: (flows whose outcome is known now, as they are then, in `told`; messages that lie).

    numbers: of a banner's or a list's text; places: each message's flow; seen: 1 where a message showed that it is SSH.
    """
    count = i64(0)
    lies = i64(0)
    for place in range(rows.size):
        row = rows[place]
        flow = flows[places[place]]
        kind = kinds[place]
        side = i64(row.side) & 1
        seen[place] = 0
        if kind == NOTHING:
            continue
        if not flow.begun:
            flow.begun = 1
            flow.ts = row.ts // 1000
        if kind == SEGMENT:
            if row.whole > 0:
                _segment(flow, side == flow.client, i64(row.whole))
            if flow.known and not flow.told and (flow.result == CAME_IN or flow.heard >= _ENOUGH):
                flow.told = 1
                told[count] = flow
                count += 1
        elif kind == CLIENT_SAYS:
            flow.client = side
        elif kind == SHORT or (kind == LIE and flow.lists[side] < 0):
            lies += 1
        elif (kind == BANNER and flow.banner[side] < 0) or (kind == LISTS and flow.lists[side] < 0):
            if kind == BANNER:
                flow.banner[side] = numbers[place]
            else:
                flow.lists[side] = numbers[place]
            seen[place] = 1 - flow.known
            flow.known = 1
    return count, lies
