"""Data sets to records: one kernel follows a template's plan over all records of a set.

Every length is compared with the end of the set before anything is read; a field that reaches beyond it ends the set.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import int64, types
from numpy.typing import NDArray

from workbench.decode.bits import Numbers, be16, be32, be64, exported, i64, kernel
from workbench.decode.telemetry import elements as e
from workbench.decode.telemetry.templates import KIND, LENGTH, OFFSET, SLOT, VARIABLE
from workbench.records import telemetry as r

#: Columns of `clock`: when the message was sent, and when its exporter started (ns; 0 unknown).
SENT, BOOT = range(2)
#: Columns of `result`: records written, where reading stopped, whether the set contradicts itself.
COUNT, AT, BROKEN = range(3)
BUFFER: Final = types.Array(types.uint8, 1, "C", readonly=True)

_MAPPED: Final = 0xFFFF << 32
_MILLI: Final = 1_000_000
_SECOND: Final = 1_000_000_000
_NTP_EPOCH: Final = 2_208_988_800  # 1900 to 1970
_LATEST: Final = 1 << 62
_WRAP: Final = 1 << 32
_DROPPED, _FORWARDED = 2, 1
_DENIED_EVENT: Final = 3
_REJOINED: Final = (1 << 31) * _MILLI  # half the way round of a 32 bit clock of ms


@kernel
def number(buf: NDArray[np.uint8], at: int, length: int) -> int:
    """An unsigned number of 1 to 8 bytes, as int64."""
    if length == 4:
        return i64(be32(buf, at))
    if length == 2:
        return i64(be16(buf, at))
    if length == 8:
        return i64(be64(buf, at))
    value = i64(0)
    for n in range(length):
        value = (value << 8) | i64(buf[at + n])
    return value


@kernel
def _since_boot(millis: int, clock: Numbers) -> int:
    """Time of a 32 bit count of ms since the exporter started, which wraps every 50 days."""
    boot, sent = clock[BOOT], clock[SENT]
    if boot == 0:
        return i64(sent)
    at = boot + (millis % _WRAP) * _MILLI
    while at > sent + _REJOINED:
        at -= _WRAP * _MILLI
    while at < sent - _REJOINED:
        at += _WRAP * _MILLI
    return i64(at)


@kernel
def _time(kind: int, value: int, clock: Numbers) -> int:
    """A moment in ns since 1970; 0 where it cannot be one."""
    if kind == e.UPTIME:
        return _since_boot(value, clock)
    if kind == e.SECONDS:
        at = value * _SECOND if 0 <= value < _LATEST // _SECOND else i64(0)
    elif kind == e.MILLIS:
        at = value * _MILLI if 0 <= value < _LATEST // _MILLI else i64(0)
    elif kind == e.BEFORE:
        at = clock[SENT] - value * 1000 if 0 <= value < _WRAP else clock[SENT]
    else:  # NTP's era 0
        seconds = (value >> 32) & 0xFFFFFFFF
        at = (seconds - _NTP_EPOCH) * _SECOND + (((value & 0xFFFFFFFF) * _SECOND) >> 32) if seconds > _NTP_EPOCH else i64(0)
    return i64(at)


@kernel
def _verdict(row: Any, kind: int, value: int) -> None:
    if kind == e.STATUS:  # the upper two bits of its (last) byte
        status = (value & 255) >> 6
        if status == _DROPPED:
            row[r.VERDICT] = r.DENIED
        elif status == _FORWARDED:
            row[r.VERDICT] = r.ALLOWED
    elif kind == e.EVENT:
        row[r.VERDICT] = r.DENIED if value == _DENIED_EVENT else r.ALLOWED
    else:
        row[r.DROPPED] = value
        if value > 0:
            row[r.VERDICT] = r.DENIED


@kernel
def _address(buf: NDArray[np.uint8], at: int, row: Any, kind: int, slot: int) -> None:
    """An address, unless it is all zeros: where a template has fields for both families one of them is empty."""
    if kind == e.IP4:
        low = be32(buf, at)
        if low:
            row[slot] = 0
            row[slot + 1] = _MAPPED | low
    else:
        high, low = i64(be64(buf, at)), i64(be64(buf, at + 8))
        if high or low:
            row[slot] = high
            row[slot + 1] = low


@kernel
def _put(buf: NDArray[np.uint8], at: int, length: int, kind: int, slot: int, row: Any, clock: Numbers) -> None:
    """One field into its slot. The plan vouches for the lengths of addresses and that numbers fit."""
    if kind == e.IP4 or kind == e.IP6:
        _address(buf, at, row, kind, slot)
        return
    value = number(buf, at, length)
    if kind == e.NUMBER:
        row[slot] = value
    elif e.UPTIME <= kind <= e.BEFORE:
        row[slot] = _time(kind, value, clock)
    elif kind == e.BITS:
        row[slot] = value & 0x1FF
    elif kind == e.SEGMENT:
        row[slot] = value & 0xFFFFFF
    elif kind == e.ICMP_BOTH:
        if value or row[slot] < 0:
            row[slot] = value & 0xFFFF
    elif kind == e.ICMP_TYPE:
        row[slot] = (max(row[slot], 0) & 0xFF) | (value & 0xFF) << 8
    elif kind == e.ICMP_CODE:
        row[slot] = (max(row[slot], 0) & 0xFF00) | (value & 0xFF)
    elif kind >= e.COUNTED:
        row[slot] = max(row[slot], 0) | ((1 << (kind - e.COUNTED)) if value else 0)
    else:
        _verdict(row, kind, value)


@kernel
def _walk(buf: NDArray[np.uint8], at: int, end: int, plan: Any, row: Any, clock: Numbers) -> int:
    """One record with fields of variable length; where it ends, or -1 where it reaches beyond the set."""
    for n in range(len(plan)):
        length, kind = plan[n, LENGTH], plan[n, KIND]
        if length == VARIABLE:
            if at + 1 > end:
                return -1
            length = i64(buf[at])
            at += 1
            if length == 255:
                if at + 2 > end:
                    return -1
                length = be16(buf, at)
                at += 2
        if length > end - at:
            return -1
        if kind != e.SKIP and (plan[n, LENGTH] != VARIABLE or 0 < length <= 8):
            _put(buf, at, length, kind, plan[n, SLOT], row, clock)
        at += length
    return i64(at)


@exported(types.void(BUFFER, int64, int64, int64[:, ::1], int64, int64, int64[::1], int64[::1], int64[:, ::1], int64, int64[::1]))
def decode_set(
    buf: NDArray[np.uint8],
    at: int,
    end: int,
    plan: NDArray[np.int64],
    size: int,
    variable: int,
    first: NDArray[np.int64],
    clock: NDArray[np.int64],
    rows: NDArray[np.int64],
    used: int,
    result: NDArray[np.int64],
) -> None:
    """Records of buf[at:end] into rows[used:], as many as there is room for; fewer bytes than a record are padding.

    size: bytes of a record, the least where variable is 1. first: what every row begins as. result: see COUNT, AT, BROKEN.
    """
    result[BROKEN] = 0
    count = i64(0)
    end = min(end, len(buf))
    while end - at >= size and used + count < len(rows) and at >= 0:
        row = rows[used + count]
        for n in range(len(first)):
            row[n] = first[n]
        if variable:
            after = _walk(buf, at, end, plan, row, clock)
            if after < 0:
                result[BROKEN] = 1
                break
            at = after
        else:
            for n in range(len(plan)):
                _put(buf, at + plan[n, OFFSET], plan[n, LENGTH], plan[n, KIND], plan[n, SLOT], row, clock)
            at += size
        count += 1
    result[COUNT] = count
    result[AT] = at


@exported(types.void(BUFFER, int64, int64, int64[:, ::1], int64, int64[::1]))
def count_set(buf: NDArray[np.uint8], at: int, end: int, plan: NDArray[np.int64], size: int, result: NDArray[np.int64]) -> None:
    """How many records of variable length buf[at:end] holds, none of which is kept: an exporter numbers them all the same."""
    clock = np.zeros(2, np.int64)
    row = np.zeros(r.SLOTS, np.int64)
    count = i64(0)
    end = min(end, len(buf))
    result[BROKEN] = 0
    while end - at >= size and at >= 0:
        after = _walk(buf, at, end, plan, row, clock)
        if after < 0:
            result[BROKEN] = 1
            break
        at = after
        count += 1
    result[COUNT] = count
    result[AT] = at
