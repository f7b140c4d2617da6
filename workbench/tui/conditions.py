"""Filters that a key makes: this value and no other, all but this value, this time range.

Exact to the value: quoted as the filter language wants it, to the microsecond, globs taken literally.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Any, Final

from workbench.filters.fields import STACKED
from workbench.tui.data import Span
from workbench.tui.figures import from_us

#: Where one of these stands in a filter, parentheses keep it together when something is added; in a quoted text
#: they do no harm.
_LOOSE: Final = re.compile(r"\|\||\bor\b|\bxor\b|\^\^", re.IGNORECASE)


#: What stands beside flows, and the fields that it is: who an end was when the flow began.
FIELDS: Final = {"src_name": "src.workload", "dst_name": "dst.workload"}


def quoted(text: str) -> str:
    """A text as a value of the language: in double quotes, whatever is in it, and exactly this text.

    But for a NUL, which no filter can hold: any character stands there.
    """
    return '"' + "".join(_quoted(char) for char in text) + '"'


def _quoted(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char in "*?":
        return f"[{char}]"
    if char == "\0":
        return "?"
    code = ord(char)
    if char.isprintable() or code > 0xFFFF:
        return char
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def literal(value: Any) -> str:
    """A value of a row as the language writes it."""
    if isinstance(value, dt.datetime):
        return f'"{value.isoformat(sep=" ", timespec="microseconds")}"'
    if isinstance(value, float):
        return f"{Decimal(repr(value)):f}"
    return quoted(value) if isinstance(value, str) else str(value)


def condition(column: str, value: Any, *, keep: bool) -> str:
    """Rows with this value in the column, or all but those; rows without a value are kept by every but `keep`."""
    if column in FIELDS:
        return _named(FIELDS[column], value, keep=keep)
    if value is None:
        return f"!({column})" if keep else column
    sign = "===" if column in STACKED else "=="  # this stack and no other: == asks each of its names
    same = f"{column} {sign} {literal(value)}"
    return same if keep else f"!({same})"


def _named(field: str, value: Any, *, keep: bool) -> str:
    """The same of who an end was: names are a field of the language, no column."""
    if value is None or str(value).startswith("? "):  # several claim it: nobody's name
        same = f"!({field})" if value is None else "workload.ambiguous"
    else:
        same = f"{field} == {quoted(str(value))}"
    return same if keep else f"!({same})"


def joined(kept: str, more: str) -> str:
    """Both conditions; one that is there already is not said twice."""
    if not kept.strip():
        return more
    if kept == more or kept.endswith(f"&& {more}"):
        return kept
    return f"{_whole(kept)} && {_whole(more)}"


def _whole(text: str) -> str:
    return f"({text})" if _LOOSE.search(text) else text


def during(span: Span) -> str:
    """Flows with a moment in the span."""
    return f"ts < {literal(from_us(span.end))} && ts_end >= {literal(from_us(span.start))}"
