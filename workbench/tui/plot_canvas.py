"""Plots as lines of text: dots of Braille, blocks, shades; axes with ticks. Marks alone tell everything, colour only helps."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len, set_cell_size

from workbench.tui import figures
from workbench.tui.plot_data import Axis, Chart, Kind

#: A piece of a line and its role: axis, mark, or text.
Piece = tuple[str, str]
_SHADES: Final = " ░▒▓█"
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
#: Bits of a Braille cell by row and column of its dots (U+2800 and on).
_DOTS: Final = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
_LABELS: Final = 24
#: Lines of labels under categories, where there is room.
_UNDER: Final = 3
#: Seconds between ticks of a time axis.
_CLOCK_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 604_800)


def drawn(chart: Chart, width: int, height: int) -> list[list[Piece]]:
    """A plot in exactly `height` lines of at most `width` cells."""
    if width < 20 or height < 4:
        return [[("too small for a plot"[:width], "axis")], *([] for _ in range(height - 1))][:height]
    if not chart.xs.size:
        return [[("No numbers there.", "axis")], *([] for _ in range(height - 1))]
    if chart.kind is Kind.BAR:
        return [_cropped(line, width) for line in _bars(chart, width, height)]
    below = _UNDER if chart.x.labels and height > 3 * _UNDER else 1
    legend = chart.kind is Kind.HEAT and height > 4
    room = max(map(cell_len, _side_labels(chart.y, height - 1 - below - legend)))
    below = sum(map(bool, map(str.strip, _under(chart.x, width - room - 2, below)))) or 1  # no lines for nothing
    tall = height - 1 - below - legend
    marks = _side_labels(chart.y, tall)
    room = max(map(cell_len, marks))
    amounts = _amounts(chart, width - room - 2, tall) if chart.kind is Kind.HEAT else None
    lines = _dots(chart, width - room - 2, tall) if amounts is None else _heat(chart, amounts, width - room - 2, tall)
    out: list[list[Piece]] = []
    for text, line in zip(marks, lines, strict=True):
        out.append([(" " * (room - cell_len(text)) + text, "axis"), ("┤" if text else "│", "axis"), (line, "mark")])
    out.append([(" " * room + "└" + "─" * (width - room - 2), "axis")])
    out += [[(" " * (room + 1) + text, "axis")] for text in _under(chart.x, width - room - 2, below)]
    return [*out, _cropped([(_legend(amounts), "axis")], width)] if legend and amounts is not None else out


def _cropped(line: list[Piece], width: int) -> list[Piece]:
    """The line in the room that there is."""
    out: list[Piece] = []
    for text, role in line:
        room = width - sum(cell_len(piece) for piece, _ in out)
        out.append((text if cell_len(text) <= room else set_cell_size(text, max(0, room)), role))
    return out


# -- points -----------------------------------------------------------------------------------------


def _dots(chart: Chart, width: int, height: int) -> list[str]:
    grid = np.zeros((height * 4, width * 2), bool)
    across = _scaled(chart.xs, chart.x, width * 2)
    down = height * 4 - 1 - _scaled(chart.ys, chart.y, height * 4)
    if chart.kind is Kind.LINE:
        _join(grid, across, down)
    else:
        grid[down, across] = True
    cells = grid.reshape(height, 4, width, 2).transpose(0, 2, 1, 3)
    codes = (cells * _DOTS).sum(axis=(2, 3))
    return ["".join(chr(0x2800 + int(code)) if code else " " for code in row) for row in codes]


def _scaled(values: NDArray[np.float64], axis: Axis, steps: int) -> NDArray[np.int64]:
    part = (values - axis.low) / (axis.high - axis.low)
    return np.clip((part * (steps - 1)).round(), 0, steps - 1).astype(np.int64)


def _join(grid: NDArray[np.bool_], across: NDArray[np.int64], down: NDArray[np.int64]) -> None:
    """A line through points that are in order: in each column from least to most, and on to the next."""
    edges = np.flatnonzero(np.diff(across, prepend=-1))
    least, most = np.minimum.reduceat(down, edges), np.maximum.reduceat(down, edges)
    ends = np.append(edges[1:], len(down)) - 1
    for n, column in enumerate(across[edges]):
        grid[least[n] : most[n] + 1, column] = True
        if n + 1 < len(edges):
            to = across[edges[n + 1]]
            steps = np.linspace(down[ends[n]], down[edges[n + 1]], int(to - column) + 1).round().astype(np.int64)
            for x, (a, b) in enumerate(pairwise(steps), start=int(column)):
                grid[min(a, b) : max(a, b) + 1, x + 1] = True  # whole where it is steep: gaps would look like points


# -- heat map ---------------------------------------------------------------------------------------


def _amounts(chart: Chart, width: int, height: int) -> NDArray[np.float64]:
    """Rows in each field [down, across] of a heat map that has so much room."""
    columns = min(width, len(chart.x.labels)) if chart.x.labels else width
    rows = min(height, len(chart.y.labels)) if chart.y.labels else height
    across, down = _binned(chart.xs, chart.x, columns), _binned(chart.ys, chart.y, rows)
    inside = (across < columns) & (down < rows)
    amounts = np.zeros((rows, columns))
    np.add.at(amounts, (down[inside], across[inside]), 1)
    return amounts


def _heat(chart: Chart, amounts: NDArray[np.float64], width: int, height: int) -> list[str]:
    rows, columns = amounts.shape
    most = math.log1p(float(amounts.max()))
    steps = len(_SHADES) - 1  # rounding can put the largest amount a little beyond the last
    shades = np.minimum(np.ceil(np.log1p(amounts) / (most or 1) * steps - 1e-9), steps).astype(int)
    wide = max(1, width // columns)
    lines = ["".join(_SHADES[shade] * wide for shade in row) for row in shades]
    tops = lines if chart.y.labels else lines[::-1]
    return [*tops, *("" for _ in range(height - rows))]


def _legend(amounts: NDArray[np.float64]) -> str:
    """How many rows each shade stands for: `rows: ░ 1 ▒ 2 ▓ 3-5 █ 6-12`; shades go by the logarithm."""
    most, steps = int(amounts.max()), len(_SHADES) - 1
    parts, low = [], 1
    for step in range(1, steps + 1):
        high = most if step == steps else math.floor((1 + most) ** (step / steps) - 1 + 1e-9)
        if high >= low:
            parts.append(f"{_SHADES[step]} {low:,}" + (f"-{high:,}" if high > low else ""))
        low = max(low, high + 1)
    return f"rows: {' '.join(parts)}"


def _binned(values: NDArray[np.float64], axis: Axis, bins: int) -> NDArray[np.int64]:
    if axis.labels:
        return values.astype(np.int64)
    part = (values - axis.low) / (axis.high - axis.low)
    return np.clip((part * bins).astype(np.int64), 0, bins - 1)


# -- bars -------------------------------------------------------------------------------------------


def _bars(chart: Chart, width: int, height: int) -> list[list[Piece]]:
    """One a line, from the left; lengths are from nought, so they can be compared."""
    shown = min(len(chart.ys), height if len(chart.ys) <= height and not chart.more else height - 1)
    names = [_cut(label) for label in chart.x.labels[:shown]]
    room = max(map(cell_len, names))
    texts = [number_text(value, chart.y.name) for value in chart.ys[:shown]]
    space = max(4, width - room - 3 - max(map(len, texts)))
    most = float(np.abs(chart.ys[:shown]).max()) or 1.0
    out: list[list[Piece]] = []
    for name, value, text in zip(names, chart.ys[:shown], texts, strict=True):
        eighths = round(abs(float(value)) / most * space * 8)
        bar = "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
        if value < 0:
            bar = "-" * max(1, eighths // 8)
        elif value > 0 and not bar:
            bar = "▏"
        out.append([(" " * (room - cell_len(name)) + name + " │", "axis"), (bar, "mark"), (f" {text}", "text")])
    rest = len(chart.ys) - shown + chart.more
    if rest:
        out.append([(f"and {rest:,} more", "axis")])
    return [*out, *([] for _ in range(height - len(out)))][:height]


# -- axes -------------------------------------------------------------------------------------------


def number_text(value: float, name: str = "") -> str:
    """A number at an axis: short, bytes in their units."""
    if name.rsplit("_", 1)[-1] in ("bytes", "payload") and abs(value) >= 1:
        return figures.words_size(round(value))
    if abs(value) >= 1000 and abs(value) < 1e18:
        return figures.count(round(value))
    return f"{value:.4g}"


def nice_ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers between low and high, at most so many; the step is 1, 2 or 5 of a power of ten."""
    raw = (high - low) / max(1, most)
    if not math.isfinite(raw) or raw <= max(abs(low), abs(high)) * 1e-12 or raw < 1e-250:
        return [low]
    power = 10.0 ** math.floor(math.log10(raw))
    step = next((factor * power for factor in (1, 2, 5, 10) if factor * power >= raw), 10 * power)
    first = math.ceil(low / step) * step
    return [first + n * step for n in range(most + 1) if first + n * step <= high + step * 1e-9]


def _ticks(axis: Axis, most: int) -> list[float]:
    """Round numbers, or times that a clock or calendar calls round."""
    step = next((1e6 * s for s in _CLOCK_STEPS if 1e6 * s * most >= axis.high - axis.low), None) if axis.time else None
    if step is None or axis.high - axis.low < 2e6:
        return nice_ticks(axis.low, axis.high, most)
    first = math.ceil(axis.low / step) * step
    return [first + n * step for n in range(most + 1) if first + n * step <= axis.high]


def _side_labels(axis: Axis, height: int) -> list[str]:
    """A text, often none, for each line from the top."""
    if axis.labels:
        names = [_cut(label) for label in axis.labels[:height]]
        if len(axis.labels) > height:
            names[-1] = f"… {len(axis.labels) - height + 1} more"
        return [*names, *("" for _ in range(height - len(names)))]
    out = [""] * height
    for value in _ticks(axis, max(4, height // 4)):
        line = height - 1 - round((value - axis.low) / (axis.high - axis.low) * (height - 1))
        if 0 <= line < height:
            out[line] = figures.tick(int(value), int(axis.high - axis.low)) if axis.time else number_text(value, axis.name)
    return out


def _under(axis: Axis, width: int, lines: int) -> list[str]:
    """Ticks below, in so many lines; a label begins under its column, on the first line that has room for it."""
    if axis.labels:
        wide = max(1, width // len(axis.labels))
        places = [(n * wide, "╵" + _cut(label)) for n, label in enumerate(axis.labels)]
    else:
        values = _ticks(axis, max(2, width // 16))
        span = axis.high - axis.low
        texts = [figures.tick(int(v), int(span)) if axis.time else number_text(v, axis.name) for v in values]
        places = [(round((v - axis.low) / span * (width - 1)), text) for v, text in zip(values, texts, strict=True)]
    out, free = [[" "] * width for _ in range(lines)], [0] * lines
    for at, text in places:
        start = at if axis.labels else max(0, min(at - len(text) // 2, width - len(text)))
        if axis.labels and start + cell_len(text) > width:  # at the edge it ends under its column
            text = text[1:] + text[0]
            start = start + 1 - cell_len(text)
        line = next((n for n in range(lines) if free[n] <= start), None)
        if line is not None and start + cell_len(text) <= width:
            out[line][start : start + cell_len(text)] = [*text, *("" for _ in range(cell_len(text) - len(text)))]
            free[line] = start + cell_len(text) + 1
    return ["".join(line) for line in out]


def _cut(text: str) -> str:
    return text if cell_len(text) <= _LABELS else set_cell_size(text, _LABELS - 1) + "…"
