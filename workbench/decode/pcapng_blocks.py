"""Walking the blocks of pcapng that hold packets; everything else is left to `framing_pcapng`, or stepped over."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import from_dtype, types
from numpy.typing import NDArray

from workbench.decode.bits import Numbers, be16, be32, exported, fetch_ahead, i64, inlined, kernel, le32, u64
from workbench.decode.framing import LONGEST_BELIEVED, LONGEST_PACKET
from workbench.records.packet import FRAME

# block types
SECTION: Final = 0x0A0D0D0A
INTERFACE: Final = 1
PACKET: Final = 2  # obsolete
SIMPLE: Final = 3
NAMES: Final = 4
STATISTICS: Final = 5
ENHANCED: Final = 6
SECRETS: Final = 10

#: A block of metadata longer than this is not read, only stepped over.
LONGEST_READ: Final = 1 << 20

# slots of the kernel's state
AT: Final = 0
WHY: Final = 1
NEEDS: Final = 2
TS: Final = 3  # time of the last packet: what a simple packet block, which has none, is given
NOTES: Final = 4  # comments found; the first of each call are listed in `notes`
SKIPPED: Final = 5  # packet blocks that contradict themselves
SLOTS: Final = 6
MORE: Final = 0
RARE: Final = 1
DAMAGED: Final = 2
NOTE_ROWS: Final = 4

# columns of the interface table
LINK: Final = 0
SNAPLEN: Final = 1
MULTIPLY: Final = 2  # ticks to nanoseconds; 0 where DIVIDE or SHIFT holds
DIVIDE: Final = 3
SHIFT: Final = 4  # ticks are 2**-SHIFT seconds; -1: decimal
OFFSET: Final = 5  # nanoseconds to add
LOST: Final = 6  # packets lost, summed from packet blocks; -1 where they say nothing
MOST: Final = 7  # the most ticks that MULTIPLY can take: a division less per packet
COLUMNS: Final = 8

#: Times are kept within 1970 and 2116, so that differences of them cannot overflow.
LATEST: Final = 1 << 62

BUFFER: Final = types.Array(types.uint8, 1, "C", readonly=True)
FRAMES: Final = types.Array(from_dtype(FRAME), 1, "C")


@kernel
def _word(buf: NDArray[np.uint8], o: int, big: int) -> int:
    return be32(buf, o) if big else le32(buf, o)


@kernel
def _half(buf: NDArray[np.uint8], o: int, big: int) -> int:
    value = be16(buf, o)
    return value if big else ((value & 0xFF) << 8) | (value >> 8)


@inlined
def _nanoseconds(high: int, low: int, table: Numbers, number: int) -> int:
    """Ticks since 1970 in the interface's unit to nanoseconds, kept within 0 and LATEST."""
    ticks = (u64(high) << u64(32)) | u64(low)
    latest = u64(LATEST)
    billion = u64(1_000_000_000)
    shift = table[number, SHIFT]
    if table[number, MULTIPLY]:
        ns = latest if ticks > u64(table[number, MOST]) else ticks * u64(table[number, MULTIPLY])
    elif table[number, DIVIDE]:
        ns = ticks // u64(table[number, DIVIDE])
    elif shift < 0 or shift > 93:  # finer than any count of 64 bits can tell
        ns = u64(0)
    else:
        seconds = ticks >> u64(shift) if shift < 64 else u64(0)
        rest = ticks & ((u64(1) << u64(shift)) - u64(1)) if shift < 64 else ticks
        if shift > 30:  # drop what is finer than a nanosecond, so that the product fits
            rest = rest >> u64(shift - 30)
            shift = i64(30)
        ns = (rest * billion) >> u64(shift)
        ns = latest if seconds > latest // billion - u64(1) else ns + seconds * billion
    return max(i64(0), min(i64(min(ns, latest)) + i64(table[number, OFFSET]), i64(LATEST)))


@kernel
def _options(
    buf: NDArray[np.uint8],
    at: int,
    stop: int,
    big: int,
    table: Numbers,
    number: int,
    state: Numbers,
    notes: Numbers,
) -> None:
    """Comments and the lost-packets count among a packet block's options."""
    while at + 4 <= stop:
        code, length = _half(buf, at, big), _half(buf, at + 2, big)
        if code == 0 or at + 4 + length > stop:
            return
        if code == 1:
            if state[NOTES] < NOTE_ROWS:
                notes[state[NOTES], 0] = at + 4
                notes[state[NOTES], 1] = length
            state[NOTES] += 1
        elif code == 4 and length == 8:
            high = _word(buf, at + 4 if big else at + 8, big)
            low = _word(buf, at + 8 if big else at + 4, big)
            if high == 0:
                table[number, LOST] = max(i64(0), table[number, LOST]) + low
        at += 4 + ((length + 3) & ~3)


@inlined
def _packet(
    buf: NDArray[np.uint8],
    at: int,
    length: int,
    kind: int,
    f: Any,
    table: Numbers,
    interfaces: int,
    base: int,
    big: int,
    state: Numbers,
    notes: Numbers,
) -> bool:
    """One whole packet block into one row; False where it contradicts itself."""
    interface = i64(0)
    if kind == SIMPLE:
        wire = _word(buf, at + 8, big)
        data = at + 12
        cap = min(wire, length - 16)
        if interfaces and table[0, SNAPLEN]:
            cap = min(cap, table[0, SNAPLEN])
    else:
        if length < 32:
            return False
        interface = _word(buf, at + 8, big)
        if kind == PACKET:
            interface = _half(buf, at + 8, big)
        cap, wire = _word(buf, at + 20, big), _word(buf, at + 24, big)
        data = at + 28
        if cap > length - 32:
            return False
    if interface >= interfaces:
        return False
    if kind != SIMPLE:
        state[TS] = _nanoseconds(_word(buf, at + 12, big), _word(buf, at + 16, big), table, interface)
        if kind == PACKET:
            lost = _half(buf, at + 10, big)
            if lost != 0xFFFF:
                table[interface, LOST] = max(i64(0), table[interface, LOST]) + lost
        behind = data + ((cap + 3) & ~3)
        if at + length - behind >= 8:
            _options(buf, behind, at + length - 4, big, table, interface, state, notes)
    f.ts = state[TS]
    f.rec = at
    f.off = data
    f.cap = cap
    f.wire = wire
    f.link = table[interface, LINK]
    f.iface = base + interface
    return True


@kernel
def _step_over(kind: int, passed: Numbers) -> bool:
    """Count a block that holds nothing for us, if there is room for its type: a file may be full of them."""
    if kind in (SECTION, INTERFACE, STATISTICS):
        return False
    for i in range(len(passed)):
        if passed[i, 1] == 0 or passed[i, 0] == kind:
            passed[i, 0] = kind
            passed[i, 1] += 1
            return True
    return False


@exported(
    types.int64(
        BUFFER,
        types.int64,
        types.int64,
        FRAMES,
        types.int64,
        types.int64[:, ::1],
        types.int64,
        types.int64,
        types.int64,
        types.int64[::1],
        types.int64[:, ::1],
        types.int64[:, ::1],
    )
)
def walk(
    buf: NDArray[np.uint8],
    start: int,
    end: int,
    frames: NDArray[Any],
    first: int,
    table: Numbers,
    interfaces: int,
    base: int,
    big: int,
    state: Numbers,
    notes: Numbers,
    passed: Numbers,
) -> int:
    """Walk packet blocks from `start` into frames[first:]; rows written. state says where and why it stopped."""
    end = min(end, i64(len(buf)))
    interfaces = min(interfaces, i64(len(table)))
    n = i64(0)
    at = i64(start)
    fetched = at
    state[WHY] = MORE
    state[NEEDS] = 12
    while first + n < len(frames) and end - at >= 12:
        kind, length = _word(buf, at, big), _word(buf, at + 4, big)
        if kind != ENHANCED and kind != SIMPLE and kind != PACKET:
            whole = 12 <= length <= min(end - at, LONGEST_READ) and not length & 3
            if not whole or _word(buf, at + length - 4, big) != length or not _step_over(kind, passed):
                state[WHY] = RARE
                break
            at += length
            continue
        if length < 16 or length & 3 or length > LONGEST_BELIEVED:
            state[WHY] = DAMAGED
            break
        if end - at < length:
            state[NEEDS] = length
            break
        fetched = fetch_ahead(buf, max(fetched, at), at + length)
        if _word(buf, at + length - 4, big) != length:
            state[WHY] = DAMAGED
            break
        if _packet(buf, at, length, kind, frames[first + n], table, interfaces, base, big, state, notes):
            n += 1
        else:
            state[SKIPPED] += 1
        at += length
    state[AT] = at
    return n


@exported(types.int64(BUFFER, types.int64, types.int64, types.boolean, types.int64, types.int64[::1]))
def find_block(buf: NDArray[np.uint8], start: int, end: int, eof: bool, big: int, state: Numbers) -> int:
    """The next place where a known block's two lengths agree; state: MORE where there is none yet."""
    end = min(end, i64(len(buf)))
    state[WHY] = MORE
    state[NEEDS] = 12
    at = i64(start)
    while end - at >= 12:
        kind, length = _word(buf, at, big), _word(buf, at + 4, big)
        if kind <= ENHANCED and kind > 0 and length >= 16 and not length & 3 and length <= LONGEST_PACKET + 4096:
            if end - at < length:
                if not eof:
                    state[NEEDS] = length
                    return at
            elif _word(buf, at + length - 4, big) == length:
                state[WHY] = RARE
                return at
        elif kind == SECTION and length >= 28:
            state[WHY] = RARE
            return at
        at += 1
    return at
