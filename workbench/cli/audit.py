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
from workbench.cli.messages import tell
from workbench.errors import ExitCode
from workbench.records.visible import visible

app = typer.Typer(help="Show, verify, sign and prove the log of a case.", no_args_is_help=True, rich_markup_mode=None)


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
    proof: Annotated[
        Path | None,
        typer.Option("--proof", metavar="FILE", help="What `audit prove` wrote: that line must be there.", show_default=False),
    ] = None,
    form: options.Summary = SummaryFormat.TABLE,
) -> int:
    """Check that nobody changed the log of a case.

    Exit code 1 if a line was changed, removed, added or moved. That its end was cut off can only be told by a signed
    head or an anchor.
    """
    from workbench.workflows.trail import audit_verdict, proof_problems

    verdict = audit_verdict(case, anchor or (), heads)
    wrong = [*verdict.problems, *(proof_problems(case, proof) if proof is not None else ())]
    problems = [{"line": problem.line, "what": problem.what} for problem in wrong]
    if form is SummaryFormat.JSON:
        found = {"ok": not wrong, "entries": verdict.entries, "head": verdict.head, "vouched": verdict.vouched}
        found["unchecked"] = verdict.unchecked
        sys.stdout.write(json.dumps({**found, "problems": problems}, indent=1) + "\n")
    else:
        for problem in wrong:
            sys.stdout.write(visible(f"line {problem.line}: {problem.what}") + "\n")
        word = "intact" if not wrong else "BROKEN"
        sys.stdout.write(f"{word}: {verdict.entries} lines, head {verdict.entries}:{verdict.head}\n")
        said = f"up to line {verdict.vouched}" if verdict.vouched else "nowhere"
        tell(f"signed or anchored {said}: a cut behind that cannot be found")
        if verdict.unchecked > verdict.vouched:
            tell(f"there are heads up to line {verdict.unchecked}, but signatures not checked: set audit.allowed_signers")
    return int(ExitCode.OK if not wrong else ExitCode.NO)


@app.command("root")
def root(
    case: options.Case,
    at: Annotated[
        int | None, typer.Option("--at", metavar="SEQ", help="Over the first SEQ lines only.", show_default=False)
    ] = None,
    form: options.Summary = SummaryFormat.TABLE,
) -> None:
    """Print the Merkle root over the lines of the log.

    One hash to note down, that says all of them.
    """
    from workbench.workflows.trail import audit_root

    found = audit_root(case, at)
    if form is SummaryFormat.JSON:
        sys.stdout.write(json.dumps(asdict(found)) + "\n")
    else:
        sys.stdout.write(f"{found.root}  {found.seq} lines, head {found.seq}:{found.hash}\n")


@app.command("sign")
def sign(
    case: options.Case,
    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="K", help="SSH key, or its public half. Default: audit.signing_key.", show_default=False),
    ] = None,
) -> None:
    """Sign the head of the log, and anchor it where the settings say.

    It happens by itself after each indexing.
    """
    from workbench.workflows.trail import audit_sign

    for line in audit_sign(case, key):
        tell(line)


@app.command("prove")
def prove(seq: Annotated[int, typer.Argument(metavar="SEQ", help="The line.", show_default=False)], case: options.Case) -> None:
    """Print a proof that a line is in the log, without its other lines.

    It is checked by `audit verify --proof FILE`, or by anybody with the root.
    """
    from workbench.workflows.trail import audit_proof

    sys.stdout.write(json.dumps(audit_proof(case, seq), indent=1) + "\n")


def _short(value: object) -> str:
    """Text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
