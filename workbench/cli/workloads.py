"""`workbench workloads`: who held which address when."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from workbench.cli import options
from workbench.cli.formats import Format, choose_format
from workbench.cli.rows import write_answer

#: What a table on a terminal shows of a workload.
TABLE_COLUMNS: Final = (
    "namespace", "name", "kind", "ip", "network", "ts_from", "ts_to", "node", "claimants", "origin", "confidence", "uid",
)  # fmt: skip


def workloads(
    case: options.Case,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="TIME",
            help="Only those of that time: '2026-11-23 12:30', -15m before the case's last packet, now. Default: all.",
            show_default=False,
            callback=options.utf8,
        ),
    ] = None,
    form: options.RowsFormat = None,
    output: options.Output = None,
) -> None:
    """List who held which address when.

    One row per address, span of time and claimant; where an address has several claimants nobody knows which of them had it.
    """
    chosen = choose_format(form, output)
    from workbench.workflows.workloads import list_workloads

    columns = TABLE_COLUMNS if chosen is Format.TABLE else None
    write_answer(case, lambda reader: list_workloads(reader, at, columns), chosen, output, "workloads")
