"""YAML with the line of every key and value, and nothing of YAML that surprises.

Only mappings, lists and plain scalars: no anchors, aliases, tags or keys said twice, and several documents only where a stream is
asked for. `no` is a text and `00:11:22:33:44:55` not a number: of plain scalars only null, true, false and decimal numbers mean
anything but their text. Read event by event, so that depth and size are bounded before anything is built.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import yaml

#: What one file may have at most: characters, values, and levels.
MOST_CHARACTERS: Final = 16 << 20
MOST_VALUES: Final = 2_000_000
MOST_LEVELS: Final = 24

_WORDS: Final[dict[str, Any]] = {"": None, "~": None, "null": None, "true": True, "false": False}
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})\Z")
Place = tuple[str | int, ...]
_Read = TypeVar("_Read")


class MarkedError(ValueError):
    """What is wrong with the text, in words, and the line it is on, from 1."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line
        self.why = why


@dataclass(slots=True)
class Marked:
    """value: mappings, lists, texts, numbers. lines: of the value at each place, or of its key where it has one, from 1."""

    value: Any = None
    lines: dict[Place, int] = field(default_factory=dict)

    def line(self, place: Place) -> int:
        """The line of a place, or of the nearest around it that is in the text."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def read(text: str) -> Marked:
    """The document in text. MarkedError where it is not what this module reads."""
    return _bounded(text, lambda reader: reader.document())


def read_stream(text: str) -> list[Marked]:
    """Every document in text, empty ones left out. Lines are those of the text; bounds hold for all documents together."""
    return _bounded(text, lambda reader: list(reader.documents()))


def _bounded(text: str, reading: Callable[[_Reader], _Read]) -> _Read:
    if len(text) > MOST_CHARACTERS:
        raise MarkedError(1, f"the file is larger than {MOST_CHARACTERS >> 20} MiB")
    try:
        return reading(_Reader(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise MarkedError(line, _plain(text, line, str(error.problem or error.context))) from error
    except yaml.YAMLError as error:  # characters that YAML does not know
        raise MarkedError(1, f"this is no YAML text: {' '.join(str(error).split())[:120]}") from error
    except UnicodeError as error:
        raise MarkedError(1, "this is no YAML text: half a character") from error


def _plain(text: str, line: int, problem: str) -> str:
    lines = text.splitlines()
    around = lines[line - 1] if line <= len(lines) else ""
    if "\t" in around[: len(around) - len(around.lstrip())]:
        return "a tab indents this line: YAML wants spaces"
    return f"this is no YAML: {problem}"


class _Reader:
    """Builds values from events. Python's own stack is used for MOST_LEVELS at most."""

    def __init__(self, text: str) -> None:
        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self.events: Iterator[Any] = iter(yaml.parse(text, Loader=loader))
        self.marked = Marked()
        self.values = 0

    def document(self) -> Marked:
        next(self.events)  # the stream begins
        event = next(self.events)
        if isinstance(event, yaml.StreamEndEvent):
            raise MarkedError(1, "the file is empty")
        self.marked.value = self._value(next(self.events), ())
        next(self.events)  # the document ends
        event = next(self.events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise MarkedError(event.start_mark.line + 1, "a second document begins here: one policy a file")
        return self.marked

    def documents(self) -> Iterator[Marked]:
        next(self.events)  # the stream begins
        while not isinstance(next(self.events), yaml.StreamEndEvent):
            self.marked = Marked()
            self.marked.value = self._value(next(self.events), ())
            next(self.events)  # the document ends
            if self.marked.value is not None:
                yield self.marked

    def _value(self, event: Any, place: Place) -> Any:
        line = event.start_mark.line + 1
        self._check(event, line, place)
        self.marked.lines.setdefault(place, line)
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._list(place)
        return self._mapping(place)

    def _check(self, event: Any, line: int, place: Place) -> None:
        self.values += 1
        if self.values > MOST_VALUES:
            raise MarkedError(line, f"more than {MOST_VALUES} values")
        if len(place) > MOST_LEVELS:
            raise MarkedError(line, f"more than {MOST_LEVELS} levels deep")
        if isinstance(event, yaml.AliasEvent):
            raise MarkedError(line, f"`*{event.anchor}` repeats what is elsewhere: aliases are not read, write it out")
        if event.anchor:
            raise MarkedError(line, f"`&{event.anchor}`: anchors are not read, write it out where it is meant")
        if event.tag:
            raise MarkedError(line, f"`{event.tag}`: tags are not read")

    def _list(self, place: Place) -> list[Any]:
        out: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            out.append(self._value(event, (*place, len(out))))
        return out

    def _mapping(self, place: Place) -> dict[str, Any]:
        out: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            line = event.start_mark.line + 1
            self._check(event, line, place)
            if not isinstance(event, yaml.ScalarEvent):
                raise MarkedError(line, "a key must be one word")
            key = str(event.value)
            if key in out:
                raise MarkedError(line, f"`{key}` is said twice; the first is on line {self.marked.lines[(*place, key)]}")
            self.marked.lines[(*place, key)] = line
            out[key] = self._value(next(self.events), (*place, key))
        return out


def _scalar(event: Any) -> Any:
    text = str(event.value)
    if event.style is not None and event.style != "":
        return text
    if text in _WORDS:
        return _WORDS[text]
    return int(text) if _INTEGER.match(text) else text
