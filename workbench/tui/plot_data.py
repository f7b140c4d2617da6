"""Which plot suits a result, and the numbers of it: pure, from Arrow columns to arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.tui.looks import text_cell

#: Rows that a plot is made of; of longer results every n-th is taken, and that is said.
ROWS_PLOTTED: Final = 100_000
#: Bars, and values along a side of a heat map, that are kept before the screen cuts them.
_BARS_KEPT, _SIDE_KEPT = 200, 120
#: Beyond this a number has no place on an axis: sums and differences would overflow.
_LARGEST: Final = 1e150


class Kind(StrEnum):
    """How it is drawn."""

    LINE = "line"
    BAR = "bar"
    SCATTER = "scatter"
    HEAT = "heat map"


@dataclass(frozen=True, slots=True)
class Choice:
    """What is plotted: kind and names of the columns."""

    kind: Kind
    x: str
    y: str


@dataclass(frozen=True, slots=True)
class Axis:
    """One side. labels: of categories, in order; else numbers from low to high, microseconds since 1970 where time."""

    name: str
    time: bool = False
    low: float = 0.0
    high: float = 1.0
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """Arrays of one length for points; a matrix [y, x] of amounts for a heat map; an amount a label for bars.

    step: of how many rows one was taken. left_out: rows without a number there. more: categories that were not kept.
    """

    kind: Kind
    x: Axis
    y: Axis
    xs: NDArray[np.float64]
    ys: NDArray[np.float64]
    rows: int
    step: int = 1
    left_out: int = 0
    more: int = 0


def numbers_of(schema: pa.Schema) -> list[str]:
    """Names of columns that can be measured."""
    return [field.name for field in schema if _is_number(field.type)]


def sides_of(schema: pa.Schema) -> list[str]:
    """Names of columns that can stand along an axis."""
    return [field.name for field in schema if not pa.types.is_nested(field.type) and not pa.types.is_binary(field.type)]


def suggested(schema: pa.Schema) -> Choice | None:
    """What suits: a line over time, bars of a text, a scatter of two numbers, a heat map of two texts; None for nothing."""
    numbers, sides = numbers_of(schema), sides_of(schema)
    times = [name for name in sides if _is_time(schema.field(name).type)]
    texts = [name for name in sides if name not in times and name not in numbers]
    if times and numbers:
        return Choice(Kind.LINE, times[0], numbers[-1])
    if len(texts) > 1 and numbers:
        return Choice(Kind.HEAT, texts[1], texts[0])
    if texts and numbers:
        return Choice(Kind.BAR, texts[0], numbers[0])
    if len(numbers) > 1:
        return Choice(Kind.SCATTER, numbers[0], numbers[1])
    if numbers:
        return Choice(Kind.LINE, "", numbers[0])
    return None


def fitting(choice: Choice, schema: pa.Schema) -> Choice:
    """The same where the columns allow it, else with columns that do."""
    numbers, sides = numbers_of(schema), sides_of(schema)
    x = choice.x if choice.x in sides or choice.x == "" else sides[0]
    if choice.kind is Kind.HEAT:
        y = choice.y if choice.y in sides else sides[-1]
        return replace(choice, x=x or sides[0], y=y)
    y = choice.y if choice.y in numbers else numbers[-1]
    if choice.kind is Kind.SCATTER and not (x in numbers or (x and _is_time(schema.field(x).type))):
        x = next((name for name in numbers if name != y), "")
    return replace(choice, x=x, y=y)


def chart(table: pa.Table, choice: Choice) -> Chart:
    """The numbers of a plot. The choice must be `fitting`."""
    if choice.kind is Kind.BAR:
        return _bars(table, choice)
    step = -(-table.num_rows // ROWS_PLOTTED) or 1
    if step > 1:
        table = table.take(pa.array(np.arange(0, table.num_rows, step)))
    made = _heat(table, choice) if choice.kind is Kind.HEAT else _points(table, choice)
    return replace(made, rows=made.rows * step if step > 1 else made.rows, step=step)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Numbers, times as microseconds; NaN for what is none."""
    if _is_time(column.type):
        column = column.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
    found = pc.cast(column, pa.float64(), safe=False).combine_chunks().to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(found) <= _LARGEST, found, np.nan)


def _points(table: pa.Table, choice: Choice) -> Chart:
    ys = _floats(table.column(choice.y))
    labels: tuple[str, ...] = ()
    time = False
    if choice.x == "":
        xs = np.arange(len(ys), dtype=np.float64)
    elif _is_number(table.schema.field(choice.x).type) or _is_time(table.schema.field(choice.x).type):
        xs, time = _floats(table.column(choice.x)), _is_time(table.schema.field(choice.x).type)
    else:
        xs, labels, _ = _places(table.column(choice.x), _SIDE_KEPT)
    good = np.isfinite(xs) & np.isfinite(ys)
    rows = len(ys)
    xs, ys = xs[good], ys[good]
    if choice.kind is Kind.LINE:
        order = np.argsort(xs, kind="stable")
        xs, ys = xs[order], ys[order]
    across = Axis(choice.x or "row", time, *_range(xs), labels)
    return Chart(choice.kind, across, Axis(choice.y, False, *_range(ys)), xs, ys, rows, left_out=int(rows - good.sum()))


def _range(values: NDArray[np.float64]) -> tuple[float, float]:
    """Least and most; never the same."""
    if not values.size:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    size = max(abs(low), abs(high))
    if high - low <= max(size * 1e-9, 1e-200):
        margin = max(0.5, size * 1e-3)
        return (low - margin, high + margin) if size > 1e-200 else (0.0, 1.0)
    return low, high


def _bars(table: pa.Table, choice: Choice) -> Chart:
    """Sums by value, in the order in which the values come: the query's order is meant."""
    names = table.column(choice.x) if choice.x else pa.chunked_array([pa.array(np.arange(table.num_rows))])
    amounts = _floats(table.column(choice.y))
    places, labels, more = _places(names, _BARS_KEPT)
    good = np.isfinite(amounts) & np.isfinite(places)
    ys = np.zeros(len(labels))
    np.add.at(ys, places[good].astype(np.int64), amounts[good])
    low, high = _range(ys)
    along = Axis(choice.y, False, min(0.0, low), max(0.0, high))
    return Chart(
        Kind.BAR,
        Axis(choice.x or "row", labels=labels),
        along,
        np.arange(len(ys), dtype=np.float64),
        ys,
        table.num_rows,
        left_out=int(np.isnan(amounts).sum()),
        more=more,
    )


def _heat(table: pa.Table, choice: Choice) -> Chart:
    """How many rows fall on each pair of values or of ranges."""
    xs, across = _side(table, choice.x)
    ys, down = _side(table, choice.y)
    good = np.isfinite(xs) & np.isfinite(ys)
    return Chart(Kind.HEAT, across, down, xs[good], ys[good], len(xs), left_out=int(len(xs) - good.sum()))


def _side(table: pa.Table, name: str) -> tuple[NDArray[np.float64], Axis]:
    column = table.column(name)
    if _is_number(column.type) or _is_time(column.type):
        values = _floats(column)
        return values, Axis(name, _is_time(column.type), *_range(values[np.isfinite(values)]))
    places, labels, _ = _places(column, _SIDE_KEPT)
    return places, Axis(name, False, 0.0, float(max(1, len(labels))), labels)


def _places(column: pa.ChunkedArray, most: int) -> tuple[NDArray[np.float64], tuple[str, ...], int]:
    """The place of each value among the values in their order of coming; NaN beyond `most`."""
    found = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")
    indices = found.indices.cast(pa.float64()).to_numpy(zero_copy_only=False).copy()
    indices[indices >= most] = np.nan
    labels = tuple(text_cell(value.as_py()) for value in found.dictionary[:most])
    return indices, labels, max(0, len(found.dictionary) - most)
