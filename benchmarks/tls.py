"""TLS 1.2 and 1.3 conversations: hello messages of several client families, X.509 certificates with made-up names, and opaque
encrypted records.

Message layouts: RFC 5246, RFC 8446, RFC 6066 (SNI), RFC 7301 (ALPN), RFC 8701 (GREASE), RFC 5280 (certificates). Keys and
signatures are random bytes: nothing here was ever encrypted, and nothing in it is anyone's content.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.frames import TcpTalk


def u16(value: int) -> bytes:
    """Two bytes, network order."""
    return value.to_bytes(2, "big")


def vec(data: bytes, width: int) -> bytes:
    """A TLS vector: its length in ``width`` bytes, then the data."""
    return len(data).to_bytes(width, "big") + data


@dataclass(frozen=True, slots=True)
class Family:
    """What a client implementation offers: the things that JA3 and JA4 are made of."""

    ciphers: tuple[int, ...]
    groups: tuple[int, ...]
    signatures: tuple[int, ...]
    order: tuple[int, ...]
    """extension numbers in order of sending"""
    grease: bool = False
    max_version: int = 0x0304


FAMILIES = (
    Family(
        (0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC013, 0xC014, 0x9C, 0x9D, 0x2F, 0x35),
        (0x001D, 0x0017, 0x0018),
        (0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601),
        (0, 23, 65281, 10, 11, 35, 16, 5, 13, 18, 51, 45, 43, 27),
        grease=True,
    ),
    Family(
        (
            0x1301,
            0x1303,
            0x1302,
            0xC02B,
            0xC02F,
            0xCCA9,
            0xCCA8,
            0xC02C,
            0xC030,
            0xC00A,
            0xC009,
            0xC013,
            0xC014,
            0x9C,
            0x9D,
            0x2F,
            0x35,
        ),
        (0x001D, 0x0017, 0x0018, 0x0019),
        (0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601),
        (0, 23, 65281, 10, 11, 35, 16, 5, 51, 43, 13, 45, 28),
    ),
    Family(
        (
            0x1302,
            0x1303,
            0x1301,
            0xC02C,
            0xC030,
            0x9F,
            0xCCA9,
            0xCCA8,
            0xCCAA,
            0xC02B,
            0xC02F,
            0x9E,
            0xC024,
            0xC028,
            0x6B,
            0x9D,
            0x9C,
            0x3D,
            0xFF,
        ),
        (0x001D, 0x0017, 0x001E, 0x0019, 0x0018),
        (0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0809, 0x0804, 0x0805, 0x0401, 0x0501, 0x0601),
        (0, 11, 10, 35, 22, 23, 13, 43, 45, 51, 16),
    ),
    Family(
        (0xC02F, 0xC030, 0xC02B, 0xC02C, 0xCCA8, 0xCCA9, 0xC013, 0xC014, 0x9C, 0x9D, 0x2F, 0x35),
        (0x001D, 0x0017, 0x0018),
        (0x0804, 0x0403, 0x0807, 0x0805, 0x0401, 0x0503),
        (0, 5, 10, 11, 13, 65281, 16, 18),
        max_version=0x0303,
    ),
    Family(
        (0xC030, 0xC02C, 0xC028, 0xC024, 0xC014, 0x9D, 0x3D, 0x35, 0xFF),
        (0x0017, 0x0018),
        (0x0601, 0x0501, 0x0401, 0x0301),
        (0, 10, 11, 13, 23),
        max_version=0x0303,
    ),
    Family(
        (0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xCCA9), (0x001D, 0x0017), (0x0403, 0x0804, 0x0401), (43, 0, 51, 10, 13, 45, 16)
    ),
)


def _grease(rng: np.random.Generator) -> int:
    return 0x0A0A + 0x1010 * int(rng.integers(0, 16))


def _extension(kind: int, family: Family, sni: str, alpn: tuple[str, ...], rng: np.random.Generator, grease: int) -> bytes | None:
    """One ClientHello extension's body, None where it isn't sent."""
    modern = family.max_version >= 0x0304
    extra = (grease,) if family.grease else ()
    bodies = {
        0: vec(b"\0" + vec(sni.encode(), 2), 2) if sni else None,
        5: b"\x01\0\0\0\0",
        10: vec(b"".join(u16(g) for g in extra + family.groups), 2),
        11: b"\x01\0",
        13: vec(b"".join(u16(s) for s in family.signatures), 2),
        16: vec(b"".join(vec(a.encode(), 1) for a in alpn), 2) if alpn else None,
        27: b"\x02\0\x02",
        28: u16(16385),
        43: vec(b"".join(u16(v) for v in (*extra, 0x0304, 0x0303)), 1) if modern else None,
        45: b"\x01\x01" if modern else None,
        51: vec(u16(0x001D) + vec(rng.bytes(32), 2), 2) if modern else None,
        65281: b"\0",
    }
    return bodies.get(kind, b"")


def client_hello(rng: np.random.Generator, family: Family, sni: str, alpn: tuple[str, ...], extra: bytes = b"") -> bytes:
    """A ClientHello handshake message; ``extra`` are whole extensions to end with."""
    grease = _grease(rng)
    ciphers = b"".join(u16(c) for c in ((grease,) if family.grease else ()) + family.ciphers)
    body = (
        u16(0x0303) + rng.bytes(32) + vec(rng.bytes(32) if family.max_version == 0x0304 else b"", 1) + vec(ciphers, 2) + b"\x01\0"
    )
    parts = [u16(grease) + b"\0\0"] if family.grease else []
    for kind in family.order:
        content = _extension(kind, family, sni, alpn, rng, grease)
        if content is not None:
            parts.append(u16(kind) + vec(content, 2))
    return b"\x01" + vec(body + vec(b"".join(parts) + extra, 2), 3)


def server_hello(rng: np.random.Generator, cipher: int, version: int, alpn: str) -> bytes:
    """A ServerHello handshake message for TLS 1.2 (0x0303) or 1.3 (0x0304)."""
    if version == 0x0304:
        extensions = u16(43) + vec(u16(0x0304), 2) + u16(51) + vec(u16(0x001D) + vec(rng.bytes(32), 2), 2)
    else:
        extensions = u16(65281) + vec(b"\0", 2) + u16(11) + vec(b"\x01\0", 2)
        if alpn:
            extensions += u16(16) + vec(vec(vec(alpn.encode(), 1), 2), 2)
    body = u16(0x0303) + rng.bytes(32) + vec(rng.bytes(32), 1) + u16(cipher) + b"\0" + vec(extensions, 2)
    return b"\x02" + vec(body, 3)


def _der(tag: int, *parts: bytes) -> bytes:
    data = b"".join(parts)
    if len(data) < 0x80:
        return bytes((tag, len(data))) + data
    width = (len(data).bit_length() + 7) // 8
    return bytes((tag, 0x80 | width)) + len(data).to_bytes(width, "big") + data


def _name(organisation: str, common: str) -> bytes:
    def part(oid: bytes, text: str) -> bytes:
        return _der(0x31, _der(0x30, _der(6, oid), _der(0x0C, text.encode())))

    return _der(0x30, part(b"\x55\x04\x0a", organisation), part(b"\x55\x04\x03", common))


def certificate(rng: np.random.Generator, host: str, issuer: str) -> bytes:
    """A DER certificate (RFC 5280) for ``host`` with a random RSA modulus and signature: well formed, not verifiable."""
    algorithm = _der(0x30, _der(6, bytes.fromhex("2a864886f70d01010b")), b"\x05\0")
    modulus = bytearray(rng.bytes(256))
    modulus[0] |= 0x80
    modulus[-1] |= 1
    key = _der(0x30, _der(2, b"\0" + bytes(modulus)), b"\x02\x03\x01\0\x01")
    spki = _der(0x30, _der(0x30, _der(6, bytes.fromhex("2a864886f70d010101")), b"\x05\0"), _der(3, b"\0" + key))
    validity = _der(0x30, _der(0x17, b"250101000000Z"), _der(0x17, b"271231235959Z"))
    names = _der(0x30, _der(0x82, host.encode()), _der(0x82, b"alt." + host.encode()))
    usage = _der(0x30, _der(6, b"\x55\x1d\x0f"), b"\x01\x01\xff", _der(4, b"\x03\x02\x05\xa0"))
    san = _der(0x30, _der(6, b"\x55\x1d\x11"), _der(4, names))
    serial = b"\x01" + rng.bytes(15)
    issued = (_name(issuer, f"{issuer} Issuing CA"), validity, _name("Example Works", host))
    tbs = _der(0x30, _der(0xA0, b"\x02\x01\x02"), _der(2, serial), algorithm, *issued, spki, _der(0xA3, _der(0x30, usage, san)))
    return _der(0x30, tbs, algorithm, _der(3, b"\0" + rng.bytes(256)))


def record(kind: int, data: bytes, version: int = 0x0303) -> bytes:
    """TLS records of at most 16 KiB."""
    pieces = [data[n : n + 16384] for n in range(0, len(data), 16384)] or [b""]
    return b"".join(bytes((kind,)) + u16(version) + vec(piece, 2) for piece in pieces)


def opaque(rng: np.random.Generator, size: int) -> bytes:
    """Application data records that carry ``size`` random bytes."""
    return record(23, rng.bytes(max(size, 24)))


def handshake(talk: TcpTalk, rng: np.random.Generator, sni: str, alpn: tuple[str, ...], chain: bytes) -> None:
    """A whole handshake on a connected ``talk``; the family and version are drawn from ``rng``."""
    family = FAMILIES[int(rng.integers(0, len(FAMILIES)))]
    hello = client_hello(rng, family, sni, alpn)
    talk.send(0, record(22, hello, 0x0301))
    talk.line.turn()
    modern = family.max_version == 0x0304 and rng.random() < 0.8
    if modern:
        cipher = next(c for c in family.ciphers if c >> 8 == 0x13)
        secret = opaque(rng, 24 + 20) + opaque(rng, len(chain) + 12) + opaque(rng, 280) + opaque(rng, 53)
        talk.send(1, record(22, server_hello(rng, cipher, 0x0304, "")) + b"\x14\x03\x03\0\x01\x01" + secret)
        talk.line.turn()
        talk.send(0, b"\x14\x03\x03\0\x01\x01" + opaque(rng, 53))
        return
    cipher = next(c for c in family.ciphers if c >> 8 == 0xC0)
    exchange = b"\x03\0\x1d" + vec(rng.bytes(32), 1) + u16(0x0401) + vec(rng.bytes(256), 2)
    flight = server_hello(rng, cipher, 0x0303, alpn[0] if alpn else "") + b"\x0b" + vec(vec(chain, 3), 3)
    talk.send(1, record(22, flight + b"\x0c" + vec(exchange, 3) + b"\x0e\0\0\0"))
    talk.line.turn()
    talk.send(0, record(22, b"\x10" + vec(vec(rng.bytes(32), 1), 3)) + b"\x14\x03\x03\0\x01\x01" + record(22, rng.bytes(40)))
    talk.line.turn()
    talk.send(1, b"\x14\x03\x03\0\x01\x01" + record(22, rng.bytes(40)))
