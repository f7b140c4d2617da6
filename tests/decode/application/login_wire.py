"""Writes security tokens, NTLM, Kerberos and SPNEGO, for tests of what reads them."""

from __future__ import annotations

import struct

from tests.decode.application.ber_wire import explicit, integer, octets, oid, seq, tlv

SPNEGO = "1.3.6.1.5.5.2"
KERBEROS = "1.2.840.113554.1.2.2"
NTLMSSP = "1.3.6.1.4.1.311.2.2.10"


def hashed(value: str | bytes) -> str:
    """Stands for the case's keyed hash; what it got can be seen."""
    return f"hash({value if isinstance(value, str) else value.decode()})"


def _payload(head: bytes, fields: list[bytes], tail: bytes) -> bytes:
    """Fields described where the message begins, their bytes behind it."""
    at = len(head) + 8 * len(fields) + len(tail)
    described, payload = b"", b""
    for each in fields:
        described += struct.pack("<HHI", len(each), len(each), at + len(payload))
        payload += each
    return head + described + tail + payload


def ntlm_negotiate() -> bytes:
    return b"NTLMSSP\0" + struct.pack("<II", 1, 0xE2088297) + b"\0" * 24


def ntlm_challenge(computer: str = "DC01", domain: str = "corp.example") -> bytes:
    pairs = b""
    for kind, name in ((2, "CORP"), (1, computer), (4, domain), (3, f"{computer}.{domain}")):
        raw = name.encode("utf-16-le")
        pairs += struct.pack("<HH", kind, len(raw)) + raw
    pairs += b"\0\0\0\0"
    target = "CORP".encode("utf-16-le")
    head = (
        b"NTLMSSP\0"
        + struct.pack("<IHHI", 2, len(target), len(target), 56)
        + struct.pack("<I", 0xE2898215)
        + b"challeng"
        + b"\0" * 8
    )
    return head + struct.pack("<HHI", len(pairs), len(pairs), 56 + len(target)) + b"\0" * 8 + target + pairs


def ntlm_authenticate(user: str, domain: str = "CORP", host: str = "PC7", nt: int = 300, lm: int = 24, flags: int = 1) -> bytes:
    code = "utf-16-le" if flags & 1 else "ascii"
    fields = [b"L" * lm, b"N" * nt, domain.encode(code), user.encode(code), host.encode(code), b""]
    return _payload(b"NTLMSSP\0" + struct.pack("<I", 3), fields, struct.pack("<I", flags) + b"\0" * 8)


def general(value: str) -> bytes:
    return tlv(0x1B, value.encode())


def name(*parts: str) -> bytes:
    return seq(explicit(0, integer(1)), explicit(1, seq(*map(general, parts))))


def encrypted(etype: int) -> bytes:
    return seq(explicit(0, integer(etype)), explicit(1, integer(2)), explicit(2, octets(b"\xee" * 40)))


def ticket(service: tuple[str, ...], etype: int = 18, realm: str = "CORP.EXAMPLE") -> bytes:
    return tlv(
        0x61,
        seq(explicit(0, integer(5)), explicit(1, general(realm)), explicit(2, name(*service)), explicit(3, encrypted(etype))),
    )


def kdc_request(kind: int, service: tuple[str, ...], *, client: str | None = "Alice", etypes: tuple[int, ...] = (18, 17, 23),
                padata: tuple[int, ...] = (128,), options: int = 0x40810010) -> bytes:  # fmt: skip
    body = explicit(0, tlv(3, b"\0" + options.to_bytes(4, "big")))
    if client:
        body += explicit(1, name(client))
    body += explicit(2, general("CORP.EXAMPLE")) + explicit(3, name(*service)) + explicit(7, integer(7))
    body += explicit(8, seq(*map(integer, etypes)))
    shown = seq(*(seq(explicit(1, integer(each)), explicit(2, octets(b"\xaa" * 20))) for each in padata))
    return tlv(0x60 | kind, seq(explicit(1, integer(5)), explicit(2, integer(kind)), explicit(3, shown), explicit(4, seq(body))))


def kdc_reply(kind: int, service: tuple[str, ...], *, client: str = "Alice", etype: int = 18, reply: int = 18) -> bytes:
    return tlv(
        0x60 | kind,
        seq(
            explicit(0, integer(5)),
            explicit(1, integer(kind)),
            explicit(3, general("CORP.EXAMPLE")),
            explicit(4, name(client)),
            explicit(5, ticket(service, etype)),
            explicit(6, encrypted(reply)),
        ),
    )


def ap_request(service: tuple[str, ...] = ("cifs", "dc01"), etype: int = 18) -> bytes:
    flags = explicit(2, tlv(3, b"\0\x20\0\0\0"))
    return tlv(
        0x6E,
        seq(
            explicit(0, integer(5)),
            explicit(1, integer(14)),
            flags,
            explicit(3, ticket(service, etype)),
            explicit(4, encrypted(18)),
        ),
    )


def ap_reply() -> bytes:
    return tlv(0x6F, seq(explicit(0, integer(5)), explicit(1, integer(15)), explicit(2, encrypted(18))))


def krb_error(code: int, service: tuple[str, ...] = ("krbtgt", "CORP.EXAMPLE")) -> bytes:
    said = explicit(6, integer(code)) + explicit(9, general("CORP.EXAMPLE")) + explicit(10, name(*service))
    return tlv(0x7E, seq(explicit(0, integer(5)), explicit(1, integer(30)), explicit(4, tlv(0x18, b"20260101000000Z")), said))


def gss(mechanism: str, inner: bytes) -> bytes:
    return tlv(0x60, oid(mechanism), inner)


def gss_kerberos(token: bytes, kind: bytes = b"\1\0") -> bytes:
    return gss(KERBEROS, kind + token)


def offer(inner: bytes, *mechanisms: str) -> bytes:
    """NegTokenInit in its GSS-API frame."""
    listed = explicit(0, seq(*map(oid, mechanisms or (NTLMSSP,))))
    return gss(SPNEGO, explicit(0, seq(listed, explicit(2, octets(inner)))))


def answer(inner: bytes = b"", *, state: int | None = None, mechanism: str | None = None) -> bytes:
    """NegTokenResp."""
    parts = b"" if state is None else explicit(0, tlv(10, bytes([state])))
    parts += explicit(1, oid(mechanism)) if mechanism else b""
    parts += explicit(2, octets(inner)) if inner else b""
    return explicit(1, seq(parts))
