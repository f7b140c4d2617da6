"""Lines of a board: a row of cells in columns, its bar made of text, its title on a rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len, set_cell_size

from workbench.tui.wrapping import broken

_EIGHTHS: Final = "▏▎▍▌▋▊▉█"
#: A bar is this wide at most, and left out below the least; what a flexible column keeps before it.
_BAR_MOST, _BAR_LEAST = 20, 3
_FLEX_LEAST: Final = 15
_FLEX_WIDE, _WIDE = 22, 32
#: Lines that a wrapped row takes at most.
_LINES: Final = 2


@dataclass(frozen=True, slots=True)
class Column:
    """width: cells; 0 for what is left, once in a panel. right: set on the right. wide_from: only in panels that wide.

    role: quiet, or ''. bar: filled by the row's share, has no cell of its own; width: its most. middle: cut there, as addresses.
    """

    width: int = 0
    right: bool = False
    wide_from: int = 0
    role: str = ""
    bar: bool = False
    middle: bool = False


Pieces = tuple[tuple[str, str], ...]


def row_lines(
    columns: Sequence[Column], cells: Sequence[str], share: float, role: str, width: int, *, wraps: bool = False
) -> list[Pieces]:
    """A row as lines of exactly `width` cells: pieces of text and their roles. share: 0 to 1."""
    shown, texts = [], iter(cells)
    for column in columns:
        text = "" if column.bar else next(texts)
        if width >= column.wide_from:
            shown.append((column, text))
    fixed = sum(column.width + 1 for column, _ in shown if column.width and not column.bar)
    left = width - 2 - fixed
    bar = _bar_width(shown, left)
    flex = max(1, left - (bar + 1 if bar else 0))
    pieces: list[tuple[str, str]] = [("  ", "")]
    over: list[str] = []
    for n, (column, text) in enumerate(shown):
        gap = " " if n < len(shown) - 1 else ""
        if column.bar:
            if bar:
                pieces.append((bar_text(share, bar) + gap, "bar"))
            continue
        room = column.width or flex
        if wraps and not column.width:
            first, *over = broken(text, max(1, room)) or [""]
            text = first
        pieces.append((_cell(text, room, right=column.right, middle=column.middle) + gap, column.role or role))
    lines = [_fit(pieces, width)]
    indent = 2 + sum(column.width + 1 for column, _ in shown[:1] if column.width)
    over = over[: _LINES - 1] if len(over) < _LINES else [*over[: _LINES - 2], " ".join(over[_LINES - 2 :])]
    lines += [_fit([(" " * indent, ""), (_cell(text, max(1, width - indent)), role)], width) for text in over]
    return lines


def _bar_width(shown: Sequence[tuple[Column, str]], left: int) -> int:
    """Cells of the bar: what is left beyond the text, the same for all rows of a panel; 0 for none."""
    bar = next((column for column, _ in shown if column.bar), None)
    if bar is None:
        return 0
    room = left - 1 - (_FLEX_WIDE if left >= _WIDE else _FLEX_LEAST)
    return min(bar.width or _BAR_MOST, room) if room >= _BAR_LEAST else 0


def bar_text(share: float, width: int) -> str:
    """A bar of eighths over `width` cells; something that is not nothing shows."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    if share > 0:
        eighths = max(1, eighths)
    full, part = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[part - 1] if part else "")).ljust(width)


def _cell(text: str, width: int, *, right: bool = False, middle: bool = False) -> str:
    """Exactly `width` cells; cut text says so."""
    size = cell_len(text)
    if size > width and middle and text.isascii():
        end = (width - 1) // 2
        return text[: width - 1 - end] + "…" + text[len(text) - end :]
    if size > width:
        return set_cell_size(text, max(0, width - 1)) + "…"
    return " " * (width - size) + text if right else text + " " * (width - size)


def _fit(pieces: list[tuple[str, str]], width: int) -> Pieces:
    """Cut or filled to the width."""
    out: list[tuple[str, str]] = []
    room = width
    for text, role in pieces:
        size = cell_len(text)
        if size > room:
            text, size = set_cell_size(text, room), room
        if text:
            out.append((text, role))
        room -= size
    if room:
        out.append((" " * room, ""))
    return tuple(out)


def title_line(title: str, width: int, *, heavy: bool) -> str:
    """`─ title ─────`, heavy while the cursor is in it."""
    line = "━" if heavy else "─"
    if cell_len(title) > width - 4:
        title = set_cell_size(title, max(0, width - 5)) + "…"
    return f"{line} {title} " + line * max(0, width - 3 - cell_len(title))
