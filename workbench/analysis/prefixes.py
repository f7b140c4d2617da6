"""Prefixes of addresses: as SQL over the numbers and the bytes of an address, as text, as a display filter.

A key is a prefix outside SQL: the whole bytes that it has, host bits of the last one cleared. IPv4 is
::ffff:0:0/96 in the columns, so its keys are 12 bytes longer than its octets; no IPv6 key begins with those 12.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final, Literal

#: What an IPv4 address begins with in src_addr and dst_addr; and the lower halves of the first and the last one.
MAPPED: Final = bytes(10) + b"\xff\xff"
V4: Final = 0xFFFF << 32
V4_LAST: Final = V4 + 0xFFFFFFFF

#: SQL for the upper and the lower half of an address.
Halved = tuple[str, str]

Side = Literal["either", "src", "dst"]
_FIELDS: Final[dict[str, str]] = {"either": "addr", "src": "src_ip", "dst": "dst_ip"}


@dataclass(frozen=True, slots=True)
class Prefix:
    """A prefix. address: 16 bytes, IPv4 mapped, host bits zero. length: within its family, 0 to 32 or 0 to 128."""

    address: bytes
    length: int

    @classmethod
    def of_key(cls, key: bytes, v4: int, v6: int) -> Prefix:
        """What a key with these lengths stands for. ValueError for bytes that are no such key."""
        is_v4 = key[:12] == MAPPED
        length = v4 if is_v4 else v6
        if len(key) != _size(length, v4=is_v4):
            raise ValueError(f"{len(key)} bytes are no key of a prefix of {length} bits")
        return cls(key.ljust(16, b"\0"), length)

    @property
    def is_v4(self) -> bool:
        """Of which family."""
        return self.address[:12] == MAPPED

    @property
    def is_host(self) -> bool:
        """Whether it is one address."""
        return self.length == (32 if self.is_v4 else 128)

    @property
    def last(self) -> bytes:
        """The last address of it, 16 bytes."""
        bits = (32 if self.is_v4 else 128) - self.length
        return (int.from_bytes(self.address, "big") | ((1 << bits) - 1)).to_bytes(16, "big")

    def __str__(self) -> str:
        """Canonical: `10.0.0.0/24`, `2001:db8::/32`; a single address without a length."""
        text = str(ipaddress.IPv4Address(self.address[12:])) if self.is_v4 else str(ipaddress.IPv6Address(self.address))
        return text if self.is_host else f"{text}/{self.length}"

    def kept(self, side: Side = "either") -> str:
        """The display filter that keeps its flows: with it on either side, as originator, or as responder."""
        return f"{_FIELDS[side]} == {self}"

    def condition(self, column: str) -> tuple[str, tuple[bytes, bytes]]:
        """That an address column (of the program's own naming) lies in it: SQL and its two values."""
        sql = f"{column} BETWEEN ? AND ?"
        if not self.is_v4 and self.address <= MAPPED + bytes(4) <= self.last:  # IPv4 is no part of ::/0
            sql = f"({sql} AND {column}[1:12] <> {_blob(MAPPED)})"
        return sql, (self.address, self.last)


def prefix_sql(upper: str, lower: str, v4: int, v6: int) -> Halved:
    """SQL for both halves of the first address of a prefix, v4 bits for IPv4, v6 for IPv6; NULL for NULL.

    upper, lower: the columns of an address as numbers (of the program's own naming), or SQL for them. What flows are
    grouped by: whole numbers are masked and compared at a fraction of what bytes take.
    ValueError for lengths that there are not.
    """
    if not (0 <= v4 <= 32 and 0 <= v6 <= 128):
        raise ValueError(f"no prefixes of {v4} and {v6} bits")
    if (v4, v6) == (32, 128):
        return upper, lower
    mapped = f"{lower} BETWEEN {V4} AND {V4_LAST} AND {upper} = 0"
    four, six = _masked(lower, 32 + v4), _masked(lower, max(v6 - 64, 0))
    return _masked(upper, min(v6, 64)), four if four == six else f"CASE WHEN {mapped} THEN {four} ELSE {six} END"


def halves_order(*halves: str) -> str:
    """ORDER BY for addresses in halves, as their bytes are ordered: they are signed, so the lesser numbers come later."""
    return ", ".join(f"{half} < 0, {half}" for half in halves)


def address_of(upper: int, lower: int) -> bytes:
    """The 16 bytes of both halves."""
    return upper.to_bytes(8, "big", signed=True) + lower.to_bytes(8, "big", signed=True)


def key_of(upper: int, lower: int, v4: int, v6: int) -> bytes:
    """The key of a prefix from what `prefix_sql` found: the whole bytes that it has."""
    found = address_of(upper, lower)
    is_v4 = found[:12] == MAPPED
    return found[: _size(v4 if is_v4 else v6, v4=is_v4)]


def _masked(half: str, bits: int) -> str:
    """A half of which the first bits stay."""
    if bits >= 64:
        return half
    mask = -(1 << (64 - bits)) if bits else 0
    return f"({half} & ({mask})::BIGINT)"


def _size(length: int, *, v4: bool) -> int:
    """Bytes of a key."""
    return (length + 96 * v4 + 7) // 8


def _blob(value: bytes) -> str:
    """A blob as an SQL literal."""
    return "'" + "".join(f"\\x{byte:02X}" for byte in value) + "'::BLOB"
