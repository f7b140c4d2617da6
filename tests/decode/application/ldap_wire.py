"""Writes LDAP messages, for tests of what reads them."""

from __future__ import annotations

from tests.decode.application.ber_wire import integer, octets, seq, tlv


def message(number: int, operation: bytes) -> bytes:
    return seq(integer(number), operation)


def bind(number: int, name: str = "", password: bytes = b"") -> bytes:
    return message(number, tlv(0x60, integer(3), octets(name), tlv(0x80, password)))


def sasl(number: int, mechanism: str, token: bytes | None = None) -> bytes:
    given = octets(mechanism) + (octets(token) if token is not None else b"")
    return message(number, tlv(0x60, integer(3), octets(""), tlv(0xA3, given)))


def done(number: int, tag: int, code: int = 0, more: bytes = b"") -> bytes:
    return message(number, tlv(tag, tlv(10, bytes([code])), octets(""), octets("said"), more))


def search(number: int, base: str, scope: int = 2, attributes: tuple[str, ...] = (), secret: str = "hidden") -> bytes:
    asked = tlv(0xA3, octets("sAMAccountName"), octets(secret))  # equalityMatch
    limits = tlv(10, b"\0") + integer(0) + integer(0) + tlv(1, b"\0")
    return message(number, tlv(0x63, octets(base), tlv(10, bytes([scope])), limits, asked, seq(*map(octets, attributes))))


def entry(number: int) -> bytes:
    return message(number, tlv(0x64, octets("CN=x,DC=corp"), seq(seq(octets("mail"), tlv(0x31, octets("x@corp"))))))


def modify(number: int, name: str, *types: str) -> bytes:
    changes = [seq(tlv(10, b"\2"), seq(octets(each), tlv(0x31, octets("value")))) for each in types]
    return message(number, tlv(0x66, octets(name), seq(*changes)))


def add(number: int, name: str, *types: str) -> bytes:
    return message(number, tlv(0x68, octets(name), seq(*(seq(octets(each), tlv(0x31, octets("value"))) for each in types))))


def extended(number: int, oid: str) -> bytes:
    return message(number, tlv(0x77, tlv(0x80, oid.encode())))
