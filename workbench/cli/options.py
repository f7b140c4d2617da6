"""Options that several commands share, so that they are named and explained alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.formats import Format, SummaryFormat

Case = Annotated[Path, typer.Option("--case", metavar="DIR", help="The case folder.", show_default=False)]
RowsFormat = Annotated[
    Format | None,
    typer.Option("--format", help="How rows are written. Default: table on a terminal, csv in a pipe.", show_default=False),
]
Summary = Annotated[SummaryFormat, typer.Option("--format", help="A table for people, or one JSON document.")]
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FILE", help="Write to FILE, in the format of its suffix.", show_default=False),
]
