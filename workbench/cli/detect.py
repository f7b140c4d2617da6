"""`workbench detect`, and hunts and detections by name for `workbench query`."""

from __future__ import annotations

import threading
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from workbench.cli import options
from workbench.cli.formats import Format, choose_format
from workbench.cli.messages import tell
from workbench.errors import ExitCode

if TYPE_CHECKING:
    from workbench.detections.loader import Library
    from workbench.workflows.hunt import DetectResult


class Severity(StrEnum):
    """How bad a finding is, from the least to the worst."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


#: What a table on a terminal shows of a finding.
TABLE_COLUMNS: Final = ("severity", "detection", "subject", "object", "score", "ts_first", "why", "flows", "finding_id")


def detect(
    case: options.Case,
    only: Annotated[
        str | None, typer.Option("--only", metavar="ID,...", help="Only these detections. Default: all.", show_default=False)
    ] = None,
    fail_on: Annotated[
        Severity | None,
        typer.Option(
            "--fail-on",
            help="Exit code 1 where a finding is as severe as this, or more; those judged benign or done do not count.",
            show_default=False,
        ),
    ] = None,
    parameters: options.Parameters = None,
    queries: options.Queries = None,
    form: options.RowsFormat = None,
    output: options.Output = None,
) -> int:
    """Run the detections over a case and list what they find.

    Findings are kept in the case; those of an earlier run of the same detections are replaced.
    """
    chosen = choose_format(form, output)
    from workbench.cli.interrupt import stop_on_interrupt
    from workbench.cli.output import write_rows
    from workbench.cli.progress import hunt_progress
    from workbench.workflows import hunt

    names = [name.strip() for name in only.split(",")] if only is not None else None
    given = options.parameters(parameters)
    cancel = threading.Event()
    with stop_on_interrupt(cancel.set), hunt_progress() as show:
        result = hunt.detect(case, names, given, queries or [], progress=show, cancel=cancel)
    rows = result.findings.select(list(TABLE_COLUMNS)) if chosen is Format.TABLE else result.findings
    write_rows(rows.to_reader(), chosen, output)
    _summary(result)
    return _exit_code(result, fail_on)


def _summary(result: DetectResult) -> None:
    """What ran, what failed and why, what else should be known: on stderr."""
    for one in result.refused:
        tell(f"refused: {one}")
    for run in result.ran:
        if run.error is not None:
            tell(f"failed: {run.error.message}" + (f" ({run.error.remedy})" if run.error.remedy else ""))
    for note in result.notes:
        tell(f"note: {note}")
    failed = sum(run.error is not None for run in result.ran)
    said = f"{len(result.ran) - failed} detections in {sum(run.seconds for run in result.ran):.1f} s"
    said += f", {failed} failed" if failed else ""
    found = ", ".join(f"{run.id} {run.count:,}" for run in result.ran if run.count)
    tell(f"{said}: {result.findings.num_rows:,} findings{f' ({found})' if found else ''}")


def _exit_code(result: DetectResult, fail_on: Severity | None) -> int:
    """1 where something is bad enough; where nothing is, but not everything could be asked, that detection's error."""
    if fail_on is not None and _too_bad(result, fail_on):
        return int(ExitCode.NO)
    return next((int(run.error.exit_code) for run in result.ran if run.error is not None), int(ExitCode.OK))


def _too_bad(result: DetectResult, limit: Severity) -> bool:
    """Whether a finding is at or above the limit that nobody judged benign or done; how many were is said."""
    from workbench.detections.found import at_or_above

    rows = result.findings.select(["severity", "finding_id"]).to_pylist()
    bad = [row["finding_id"] for row in rows if at_or_above(str(row["severity"]), limit)]
    left_out = sum(one in result.settled for one in bad)
    if left_out:
        tell(f"--fail-on {limit}: {left_out:,} of {len(bad):,} findings are judged benign or done and do not count")
    return len(bad) > left_out


def ask_named(
    case: Path, name: str, given: dict[str, str], queries: list[Path], filter_: str, form: Format, output: Path | None
) -> None:
    """The rows of a hunt or detection."""
    from workbench.cli.rows import write_answer
    from workbench.workflows.hunt import named_query

    write_answer(case, lambda reader: named_query(reader, name, given, queries, filter_), form, output, name)


def list_questions(queries: list[Path], form: Format, output: Path | None) -> None:
    """All hunts and detections, with their parameters."""
    import pyarrow as pa

    from workbench.cli.output import write_rows
    from workbench.workflows.hunt import library

    found: Library = library(queries)
    for one in found.refused:
        tell(f"refused: {one}")
    names = ("id", "kind", "severity", "title", "parameters", "attack", "path")
    rows = [
        {
            "id": one.id,
            "kind": one.kind,
            "severity": one.severity,
            "title": one.title,
            "parameters": " ".join(f"{parameter.name}={parameter.shown}" for parameter in one.parameters.values()),
            "attack": ",".join(one.attack),
            "path": str(one.path).encode(errors="backslashreplace").decode(),
        }
        for kind in ("detection", "hunt")
        for one in found.of_kind(kind).values()
    ]
    table = pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in names]))
    write_rows(table.to_reader(), form, output)
