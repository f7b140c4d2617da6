"""Text values: equal, like a pattern with * and ?, containing, matching a regular expression."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from workbench.errors import FilterError
from workbench.filters.grammar import Word
from workbench.filters.sql import Sql

_PIECES: Final = re.compile(r"\[([*?])\]|([*?])")
#: Characters of the longest pattern over stacked names: RE2 bounds what it compiles.
LONGEST: Final = 1000


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
    texts, signs = _pieces(pattern)
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


def one_of_stack(column: str, names: Sequence[str]) -> Sql:
    """One of the names of a stacked text is one of these: `dcerpc` of `smb,dcerpc`.

    Functions of one column and constants alone: the database evaluates them once a distinct text, not once a row.
    """
    split = f"string_split({column}, chr(44))"  # a comma: no quoted text stands in what is made of a filter
    if len(names) == 1:
        return Sql(f"list_contains({split}, ?)", (names[0],))
    return Sql(f"list_has_any({split}, [{', '.join('?' * len(names))}])", tuple(names))


def like_one_of_stack(column: str, word: Word) -> Sql:
    """One of the names of a stacked text is like a pattern with * and ?, which has no comma."""
    texts, signs = _pieces(word.text)
    if not signs:
        return one_of_stack(column, texts)
    if signs == ["*"] and not texts[1]:
        return Sql(f"(starts_with({column}, ?) OR contains({column}, ?))", (texts[0], "," + texts[0]))
    if signs == ["*"] and not texts[0]:
        return Sql(f"(ends_with({column}, ?) OR contains({column}, ?))", (texts[1], texts[1] + ","))
    if signs == ["*", "*"] and not texts[0] and not texts[2]:
        return Sql(f"contains({column}, ?)", (texts[1],))
    if len(word.text) > LONGEST:
        raise FilterError(
            f"the pattern at column {word.at + 1} has more than {LONGEST} characters",
            "No name of a protocol is that long; contains has no such bound.",
            position=word.at,
            length=word.length,
        )
    made = _literal(texts[0])
    for sign, text in zip(signs, texts[1:], strict=True):
        made += ("[^,]*" if sign == "*" else "[^,]") + _literal(text)
    # not regexp_matches, which the database asks once a row, twenty times as slow
    return Sql(f"length(regexp_extract({column}, ?)) > 0", (f"(^|,){made}(,|$)",))


def _literal(text: str) -> str:
    """A text as RE2 takes it for itself."""
    return re.sub(r"[^A-Za-z0-9_-]", lambda found: f"\\x{{{ord(found[0]):x}}}", text)


def _pieces(pattern: str) -> tuple[list[str], list[str]]:
    """A pattern's texts, and the * and ? between them."""
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
    return shape[::2], shape[1::2]


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
