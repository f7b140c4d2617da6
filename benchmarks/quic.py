"""QUIC version 1 Initial packets that decrypt: real hello messages under the keys that both ends derive from the first connection
id.

Sources: RFC 9001 (5.2 initial secrets, 5.3 AEAD, 5.4 header protection), RFC 9000 (17.2 long headers, 19.6 CRYPTO frames), RFC
5869 (HKDF), FIPS 197 (AES), NIST SP 800-38D (GCM). AES works on all blocks of a packet at once; no dependency is worth 100 lines
here.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SALT = bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a")
VERSION = b"\0\0\0\x01"
Block = NDArray[np.uint8]


def _double(value: int) -> int:
    return (value << 1) ^ (0x11B if value & 0x80 else 0)


def _boxes() -> tuple[Block, Block, Block]:
    """The AES S-box, and multiplication by two and three in its field."""
    log, power, value = [0] * 256, [0] * 256, 1
    for n in range(255):
        power[n], log[value] = value, n
        value ^= _double(value)  # times three, a generator
        value &= 0xFF
    box = [0x63]
    for byte in range(1, 256):
        inverse = power[(255 - log[byte]) % 255]
        spread = inverse
        for turn in range(1, 5):
            spread ^= (inverse << turn | inverse >> 8 - turn) & 0xFF
        box.append(spread ^ 0x63)
    two = [_double(n) & 0xFF for n in range(256)]
    return np.array(box, np.uint8), np.array(two, np.uint8), np.array([t ^ n for n, t in enumerate(two)], np.uint8)


SBOX, TWO, THREE = _boxes()
ROWS = np.array([0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11])
"""ShiftRows on a column-major state"""


def _round_keys(key: bytes) -> list[Block]:
    words = [list(key[n : n + 4]) for n in range(0, 16, 4)]
    constant = 1
    for n in range(4, 44):
        word = list(words[-1])
        if n % 4 == 0:
            word = [int(SBOX[b]) for b in word[1:] + word[:1]]
            word[0] ^= constant
            constant = _double(constant) & 0xFF
        words.append([a ^ b for a, b in zip(words[n - 4], word, strict=True)])
    return list(np.array(words, np.uint8).reshape(11, 16))


def aes128(key: bytes, blocks: Block) -> Block:
    """Encrypt blocks, an array of n x 16 bytes."""
    keys = _round_keys(key)
    state = blocks ^ keys[0]
    for turn in range(1, 11):
        state = SBOX[state][:, ROWS]
        if turn < 10:
            columns = state.reshape(-1, 4, 4)
            a, b, c, d = (columns[:, :, n] for n in range(4))
            mixed = (TWO[a] ^ THREE[b] ^ c ^ d, a ^ TWO[b] ^ THREE[c] ^ d, a ^ b ^ TWO[c] ^ THREE[d], THREE[a] ^ b ^ c ^ TWO[d])
            state = np.stack(mixed, axis=2).reshape(-1, 16)
        state = state ^ keys[turn]
    return state


def _ghash(subkey: int, data: bytes) -> int:
    value = 0
    for at in range(0, len(data), 16):
        factor = value ^ int.from_bytes(data[at : at + 16], "big")
        value, power = 0, subkey
        for bit in range(127, -1, -1):
            if factor >> bit & 1:
                value ^= power
            power = (power >> 1) ^ (0xE1 << 120 if power & 1 else 0)
    return value


def seal(key: bytes, nonce: bytes, plain: bytes, header: bytes) -> bytes:
    """AES-128-GCM with a 96-bit nonce: ciphertext and tag."""
    count = -(-len(plain) // 16)
    counters = b"".join(nonce + n.to_bytes(4, "big") for n in range(1, count + 2))
    stream = aes128(key, np.frombuffer(bytes(16) + counters, np.uint8).reshape(-1, 16)).tobytes()
    subkey, mask, pad = int.from_bytes(stream[:16], "big"), int.from_bytes(stream[16:32], "big"), stream[32:]
    secret = (np.frombuffer(plain, np.uint8) ^ np.frombuffer(pad[: len(plain)], np.uint8)).tobytes()
    lengths = (len(header) * 8).to_bytes(8, "big") + (len(plain) * 8).to_bytes(8, "big")
    padded = header + bytes(-len(header) % 16) + secret + bytes(-len(secret) % 16) + lengths
    return secret + (_ghash(subkey, padded) ^ mask).to_bytes(16, "big")


def _expand(secret: bytes, label: str, length: int) -> bytes:
    """HKDF-Expand-Label (RFC 8446, 7.1) of at most 32 bytes."""
    name = b"tls13 " + label.encode()
    info = length.to_bytes(2, "big") + bytes((len(name),)) + name + b"\0"
    return hmac.new(secret, info + b"\x01", hashlib.sha256).digest()[:length]


@dataclass(frozen=True, slots=True)
class Keys:
    """What protects one side's Initial packets."""

    key: bytes
    iv: bytes
    header: bytes


def initial_keys(first_id: bytes, side: str) -> Keys:
    """Keys of ``client`` or ``server`` from the client's first destination connection id."""
    common = hmac.new(SALT, first_id, hashlib.sha256).digest()
    secret = _expand(common, f"{side} in", 32)
    return Keys(_expand(secret, "quic key", 16), _expand(secret, "quic iv", 12), _expand(secret, "quic hp", 16))


def number(value: int) -> bytes:
    """A variable-length integer (RFC 9000, 16)."""
    if value < 1 << 6:
        return bytes((value,))
    return (0x4000 | value).to_bytes(2, "big") if value < 1 << 14 else (0x80000000 | value).to_bytes(4, "big")


def crypto(data: bytes) -> bytes:
    """A CRYPTO frame at offset 0."""
    return b"\x06\0" + number(len(data)) + data


def initial(keys: Keys, to: bytes, own: bytes, packet: int, frames: bytes, size: int = 0) -> bytes:
    """A protected Initial packet without a token, padded to ``size`` bytes in all."""
    head = b"\xc1" + VERSION + bytes((len(to),)) + to + bytes((len(own),)) + own + b"\0"
    frames += bytes(max(size - len(head) - 2 - 2 - 16 - len(frames), 4 - len(frames), 0))
    head += (0x4000 | 2 + len(frames) + 16).to_bytes(2, "big") + packet.to_bytes(2, "big")
    nonce = (int.from_bytes(keys.iv, "big") ^ packet).to_bytes(12, "big")
    body = seal(keys.key, nonce, frames, head)
    mask = aes128(keys.header, np.frombuffer(body[2:18], np.uint8).reshape(1, 16))[0]
    covered = bytearray(head)
    covered[0] ^= int(mask[0]) & 0x0F
    covered[-2] ^= int(mask[1])
    covered[-1] ^= int(mask[2])
    return bytes(covered) + body
