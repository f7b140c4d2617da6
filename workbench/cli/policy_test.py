"""`workbench policy test`: a policy's own tests, and with a case its replay over recorded flows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import options
from workbench.cli.formats import Format, choose_format
from workbench.cli.messages import tell
from workbench.cli.policy import At, PolicyCase, PolicyPath, tell_notes
from workbench.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from workbench.policy.loader import Loaded
    from workbench.store.reader import CaseReader
    from workbench.workflows.policy_at import AsOf
    from workbench.workflows.policy_test import Tested


def run_tests(
    policy: PolicyPath,
    case: PolicyCase = None,
    filter_: options.Filter = "",
    at: At = None,
    fail_on_denied: Annotated[
        str | None,
        typer.Option(
            "--fail-on-denied",
            metavar="F",
            help="Exit code 1 where the policy stops a recorded flow that this filter keeps.",
            show_default=False,
            callback=options.utf8,
        ),
    ] = None,
    form: options.RowsFormat = None,
    output: options.Output = None,
) -> int:
    """Run a policy's own tests, and replay it over a case.

    A row a test; with a case a row a flow, with its verdict and the rule that decides. Exit code 1 where a test fails.
    """
    chosen = choose_format(form, output)
    if case is None and (filter_ or fail_on_denied is not None):
        raise UsageError("--filter and --fail-on-denied are about recorded flows", "Name the case: --case DIR.")
    from workbench.workflows import policy_test
    from workbench.workflows.policy_at import as_of, perhaps

    loaded = policy_test.read(policy)
    with perhaps(case) as reader, as_of(reader, at) as moment:
        tested = policy_test.run_tests(loaded, moment)
        if reader is None:
            _write_tests(tested, chosen, output)
        matched = 0 if reader is None else _replay(loaded, reader, moment, filter_, fail_on_denied, chosen, output)
    tell_notes(tested.notes)
    for line in tested.failed:
        tell(f"failed: {line}")
    if tested.failed or tested.passed:
        tell(f"{tested.passed} tests pass, {len(tested.failed)} fail")
    else:
        tell("the policy has no tests of its own")
    return int(ExitCode.NO if tested.failed or matched else ExitCode.OK)


def _write_tests(tested: Tested, chosen: Format, output: Path | None) -> None:
    from workbench.cli.output import write_rows
    from workbench.workflows.policy_test import TABLE_COLUMNS

    rows = tested.rows.select(list(TABLE_COLUMNS)) if chosen is Format.TABLE else tested.rows
    write_rows(rows.to_reader(), chosen, output)


def _replay(
    loaded: Loaded,
    reader: CaseReader,
    moment: AsOf,
    filter_: str,
    fail_on_denied: str | None,
    chosen: Format,
    output: Path | None,
) -> int:
    """Write a row a flow; how many flows are denied that must not be."""
    from workbench.cli.interrupt import stop_on_interrupt
    from workbench.cli.output import write_rows
    from workbench.workflows import policy_replay
    from workbench.workflows.policy_coverage import coverage_of

    question = reader.question()

    def stop() -> None:
        question.stop()
        reader.interrupt()

    with stop_on_interrupt(stop):
        replayed = policy_replay.replay(question, reader, loaded.policy, moment, filter_)
        matched = 0
        if fail_on_denied is not None:
            matched = policy_replay.matching(reader, question, replayed.denied, fail_on_denied)
        columns = replayed.table_columns() if chosen is Format.TABLE else None
        rows = policy_replay.Rows(reader, replayed, filter_, columns)
        try:
            write_rows(rows, chosen, output)
        finally:
            rows.close()
        cover = coverage_of(question)
    for line in [*replayed.words(), cover.line(), replayed.conclusion(cover)]:
        tell(line)
    if matched:
        tell(f"--fail-on-denied: {matched:,} denied flows match {fail_on_denied}")
    return matched
