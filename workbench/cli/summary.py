"""What an index run did, for people (two tables) or as one JSON object."""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa

from workbench.cli.output import json_lines
from workbench.cli.table import write_table
from workbench.export.text_columns import rows_table
from workbench.records.arrow import arrow_schema
from workbench.records.visible import visible
from workbench.workflows.requests import IndexResult


def print_json(result: IndexResult) -> None:
    """One object {case, sources, ledger, seconds} on stdout; rows as `flows --format json` has them."""
    summary = {
        "case": str(result.case.absolute()),
        "sources": _objects(result.sources, "sources"),
        "ledger": _objects(result.ledger, "ledger"),
        "seconds": round(result.seconds, 3),
    }
    sys.stdout.write(json.dumps(summary, indent=1) + "\n")


def print_tables(result: IndexResult) -> None:
    """One line a source, then the ledger, then totals on a line of their own."""
    _table(_sources(result.sources))
    sys.stdout.write("\n")
    if result.ledger:
        _table(rows_table(result.ledger, arrow_schema("ledger")))
    else:
        sys.stdout.write("Ledger: empty. Every packet was decoded, and nothing says that any is missing.\n")
    packets = sum(row.get("packets") or 0 for row in result.sources)
    flows = sum(row.get("flows") or 0 for row in result.sources)
    sys.stdout.write(f"\n{packets:,} packets, {flows:,} flows, {result.seconds:.1f} s. Case: ")
    sys.stdout.write(visible(str(result.case)) + "\n")


def _sources(rows: list[dict[str, Any]]) -> pa.Table:
    """What people want to know of each source; the least needed stands last, where a narrow terminal drops it."""
    columns: dict[str, list[Any]] = {
        "id": [row.get("source_id") for row in rows],
        "path": [_short_path(row.get("path") or "") for row in rows],
        **{name: [row.get(name) for row in rows] for name in ("state", "packets", "flows", "bytes")},
        "dropped": [row.get("dropped") for row in rows],
        "span": [_span(row.get("ts_first"), row.get("ts_last")) for row in rows],
        "from": pa.array([row.get("ts_first") for row in rows], pa.timestamp("us")),
    }
    if all(count is None for count in columns["dropped"]):  # nobody counted: the ledger would say so, too
        del columns["dropped"]
    return pa.table(columns)


def _short_path(path: str) -> str:
    """A path below the current folder as it would be typed."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def _span(first: dt.datetime | None, last: dt.datetime | None) -> str | None:
    """How long the traffic lasted, such as 12.5 s or 1 d 02:03:04."""
    if first is None or last is None:
        return None
    seconds = (last - first).total_seconds()
    if abs(seconds) < 60:
        return f"{seconds:.1f} s"
    days, rest = divmod(round(seconds), 86_400)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days} d {clock}" if days else clock


def _table(rows: pa.Table) -> None:
    sys.stdout.flush()
    write_table(rows.schema, rows.to_batches(), sys.stdout.buffer, terminal=sys.stdout.isatty())
    sys.stdout.buffer.flush()


def _objects(rows: list[dict[str, Any]], table: str) -> list[dict[str, Any]]:
    """Rows as JSON has them: times and blobs as text, absent keys as null."""
    found = rows_table(rows, arrow_schema(table))
    return [json.loads(line) for batch in found.to_batches() for line in json_lines(found.schema, batch).to_pylist()]
