"""PACKET rows by hand, and rows of the flow table in the shape of the reference model's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.flows.reference import Packet
from workbench.flows.table import FlowTable
from workbench.records.packet import PACKET
from workbench.settings import FlowSettings

MAPPED = 0xFFFF << 32
NOTHING = np.zeros(1, np.uint8)


def rows(packets: Sequence[Packet]) -> np.ndarray[Any, Any]:
    """PACKET rows, IPv4, untunnelled."""
    out = np.zeros(len(packets), PACKET)
    for row, p in zip(out, packets, strict=True):
        row["ts"], row["rec"] = p.ts, p.offset
        row["src_lo"], row["dst_lo"] = MAPPED | p.src, MAPPED | p.dst
        row["src_port"], row["dst_port"], row["proto"] = p.sport, p.dport, p.proto
        row["flags"], row["seq"], row["ack"], row["window"] = p.flags, p.seq, p.ack, p.window
        row["payload"] = p.payload
        row["pay_cap"] = p.payload if p.cap is None else p.cap
        row["ip_bytes"], row["wire"], row["marks"] = p.ip_bytes, p.ip_bytes + 14, p.marks
        row["vlan"], row["inner_vlan"], row["outer_vlan"], row["vni"] = p.vlan, -1, -1, -1
        row["src_mac"], row["dst_mac"], row["version"] = 0x020000000000 + p.src, 0x020000000000 + p.dst, 4
    return out


def feed(table: FlowTable, packets: np.ndarray[Any, Any], chunk: int = 2048) -> None:
    """All packets in chunks."""
    for start in range(0, len(packets), chunk):
        part = packets[start : start + chunk]
        table.update(NOTHING, np.ascontiguousarray(part), len(part), 0)


def number(text: str) -> int:
    """IPv4 address as a number."""
    a, b, c, d = map(int, text.split("."))
    return a << 24 | b << 16 | c << 8 | d


def comparable(out: dict[str, Any]) -> list[dict[str, object]]:
    """What `finish` gave, by n, as `reference.Flow.row` writes it."""
    slices: dict[int, list[tuple[int, ...]]] = {}
    blocks: dict[int, list[int]] = {}
    for r in out["flow_slices"].to_pylist():
        slices.setdefault(r["flow_id"], []).append(tuple(r.values()))
    for r in out["flow_blocks"].to_pylist():
        blocks.setdefault(r["flow_id"], []).append(r["block"])
    found = []
    for r in sorted(out["flows"].to_pylist(), key=lambda r: r["flow_id"]):
        ts, ts_end = (int(np.datetime64(r[k], "us").astype(np.int64)) for k in ("ts", "ts_end"))
        parts = [(int(np.datetime64(s[1], "us").astype(np.int64)) - ts) // 60_000_000 for s in slices.get(r["flow_id"], [])]
        found.append(
            {
                "n": r["flow_id"] & ((1 << 40) - 1),
                "src": (number(r["src_ip"]), r["src_port"] or 0),
                "dst": (number(r["dst_ip"]), r["dst_port"] or 0),
                "proto": r["proto"],
                "conn_state": r["conn_state"],
                "history": r["history"],
                "pkts": (r["src_pkts"], r["dst_pkts"]),
                "bytes": (r["src_bytes"], r["dst_bytes"]),
                "payload": (r["src_payload"], r["dst_payload"]),
                "flags": (r["src_flags"], r["dst_flags"]),
                "rtt_us": r["rtt_us"],
                "retransmits": r["retransmits"],
                "end_reason": r["end_reason"],
                "ts": ts,
                "ts_end": ts_end,
                "duration": r["duration"],
                "offsets": (r["first_offset"], r["last_offset"]),
                "blocks": sorted(blocks.get(r["flow_id"], [])),
                "slices": sorted((m, *s[2:]) for m, s in zip(parts, slices.get(r["flow_id"], []), strict=True)),
            }
        )
    return found


def run(packets: Sequence[Packet], *, chunk: int = 2048, **settings: Any) -> list[dict[str, object]]:
    """Rows of a fresh table. The packets have no bytes, so nobody listens to what they say."""
    table = FlowTable(1, "here", FlowSettings(application=False, **settings))
    feed(table, rows(packets), chunk)
    return comparable(table.finish())
