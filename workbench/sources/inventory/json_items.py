"""JSON documents one behind the other, or lists of them, cut into their objects in bounded memory.

Objects are cut out by counting brackets outside strings, so that one that is wrong inside costs nothing but itself; a list
(`items` of the outermost object, or an outermost array) gives its items one by one. Where brackets don't match, reading goes on
at a line that begins with one, or at the next line where documents are lines. Nothing recurses; no object above MOST is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

#: Bytes of one object. Managers keep one to two MB of each at most.
MOST: Final = 16 << 20

#: Up to the next bracket: whatever is none, with whole strings. Possessive, so that it never goes back.
_TO_BRACKET: Final = re.compile(rb'(?:[^"{}\[\]]++|"(?:[^"\\\n]++|\\[^\n])*+")*+')
_LIST: Final = re.compile(rb'"items"\s*:\s*\Z')
_KIND: Final = re.compile(rb'"kind"\s*:\s*"(\w{1,64}?)List"')
_BLANK: Final = re.compile(rb"[\s,\x00\x1e\xef\xbb\xbf]*")
_EVENT: Final = b'{"type":'
_OPEN: Final = frozenset(b"{[")
_ARRAY: Final = 0x5B
_QUOTE: Final = 0x22


@dataclass(frozen=True, slots=True)
class Item:
    """One object as bytes, or why there is none (problem).

    line: where it begins, from 1. n: its number in its list, from 1; 0 outside lists. kind: what the list says its items are.
    head: the outermost object of a list, which is over, its items left out.
    """

    line: int
    n: int = 0
    data: bytes = b""
    kind: str = ""
    head: bool = False
    problem: str = ""

    @property
    def where(self) -> str:
        """Its place, for people."""
        return f"line {self.line}, item {self.n}" if self.n else f"line {self.line}"


class JsonItems:
    """Feed it bytes; it gives what is whole. `finish` gives what was left."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._buffer = bytearray()
        self._at = 0  # what of the buffer was looked at
        self._depth = 0
        self._base = 0  # the depth at which items stand: 0 documents, 1 those of an array, 2 those of a list
        self._start = 0  # where the present object begins
        self._start_line = 1
        self._head: bytes | None = None  # of a list: what stood around its items so far
        self._kind = ""
        self._n = 0
        self._skipping = False  # an object that is too big: its bytes go
        self._by_line = False  # whether a document stood in one line
        self._in_one = 0  # the line that the last document stood in, where it was one
        self._counted, self._line = 0, 1  # lines up to there

    def feed(self, data: bytes) -> Iterator[Item]:
        """More bytes."""
        self._buffer += data
        yield from self._run(eof=False)
        self._trim()

    def finish(self) -> Iterator[Item]:
        """No more bytes."""
        yield from self._run(eof=True)
        if self._depth:
            yield self._cut_off()
        self._buffer.clear()

    # -- scanning ---------------------------------------------------------------------------------

    def _run(self, *, eof: bool) -> Iterator[Item]:
        buffer = self._buffer
        while True:
            if not self._depth:
                yield from self._between(eof=eof)
                if self._at >= len(buffer) or not self._began():
                    return
            found = _TO_BRACKET.match(buffer, self._at)
            end = self._at if found is None else found.end()
            self._at = end
            if end >= len(buffer):
                return
            if buffer[end] == _QUOTE:  # a string that is not whole yet, or that a line ends
                line_end = buffer.find(b"\n", end)
                if line_end >= 0:
                    self._at = line_end
                    continue
                if not eof and len(buffer) - end > self._most:
                    self._at = len(buffer)
                return
            self._at = end + 1
            if buffer[end] in _OPEN:
                yield from self._opened(end)
            else:
                yield from self._closed(end)

    def _between(self, *, eof: bool) -> Iterator[Item]:
        """To the beginning of the next document; lines that begin otherwise are told."""
        buffer = self._buffer
        while True:
            found = _BLANK.match(buffer, self._at)
            at = self._at = self._at if found is None else found.end()
            if at >= len(buffer):
                return
            opens = buffer[at] in _OPEN
            if self._in_one and self._line_of(at) > self._in_one:
                self._by_line = True
            if opens and not self._by_line:
                self._begin(at)
                return
            end = buffer.find(b"\n", at)
            if end < 0 and not eof and len(buffer) - at <= self._most:
                return
            end = len(buffer) if end < 0 else end
            event = buffer.startswith(_EVENT, at)  # holds one object; what that has as items is its own
            if opens and (end - at < 3 or end - at > self._most or (not event and buffer.find(b'"items"', at, end) >= 0)):
                self._begin(at)  # one of many lines after all, or a list
                return
            yield self._one(at, end) if opens else Item(self._line_of(at), problem="not a JSON object")
            self._at = end

    def _began(self) -> bool:
        return self._depth > 0

    def _one(self, at: int, end: int) -> Item:
        """A document that is a line."""
        line = self._line_of(at)
        data = bytes(self._buffer[at:end]).rstrip()
        return Item(line, data=data) if data[-1:] in (b"}", b"]") else Item(line, problem="cut off")

    def _begin(self, at: int) -> None:
        self._start, self._start_line = at, self._line_of(at)
        self._at, self._depth, self._base = at + 1, 1, 0
        self._n, self._head, self._kind, self._skipping = 0, None, "", False
        if self._buffer[at] == _ARRAY:
            self._base, self._head = 1, b""

    def _opened(self, at: int) -> Iterator[Item]:
        buffer = self._buffer
        if at and buffer[at - 1] == 0x0A and bytes(buffer[max(0, at - 256) : at]).rstrip()[-1:] not in (b",", b":", b"[", b""):
            yield self._cut_off()  # no object can begin there: a new document does
            self._at = at
            return
        if self._head and self._depth == 1 and not self._base and buffer[max(0, at - 64) : at].rstrip()[-1:] == b",":
            self._base = self._depth = 2  # no object can begin there: an item had a bracket too many
        if self._base and self._depth == self._base:  # an item of a list
            self._start, self._start_line = at, self._line_of(at)
            self._n += 1
        elif buffer[at] == _ARRAY and self._depth == 1 and not self._base:
            before = bytes(buffer[self._start : at + 1])
            if _LIST.search(before[-64:-1]):
                self._head = (self._head or b"") + (b"" if self._skipping else before)
                kind = _KIND.search(self._head)
                self._kind = kind[1].decode() if kind else ""
                self._base, self._skipping = 2, False
        self._depth += 1

    def _closed(self, at: int) -> Iterator[Item]:
        self._depth -= 1
        if self._depth > self._base:  # inside: copying here would cost the square of what an object has of brackets
            return
        data = b"" if self._skipping else bytes(self._buffer[self._start : at + 1])
        problem = f"larger than {self._most >> 20} MiB" if self._skipping else ""
        if not self._base and not self._depth:  # a document is whole
            line = self._line_of(at)
            if self._head is None:
                yield Item(self._start_line, data=data, problem=problem)
                self._in_one = line if line == self._start_line else 0
            else:
                yield Item(self._start_line, data=self._head + data, head=True, problem=problem)
        elif self._base and self._depth == self._base:  # an item is
            yield Item(self._start_line, self._n, data, self._kind, problem=problem)
            self._skipping = False
        elif self._base and self._depth < self._base:  # the list is over
            if self._base == 1:
                yield Item(self._start_line, head=True)
            self._base, self._start = 0, at

    def _cut_off(self) -> Item:
        """The present object, which has no end; what comes is a new document."""
        inside = self._base and self._depth > self._base
        item = Item(self._start_line, self._n if inside else 0, problem="cut off")
        self._depth = self._base = 0
        self._head, self._skipping = None, False
        return item

    # -- memory -----------------------------------------------------------------------------------

    def _line_of(self, at: int) -> int:
        if at > self._counted:
            self._line += self._buffer.count(b"\n", self._counted, at)
            self._counted = at
        return self._line

    def _trim(self) -> None:
        """Let go of what was given; of an object that is too big too."""
        between = not self._depth or (self._base and self._depth == self._base)
        keep = self._at if between or self._skipping else self._start
        if len(self._buffer) - keep > self._most and self._depth and not between:
            self._skipping, keep = True, self._at
        self._line_of(keep)
        keep = max(0, keep - 1)  # one byte stays, to see whether a line begins
        del self._buffer[:keep]
        self._at -= keep
        self._start = max(0, self._start - keep)
        self._counted -= keep
