"""Rows out of a case for whoever asks: its flows in order, or the answer to a query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import UsageError
from workbench.records.columns import FLOWS

if TYPE_CHECKING:
    from workbench.filters import Filter
    from workbench.store.listing import FlowListing
    from workbench.store.query import Rows
    from workbench.store.reader import CaseReader


@contextmanager
def reading(case: Path) -> Iterator[CaseReader]:
    """The case at that folder, open for reading; its `interrupt` stops what is asked of it, from any thread.

    MissingPathError, NotACaseError, CaseBusyError, ForeignCaseError as CaseReader raises them.
    """
    from workbench.store.reader import CaseReader

    with CaseReader(case) as reader:
        yield reader


def case_filter(case: CaseReader, text: str) -> Filter:
    """The filter of that text for this case: relative times count from its last packet. FilterError where it is wrong."""
    from workbench.filters import compile_filter
    from workbench.records.columns import BY_NAME

    last = case.query("SELECT epoch_us(max(ts_end)) AS last FROM flows")["last"][0].as_py()
    return compile_filter(text, now=last, tables=BY_NAME.keys())


def list_flows(case: CaseReader, columns: Sequence[str] | None = None, limit: int | None = None) -> FlowListing:
    """The flows of a case by ts, flow_id, streamed; all columns, or the named ones in their order; to be closed.

    UsageError for a column that flows don't have.
    """
    from workbench.store.listing import FlowListing

    return FlowListing(case, [_column(name) for name in columns] if columns is not None else FLOWS.names, limit)


def run_sql(case: CaseReader, sql: str) -> Rows:
    """The answer to one SELECT or EXPLAIN, streamed; to be closed. QueryError where it is refused or wrong."""
    from workbench.store.query import run_query

    return run_query(case, sql)


def _column(name: str) -> str:
    if name in FLOWS.names:
        return name
    import difflib

    near = difflib.get_close_matches(name.lower(), FLOWS.names, n=1, cutoff=0.0)
    raise UsageError(f"flows have no column {name or repr(name)}", f"Did you mean {near[0]}? docs/schema.md lists them all.")
