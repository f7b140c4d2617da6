"""Rows out of a case for whoever asks: its flows in order, or the answer to a query."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from workbench.errors import UsageError
from workbench.records.columns import FLOWS

if TYPE_CHECKING:
    from workbench.filters import Filter
    from workbench.store.listing import FlowListing
    from workbench.store.pages import Where
    from workbench.store.query import Rows
    from workbench.store.reader import CaseReader

_ATTACHED: Final = "SELECT 1 FROM sources WHERE state = 'indexing' AND path LIKE 'live:%' LIMIT 1"


@contextmanager
def reading(case: Path) -> Iterator[CaseReader]:
    """The case at that folder, open for reading; its `interrupt` stops what is asked of it, from any thread.

    MissingPathError, NotACaseError, CaseBusyError, ForeignCaseError as CaseReader raises them.
    """
    from workbench.store.reader import CaseReader

    with CaseReader(case) as reader:
        yield reader


def case_filter(case: CaseReader, text: str) -> Filter:
    """The filter of that text for this case. FilterError where it is wrong.

    Relative times count from now while somebody is attached to an interface or a port, otherwise from the last packet: a capture
    on standard input may be of any time.
    """
    from workbench.filters import compile_filter
    from workbench.records.columns import BY_NAME

    compile_filter(text, tables=BY_NAME.keys())  # a wrong one is said before the case is asked anything
    return compile_filter(text, now=case_now(case), tables=BY_NAME.keys())


def case_now(case: CaseReader) -> int:
    """What relative times count from in this case, microseconds since 1970."""
    now = time.time_ns() // 1000
    if case.query(_ATTACHED).num_rows:
        return now
    last = case.query("SELECT epoch_us(max(ts_end)) AS last FROM flows")["last"][0].as_py()
    return now if last is None else int(last)


def list_flows(
    case: CaseReader, columns: Sequence[str] | None = None, limit: int | None = None, filter_text: str = ""
) -> FlowListing:
    """The flows of a case by ts, flow_id, streamed; all columns, or the named ones in their order; to be closed.

    filter_text: which flows. UsageError for a column that flows don't have, FilterError for a wrong filter.
    """
    from workbench.store.listing import FlowListing

    names = _columns(columns) if columns is not None else FLOWS.names
    return FlowListing(case, names, limit, where=kept_flows(case, filter_text))


def run_sql(case: CaseReader, sql: str, filter_text: str = "") -> Rows:
    """The answer to one SELECT or EXPLAIN, streamed; to be closed. QueryError where it is refused or wrong.

    filter_text: which flows the question sees. FilterError where it is wrong.
    """
    from workbench.store.query import run_query

    return run_query(case, sql, where=kept_flows(case, filter_text))


def filter_sql(case: CaseReader, filter_text: str, columns: Sequence[str] | None = None, limit: int | None = None) -> str:
    """The SELECT that lists those flows, as the plain duckdb shell takes it. Raises as `list_flows`."""
    from workbench.filters import shown_sql

    return shown_sql(case_filter(case, filter_text), _columns(columns) if columns is not None else (), limit)


def kept_flows(case: CaseReader, filter_text: str) -> Where:
    """The flows that a filter keeps; everything where it is blank. FilterError where it is wrong."""
    from workbench.store.pages import EVERYTHING, Where

    if not filter_text.strip():
        return EVERYTHING
    made = case_filter(case, filter_text)
    return Where(made.sql, made.params)


def _columns(names: Sequence[str]) -> list[str]:
    return [_column(name) for name in names]


def _column(name: str) -> str:
    if name in FLOWS.names:
        return name
    import difflib

    near = difflib.get_close_matches(name.lower(), FLOWS.names, n=1, cutoff=0.0)
    raise UsageError(f"flows have no column {name or repr(name)}", f"Did you mean {near[0]}? docs/schema.md lists them all.")
