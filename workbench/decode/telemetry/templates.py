"""Templates: what an exporter says its records look like, compiled to what decodes them.

A template becomes a plan, a row of numbers for each field that is kept, for the kernel that writes records; and, where all its
fields have fixed lengths, a NumPy dtype with the elements' names, by which options are read. Of several fields that say the
same thing the one of the highest rank wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.decode.telemetry.elements import ELEMENTS, IP4, IP6, NUMBER, SEGMENT, SKIP, Element, element_name
from workbench.records.telemetry import DST_HI, FLAGS, ICMP, OUTER_DST_HI, OUTER_SRC_HI, SRC_HI

#: Length of a field whose length stands in each record (RFC 7011, 7).
VARIABLE: Final = 65535
#: Columns of a plan.
OFFSET, LENGTH, KIND, SLOT = range(4)
_TENANT: Final = 3  # rank from which an address is that of the inside of a tunnel
_OUTER: Final = {SRC_HI: OUTER_SRC_HI, DST_HI: OUTER_DST_HI}
#: Slots that several fields fill, each a part or only where it is not zero.
_TOGETHER: Final = frozenset({SRC_HI, DST_HI, ICMP, FLAGS})


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a template as it stands on the wire."""

    enterprise: int
    number: int
    length: int


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A compiled template.

    size: bytes of a record, the least where a length is variable. plan: int64 rows of OFFSET, LENGTH, KIND, SLOT; with variable
    lengths it has every field in order. scopes: how many of the fields are an options template's scope; None: of flow records.
    """

    number: int
    fields: tuple[Field, ...]
    scopes: int | None
    size: int
    variable: bool
    plan: NDArray[np.int64]
    flows: bool
    unknown: tuple[str, ...] = field(default=())

    @property
    def dtype(self) -> np.dtype[Any]:
        """A record's layout with the names of its elements; ValueError where lengths are variable."""
        if self.variable:
            raise ValueError("records of variable length have no dtype")
        seen: dict[str, int] = {}
        names = []
        for part in self.fields:
            name = element_name(part.enterprise, part.number)
            seen[name] = seen.get(name, 0) + 1
            names.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
        return np.dtype([(name, _shape(part.length)) for name, part in zip(names, self.fields, strict=True)])


def _shape(length: int) -> str:
    return {1: "u1", 2: ">u2", 4: ">u4", 8: ">u8"}.get(length, f"V{length}")


def compile_template(number: int, fields: Sequence[Field], scopes: int | None = None) -> Template | None:
    """The template; None where a record of it would have no bytes."""
    size = sum(1 if f.length == VARIABLE else f.length for f in fields)
    if size == 0:
        return None
    variable = any(f.length == VARIABLE for f in fields)
    known = [ELEMENTS.get((f.enterprise, f.number)) for f in fields]
    chosen = _chosen(known, fields)
    rows: list[tuple[int, int, int, int]] = []
    at = 0
    for n, part in enumerate(fields):
        kind, slot = chosen.get(n, (SKIP, -1))
        if variable or kind != SKIP:
            rows.append((at, part.length, kind, slot))
        at += part.length
    slots = {slot for _, slot in chosen.values()}
    flows = scopes is None and SRC_HI in slots and DST_HI in slots
    unknown = {f"{f.enterprise}:{f.number}" for f, e in zip(fields, known, strict=True) if e is None and f.enterprise >= 0}
    plan = np.array(rows, np.int64).reshape(len(rows), 4)
    return Template(number, tuple(fields), scopes, size, variable, plan, flows, tuple(sorted(unknown)))


def _chosen(known: list[Element | None], fields: Sequence[Field]) -> dict[int, tuple[int, int]]:
    """Kind and slot of the fields that are kept, by place in the template."""
    useful = {n: e for n, e in enumerate(known) if e is not None and e.kind != SKIP and _fits(e.kind, fields[n].length)}
    top: dict[int, int] = {}
    for element in useful.values():
        top[element.slot] = max(top.get(element.slot, 0), _level(element))
    chosen: dict[int, tuple[int, int]] = {}
    taken: set[int] = set()
    for n, element in useful.items():
        slot = element.slot
        if _level(element) < top[slot]:
            if slot in _OUTER:  # a tenant's address is the flow's: the other is that of its tunnel
                chosen[n] = (element.kind, _OUTER[slot])
        elif slot in _TOGETHER or slot not in taken:
            chosen[n] = (element.kind, slot)
            taken.add(slot)
    return chosen


def _level(element: Element) -> int:
    """What is weighed among elements of one slot; IPv4 and IPv6 addresses stand together, and one of them is zero."""
    return element.rank >= _TENANT if element.slot in _OUTER else element.rank


def _fits(kind: int, length: int) -> bool:
    """Whether a field of that length can be such a value: numbers may be shortened (RFC 7011, 6.2), addresses not."""
    if kind == IP4:
        return length == 4
    if kind == IP6:
        return length == 16
    if length == VARIABLE:
        return kind in (NUMBER, SEGMENT)
    return 0 < length <= 8
