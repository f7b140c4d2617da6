"""The way in: `run_app` shows what an OpenRequest asks for and returns the exit code.

Indexing begins before Textual is imported: the decoding processes start up meanwhile.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from workbench.errors import ExitCode, UsageError
from workbench.settings import load_settings
from workbench.tui.attaching import SETTLE_SECONDS, Attachments, goodbye
from workbench.tui.indexing import STOP_SECONDS, IndexRun
from workbench.tui.pauses import gather, shorten
from workbench.workflows.requests import OpenRequest
from workbench.workflows.spawning import ready_to_spawn

if TYPE_CHECKING:
    from workbench.tui.data import CaseData


def run_app(request: OpenRequest) -> int:
    """Show the app until the person leaves; the exit code.

    Raises what opening the case or reading the settings raises (errors.WorkbenchError).
    """
    shorten()
    settings = load_settings()
    ready_to_spawn()
    data, run = opened(request)
    live = attached(request)
    from workbench.tui.application import WorkbenchApp

    if "TEXTUAL_DRIVER" not in os.environ:  # a browser's tab says its size in them
        for name in ("COLUMNS", "LINES"):  # exported by some shells and CI; Textual would believe them, the terminal resizes
            os.environ.pop(name, None)
    try:
        app = WorkbenchApp(data, run, live, keymap=settings.keys, first_view=settings.app.first_view)
        app.theme = theme_named(settings.app.theme, app.console.color_system)
        code = app.run()
        live = app.attached or live
    finally:
        if live is not None:
            live.stop()
            live.wait(SETTLE_SECONDS)
        if run is not None and not run.done:
            run.cancel()
            run.wait(STOP_SECONDS)
    del app, data, run
    gather()
    if live is not None:
        sys.stdout.writelines(f"{line}\n" for line in goodbye(live.runs, live.case))
    return int(ExitCode.OK if code is None else code)


def attached(request: OpenRequest) -> Attachments | None:
    """The source that the request names, attached to already; None where it names none.

    A capture on standard input is moved to another descriptor: keys come from the terminal. UsageError without one.
    """
    asked = request.attach
    if asked is None:
        return None
    if asked.source == "-":
        asked = replace(asked, stdin=keys_from_terminal())
    live = Attachments(asked.case)
    live.attach(asked)
    return live


def keys_from_terminal() -> int:
    """Make the terminal standard input, in place of a pipe; the descriptor that the pipe has now."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError("the app needs a terminal for its keys", "Add --headless.") from error
    pipe = os.dup(0)
    os.dup2(terminal, 0)
    os.close(terminal)
    return pipe


def theme_named(wanted: str, colours: str | None) -> str:
    """The theme of a setting in a terminal of those colours, as Rich names them."""
    if wanted == "auto":
        wanted = "16" if colours in ("standard", "windows") else "dark"
    return f"workbench-{wanted}"


def opened(request: OpenRequest) -> tuple[CaseData | None, IndexRun | None]:
    """What the request names, ready to be shown: the case, or the index run that fills it, already begun.

    A run hands out the case itself once it has its lock, and what is attached to makes it.
    """
    run = None
    if request.index is not None:
        run = IndexRun(request.index)
        run.start()
    if run is not None or request.case is None or request.attach is not None:
        return None, run
    from workbench.tui.case_data import StoredCase

    return StoredCase.open(request.case), None
