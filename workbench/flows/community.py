"""Community ID v1 (github.com/corelight/community-id-spec): a flow hash that tools agree on.

``1:`` and the base64 of SHA-1 over seed (16 bits, 0), the two addresses, protocol, a zero byte and
the two ports, all in network order, the lower end first. Protocols without ports leave them out; one-way ICMP
types are not turned around. The message is one SHA-1 block; LANES flows go through the rounds together, so that
the compiler uses vector registers: less than half the time of one after the other.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import int32, types, uint8, uint32, uint64
from numpy.typing import NDArray

from workbench.decode.bits import exported, kernel
from workbench.flows.memory import inlined
from workbench.flows.text import is_ip4

LANES: Final = 16
ID_LENGTH: Final = 30
_ALPHABET: Final = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", np.uint8).copy()


@kernel
def _put(message: Any, lane: int, at: int, byte: int) -> int:
    shift = np.uint32(24 - 8 * (at & 3))
    message[at >> 2, lane] |= np.uint32(byte) << shift
    return at + 1


@kernel
def _put_address(message: Any, lane: int, at: int, high: Any, low: Any, four: bool) -> int:
    if not four:
        for shift in (56, 48, 40, 32, 24, 16, 8, 0):
            at = _put(message, lane, at, (high >> np.uint64(shift)) & np.uint64(255))
        for shift in (56, 48, 40, 32):
            at = _put(message, lane, at, (low >> np.uint64(shift)) & np.uint64(255))
    for shift in (24, 16, 8, 0):
        at = _put(message, lane, at, (low >> np.uint64(shift)) & np.uint64(255))
    return at


@kernel
def _lay_out(
    message: Any,
    lane: Any,
    src_hi: Any,
    src_lo: Any,
    dst_hi: Any,
    dst_lo: Any,
    src_port: Any,
    dst_port: Any,
    proto: Any,
    kind: Any,
) -> None:
    """Fill the lane's block; kind: bit 0 has ports, bit 1 one-way."""
    four = is_ip4(src_hi, src_lo) and is_ip4(dst_hi, dst_lo)
    same = src_hi == dst_hi and src_lo == dst_lo
    later = src_hi > dst_hi or (src_hi == dst_hi and src_lo > dst_lo) or (same and (kind & 1) != 0 and src_port > dst_port)
    if later and not (kind & 2):
        src_hi, dst_hi = dst_hi, src_hi
        src_lo, dst_lo = dst_lo, src_lo
        src_port, dst_port = dst_port, src_port
    for i in range(16):
        message[i, lane] = 0
    at = _put_address(message, lane, 2, src_hi, src_lo, four)
    at = _put_address(message, lane, at, dst_hi, dst_lo, four)
    at = _put(message, lane, at, proto)
    at += 1
    if kind & 1:
        at = _put(message, lane, at, src_port >> 8)
        at = _put(message, lane, at, src_port & 255)
        at = _put(message, lane, at, dst_port >> 8)
        at = _put(message, lane, at, dst_port & 255)
    _put(message, lane, at, 0x80)
    message[15, lane] = at * 8


@inlined
def _rounds(w: Any, h: Any, first: Any, last: Any, kind: Any, constant: Any) -> Any:
    """Rounds first to last of all lanes; kind: 0 choose, 1 parity, 2 majority (FIPS 180-4, 4.1.1)."""
    for t in range(first, last):
        for lane in range(LANES):
            a = h[0, lane]
            b = h[1, lane]
            c = h[2, lane]
            d = h[3, lane]
            if kind == 0:
                f = (b & c) | (~b & d)
            elif kind == 1:
                f = b ^ c ^ d
            else:
                f = (b & c) | (b & d) | (c & d)
            h[0, lane] = np.uint32(((a << np.uint32(5)) | (a >> np.uint32(27))) + f + h[4, lane] + constant + w[t, lane])
            h[4, lane] = d
            h[3, lane] = c
            h[2, lane] = np.uint32((b << np.uint32(30)) | (b >> np.uint32(2)))
            h[1, lane] = a


@exported(types.void(uint32[:, ::1], uint32[:, ::1]))
def sha1_blocks(w: NDArray[np.uint32], h: NDArray[np.uint32]) -> None:
    """SHA-1 (FIPS 180-4) of one block a lane. w: 80 x LANES, the first 16 rows hold it; h: 5 x LANES, the digests."""
    for t in range(16, 80):
        for lane in range(LANES):
            x = w[t - 3, lane] ^ w[t - 8, lane] ^ w[t - 14, lane] ^ w[t - 16, lane]
            w[t, lane] = np.uint32((x << np.uint32(1)) | (x >> np.uint32(31)))
    for lane in range(LANES):
        h[0, lane] = 0x67452301
        h[1, lane] = 0xEFCDAB89
        h[2, lane] = 0x98BADCFE
        h[3, lane] = 0x10325476
        h[4, lane] = 0xC3D2E1F0
    _rounds(w, h, 0, 20, 0, np.uint32(0x5A827999))
    _rounds(w, h, 20, 40, 1, np.uint32(0x6ED9EBA1))
    _rounds(w, h, 40, 60, 2, np.uint32(0x8F1BBCDC))
    _rounds(w, h, 60, 80, 1, np.uint32(0xCA62C1D6))
    for lane in range(LANES):
        h[0, lane] += np.uint32(0x67452301)
        h[1, lane] += np.uint32(0xEFCDAB89)
        h[2, lane] += np.uint32(0x98BADCFE)
        h[3, lane] += np.uint32(0x10325476)
        h[4, lane] += np.uint32(0xC3D2E1F0)


@kernel
def _write_id(data: Any, at: int, h: Any, lane: int) -> None:
    data[at] = 49
    data[at + 1] = 58
    at += 2
    for group in range(7):
        value = np.int64(0)
        for i in range(3):
            byte = 3 * group + i
            value <<= 8
            if byte < 20:
                value |= (np.int64(h[byte >> 2, lane]) >> (24 - 8 * (byte & 3))) & 255
        for i in range(4):
            data[at + i] = _ALPHABET[(value >> (18 - 6 * i)) & 63]
        at += 4
    data[at - 1] = 61


@exported(types.void(uint64[:, ::1], int32[:, ::1], uint8[::1], uint8[::1]))
def community_ids(
    addresses: NDArray[np.uint64], numbers: NDArray[np.int32], kinds: NDArray[np.uint8], data: NDArray[np.uint8]
) -> None:
    """Community ids of all rows: ID_LENGTH bytes each into `data`.

    addresses: rows src_hi, src_lo, dst_hi, dst_lo; numbers: rows src_port, dst_port, proto; kinds: bit 0 has
    ports, bit 1 one-way.
    """
    total = len(kinds)
    w = np.zeros((80, LANES), np.uint32)
    h = np.zeros((5, LANES), np.uint32)
    for first in range(0, total, LANES):
        count = min(LANES, total - first)
        for lane in range(count):
            i = first + lane
            _lay_out(
                w,
                lane,
                addresses[0, i],
                addresses[1, i],
                addresses[2, i],
                addresses[3, i],
                np.int64(numbers[0, i]),
                np.int64(numbers[1, i]),
                np.int64(numbers[2, i]),
                np.int64(kinds[i]),
            )
        sha1_blocks(w, h)
        for lane in range(count):
            _write_id(data, (first + lane) * ID_LENGTH, h, lane)
