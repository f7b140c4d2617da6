"""Which format rows are written in; imports nothing heavy, so that help is fast."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Final

from workbench.errors import UsageError


class Format(StrEnum):
    """How rows are written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


class SummaryFormat(StrEnum):
    """How a summary is written: for people, or as one JSON document."""

    TABLE = "table"
    JSON = "json"


_SUFFIXES: Final = {".json": Format.JSON, ".csv": Format.CSV, ".parquet": Format.PARQUET, ".txt": Format.TABLE}


def choose_format(asked: Format | None, output: Path | None) -> Format:
    """The format asked for, else by the file's suffix, else a table on a terminal and CSV in a pipe.

    UsageError for Parquet on a terminal, which could only garble it.
    """
    if output is not None:
        return asked or _SUFFIXES.get(output.suffix.lower(), Format.CSV)
    terminal = sys.stdout.isatty()
    if asked is Format.PARQUET and terminal:
        raise UsageError("Parquet is not text; the terminal cannot show it", "Name a file with -o FILE, or redirect stdout.")
    return asked or (Format.TABLE if terminal else Format.CSV)
