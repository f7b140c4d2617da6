"""Text of addresses, written by kernels into the buffers that Arrow columns are made of."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import int32, int64, types, uint8, uint64
from numpy.typing import NDArray

from workbench.decode.bits import exported, kernel

IP_ROOM: Final = 39  # bytes of the longest address
MAC_ROOM: Final = 17
MAPPED: Final = np.uint64(0xFFFF)  # upper half of the lower half of an IPv4-mapped address
_DOT: Final = 46
_COLON: Final = 58
_ZERO: Final = 48
_HEX_SHIFT: Final = 87  # 'a' - 10


@kernel
def _decimal(data: Any, at: int, value: Any) -> int:
    if value >= 100:
        data[at] = _ZERO + value // 100
        data[at + 1] = _ZERO + value // 10 % 10
        data[at + 2] = _ZERO + value % 10
        return at + 3
    if value >= 10:
        data[at] = _ZERO + value // 10
        data[at + 1] = _ZERO + value % 10
        return at + 2
    data[at] = _ZERO + value
    return at + 1


@kernel
def _hex_digit(value: int) -> int:
    return value + (_ZERO if value < 10 else _HEX_SHIFT)


@kernel
def _group(data: Any, at: int, value: int) -> int:
    started = False
    for shift in (12, 8, 4, 0):
        digit = (value >> shift) & 15
        if digit or started or shift == 0:
            data[at] = _hex_digit(digit)
            at += 1
            started = True
    return at


@kernel
def _word(high: Any, low: Any, i: Any) -> Any:
    half = high if i < 4 else low
    return np.int64((half >> np.uint64(48 - 16 * (i & 3))) & np.uint64(0xFFFF))


@kernel
def _ip6(data: Any, at: int, high: Any, low: Any) -> int:
    """RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups as ``::``."""
    best, best_length, run = -1, 1, 0
    for i in range(8):
        run = run + 1 if _word(high, low, i) == 0 else 0
        if run > best_length:
            best, best_length = i - run + 1, run
    i = 0
    while i < 8:
        if i == best:
            data[at] = _COLON
            data[at + 1] = _COLON
            at += 2
            i += best_length
            continue
        if (i and i != best + best_length) or (i and best < 0):
            data[at] = _COLON
            at += 1
        at = _group(data, at, _word(high, low, i))
        i += 1
    return at


@kernel
def is_ip4(high: Any, low: Any) -> Any:
    """Whether an address is IPv4 mapped (::ffff:0:0/96)."""
    return high == np.uint64(0) and (low >> np.uint64(32)) == MAPPED


@kernel
def write_ip(data: Any, at: int, high: Any, low: Any) -> int:
    """Write an address at data[at:at + IP_ROOM]; returns the end."""
    if not is_ip4(high, low):
        return _ip6(data, at, high, low)
    number = np.int64(low & np.uint64(0xFFFFFFFF))
    for shift in (24, 16, 8, 0):
        at = _decimal(data, at, (number >> shift) & 255)
        if shift:
            data[at] = _DOT
            at += 1
    return at


@kernel
def write_mac(data: Any, at: int, mac: int) -> int:
    """Write aa:bb:cc:dd:ee:ff; returns the end."""
    for shift in (40, 32, 24, 16, 8, 0):
        byte = (mac >> shift) & 255
        data[at] = _hex_digit(byte >> 4)
        data[at + 1] = _hex_digit(byte & 15)
        at += 2
        if shift:
            data[at] = _COLON
            at += 1
    return at


@exported(int64(uint64[::1], uint64[::1], uint8[::1], int32[::1], uint8[::1]))
def ip_texts(
    high: NDArray[np.uint64],
    low: NDArray[np.uint64],
    present: NDArray[np.uint8],
    offsets: NDArray[np.int32],
    data: NDArray[np.uint8],
) -> int:
    """Texts of addresses; `data` has IP_ROOM bytes a row, `offsets` one more than rows. Absent rows are empty."""
    at = 0
    offsets[0] = 0
    for i in range(len(high)):
        if present[i]:
            at = write_ip(data, at, high[i], low[i])
        offsets[i + 1] = at
    return at


@exported(int64(int64[::1], uint8[::1], int32[::1], uint8[::1]))
def mac_texts(macs: NDArray[np.int64], present: NDArray[np.uint8], offsets: NDArray[np.int32], data: NDArray[np.uint8]) -> int:
    """Texts of MAC addresses; -1 is absent and noted so in `present`. `data` has MAC_ROOM bytes a row."""
    at = 0
    offsets[0] = 0
    for i in range(len(macs)):
        present[i] = macs[i] >= 0
        if macs[i] >= 0:
            at = write_mac(data, at, macs[i])
        offsets[i + 1] = at
    return at


@exported(types.void(uint64[::1], uint64[::1], uint8[::1]))
def ip_blobs(high: NDArray[np.uint64], low: NDArray[np.uint64], data: NDArray[np.uint8]) -> None:
    """Addresses as 16 bytes each, network order."""
    at = 0
    for i in range(len(high)):
        for shift in (56, 48, 40, 32, 24, 16, 8, 0):
            data[at] = (high[i] >> np.uint64(shift)) & np.uint64(255)
            data[at + 8] = (low[i] >> np.uint64(shift)) & np.uint64(255)
            at += 1
        at += 8
