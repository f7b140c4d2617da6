"""Detections and hunts over a case: which there are, running them, keeping what they find."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from workbench.audit.log import AuditLog
from workbench.detections.found import findings_of
from workbench.detections.loader import Library, Refused, load_library
from workbench.detections.question import Question
from workbench.detections.runner import run_question
from workbench.errors import (
    AuditError,
    CancelledError,
    CaseBusyError,
    DiskFullError,
    MissingPathError,
    UsageError,
    WorkbenchError,
)
from workbench.records.arrow import arrow_schema

if TYPE_CHECKING:
    from workbench.store.query import Rows
    from workbench.store.reader import CaseReader

#: Seconds between looks at whether a person wants it stopped.
_LOOK: Final = 0.05


@dataclass(frozen=True, slots=True)
class HuntProgress:
    """Before each detection: how many are done of how many, and which comes now; id is '' when all are done."""

    done: int
    total: int
    id: str
    title: str


@dataclass(frozen=True, slots=True)
class Ran:
    """One detection that was run. error: why it failed, None where it did not."""

    id: str
    seconds: float
    count: int
    error: WorkbenchError | None = None


@dataclass(frozen=True, slots=True)
class DetectResult:
    """What a run of detections found.

    findings: rows of `findings`, the worst of each detection first. kept: whether they are in the case now. notes:
    what a person should know besides: why they are not kept, what was left out. refused: question files with mistakes.
    settled: finding_ids that people judged benign or done, in this run or before.
    """

    findings: pa.Table
    ran: list[Ran]
    kept: bool
    notes: list[str] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    settled: frozenset[str] = frozenset()


def library(folders: Sequence[Path] = ()) -> Library:
    """All questions: shipped, the person's own, and those of `folders`. MissingPathError where one of these is not there."""
    return load_library(folders)


def named_query(
    case: CaseReader,
    name: str,
    params: Mapping[str, Any] | None = None,
    folders: Sequence[Path] = (),
    filter_text: str = "",
) -> Rows:
    """The answer of a hunt or detection, streamed; to be closed. UsageError, QueryError.

    params: name -> what a person wrote. filter_text: which flows the question sees. FilterError where it is wrong.
    """
    from workbench.detections.runner import check_columns
    from workbench.store.query import run_query
    from workbench.workflows.show import kept_flows

    question = library(folders).find(name)
    rows = run_query(case, question.sql, question.values(dict(params or {})), where=kept_flows(case, filter_text))
    try:
        check_columns(question, rows.schema)
    except BaseException:
        rows.close()
        raise
    return rows


def detect(
    case: Path | CaseReader,
    only: Sequence[str] | None = None,
    params: Mapping[str, Any] | None = None,
    folders: Sequence[Path] = (),
    progress: Callable[[HuntProgress], None] | None = None,
    cancel: threading.Event | None = None,
) -> DetectResult:
    """Run the detections, or only those named, and keep what they find in the case in place of what they found before.

    params: name -> value for every detection that has such a parameter. One that fails is reported in `ran` and keeps
    its earlier findings; the others run. A case that is being written, or cannot be, keeps nothing; that is noted.
    UsageError for an unknown id or parameter, CancelledError once `cancel` is set: then nothing is kept.
    """
    from workbench.store.reader import CaseReader

    found = library(folders)
    chosen = _chosen(found, only)
    given = _given(chosen, params or {})
    if isinstance(case, CaseReader):
        result = _run(case, chosen, given, progress, cancel)
        root = case.case.root
    else:
        with CaseReader(case) as reader:
            result = _run(reader, chosen, given, progress, cancel)
            root = reader.case.root
    result.refused.extend(found.refused)
    result.notes.extend(f"{one.id} of {one.path.parent} is replaced by another folder's" for one in found.replaced)
    return replace(_kept(root, result), settled=_settled(root))


def _settled(root: Path) -> frozenset[str]:
    """Findings of the case that nobody needs to look at any more."""
    from workbench.store.notebook import Notebook

    book = Notebook(root)
    try:
        return frozenset(one.finding_id for one in book.states().values() if one.state in ("benign", "done"))
    finally:
        book.close()


def _chosen(found: Library, only: Sequence[str] | None) -> list[Question]:
    if only is None:
        return list(found.of_kind("detection").values())
    chosen = [found.find(name) for name in dict.fromkeys(only)]
    for one in chosen:
        if one.kind != "detection":
            raise UsageError(f"{one.id} is a hunt: it has rows, no findings", f"Ask it: workbench query --name {one.id}")
    return chosen


def _given(chosen: list[Question], params: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """By detection the parameters that are for it, checked before anything runs."""
    known = {name for one in chosen for name in one.parameters}
    for name in params:
        if name not in known:
            raise UsageError(f"no detection that was asked for has a parameter {name}", f"Known: {', '.join(sorted(known))}.")
    given = {one.id: {name: params[name] for name in one.parameters if name in params} for one in chosen}
    for one in chosen:
        one.values(given[one.id])
    return given


def _run(
    reader: CaseReader,
    chosen: list[Question],
    given: dict[str, dict[str, Any]],
    progress: Callable[[HuntProgress], None] | None,
    cancel: threading.Event | None,
) -> DetectResult:
    ran: list[Ran] = []
    notes: list[str] = []
    tables: list[pa.Table] = []
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    asks = reader.question()
    with _stopped_by(cancel, asks.stop):
        for n, question in enumerate(chosen):
            _show(progress, HuntProgress(n, len(chosen), question.id, question.title))
            began = time.monotonic()
            error: WorkbenchError | None = None
            count = 0
            try:
                rows = run_question(asks, question, given[question.id])
                table, said = findings_of(question, rows, now, given[question.id])
            except CancelledError:
                raise
            except WorkbenchError as failure:
                error = failure
            else:
                tables.append(table)
                notes += said
                count = table.num_rows
            ran.append(Ran(question.id, time.monotonic() - began, count, error))
    _show(progress, HuntProgress(len(chosen), len(chosen), "", ""))
    return DetectResult(pa.concat_tables([arrow_schema("findings").empty_table(), *tables]), ran, kept=False, notes=notes)


def _show(progress: Callable[[HuntProgress], None] | None, at: HuntProgress) -> None:
    if progress is not None:
        progress(at)


@contextmanager
def _stopped_by(cancel: threading.Event | None, stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` once the event is set: the engine works on, deaf, while Python waits for it."""
    if cancel is None:
        yield
        return
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_LOOK):
            if cancel.is_set():
                stop()
                return

    watcher = threading.Thread(target=watch, name="hunt-cancel", daemon=True)
    watcher.start()
    try:
        yield
        if cancel.is_set():
            raise CancelledError("the detections were stopped")
    finally:
        done.set()
        watcher.join()


def _kept(root: Path, result: DetectResult) -> DetectResult:
    """The result, its findings kept in the case where that can be done."""
    from workbench.store.findings import keep_findings

    good = [one.id for one in result.ran if one.error is None]
    if not good:
        return result
    try:
        keep_findings(root, good, result.findings)
    except (CaseBusyError, MissingPathError, DiskFullError) as error:
        return _with(result, kept=False, note=f"the findings are not kept in the case: {error.message}")
    except OSError as error:
        return _with(result, kept=False, note=f"the findings are not kept in the case: {error.strerror}")
    try:
        AuditLog(root).append("detections_run", found={one.id: one.count for one in result.ran if one.error is None})
    except (AuditError, OSError) as error:
        return _with(result, kept=True, note=f"the audit log took no line about it: {error}")
    return _with(result, kept=True)


def _with(result: DetectResult, *, kept: bool, note: str = "") -> DetectResult:
    notes = [*result.notes, note] if note else result.notes
    return DetectResult(result.findings, result.ran, kept, notes, result.refused)
