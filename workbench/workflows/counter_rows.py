"""Counters of interfaces, as sFlow's agents tell them, as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from workbench.decode.telemetry.sflow import Counters
from workbench.flows.batches import record_batch

_KINDS: Final = ("unicast", "multicast", "broadcast")
#: Values that mean "not told" (sFlow 5, 5.1): all ones, of the field's width. Larger ones are none that a BIGINT holds.
_UNKNOWN_SHORT: Final = (1 << 32) - 1
_MOST: Final = (1 << 63) - 1
_LONG: Final = frozenset({"speed", "in_bytes", "out_bytes"})


def counter_rows(told: Sequence[Counters]) -> pa.RecordBatch:
    """Rows of `interface_counters`; source_id 0: who stores them knows the source."""
    rows = [_row(one) for one in told]
    columns = {name: pa.array([row[name] for row in rows], pa.int64()) for name in rows[0]} if rows else {}
    columns["ts"] = pa.array([one.ts // 1000 for one in told], pa.timestamp("us"))
    columns["agent"] = pa.array([one.agent for one in told], pa.utf8())
    return record_batch("interface_counters", columns, len(rows))


def _row(one: Counters) -> dict[str, int | None]:
    values = one.by_name()

    def told(name: str) -> int | None:
        value = values[name]
        return value if value <= _MOST and (name in _LONG or value != _UNKNOWN_SHORT) else None

    row: dict[str, int | None] = {"source_id": 0, "if_index": values["if_index"], "speed": told("speed")}
    for way in ("in", "out"):
        packets = [told(f"{way}_{kind}") for kind in _KINDS]
        row[f"{way}_bytes"] = told(f"{way}_bytes")
        row[f"{way}_pkts"] = None if None in packets[:1] else sum(n for n in packets if n is not None)
        row[f"{way}_discards"], row[f"{way}_errors"] = told(f"{way}_discards"), told(f"{way}_errors")
    return row
