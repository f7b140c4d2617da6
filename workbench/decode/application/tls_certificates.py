"""What a certificate says of itself (RFC 5280): names, validity, hash. A walk of our own over its DER.

Certificates seen on the wire are often wrong in ways that strict parsers refuse, or cut short; whoever reads them here wants
what is there. Each distinct one is read once, so this may be plain Python.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from workbench.decode.application.protocol import MOST_TEXT, Malformed, text

_SEQUENCE, _SET, _OID, _OCTETS, _UTC_TIME, _TIME = 0x30, 0x31, 0x06, 0x04, 0x17, 0x18
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_ALT_NAMES: Final = b"\x55\x1d\x11"  # 2.5.29.17
_DNS_NAME, _URI, _ADDRESS = 0x82, 0x86, 0x87
#: Names of a subject that are looked at, and alternative names.
_MOST_NAMES: Final = 64
_MOST_ALTERNATIVES: Final = 256

#: Encodings of strings by tag (X.680); T61String is read as Latin-1, as everybody does.
_STRINGS: Final = {
    12: "utf-8",
    18: "ascii",
    19: "ascii",
    20: "latin-1",
    22: "ascii",
    26: "ascii",
    28: "utf-32-be",
    30: "utf-16-be",
}

#: Attribute types by OID: RFC 4514's nine, then those that programs name alike.
_TYPES: Final = {
    "2.5.4.3": "CN",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.6": "C",
    "2.5.4.9": "STREET",
    "0.9.2342.19200300.100.1.25": "DC",
    "0.9.2342.19200300.100.1.1": "UID",
    "1.2.840.113549.1.9.1": "emailAddress",
    "2.5.4.5": "serialNumber",
    "2.5.4.4": "SN",
    "2.5.4.42": "GN",
    "2.5.4.12": "title",
    "2.5.4.15": "businessCategory",
    "2.5.4.17": "postalCode",
    "2.5.4.46": "dnQualifier",
}


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate. sha256: None where not all of it was seen; times in microseconds since 1970; san: names, comma separated."""

    sha256: str | None = None
    subject: str | None = None
    issuer: str | None = None
    san: str | None = None
    not_before: int | None = None
    not_after: int | None = None
    self_signed: bool | None = None


def read(der: bytes, whole: bool = True) -> Certificate:
    """A certificate from its DER bytes, as far as they can be read. Never raises."""
    said: dict[str, object] = {"sha256": hashlib.sha256(der).hexdigest() if whole else None}
    try:
        for name, value in _fields(der):  # one by one: what stands before a fault is kept
            said[name] = value  # noqa: PERF403
    except Malformed:
        pass
    return Certificate(**said)  # type: ignore[arg-type]


def _element(der: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Tag, start and end of the body of the element at `at`; Malformed where it doesn't fit."""
    if at + 2 > end:
        raise Malformed("an element ends early")
    tag, size = der[at], der[at + 1]
    at += 2
    if size & 0x80:
        width = size & 0x7F
        if not 1 <= width <= 4 or at + width > end:
            raise Malformed("a length that DER does not have")
        size = int.from_bytes(der[at : at + width], "big")
        at += width
    if at + size > end:
        raise Malformed("an element is longer than what holds it")
    return tag, at, at + size


def _inside(der: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    while at < end:
        tag, start, at = _element(der, at, end)
        yield tag, start, at


def _open(der: bytes, at: int) -> int:
    """Where the body of a SEQUENCE begins whose end need not be there."""
    if at + 2 > len(der) or der[at] != _SEQUENCE:
        raise Malformed("not a certificate")
    return at + 2 + (der[at + 1] & 0x7F if der[at + 1] & 0x80 else 0)


def _fields(der: bytes) -> Iterator[tuple[str, object]]:
    """Fields of a certificate in the order in which they stand."""
    parts = _inside(der, _open(der, _open(der, 0)), len(der))
    tag, start, end = next(parts, (0, 0, 0))
    if tag == _VERSION:
        next(parts, None)  # then the serial number
    next(parts, None)  # signature algorithm
    _, issuer_at, issuer_end = next(parts, (0, 0, 0))
    yield "issuer", _name(der, issuer_at, issuer_end)
    _, start, end = next(parts, (0, 0, 0))
    times = [_time(der[at:stop], tag) for tag, at, stop in _inside(der, start, end)]
    yield "not_before", times[0] if times else None
    yield "not_after", times[1] if len(times) > 1 else None
    _, start, end = next(parts, (0, 0, 0))
    yield "subject", _name(der, start, end)
    yield "self_signed", der[start:end] == der[issuer_at:issuer_end]
    for tag, start, end in parts:
        if tag == _EXTENSIONS:
            yield "san", _alternatives(der, start, end)
            break


def _name(der: bytes, at: int, end: int) -> str:
    """A name as RFC 4514 writes it: the last part first."""
    parts: list[str] = []
    for tag, start, stop in _inside(der, at, end):
        if tag == _SET and len(parts) < _MOST_NAMES:
            parts.append("+".join(_attribute(der, first, last) for _, first, last in _inside(der, start, stop)))
    return text(",".join(reversed(parts)).encode())


def _attribute(der: bytes, at: int, end: int) -> str:
    """One attribute: type=value."""
    kind, start, stop = _element(der, at, end)
    if kind != _OID:
        raise Malformed("an attribute without a type")
    name = dotted(der[start:stop])
    tag, first, last = _element(der, stop, end)
    if tag not in _STRINGS:
        return f"{_TYPES.get(name, name)}=#{der[stop:last][:64].hex()}"
    return f"{_TYPES.get(name, name)}={_escaped(der[first:last][:MOST_TEXT].decode(_STRINGS[tag], 'backslashreplace'))}"


def _escaped(value: str) -> str:
    """A value as RFC 4514, 2.4 escapes it."""
    made = "".join(f"\\{c}" if c in '"+,;<>\\' else "\\00" if c == "\0" else c for c in value)
    if made[:1] in ("#", " "):
        made = f"\\{made}"
    return f"{made[:-1]}\\ " if made.endswith(" ") and len(value) > 1 else made


def dotted(oid: bytes) -> str:
    """An object identifier in decimal, at most sixteen arcs of it."""
    arcs: list[int] = []
    value = 0
    for byte in oid[:64]:
        value = (value << 7 | byte & 0x7F) & 0xFFFFFFFF
        if not byte & 0x80:
            arcs.append(value)
            value = 0
    if not arcs:
        return "0"
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, [first, arcs[0] - 40 * first, *arcs[1:16]]))


def _time(value: bytes, tag: int) -> int | None:
    """A UTCTime or GeneralizedTime in microseconds since 1970 (RFC 5280, 4.1.2.5); None where it is neither."""
    shape = {_UTC_TIME: "%y%m%d%H%M%SZ", _TIME: "%Y%m%d%H%M%SZ"}.get(tag)
    if shape is None or len(value) > 32:
        return None
    try:
        said = datetime.strptime(value.decode("ascii"), shape).replace(tzinfo=UTC)
    except ValueError:
        return None
    if tag == _UTC_TIME and value[:2] >= b"50" and said.year >= 2050:
        said = said.replace(year=said.year - 100)
    return int((said - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 1_000_000


def _alternatives(der: bytes, at: int, end: int) -> str | None:
    """DNS names, URIs and addresses of the subjectAltName extension; mailboxes name people and are left out."""
    _, at, end = _element(der, at, end)
    for _, start, stop in _inside(der, at, end):
        parts = list(_inside(der, start, stop))
        if len(parts) >= 2 and der[parts[0][1] : parts[0][2]] == _ALT_NAMES and parts[-1][0] == _OCTETS:
            _, first, last = _element(der, parts[-1][1], parts[-1][2])
            return _joined(der, first, last)
    return None


def _joined(der: bytes, at: int, end: int) -> str | None:
    names: list[str] = []
    room = MOST_TEXT
    for count, (tag, start, stop) in enumerate(_inside(der, at, end)):
        value = der[start:stop]
        name = text(value) if tag in (_DNS_NAME, _URI) else _address(value) if tag == _ADDRESS else None
        room -= len(name) + 1 if name else 0
        if room < 0 or count >= _MOST_ALTERNATIVES:
            break
        if name:
            names.append(name.replace(",", "\\,"))
    return ",".join(names) or None


def _address(value: bytes) -> str | None:
    from ipaddress import ip_address  # where there is one at all

    return str(ip_address(value)) if len(value) in (4, 16) else None
