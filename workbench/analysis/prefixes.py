"""Prefixes of addresses: as SQL over the 16-byte columns, as text, as a display filter.

A key is what flows are grouped by: the whole bytes that a prefix has, host bits of the last one cleared. IPv4 is
::ffff:0:0/96 in the columns, so its keys are 12 bytes longer than its octets; no IPv6 key begins with those 12.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final, Literal

#: What an IPv4 address begins with in src_addr and dst_addr.
MAPPED: Final = bytes(10) + b"\xff\xff"

Side = Literal["either", "src", "dst"]
_FIELDS: Final[dict[str, str]] = {"either": "addr", "src": "src_ip", "dst": "dst_ip"}


@dataclass(frozen=True, slots=True)
class Prefix:
    """A prefix. address: 16 bytes, IPv4 mapped, host bits zero. length: within its family, 0 to 32 or 0 to 128."""

    address: bytes
    length: int

    @classmethod
    def of_key(cls, key: bytes, v4: int, v6: int) -> Prefix:
        """What a key of `prefix_sql` with these lengths stands for. ValueError for bytes that are no such key."""
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


def prefix_sql(column: str, v4: int, v6: int) -> str:
    """SQL for the key of an address column (of the program's own naming) at v4 bits for IPv4, v6 for IPv6; NULL for NULL.

    Lengths that are multiples of 8 only cut; others go through bit strings, five times as slow.
    ValueError for lengths that there are not.
    """
    if not (0 <= v4 <= 32 and 0 <= v6 <= 128):
        raise ValueError(f"no prefixes of {v4} and {v6} bits")
    if (v4, v6) == (32, 128):
        return column
    short, long = _cut(column, v4, v4=True), _cut(column, v6, v4=False)
    if short == long:
        return short
    return f"CASE WHEN {_mapped(column)} THEN {short} ELSE {long} END"


def short_key_sql(column: str, v4: int, v6: int) -> str:
    """The key without what every IPv4 address begins with, to group by: a few bytes are kept in the row itself.

    ValueError for lengths at which keys of both families have one size, since the size is what tells them apart.
    """
    if _size(v4, v4=False) == _size(v6, v4=False):
        raise ValueError(f"keys of {v4} and {v6} bits cannot be told apart")
    first = len(MAPPED) + 1
    short = f"{column}[{first}:{_size(v4, v4=True)}]" if v4 % 8 == 0 and v4 else f"({_cut(column, v4, v4=True)})[{first}:16]"
    return f"CASE WHEN {_mapped(column)} THEN {short} ELSE {_cut(column, v6, v4=False)} END"


def whole_key_sql(key: str, v4: int, v6: int) -> str:  # noqa: ARG001  the pair that the key was made with
    """The key of `prefix_sql` from one of `short_key_sql` (of the program's own naming)."""
    return f"CASE WHEN octet_length({key}) = {_size(v4, v4=False)} THEN {_blob(MAPPED)} || {key} ELSE {key} END"


def _mapped(column: str) -> str:
    """Whether an address is IPv4; comparing is twice as fast as cutting."""
    return f"{column} BETWEEN {_blob(MAPPED + bytes(4))} AND {_blob(MAPPED + bytes([255] * 4))}"


def _size(length: int, *, v4: bool) -> int:
    """Bytes of a key."""
    return (length + 96 * v4 + 7) // 8


def _cut(column: str, length: int, *, v4: bool) -> str:
    size, bits = _size(length, v4=v4), length + 96 * v4
    if bits % 8:
        mask = (((1 << bits) - 1) << (128 - bits)).to_bytes(16, "big")
        column = f"((({column})::BIT & ({_blob(mask)})::BIT)::BLOB)"
    if size == 16:
        return column
    return f"{column}[1:{size}]" if size else f"({column}[1:0])"


def _blob(value: bytes) -> str:
    """A blob as an SQL literal."""
    return "'" + "".join(f"\\x{byte:02X}" for byte in value) + "'::BLOB"
