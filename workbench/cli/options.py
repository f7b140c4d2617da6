"""Options that several commands share, so that they are named and explained alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import typer

from workbench.cli.formats import Format, SummaryFormat
from workbench.errors import UsageError

_Word = TypeVar("_Word", str, Path, None)


def utf8(word: _Word) -> _Word:
    """The word, if it is text: the engine takes neither SQL nor folder names that are not (files may have any name)."""
    try:
        str(word).encode()
    except UnicodeEncodeError as error:
        raise typer.BadParameter("it is not UTF-8") from error
    return word


def utf8s(paths: list[Path]) -> list[Path]:
    """`utf8` of each of several."""
    return [utf8(path) for path in paths]


def utf8_all(words: list[_Word]) -> list[_Word]:
    """Each of them, if it is text."""
    return [utf8(word) for word in words]


Case = Annotated[Path, typer.Option("--case", metavar="DIR", help="The case folder.", show_default=False, callback=utf8)]
CaseOrCache = Annotated[
    Path | None,
    typer.Option(
        "--case", metavar="DIR", help="Keep the case here. Default: your cache folder.", show_default=False, callback=utf8
    ),
]
LiveCase = Annotated[
    Path | None,
    typer.Option(
        "--case",
        metavar="DIR",
        help="Keep the case here. Default: a new folder among your live cases.",
        show_default=False,
        callback=utf8,
    ),
]
RowsFormat = Annotated[
    Format | None,
    typer.Option("--format", help="How rows are written. Default: table on a terminal, csv in a pipe.", show_default=False),
]
Summary = Annotated[SummaryFormat, typer.Option("--format", help="A table for people, or one JSON document.")]
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FILE", help="Write to FILE, in the format of its suffix.", show_default=False),
]
Filter = Annotated[
    str,
    typer.Option(
        "--filter",
        metavar="F",
        help="Only these flows, such as 'ip.addr == 10.0.0.0/8 && tcp.port == 443'.",
        show_default=False,
        callback=utf8,
    ),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "-p", "--param", metavar="NAME=VALUE", help="A parameter of the question; may be given again.", show_default=False
    ),
]
Queries = Annotated[
    list[Path] | None,
    typer.Option(
        "--queries", metavar="DIR", help="Also take questions from this folder; may be given again.", show_default=False
    ),
]


def parameters(words: list[str] | None) -> dict[str, str]:
    """Name -> value of every NAME=VALUE; UsageError for another form, or a name given twice."""
    made: dict[str, str] = {}
    for word in words or ():
        name, sign, value = utf8(word).partition("=")
        if not sign or not name:
            raise UsageError(f"-p {word} is no parameter", "Write it as -p name=value.")
        if name in made:
            raise UsageError(f"parameter {name} is given twice", "Give it once.")
        made[name] = value
    return made
