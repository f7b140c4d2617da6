"""Objects of Kubernetes' kind in texts, read without trusting them: every value with its file, line and field.

Several documents a file, `kind: List` and what `kubectl get -o json` prints are all objects one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from workbench.policy import marked
from workbench.policy.loader import Problem, dotted, near
from workbench.policy.marked import Marked, Place

#: Kinds of objects by API group and version.
Kinds = dict[tuple[str, str], tuple[str, ...]]


class Refusal(ValueError):  # noqa: N818  what is refused is the object, not the run
    """An object says what cannot be imported."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.why)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Field:
    """One value of an object, and where it stands. base: how many steps of the place lead to the object itself."""

    value: Any
    file: str
    document: Marked
    place: Place = ()
    base: int = 0

    @property
    def line(self) -> int:
        """The line of it in its file, from 1."""
        return self.document.line(self.place)

    def wrong(self, why: str) -> Refusal:
        """What to raise where this value cannot be imported."""
        return Refusal(Problem(self.file, self.line, dotted(self.place[self.base :]), why))

    def missing(self, key: str, why: str = "missing") -> Refusal:
        """What to raise where a key is not there."""
        return Refusal(Problem(self.file, self.line, dotted((*self.place[self.base :], key)), why))

    def get(self, key: str) -> Field | None:
        """The value of a key; None where it is absent or null, which are one for Kubernetes."""
        if not isinstance(self.value, dict):
            raise self.wrong("keys with values belong here")
        found = self.value.get(key)
        return None if found is None else self._at(found, key)

    def need(self, key: str) -> Field:
        """The value of a key that must be there."""
        found = self.get(key)
        if found is None:
            raise self.missing(key)
        return found

    def empty_or(self, key: str) -> Field | None:
        """As `get`, where nothing and `{}` mean opposites: null is refused, since readers differ in which of them it is."""
        found = self.get(key)
        if found is None and key in self.value:
            raise self.missing(key, "null: leave the key out, or write {} for everything")
        return found

    def only(self, *keys: str) -> Field:
        """Itself, where it has no other keys: whatever is not known could mean anything."""
        if not isinstance(self.value, dict):
            raise self.wrong("keys with values belong here")
        for key in self.value:
            if key not in keys:
                raise self._at(None, key).wrong(f"`{key}` is not known here, so what it changes isn't either{near(key, keys)}")
        return self

    def refuse(self, why: str, *keys: str) -> None:
        """None of these keys may say anything."""
        for key in keys:
            if (found := self.get(key)) is not None:
                raise found.wrong(f"`{key}` cannot be imported: {why}")

    def items(self) -> list[Field]:
        """The parts of a list."""
        if not isinstance(self.value, list):
            raise self.wrong("a list belongs here")
        return [self._at(value, n) for n, value in enumerate(self.value)]

    def listed(self, key: str) -> list[Field]:
        """The parts of a list that may be absent."""
        found = self.get(key)
        return found.items() if found is not None else []

    def text(self) -> str:
        """A text; a number or a truth without quotes is refused, as Kubernetes does."""
        if not isinstance(self.value, str):
            raise self.wrong(f"text belongs here, not {_kind(self.value)}")
        return self.value

    def number(self, least: int, most: int) -> int:
        """A whole number between both."""
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            raise self.wrong(f"a number from {least} to {most} belongs here, not {_kind(self.value)}")
        if not least <= self.value <= most:
            raise self.wrong(f"{self.value} is no number from {least} to {most}")
        return self.value

    def truth(self) -> bool:
        """true or false."""
        if not isinstance(self.value, bool):
            raise self.wrong(f"true or false belongs here, not {_kind(self.value)}")
        return self.value

    def word(self, *choices: str) -> str:
        """One of these words."""
        found = self.text()
        if found not in choices:
            raise self.wrong(f"`{found[:60]}` is none of {', '.join(choices)}{near(found, choices)}")
        return found

    def texts(self) -> dict[str, str]:
        """Keys with texts, such as labels."""
        if not isinstance(self.value, dict):
            raise self.wrong("keys with values belong here")
        return {key: self._at(value, key).text() for key, value in self.value.items()}

    def _at(self, value: Any, key: str | int) -> Field:
        return Field(value, self.file, self.document, (*self.place, key), self.base)


@dataclass(frozen=True, slots=True)
class Object:
    """One object. group: of its apiVersion, '' for core; body: all of it."""

    group: str
    version: str
    kind: str
    name: str
    namespace: str
    body: Field

    def title(self) -> str:
        """`NetworkPolicy prod/web`, as notes and errors cite it."""
        return f"{self.kind} {self.namespace + '/' if self.namespace else ''}{self.name}"

    def spec(self) -> Field:
        """What it is to be; other keys than an object has are refused."""
        return self.body.only("apiVersion", "kind", "metadata", "spec", "status").need("spec")


def read(texts: Iterable[tuple[str, str]]) -> tuple[list[Object], list[Problem]]:
    """The objects of (file name, text) pairs in order, and what could not be read."""
    found: list[Object] = []
    problems: list[Problem] = []
    for file, text in texts:
        try:
            documents = marked.read_stream(text)
        except marked.MarkedError as error:
            problems.append(Problem(file, error.line, "", error.why))
            continue
        if not documents:
            problems.append(Problem(file, 1, "", "the file is empty"))
        for document in documents:
            for body in _bodies(Field(document.value, file, document)):
                try:
                    found.append(_object(body))
                except Refusal as refusal:
                    problems.append(refusal.problem)
    return found, problems


def _bodies(whole: Field) -> Iterator[Field]:
    """A document's objects: itself, or the items of a list (with the kind that the list says, where they don't repeat it)."""
    kind = whole.value.get("kind") if isinstance(whole.value, dict) else None
    items = whole.value.get("items") if isinstance(whole.value, dict) else None
    if not (isinstance(kind, str) and kind.endswith("List") and isinstance(items, list)):
        yield whole
        return
    told = {"kind": kind.removesuffix("List"), "apiVersion": whole.value.get("apiVersion")} if kind != "List" else {}
    for n, item in enumerate(items):
        value = {**told, **item} if isinstance(item, dict) else item
        yield Field(value, whole.file, whole.document, ("items", n), 2)


def _object(body: Field) -> Object:
    version = body.need("apiVersion").text()
    kind = body.need("kind").text()
    meta = body.need("metadata")
    namespace = meta.get("namespace")
    group, _, rest = version.rpartition("/")
    name = meta.need("name").text()
    return Object(group, rest, kind, name, namespace.text() if namespace is not None else "", body)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"`{str(value).lower()}` (in quotes it would be text)"
    if isinstance(value, int):
        return f"`{value}` (in quotes it would be text)"
    if isinstance(value, str):
        return f"`{value[:60]}`"
    return "a list" if isinstance(value, list) else "keys with values"
