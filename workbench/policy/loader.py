"""From texts to a policy. Everything wrong is told at once: file, line, key, the wrong word and the nearest right one."""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from workbench.errors import PolicyError
from workbench.policy import addresses, marked
from workbench.policy.marked import Marked, Place
from workbench.policy.model import RESERVED, Expression, Group, Labels, Metadata, Policy, Rule, Test

_MODELS: Final[dict[str, type[BaseModel]]] = {"metadata": Metadata, "groups": Group, "rules": Rule, "tests": Test}

#: How many mistakes are told; a generated file with one in every rule would fill the screen.
MOST_PROBLEMS: Final = 50

#: How many names a misspelt one is compared with.
_MOST_NEAR: Final = 250


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. key: dotted place (`rules[2].to`); line from 1."""

    file: str
    line: int
    key: str
    why: str

    def text(self) -> str:
        """As an editor's jump list reads it."""
        return f"{self.file}:{self.line}: {self.key + ': ' if self.key else ''}{self.why}"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A policy, and where its parts are written."""

    policy: Policy
    places: Mapping[Place, tuple[str, int]]

    def where(self, *place: str | int) -> tuple[str, int]:
        """File and line of a part, or of the nearest around it."""
        while place and place not in self.places:
            place = place[:-1]
        return self.places.get(place) or next(iter(self.places.values()))


def load(texts: Iterable[tuple[str, str]]) -> Loaded:
    """One policy from (file name, text) pairs, in order. PolicyError with every mistake where there is one.

    Of several files each has apiVersion and kind, one has metadata, internal and defaults are said once, and groups, rules
    and tests are joined.
    """
    data, places, problems = _joined(list(texts))
    if not problems:
        try:
            policy = Policy.model_validate(data)
        except ValidationError as error:
            problems = [_told(detail, places, data) for detail in error.errors()]
        else:
            problems = _references(policy, places)
            if not problems:
                return Loaded(policy, places)
    raise refused(problems)


def refused(problems: list[Problem], remedy: str = "Mend the text; docs/policy.md lists every key.") -> PolicyError:
    """The error that tells them all."""
    problems.sort(key=lambda p: (p.file, p.line))
    lines = [p.text() for p in problems[:MOST_PROBLEMS]]
    if len(problems) > MOST_PROBLEMS:
        lines.append(f"and {len(problems) - MOST_PROBLEMS} more")
    told = "\n".join(lines)
    return PolicyError(told, remedy, tuple(problems))


def _joined(texts: list[tuple[str, str]]) -> tuple[dict[str, Any], dict[Place, tuple[str, int]], list[Problem]]:
    data: dict[str, Any] = {}
    places: dict[Place, tuple[str, int]] = {}
    problems: list[Problem] = []
    for file, text in texts:
        try:
            read = marked.read(text)
        except marked.MarkedError as error:
            problems.append(Problem(file, error.line, "", error.why))
            continue
        places.setdefault((), (file, 1))
        if isinstance(read.value, dict):
            problems += _add(data, places, file, read)
        else:
            problems.append(Problem(file, 1, "", "a policy is keys with values: apiVersion, kind, metadata, rules"))
    if not texts:
        problems.append(Problem("policy", 1, "", "there is no file to read"))
    return data, places, problems


def _add(data: dict[str, Any], places: dict[Place, tuple[str, int]], file: str, read: Marked) -> list[Problem]:
    """Put one file's part to the whole; what is said in two files is a mistake."""
    shift: dict[str, int] = {}
    absent = [key for key in ("apiVersion", "kind") if key not in read.value]
    problems = [Problem(file, 1, key, "missing: every file says what it is") for key in absent]
    for key, value in read.value.items():
        there = data.get(key)
        if isinstance(there, list) and isinstance(value, list) and key in ("rules", "tests"):
            shift[key] = len(there)
            there.extend(value)
        elif isinstance(there, dict) and isinstance(value, dict) and key == "groups":
            both = [name for name in value if name in there]
            problems += [_twice(file, read.line((key, name)), f"{key}.{name}", places[(key, name)]) for name in both]
            there.update(value)
        elif key in data and not (key in ("apiVersion", "kind") and there == value):
            problems.append(_twice(file, read.line((key,)), key, places[(key,)]))
        else:
            data[key] = value
    for place, line in read.lines.items():
        moved = place
        if len(place) > 1 and place[0] in shift and isinstance(place[1], int):
            moved = (place[0], place[1] + shift[str(place[0])], *place[2:])
        places.setdefault(moved, (file, line))
    return problems


def _twice(file: str, line: int, key: str, first: tuple[str, int]) -> Problem:
    return Problem(file, line, key, f"said already in {first[0]}:{first[1]}")


def _told(detail: Any, places: Mapping[Place, tuple[str, int]], data: Any) -> Problem:
    """One of pydantic's errors in our words."""
    place = tuple(part for part in detail["loc"] if part != "[key]")
    at = place
    while at and at not in places:
        at = at[:-1]
    file, line = places.get(at, ("policy", 1))
    kind = detail["type"]
    if kind == "extra_forbidden":
        why = f"`{place[-1]}` is no key here" + near(str(place[-1]), _keys(place[:-1]))
    elif kind == "missing":
        why = "missing" + _meant(str(place[-1]), place[:-1], data)
    elif kind == "literal_error":
        choices = detail["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        why = f"`{_short(detail['input'])}` is none of {', '.join(choices)}" + near(str(detail["input"]), choices)
    elif kind == "value_error":
        why = str(detail["ctx"]["error"])
    else:
        why = f"`{_short(detail['input'])}`: {detail['msg'][:1].lower()}{detail['msg'][1:]}"
    return Problem(file, line, dotted(place), why)


def _meant(key: str, place: Place, data: Any) -> str:
    """Whether a key that is missing was only misspelt."""
    for part in place:
        data = data[part]
    return near(key, sorted(set(map(str, data)) - _keys(place)), "; `{}` may be meant for it") if isinstance(data, dict) else ""


def _keys(place: Place) -> set[str]:
    model: type[BaseModel] = Policy
    if place:
        model = _MODELS.get(str(place[0]), Policy)
        if place[0] == "defaults":
            return {"east_west"}
        if "matchExpressions" in place:
            model = Expression
        elif "labels" in place:
            model = Labels
    return {info.alias or name for name, info in model.model_fields.items()}


def near(word: str, known: Iterable[str], phrase: str = "; the nearest is `{}`") -> str:
    """What was probably meant, as the end of a sentence; '' where nothing is near.

    Of many candidates only those are looked at that begin like the word and are about as long: each costs some 10 us.
    """
    likely = heapq.nsmallest(_MOST_NEAR, set(known), key=lambda one: (one[:1] != word[:1], abs(len(one) - len(word)), one))
    close = difflib.get_close_matches(word, sorted(likely), 1, 0.5)
    return phrase.format(close[0]) if close else ""


def dotted(place: Place) -> str:
    """`rules[2].to` of ('rules', 2, 'to')."""
    out = ""
    for part in place:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else str(part)
    return out


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _references(policy: Policy, places: Mapping[Place, tuple[str, int]]) -> list[Problem]:
    """Names that mean nobody, names that are given twice, and groups that contain themselves."""
    problems: list[tuple[Problem, str]] = []

    def wrong(place: Place, why: str, word: str = "") -> None:
        at = place
        while at and at not in places:
            at = at[:-1]
        file, line = places.get(at, ("policy", 1))
        problems.append((Problem(file, line, dotted(place), why), word))

    for place, word in _mentioned(policy):
        if why := _nobody(word, policy):
            wrong(place, why, word)
    for i, why in _repeated([rule.name for rule in policy.rules]):
        wrong(("rules", i, "name"), why)
    for name, why in _cycles(policy):
        wrong(("groups", name), why)
    return _with_nearest(problems, policy)


def _with_nearest(problems: list[tuple[Problem, str]], policy: Policy) -> list[Problem]:
    """Problems, each with its word, in their order; what was meant is looked for only for those that are told, each word once."""
    problems.sort(key=lambda one: (one[0].file, one[0].line))
    meant = {word: _meant_group(word, policy) for word in dict.fromkeys(word for _, word in problems[:MOST_PROBLEMS])}
    return [replace(problem, why=problem.why + meant.get(word, "")) for problem, word in problems]


def _mentioned(policy: Policy) -> Iterator[tuple[Place, str]]:
    """Every word that must mean somebody, and where it stands."""
    for name, group in policy.groups.items():
        for key, members in (("union", group.union), ("intersection", group.intersection), ("except", group.except_)):
            yield from ((("groups", name, key, n), word) for n, word in enumerate(members))
    for i, rule in enumerate(policy.rules):
        for key, words in (("from", rule.from_), ("to", rule.to)):
            yield from ((("rules", i, key, n), word) for n, word in enumerate(words))
    for i, test in enumerate(policy.tests):
        yield ("tests", i, "from"), test.from_
        yield ("tests", i, "to"), test.to


def unknown(word: str, policy: Policy) -> str:
    """Why a peer means nobody, and what was meant: '' where it is a group, a reserved word, an address or a prefix."""
    why = _nobody(word, policy)
    return why + _meant_group(word, policy) if why else ""


def _nobody(word: str, policy: Policy) -> str:
    if word in policy.groups or word in RESERVED:
        return ""
    try:
        addresses.prefix(word)
    except ValueError as error:
        return str(error) if _like_address(word) else f"there is no group `{word}`"
    return ""


def _meant_group(word: str, policy: Policy) -> str:
    return "" if not word or _like_address(word) else near(word, [*policy.groups, *RESERVED])


def _like_address(word: str) -> bool:
    return "/" in word or ":" in word or word[:1].isdecimal()


def _repeated(names: list[str]) -> list[tuple[int, str]]:
    first: dict[str, int] = {}
    return [(i, f"there is a rule `{name}` already") for i, name in enumerate(names) if first.setdefault(name, i) != i]


def _cycles(policy: Policy) -> list[tuple[str, str]]:
    """Groups that reach themselves, each cycle once; without recursion, since a chain may be as long as the file."""
    state: dict[str, int] = {}
    found: list[tuple[str, str]] = []
    for start in policy.groups:
        path: list[tuple[str, list[str]]] = [(start, _members(policy.groups[start]))] if start not in state else []
        state.setdefault(start, 1)
        while path:
            name, left = path[-1]
            if not left:
                state[name] = 2
                path.pop()
                continue
            child = left.pop()
            if child not in policy.groups or state.get(child) == 2:
                continue
            if state.get(child) == 1:
                names = [n for n, _ in path]
                found.append((name, "the group contains itself: " + " -> ".join([*names[names.index(child) :], child])))
                continue
            state[child] = 1
            path.append((child, _members(policy.groups[child])))
    return found


def _members(group: Group) -> list[str]:
    return [*group.union, *group.intersection, *group.except_]
