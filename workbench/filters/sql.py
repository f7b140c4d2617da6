"""Pieces of SQL with their values beside them: ? for every value, in order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Sql:
    """A condition and the values of its ?. It may be NULL where it is not true; `negated` makes up for that."""

    text: str
    params: tuple[Any, ...] = ()


TRUE = Sql("true")
FALSE = Sql("false")


def either(parts: Iterable[Sql]) -> Sql:
    """Any of them; false where there are none."""
    return _joined(list(parts), " OR ", FALSE)


def every(parts: Iterable[Sql]) -> Sql:
    """All of them; true where there are none."""
    return _joined([part for part in parts if part != TRUE], " AND ", TRUE)


def negated(part: Sql) -> Sql:
    """True exactly where the part is false or NULL: what is not there does not fulfil a condition."""
    return Sql(f"({part.text}) IS NOT TRUE", part.params)


def differ(parts: list[Sql]) -> Sql:
    """An odd number of them is true. Halved, not chained: the database bounds how deep a condition may be."""
    if len(parts) == 1:
        return Sql(f"(({parts[0].text}) IS TRUE)", parts[0].params)
    left, right = differ(parts[: len(parts) // 2]), differ(parts[len(parts) // 2 :])
    return Sql(f"({left.text} <> {right.text})", left.params + right.params)


def _joined(parts: list[Sql], sign: str, none: Sql) -> Sql:
    if not parts:
        return none
    if len(parts) == 1:
        return parts[0]
    params = tuple(param for part in parts for param in part.params)
    return Sql("(" + sign.join(part.text for part in parts) + ")", params)
