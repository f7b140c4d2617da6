"""What can stand at the cursor: fields, comparisons, values seen in the case, and the words that join conditions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from workbench.filters.fields import Field, Kind, registry
from workbench.filters.grammar import STRING, WORD
from workbench.filters.values import PROTOCOLS

#: (column, prefix, limit, guard) -> values seen that begin with the prefix; columns of other tables behind the table's name.
#: The last word is the program's own condition on the rows to look at; empty: all rows.
ValueSource = Callable[[str, str, int, str], Sequence[str]]

_TOKEN: Final = re.compile(
    rf"(?P<string>{STRING})|(?P<open>r?[\"'].*\Z)|(?P<join>&&|\|\||\^\^)|(?P<mask>&)|(?P<sign>===|!==|~=|==|!=|<=|>=|<|>|~)"
    rf"|(?P<range>\.\.)|(?P<not>!)|(?P<mark>[(){{}},])|(?P<begun>[=|^])|(?P<word>{WORD})|(?P<space>\s+)|(?P<other>.)",
    re.DOTALL,
)
_JOINS: Final = {"and": "both", "or": "either", "xor": "one of the two", "&&": "both", "||": "either"}
_SIGNS: Final[dict[str, str]] = {
    "==": "is",
    "!=": "is there, and is not",
    "in": "is one of a set: {80, 443, 8000..8999}",
    "<": "less",
    "<=": "less or equal",
    ">": "greater",
    ">=": "greater or equal",
    "contains": "has this text in it, case counts",
    "matches": "has a match of this pattern, case does not count",
    "&": "has one of these bits",
    "===": "is, all of it",
}
#: Stacks that are looked through for names.
_STACKS: Final = 200
#: What signs say of stacked names.
_STACKED: Final = {"==": "one of its names is", "!=": "is there, and none of its names is", "===": "is this stack and no other"}
_WORD_SIGNS: Final = frozenset(
    ("eq", "ne", "lt", "le", "gt", "ge", "contains", "matches", "any_eq", "any_ne", "all_eq", "all_ne")
)
_PLAIN: Final = re.compile(rf"{WORD}\Z")

State = Literal["field", "operator", "value", "set", "item", "next", "joined", "mask"]


@dataclass(frozen=True, slots=True)
class Completion:
    """What can be put in place of text[start:end]."""

    start: int
    end: int
    text: str
    kind: Literal["field", "operator", "value", "word"]
    detail: str = ""


def complete(text: str, cursor: int, values: ValueSource | None = None, limit: int = 20) -> list[Completion]:
    """What can stand at the cursor, best first. The word that the cursor is in or behind is replaced as a whole."""
    cursor = max(0, min(cursor, len(text)))
    state, field_name, start, prefix = _where(text, cursor)
    end = _word_end(text, start, cursor)
    made: Iterator[tuple[str, Literal["field", "operator", "value", "word"], str]]
    if state == "field":
        made = _fields(prefix)
    elif state == "operator":
        made = _operators(field_name, prefix)
    elif state in ("value", "item", "mask"):
        made = _values(field_name, prefix, values, limit)
    elif state == "set":
        made = iter([("{", "word", "a set: {80, 443, 8000..8999}")])
    elif state == "joined":
        made = iter([(",", "word", "another value"), ("}", "word", "end of the set"), ("..", "word", "up to")])
    else:
        made = ((word, "word", detail) for word, detail in _JOINS.items() if word.startswith(prefix))
    found: list[Completion] = []
    for said, kind, detail in made:
        if len(found) == limit:
            break
        found.append(Completion(start, end, said, kind, detail))
    return found


def _where(text: str, cursor: int) -> tuple[State, str, int, str]:
    """What is wanted at the cursor, of which field, where the word under way begins, and its part before the cursor."""
    state: State = "field"
    name = ""
    last: re.Match[str] | None = None
    before: tuple[State, str] = (state, name)
    for match in _TOKEN.finditer(text, 0, cursor):
        if match.lastgroup == "space":
            continue
        before = (state, name)
        state, name = _after(match, state, name)
        last = match
    if last is None or last.end() < cursor or last.lastgroup not in ("word", "open", "begun"):
        return state, name, cursor, ""
    if last[0] in ("not", "NOT") and before[0] == "field":
        return state, name, cursor, ""
    return (*before, last.start(), last[0])


def _after(match: re.Match[str], state: State, name: str) -> tuple[State, str]:
    """The state behind a token."""
    said, group = match[0], match.lastgroup
    if group in ("join", "not"):
        return "field", ""
    if group == "mark":
        by_mark: dict[str, State] = {"(": "field", ")": "next", "{": "item", "}": "next", ",": "item"}
        return by_mark[said], name
    if group == "range":
        return "item", name
    if group == "mask":
        return "mask", name
    if group == "sign":
        return "value", name
    if group == "word":
        return _after_word(said, state, name)
    by_state: dict[State, State] = {"value": "next", "item": "joined", "mask": "operator"}
    return by_state.get(state, state), name


def _after_word(said: str, state: State, name: str) -> tuple[State, str]:
    if state == "field":
        return ("field", "") if said in ("not", "NOT") else ("operator", said)
    if state == "operator":
        if said == "in":
            return "set", name
        if said in _WORD_SIGNS:
            return "value", name
        return ("field", "") if said.lower() in _JOINS else (state, name)
    if state == "next":
        return ("field", "") if said.lower() in _JOINS else (state, name)
    by_state: dict[State, State] = {"value": "next", "item": "joined", "mask": "operator", "joined": "joined"}
    return by_state.get(state, state), name


def _word_end(text: str, start: int, cursor: int) -> int:
    """Where the word that begins at start ends; the cursor where none is under way."""
    match = _TOKEN.match(text, start) if start < len(text) else None
    if match is None or start == cursor:
        return cursor
    return max(cursor, match.end()) if match.lastgroup in ("word", "string") else cursor


def _fields(prefix: str) -> Iterator[tuple[str, Literal["field"], str]]:
    """Names that begin so, then names of which a later word does, or else those close to it."""
    import difflib

    names = registry()
    lower = prefix.lower()
    ranked = [name for name in names.names if name.startswith(lower)]
    ranked += [name for name in names.names if name not in ranked and re.search(rf"[._]{re.escape(lower)}", name)]
    if not ranked and len(lower) > 2:
        ranked = difflib.get_close_matches(lower[:60], names.names, n=3, cutoff=0.6)
    for name in ranked:
        found = names.fields.get(name) or names.presences[name]
        yield name, "field", found.meaning


def _operators(field_name: str, prefix: str) -> Iterator[tuple[str, Literal["operator", "word"], str]]:
    names = registry()
    found = names.field(field_name)
    if found is not None:
        for sign in _signs_of(found):
            if sign.startswith(prefix):
                yield sign, "operator", _STACKED.get(sign, _SIGNS[sign]) if found.stacked else _SIGNS[sign]
    if found is None or field_name in names.presences or not prefix:
        for word, detail in _JOINS.items():
            if word.startswith(prefix):
                yield word, "word", detail


def _signs_of(found: Field) -> tuple[str, ...]:
    if found.bounds is not None:
        return (">=", "<=", ">", "<")
    if found.stacked:
        return ("==", "!=", "===", "contains", "matches", "in")
    if found.kind is Kind.TEXT:
        return ("==", "!=", "contains", "matches", "in")
    if found.kind in (Kind.MAC, Kind.SWITCH, Kind.BYTES):
        return ("==", "!=", "in")
    signs = ("==", "!=", "in", ">", ">=", "<", "<=")
    return (*signs, "&") if found.kind is Kind.FLAGS else signs


def _values(field_name: str, prefix: str, values: ValueSource | None, limit: int) -> Iterator[tuple[str, Literal["value"], str]]:
    found = registry().field(field_name)
    if found is None:
        return
    quote = prefix[:1] if prefix[:1] in ('"', "'") else ""
    begun = prefix[len(quote) :]
    for said, detail in _usual(found):
        if said.startswith(begun):
            yield said, "value", detail
    if values is None or found.kind in (Kind.TIME, Kind.SWITCH) or found.mask:
        return
    seen: set[str] = set()
    for part in sorted(found.parts, key=lambda part: "src_port" in part.column):  # what is served is asked for most
        column = part.text or part.column
        if not column.isidentifier():  # made of several
            continue
        named = column if found.table == "flows" else f"{found.table}.{column}"
        guard = " AND ".join(f"({one})" for one in dict.fromkeys((found.guard, part.guard)) if one)
        for value in _seen(found, values, named, begun, limit, guard):
            if value not in seen and value.startswith(begun) and "\0" not in value:
                seen.add(value)
                yield _quoted(value, found, quote), "value", f"seen in {named}"


def _seen(found: Field, values: ValueSource, named: str, begun: str, limit: int, guard: str) -> Iterator[str]:
    """Values that were seen; of stacks their names, too, wherever in the stack they stand."""
    if not found.stacked:
        yield from values(named, begun, limit, guard)
        return
    stacks = values(named, "", max(limit, _STACKS), guard)
    yield from dict.fromkeys(name for stack in stacks for name in stack.split(","))
    yield from stacks


def _usual(found: Field) -> Iterator[tuple[str, str]]:
    if found.kind is Kind.SWITCH:
        yield from (("1", "seen"), ("0", "never seen"))
    elif found.kind is Kind.PROTOCOL:
        yield from ((name, f"protocol {number}") for name, number in PROTOCOLS.items())
    elif found.kind is Kind.TIME:
        yield from (("-15m", "15 minutes before the case's last packet"), ("-1h", "an hour before"), ("-1d", "a day before"))
    elif found.kind is Kind.SIZE:
        yield from (("1kB", "1,000"), ("1MB", "10^6"), ("1MiB", "2^20"), ("1GB", "10^9"))
    elif found.kind in (Kind.SECONDS, Kind.MICROSECONDS):
        yield from (("10ms", ""), ("1s", ""), ("5m", ""), ("1h", ""))


def _quoted(value: str, found: Field, quote: str) -> str:
    """A value as it is written in a filter; * and ? in a text mean themselves."""
    if found.kind is not Kind.TEXT:
        return value
    said = re.sub(r"[*?]", r"[\g<0>]", value)
    if not quote and _PLAIN.match(said) and "\\" not in said and value.lower() not in _JOINS:
        return said
    quote = quote or '"'
    return quote + said.replace("\\", "\\\\").replace(quote, f"\\{quote}") + quote
