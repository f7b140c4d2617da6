"""Formats of logs that can be imported: one SQL file each, with a YAML header. Read strictly, since anybody may have written it.

docs/imports.md is the format for people. A file with a mistake is refused as a whole, with the line and the reason.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

from workbench.errors import BadInputError, MissingPathError, UsageError
from workbench.records.columns import BY_NAME
from workbench.records.header import Header, read_header
from workbench.settings import settings_path
from workbench.store.views import queries_folder, split_question

Input = Literal["lines", "json", "csv", "zeek", "parquet"]

#: What a file of a format may say of its input: Parquet is told by its own columns or a mapping.
_INPUTS: Final = tuple(name for name in get_args(Input) if name != "parquet")
#: Bytes of a file, and files of a folder, at most.
LARGEST: Final = 262_144
MOST_FILES: Final = 200
#: Where a folder of queries has its imports.
FOLDER: Final = "imports"
_RESERVED: Final = frozenset({"n", "h", "stream", "line", "bad"})
#: Bytes of a file that are looked at to tell what it is.
HEAD: Final = 1 << 16

_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_PART: Final = re.compile(
    r"^--[ \t]*into[ \t]+(?P<table>[a-z_]+)(?:[ \t]+from[ \t]+(?P<stream>[a-z0-9_*-]+))?[ \t]*$", re.MULTILINE
)
_NEEDED: Final = ("id", "title", "description", "input", "recognise", "times", "columns", "references")
_KNOWN: Final = (*_NEEDED, "fields", "stream", "items", "nothing", "unused", "separator", "head", "pair", "until")
#: Tables that rows may go into. Those of the house itself (sources, ledger, findings...) are not among them.
_CLOSED: Final = frozenset(
    {"sources", "source_files", "source_blocks", "ledger", "links", "workloads", "flow_identity", "findings", "finding_flows"}
    | {"flow_slices", "flow_blocks"}
)
TARGETS: Final = tuple(name for name in BY_NAME if name not in _CLOSED)


@dataclass(frozen=True, slots=True)
class Part:
    """One SELECT. table: where its rows go. stream: which kind of line it reads, '' all. line: of the file, where it begins."""

    table: str
    stream: str
    sql: str
    line: int


@dataclass(frozen=True, slots=True)
class ImportFormat:
    """A format. patterns: any of these, found in the beginning of a file, tells it. fields: what is taken out of each line.

    stream: the field that tells lines apart. items: in JSON, the member that holds the rows. nothing: texts that mean no value.
    separator: of CSV; head: its names, where files may come without a first line of them; until: the line at
    which they end. unused: what its other kinds of lines are, in
    words. pair: seconds; above 0, rows of flows tell one direction or one sighting, and become flows together (`import_pairing`).
    strict: every field must be there.
    """

    id: str
    title: str
    description: str
    input: Input
    patterns: tuple[re.Pattern[str], ...]
    times: str
    columns: dict[str, str]
    references: tuple[str, ...]
    parts: tuple[Part, ...]
    path: Path
    fields: tuple[str, ...] = ()
    stream: str = ""
    items: str = ""
    nothing: tuple[str, ...] = ("",)
    separator: str = ","
    head: tuple[str, ...] = ()
    until: str = ""
    pair: float = 0.0
    strict: bool = False

    def knows(self, head: str) -> bool:
        """Whether a file that begins so is of this format."""
        return any(pattern.search(head) for pattern in self.patterns)

    def recognise(self, head: bytes) -> str | None:
        """The format's id for the beginning of a file that is of it."""
        return self.id if b"\0" not in head[:4096] and self.knows(head[:HEAD].decode("utf-8", "replace")) else None


class FormatError(BadInputError):
    """A format's file that is refused. line: where, counted from 1; 0 where the whole file is meant."""

    title = "Import format refused"

    def __init__(self, message: str, remedy: str = "", line: int = 0) -> None:
        super().__init__(message, remedy)
        self.line = line

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.remedy, self.line)


@dataclass(frozen=True, slots=True)
class Formats:
    """formats: by id, in order of their ids. refused: files with mistakes, and what is wrong with them."""

    formats: dict[str, ImportFormat] = field(default_factory=dict)
    refused: list[tuple[Path, FormatError]] = field(default_factory=list)

    def find(self, name: str) -> ImportFormat:
        """The format of that id; UsageError that names the nearest, or says why its file was refused."""
        if name in self.formats:
            return self.formats[name]
        for path, error in self.refused:
            if path.stem == name:
                raise UsageError(f"{path}{f':{error.line}' if error.line else ''}: {error.message}", error.remedy)
        raise UsageError(f"there is no import format {name[:80]}", f"Formats: {', '.join(self.formats)}.")

    def recognise(self, head: bytes) -> str | None:
        """The id of the format that a file beginning with these bytes is of; None for none. Never raises."""
        return next((name for name, one in self.formats.items() if one.recognise(head)), None)


class Recogniser:
    """Tells logs by their first bytes. Formats are loaded when the first file is met that is no capture."""

    def __init__(self) -> None:
        self._formats: Formats | None = None

    def __call__(self, head: bytes) -> str | None:
        """The id of the format; None for what is no log."""
        if self._formats is None:
            self._formats = load_formats()
        return self._formats.recognise(head)

    def format(self, kind: str) -> ImportFormat | None:
        """The format that a kind names; None for a kind of capture."""
        return self._formats.formats.get(kind) if self._formats is not None else None


def load_formats(folders: Sequence[Path] = ()) -> Formats:
    """Those shipped, the person's own, and those of `folders`: later ones win. MissingPathError where one is not there."""
    for folder in folders:
        if not folder.is_dir():
            raise MissingPathError(f"{folder} is no folder", "Name a folder of .sql files with --queries.")
    made = Formats()
    for folder in (queries_folder(), settings_path().parent / "queries", *folders):
        for path in _files(folder / FOLDER):
            try:
                one = load_format(path)
            except FormatError as error:
                made.refused.append((path, error))
                continue
            made.formats[one.id] = one
    return made


def _files(folder: Path) -> Iterator[Path]:
    try:
        names = sorted(path for path in folder.iterdir() if path.suffix == ".sql" and not path.name.startswith("."))
    except OSError:
        return
    yield from names[:MOST_FILES]


def load_format(path: Path) -> ImportFormat:
    """The format in that file; FormatError that says what is wrong with it."""
    text = _text_of(path)
    try:
        header, sql, first = split_question(text, path.name)
        found = read_header(header, first)
        return _format(path, found, sql, text)
    except FormatError:
        raise
    except BadInputError as error:
        raise FormatError(error.message, error.remedy, getattr(error, "line", 0)) from error
    except (ValueError, TypeError) as error:
        raise FormatError(f"its header cannot be read: {error}", "Write such values in quotes.") from error


def _text_of(path: Path) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise FormatError("it is no plain file", "Put the text itself there.")
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
        if len(raw) > LARGEST:
            raise FormatError(f"it is longer than {LARGEST // 1024} KiB", "Shorten it.")
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise FormatError(f"it cannot be read: {error.strerror}", "Check its permissions.") from error
    except UnicodeDecodeError as error:
        raise FormatError("it is not UTF-8", "Save it as UTF-8.") from error
    if "\0" in text:
        raise FormatError("it holds a NUL character", "Remove it.")
    return text


def _format(path: Path, header: Header, sql: str, text: str) -> ImportFormat:
    fields, lines = header.values, header.lines
    missing = [key for key in _NEEDED if key not in fields]
    if missing:
        raise FormatError(f"its header lacks {', '.join(missing)}", "docs/imports.md says what each is for.", 1)
    for key in fields:
        if key not in _KNOWN:
            raise FormatError(f"{key} is no key of a header", f"Keys are {', '.join(_KNOWN)}.", lines[key])
    read = _Values(fields, lines)
    name = read.words("id")
    if not _ID.fullmatch(name) or name != path.stem:
        raise FormatError(f"its id is {name!r:.80}", f"Name the file by its id: {path.stem}.", lines["id"])
    if fields["input"] not in _INPUTS:
        raise FormatError(f"input is {fields['input']!r:.80}", f"It is one of {', '.join(_INPUTS)}.", lines["input"])
    if "fields" in fields:
        check_fields(read.texts("fields"), lines["fields"])
    return ImportFormat(
        name,
        read.words("title"),
        " ".join(read.words("description").split()),
        fields["input"],
        tuple(read.pattern(one) for one in read.texts("recognise")),
        read.words("times"),
        read.meanings("columns"),
        tuple(read.texts("references")),
        _parts(sql, text),
        path,
        tuple(read.texts("fields")) if "fields" in fields else (),
        read.words("stream") if "stream" in fields else "",
        read.words("items") if "items" in fields else "",
        ("", *read.texts("nothing")) if "nothing" in fields else ("",),
        str(fields.get("separator", ",")),
        tuple(read.words("head").split()) if "head" in fields else (),
        read.words("until") if "until" in fields else "",
        read.seconds("pair") if "pair" in fields else 0.0,
    )


def check_fields(fields: Sequence[str], line: int) -> None:
    """FormatError for names of fields that SQL would take for others: it knows no capitals, and `rows` has columns of its own."""
    seen: set[str] = set()
    for name in fields:
        if name.lower() in _RESERVED or name.lower() in seen:
            raise FormatError(f"a field cannot be named {name:.80}", "It is there twice, or a name of ours.", line)
        seen.add(name.lower())


class _Values:
    """Values of a header, each checked to be what it should."""

    def __init__(self, values: dict[str, Any], lines: dict[str, int]) -> None:
        self.values = values
        self.lines = lines

    def words(self, key: str) -> str:
        found = self.values[key]
        if not isinstance(found, str) or not found.strip():
            raise FormatError(f"{key} is no text, or empty", "Write it in quotes.", self.lines[key])
        return found.strip()

    def texts(self, key: str) -> list[str]:
        found = self.values[key]
        if not isinstance(found, list) or not all(isinstance(one, str) and one for one in found):
            raise FormatError(f"{key} is no list of texts", "Write it as [one, another].", self.lines[key])
        return found

    def pattern(self, text: str) -> re.Pattern[str]:
        try:
            return re.compile(text, re.MULTILINE)
        except re.error as error:
            raise FormatError(f"{text!r:.80} is no regular expression: {error}", "", self.lines["recognise"]) from error

    def seconds(self, key: str) -> float:
        found = self.values[key]
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 < found <= 86_400:
            raise FormatError(f"{key} is no number of seconds up to a day", "Write it as 300.", self.lines[key])
        return float(found)

    def meanings(self, key: str) -> dict[str, str]:
        found = self.values[key]
        if not isinstance(found, dict) or not all(isinstance(n, str) and isinstance(m, str) and m for n, m in found.items()):
            raise FormatError(f"{key} is no list of names with their meaning", "Write each as name: meaning.", self.lines[key])
        return dict(found)


def _parts(sql: str, text: str) -> tuple[Part, ...]:
    marks = list(_PART.finditer(sql))
    before = text.count("\n", 0, text.index(sql)) + 1 if sql and sql in text else 1
    if not marks:
        raise FormatError("it has no line `-- into TABLE`", "Write one before each SELECT.", before)
    found = []
    for mark, after in zip(marks, [*marks[1:], None], strict=True):
        line = before + sql.count("\n", 0, mark.start())
        table = mark["table"]
        if table not in TARGETS:
            raise FormatError(f"{table} is no table that an import can fill", f"Tables: {', '.join(TARGETS)}.", line)
        body = sql[mark.end() : after.start() if after else None].strip().rstrip(";").strip()
        if not body:
            raise FormatError(f"there is no SELECT into {table}", "Write it below that line.", line)
        found.append(Part(table, mark["stream"] or "", body, line))
    return tuple(found)
