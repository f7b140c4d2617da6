"""The command line: words to requests, results to stdout, errors to stderr and an exit code.

Only the parser is imported here. Each command is imported when it is asked for and imports what it needs when it runs, so
that `workbench --help` and shell completion stay fast.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from typer.main import get_command

from workbench import __version__
from workbench.cli.commands import Commands
from workbench.cli.messages import tell_bug, tell_error
from workbench.errors import DiskFullError, ExitCode, UsageError, WorkbenchError
from workbench.workflows.requests import OpenRequest, ServeRequest

PROGRAM = "workbench"

app = typer.Typer(
    name=PROGRAM,
    cls=Commands,
    help="Network forensics in the terminal, for traffic that passes through DPUs. Without a command: recent cases, in the app.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"{PROGRAM} {__version__}\n")
        raise typer.Exit


@app.callback()
def _recent(
    ctx: typer.Context,
    version: Annotated[  # noqa: ARG001  its callback does the work
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a bug instead of writing it to a file.")] = False,
) -> OpenRequest | None:
    """Without a command: recent cases, in the app."""
    if debug:
        os.environ["WORKBENCH_DEBUG"] = "1"
    if ctx.invoked_subcommand is not None:
        return None
    from workbench.cli.indexing import need_terminal

    need_terminal()
    return OpenRequest()


#: Wrong options and values as Typer raises them; its base classes have moved between versions, their places have not.
_PARSER_ERROR = typer.BadParameter.__mro__[2]


def run(words: Sequence[str]) -> OpenRequest | ServeRequest | int:
    """Carry out a command line (without the program's name).

    Returns the exit code, or a request for the app, which the caller starts. Never raises for an
    expected failure: it is told on stderr.
    """
    if "_WORKBENCH_COMPLETE" in os.environ:
        from workbench.cli.house import prepare_completion

        prepare_completion()
        app(prog_name=PROGRAM)
    return guarded(lambda: _invoke(list(words)))


def guarded(action: Callable[[], object]) -> OpenRequest | ServeRequest | int:
    """Do it; whatever goes wrong is told on stderr and becomes an exit code."""
    try:
        outcome = action()
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_left()
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except WorkbenchError as error:
        return tell_error(error)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            return _failed(error)
        _discard_output()
        return tell_error(DiskFullError("there is no space left for the output", "Free some space and run the command again."))
    except Exception as error:
        if str(error) == "Query interrupted":  # the engine's word for Ctrl-C before anybody could ask it to stop
            return int(ExitCode.INTERRUPTED)
        return _failed(error)
    return outcome if isinstance(outcome, int | OpenRequest | ServeRequest) else int(ExitCode.OK)


def _invoke(words: list[str]) -> object:
    """What the command returns. Typer's own `main` is left out: it turns a reader that left into exit code 1."""
    command = get_command(app)
    try:
        with command.make_context(PROGRAM, words) as context:
            return command.invoke(context)
    except typer.Exit as end:
        return end.exit_code


def _failed(error: Exception) -> int:
    if not isinstance(error, _PARSER_ERROR):
        return tell_bug(error, debug=bool(os.environ.get("WORKBENCH_DEBUG")))
    context = getattr(error, "ctx", None)
    if context is not None and getattr(error, "message", None) == context.get_help():  # a group without a command of it
        sys.stderr.write(context.get_help() + "\n")
        return int(ExitCode.USAGE)
    command = context.command_path if context is not None else PROGRAM
    message = str(getattr(error, "format_message", error.__str__)()).rstrip(".")
    return tell_error(UsageError(message, f"See `{command} --help`."))


def _reader_left() -> int:
    """The reading end of the pipe is closed (`| head`): nothing more is wanted, and that is fine."""
    _discard_output()
    return int(ExitCode.OK)


def _discard_output() -> None:
    """Point stdout elsewhere, so that the interpreter's last flush does not fail as the one before did."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
