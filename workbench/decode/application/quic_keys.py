"""Kernels for what protects QUIC's Initial packets: SHA-256, HMAC and HKDF of one block, AES of one block.

FIPS 180-4, RFC 2104, RFC 5869, FIPS 197; RFC 9001, 5.2 and 5.4 say what is made of what. The keys come from numbers that stand
in the packet, so nothing here is secret and none of it needs to take the same time for all keys. Payloads are opened by
`cryptography`; what is here is asked for once a connection, where calling out costs more than the arithmetic.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.decode.bits import be32, i64, kernel

_ONES: Final = 0xFFFFFFFF


def _primes(count: int) -> list[int]:
    found: list[int] = []
    number = 2
    while len(found) < count:
        if all(number % prime for prime in found):
            found.append(number)
        number += 1
    return found


def _root(number: int, power: int) -> int:
    """The largest whole number whose power is at most this one."""
    low, high = 0, 1 << 100
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**power <= number else (low, middle - 1)
    return low


#: The first 32 bits of the fractions of square and cube roots of primes (FIPS 180-4, 4.2.2, 5.3.3).
_START: Final = np.array([_root(prime << 64, 2) & _ONES for prime in _primes(8)], np.uint32)
_ROUNDS: Final = np.array([_root(prime << 96, 3) & _ONES for prime in _primes(64)], np.uint32)


def _substitution() -> NDArray[np.uint8]:
    """AES's S-box: the inverse in GF(2^8), then an affine map (FIPS 197, 5.1.1)."""
    powers = [1]
    for _ in range(254):
        doubled = powers[-1] << 1 ^ (0x11B if powers[-1] & 0x80 else 0)
        powers.append(doubled ^ powers[-1])
    box = np.full(256, 0x63, np.uint8)
    for place, value in enumerate(powers):
        inverse = powers[-place % 255]
        box[value] = 0x63 ^ inverse ^ _turned(inverse, 1) ^ _turned(inverse, 2) ^ _turned(inverse, 3) ^ _turned(inverse, 4)
    return box


def _turned(value: int, bits: int) -> int:
    return (value << bits | value >> (8 - bits)) & 0xFF


_BOX: Final = _substitution()

#: Numbers of `work`, which the kernels share within one call: 64 of a message schedule, 8 of a state.
WORK: Final = 72
#: Bytes of `block`: a message of at most 55 bytes as it is hashed; the key of HMAC (64, zeros behind it); the digest.
KEY: Final = 64
DIGEST: Final = 128
BLOCK: Final = 160
#: Bytes of `cells`: the block that AES encrypts, its key, and room.
CELLS: Final = 48


@kernel
def _right(value: Any, bits: Any) -> Any:
    return (value >> np.uint32(bits)) | (value << np.uint32(32 - bits))


@kernel
def _compress(block: Any, at: Any, work: Any) -> None:
    """Take the 64 bytes at block[at:] into the state at work[64:]."""
    for t in range(16):
        work[t] = np.uint32(be32(block, at + 4 * t))
    for t in range(16, 64):
        x, y = work[t - 15], work[t - 2]
        small = _right(x, 7) ^ _right(x, 18) ^ (x >> np.uint32(3))
        large = _right(y, 17) ^ _right(y, 19) ^ (y >> np.uint32(10))
        work[t] = np.uint32(work[t - 16] + small + work[t - 7] + large)
    a, b, c, d = work[64], work[65], work[66], work[67]
    e, f, g, h = work[68], work[69], work[70], work[71]
    for t in range(64):
        large = _right(e, 6) ^ _right(e, 11) ^ _right(e, 25)
        first = np.uint32(h + large + ((e & f) ^ (~e & g)) + _ROUNDS[t] + work[t])
        small = _right(a, 2) ^ _right(a, 13) ^ _right(a, 22)
        second = np.uint32(small + ((a & b) ^ (a & c) ^ (b & c)))
        h, g, f, e = g, f, e, np.uint32(d + first)
        d, c, b, a = c, b, a, np.uint32(first + second)
    work[64] += a
    work[65] += b
    work[66] += c
    work[67] += d
    work[68] += e
    work[69] += f
    work[70] += g
    work[71] += h


@kernel
def _half(block: Any, pad: Any, size: Any, work: Any) -> None:
    """SHA-256 of the key under `pad` and the message."""
    for i in range(8):
        work[64 + i] = _START[i]
    for i in range(KEY, KEY + 64):
        block[i] ^= pad
    _compress(block, i64(KEY), work)
    for i in range(KEY, KEY + 64):
        block[i] ^= pad
    for i in range(size, 64):
        block[i] = 0
    block[size] = 0x80
    bits = 8 * (64 + size)
    block[62] = bits >> 8
    block[63] = bits & 0xFF
    _compress(block, i64(0), work)
    for i in range(32):
        block[DIGEST + i] = (work[64 + (i >> 2)] >> np.uint32(24 - 8 * (i & 3))) & np.uint32(0xFF)


@kernel
def mac(block: Any, size: Any, work: Any) -> None:
    """HMAC-SHA256 of block[:size] under block[KEY:KEY + 64], to block[DIGEST:]."""
    _half(block, 0x36, size, work)
    for i in range(32):
        block[i] = block[DIGEST + i]
    _half(block, 0x5C, i64(32), work)


@kernel
def _doubled(value: Any) -> Any:
    return ((value << 1) ^ (0x1B if value & 0x80 else 0)) & 0xFF


@kernel
def _mix(cells: Any, at: Any) -> None:
    """One column (FIPS 197, 5.1.3)."""
    a, b, c, d = i64(cells[at]), i64(cells[at + 1]), i64(cells[at + 2]), i64(cells[at + 3])
    every = a ^ b ^ c ^ d
    cells[at] = a ^ every ^ _doubled(a ^ b)
    cells[at + 1] = b ^ every ^ _doubled(b ^ c)
    cells[at + 2] = c ^ every ^ _doubled(c ^ d)
    cells[at + 3] = d ^ every ^ _doubled(d ^ a)


@kernel
def encrypt(cells: Any) -> None:
    """AES-128 of cells[:16] in place under cells[16:32], which is used up (FIPS 197, 5.1, 5.2)."""
    constant = i64(1)
    for i in range(16):
        cells[i] ^= cells[16 + i]
    for turn in range(10):
        for i in range(16):
            cells[32 + i] = _BOX[cells[(i + 4 * (i & 3)) & 15]]
        if turn < 9:
            for column in range(32, 48, 4):
                _mix(cells, column)
        for i in range(4):
            cells[16 + i] ^= _BOX[cells[28 + ((i + 1) & 3)]]
        cells[16] ^= constant
        for i in range(20, 32):
            cells[i] ^= cells[i - 4]
        constant = _doubled(constant)
        for i in range(16):
            cells[i] = cells[32 + i] ^ cells[16 + i]
