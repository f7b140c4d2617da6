"""`workbench policy compile`: a policy as a target's own rules."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import options
from workbench.cli.formats import SummaryFormat
from workbench.cli.messages import tell
from workbench.errors import ExitCode


def compile_(
    policy: Annotated[
        Path,
        typer.Argument(metavar="POLICY", help="A YAML file, or a folder of them.", show_default=False, callback=options.utf8),
    ],
    target: Annotated[
        str,
        typer.Option("--target", metavar="TARGET", help="ovs, nft, or a target of the settings.", callback=options.utf8),
    ],
    case: Annotated[
        Path | None,
        typer.Option(
            "--case", metavar="DIR", help="Ask this case who is in the groups.", show_default=False, callback=options.utf8
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="Rules and members as of then.", show_default=False, callback=options.utf8),
    ] = None,
    before: Annotated[
        Path | None,
        typer.Option(
            "--before",
            metavar="FILE",
            help="Keep the numbers of rules that this earlier --format json has.",
            show_default=False,
            callback=options.utf8,
        ),
    ] = None,
    form: options.Summary = SummaryFormat.TABLE,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the rules to FILE.", show_default=False)
    ] = None,
) -> int:
    """Write a policy as OpenFlow flows or as a table of nftables, read back and proven equal.

    The rules on stdout or in FILE, what should be known of them on stderr; with --format json one object with everything.
    Exit code 1 where they could not be proven.
    """
    from workbench.settings import load_settings
    from workbench.workflows.compile_policy import compile_policy
    from workbench.workflows.policy_at import as_of, perhaps

    with perhaps(case) as reader, as_of(reader, at) as moment:
        made = compile_policy(policy, target, moment, load_settings(), before)
    for line in made.told():
        tell(line)
    as_json = json.dumps(made.as_json(), ensure_ascii=True) + "\n"
    text = as_json if form is SummaryFormat.JSON else made.compiled.text
    if output is None:
        sys.stdout.write(text)
    else:
        from workbench.export.rows import appearing

        with appearing(output) as sink:
            sink.write(text.encode())
    return int(ExitCode.OK if made.proof.equal else ExitCode.NO)
