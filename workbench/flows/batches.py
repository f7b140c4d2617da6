"""Arrow record batches of what the flow table gives out, in the shape of `records.arrow.arrow_schema`.

Number columns are rows of one block each and become Arrow arrays without a copy; text is written by kernels
into Arrow's own buffers; columns of few values are dictionaries.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.decode.application.registry import protocols
from workbench.flows.arrays import (
    addresses,
    blobs,
    communities,
    constant,
    dictionary,
    macs,
    named,
    numbers,
    optional,
    texts,
    times,
)
from workbench.flows.gather import CONN_STATES, INTS, LONGS, WORDS, gather, history_size, history_texts
from workbench.flows.protocols import protocol_name
from workbench.flows.rows import ARP_ROW, BLOCK_ROW, SLICE_ROW, TUNNEL
from workbench.records.arrow import arrow_schema
from workbench.records.packet import TUNNELS

Rows = NDArray[Any]
_ID_SHIFT: Final = 40


@cache
def network_name(key: int) -> str:
    """Text of a network key (see `index.network_key`): '', vlan:100, vlan:100.7, vni:5001, vni:5001/vlan:100."""
    vni, vlan, inner = (key >> 24) - 1, key >> 12 & 4095, key & 4095
    parts = []
    if vni >= 0:
        parts.append(f"vni:{vni}")
    if vlan:
        parts.append(f"vlan:{vlan}.{inner}" if inner else f"vlan:{vlan}")
    return "/".join(parts)


@cache
def tunnel_name(codes: int) -> str:
    """Text of PACKET.tunnel, innermost first: ``erspan3/gre``."""
    names = []
    while codes:
        names.append(TUNNELS.get(codes & 255, f"tunnel{codes & 255}"))
        codes >>= 8
    return "/".join(names)


@cache
def service_names(codes: int) -> str:
    """Names of application protocols by their codes, outermost first: ``smb,dcerpc``."""
    names = []
    while codes:
        names.append(protocols()[(codes & 255) - 1].name)
        codes >>= 8
    return ",".join(names)


@cache
def _protocol_values() -> pa.Array:
    return pa.array([protocol_name(i) for i in range(256)], pa.utf8())


@cache
def _state_values() -> pa.Array:
    return pa.array(CONN_STATES, pa.utf8())


def record_batch(table: str, columns: dict[str, pa.Array], count: int) -> pa.RecordBatch:
    """Columns in the order of the schema; those not given are null."""
    schema = arrow_schema(table)
    arrays = [columns[f.name] if f.name in columns else pa.nulls(count, f.type) for f in schema]
    fields = [f.with_type(a.type) for f, a in zip(schema, arrays, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def flow_batch(state: Rows, slots: NDArray[np.int32], source_id: int, sensor: str) -> pa.RecordBatch:
    """Rows of `flows` for the flows in these slots, in this order."""
    count = len(slots)
    longs = np.empty((len(LONGS), count), np.int64)
    ints = np.empty((len(INTS), count), np.int32)
    words = np.zeros((len(WORDS), count), np.uint64)
    durations = np.empty(count, np.float64)
    kinds = np.empty(count, np.uint8)
    gather(state, slots, longs, ints, words, durations, kinds)
    big = dict(zip(LONGS, longs, strict=True))
    small = dict(zip(INTS, ints, strict=True))
    wide = dict(zip(WORDS, words, strict=True))
    tunnelled = (wide["tunnel"] != 0).view(np.uint8)
    columns: dict[str, pa.Array] = {
        "flow_id": numbers(big["n"] | (source_id << _ID_SHIFT), pa.int64()),
        "source_id": numbers(np.full(count, source_id, np.int64), pa.int64()),
        "sensor": constant(sensor, count),
        "network": named(wide["network"], network_name),
        "ts": times(big["ts"]),
        "ts_end": times(big["ts_end"]),
        "duration": numbers(durations, pa.float64()),
        "src_ip": addresses(wide["src_hi"], wide["src_lo"]),
        "dst_ip": addresses(wide["dst_hi"], wide["dst_lo"]),
        "src_addr": blobs(wide["src_hi"], wide["src_lo"]),
        "dst_addr": blobs(wide["dst_hi"], wide["dst_lo"]),
        "outer_src_ip": _outer_ips(wide, "src", tunnelled),
        "outer_dst_ip": _outer_ips(wide, "dst", tunnelled),
        "proto": numbers(small["proto"], pa.int32()),
        "proto_name": dictionary(small["proto"], _protocol_values()),
        "conn_state": dictionary(small["conn_state"], _state_values()),
        "tunnel": named(wide["tunnel"], tunnel_name, null_zero=True),
        "history": _histories(state, slots),
        "service": named(wide["services"], service_names, null_zero=True),
        "sampling": numbers(np.ones(count, np.int32), pa.int32()),
        "community_id": communities(words[:4], ints[:3], kinds),
    }
    for name in ("src_mac", "dst_mac", "outer_src_mac", "outer_dst_mac"):
        columns[name] = macs(big[name])
    for name in ("src_pkts", "dst_pkts", "src_bytes", "dst_bytes", "src_payload", "dst_payload", "first_offset", "last_offset"):
        columns[name] = numbers(big[name], pa.int64())
    for name in ("src_hi", "src_lo", "dst_hi", "dst_lo"):
        columns[name] = numbers(wide[name].view(np.int64), pa.int64())
    for name in INTS:
        if name not in columns:
            columns[name] = optional(small[name])
    return record_batch("flows", columns, count)


def _outer_ips(wide: dict[str, NDArray[np.uint64]], side: str, tunnelled: NDArray[np.uint8]) -> pa.Array:
    if not tunnelled.any():
        return pa.nulls(len(tunnelled), pa.utf8())
    return addresses(wide[f"outer_{side}_hi"], wide[f"outer_{side}_lo"], tunnelled)


def _histories(state: Rows, slots: NDArray[np.int32]) -> pa.Array:
    offsets = np.empty(len(slots) + 1, np.int32)
    data = np.empty(history_size(state, slots), np.uint8)
    present = np.empty(len(slots), np.uint8)
    used = history_texts(state, slots, offsets, data, present)
    return texts(offsets, data[:used], present)


def _field(rows: Rows, name: str) -> NDArray[Any]:
    return np.ascontiguousarray(rows[name])


def slice_batch(rows: Rows, source_id: int) -> pa.RecordBatch:
    """Rows of `flow_slices` from SLICE_ROW."""
    assert rows.dtype == SLICE_ROW
    columns = {
        "flow_id": numbers(_field(rows, "n") | (source_id << _ID_SHIFT), pa.int64()),
        "ts": times(_field(rows, "ts") // 1000),
    }
    for name in ("src_pkts", "dst_pkts", "src_bytes", "dst_bytes"):
        columns[name] = numbers(_field(rows, name), pa.int64())
    return record_batch("flow_slices", columns, len(rows))


def block_batch(rows: Rows, source_id: int) -> pa.RecordBatch:
    """Rows of `flow_blocks` from BLOCK_ROW."""
    assert rows.dtype == BLOCK_ROW
    columns = {
        "flow_id": numbers(_field(rows, "n") | (source_id << _ID_SHIFT), pa.int64()),
        "block": numbers(_field(rows, "block"), pa.int64()),
    }
    return record_batch("flow_blocks", columns, len(rows))


def arp_batch(rows: Rows, source_id: int) -> pa.RecordBatch:
    """Rows of `arp` from ARP_ROW."""
    assert rows.dtype == ARP_ROW
    count = len(rows)
    mapped = np.zeros(count, np.uint64)
    columns = {
        "source_id": numbers(np.full(count, source_id, np.int64), pa.int64()),
        "ts": times(_field(rows, "ts") // 1000),
        "network": named(_field(rows, "network"), network_name),
        "operation": numbers(_field(rows, "operation").astype(np.int32), pa.int32()),
        "src_ip": addresses(mapped, _field(rows, "src_ip") | np.uint64(0xFFFF << 32)),
        "dst_ip": addresses(mapped, _field(rows, "dst_ip") | np.uint64(0xFFFF << 32)),
        "vlan": optional(_field(rows, "vlan").astype(np.int32)),
        "record_offset": numbers(_field(rows, "offset"), pa.int64()),
    }
    for name in ("src_mac", "dst_mac", "eth_src", "eth_dst"):
        columns[name] = macs(_field(rows, name))
    return record_batch("arp", columns, count)


def tunnel_batch(rows: Rows, source_id: int) -> pa.RecordBatch:
    """Rows of `tunnels` from TUNNEL, those in use."""
    assert rows.dtype == TUNNEL
    count = len(rows)
    columns = {
        "source_id": numbers(np.full(count, source_id, np.int64), pa.int64()),
        "tunnel": named(_field(rows, "tunnel"), tunnel_name),
        "vni": optional(_field(rows, "vni").astype(np.int32)),
        "outer_src_ip": addresses(_field(rows, "src_hi"), _field(rows, "src_lo")),
        "outer_dst_ip": addresses(_field(rows, "dst_hi"), _field(rows, "dst_lo")),
        "ts_first": times(_field(rows, "first") // 1000),
        "ts_last": times(_field(rows, "last") // 1000),
        "packets": numbers(_field(rows, "packets"), pa.int64()),
        "bytes": numbers(_field(rows, "bytes"), pa.int64()),
    }
    return record_batch("tunnels", columns, count)
