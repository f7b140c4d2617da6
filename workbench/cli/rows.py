"""`workbench flows` and `workbench query`: rows out of a case."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import options
from workbench.cli.formats import Format, choose_format
from workbench.cli.interrupt import stop_on_interrupt
from workbench.cli.messages import tell
from workbench.errors import UsageError

if TYPE_CHECKING:
    from workbench.store.listing import FlowListing
    from workbench.store.query import Rows
    from workbench.store.reader import CaseReader


#: What a table on a terminal shows of a flow when no columns are named.
TABLE_COLUMNS = (
    "ts",
    "src_ip",
    "src_port",
    "dst_ip",
    "dst_port",
    "proto_name",
    "conn_state",
    "src_bytes",
    "dst_bytes",
    "duration",
    "network",
    "service",
    "src_pkts",
    "dst_pkts",
    "history",
    "flow_id",
)


def flows(
    case: options.Case,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", min=0, help="At most N flows. Default: all.", show_default=False),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option("--columns", metavar="A,B,...", help="These columns, in this order. Default: all.", show_default=False),
    ] = None,
    filter_: options.Filter = "",
    show_sql: Annotated[
        bool, typer.Option("--show-sql", help="Show the SQL that lists these flows instead of listing them.")
    ] = False,
    form: options.RowsFormat = None,
    output: options.Output = None,
) -> None:
    """List the flows of a case.

    Ordered by ts, flow_id. A table shows the columns that fit; every other format has all of them.
    """
    if show_sql:
        _show_sql(case, columns, limit, filter_)
        return
    chosen = choose_format(form, output)
    names = _names(columns)
    if names is None and chosen is Format.TABLE:
        names = TABLE_COLUMNS
    from workbench.workflows.show import list_flows

    write_answer(case, lambda reader: list_flows(reader, names, limit, filter_), chosen, output, f"flows {filter_}".rstrip())


def query(
    sql: Annotated[
        str | None, typer.Argument(metavar="[SQL]", help="One SELECT or EXPLAIN.", show_default=False, callback=options.utf8)
    ] = None,
    case: Annotated[
        Path | None, typer.Option("--case", metavar="DIR", help="The case folder.", show_default=False, callback=options.utf8)
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="ID", help="Ask this hunt or detection instead.", show_default=False)
    ] = None,
    parameters: options.Parameters = None,
    queries: options.Queries = None,
    listed: Annotated[bool, typer.Option("--list", help="List all hunts and detections; needs no case.")] = False,
    filter_: options.Filter = "",
    form: options.RowsFormat = None,
    output: options.Output = None,
) -> None:
    """Ask a case a question, in SQL or by name.

    The question can read nothing but the case, and change nothing. With a filter, flows and the views hold only those flows.
    """
    chosen = choose_format(form, output)
    _check_question(sql, name, listed, parameters)
    if listed:
        from workbench.cli.detect import list_questions

        list_questions(queries or [], chosen, output)
        return
    if case is None:
        raise UsageError("--case is missing", "Name the case: workbench query --case DIR ...")
    if name is not None:
        from workbench.cli.detect import ask_named

        ask_named(case, name, options.parameters(parameters), queries or [], filter_, chosen, output)
        return
    from workbench.workflows.show import run_sql

    write_answer(case, lambda reader: run_sql(reader, str(sql), filter_), chosen, output, str(sql))


def _check_question(sql: str | None, name: str | None, listed: bool, parameters: list[str] | None) -> None:
    """Exactly one of the three ways to ask."""
    if [sql is not None, name is not None, listed].count(True) != 1:
        raise UsageError("a query is SQL, or --name ID, or --list: one of them", "See `workbench query --help`.")
    if parameters and name is None:
        raise UsageError("-p goes with --name", "Values in SQL are written into it.")


def _names(columns: str | None) -> tuple[str, ...] | None:
    return tuple(name.strip() for name in columns.split(",")) if columns is not None else None


def _show_sql(case: Path, columns: str | None, limit: int | None, filter_: str) -> None:
    import sys

    from workbench.workflows.show import filter_sql, reading

    with reading(case) as reader:
        sys.stdout.write(filter_sql(reader, filter_, _names(columns), limit) + ";\n")


def write_answer(
    case: Path, ask: Callable[[CaseReader], FlowListing | Rows], form: Format, output: Path | None, asked: str = ""
) -> None:
    """Ask the case and write all rows; Ctrl-C stops the engine. asked: what the audit log calls the question, for a file."""
    from workbench.cli.output import Counted, write_rows
    from workbench.workflows.show import reading

    with reading(case) as reader, stop_on_interrupt(reader.interrupt), ask(reader) as found:
        counted = Counted(found)
        write_rows(counted, form, output)
        root = reader.case.root
    if output is not None:
        from workbench.workflows.exported import rows_exported

        if why := rows_exported(root, output, asked, counted.rows):
            tell(f"note: {why}")
