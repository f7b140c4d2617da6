"""What to show for the paths that a person named: a case as it is, or captures that a case still lacks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from workbench.errors import UsageError, WorkbenchError
from workbench.records.visible import path_text
from workbench.workflows.requests import IndexRequest, OpenRequest

if TYPE_CHECKING:
    from workbench.sources.expand import SourceSpec

#: The files of sources that were indexed, and when those were changed.
_HELD: Final = """WITH good AS (SELECT source_id, path, mtime_ns FROM sources WHERE state IN ('ok', 'partial'))
SELECT path, mtime_ns FROM good
UNION ALL SELECT path, mtime_ns FROM source_files WHERE source_id IN (SELECT source_id FROM good)"""


def plan_open(paths: tuple[str, ...], case: Path | None) -> OpenRequest:
    """The case to show, and what to index into it first.

    One case folder is shown as it is. Captures go into `case`, or into a folder of the person's cache that
    is found again by their content; what it already holds is not indexed again, so that a second open
    is instant. Raises MissingPathError, UsageError (a case among captures), NotACaseError, SettingsError.
    """
    from workbench.store.case import CaseFolder

    cases = [path for path in paths if CaseFolder.is_case(Path(path))]
    if cases:
        if len(paths) > 1 or case is not None:
            raise UsageError(f"{cases[0]} is a case: it is opened alone", "Name one case, or captures.")
        return OpenRequest(Path(cases[0]))
    if "-" in paths:
        raise UsageError("the app cannot read standard input", "Index it first: workbench index - --case DIR")
    from workbench.sources.expand import expand
    from workbench.store.import_format import Recogniser

    specs = expand(paths, "auto", recognise=Recogniser())
    if not specs:
        raise UsageError("no capture or log was found under the given paths", "Name a capture file.")
    if case is None:
        from workbench.settings import load_settings
        from workbench.store.cache import cached_case, evict

        settings = load_settings()
        evict(settings.cache.max_size_mb * 1_000_000)
        case = cached_case([p for spec in specs for p in spec.paths], repr(settings.flows))
    if _holds(case, specs):
        return OpenRequest(case)
    return OpenRequest(case, IndexRequest(paths, case))


def _holds(case: Path, specs: list[SourceSpec]) -> bool:
    """Whether the case has every one of these sources, unchanged; False where that can't be told."""
    from workbench.store.case import CaseFolder
    from workbench.store.reader import CaseReader

    if not CaseFolder.is_case(case) or not CaseFolder(case).database.exists():
        return False
    try:
        with CaseReader(case) as reader:
            rows = reader.query(_HELD).to_pylist()
        held = {(row["path"], row["mtime_ns"]) for row in rows}
        return all((path_text(path), Path(path).stat().st_mtime_ns) in held for spec in specs for path in spec.paths)
    except (WorkbenchError, OSError):
        return False  # indexing will say what is wrong, where the person sees it
