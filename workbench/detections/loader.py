"""All questions that there are: those shipped, the person's own, and folders named for one run.

Later folders win over earlier ones where an id is there twice. A file that is refused keeps no other from loading.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from workbench.detections.question import FOLDERS, Kind, Question, QuestionError, load_question
from workbench.errors import MissingPathError, UsageError
from workbench.settings import settings_path
from workbench.store.views import queries_folder

#: Files that are looked at in one folder at most.
MOST_FILES: Final = 1000


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that was refused: where (line 0: as a whole), why, and what to do."""

    path: Path
    line: int
    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.path}{f':{self.line}' if self.line else ''}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Library:
    """questions: by id. refused: files with mistakes. replaced: questions that another folder's took the place of."""

    questions: dict[str, Question] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    replaced: list[Question] = field(default_factory=list)

    def of_kind(self, kind: Kind) -> dict[str, Question]:
        """The detections, or the hunts, by id in order."""
        return {name: self.questions[name] for name in sorted(self.questions) if self.questions[name].kind == kind}

    def find(self, name: str) -> Question:
        """The question of that id; UsageError that names the nearest, or says why its file was refused."""
        if name in self.questions:
            return self.questions[name]
        for one in self.refused:
            if one.path.stem == name:
                raise UsageError(f"{name} was refused: {one}", one.remedy)
        import difflib

        near = difflib.get_close_matches(name, self.questions, n=1, cutoff=0.4)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(f"there is no question {name[:80]}", f"{hint}`workbench query --list` shows all of them.")


def own_folder() -> Path:
    """Where a person's own questions lie: `queries` beside the settings file. It need not exist."""
    return settings_path().parent / "queries"


def load_library(folders: Sequence[Path] = ()) -> Library:
    """Everything shipped, in the person's folder and in `folders`. MissingPathError where one of `folders` is not there."""
    for folder in folders:
        if not folder.is_dir():
            raise MissingPathError(f"{folder} is no folder", "Name a folder of .sql files with --queries.")
    made = Library()
    for folder in (queries_folder(), own_folder(), *folders):
        _add(made, folder)
    return made


def _add(library: Library, folder: Path) -> None:
    mine: dict[str, Question] = {}
    for path in _files(folder, library):
        try:
            question = load_question(path)
        except QuestionError as error:
            library.refused.append(Refused(path, error.line, error.message, error.remedy))
            continue
        if question.id in mine:
            where = mine[question.id].path
            library.refused.append(Refused(path, 0, f"{where} has the same id", "Give one of them another id."))
            continue
        mine[question.id] = question
    library.replaced.extend(library.questions[name] for name in mine if name in library.questions)
    library.questions.update(mine)


def _files(folder: Path, library: Library) -> Iterable[Path]:
    """Files of questions in a folder and in its `detections` and `hunts`. Those of the shipped folder's others are not."""
    shipped = folder == queries_folder()
    places = [folder / name for name in FOLDERS] if shipped else [folder, *(folder / name for name in FOLDERS)]
    found: list[Path] = []
    for place in places:
        try:
            names = sorted(entry.name for entry in os.scandir(place) if entry.name.endswith(".sql"))
        except FileNotFoundError:
            continue
        except OSError as error:
            library.refused.append(Refused(place, 0, f"it cannot be read: {error.strerror}", "Check its permissions."))
            continue
        found += [place / name for name in names if not name.startswith(".")]
    if len(found) > MOST_FILES:
        library.refused.append(Refused(folder, 0, f"it holds more than {MOST_FILES:,} files; the rest is left out"))
    return found[:MOST_FILES]
