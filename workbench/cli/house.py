"""`workbench doctor` and `workbench completions`: the installation itself."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import options
from workbench.cli.formats import SummaryFormat
from workbench.cli.messages import tell
from workbench.errors import ExitCode

if TYPE_CHECKING:
    from workbench.workflows.doctor import Check


class Shell(StrEnum):
    """Shells that can complete our words."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"


def doctor(
    warm: Annotated[bool, typer.Option("--warm", help="Compile all kernels now, once, so that no later command has to.")] = False,
    protocols: Annotated[
        bool, typer.Option("--protocols", help="List the application protocols: how each is known, what is kept of it.")
    ] = False,
    form: options.Summary = SummaryFormat.TABLE,
) -> int:
    """Check the installation.

    Packages, settings, the cache of compiled kernels, the terminal, programs of the system. Exit code 4 if something
    required is missing.
    """
    if warm:
        _warm()
    if protocols:
        _protocols(form)
        return int(ExitCode.OK)
    from workbench.workflows.doctor import examine

    checks = list(examine())
    if form is SummaryFormat.JSON:
        rows = [{"area": c.area, "name": c.name, "state": c.state, "value": c.value, "advice": c.advice} for c in checks]
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
    else:
        _print(checks)
    return int(ExitCode.EXTERNAL if any(check.state == "wrong" for check in checks) else ExitCode.OK)


def _warm() -> None:
    import time

    from workbench.cli.progress import warm_progress
    from workbench.workflows.kernels import warm

    started = time.monotonic()
    with warm_progress() as show:
        count = warm(show)
    tell(f"{count} kernels compiled or found in the cache in {time.monotonic() - started:.1f} s")


def _protocols(form: SummaryFormat) -> None:
    """Every application protocol with its fields and their privacy classes."""
    from workbench.workflows.protocols import known_protocols

    listed = known_protocols()
    if form is SummaryFormat.JSON:
        sys.stdout.write(json.dumps(listed, indent=1) + "\n")
        return
    for one in listed:
        sys.stdout.write(f"{one['name']}: {one['title']} ({one['reference']})\n")
        sys.stdout.write(f"  known by  {one['known_by']}\n")
        for table, columns in one["tables"].items():
            sys.stdout.write(f"  {table:<10}{', '.join(f'{name} ({kind})' for name, kind in columns.items())}\n")


def _print(checks: list[Check]) -> None:
    from workbench.records.visible import visible

    width = max(len(check.name) for check in checks)
    for check in checks:
        sys.stdout.write(visible(f"{check.state:7}  {check.name:{width}}  {check.value}") + "\n")
        if check.advice:
            sys.stdout.write(" " * (width + 11) + visible(check.advice) + "\n")


def completions(
    shell: Annotated[Shell, typer.Argument(help="The shell to write it for.", show_default=False)],
) -> None:
    """Print a completion script for a shell."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # public by name, not by __all__

    script = get_completion_script(prog_name="workbench", complete_var="_WORKBENCH_COMPLETE", shell=shell.value)
    sys.stdout.write(script.strip() + "\n")


def prepare_completion() -> None:
    """Teach the parser to answer a shell that asks for completions (it does so through the environment)."""
    from typer.completion import completion_init  # type: ignore[attr-defined]  # public by name, not by __all__

    completion_init()
