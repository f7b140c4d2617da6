"""A question's YAML header, read so that nobody can make it cost much or mean two things.

No anchors and aliases (a few lines of them stand for gigabytes), no tags, no key twice, bounded in length and depth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import yaml

from workbench.errors import BadInputError

#: Characters and levels of a header at most.
LONGEST: Final = 65_536
DEEPEST: Final = 8


@dataclass(frozen=True, slots=True)
class Header:
    """The keys of a header and their values. lines: key -> the line of the file it stands on, from 1."""

    values: dict[str, Any]
    lines: dict[str, int]


class HeaderError(BadInputError):
    """A header that is refused. line: of the file, from 1."""

    def __init__(self, message: str, remedy: str = "", line: int = 1) -> None:
        super().__init__(message, remedy)
        self.line = line

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.remedy, self.line)


def read_header(text: str, first: int) -> Header:
    """The header's keys. text: its YAML. first: the line of the file that it begins on. HeaderError with its line."""
    if len(text) > LONGEST:
        raise HeaderError(f"its header is longer than {LONGEST // 1024} KiB", "Shorten it.", first)
    try:
        _check_events(text, first)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if not isinstance(node, yaml.MappingNode):
            raise HeaderError("its header is no list of keys", "Begin the file with /* id: ... */.", first)
        _check_keys(node, first)
        lines = {str(key.value): first + key.start_mark.line for key, _ in node.value}
        return Header(yaml.safe_load(text), lines)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        why = getattr(error, "problem", None) or str(error).partition("\n")[0]
        line = first + mark.line if mark is not None else first
        raise HeaderError(f"its header is not YAML: {why}", "Mend the comment at its head.", line) from error
    except (ValueError, RecursionError) as error:  # a date that is none, among others
        raise HeaderError(f"its header cannot be read: {error}", "Write such values in quotes.", first) from error


def _check_events(text: str, first: int) -> None:
    """Refuse what makes a short text large or deep, before anything is built from it. The event parser does not recurse."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = first + (event.start_mark.line if event.start_mark is not None else 0)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise HeaderError("its header has anchors or aliases (& or *)", "Write values out, texts in quotes.", line)
        if getattr(event, "tag", None):
            raise HeaderError("its header has tags (!)", "Leave them out.", line)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise HeaderError(f"its header is nested more than {DEEPEST} deep", "Flatten it.", line)


def _check_keys(node: yaml.Node, first: int) -> None:
    """Every key is a plain word, once."""
    if isinstance(node, yaml.SequenceNode):
        for one in node.value:
            _check_keys(one, first)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        line = first + key.start_mark.line
        if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
            raise HeaderError(
                f"{getattr(key, 'value', '')!r:.40} is no key: it is not read as text", "Write keys in quotes.", line
            )
        if key.value in seen:
            raise HeaderError(f"{key.value} is there twice", "Keep one of the two.", line)
        seen.add(key.value)
        _check_keys(value, first)
