"""`workbench audit`: the hash-chained log of a case."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import options
from workbench.cli.formats import SummaryFormat
from workbench.errors import ExitCode
from workbench.records.visible import visible

app = typer.Typer(help="Show or verify the log of a case.", no_args_is_help=True, rich_markup_mode=None)


@app.command("show")
def show(case: options.Case, form: options.Summary = SummaryFormat.TABLE) -> None:
    """Print the log of a case, oldest line first.

    It is printed as it stands, verified or not.
    """
    from workbench.workflows.trail import audit_entries

    entries = audit_entries(case)
    if form is SummaryFormat.JSON:
        sys.stdout.write(json.dumps([asdict(entry) for entry in entries], indent=1) + "\n")
        return
    for entry in entries:
        detail = " ".join(f"{key}={_short(value)}" for key, value in entry.detail.items())
        sys.stdout.write(visible(f"{entry.seq:>4}  {entry.ts}  {entry.actor}  {entry.action}  {detail}".rstrip()) + "\n")


@app.command("verify")
def verify(
    case: options.Case,
    anchor: Annotated[
        list[str] | None,
        typer.Option(
            "--anchor", metavar="SEQ:HASH", help="A line noted down earlier that must still be there.", show_default=False
        ),
    ] = None,
    heads: Annotated[
        Path | None,
        typer.Option("--heads", metavar="FILE", help="A copy of the signed heads that was kept elsewhere.", show_default=False),
    ] = None,
    form: options.Summary = SummaryFormat.TABLE,
) -> int:
    """Check that nobody changed the log of a case.

    Exit code 1 if a line was changed, removed, added or moved. That its end was cut off can only be told by a signed
    head or an anchor.
    """
    from workbench.workflows.trail import audit_verdict

    verdict = audit_verdict(case, anchor or (), heads)
    problems = [{"line": problem.line, "what": problem.what} for problem in verdict.problems]
    if form is SummaryFormat.JSON:
        found = {"ok": verdict.ok, "entries": verdict.entries, "head": verdict.head, "problems": problems}
        sys.stdout.write(json.dumps(found, indent=1) + "\n")
    else:
        for problem in verdict.problems:
            sys.stdout.write(visible(f"line {problem.line}: {problem.what}") + "\n")
        word = "intact" if verdict.ok else "BROKEN"
        sys.stdout.write(f"{word}: {verdict.entries} lines, head {verdict.entries}:{verdict.head}\n")
    return int(ExitCode.OK if verdict.ok else ExitCode.NO)


def _short(value: object) -> str:
    """Text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
