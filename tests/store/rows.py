"""Rows for the store's tests: flows of any number, plain and quick to make."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from workbench.records.arrow import arrow_schema
from workbench.records.columns import BY_NAME, Type

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: Columns of flows that hold addresses as numbers; schema 3 had none.
NUMBERS = ("src_hi", "src_lo", "dst_hi", "dst_lo")
T0 = 1_700_000_000_000_000


def address(last: int) -> bytes:
    """10.0.x.y, mapped."""
    return bytes(10) + b"\xff\xff\x0a\x00" + last.to_bytes(2, "big")


def halves(side: str, text: str | None) -> dict[str, int | None]:
    """The columns that hold an address as two numbers; null for what is no address."""
    try:
        at = ipaddress.ip_address(text or "")
    except ValueError:
        return {f"{side}_hi": None, f"{side}_lo": None}
    packed = at.packed if at.version == 6 else bytes(10) + b"\xff\xff" + at.packed
    high, low = (int.from_bytes(part, "big", signed=True) for part in (packed[:8], packed[8:]))
    return {f"{side}_hi": high, f"{side}_lo": low}


def without_numbers(con: DuckDBPyConnection) -> None:
    """Make a case that was opened by the plain engine one of schema 3, as far as addresses go."""
    for name in NUMBERS:
        con.execute(f"ALTER TABLE flows DROP COLUMN {name}")


def flow(n: int, source_id: int = 1, **fields: Any) -> dict[str, Any]:
    """One row of flows; what is not named is derived from n."""
    row: dict[str, Any] = {c.name: None for c in BY_NAME["flows"].columns}
    row |= {
        "flow_id": (source_id << 40) + n,
        "source_id": source_id,
        "sensor": f"s{source_id}",
        "network": "",
        "ts": T0 + n * 1000,
        "ts_end": T0 + n * 1000 + 500,
        "duration": 0.0005,
        "src_ip": f"10.0.0.{n % 250}",
        "dst_ip": "10.0.1.1",
        "src_addr": address(n % 250),
        "dst_addr": address(257),
        "src_port": 1024 + n % 60000,
        "dst_port": 443,
        "proto": 6,
        "proto_name": "tcp",
        "conn_state": "SF",
        "history": "ShADadFf",
        "src_pkts": 5,
        "dst_pkts": 4,
        "src_bytes": 300 + n % 1000,
        "dst_bytes": 4000,
        "src_payload": 100,
        "dst_payload": 3500,
        "end_reason": 3,
        "sampling": 1,
        "community_id": f"1:{n}",
    }
    row |= fields
    return row | halves("src", row["src_ip"]) | halves("dst", row["dst_ip"]) | fields


def batch(table: str, rows: list[dict[str, Any]]) -> pa.RecordBatch:
    """Rows as the store takes them."""
    return pa.RecordBatch.from_pylist(rows, schema=arrow_schema(table))


def flows(count: int, source_id: int = 1, first: int = 0) -> pa.RecordBatch:
    """Many flows, made by column."""
    schema = arrow_schema("flows")
    one = flow(0, source_id)
    columns: dict[str, Any] = {name: [one[name]] * count for name in schema.names}
    ids = range(first, first + count)
    columns["flow_id"] = [(source_id << 40) + n for n in ids]
    columns["ts"] = [T0 + n * 1000 for n in ids]
    columns["ts_end"] = [T0 + n * 1000 + 500 for n in ids]
    columns["src_ip"] = [f"10.0.0.{n % 250}" for n in ids]
    columns["src_lo"] = [halves("src", text)["src_lo"] for text in columns["src_ip"]]
    columns["src_bytes"] = [300 + n % 1000 for n in ids]
    return pa.RecordBatch.from_arrays([pa.array(columns[f.name], f.type) for f in schema], schema=schema)


def source(source_id: int, path: str = "", **fields: Any) -> dict[str, Any]:
    """A row of sources as indexing begins."""
    return {
        "source_id": source_id,
        "kind": "pcap",
        "path": path or f"/captures/{source_id}.pcap",
        "sensor": f"s{source_id}",
        "packets": 0,
        "flows": 0,
        "state": "indexing",
        "key_scope": "both",
    } | fields


def index(case: Path, count: int = 100, source_id: int = 1, **fields: Any) -> None:
    """Index one made-up source into a case, start to end."""
    from workbench.store.writer import CaseWriter

    with CaseWriter(case) as writer:
        writer.add_source(source(source_id, **fields))
        writer.append("flows", flows(count, source_id))
        writer.update_source(source_id, state="ok", packets=9 * count, flows=count)


def columns_of(type_: Type) -> list[tuple[str, str]]:
    """(table, column) of every column of a type."""
    return [(t.name, c.name) for t in BY_NAME.values() for c in t.columns if c.type is type_]
