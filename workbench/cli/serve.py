"""`workbench serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.cli import options
from workbench.cli.messages import tell
from workbench.workflows.requests import ServeRequest


def serve(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH]...", help="Captures, folders, globs, or a case folder. None: recent cases.", show_default=False
        ),
    ] = None,
    case: options.CaseOrCache = None,
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="Of 127.0.0.1; 0 is any free one.")] = 8474,
) -> ServeRequest:
    """Show the app in a browser on this machine.

    Prints the address, which has a token in it: whoever has it can do what you can do here. Ends with Ctrl-C.
    """
    words: tuple[str, ...] = ()
    if paths:
        from workbench.workflows.open_case import plan_open

        plan_open(tuple(paths), case)  # what is wrong with them is said here, not in a browser
        words = ("open", *(("--case", str(case)) if case is not None else ()), "--", *paths)
    elif case is not None:
        words = ("open", "--", str(case))
    way = f"ssh -L 8474:127.0.0.1:{port or 'PORT'} HOST"
    tell(f"Open this address in a browser on this machine. From another one: {way}, then the same address.")
    return ServeRequest(words, port)
