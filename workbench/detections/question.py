"""One question as a file: a YAML header in a comment, and one SELECT. Read strictly, since anybody may have written it.

docs/detections.md is the format for people. Every mistake is told with its line; a file with one is refused as a whole.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NoReturn, get_args

from workbench.detections.parameters import KINDS, Parameter
from workbench.errors import BadInputError, UsageError
from workbench.records.header import read_header
from workbench.store.views import split_question

Kind = Literal["detection", "hunt"]
Severity = Literal["info", "low", "medium", "high", "critical"]
#: From the least to the worst.
SEVERITIES: Final[tuple[str, ...]] = get_args(Severity)

#: Folders of questions and the kind of what lies in them.
FOLDERS: Final[dict[str, Kind]] = {"detections": "detection", "hunts": "hunt"}

#: Bytes of a file at most; the longest that is shipped has a few thousand.
LARGEST: Final = 262_144

_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_TECHNIQUE: Final = re.compile(r"T[0-9]{4}(\.[0-9]{3})?")
_NEEDED: Final = ("id", "title", "description", "attack", "parameters", "columns", "references", "false_positives")
_KNOWN: Final = (*_NEEDED, "kind", "severity")
_PARAMETER_KEYS: Final = ("type", "default", "help")


@dataclass(frozen=True, slots=True)
class Question:
    """A detection or a hunt. columns: name -> meaning. path: the file it was read from."""

    id: str
    kind: Kind
    title: str
    description: str
    severity: Severity
    attack: tuple[str, ...]
    parameters: dict[str, Parameter]
    columns: dict[str, str]
    references: tuple[str, ...]
    false_positives: tuple[str, ...]
    sql: str
    path: Path

    def values(self, written: dict[str, Any] | None = None) -> dict[str, Any]:
        """What its SQL gets for every parameter: what was written, else the default. UsageError for a wrong or unknown one."""
        written = written or {}
        for name in written:
            if name not in self.parameters:
                known = ", ".join(self.parameters) or "none"
                raise UsageError(f"{self.id} has no parameter {name}", f"Its parameters: {known}.")
        return {name: one.value(written.get(name, one.default)) for name, one in self.parameters.items()}


class QuestionError(BadInputError):
    """A question file that is refused. line: where, counted from 1; 0 where the whole file is meant."""

    title = "Question refused"

    def __init__(self, message: str, remedy: str = "", line: int = 0) -> None:
        super().__init__(message, remedy)
        self.line = line

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.remedy, self.line)


def load_question(path: Path) -> Question:
    """The question in that file; QuestionError that says what is wrong with it."""
    text = _text_of(path)
    try:
        header, sql, first = split_question(text, path.name)
        fields = read_header(header, first)
    except QuestionError:
        raise
    except BadInputError as error:
        raise QuestionError(error.message, error.remedy, getattr(error, "line", 0)) from error
    try:
        return _Reading(path, fields.values, fields.lines).question(sql)
    except (ValueError, TypeError) as error:  # numbers of thousands of digits, lists where a word belongs
        raise QuestionError(f"its header cannot be read: {error}", "Write such values in quotes.") from error


def _text_of(path: Path) -> str:
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise QuestionError("it is no plain file", "Put the text itself there.")
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError as error:
        raise QuestionError(f"it cannot be read: {error.strerror}", "Check its permissions.") from error
    if len(raw) > LARGEST:
        raise QuestionError(f"it is longer than {LARGEST // 1024} KiB", "A question is a header and one SELECT.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise QuestionError("it is not UTF-8", "Save it as UTF-8.", line) from error
    if "\0" in text:
        raise QuestionError("it holds a NUL character", "Remove it.", text[: text.index("\0")].count("\n") + 1)
    return text


class _Reading:
    """The checks of one header. lines: key -> the line it stands on."""

    def __init__(self, path: Path, fields: dict[str, Any], lines: dict[str, int]) -> None:
        self.path = path
        self.fields = fields
        self.lines = lines

    def question(self, sql: str) -> Question:
        kind = self._kind()
        needed = (*_NEEDED, "severity") if kind == "detection" else _NEEDED
        missing = [key for key in needed if key not in self.fields]
        if missing:
            raise QuestionError(f"its header lacks {', '.join(missing)}", "docs/detections.md says what each is for.", 1)
        for key in self.fields:
            if key not in _KNOWN:
                self._refuse(key, f"{key} is no key of a header", f"Keys are {', '.join(_KNOWN)}.")
        return Question(
            self._id(),
            kind,
            self._words("title"),
            " ".join(self._words("description").split()),
            self._one_of("severity", SEVERITIES, "info"),
            self._list("attack", _TECHNIQUE, "techniques of ATT&CK, such as T1046", may_be_empty=True),
            self._parameters(),
            self._columns(),
            self._list("references"),
            self._list("false_positives"),
            sql,
            self.path,
        )

    def _refuse(self, key: str, why: str, remedy: str) -> NoReturn:
        raise QuestionError(why, remedy, self.lines.get(key, 1))

    def _id(self) -> str:
        found = self.fields["id"]
        if not isinstance(found, str) or not _ID.fullmatch(found):
            self._refuse("id", f"its id is {found!r:.80}", "An id has small letters, digits, _ and -, and is text.")
        if found != self.path.stem:
            self._refuse("id", f"its id is {found}, its file's name is {self.path.name}", f"Name the file {found}.sql.")
        return found

    def _kind(self) -> Kind:
        by_folder = FOLDERS.get(self.path.parent.name)
        said = self._one_of("kind", tuple(FOLDERS.values()), "") or by_folder
        if said is None:
            raise QuestionError("its header lacks kind", "Write kind: detection or kind: hunt, or put it into such a folder.", 1)
        if by_folder is not None and said != by_folder:
            self._refuse("kind", f"its kind is {said}, and it lies in {self.path.parent.name}", "Move it, or mend its kind.")
        return said

    def _words(self, key: str) -> str:
        found = self.fields[key]
        if not isinstance(found, str) or not found.strip():
            self._refuse(key, f"{key} is no text, or empty", "Write it in quotes where YAML takes it for something else.")
        return found.strip()

    def _one_of(self, key: str, choices: tuple[str, ...], default: str) -> Any:
        found = self.fields.get(key, default)
        if found != default and found not in choices:
            self._refuse(key, f"{key} is {found!r:.80}", f"It is one of {', '.join(choices)}.")
        return found

    def _list(
        self, key: str, pattern: re.Pattern[str] | None = None, what: str = "texts", *, may_be_empty: bool = False
    ) -> tuple[str, ...]:
        found = self.fields[key]
        good = isinstance(found, list) and all(isinstance(one, str) and one.strip() for one in found)
        if not good or (pattern is not None and not all(pattern.fullmatch(one) for one in found)):
            self._refuse(key, f"{key} is no list of {what}", "Write it as [one, another].")
        if not found and not may_be_empty:
            self._refuse(key, f"{key} is empty", "A question without one cannot be judged by who reads its answer.")
        return tuple(one.strip() for one in found)

    def _columns(self) -> dict[str, str]:
        found = self.fields["columns"]
        if not isinstance(found, dict) or not all(isinstance(n, str) and isinstance(m, str) and m for n, m in found.items()):
            self._refuse("columns", "columns is no list of names with their meaning", "Write each as name: meaning.")
        return dict(found)

    def _parameters(self) -> dict[str, Parameter]:
        found = self.fields["parameters"]
        if found is None:
            found = {}
        if not isinstance(found, dict):
            self._refuse("parameters", "parameters is no list of names", "Write {} where there are none.")
        return {name: self._parameter(name, about) for name, about in found.items()}

    def _parameter(self, name: Any, about: Any) -> Parameter:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            self._refuse("parameters", f"{name!r:.80} is no name of a parameter", "It has small letters, digits and _.")
        if not isinstance(about, dict) or set(about) != set(_PARAMETER_KEYS):
            self._refuse("parameters", f"parameter {name} has not exactly type, default and help", "Write all three.")
        if about["type"] not in KINDS:
            self._refuse("parameters", f"parameter {name} is of type {about['type']!r:.80}", f"Types are {', '.join(KINDS)}.")
        if not isinstance(about["help"], str) or not about["help"].strip():
            self._refuse("parameters", f"parameter {name} has no help", "Say what it is for.")
        made = Parameter(name, about["type"], about["default"], about["help"].strip())
        try:
            made.value(about["default"])
        except UsageError as error:
            self._refuse("parameters", f"its default: {error.message}", error.remedy)
        return made
