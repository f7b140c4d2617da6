"""JSON objects out of lines: one a line, one over several lines, or as members of an array.

Lines that are whole objects cost nothing. Of the others, those that make up an object together become one, numbered by its first
line; what never does is bad. An object that begins in the first column ends one that was never closed, so that a line that was
cut costs itself and not the rest of the file.
"""

from __future__ import annotations

import json
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.sources.lines import LONGEST, Lines

_DECODER: Final = json.JSONDecoder()
#: Objects over several lines may be longer than a line may: a whole listing is one.
LONGEST_OBJECT: Final = 64 << 20


class Objects:
    """Feed it lines in order; each call gives the objects that are whole by then. bad: numbers of lines that are none."""

    def __init__(self, longest: int = LONGEST_OBJECT) -> None:
        self.bad: list[int] = []
        self._longest = longest
        self._parts: list[str] = []
        self._size = 0
        self._first = 0
        self._depth = _Depth()

    def feed(self, lines: Lines) -> Lines:
        """The objects among these lines and those kept from before."""
        text = lines.text
        trimmed = pc.utf8_trim(text, " \t\r\n\ufeff")
        whole = pc.and_(pc.starts_with(trimmed, "{"), pc.ends_with(trimmed, "}"))
        if not self._parts and pc.all(whole).as_py() is not False:
            return lines
        n: list[int] = []
        out: list[str] = []
        plain = whole.to_numpy(zero_copy_only=False)
        for at, (number, line) in enumerate(zip(lines.n.tolist(), text.to_pylist(), strict=True)):
            self._take(number, line, bool(plain[at]), n, out)
        return Lines(np.array(n, np.int64), pa.array(out, pa.utf8()), lines.too_long)

    def finish(self) -> None:
        """There are no more lines: what is still open is bad."""
        if self._parts:
            self._drop()

    def _take(self, number: int, line: str, plain: bool, n: list[int], out: list[str]) -> None:
        stripped = line.strip(" \t\r\n\ufeff")
        if self._parts and line.startswith("{") and plain and _is_object(stripped):
            self._drop()
        if not self._parts:
            if plain:
                n.append(number)
                out.append(stripped)
                return
            stripped = stripped.lstrip("[, \t")
            if stripped in {"", "]", "],"}:
                return
            if not stripped.startswith("{"):
                self.bad.append(number)
                return
            self._first, self._depth = number, _Depth()
        self._parts.append(stripped)
        self._size += len(stripped)
        if self._depth.add(stripped) or self._size > self._longest:
            self._close(n, out)

    def _close(self, n: list[int], out: list[str]) -> None:
        """What was gathered: its objects, one behind the other."""
        text = "\n".join(self._parts)
        at, found = 0, False
        while at < len(text):
            if text[at] in " \t\r\n,]":
                at += 1
                continue
            try:
                _, end = _DECODER.raw_decode(text, at)
            except (ValueError, RecursionError):
                if text[at:].lstrip("[").startswith("{") and text[at] == "[":
                    at += 1
                    continue
                self.bad.append(self._first)
                found = True
                break
            if text[at] == "{":
                n.append(self._first)
                out.append(text[at:end])
            found, at = True, end
        if not found:
            self.bad.append(self._first)
        self._parts, self._size = [], 0

    def _drop(self) -> None:
        self.bad.append(self._first)
        self._parts, self._size = [], 0


class _Depth:
    """How many braces are open, texts left aside."""

    def __init__(self) -> None:
        self.open = 0
        self._in_text = False

    def add(self, line: str) -> bool:
        """Whether everything is closed at the end of this piece."""
        escaped = False
        for c in line:
            if self._in_text:
                if escaped:
                    escaped = False
                elif c == "\\":
                    escaped = True
                elif c == '"':
                    self._in_text = False
            elif c == '"':
                self._in_text = True
            elif c == "{":
                self.open += 1
            elif c == "}":
                self.open -= 1
        return self.open <= 0 and not self._in_text


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text.rstrip(",")), dict)
    except (ValueError, RecursionError):
        return False


assert LONGEST < LONGEST_OBJECT
