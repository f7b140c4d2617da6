"""Every command by name: where it stands and what lists say of it. A command is imported and built when it is asked for.

Typer builds each option of each command at once: 40 ms for all of them, of which a process runs one and `workbench --help` none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Final, NamedTuple, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


class Place(NamedTuple):
    """Where a command stands.

    module: of workbench.cli. name: in it, of a function or of a Typer, which is a group. help: how the command's own begins.
    """

    module: str
    name: str
    help: str


#: As `workbench --help` lists them. A test compares each help with the command's own.
COMMANDS: Final = {
    "open": Place("indexing", "open_", "Show captures or a case in the app."),
    "index": Place("indexing", "index", "Index captures into a case."),
    "import": Place("importing", "import_", "Import flow telemetry, listings of names and logs into a case."),
    "attach": Place(
        "attach", "attach", "Index live traffic into a case, in the app or without it; others can read it meanwhile."
    ),
    "flows": Place("rows", "flows", "List the flows of a case."),
    "query": Place("rows", "query", "Ask a case a question, in SQL or by name."),
    "workloads": Place("workloads", "workloads", "List who held which address when."),
    "detect": Place("detect", "detect", "Run the detections over a case and list what they find."),
    "packets": Place(
        "packets", "packets", "The packets behind rows: carved to pcapng with -w, else listed as tshark understands them."
    ),
    "note": Place("note", "note", "Write a note on a case or a flow, or list the notes."),
    "serve": Place("serve", "serve", "Show the app in a browser on this machine."),
    "doctor": Place("house", "doctor", "Check the installation."),
    "completions": Place("house", "completions", "Print a completion script for a shell."),
    "audit": Place("audit", "app", "Show, verify, sign and prove the log of a case."),
    "mirror": Place("mirror", "app", "Make, list and remove mirrors on a DPU."),
    "push": Place("push", "app", "Plan, sign, approve, apply and confirm the rules of DPUs."),
    "policy": Place("policies", "app", "Check a policy, replay it against recorded traffic, compare and prove policies."),
}


class Commands(TyperGroup):
    """The group of all commands. Lists of it (help, completion) come from the table alone."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = _Built()  # type: ignore[assignment]  # nobody adds to it

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  as Typer calls it
        """Their names."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002  the same
        """The command as a list shows it, which is what this is asked for; `resolve_command` has the one that runs."""
        place = COMMANDS.get(cmd_name)
        return place and TyperCommand(cmd_name, help=place.help, rich_markup_mode=None)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Name, command and further words of a command line. Raises Typer's UsageError for a name that is none."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed and self.commands[cast("str", name)], rest


class _Built(Mapping[str, Any]):
    """Name -> the whole command, which is made anew each time."""

    def __getitem__(self, name: str) -> Any:
        place = COMMANDS[name]
        found = getattr(import_module(f"workbench.cli.{place.module}"), place.name)
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.callback()(_nothing)  # a group, whatever it holds
        if isinstance(found, typer.Typer):
            alone.add_typer(found, name=name)
        else:
            alone.command(name)(found)
        return cast("TyperGroup", get_command(alone)).commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


def _nothing() -> None:
    pass
