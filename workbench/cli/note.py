"""`workbench note`: what people wrote on a case."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from workbench.cli import options
from workbench.cli.formats import choose_format
from workbench.cli.messages import tell
from workbench.errors import UsageError
from workbench.records.visible import visible


def note(
    case: options.Case,
    text: Annotated[
        str | None,
        typer.Argument(
            metavar="TEXT", help="What to write. Without it: list the notes.", show_default=False, callback=options.utf8
        ),
    ] = None,
    flow: Annotated[
        str | None,
        typer.Option("--flow", metavar="ID", help="On this flow, not on the whole case; or list its notes.", show_default=False),
    ] = None,
    form: options.RowsFormat = None,
    output: options.Output = None,
) -> None:
    """Write a note on a case or a flow, or list the notes.

    Notes are never changed or removed. Each is in the audit log with the hash of its text.
    """
    if text is None:
        from workbench.cli.output import write_rows
        from workbench.workflows.notes import list_notes

        found, said = list_notes(case, flow)
        write_rows(found.to_reader(), choose_format(form, output), output)
        if said:
            tell(said)
        return
    if form is not None or output is not None:
        raise UsageError("--format and -o are for listing notes", "Leave them out, or leave TEXT out.")
    from workbench.workflows.notes import add_note

    written = add_note(case, text, flow)
    sys.stdout.write(visible(f"note {written.note_id} on {written.kind} {written.words}") + "\n")
