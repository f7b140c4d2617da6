"""Both ends of a cell of the matrix, prefixes or parties: how they are summed, kept by a filter, and named on the way back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from workbench.analysis.group_matrix import (
    GROUP_MEASURES,
    GROUPS,
    MEMBERS,
    GroupMeasure,
    Party,
    group_matrix,
    part,
    parties,
)
from workbench.analysis.hosts import Range
from workbench.analysis.matrix import HOSTS, LEVELS, Between, Matrix, Measure, between, first_level, matrix, within
from workbench.analysis.prefixes import Prefix
from workbench.analysis.workloads import Living, living
from workbench.filters.addresses import read_address
from workbench.store.pages import Where
from workbench.store.reader import Question
from workbench.tui.conditions import quoted
from workbench.tui.data import CaseData, Span, View

#: Labels that the filter language can name.
_LABEL: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,250}[A-Za-z0-9])?")

End = Prefix | Party
Pair = tuple[End, End]
#: Into which cell the person went, from the outermost on: originators and responders.
Path = tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Grouped:
    """A matrix, and by which labels there are it could be grouped."""

    matrix: Matrix
    labels: tuple[tuple[str, int], ...] = ()


# -- in worker threads ----------------------------------------------------------------------------------


def summed(
    data: CaseData, view: View, span: Span, path: Path, by: str, grouping: str, question: Question, *, labelled: bool
) -> Grouped:
    """The matrix of a view inside the innermost cell of a path. labelled: whether the labels there are known already."""
    where = data.where(view)
    alive = None if labelled and not grouping else living(question, Range(span.start, span.end, 1))
    labels = tuple(alive.label_keys()) if alive is not None else ()
    if grouping and alive is not None:
        measure: GroupMeasure = next(one for one in GROUP_MEASURES if one == by)
        level = MEMBERS if path else GROUPS
        for pair in path[-1:]:
            where = where.and_(_inside(_resolved(pair, alive, grouping)))
        return Grouped(group_matrix(question, where, alive, grouping, level, measure=measure, closed=_closed(data)), labels)
    if path:
        where = where.and_(_inside(path[-1]))
    level = max(first_level(question, where), _below(path))
    return Grouped(matrix(question, where, level, by=cast("Measure", by)), labels)


def looked(data: CaseData, view: View, pair: tuple[End | None, End | None], question: Question) -> Between:
    """More about the flows of one cell."""
    return between(question, data.where(view).and_(_inside(pair)))


def _resolved(pair: Pair, alive: Living, grouping: str) -> Pair:
    """The parties as they are now: a place that is gone back to has their keys alone."""
    known = parties(alive, grouping, GROUPS)
    source, target = (known.get(one.key, one) if isinstance(one, Party) else one for one in pair)
    return source, target


def _inside(pair: tuple[End | None, End | None]) -> Where:
    source, target = pair
    if isinstance(source, Party) and isinstance(target, Party):
        return part(source, "src").and_(part(target, "dst"))
    assert not isinstance(source, Party)
    assert not isinstance(target, Party)
    return within(source, target)


def _closed(data: CaseData) -> list[str]:
    """Findings that people have judged."""
    states = {} if data.notebook is None else data.notebook.states()
    return [finding for finding, state in states.items() if state.state not in ("open", "confirmed")]


def _below(path: Path) -> int:
    """The first level inside the innermost cell: finer than either of its sides."""
    if not path:
        return 0
    lengths = [(end.is_v4, end.length) for end in path[-1] if isinstance(end, Prefix)]
    return next(
        (n for n, (v4, v6) in enumerate(LEVELS) if all((v4 if is_v4 else v6) > length for is_v4, length in lengths)), HOSTS
    )


# -- filters ---------------------------------------------------------------------------------------------


def kept(pair: Pair, grouping: str) -> str:
    """The filter that keeps the flows of a cell; '' where none says it."""
    sides = [_condition(end, side, grouping) for end, side in zip(pair, ("src", "dst"), strict=True)]
    return " && ".join(sides) if all(sides) else ""


def _condition(end: End, side: str, grouping: str) -> str:
    if isinstance(end, Prefix):
        return end.kept("src" if side == "src" else "dst")
    if end.key.startswith("a"):
        return f"{side}_ip == {end.key[1:]}"
    if end.key.startswith("w"):
        return f"{side}.workload == {quoted(end.words)}" if end.named_so else f"{side}.workload.uid == {quoted(end.key[1:])}"
    if not end.key.startswith("="):
        return ""
    field = grouping if grouping.startswith("label:") else f"workload.{grouping}"
    if grouping.startswith("label:") and not _LABEL.fullmatch(grouping[6:]):
        return ""  # no filter can name it
    return f"{side}.{field.replace('label:', 'label.')} == {quoted(end.key[1:])}"


def value(end: End) -> tuple[str, object] | None:
    """The column and value that a key keeps."""
    if isinstance(end, Prefix):
        return "src_ip", str(end)
    if end.key.startswith("a"):
        return "src_ip", end.key[1:]
    return ("src_name", end.words) if end.key.startswith("w") and end.named_so else None


# -- places ----------------------------------------------------------------------------------------------


def key(end: End) -> str:
    """What names an end on the way back."""
    return end.key if isinstance(end, Party) else str(end)


def grouping(found: Any) -> str:
    """A grouping out of a place, which may be a stranger's."""
    known = isinstance(found, str) and (found in ("namespace", "node", "kind") or found.startswith("label:"))
    return str(found)[:400] if known else ""


def pair(texts: Any, by: str) -> Pair | None:
    """Two ends from their keys, which may be a stranger's."""
    if not (isinstance(texts, Sequence) and len(texts) == 2 and all(isinstance(text, str) for text in texts)):
        return None
    if by:
        made = [Party(text[:600], text[1:600]) for text in texts if text[:1] in ("=", "-", "?", "!")]
        return (made[0], made[1]) if len(made) == 2 else None
    found = [_prefix(text) for text in texts]
    return None if found[0] is None or found[1] is None else (found[0], found[1])


def _prefix(text: str) -> Prefix | None:
    found = read_address(text[:60])
    if found is None:
        return None
    length = (32 if found.family == 4 else 128) - (found.last - found.first).bit_length()
    return Prefix(found.first.to_bytes(16, "big"), length)
