"""What a filter that cannot be parsed was probably meant to be: one sentence, a place and a remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workbench.errors import FilterError

if TYPE_CHECKING:
    from lark.exceptions import UnexpectedInput

#: Signs that other languages have, and what they are here.
_SIGNS: Final = {
    "=>": ">=",
    "=<": "<=",
    "<>": "!=",
    "=": "==",
    "|": "||",
    "^": "^^",
    ";": "&&",
    ",": "&&",
}
_SHOWN: Final = 40


def shown(text: str) -> str:
    """A word of the filter as messages quote it."""
    return f'"{text}"' if len(text) <= _SHOWN else f'"{text[:_SHOWN]}..."'


def explain(text: str, error: UnexpectedInput) -> FilterError:
    """The FilterError for what Lark did not expect."""
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    if isinstance(error, UnexpectedCharacters):
        return _character(text, int(error.pos_in_stream or 0))
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        before = error.token_history[-1].type if error.token_history else ""
        token = error.token
        return _token(text, str(token), token.type, int(token.start_pos or 0), before, set(error.expected))
    return _end(text, set(getattr(error, "expected", ()) or ()))


def _wrong(message: str, remedy: str, at: int, length: int, near: str | None = None) -> FilterError:
    return FilterError(f"{message} at column {at + 1}", remedy, position=at, length=length, near=near)


def _character(text: str, at: int) -> FilterError:
    for sign, meant in _SIGNS.items():
        if text.startswith(sign, at):
            return _wrong(f"{sign} is no sign of the filter language,", f"Write {meant}.", at, len(sign), meant)
    char = text[at]
    if char in "\"'":
        return _wrong(f"the text that begins with {char}", f"It never ends: close it with {char}.", at, len(text) - at)
    if char in "[]":
        return _wrong(
            "slices are not supported:",
            'A text has contains "...", matches "..." and * for any characters (eth.src == 00:0c:29:*).',
            at,
            1,
        )
    return _wrong(f"unexpected {shown(char)}", "A text with such characters stands in double quotes.", at, 1)


def _token(text: str, token: str, kind: str, at: int, before: str, expected: set[str]) -> FilterError:
    if kind == "LPAR" and before == "WORD":
        return _wrong("functions are not supported:", "Compare the field itself: fields are named without parentheses.", at, 1)
    if kind == "RPAR":
        return _wrong(*_unopened(text, at, expected), at, 1)
    if expected & {"WORD", "STRING"} and "SYMBOL" not in expected:
        return _wants_word(token, kind, at, expected)
    if kind in ("WORD", "STRING"):
        return _wrong(
            f"{shown(token)} does not follow",
            "Join two conditions with && or ||; a text with spaces stands in double quotes.",
            at,
            len(token),
        )
    return _wrong(f"{shown(token)} does not belong", "docs/filters.md shows what a filter is made of.", at, len(token))


def _wants_word(token: str, kind: str, at: int, expected: set[str]) -> FilterError:
    if kind == "STRING" and "STRING" not in expected:
        return _wrong(f"a field was expected, not the text {shown(token)}", "The field comes first.", at, len(token))
    if "STRING" in expected:
        return _wrong(f"a value was expected, not {shown(token)}", "Put a value after the comparison.", at, len(token))
    return _wrong(f"a field was expected, not {shown(token)}", "The field comes first: tcp.port == 443.", at, len(token))


def _unopened(text: str, at: int, expected: set[str]) -> tuple[str, str]:
    if text.count(")", 0, at + 1) > text.count("(", 0, at):
        return "a ) without its (", "Remove it, or open it before."
    if "STRING" in expected:
        return "a value is missing before the )", "Put a value after the comparison."
    return "a condition is missing before the )", "Put one there, such as tcp.port == 443."


def _end(text: str, expected: set[str]) -> FilterError:
    at = len(text.rstrip())
    if "RBRACE" in expected:
        return _wrong("the set is not closed", "Close it with }.", at, 0, "}")
    if "RPAR" in expected and "WORD" not in expected:
        return _wrong("a parenthesis is not closed", "Close it with ).", at, 0, ")")
    if "STRING" in expected:
        return _wrong("a value is missing", "Put a value after the comparison, such as tcp.port == 443.", at, 0)
    if "LBRACE" in expected:
        return _wrong("a set is missing", "Write one: tcp.port in {80, 443, 8000..8999}.", at, 0, "{")
    return _wrong("a condition is missing", "Put one there, such as tcp.port == 443, or remove the word before.", at, 0)
