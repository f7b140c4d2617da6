"""`workbench audit`: the hash-chained log of a case."""

from __future__ import annotations

import json
import sys

import typer

from workbench.cli import options
from workbench.cli.formats import SummaryFormat
from workbench.cli.messages import tell
from workbench.errors import ExitCode

app = typer.Typer(help="Show or verify the log of a case.", no_args_is_help=True, rich_markup_mode=None)
