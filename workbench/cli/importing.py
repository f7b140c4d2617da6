"""`workbench import`: what other tools recorded, into a case."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, cast

import typer

from workbench.cli import options
from workbench.cli.formats import SummaryFormat
from workbench.cli.indexing import Hash, JoinChoice, run_index, say_rest
from workbench.errors import UsageError
from workbench.records.telemetry_kinds import FORMATS
from workbench.workflows.requests import IndexRequest, TelemetryFormat


def import_(
    form: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT",
            help="ipfix, netflow, sflow, nfdump; kubernetes, ovn, libvirt, claims; zeek, eve, hubble, vpcflow...; or one's own.",
            show_default=False,
        ),
    ],
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH",
            help="Captures of an exporter's datagrams, files of its messages, listings, logs, or folders of them.",
            show_default=False,
        ),
    ],
    case: options.Case,
    hash_: Annotated[Hash, typer.Option("--hash", help="Hash every file beside the reading, or don't.")] = Hash.SHA256,
    join: Annotated[
        JoinChoice, typer.Option("--join", help="Whether files are one stream; auto: rotated captures, and files of one folder.")
    ] = JoinChoice.AUTO,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="ovn, libvirt: what they list was held since then.", show_default=False),
    ] = None,
    queries: Annotated[
        list[Path] | None,
        typer.Option("--queries", metavar="DIR", help="A folder with import formats of one's own.", show_default=False),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(
            "--network",
            metavar="NETWORK",
            help="Names: the network of what they list without one: untagged, vlan:N, vni:N...",
            show_default=False,
        ),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(
            "--mapping", metavar="FILE", help="csv, parquet: which of their columns is which of ours.", show_default=False
        ),
    ] = None,
    summary: options.Summary = SummaryFormat.TABLE,
) -> int:
    """Import flow telemetry, listings of names and logs into a case.

    Records become flows, both directions of one paired; every exporter and every log is a source. Prints what is in them and what
    was not seen.
    """
    from workbench.cli.inventory import INVENTORIES, run_inventory

    request = IndexRequest(tuple(paths), case, hash_ is Hash.SHA256, join.value)
    if (listing := INVENTORIES.get(form)) is not None:
        result = run_inventory(listing, tuple(paths), case, hash_=hash_ is Hash.SHA256, since=since, network=network)
    elif network is not None:
        raise UsageError("--network is for listings of names", "Flows have the network that they were seen in.")
    elif form in FORMATS:
        result = run_index(replace(request, telemetry=cast("TelemetryFormat", form)))
    elif join is JoinChoice.ALWAYS:
        raise UsageError("logs are not joined: every file is a source", "Leave --join out.")
    else:
        result = run_index(replace(request, form=form, queries=tuple(queries or ()), mapping=mapping))
    from workbench.cli.summary import print_json, print_tables

    (print_json if summary is SummaryFormat.JSON else print_tables)(result)
    sys.stdout.flush()
    return say_rest(result)
