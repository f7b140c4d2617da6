"""What leaves a case in a file is in its audit log."""

from __future__ import annotations

import os
from pathlib import Path

from workbench.audit.log import AuditLog
from workbench.errors import AuditError, DiskFullError, ExternalError
from workbench.records.visible import path_text

#: How much of a question is kept.
_LISTED = 2000


def rows_exported(case_dir: Path, out: Path, asked: str, rows: int) -> str:
    """Say that rows were written to a file. asked: the question or filter.

    '' where that is said; else why not, as in a case of somebody else: the rows are there all the same.
    """
    try:
        AuditLog(case_dir).append("rows_exported", file=path_text(os.fspath(out.absolute())), asked=asked[:_LISTED], rows=rows)
    except (AuditError, DiskFullError, ExternalError) as error:
        return f"the case's audit log does not say that these were exported: {error}"
    return ""
