"""`workbench policy suggest`: drafts from what was seen."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import options
from workbench.cli.formats import SummaryFormat
from workbench.cli.interrupt import stop_on_interrupt
from workbench.cli.messages import tell
from workbench.errors import UsageError


class Least(StrEnum):
    """What a cut costs."""

    CONNECTIONS = "connections"
    BYTES = "bytes"


def suggest(
    case: options.Case,
    filter_: options.Filter = "",
    finding: Annotated[
        str,
        typer.Option(
            "--finding", metavar="ID", help="Contain what this finding is about.", show_default=False, callback=options.utf8
        ),
    ] = "",
    breadth: Annotated[
        str,
        typer.Option(
            "--breadth",
            metavar="HOW",
            help="exact, workloads, tight, subnets or broad; or 0 to 4. Default: workloads, of a repair exact.",
            show_default=False,
        ),
    ] = "",
    leave_out: Annotated[
        str,
        typer.Option(
            "--leave-out", metavar="SEVERITY", help="Findings from this severity on are left out with their flows; or nothing."
        ),
    ] = "medium",
    separate: Annotated[
        str,
        typer.Option(
            "--separate",
            metavar="WHO",
            help="The smallest cut after which nobody of these (addresses, prefixes, workloads) reaches --from.",
            show_default=False,
            callback=options.utf8,
        ),
    ] = "",
    from_: Annotated[
        str,
        typer.Option("--from", metavar="WHO", help="Whom --separate must not reach.", show_default=False, callback=options.utf8),
    ] = "",
    least: Annotated[Least, typer.Option("--least", help="What a cut is to have least of.")] = Least.CONNECTIONS,
    timed: Annotated[bool, typer.Option("--timed", help="Only ways whose connections follow each other in time.")] = False,
    repair: Annotated[
        Path | None,
        typer.Option(
            "--repair",
            metavar="POLICY",
            help="Add as few rules to this policy as make --must-allow and --must-block hold.",
            show_default=False,
            callback=options.utf8,
        ),
    ] = None,
    must_allow: Annotated[
        str,
        typer.Option(
            "--must-allow",
            metavar="F",
            help="Flows that must get through; of a cut: that must stay.",
            show_default=False,
            callback=options.utf8,
        ),
    ] = "",
    must_block: Annotated[
        str, typer.Option("--must-block", metavar="F", help="Flows that must not.", show_default=False, callback=options.utf8)
    ] = "",
    no_guards: Annotated[
        bool, typer.Option("--no-guards", help="No rules for DNS, DHCP, neighbour discovery and the like.")
    ] = False,
    keep_external: Annotated[
        bool, typer.Option("--keep-external", help="Don't deny what was not seen between inside and outside.")
    ] = False,
    expires: Annotated[str, typer.Option("--expires", metavar="TIME", help="How long a containment or a cut lasts.")] = "4h",
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="The policy's name.", show_default=False, callback=options.utf8)
    ] = "",
    form: options.Summary = SummaryFormat.TABLE,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the policy to FILE.", show_default=False)
    ] = None,
) -> None:
    """Draft a policy from recorded flows, each rule with its evidence.

    YAML on stdout or in FILE; what was left out is told on stderr. With --format json one object with rules, evidence and text.
    """
    _check(filter_, finding, separate, from_, repair, must_allow, must_block)
    from workbench.workflows.draft_change import repair_policy
    from workbench.workflows.draft_change import separate as cut
    from workbench.workflows.draft_policy import Options, Selection, suggest_policy
    from workbench.workflows.show import reading

    chosen = breadth or ("exact" if repair else "workloads")
    how = Options(name, chosen, leave_out, not no_guards, keep_external, expires)
    with reading(case) as reader, stop_on_interrupt(reader.interrupt):
        if separate:
            by_bytes = least is Least.BYTES
            made = cut(reader, separate, from_, how, by_bytes=by_bytes, timed=timed, keep=must_allow, filter_text=filter_)
        elif repair is not None:
            made = repair_policy(reader, repair, must_allow, must_block, how)
        else:
            made = suggest_policy(reader, Selection(filter_, (), finding), how)
    for line in made.told:
        tell(line)
    text = json.dumps(made.report, ensure_ascii=True) + "\n" if form is SummaryFormat.JSON else made.text
    if output is None:
        sys.stdout.write(text)
        return
    from workbench.export.rows import appearing

    with appearing(output) as sink:
        sink.write(made.text.encode())
    if form is SummaryFormat.JSON:
        sys.stdout.write(text)


def _check(filter_: str, finding: str, separate: str, from_: str, repair: Path | None, must_allow: str, must_block: str) -> None:
    """Options that go together, and those that don't."""
    if [bool(finding), bool(separate), repair is not None].count(True) > 1:
        raise UsageError("a draft is of one kind", "Give one of --finding, --separate and --repair.")
    if filter_ and (finding or repair is not None):
        raise UsageError("--filter says what to draft from, and a finding or a repair says that itself", "Leave it out.")
    if bool(separate) != bool(from_):
        raise UsageError("--separate and --from go together", "Name both sets: --separate 10.0.1.0/24 --from 10.0.2.5.")
    if repair is not None and not (must_allow or must_block):
        raise UsageError("a repair needs what must hold", "Give --must-allow, --must-block or both.")
    if (must_block and repair is None) or (must_allow and repair is None and not separate):
        raise UsageError("--must-allow and --must-block go with --repair", "Of a cut, --must-allow says what must stay.")
