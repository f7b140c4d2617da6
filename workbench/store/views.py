"""The question files in queries/: one SQL file each, with a YAML header comment.

They lie beside the package in a source tree and inside it (`workbench/_queries`) in an installed wheel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from workbench.errors import BadInputError

_HEADER: Final = re.compile(r"\A\s*/\*(?P<yaml>.*?)\*/(?P<sql>.*)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class View:
    """A view of the case: its name, what it is for, its columns with their meaning, its SELECT."""

    id: str
    title: str
    description: str
    columns: dict[str, str]
    sql: str


def queries_folder() -> Path:
    """Where the question files are; BadInputError where the installation lacks them."""
    package = Path(__file__).parents[1]
    for folder in (package / "_queries", package.parent / "queries"):
        if (folder / "views").is_dir():
            return folder
    raise BadInputError("the query files of this installation are missing", "Install the package again.")


@cache
def view_statements() -> dict[str, str]:
    """View name -> its SELECT, in the order of their names. Reads no YAML: that is for documents and checks."""
    return {
        path.stem: split_question(path.read_text(encoding="utf-8"), path.name)[1]
        for path in sorted((queries_folder() / "views").glob("*.sql"))
    }


def load_view(path: Path) -> View:
    """A view with its header; BadInputError naming what is missing or of the wrong kind."""
    import yaml

    header, sql, _ = split_question(path.read_text(encoding="utf-8"), path.name)
    try:
        fields = yaml.safe_load(header)
    except yaml.YAMLError as error:
        raise BadInputError(f"{path.name}: its header is not YAML: {error}", "Mend the comment at its head.") from error
    if not isinstance(fields, dict):
        raise BadInputError(f"{path.name}: its header is no list of keys", "Begin the file with /* id: ... */.")
    missing = {"id", "title", "description", "columns"} - fields.keys()
    if missing:
        raise BadInputError(f"{path.name}: its header lacks {', '.join(sorted(missing))}", "Complete the header.")
    if fields["id"] != path.stem:
        raise BadInputError(f"{path.name}: its id is {fields['id']!r}", f"Name it {path.stem}.")
    columns = {str(name): str(meaning) for name, meaning in dict(fields["columns"]).items()}
    return View(fields["id"], str(fields["title"]), str(fields["description"]).strip(), columns, sql)


def load_views() -> list[View]:
    """All views, by name."""
    return [load_view(path) for path in sorted((queries_folder() / "views").glob("*.sql"))]


def split_question(text: str, name: str) -> tuple[str, str, int]:
    """The YAML of a question file's header, its SQL without a closing semicolon, and the line (from 1) its YAML begins on.

    BadInputError where it does not begin with a comment, or holds nothing behind it. name: the file's, for the message.
    """
    match = _HEADER.match(text)
    if match is None:
        raise BadInputError(f"{name} does not begin with a /* */ comment", "Give it a YAML header.")
    sql = match["sql"].strip().rstrip(";").strip()
    if not sql:
        raise BadInputError(f"{name} has no SQL behind its header", "Write one SELECT.")
    begins = match.end("yaml") - len(match["yaml"].lstrip())
    return match["yaml"].strip(), sql, text.count("\n", 0, begins) + 1
