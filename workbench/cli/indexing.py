"""`workbench index` and `workbench open`."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from typing import Annotated

import typer

from workbench.cli import options
from workbench.cli.formats import SummaryFormat
from workbench.cli.interrupt import cancel_on_interrupt
from workbench.cli.messages import tell, tell_error
from workbench.errors import ExitCode, UsageError
from workbench.records.visible import path_text, visible
from workbench.workflows.requests import IndexRequest, IndexResult, OpenRequest


class Hash(StrEnum):
    """Whether files are hashed beside the indexing."""

    SHA256 = "sha256"
    OFF = "off"


class JoinChoice(StrEnum):
    """Whether rotated files are one source."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Scope(StrEnum):
    """What besides the 5-tuple keys a flow."""

    BOTH = "both"
    VNI = "vni"
    VLAN = "vlan"
    NONE = "none"


def need_terminal(*, piped: bool = False) -> None:
    """UsageError where the app has neither a terminal nor a browser (`serve`) to draw on. piped: standard input is data."""
    if "web_driver" in os.environ.get("TEXTUAL_DRIVER", ""):
        return
    if not ((piped or sys.stdin.isatty()) and sys.stdout.isatty()):
        raise UsageError("the app needs a terminal", "In scripts use the other commands; see `workbench --help`.")


def open_(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH", help="Captures, folders, globs, or a case folder.", show_default=False)
    ],
    case: options.CaseOrCache = None,
) -> OpenRequest:
    """Show captures or a case in the app.

    What is not indexed yet is indexed on the way: flows appear while that goes on.
    """
    need_terminal()
    from workbench.workflows.open_case import plan_open

    return plan_open(tuple(paths), case)


def index(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH", help="Captures, folders, globs, or - for standard input.", show_default=False),
    ],
    case: options.Case,
    hash_: Annotated[Hash, typer.Option("--hash", help="Hash every file beside the indexing, or don't.")] = Hash.SHA256,
    join: Annotated[
        JoinChoice, typer.Option("--join", help="Whether rotated files are one source; auto knows the usual rotation names.")
    ] = JoinChoice.AUTO,
    key_scope: Annotated[
        Scope | None,
        typer.Option(
            "--key-scope",
            help="Which network ids key a flow, besides addresses, ports and protocol. Default: as set, both.",
            show_default=False,
        ),
    ] = None,
    bpf: Annotated[
        str | None,
        typer.Option(
            "--bpf",
            metavar="FILTER",
            help="Index only packets that pass this capture filter, as tcpdump has it.",
            show_default=False,
            callback=options.utf8,
        ),
    ] = None,
    form: options.Summary = SummaryFormat.TABLE,
) -> int:
    """Index captures into a case.

    Prints what is in them and what was not seen. Ctrl-C keeps what was indexed until then.
    """
    request = IndexRequest(
        tuple(paths), case, hash_ is Hash.SHA256, join.value, None if key_scope is None else key_scope.value, bpf
    )
    result = run_index(request)
    from workbench.cli.summary import print_json, print_tables

    (print_json if form is SummaryFormat.JSON else print_tables)(result)
    sys.stdout.flush()
    return say_rest(result)


def run_index(request: IndexRequest) -> IndexResult:
    """Carry it out with progress on a terminal; Ctrl-C cancels it."""
    from workbench.cli.progress import index_progress

    if request.form is not None:
        from workbench.workflows.import_logs import import_logs

        with cancel_on_interrupt() as cancel, index_progress() as show:
            return import_logs(request, show, cancel)
    from workbench.workflows.ingest import index_sources

    with cancel_on_interrupt() as cancel, index_progress() as show:
        return index_sources(request, show, cancel)


def say_rest(result: IndexResult) -> int:
    """What the summary does not say by itself, on stderr; the exit code."""
    partial = {row.get("path") for row in result.sources if row.get("state") == "partial"}
    for path in result.skipped:
        there = "already in the case, partial there" if path_text(path) in partial else "already in the case"
        tell(f"{path}: {there}, not indexed again")
    for error in result.refused:
        tell_error(error)
    for note in result.notes:
        tell(visible(note))
    if result.cancelled:
        tell("Cancelled: the case holds what was indexed until then.")
        return int(ExitCode.INTERRUPTED)
    return int(ExitCode.BAD_INPUT if result.refused else ExitCode.OK)
