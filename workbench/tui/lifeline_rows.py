"""Lifelines of workloads as rows of a table: groups and their members in characters, made a page at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.analysis.hosts import Range
from workbench.analysis.workload_groups import Group, appeared, vanished
from workbench.analysis.workload_traffic import Lifelines, Unnamed
from workbench.analysis.workloads import CONTESTED, THERE, Tenure, Workload, cells_of
from workbench.records.visible import visible
from workbench.tui import figures
from workbench.tui.host_rows import QUIET, lifeline
from workbench.tui.looks import TEXT_LIMIT, Look, text_cell

#: A cell of a life: there and quiet; there, and claimed by others as well. Flows are drawn over it, as of hosts.
ALIVE: Final = "─"
DOUBTED: Final = "?"
_LEVELS: Final = "▂▄▆█"
_DAY: Final = 86_400_000_000

#: Columns by name: heading, meaning, width, most, right.
_COLUMNS: Final[tuple[tuple[str, str, str, int, int, bool], ...]] = (
    ("name", "workload", "groups with how many are in them; workloads; addresses that nobody has a name for", 25, 44, False),
    ("lifeline", "", "─ there, ▂▄▆█ with flows open, ? claimed by several, · not there; of a group how many", 24, 48, False),
    ("change", "change", "new: appeared in the range, gone: vanished in it, brief: lived for at most 15 minutes", 9, 14, False),
    ("bytes", "bytes", "IP bytes to and from it", 8, 8, True),
    ("flows", "flows", "flows with it on either side", 6, 7, True),
    ("lifetime", "life", "from when it appeared until it vanished", 7, 8, True),
    ("address", "address", "the address it held last, and how many more it had", 15, 40, False),
    ("reuse", "holder", "who it is among those that held this address in the range: second of three", 6, 8, True),
    ("first", "appeared", "when it appeared; before the range where nobody knows", 12, 18, False),
    ("last", "vanished", "when it vanished; a dash where it has not", 12, 18, False),
    ("kind", "kind", "pod, vm, container, host, node, service, nat, or name of DNS", 9, 10, False),
    ("node", "node", "machine that it runs on", 12, 24, False),
)  # fmt: skip
_SCHEMA: Final = pa.schema([pa.field(name, pa.string()) for name, *_ in _COLUMNS])

#: What stands for a group whose members share nothing.
WITHOUT: Final = "(none)"


@dataclass(frozen=True, slots=True)
class Row:
    """A group, a workload by its number, or an address without a name. All of them None: the group of such addresses."""

    group: Group | None = None
    number: int | None = None
    unnamed: Unnamed | None = None

    @property
    def folds(self) -> bool:
        """Whether it stands for others."""
        return self.number is None and self.unnamed is None

    @property
    def key(self) -> tuple[str, str]:
        """What names a group for folding."""
        return ("unnamed", "") if self.group is None else ("group", "" if self.group.value is None else "=" + self.group.value)


def rows_of(found: Lifelines, groups: Sequence[Group], open_keys: frozenset[tuple[str, str]], *, grouped: bool) -> list[Row]:
    """The rows in order. open_keys: of groups that are unfolded. grouped: whether groups have rows of their own."""
    rows: list[Row] = []
    for group in groups:
        head = Row(group)
        if grouped:
            rows.append(head)
        if not grouped or head.key in open_keys:
            rows += [Row(group, n) for n in group.members]
    if found.unnamed:
        head = Row()
        rows.append(head)
        if head.key in open_keys:
            rows += [Row(unnamed=one) for one in found.unnamed]
    return rows


@dataclass(frozen=True, slots=True)
class Drawing:
    """How rows are drawn: of what, by what they are grouped, which window changes are told of, how many cells, with dates."""

    found: Lifelines
    by: str
    window: tuple[int, int]
    cells: int
    dated: bool
    open_keys: frozenset[tuple[str, str]]


class LifelineSource:
    """A PageSource that draws the rows of a page when it is asked for: thousands of lifelines are not drawn at once."""

    def __init__(self, rows: Sequence[Row], drawing: Drawing) -> None:
        self._rows, self._drawing = rows, drawing

    @property
    def total(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def page(self, start: int, count: int) -> pa.Table:
        """Rows as text."""
        drawn = [_drawn(row, self._drawing) for row in self._rows[max(0, start) : start + count]]
        return pa.Table.from_pylist(drawn, schema=_SCHEMA)

    def ready(self, start: int, count: int) -> bool:  # noqa: ARG002  PageSource has them
        """Always: it is all in memory."""
        return True


def looks(over: Range, window: tuple[int, int], cells: int, *, dated: bool) -> tuple[Look, ...]:
    """The columns; that of the lifelines is headed by the time axis, on which the window is marked."""
    made = []
    for name, heading, meaning, width, most, right in _COLUMNS:
        if name == "lifeline":
            width = most = cells
            heading = axis(over, window, cells)
        if name in ("first", "last") and dated:
            width = most
        made.append(Look(name, heading, meaning, width, most, right, "time" if name in ("first", "last") else "", text_cell))
    return tuple(made)


def axis(over: Range, window: tuple[int, int], cells: int) -> str:
    """The range as a line of that many cells: its ends, and between them a bracket over the window where it is not all of it."""
    left, right = (figures.tick(at, over.end - over.start) for at in (over.start, over.end))
    line = list(left + " " * max(0, cells - len(left) - len(right)) + right)[:cells]
    if window != (over.start, over.end):
        begin, end = cells_of(window[0], window[1], Range(over.start, over.end, cells))
        line[begin:end] = ["┃"] if end - begin == 1 else ["┣", *["━"] * (end - begin - 2), "┫"]
    return "".join(line)


# -- rows -------------------------------------------------------------------------------------------


def _drawn(row: Row, drawing: Drawing) -> dict[str, str]:
    if row.unnamed is not None:
        cells = _of_unnamed(row.unnamed, drawing)
    elif row.group is None:
        cells = _of_the_unnamed(row, drawing)
    elif row.number is None:
        cells = _of_group(row, row.group, drawing)
    else:
        cells = _of_workload(row.number, drawing)
    return {name: cells.get(name, "") for name, *_ in _COLUMNS}


def _mark(row: Row, drawing: Drawing) -> str:
    return "▾" if row.key in drawing.open_keys else "▸"


def _of_group(row: Row, group: Group, drawing: Drawing) -> dict[str, str]:
    words = WITHOUT if group.value is None else visible(group.value[:TEXT_LIMIT])
    change = [f"+{figures.count(group.new)}" if group.new else "", f"-{figures.count(group.gone)}" if group.gone else ""]
    return {
        "name": f"{_mark(row, drawing)} {words} ({figures.count(len(group.members))})",
        "lifeline": lifeline(group.alive, drawing.cells),
        "change": " ".join(part for part in change if part),
        "bytes": figures.size(group.bytes),
        "flows": figures.count(group.flows),
        "lifetime": f"{figures.count(group.brief)} brief" if group.brief else "",
    }


def _of_the_unnamed(row: Row, drawing: Drawing) -> dict[str, str]:
    found = drawing.found
    listed, whole = len(found.unnamed), found.unnamed_in_all
    many = figures.count(whole) if listed == whole else f"{listed} of {figures.count(whole)}"
    bins: NDArray[np.int64] = np.sum([one.bins for one in found.unnamed], axis=0)
    return {
        "name": f"{_mark(row, drawing)} no name ({many})",
        "lifeline": lifeline(bins, drawing.cells),
        "bytes": figures.size(sum(one.sent + one.received for one in found.unnamed)),
        "flows": figures.count(sum(one.flows for one in found.unnamed)),
    }


def _of_unnamed(one: Unnamed, drawing: Drawing) -> dict[str, str]:
    return {
        "name": f"  {one.ip}" + (f" in {visible(one.network[:TEXT_LIMIT])}" if one.network else ""),
        "lifeline": lifeline(one.bins, drawing.cells),
        "change": "no name",
        "bytes": figures.size(one.sent + one.received),
        "flows": figures.count(one.flows),
        "lifetime": figures.duration((one.last - one.first) / 1e6),
        "address": one.ip,
        "first": figures.clock(figures.from_us(one.first), date=drawing.dated),
        "last": figures.clock(figures.from_us(one.last), date=drawing.dated),
        "kind": "address",
    }


def _of_workload(number: int, drawing: Drawing) -> dict[str, str]:
    found = drawing.found
    one, sums = found.living.workloads[number], found.traffic
    life = one.lifetime
    moments = {name: at for name, at in (("first", one.first), ("last", one.last)) if at is not None}
    return {
        "name": "  " + name_of(one, drawing.by),
        "lifeline": drawn_life(found.living.cells[number], sums.bins[number], drawing.cells),
        "change": change_of(one, drawing.window),
        "bytes": figures.size(int(sums.bytes[number])),
        "flows": figures.count(int(sums.flows[number])),
        "lifetime": figures.NOTHING if life is None else figures.duration(life / 1e6),
        "address": _addresses(one),
        "reuse": _holder(number, one.tenures[-1], drawing.found),
        **{name: figures.clock(figures.from_us(at), date=drawing.dated) for name, at in moments.items()},
        "kind": text_cell(one.kind),
        "node": text_cell(one.node),
    }


def name_of(one: Workload, by: str = "") -> str:
    """What it is called, safe to show; without its namespace under that."""
    words = one.name if by == "namespace" and one.name else one.words
    return visible(words[:TEXT_LIMIT])


def change_of(one: Workload, window: tuple[int, int]) -> str:
    """`new`, `gone`, `new gone`, with `brief` for what lived for minutes; `?` where several claim an address of it."""
    words = [word for word, holds in (("new", appeared(one, window)), ("gone", vanished(one, window))) if holds]
    if one.brief:
        words = ["brief"]
    return " ".join([*words, DOUBTED] if one.contested > 1 else words)


def drawn_life(cells: NDArray[np.uint8], bins: NDArray[np.int64], width: int) -> str:
    """A life over its range, the flows over it; of neighbours that share a cell the most."""
    each = max(1, math.ceil(len(bins) / width))
    most = int(bins.max()) if len(bins) else 0
    drawn = []
    for at in range(0, len(bins), each):
        state, flows = int(cells[at : at + each].max()), int(bins[at : at + each].max())
        if state == CONTESTED:
            drawn.append(DOUBTED)
        elif flows > 0:
            drawn.append(_LEVELS[3 if flows >= most else int(3 * math.log1p(flows) / math.log1p(most))])
        else:
            drawn.append(ALIVE if state == THERE else QUIET)
    return "".join(drawn)


def _addresses(one: Workload) -> str:
    others = len({held.ip for held in one.tenures}) - 1
    return visible(one.tenures[-1].ip[:TEXT_LIMIT]) + (f" +{others}" if others else "")


def _holder(number: int, held: Tenure, found: Lifelines) -> str:
    """`2/3`: the second of three that held its address in the range; nothing where it was alone."""
    holders = list(dict.fromkeys(n for n, _ in found.living.holders[held.network, held.ip]))
    return f"{holders.index(number) + 1}/{len(holders)}" if len(holders) > 1 else ""


def day_crossed(over: Range) -> bool:
    """Whether times of a range need month and day."""
    return over.start // _DAY != max(over.start, over.end - 1) // _DAY
