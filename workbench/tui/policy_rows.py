"""Rows of the policy view: prefixes and services as text, and the filter that keeps what a row counts."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from workbench.analysis.prefixes import Prefix
from workbench.tui import conditions, figures
from workbench.tui.looks import Look, text_cell
from workbench.tui.overview_panels import service_filter, service_value
from workbench.tui.table_source import second


def _percent(value: Any) -> str:
    return figures.NOTHING if value is None else f"{100 * value:.0f}%"


#: Services between networks. Names of the wire may not widen their column, here and below: nothing beside them moves.
PATHS: Final[tuple[Look, ...]] = (
    Look("from", "from", "network of the originator", 15, 28, False, "", text_cell),
    Look("to", "to", "network of the responder", 15, 28, False, "", text_cell),
    Look("service", "service", "what was spoken, or protocol and port", 14, 14, False, "", text_cell),
    Look("flows", "flows", "how many flows", 6, 7, True, "", figures.count),
    Look("bytes", "bytes", "IP bytes both ways", 8, 8, True, "", figures.size),
    Look("no_answer", "no answer", "share of flows that nothing came back for, or that were refused", 9, 9, True, "", _percent),
    Look("first", "first", "first packet, UTC", 19, 19, False, "time", second),
    Look("last", "last", "last packet, UTC", 19, 19, False, "time", second),
)

#: Verdicts and rules.
RULES: Final[tuple[Look, ...]] = (
    Look("verdict", "verdict", "verdict in the row's own telemetry", 12, 12, False, "", text_cell),
    Look("rule_id", "rule", "rule in the row's own telemetry", 24, 24, False, "", text_cell),
    Look("flows", "flows", "how many flows", 6, 7, True, "", figures.count),
    Look("bytes", "bytes", "IP bytes both ways", 8, 8, True, "", figures.size),
    Look("first", "first", "first packet, UTC", 19, 19, False, "time", second),
    Look("last", "last", "last packet, UTC", 19, 19, False, "time", second),
)


def ascending_first(column: str) -> bool:
    """Whether a column is sorted from its least on when it is chosen: names and times are."""
    return column in ("from", "to", "service", "first", "last")


def path_table(found: pa.Table) -> pa.Table:
    """Lines of east_west.paths with prefixes as text; `kept` is the filter, `field`, `named` and `number` what f keeps."""
    rows = found.to_pylist()
    out = []
    for row in rows:
        ends = {side: str(Prefix.of_key(row[f"{side}_key"], 24, 64)) for side in ("src", "dst")}
        field, value = service_value(row)
        kept = f"src_ip == {ends['src']} && dst_ip == {ends['dst']} && {service_filter(row)}"
        if row["service"] is not None and row["proto"] is not None:  # one that is spoken over several has a line for each
            kept += f" && proto == {row['proto']}"
        out.append((ends["src"], ends["dst"], row["label"], kept, field, str(value), value if isinstance(value, int) else None))
    names = ("from", "to", "service", "kept", "field", "named", "number")
    types = (*[pa.string()] * 6, pa.int64())
    texts = {name: pa.array([one[n] for one in out], kind) for n, (name, kind) in enumerate(zip(names, types, strict=True))}
    amounts = {name: found[name] for name in ("flows", "bytes", "first", "last")}
    return pa.table({**texts, **amounts, "no_answer": found["unanswered"]})


def rule_table(found: pa.Table) -> pa.Table:
    """Lines of east_west.verdicts with their filter."""
    kept = [
        " && ".join(conditions.condition(name, row[name], keep=True) for name in ("verdict", "rule_id"))
        for row in found.to_pylist()
    ]
    return found.append_column("kept", pa.array(kept, pa.string()))
