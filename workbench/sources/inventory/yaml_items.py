"""YAML as `kubectl get -o yaml` writes it, cut into its objects and read without trusting it.

Documents are cut at `---` and lists at the dashes of their `items:`, by lines, so that one wrong item costs itself. What is cut
out is read from libyaml's events, which don't recurse (its composer does, and a document of brackets ends the process), with a
bound on depth; aliases are refused, so that nothing grows; every value is text, and no tag means anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from workbench.sources.inventory.json_items import MOST, Item

_DEEPEST: Final = 100
_MOST_NODES: Final = 1_000_000
_ITEMS: Final = re.compile(rb"items:\s*(?:#.*)?\Z")
_DASH: Final = re.compile(rb"( *)- ")
_KIND: Final = re.compile(rb"(?m)^kind:\s*(\w{1,64}?)List\s*$")


class YamlError(ValueError):
    """What cannot be read; the text says why."""


def read_yaml(data: bytes) -> Any:
    """The first document of it: dicts, lists and text. YamlError for anything else, with why."""
    import yaml

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    stack: list[tuple[Any, list[Any]]] = []  # what is being filled, and the key that waits for its value
    root: list[Any] = []
    nodes = 0
    try:
        for event in yaml.parse(data, Loader=loader):
            nodes += 1
            if nodes > _MOST_NODES:
                raise YamlError("too many values")
            if isinstance(event, yaml.AliasEvent):
                raise YamlError("an alias")
            if isinstance(event, yaml.ScalarEvent):
                _add(stack, root, event.value)
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                if len(stack) == _DEEPEST:
                    raise YamlError("nested too deeply")
                made: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
                _add(stack, root, made)
                stack.append((made, []))
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                stack.pop()
            elif isinstance(event, yaml.DocumentEndEvent):
                break
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise YamlError("not YAML") from error
    return root[0] if root else None


def _add(stack: list[tuple[Any, list[Any]]], root: list[Any], value: Any) -> None:
    if not stack:
        root.append(value)
        return
    into, waiting = stack[-1]
    if isinstance(into, list):
        into.append(value)
    elif waiting:
        key = waiting.pop()
        if isinstance(key, str):
            into[key] = value
    else:
        waiting.append(value)


class YamlItems:
    """Feed it bytes; it gives objects as bytes of YAML. `finish` gives what was left."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._rest = b""
        self._line = 0
        self._lines: list[bytes] = []  # of the present object
        self._size = 0
        self._start_line = 1
        self._head: list[bytes] = []  # of the present document, its items left out
        self._indent: int | None = None  # of the dashes of its items
        self._listed = False  # inside the items
        self._has_items = False
        self._n = 0
        self._kind = ""

    def feed(self, data: bytes) -> Iterator[Item]:
        """More bytes."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > self._most:  # a line without an end
            lines.append(self._rest[: self._most])
            self._rest = b""
        for line in lines:
            yield from self._take(line)

    def finish(self) -> Iterator[Item]:
        """No more bytes."""
        yield from self._take(self._rest)
        yield from self._end_document()

    def _take(self, line: bytes) -> Iterator[Item]:
        self._line += 1
        line = line.rstrip(b"\r")
        if line.startswith((b"---", b"...")):
            yield from self._end_document()
            line = line[3:]
        if self._listed:
            found = _DASH.match(line) if line.strip() != b"-" else None
            indent = len(found[1]) if found is not None else None
            if indent is not None and self._indent in (None, indent):
                yield from self._end_item()
                self._indent, self._n, self._start_line = indent, self._n + 1, self._line
                self._lines, self._size = [b" " * (indent + 2) + line[indent + 2 :]], 0
                return
            if not line.strip() or line.startswith(b" " * ((self._indent or 0) + 1)) or line.lstrip().startswith(b"#"):
                if self._lines:
                    self._append(line)
                return
            yield from self._end_item()
            self._listed = False
        if not self._has_items and _ITEMS.match(line):
            self._listed = self._has_items = True
            kind = _KIND.search(b"\n".join(self._head))
            self._kind = kind[1].decode() if kind else ""
            return
        if not self._head:
            self._start_line = self._line
        if line.strip() and self._size <= self._most:
            self._size += len(line)
            self._head.append(line)

    def _append(self, line: bytes) -> None:
        self._size += len(line) + 1
        if self._size <= self._most:
            self._lines.append(line)

    def _end_item(self) -> Iterator[Item]:
        if self._lines:
            problem = f"larger than {self._most >> 20} MiB" if self._size > self._most else ""
            yield Item(self._start_line, self._n, b"\n".join(self._lines), self._kind, problem=problem)
        self._lines, self._size = [], 0

    def _end_document(self) -> Iterator[Item]:
        if self._listed:
            yield from self._end_item()
        if self._head or self._has_items:
            problem = f"larger than {self._most >> 20} MiB" if self._size > self._most else ""
            yield Item(self._start_line, 0, b"\n".join(self._head), head=self._has_items, problem=problem)
        self._head, self._size, self._n, self._kind = [], 0, 0, ""
        self._listed = self._has_items = False
        self._indent = None
