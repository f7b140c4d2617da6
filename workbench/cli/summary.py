"""What an index run did, for people (two tables) or as one JSON object."""

from __future__ import annotations

import json
import sys
from typing import Any

import pyarrow as pa

from workbench.cli.output import json_lines
from workbench.cli.table import write_table
from workbench.cli.text_columns import rows_table
from workbench.records.arrow import arrow_schema
from workbench.records.visible import visible
from workbench.workflows.requests import IndexResult

_SOURCE_COLUMNS = ("source_id", "state", "packets", "flows", "bytes", "ts_first", "ts_last", "dropped", "path")


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
    sources = rows_table(result.sources, arrow_schema("sources")).select(_SOURCE_COLUMNS)
    _table(sources)
    sys.stdout.write("\n")
    if result.ledger:
        _table(rows_table(result.ledger, arrow_schema("ledger")))
    else:
        sys.stdout.write("Ledger: empty. Every packet was decoded, and nothing says that any is missing.\n")
    packets = sum(row.get("packets") or 0 for row in result.sources)
    flows = sum(row.get("flows") or 0 for row in result.sources)
    sys.stdout.write(f"\n{packets:,} packets, {flows:,} flows, {result.seconds:.1f} s. Case: ")
    sys.stdout.write(visible(str(result.case)) + "\n")


def _table(rows: pa.Table) -> None:
    sys.stdout.flush()
    write_table(rows.schema, rows.to_batches(), sys.stdout.buffer, terminal=sys.stdout.isatty())
    sys.stdout.buffer.flush()


def _objects(rows: list[dict[str, Any]], table: str) -> list[dict[str, Any]]:
    """Rows as JSON has them: times and blobs as text, absent keys as null."""
    found = rows_table(rows, arrow_schema(table))
    return [json.loads(line) for batch in found.to_batches() for line in json_lines(found.schema, batch).to_pylist()]
