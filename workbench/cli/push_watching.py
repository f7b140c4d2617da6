"""`push drift --watch`: what changes on targets, as it is seen."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from workbench.cli.formats import Format
from workbench.cli.interrupt import cancel_on_interrupt
from workbench.errors import ExitCode, UsageError
from workbench.workflows.drift_watch import DriftNews, watch_drift


def watched(names: list[str], every: float, form: Format | None, output: Path | None) -> int:
    """Changes as they are seen, a line each; exit code 1 where rules drift at the end."""
    if output is not None or form not in (None, Format.TABLE, Format.JSON):
        raise UsageError("--watch prints lines, as text or with --format json", "Leave -o and other formats out.")

    def say(news: DriftNews) -> None:
        sys.stdout.write((json.dumps(asdict(news)) if form is Format.JSON else news.text()) + "\n")
        sys.stdout.flush()

    with cancel_on_interrupt() as stop:
        drifting = watch_drift(names, every, say, stop)
    return int(ExitCode.NO if drifting else ExitCode.OK)
