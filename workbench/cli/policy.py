"""`workbench policy`: check, show, test, compare and prove policies. Other commands of the group have files of their own."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import options
from workbench.cli.formats import Format, choose_format
from workbench.cli.messages import tell
from workbench.errors import ExitCode, PolicyError, UsageError

app = typer.Typer(
    help="Check a policy, replay it against recorded traffic, compare and prove policies.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

PolicyPath = Annotated[
    Path,
    typer.Argument(metavar="POLICY", help="A YAML file, or a folder of them.", show_default=False, callback=options.utf8),
]
PolicyCase = Annotated[
    Path | None,
    typer.Option("--case", metavar="DIR", help="Ask this case who is in the groups.", show_default=False, callback=options.utf8),
]
At = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TIME",
        help="Rules and members as of then: '2026-11-23 12:30', -15m before the case's last packet."
        " Default: rules as of now, members as of that packet.",
        show_default=False,
        callback=options.utf8,
    ),
]


class FailOn(StrEnum):
    """How bad a finding must be for exit code 1."""

    WARNING = "warning"
    ERROR = "error"


@app.command("lint")
def lint(
    policy: PolicyPath,
    case: PolicyCase = None,
    at: At = None,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help="Exit code 1 where a finding is as bad as this, or worse.")
    ] = FailOn.ERROR,
    form: options.RowsFormat = None,
    output: options.Output = None,
) -> int:
    """Look for what is wrong or odd in a policy.

    Exit code 1 where there is an error, 3 where it does not load.
    """
    chosen = choose_format(form, output)
    from workbench.cli.output import write_rows
    from workbench.settings import load_settings
    from workbench.workflows.policy_at import as_of, perhaps
    from workbench.workflows.policy_lint import TABLE_COLUMNS, as_rows, lint_policy, told

    try:
        with perhaps(case) as reader, as_of(reader, at) as moment:
            found = lint_policy(policy, moment, load_settings())
    except PolicyError as error:
        if chosen is not Format.TABLE:  # a table is for people, who are told on stderr
            write_rows(as_rows(told(error)).to_reader(), chosen, output)
        raise
    rows = as_rows(found)
    if chosen is Format.TABLE:
        rows = rows.select(list(TABLE_COLUMNS))
    write_rows(rows.to_reader(), chosen, output, whole=True)
    counts = {severity: sum(one.severity == severity for one in found) for severity in ("error", "warning", "note")}
    tell(", ".join(f"{count} {severity}{'' if count == 1 else 's'}" for severity, count in counts.items()))
    bad = counts["error"] + (counts["warning"] if fail_on is FailOn.WARNING else 0)
    return int(ExitCode.NO if bad else ExitCode.OK)


class Relation(StrEnum):
    """What is to be proven of two policies."""

    EQUAL = "equal"
    CONTAINED = "contained"


@app.command("diff")
def diff(
    old: PolicyPath,
    new: PolicyPath,
    case: PolicyCase = None,
    at: At = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most N rows of each kind of change.")] = 1000,
    form: options.RowsFormat = None,
    output: options.Output = None,
) -> None:
    """List what NEW judges otherwise than OLD: newly allowed, newly denied, and the like.

    Exact, for all packets; with a case ranked by what its flows show.
    """
    chosen = choose_format(form, output)
    from workbench.cli.interrupt import stop_on_interrupt
    from workbench.cli.output import write_rows
    from workbench.workflows.policy_at import as_of, perhaps
    from workbench.workflows.policy_change import TABLE_COLUMNS, compare

    with perhaps(case) as reader, as_of(reader, at) as moment:
        question = reader.question() if reader is not None else None
        with stop_on_interrupt(question.stop if question is not None else lambda: None):
            found = compare(old, new, moment, limit, question)
    rows = found.rows
    if chosen is Format.TABLE:
        rows = rows.select([name for name in TABLE_COLUMNS if name in rows.schema.names])
    write_rows(rows.to_reader(), chosen, output)
    tell_notes(found.notes)
    tell("; ".join(f"{kind}: {count:,} packets" for kind, count in found.packets.items()) or "no packet is judged otherwise")
    if found.left_out:
        tell(f"rows of {found.left_out:,} packets are left out: --limit {limit}")


@app.command("prove")
def prove(
    policies: Annotated[
        list[Path],
        typer.Argument(
            metavar="OLD NEW | POLICY",
            help="Two policies to relate, or one for --never.",
            show_default=False,
            callback=options.utf8s,
        ),
    ],
    relation: Annotated[
        Relation | None,
        typer.Option(
            "--relation",
            help="equal: NEW gives every packet the verdict that OLD gives, and cuts and keeps sessions alike."
            " contained: NEW lets through nothing that OLD stops. Now, and after every end of a rule.",
            show_default=False,
        ),
    ] = None,
    never: Annotated[
        list[str] | None,
        typer.Option(
            "--never",
            metavar="'A -> B : SERVICE'",
            help="POLICY lets none of this through; may be given again.",
            show_default=False,
        ),
    ] = None,
    case: PolicyCase = None,
    at: At = None,
    form: options.RowsFormat = None,
    output: options.Output = None,
) -> int:
    """Prove something of all packets there can be, or show packets that contradict it.

    Exit code 1 where it does not hold.
    """
    chosen = choose_format(form, output)
    _check_proof(policies, relation, never)
    from workbench.cli.output import write_rows
    from workbench.workflows.policy_at import as_of, perhaps
    from workbench.workflows.policy_change import prove_never, prove_relation

    with perhaps(case) as reader, as_of(reader, at) as moment:
        if relation is not None:
            found = prove_relation(policies[0], policies[1], relation.value, moment)
        else:
            found = prove_never(policies[0], [options.utf8(text) for text in never or ()], moment)
    rows = found.people() if chosen is Format.TABLE else found.rows
    if rows.num_rows or chosen is not Format.TABLE:
        write_rows(rows.to_reader(), chosen, output)
    tell_notes(found.notes)
    for statement, holds in found.statements:
        tell(f"{'proven' if holds else 'NOT SO'}: {statement}")
    return int(ExitCode.OK if found.holds else ExitCode.NO)


def _check_proof(policies: list[Path], relation: Relation | None, never: list[str] | None) -> None:
    if (relation is None) == (not never):
        raise UsageError("say what to prove: --relation or --never, one of them", "See `workbench policy prove --help`.")
    wanted = 1 if relation is None else 2
    if len(policies) != wanted:
        said = "--never is about one policy" if wanted == 1 else "--relation is about two policies, OLD and NEW"
        raise UsageError(f"{said}, and {len(policies)} are named", "See `workbench policy prove --help`.")


def tell_notes(notes: Iterable[str]) -> None:
    """What should be known of an answer."""
    for note in notes:
        tell(f"note: {note}")


@app.command("show")
def show(
    policy: PolicyPath,
    case: PolicyCase = None,
    at: At = None,
    form: options.RowsFormat = None,
    output: options.Output = None,
) -> None:
    """List the rules in the order in which they are tried, and who is in each group."""
    chosen = choose_format(form, output)
    from workbench.cli.output import write_rows
    from workbench.workflows import policy_show
    from workbench.workflows.policy_at import as_of, perhaps

    with perhaps(case) as reader, as_of(reader, at) as moment:
        found = policy_show.show(policy, moment)
    if chosen is Format.TABLE and output is None:
        for n, (_, rows) in enumerate(policy_show.parts(found.rows)):
            sys.stdout.write("\n" if n else "")
            write_rows(rows.to_reader(), chosen)
    else:
        write_rows(found.rows.to_reader(), chosen, output)
    tell_notes(found.notes)
