"""Calico's selector language: read with bounds, and what it means of labels and of workloads.

`all()`, `global()`, `has(a)`, `a == 'v'`, `a != 'v'`, `a in {'v', 'w'}`, `a not in {...}`, `&&`, `||`, `!`, brackets. What
compares parts of values (`contains`, `starts with`, `ends with`) is refused, since our groups compare whole values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from workbench.policy.foreign import who
from workbench.policy.foreign.who import NOBODY, PODS, Who
from workbench.policy.members import Condition, Selector, Workload, means

#: What a selector may have at most: characters, and brackets or negations inside each other.
MOST_CHARACTERS: Final = 16_384
MOST_LEVELS: Final = 32

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<op>&&|\|\||==|!=|!|\(|\)|\{|\}|,)|'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"|(?P<word>[A-Za-z0-9_./-]+))"
)
_OPPOSITE: Final = {"In": "NotIn", "NotIn": "In", "Exists": "DoesNotExist", "DoesNotExist": "Exists"}


class SelectorError(ValueError):
    """What is wrong with a selector, in words."""


@dataclass(frozen=True, slots=True)
class Everything:
    """`all()`, and an empty selector."""


@dataclass(frozen=True, slots=True)
class Global:
    """`global()`: what is in no namespace."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A condition on one label."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class Not:
    """Not what is inside."""

    inside: Selected


@dataclass(frozen=True, slots=True)
class Join:
    """All or any of the parts."""

    how: Literal["&&", "||"]
    parts: tuple[Selected, ...]


Selected = Everything | Global | Leaf | Not | Join


def parse(text: str) -> Selected:
    """SelectorError where it is no selector, or one that compares parts of values."""
    if len(text) > MOST_CHARACTERS:
        raise SelectorError(f"a selector of more than {MOST_CHARACTERS} characters")
    tokens = list(_tokens(text))
    if not tokens:
        return Everything()
    return _Parser(tokens).whole()


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """(kind, value): op, text or word."""
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            raise SelectorError(f"`{text[at : at + 20].strip()}` is no part of a selector")
        kind = found.lastgroup or ""
        yield ("text" if kind in ("single", "double") else kind), found[kind]
        at = found.end()


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0
        self._deep = 0

    def whole(self) -> Selected:
        found = self._joined("||")
        if self._at < len(self._tokens):
            raise SelectorError(f"`{self._tokens[self._at][1][:20]}` is one word too many")
        return found

    def _joined(self, how: Literal["&&", "||"]) -> Selected:
        parts = [self._joined("&&") if how == "||" else self._one()]
        while self._take("op", how):
            parts.append(self._joined("&&") if how == "||" else self._one())
        return parts[0] if len(parts) == 1 else Join(how, tuple(parts))

    def _one(self) -> Selected:
        self._deep += 1
        if self._deep > MOST_LEVELS:
            raise SelectorError(f"more than {MOST_LEVELS} levels deep")
        try:
            if self._take("op", "!"):
                return Not(self._one())
            if self._take("op", "("):
                found = self._joined("||")
                self._need("op", ")")
                return found
            return self._condition()
        finally:
            self._deep -= 1

    def _condition(self) -> Selected:
        key = self._need("word")
        if key in ("all", "global", "has") and self._take("op", "("):
            label = self._need("word") if key == "has" else ""
            self._need("op", ")")
            if key == "has":
                return Leaf(Condition(label, "Exists", ()))
            return Everything() if key == "all" else Global()
        if self._take("op", "=="):
            return Leaf(Condition(key, "In", (self._need("text"),)))
        if self._take("op", "!="):
            return Leaf(Condition(key, "NotIn", (self._need("text"),)))
        negated = self._take("word", "not")
        if self._take("word", "in"):
            return Leaf(Condition(key, "NotIn" if negated else "In", self._values()))
        for word in ("contains", "starts", "ends"):
            if self._take("word", word):
                raise SelectorError(f"`{key[:60]} {word}` compares parts of a value: our groups compare whole ones")
        raise SelectorError(f"`{key[:60]}` needs ==, !=, in or not in behind it")

    def _values(self) -> tuple[str, ...]:
        self._need("op", "{")
        found = [self._need("text")]
        while self._take("op", ","):
            found.append(self._need("text"))
        self._need("op", "}")
        return tuple(dict.fromkeys(found))

    def _take(self, kind: str, value: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == (kind, value):
            self._at += 1
            return True
        return False

    def _need(self, kind: str, value: str = "") -> str:
        if self._at == len(self._tokens):
            raise SelectorError(f"ends where {value or kind} belongs")
        found = self._tokens[self._at]
        if found[0] != kind or (value and found[1] != value):
            raise SelectorError(
                f"`{found[1][:20]}` stands where {value or ('a value in quotes' if kind == 'text' else kind)} belongs"
            )
        self._at += 1
        return found[1]


def who_of(selected: Selected, leaf: Callable[[Condition], Who], negated: bool = False) -> Who:
    """The pods that are meant. leaf: those of whom one condition holds."""
    match selected:
        case Everything():
            return NOBODY if negated else PODS
        case Global():
            return PODS if negated else NOBODY
        case Not(inside):
            return who_of(inside, leaf, not negated)
        case Join(how, parts):
            found = [who_of(part, leaf, negated) for part in parts]
            return who.both(*found) if (how == "&&") != negated else who.union(found)
        case Leaf(condition):
            return leaf(condition._replace(operator=_OPPOSITE[condition.operator]) if negated else condition)


def holds(selected: Selected, labels: Mapping[str, str], namespace: str) -> bool:
    """Whether something with these labels is meant. namespace: '' where it is in none."""
    match selected:
        case Everything():
            return True
        case Global():
            return not namespace
        case Not(inside):
            return not holds(inside, labels, namespace)
        case Join(how, parts):
            found = (holds(part, labels, namespace) for part in parts)
            return all(found) if how == "&&" else any(found)
        case Leaf(condition):
            return means(Selector(conditions=(condition,)), Workload(labels))


def keys(selected: Selected) -> Iterator[str]:
    """The labels that it speaks of."""
    match selected:
        case Not(inside):
            yield from keys(inside)
        case Join(_, parts):
            for part in parts:
                yield from keys(part)
        case Leaf(condition):
            yield condition.key
