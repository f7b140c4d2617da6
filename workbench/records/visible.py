"""The one rule for showing text that came from the wire: whatever could act on a terminal is spelled out.

Names, banners and paths in a capture are chosen by whoever sent them. An escape sequence in one could
move the cursor, retitle the window or fill the clipboard (OSC 52); a bidirectional override could make
one host name read as another; stacked combining marks could smear over neighbouring lines.
"""

from __future__ import annotations

import os
import unicodedata
from typing import Final

#: Letters and symbols that print as nothing or as a blank although Unicode calls them printable.
_BLANK: Final = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\u034f")

#: Marks in a row that a written language needs (Hebrew and Thai use two, Vietnamese two); more is a smear.
_MARKS_KEPT: Final = 3


def visible(text: str) -> str:
    """The text with every character that is not plainly printable replaced by a visible stand-in.

    C0 controls and DEL become their control picture (one cell, such as U+241B for ESC); every other
    control, format (bidirectional, zero width), surrogate, private, unassigned or line-separating
    character, and every space but U+0020, becomes ``<U+XXXX>``. The result holds no control character and
    is never shorter than the input. Plain ASCII is returned unchanged at the cost of one scan.
    """
    if text.isprintable() and text.isascii():
        return text
    out: list[str] = []
    marks = 0
    for char in text:
        marks = marks + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        if char.isprintable() and marks <= _MARKS_KEPT and char not in _BLANK:
            out.append(char)
        elif char < "\x20":
            out.append(chr(0x2400 + ord(char)))
        elif char == "\x7f":
            out.append("\u2421")
        else:
            out.append(f"<U+{ord(char):04X}>")
    return "".join(out)


def path_text(path: str) -> str:
    """A path as text that every table can hold: bytes of its name that are no UTF-8 become \\xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
