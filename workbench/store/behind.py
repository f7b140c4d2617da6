"""What is asked of a case to find the packets behind its rows. Conditions are over a row of `flows`, with `?` for values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

if TYPE_CHECKING:
    from workbench.store.reader import CaseReader

#: Flows that have packets to go back to; those told by telemetry have none.
_CARVABLE: Final = "first_offset IS NOT NULL AND octet_length(src_addr) = 16 AND octet_length(dst_addr) = 16"
_COLUMNS: Final = """flow_id, source_id, src_addr, dst_addr, src_pkts, dst_pkts, first_offset, last_offset,
    coalesce(src_port, -1)::BIGINT AS src_port, coalesce(dst_port, -1)::BIGINT AS dst_port, proto::BIGINT AS proto,
    coalesce(vni, -1)::BIGINT AS vni, coalesce(vlan, -1)::BIGINT AS vlan, coalesce(inner_vlan, -1)::BIGINT AS inner_vlan"""

#: Bytes that a flow spans at least where its blocks are listed.
_LONG: Final = 1 << 26


def ids_condition(flow_ids: Sequence[int]) -> tuple[str, tuple[int, ...]]:
    """The condition that a flow is one of these, and its values."""
    return f"flow_id IN ({', '.join('?' * len(flow_ids))})", tuple(flow_ids)


def sources_of_flows(reader: CaseReader, condition: str, params: Sequence[Any]) -> list[dict[str, int]]:
    """By source: source_id, n flows, and how many of them have packets to go back to (`carvable`)."""
    sql = f"SELECT source_id, count(*) AS n, count(*) FILTER ({_CARVABLE}) AS carvable FROM flows WHERE {condition}"
    found: list[dict[str, int]] = reader.query(f"{sql} GROUP BY ALL ORDER BY source_id", params).to_pylist()
    return found


def known_flows(reader: CaseReader, flow_ids: Sequence[int]) -> set[int]:
    """Which of these flows the case has."""
    condition, params = ids_condition(flow_ids)
    return set(reader.query(f"SELECT flow_id FROM flows WHERE {condition}", params)["flow_id"].to_pylist())


def flow_rows(reader: CaseReader, source_id: int, condition: str, params: Sequence[Any]) -> pa.Table:
    """What the packets of these flows of a source are found by; absent numbers are -1."""
    where = f"({condition}) AND {_CARVABLE} AND source_id = ?"
    return reader.query(f"SELECT {_COLUMNS} FROM flows WHERE {where}", (*params, source_id))


def listed_blocks(reader: CaseReader, source_id: int, condition: str, params: Sequence[Any]) -> tuple[pa.Array, pa.Array]:
    """Of these flows of a source: which have their blocks listed, and the blocks, each once."""
    long = f"SELECT flow_id FROM flows WHERE ({condition}) AND source_id = ? AND last_offset - first_offset >= {_LONG}"
    listed = f"FROM flow_blocks WHERE flow_id IN ({long})"
    values = (*params, source_id)
    flows = reader.query(f"SELECT DISTINCT flow_id {listed}", values)["flow_id"]
    return flows, reader.query(f"SELECT DISTINCT block {listed}", values)["block"]


def source_row(reader: CaseReader, source_id: int) -> dict[str, Any] | None:
    """The row of `sources`, None where there is none."""
    found = reader.query("SELECT * FROM sources WHERE source_id = ?", (source_id,)).to_pylist()
    return found[0] if found else None


def source_files(reader: CaseReader, source_id: int) -> list[dict[str, Any]]:
    """The rows of `source_files` of a source, in order."""
    found: list[dict[str, Any]] = reader.query(
        "SELECT * FROM source_files WHERE source_id = ? ORDER BY n", (source_id,)
    ).to_pylist()
    return found


def source_places(reader: CaseReader, source_id: int, first_block: int, last_block: int) -> list[dict[str, Any]]:
    """Where a source can be entered in those blocks, in order: rows of `source_blocks` without their source and block."""
    found: list[dict[str, Any]] = reader.query(
        "SELECT record_offset, frame, ts_ns, section_offset, interfaces FROM source_blocks"
        " WHERE source_id = ? AND block BETWEEN ? AND ? ORDER BY record_offset",
        (source_id, first_block, last_block),
    ).to_pylist()
    return found


def all_paths(reader: CaseReader) -> list[str]:
    """Every path of a source or of one of its files, as the case spells it."""
    rows = reader.query("SELECT path FROM source_files UNION SELECT path FROM sources")["path"].to_pylist()
    return [path for path in rows if path != "-"]


def marked_ranges(reader: CaseReader, flow_ids: set[int]) -> list[tuple[int, int, int]]:
    """Source, first and last offset of the packets of these flows, of those that have any."""
    condition, params = ids_condition(sorted(flow_ids))
    sql = f"SELECT source_id, first_offset, last_offset FROM flows WHERE {condition} AND first_offset IS NOT NULL"
    return [(row["source_id"], row["first_offset"], row["last_offset"]) for row in reader.query(sql, params).to_pylist()]
