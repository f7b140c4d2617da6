"""An Arrow table as the virtual table takes it: its pages, and how any schema's columns look.

What an analysis or a query answers has columns of any name and type. Where a name is one of `flows`, it looks as it
does there; else the type says. Names may be a stranger's, twice the same, or empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import pyarrow as pa

from workbench.records.visible import visible
from workbench.tui import figures
from workbench.tui.looks import Look, flow_looks, text_cell

#: Cells that a column of text starts with and may grow to, and characters of a heading that are kept.
_TEXT_WIDTH, _TEXT_MOST = 12, 48
_HEADING_MOST: Final = 32
#: Items of a list, or fields of a record, that a cell shows.
_ITEMS_SHOWN: Final = 8
#: Years that Python's times have: others become text.
_FIRST_US, _LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999


class ArrowSource:
    """A PageSource over a table in memory. Columns whose name came before get a number: see `distinct`.

    bounded: values that may be large or that Python cannot hold (lists, records, times beyond year 9999, intervals)
    become text, cut; for what comes from a person's SQL.
    """

    def __init__(self, table: pa.Table, *, bounded: bool = False) -> None:
        names = distinct(table.column_names)
        self._table = table if names == table.column_names else table.rename_columns(names)
        self._bounded = bounded

    @property
    def total(self) -> int:
        """How many rows there are."""
        return int(self._table.num_rows)

    def page(self, start: int, count: int) -> pa.Table:
        """Rows `start` to `start + count`, cut at the end."""
        rows = self._table.slice(max(0, start), count)
        return bounded_rows(rows) if self._bounded else rows

    def ready(self, start: int, count: int) -> bool:  # noqa: ARG002  PageSource has them
        """Always: it is all in memory."""
        return True


def distinct(names: Sequence[str]) -> list[str]:
    """Names with those that came before numbered: `n`, `n_1`. The result has no name twice."""
    taken, out = set(names), []
    seen: set[str] = set()
    for name in names:
        new, n = name, 0
        while new in seen or (n and new in taken):
            n += 1
            new = f"{name}_{n}"
        seen.add(new)
        out.append(new)
    return out


def looks_of(schema: pa.Schema, records: pa.Table | None = None, *, exact: bool = False, dates: bool = True) -> tuple[Look, ...]:
    """How the columns of a schema look, in its order; never empty names twice, so it fits an ArrowSource.

    records: rows to measure, so that texts get the width they need at once (the first page is enough). exact: names
    and numbers as they are, not shortened to headings and units. dates: whether times of `flows` columns show the day.
    """
    known = {} if exact else {look.name: look for look in flow_looks(dates=dates)}
    looks = []
    for name, field in zip(distinct(schema.names), schema, strict=True):
        look = known.get(name) if _fits(name, field.type) else None
        looks.append(look or _look(name, field.type, exact=exact))
    return tuple(looks) if records is None else _measured(looks, records)


def _fits(name: str, kind: pa.DataType) -> bool:
    """Whether a column that has the name of one of `flows` has values that its look can show."""
    if name.startswith("ts"):
        return bool(pa.types.is_timestamp(kind) and kind.tz is None)
    if name in ("src_flags", "dst_flags", "end_reason", "flow_id"):
        return bool(pa.types.is_integer(kind))
    numeric = name in _NUMERIC
    return numeric == _is_number(kind)


_NUMERIC: Final = frozenset(
    {"src_bytes", "dst_bytes", "src_pkts", "dst_pkts", "src_payload", "dst_payload", "duration", "rtt_us", "retransmits"}
    | {"src_port", "dst_port", "proto", "vlan", "inner_vlan", "outer_vlan", "vni", "sampling", "source_id"}
    | {"first_offset", "last_offset"}
)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _look(name: str, kind: pa.DataType, *, exact: bool) -> Look:
    """By the type, and by what names of amounts have in common."""
    heading = visible(name[:_HEADING_MOST]) or "(no name)"
    if not exact:
        heading = heading.replace("_", " ")
    width, most, right, role = _TEXT_WIDTH, _TEXT_MOST, False, ""
    text: Callable[[Any], str] = text_cell
    if _is_number(kind):
        right, text = True, (exact_number if exact else _amount_text(name))
        width, most = (10, 24) if exact else (7, 14)
    elif pa.types.is_timestamp(kind):
        width = most = 26 if exact else 19
        role, text = "time", (text_cell if exact else second)
    elif pa.types.is_boolean(kind):
        width, most = 5, 5
    width = max(width, min(len(heading), _HEADING_MOST))
    return Look(name, heading, f"{visible(name[:_HEADING_MOST])} ({str(kind)[:40]})", width, max(width, most), right, role, text)


def _amount_text(name: str) -> Callable[[Any], str]:
    last = name.rsplit("_", 1)[-1]
    if last in ("bytes", "payload"):
        return lambda value: figures.size(None if value is None else int(value))
    if last in ("seconds", "duration"):
        return lambda value: figures.duration(None if value is None else float(value))
    if last in ("id", "port", "year"):
        return text_cell
    return _count


def _count(value: Any) -> str:
    """A number of anything, shortened; what is no whole number to four digits."""
    if value is None:
        return figures.NOTHING
    try:
        return figures.count(int(value)) if value == int(value) else f"{value:.4g}"
    except (OverflowError, ValueError):  # inf, nan
        return f"{value:g}"


def exact_number(value: Any) -> str:
    """All digits of a whole number; a fraction to twelve."""
    if value is None:
        return figures.NOTHING
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def second(value: Any) -> str:
    """A time to the second; what is no time as text."""
    return text_cell(value)[:19]


def _measured(looks: Sequence[Look], records: pa.Table) -> tuple[Look, ...]:
    """The same, with texts as wide as these rows need."""
    page = ArrowSource(records, bounded=True).page(0, 200)
    out = []
    for look in looks:
        wide = look
        if look.name in page.column_names and look.most > look.width:
            longest = max((len(look.text(value)) for value in page.column(look.name).to_pylist()), default=0)
            width = min(look.most, max(longest, len(look.heading), 3))
            wide = Look(look.name, look.heading, look.meaning, width, look.most, look.right, look.role, look.text)
        out.append(wide)
    return tuple(out)


# -- values that Python cannot hold, or not cheaply -----------------------------------------------------------------


def bounded_rows(rows: pa.Table) -> pa.Table:
    """The rows with every value small and fit for Python: meant for a page, not for millions of rows."""
    columns = [_bounded(rows.column(n)) for n in range(rows.num_columns)]
    return pa.Table.from_arrays(columns, names=rows.column_names) if columns else rows


def _bounded(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    kind = column.type
    if _is_number(kind) or pa.types.is_boolean(kind) or pa.types.is_string(kind) or pa.types.is_binary(kind):
        return column
    if pa.types.is_timestamp(kind) and kind.unit == "us" and kind.tz is None and _in_calendar(column):
        return column
    return pa.array([_cell(value) for value in _scalars(column)], pa.string())


def _scalars(column: pa.ChunkedArray) -> Iterable[pa.Scalar]:
    for chunk in column.chunks:
        yield from chunk


def _in_calendar(column: pa.ChunkedArray) -> bool:
    import pyarrow.compute as pc

    found = pc.min_max(column.cast(pa.int64())).as_py()
    return found["min"] is None or (found["min"] >= _FIRST_US and found["max"] <= _LAST_US)


def _cell(value: pa.Scalar, depth: int = 2) -> str | None:
    """Any value as text of bounded length; None for null."""
    if not value.is_valid:
        return None
    if isinstance(value, pa.ListScalar | pa.LargeListScalar | pa.FixedSizeListScalar):
        return _list_cell(value, depth)
    if isinstance(value, pa.StructScalar):
        fields = list(value.items())[:_ITEMS_SHOWN] if depth else []
        inner = ", ".join(f"{name[:_HEADING_MOST]}: {_cell(one, depth - 1)}" for name, one in fields)
        return "{" + inner + (", …}" if len(value) > len(fields) else "}")
    if isinstance(value, pa.DictionaryScalar):
        return _cell(value.value, depth)
    if pa.types.is_string(value.type) or pa.types.is_large_string(value.type):
        return str(value.as_py()[:512])
    if pa.types.is_timestamp(value.type):
        return _moment(value)
    try:
        return text_cell(value.as_py())
    except (OverflowError, ValueError, ImportError, pa.ArrowException):
        return f"a {str(value.type)[:40]} beyond what can be shown"


def _list_cell(value: pa.ListScalar, depth: int) -> str:
    items = value.values
    if items is None or not depth:
        return "[…]"
    shown = ", ".join(str(_cell(one, depth - 1)) for one in items.slice(0, _ITEMS_SHOWN))
    return f"[{shown}]" if len(items) <= _ITEMS_SHOWN else f"[{shown}, … {len(items):,} in all]"


def _moment(value: pa.TimestampScalar) -> str:
    """A time of any unit and zone, in UTC; beyond the calendar the number itself."""
    per = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 1}[value.type.unit]
    us = value.value // 1000 if value.type.unit == "ns" else value.value * per
    if not _FIRST_US <= us <= _LAST_US:
        return "infinity" if us > 0 else "-infinity"
    return figures.moment(figures.from_us(us))
