"""Values: what is written after a comparison, read as what the field holds. Everything else is a FilterError."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from typing import Final

from workbench.errors import FilterError
from workbench.filters.fields import Field, Kind
from workbench.filters.grammar import Word
from workbench.filters.mistakes import shown

_NUMBER: Final = re.compile(r"([+-]?)(0x[0-9a-fA-F]{1,32}|0b[01]{1,64}|[0-9]{1,30}(?:\.[0-9]{1,30})?)([a-zA-Z]*)\Z")

#: Sizes: decimal as networks count, binary with an i.
_SIZES: Final[dict[str, int]] = {
    "b": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15,
    "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "pb": 10**15,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40, "pib": 2**50,
}  # fmt: skip
_COUNTS: Final = {"k": 10**3, "m": 10**6, "g": 10**9}

#: Microseconds of a unit of time.
_UNITS: Final[dict[str, int]] = {
    "us": 1, "ms": 1000, "s": 10**6, "sec": 10**6, "m": 60 * 10**6, "min": 60 * 10**6, "h": 3600 * 10**6,
    "d": 86400 * 10**6, "w": 7 * 86400 * 10**6,
}  # fmt: skip
_DURATION: Final = re.compile(r"(?:[0-9]{1,12}(?:\.[0-9]{1,12})?(?:us|ms|sec|s|min|m|h|d|w)){1,8}\Z")
_PIECE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(us|ms|sec|s|min|m|h|d|w)")

_MOMENT: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?)?"
    r"\s*(Z|UTC|[+-][0-9]{2}:?[0-9]{2})?\Z"
)
_NAMED: Final = re.compile(
    r"([A-Z][a-z]{2})\s+([0-9]{1,2}),\s+([0-9]{4})(?:\s+([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?)?"
    r"\s*(Z|UTC|[+-][0-9]{2}:?[0-9]{2})?\Z"
)
_MONTHS: Final = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST: Final = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_LAST: Final = (datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)

_MAC: Final = re.compile(r"[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}\Z")
_MAC_DOTS: Final = re.compile(r"[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}\Z")

_SWITCH: Final = {"1": True, "0": False, "true": True, "false": False, "yes": True, "no": False}

#: Protocols that a filter may name; IANA has the numbers of the rest.
PROTOCOLS: Final[dict[str, int]] = {
    "icmp": 1, "igmp": 2, "ipip": 4, "tcp": 6, "egp": 8, "udp": 17, "dccp": 33, "ipv6": 41, "rsvp": 46, "gre": 47,
    "esp": 50, "ah": 51, "icmpv6": 58, "ipv6-icmp": 58, "eigrp": 88, "ospf": 89, "ospfigp": 89, "etherip": 97, "pim": 103,
    "vrrp": 112, "l2tp": 115, "sctp": 132, "udplite": 136,
}  # fmt: skip

EXAMPLES: Final[dict[Kind, str]] = {
    Kind.NUMBER: "443 or 0x1bb",
    Kind.FLAGS: "0x12",
    Kind.SWITCH: "1 or 0",
    Kind.DECIMAL: "1.5",
    Kind.SIZE: "1500, 1MB (10^6) or 1MiB (2^20)",
    Kind.COUNT: "1000 or 1k",
    Kind.SECONDS: "1.5, 90s, 5m or 1h30m",
    Kind.MICROSECONDS: "250 (microseconds), 5ms or 1s",
    Kind.TIME: '"2026-11-22 18:00" (UTC), -15m or seconds since 1970',
    Kind.TEXT: '"text" or te*t',
    Kind.PROTOCOL: "6 or tcp",
    Kind.ADDRESS: "10.0.0.1, 10.0.0.0/8 or fd00::/8",
    Kind.MAC: "00:0c:29:aa:bb:cc or 00:0c:29:*",
    Kind.BYTES: "0x0a0b",
}


def refuse(word: Word, field: Field, why: str = "") -> FilterError:
    """The FilterError for a value that the field cannot have."""
    said = why or f"{shown(word.text)} is not {field.kind}, which {field.name} holds"
    return FilterError(
        f"{said} (column {word.at + 1})",
        f"{field.name} takes {EXAMPLES[field.kind]}.",
        position=word.at,
        length=word.length,
    )


def read_whole(word: Word, field: Field) -> int:
    """A whole number of the field's unit, within what it can hold."""
    number = _amount(word, field)
    if number.denominator != 1:
        raise refuse(word, field, f"{shown(word.text)} is no whole number")
    value = int(number)
    low, high = field.low, field.high
    if low is not None and high is not None and not low <= value <= high:
        raise refuse(word, field, f"{shown(word.text)} is out of range for {field.name} ({low} to {high})")
    return value


def read_decimal(word: Word, field: Field) -> float:
    """A number of seconds, or a decimal number."""
    return float(_amount(word, field))


def _amount(word: Word, field: Field) -> Fraction:
    text = word.text
    if field.kind is Kind.PROTOCOL and text.lower() in PROTOCOLS:
        return Fraction(PROTOCOLS[text.lower()])
    if field.kind in (Kind.SECONDS, Kind.MICROSECONDS) and (micros := read_duration(text)) is not None:
        return micros if field.kind is Kind.MICROSECONDS else micros / 10**6
    match = _NUMBER.match(text)
    if match is None:
        raise refuse(word, field)
    sign, digits, unit = match.groups()
    if digits[:2] in ("0x", "0b"):
        if unit:
            raise refuse(word, field)
        number = Fraction(int(digits, 0))
    elif len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        raise refuse(word, field, f"{shown(text)} may mean an octal number")
    else:
        number = Fraction(digits)
    return (-1 if sign == "-" else 1) * number * _scale(unit, word, field)


def _scale(unit: str, word: Word, field: Field) -> int:
    scales = {Kind.SIZE: _SIZES, Kind.COUNT: _COUNTS}.get(field.kind, {})
    if not unit:
        return 1
    if unit.lower() not in scales:
        raise refuse(word, field)
    return scales[unit.lower()]


def read_duration(text: str) -> Fraction | None:
    """Microseconds of `90s`, `5m`, `1h30m`; None where it is no duration."""
    if not _DURATION.match(text):
        return None
    return sum((Fraction(n) * _UNITS[unit] for n, unit in _PIECE.findall(text)), Fraction(0))


def read_switch(word: Word, field: Field) -> bool:
    """1 or 0, true or false."""
    found = _SWITCH.get(word.text.lower())
    if found is None:
        raise refuse(word, field)
    return found


def read_time(word: Word, field: Field, now: int) -> int:
    """Microseconds since 1970 UTC. now: what relative times count from."""
    text = word.text.strip()
    moment = _relative(text, now)
    if moment is None:
        moment = _epoch(text)
    if moment is None:
        moment = _absolute(text, word, field)
    if moment is None and re.match(r"[+-][0-9]+\Z", text):
        raise refuse(word, field, f"{shown(word.text)} has no unit: {word.text[:9]}s, {word.text[:9]}m or {word.text[:9]}h")
    if moment is None:
        raise refuse(word, field)
    if moment.denominator != 1:
        raise refuse(word, field, f"{shown(word.text)} is finer than the microsecond that times are kept to")
    if not _FIRST <= moment <= _LAST:
        raise refuse(word, field, f"{shown(word.text)} lies outside the years 1 to 9999")
    return int(moment)


def moment(text: str, now: int) -> int:
    """A time as filters take it, microseconds since 1970 UTC. now: what relative times count from. FilterError."""
    return read_time(Word(text, 0, len(text)), Field("time", Kind.TIME, ()), now)


def _relative(text: str, now: int) -> Fraction | None:
    if text == "now":
        return Fraction(now)
    span = read_duration(text[1:]) if text[:1] in ("-", "+") else None
    if span is None:
        return None
    return now - span if text[0] == "-" else now + span


def _epoch(text: str) -> Fraction | None:
    if not re.match(r"[0-9]{1,14}(\.[0-9]{1,12})?\Z", text):
        return None
    return Fraction(text) * 10**6


def _absolute(text: str, word: Word, field: Field) -> Fraction | None:
    if match := _MOMENT.match(text):
        year, month, day, *clock = match.groups()
    elif (match := _NAMED.match(text)) and match[1] in _MONTHS:
        month, day, year, *clock = match.groups()
        month = str(_MONTHS.index(month) + 1)
    else:
        return None
    hour, minute, second, fraction, zone = clock
    try:
        whole = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC)
        offset = _offset(zone)
    except ValueError as error:
        raise refuse(word, field, f"{shown(word.text)} is no time there ever was: {error}") from None
    micros = (whole - _EPOCH) // timedelta(microseconds=1) - offset
    return micros + Fraction(f"0.{fraction or 0}") * 10**6


def _offset(zone: str | None) -> int:
    """Microseconds east of UTC. ValueError for a zone that no place has."""
    if zone in (None, "Z", "UTC"):
        return 0
    assert zone is not None
    digits = zone[1:].replace(":", "")
    span = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    if int(digits[2:]) > 59:
        raise ValueError("minutes of a zone are below 60")
    timezone(span)
    return (1 if zone[0] == "+" else -1) * (span // timedelta(microseconds=1))


def read_mac(word: Word, field: Field) -> str:
    """aa:bb:cc:dd:ee:ff, whatever the notation; a pattern with * or ? in lower case."""
    text = word.text.lower()
    if "*" in text or "?" in text:
        if re.match(r"[0-9a-f:*?-]+\Z", text):
            return text.replace("-", ":")
        raise refuse(word, field)
    if _MAC.match(text):
        return text.replace("-", ":")
    if _MAC_DOTS.match(text):
        digits = text.replace(".", "")
        return ":".join(digits[n : n + 2] for n in range(0, 12, 2))
    raise refuse(word, field)


def read_bytes(word: Word, field: Field) -> bytes:
    """0x0a0b or 0a:0b."""
    digits = re.sub("^0x", "", word.text).replace(":", "")
    if not re.match(r"(?:[0-9a-fA-F]{2})+\Z", digits):
        raise refuse(word, field)
    return bytes.fromhex(digits)
