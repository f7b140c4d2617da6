"""Flows that other programs told of, with every column that follows from what they say: one place for all formats.

What a format gives is text and numbers by the names of `flows`; addresses are read and written as we do, networks, numbers of
protocols, Community IDs and ends are made from them. A row that lacks a time, an address or its protocol is no flow.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.flows import arrays as a
from workbench.flows.protocols import protocol_name
from workbench.records.arrow import arrow_schema
from workbench.store.import_addresses import address, halves

_ICMP4, _ICMP6, _TCP, _UDP, _SCTP = 1, 58, 6, 17, 132
_PORTED: Final = (_TCP, _UDP, _SCTP)
_ID_SHIFT: Final = 40
#: Where a format does not say why a flow ended: it is told when it is over, whatever the cause.
_FORCED: Final = 4
_COUNTS: Final = ("src_pkts", "dst_pkts", "src_bytes", "dst_bytes")
_OTHER_NAMES: Final = {"icmp6": 58, "icmpv6": 58, "ipv6-icmp": 58, "icmpv4": 1, "ipip": 4, "tcp6": 6, "udp6": 17, "unknown": 255}

#: ICMP types that have a counterpart, by family: only those are turned around for a Community ID (its specification).
_TWO_WAY4: Final = {0: 8, 8: 0, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17, 9: 10, 10: 9}
_TWO_WAY6: Final = {
    128: 129,
    129: 128,
    133: 134,
    134: 133,
    135: 136,
    136: 135,
    130: 131,
    131: 130,
    144: 145,
    145: 144,
    139: 140,
    140: 139,
}


@dataclass(frozen=True, slots=True)
class Made:
    """flows: rows of `flows`. kept: places of the given rows that they are of. lacks: what the others lack, by place."""

    flows: pa.RecordBatch
    kept: NDArray[np.int64]
    lacks: dict[int, str]


@lru_cache(maxsize=4096)
def protocol_number(text: str) -> int:
    """The number of a protocol told by number or name; -1 for what is none."""
    word = text.strip().lower()
    if word.isascii() and word.isdigit():
        return int(word) if len(word) <= 3 and int(word) <= 255 else -1
    return _numbers().get(word, -1)


@lru_cache(maxsize=1)
def _numbers() -> dict[str, int]:
    return {protocol_name(n).lower(): n for n in range(255, -1, -1)} | _OTHER_NAMES


def flow_rows(given: pa.Table, source_id: int, first: int, sensor: str) -> Made:
    """Rows of `flows` from columns by their names, of the types that they have there; proto is text. duration may stand
    for ts_end.

    first: the number n of the first flow. Absent columns are null, counts 0. Values that cannot be are null.
    """
    rows = _Given(given)
    src, dst = rows.addresses("src_ip"), rows.addresses("dst_ip")
    proto = rows.protocols(dst)
    lacks: dict[int, str] = {}
    good = np.ones(given.num_rows, np.bool_)
    for fine, what in ((rows.has("ts"), "time"), (src.there & dst.there, "address"), (proto >= 0, "protocol")):
        lacks.update(dict.fromkeys(np.flatnonzero(good & ~fine).tolist(), what))
        good &= fine
    kept = np.flatnonzero(good)
    if len(kept) != given.num_rows:
        rows = _Given(given.take(pa.array(kept)))
        src, dst, proto = src.take(kept), dst.take(kept), proto[kept]
    return Made(_batch(rows, src, dst, proto, source_id, first, sensor), kept, lacks)


@dataclass(frozen=True, slots=True)
class _Addresses:
    high: NDArray[np.uint64]
    low: NDArray[np.uint64]
    there: NDArray[np.bool_]

    def take(self, kept: NDArray[np.int64]) -> _Addresses:
        return _Addresses(self.high[kept], self.low[kept], self.there[kept])

    @property
    def six(self) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = (self.high != 0) | (self.low >> np.uint64(32) != 0xFFFF)
        return found


class _Given:
    """The columns that there are, as arrays."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table.combine_chunks()
        self.count = table.num_rows
        self.names = frozenset(table.column_names)

    def array(self, name: str) -> pa.Array | None:
        if name not in self.names:
            return None
        column = self.table.column(name)
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        found: pa.Array = column
        return found

    def has(self, name: str) -> NDArray[np.bool_]:
        column = self.array(name)
        if column is None:
            return np.zeros(self.count, np.bool_)
        there: NDArray[np.bool_] = column.is_valid().to_numpy(zero_copy_only=False)
        return there

    def numbers(self, name: str, absent: int = -1, kind: Any = np.int64) -> NDArray[Any]:
        """Values of a column of numbers or times; `absent` where there is none."""
        column = self.array(name)
        if column is None:
            return np.full(self.count, absent, kind)
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("us")).cast(pa.int64())
        found: NDArray[Any] = pc.fill_null(column, absent).to_numpy(zero_copy_only=False).astype(kind)
        return found

    def coded(self, name: str) -> tuple[NDArray[np.int64], list[str]]:
        """A text column as places in its different values; -1 for null."""
        column = self.array(name)
        if column is None:
            return np.full(self.count, -1, np.int64), []
        coded = column.dictionary_encode()
        codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        return codes, coded.dictionary.to_pylist()

    def addresses(self, name: str) -> _Addresses:
        column = self.array(name)
        if column is None:
            nothing = np.zeros(self.count, np.uint64)
            return _Addresses(nothing, nothing, np.zeros(self.count, np.bool_))
        coded = column.dictionary_encode()
        codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        high, low, there = (np.append(part, part.dtype.type(0)) for part in halves(coded.dictionary))
        return _Addresses(high[codes], low[codes], there[codes])

    def protocols(self, dst: _Addresses) -> NDArray[np.int32]:
        codes, values = self.coded("proto")
        proto = np.array([*(protocol_number(value) for value in values), -1], np.int32)[codes]
        return np.where((proto == _ICMP4) & dst.six & dst.there, _ICMP6, proto).astype(np.int32)

    def mapped(self, name: str, read: Any) -> pa.Array:
        """A text column with each of its different values read; null where that gives None."""
        codes, values = self.coded(name)
        return a.dictionary(
            np.maximum(codes, 0).astype(np.int32),
            pa.array([read(value) for value in values] or [None], pa.utf8()),
            (codes >= 0).view(np.uint8),
        )


def _batch(
    rows: _Given, src: _Addresses, dst: _Addresses, proto: NDArray[np.int32], source_id: int, first: int, sensor: str
) -> pa.RecordBatch:
    count = rows.count
    n = np.arange(first, first + count, dtype=np.int64)
    columns: dict[str, pa.Array] = {
        "flow_id": a.numbers(n | source_id << _ID_SHIFT, pa.int64()),
        "source_id": a.numbers(np.full(count, source_id, np.int64), pa.int64()),
        "sensor": rows.mapped("sensor", str) if rows.has("sensor").all() and count else a.constant(sensor, count),
        "network": _networks(rows),
        "proto": a.numbers(proto, pa.int32()),
        "proto_name": a.dictionary(proto, pa.array([protocol_name(n) for n in range(256)], pa.utf8())),
        **_times(rows),
        **_ends(rows, src, dst, proto),
        **_counts(rows),
    }
    schema = arrow_schema("flows")
    made = [columns[f.name] if f.name in columns else _plain(rows, f) for f in schema]
    return pa.RecordBatch.from_arrays(made, names=schema.names)


def _plain(rows: _Given, field: pa.Field) -> pa.Array:
    column = rows.array(field.name)
    return pa.nulls(rows.count, field.type) if column is None else column.cast(field.type)


def _times(rows: _Given) -> dict[str, pa.Array]:
    start = rows.numbers("ts", 0)
    told = rows.has("ts_end")
    seconds = np.nan_to_num(rows.numbers("duration", -1, np.float64), nan=-1.0)
    seconds = np.where((seconds >= 0) & (seconds < 1e9), seconds, -1.0)
    end = np.where(told, rows.numbers("ts_end", 0), start + np.maximum(seconds, 0.0).__mul__(1e6).round().astype(np.int64))
    end = np.maximum(end, start)
    length = np.where(seconds >= 0, seconds, (end - start) / 1e6)
    return {"ts": a.times(start), "ts_end": a.times(end), "duration": a.numbers(length, pa.float64())}


def _ends(rows: _Given, src: _Addresses, dst: _Addresses, proto: NDArray[np.int32]) -> dict[str, pa.Array]:
    """Who with whom: addresses, ports, MACs, tunnel endpoints, Community ID."""
    found: dict[str, pa.Array] = {}
    ports = []
    for side, ip in (("src", src), ("dst", dst)):
        found[f"{side}_ip"] = a.addresses(ip.high, ip.low)
        found[f"{side}_addr"] = a.blobs(ip.high, ip.low)
        found[f"{side}_hi"] = a.numbers(ip.high.view(np.int64), pa.int64())
        found[f"{side}_lo"] = a.numbers(ip.low.view(np.int64), pa.int64())
        found[f"{side}_mac"] = rows.mapped(f"{side}_mac", mac_text)
        found[f"outer_{side}_ip"] = rows.mapped(f"outer_{side}_ip", ip_text)
        found[f"outer_{side}_mac"] = rows.mapped(f"outer_{side}_mac", mac_text)
        port = rows.numbers(f"{side}_port")
        ports.append(np.where((port >= 0) & (port <= 65535), port, -1).astype(np.int32))
        found[f"{side}_port"] = a.optional(ports[-1])
    found["community_id"] = _communities(src, dst, ports, proto)
    return found


def _communities(src: _Addresses, dst: _Addresses, ports: list[NDArray[np.int32]], proto: NDArray[np.int32]) -> pa.Array:
    """Ours whatever was told: told ones may have another seed. None where ports are needed and not known."""
    icmp = (proto == _ICMP4) | (proto == _ICMP6)
    ported = np.isin(proto, _PORTED) | icmp
    known = (ports[0] >= 0) & (ports[1] >= 0)
    one_way = np.zeros(len(proto), np.bool_)
    for at in np.flatnonzero(icmp & known).tolist():
        pairs = _TWO_WAY6 if proto[at] == _ICMP6 else _TWO_WAY4
        one_way[at] = pairs.get(int(ports[0][at])) != int(ports[1][at])
    kinds = (ported & known | one_way << 1).astype(np.uint8)
    words = np.stack((src.high, src.low, dst.high, dst.low))
    numbers = np.stack((np.maximum(ports[0], 0), np.maximum(ports[1], 0), proto)).astype(np.int32)
    made = a.communities(words, numbers, kinds)
    return pc.if_else(pa.array(~ported | known), made, pa.scalar(None, pa.utf8()))


def _counts(rows: _Given) -> dict[str, pa.Array]:
    found = {name: a.numbers(np.maximum(rows.numbers(name, 0), 0), pa.int64()) for name in _COUNTS}
    for name in ("src_payload", "dst_payload"):
        values = rows.numbers(name)
        found[name] = a.numbers(values, pa.int64(), (values >= 0).view(np.uint8))
    for name in ("src_flags", "dst_flags", "vlan", "inner_vlan", "outer_vlan", "vni", "rtt_us", "retransmits"):
        found[name] = a.optional(rows.numbers(name, kind=np.int32))
    reason = rows.numbers("end_reason")
    found["end_reason"] = a.numbers(np.where((reason >= 1) & (reason <= 5), reason, _FORCED).astype(np.int32), pa.int32())
    found["sampling"] = a.numbers(np.clip(rows.numbers("sampling", 1), 1, 1 << 30).astype(np.int32), pa.int32())
    for name in ("first_offset", "last_offset"):
        found[name] = pa.nulls(rows.count, pa.int64())
    return found


def _networks(rows: _Given) -> pa.Array:
    """As told; else by VNI and VLANs, as for packets."""
    vni, vlan, inner = (rows.numbers(name) for name in ("vni", "vlan", "inner_vlan"))
    told, values = rows.coded("network")
    keys = np.stack((vni, np.maximum(vlan, 0), np.maximum(inner, 0), told))
    if not rows.count or bool((keys == keys[:, :1]).all()):
        different, places = keys[:, :1], np.zeros(rows.count, np.int32)
    else:
        different, found = np.unique(keys, axis=1, return_inverse=True)
        places = found.reshape(-1).astype(np.int32)
    names = [values[k] if k >= 0 else network_text(int(v), int(x), int(y)) for v, x, y, k in different.T]
    return a.dictionary(places, pa.array(names or [""], pa.utf8()))


def network_text(vni: int, vlan: int, inner: int) -> str:
    """vni:5001/vlan:100.7, of those that there are. vni: -1, VLANs: 0 where there is none."""
    parts = [f"vni:{vni}"] if vni >= 0 else []
    if vlan:
        parts.append(f"vlan:{vlan}.{inner}" if inner else f"vlan:{vlan}")
    return "/".join(parts)


def ip_text(text: str) -> str | None:
    """An address as we write it; None for what is none."""
    found = address(text)
    if found is None:
        return None
    number = found[0] << 64 | found[1]
    return str(ipaddress.IPv4Address(number & 0xFFFFFFFF) if number >> 32 == 0xFFFF else ipaddress.IPv6Address(number))


def mac_text(text: str) -> str | None:
    """A MAC as we write it: six octets, small letters, colons; None for what is none."""
    digits = "".join(c for c in text.lower() if c not in ":-. ")
    if len(digits) != 12 or any(c not in "0123456789abcdef" for c in digits):
        return None
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))
