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
    cut = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return cut if cut[:1] in ("'", '"') else f'"{cut}"'


def explain(text: str, error: UnexpectedInput) -> FilterError:
    """The FilterError for what Lark did not expect."""
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    if isinstance(error, UnexpectedCharacters):
        return _character(text, int(error.pos_in_stream or 0))
    if isinstance(error, UnexpectedToken):
        wanted = set(error.accepts or error.expected)
        token = error.token
        if token.type != "$END":
            return _token(text, str(token), token.type, int(token.start_pos or 0), wanted)
        return _end(text, wanted)
    return _end(text, set())


def _wrong(message: str, remedy: str, at: int, length: int, near: str | None = None) -> FilterError:
    return FilterError(f"{message} at column {at + 1}", remedy, position=at, length=length, near=near)


def _character(text: str, at: int) -> FilterError:
    for sign, meant in _SIGNS.items():
        if text.startswith(sign, at):
            return _wrong(f"{sign} is not a sign of filters", f"Write {meant}.", at, len(sign), meant)
    char = text[at]
    if char in "\"'":
        return _wrong(f"a text that begins with {char} and never ends", f"Close it with {char}.", at, len(text) - at, char)
    if char in "[]":
        return _wrong(
            "slices are not supported",
            'A text has contains "...", matches "..." and * for any characters (eth.src == 00:0c:29:*).',
            at,
            1,
        )
    return _wrong(f"unexpected {shown(char)}", "A text with such characters stands in double quotes.", at, 1)


def _token(text: str, token: str, kind: str, at: int, wanted: set[str]) -> FilterError:
    """A word that cannot stand where it stands; wanted: kinds of words that could."""
    word = shown(token)
    if kind == "LPAR" and "SYMBOL" in wanted:
        return _wrong(f"functions such as {text[:at].split()[-1][-20:]}() are not supported", "Compare the field itself.", at, 1)
    if kind == "RPAR":
        message, remedy = _unopened(text, at, wanted)
        return _wrong(message, remedy, at, 1)
    if "LBRACE" in wanted and kind in ("WORD", "STRING"):
        return _wrong(f"a set was expected, not {word}", f"Write in {{{token}}}.", at, len(token), "{")
    if "STRING" in wanted:
        remedy = "Put a value after the comparison; a text with such characters stands in double quotes."
        return _wrong(f"a value was expected, not {word}", remedy, at, len(token))
    if "SYMBOL" in wanted and kind in ("WORD", "STRING"):
        return _wrong(
            f"a comparison was expected, not {word}", "Write == before a value, && before a condition.", at, len(token), "=="
        )
    if "WORD" in wanted:
        remedy = "The field comes first, then the comparison: tcp.port == 443."
        return _wrong(f"a field was expected, not {word}", remedy, at, len(token))
    if kind in ("SYMBOL", "OPERATOR", "IN"):
        return _wrong(f"a second comparison, {word},", "Join two conditions with &&: a > 1 && a < 5.", at, len(token), "&&")
    if kind in ("WORD", "STRING"):
        remedy = "Join two conditions with && or ||; a text with spaces stands in double quotes."
        return _wrong(f"{word} does not follow", remedy, at, len(token))
    return _wrong(f"{word} does not belong", "Join two conditions with && or ||.", at, len(token))


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
