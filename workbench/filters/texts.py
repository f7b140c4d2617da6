"""Text values: equal, like a pattern with * and ?, containing, matching a regular expression."""

from __future__ import annotations

import re
from typing import Final

from workbench.errors import FilterError
from workbench.filters.grammar import Word
from workbench.filters.sql import Sql

_PIECES: Final = re.compile(r"\[([*?])\]|([*?])")


def has_wildcard(text: str) -> bool:
    """Whether an equality is with a pattern: an * or ? that does not stand as [*] or [?], or one that does."""
    return "*" in text or "?" in text


def equal(column: str, word: Word) -> Sql:
    """Exactly this text; or like it, where it has * (any characters) or ? (one). Case counts."""
    if not has_wildcard(word.text):
        return Sql(f"{column} = ?", (word.text,))
    return like(column, word.text)


def like(column: str, pattern: str) -> Sql:
    """A pattern with * and ?. [*] and [?] are the characters themselves; nothing else is special."""
    shape: list[str] = []
    at = 0
    literal = ""
    for match in _PIECES.finditer(pattern):
        literal += pattern[at : match.start()]
        at = match.end()
        if match[1]:
            literal += match[1]
            continue
        shape += [literal, match[2]]
        literal = ""
    shape.append(literal + pattern[at:])
    texts, signs = shape[::2], shape[1::2]
    if not signs:
        return Sql(f"{column} = ?", (texts[0],))
    plain = _plain(column, texts, signs)
    if plain is not None:
        return plain
    escaped = [re.sub(r"([\\%_])", r"\\\1", text) for text in texts]
    made = escaped[0] + "".join(("%" if sign == "*" else "_") + text for sign, text in zip(signs, escaped[1:], strict=True))
    if escaped == texts:
        return Sql(f"{column} LIKE ?", (made,))
    return Sql(f"{column} LIKE ? ESCAPE '\\'", (made,))


def _plain(column: str, texts: list[str], signs: list[str]) -> Sql | None:
    """The engine's fastest words for the usual patterns: te*, *xt, *ex*."""
    if signs == ["*"]:
        begin, end = texts
        if not end:
            return Sql(f"starts_with({column}, ?)", (begin,))
        if not begin:
            return Sql(f"ends_with({column}, ?)", (end,))
    if signs == ["*", "*"] and not texts[0] and not texts[2]:
        return Sql(f"contains({column}, ?)", (texts[1],))
    return None


def contains(column: str, word: Word) -> Sql:
    """The text stands somewhere in it. Case counts."""
    return Sql(f"contains({column}, ?)", (word.text,))


def matches(column: str, word: Word) -> Sql:
    """An RE2 expression is found somewhere in it, whatever the case."""
    from workbench.filters.pattern import check_pattern

    wrong = check_pattern(word.text)
    if wrong is not None:
        raise FilterError(
            f"{wrong} in the pattern at column {word.at + 1}",
            "Patterns are RE2's, case does not count; docs/filters.md lists what they can have.",
            position=word.at,
            length=word.length,
        )
    return Sql(f"regexp_matches({column}, ?, 'i')", (word.text,))
