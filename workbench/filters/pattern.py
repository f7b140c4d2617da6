"""Regular expressions, checked before the engine sees them: what passes here, RE2 compiles.

A subset of RE2's syntax (https://github.com/google/re2/wiki/Syntax): no Unicode classes, no named groups, no octal
escapes, and repetitions whose product stays at 1000, as RE2 wants it.
"""

from __future__ import annotations

import re
from typing import Final

#: Characters of the longest pattern.
LONGEST: Final = 1000

#: RE2 refuses products of nested repetitions past this.
_REPEATS: Final = 1000

#: What a pattern may weigh: RE2 compiles some 80,000 instructions, a weight is at most four of them.
_HEAVIEST: Final = 15_000
_DEEPEST: Final = 50

_GROUP: Final = re.compile(r"\(\?(?:[imsU]+(?:-[imsU]+)?|-[imsU]+)?:|\((?!\?)")
_FLAGS: Final = re.compile(r"\(\?(?:[imsU]+(?:-[imsU]+)?|-[imsU]+)\)")
_TIMES: Final = re.compile(r"\{([0-9]{1,6})(,([0-9]{0,6}))?\}")
_CODE: Final = re.compile(r"\\x(?:([0-9a-fA-F]{2})|\{([0-9a-fA-F]{1,6})\})")
_NAMED_CLASS: Final = re.compile(
    r"\[:\^?(?:alnum|alpha|ascii|blank|cntrl|digit|graph|lower|print|punct|space|upper|word|xdigit):\]"
)
_CLASSES: Final = "dDwWsS"
_PLACES: Final = "bBAz"
_CONTROLS: Final = "tnrfva"
_PUNCTUATION: Final = "!\"#$%&'()*+,-./:;<=>?@[\\]^`{|}~ "


class _Refused(Exception):  # noqa: N818  never leaves this module
    pass


def check_pattern(pattern: str) -> str | None:
    """What is wrong with a pattern, or None where RE2 takes it."""
    if len(pattern) > LONGEST:
        return f"there are more than {LONGEST} characters"
    try:
        _Reader(pattern).read()
    except _Refused as refused:
        return str(refused)
    return None


class _Reader:
    """One pass over a pattern. Levels: what each open group weighs, and the product of repetitions in it."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._weights: list[int] = [0]
        self._products: list[int] = [1]
        self._last: tuple[int, int] | None = None  # weight and product of what a repetition would repeat

    def read(self) -> None:
        while self._at < len(self._text):
            self._one()
            if self._weights[-1] > _HEAVIEST:
                raise _Refused("it is too large")
        if len(self._weights) > 1:
            raise _Refused("a parenthesis is not closed")

    def _one(self) -> None:
        char = self._text[self._at]
        if char == "(":
            self._open()
        elif char == ")":
            self._close()
        elif char in "*+?":
            self._repeat(1, 2, len(char))
        elif char == "{" and (match := _TIMES.match(self._text, self._at)):
            self._count(match)
        elif char == "[":
            self._class()
        elif char == "\\":
            self._escape()
        elif char in "^$|":
            self._step(1)
            self._weights[-1] += 1
            self._last = None
        else:
            self._step(1)
            self._add(8 if char == "." else 2)

    def _step(self, count: int) -> None:
        self._at += count

    def _add(self, weight: int) -> None:
        self._weights[-1] += weight
        self._last = (weight, 1)

    def _open(self) -> None:
        if match := _FLAGS.match(self._text, self._at):
            self._step(len(match[0]))
            self._last = None
            return
        match = _GROUP.match(self._text, self._at)
        if match is None:
            raise _Refused("(? begins nothing that is supported (no look-around, no named groups)")
        self._step(len(match[0]))
        self._weights.append(2)
        self._products.append(1)
        self._last = None
        if len(self._weights) > _DEEPEST:
            raise _Refused("groups nest too deep")

    def _close(self) -> None:
        if len(self._weights) == 1:
            raise _Refused("a ) has no (")
        self._step(1)
        weight, product = self._weights.pop(), self._products.pop()
        self._weights[-1] += weight
        self._products[-1] = max(self._products[-1], product)
        self._last = (weight, product)

    def _count(self, match: re.Match[str]) -> None:
        low = int(match[1])
        high = low if match[2] is None else int(match[3]) if match[3] else low + 1
        if high < low or max(low, high) > _REPEATS:
            raise _Refused(f"{match[0]} is no repetition between 0 and {_REPEATS}")
        self._repeat(max(low, high, 1), max(low, high) + 1, len(match[0]))

    def _repeat(self, times: int, copies: int, length: int) -> None:
        if self._last is None:
            raise _Refused(f"{self._text[self._at]} repeats nothing")
        weight, product = self._last
        product *= times
        if product > _REPEATS:
            raise _Refused(f"repetitions within repetitions come to more than {_REPEATS}")
        self._weights[-1] += weight * copies
        self._products[-1] = max(self._products[-1], product)
        self._last = None
        self._step(length)
        if self._text.startswith("?", self._at):
            self._step(1)

    def _escape(self) -> None:
        if match := _CODE.match(self._text, self._at):
            self._code(match)
            self._step(len(match[0]))
            self._add(3)
            return
        char = self._text[self._at + 1 : self._at + 2]
        if not char:
            raise _Refused("it ends in a backslash")
        if char in _PLACES:
            self._weights[-1] += 1
            self._last = None
        elif char in _CLASSES:
            self._add(10)
        elif char in _CONTROLS or char in _PUNCTUATION:
            self._add(2)
        else:
            raise _Refused(f"\\{char} is not supported")
        self._step(2)

    def _code(self, match: re.Match[str]) -> int:
        code = int(match[1] or match[2], 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF or code == 0:
            raise _Refused(f"{match[0]} is no character")
        return code

    def _class(self) -> None:
        self._step(2 if self._text.startswith("[^", self._at) else 1)
        first, weight = True, 12
        while first or not self._text.startswith("]", self._at):
            if self._at >= len(self._text):
                raise _Refused("a [ is not closed")
            self._class_item(first=first)
            first = False
            weight += 6
        self._step(1)
        self._add(weight)

    def _class_item(self, *, first: bool) -> None:
        if match := _NAMED_CLASS.match(self._text, self._at):
            self._step(len(match[0]))
            return
        if self._text.startswith("[:", self._at):
            raise _Refused("[: begins no class that there is")
        if self._text[self._at] == "-" and not first and self._text[self._at + 1 : self._at + 2] != "]":
            raise _Refused("a - within [ ] stands first, last or behind a backslash")
        low = self._class_char()
        if not self._text.startswith("-", self._at) or self._text.startswith("-]", self._at):
            return
        self._step(1)
        if self._at >= len(self._text) or self._text.startswith("[:", self._at):
            raise _Refused("a range within [ ] has no end")
        high = self._class_char()
        if low is None or high is None or high < low:
            raise _Refused("a range within [ ] goes backwards or has no ends")

    def _class_char(self) -> int | None:
        """The next character of a class; None for a class such as \\d."""
        char = self._text[self._at]
        if char != "\\":
            self._step(1)
            return ord(char)
        if match := _CODE.match(self._text, self._at):
            self._step(len(match[0]))
            return self._code(match)
        escaped = self._text[self._at + 1 : self._at + 2]
        self._step(2)
        if escaped and escaped in _CLASSES:
            return None
        if escaped and escaped in _CONTROLS:
            return ord({"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}[escaped])
        if escaped and escaped in _PUNCTUATION:
            return ord(escaped)
        raise _Refused(f"\\{escaped} is not supported within [ ]")
