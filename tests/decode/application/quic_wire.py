"""QUIC packets built and protected by the specification's own words (RFC 9000, 17; RFC 9001, 5), not by the code under test."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

V1, V2, DRAFT_29, DRAFT_27 = 1, 0x6B3343CF, 0xFF00001D, 0xFF00001B
SALTS = {
    V1: "38762cf7f55934b34d179ae6a4c80cadccbb7f0a",
    V2: "0dede3def700a6db819381be6e269dcbf9bd2ed9",
    DRAFT_29: "afbfec289993d24c9e9786f19c6111e04390a899",
    DRAFT_27: "c3eef712c72ebb5a11a7d2432bb46365bef9f502",
}


def expand(secret: bytes, label: bytes, size: int) -> bytes:
    info = size.to_bytes(2, "big") + bytes([6 + len(label)]) + b"tls13 " + label + b"\0"
    return HKDFExpand(hashes.SHA256(), size, info).derive(secret)


def client_keys(version: int, dcid: bytes) -> tuple[bytes, bytes, bytes]:
    """Key, IV and header protection key of a client's Initial packets."""
    made = HMAC(bytes.fromhex(SALTS[version]), hashes.SHA256())
    made.update(dcid)
    secret = expand(made.finalize(), b"client in", 32)
    label = b"quicv2 " if version == V2 else b"quic "
    return expand(secret, label + b"key", 16), expand(secret, label + b"iv", 12), expand(secret, label + b"hp", 16)


def varint(value: int) -> bytes:
    if value < 64:
        return bytes([value])
    if value < 16384:
        return (value | 0x4000).to_bytes(2, "big")
    return (value | 0x80000000).to_bytes(4, "big")


def crypto(offset: int, data: bytes) -> bytes:
    return b"\x06" + varint(offset) + varint(len(data)) + data


def initial(
    payload: bytes,
    *,
    version: int = V1,
    dcid: bytes = b"12345678",
    secret: bytes | None = None,
    number: int = 0,
    token: bytes = b"",
) -> bytes:
    """A protected Initial packet; secret: the connection id whose keys are used, where it is not this one."""
    key, iv, hp = client_keys(version, secret or dcid)
    payload = payload.ljust(40, b"\0")
    first = 0xC3 | (0x10 if version == V2 else 0)
    head = (
        bytes([first]) + version.to_bytes(4, "big") + bytes([len(dcid)]) + dcid + b"\x04" + b"from" + varint(len(token)) + token
    )
    head += varint(len(payload) + 4 + 16)
    packed = number.to_bytes(4, "big")
    nonce = (int.from_bytes(iv, "big") ^ number).to_bytes(12, "big")
    sealed = AESGCM(key).encrypt(nonce, payload, head + packed)
    mask = Cipher(algorithms.AES(hp), modes.ECB()).encryptor().update(sealed[:16])
    masked = bytes(a ^ b for a, b in zip(packed, mask[1:5], strict=True))
    return bytes([first ^ (mask[0] & 0x0F)]) + head[1:] + masked + sealed


def long_packet(kind: int, body: bytes, *, version: int = V1, dcid: bytes = b"from", scid: bytes = b"87654321") -> bytes:
    """An unprotected long header with a length: kind 1 0-RTT, 2 Handshake; 3 Retry has none."""
    head = bytes([0xC0 | kind << 4]) + version.to_bytes(4, "big") + bytes([len(dcid)]) + dcid + bytes([len(scid)]) + scid
    return head + (body if kind == 3 else varint(len(body)) + body)


def negotiation(*versions: int) -> bytes:
    return b"\x80\0\0\0\0\x04from\x0812345678" + b"".join(v.to_bytes(4, "big") for v in versions)
