"""A plot of a result: line, bars, scatter or heat map, its columns chosen by keys."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import pyarrow as pa
from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from workbench.records.visible import visible
from workbench.tui.latest import Latest
from workbench.tui.plot_canvas import Piece, drawn
from workbench.tui.plot_data import Chart, Choice, Kind, chart, fitting, numbers_of, sides_of, suggested


class Plot(Widget, can_focus=True):
    """Painted from a chart that is made in the background; `Changed` says when its words are others."""

    DEFAULT_CSS = """
    Plot { height: 1fr; background: $background; color: $foreground; padding: 0 1; }
    Plot > .plot--axis { color: $text-muted; }
    Plot > .plot--mark { color: $text-primary; }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"plot--axis", "plot--mark"}

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "kind(1)", "Kind", id="plot.kind", tooltip="Line, bars, scatter, heat map"),
        Binding("x", "side('x', 1)", "X", id="plot.x", tooltip="The next column across"),
        Binding("X", "side('x', -1)", "X back", id="plot.x_back", tooltip="The column before across", show=False),
        Binding("y", "side('y', 1)", "Y", id="plot.y", tooltip="The next column upwards"),
        Binding("Y", "side('y', -1)", "Y back", id="plot.y_back", tooltip="The column before upwards", show=False),
    ]

    class Changed(Message):
        """Another plot, or it is there now."""

    @dataclass
    class _Made(Message):
        chart: Chart | None
        choice: Choice

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self._rows: pa.Table | None = None
        self.choice: Choice | None = None
        self.chart: Chart | None = None
        self._lane = Latest(self, "plot")
        self._lines: list[list[Piece]] = []
        self._lines_of: tuple[int, int, int] | None = None

    @property
    def busy(self) -> bool:
        """Whether it is being made."""
        return self._lane.busy

    def show(self, rows: pa.Table) -> bool:
        """Plot these rows; False where there is no number in them. What was chosen is kept where it fits."""
        self._rows = rows
        same = self.choice is not None and {self.choice.x, self.choice.y} - {""} <= set(rows.column_names)
        choice = self.choice if same else suggested(rows.schema)
        if choice is None or suggested(rows.schema) is None:
            self.choice = self.chart = None
            return False
        self._choose(choice)
        return True

    def _choose(self, choice: Choice) -> None:
        assert self._rows is not None
        self.choice = fitting(choice, self._rows.schema)
        self._lane.ask(partial(self._make, self._rows, self.choice))

    def _make(self, rows: pa.Table, choice: Choice) -> None:
        try:
            made: Chart | None = chart(rows, choice)
        except (pa.ArrowException, ValueError, OverflowError):  # values that no axis can hold
            made = None
        self.post_message(self._Made(made, choice))

    def on_plot__made(self, message: _Made) -> None:
        """Paint it, if it is still the one wanted."""
        message.stop()
        if message.choice == self.choice:
            self.chart, self._lines_of = message.chart, None
            self.refresh()
            self.post_message(self.Changed())

    # -- keys -------------------------------------------------------------------------------------

    def action_kind(self, by: int) -> None:
        """The next kind."""
        if self.choice is not None:
            kinds = list(Kind)
            self._choose(replace(self.choice, kind=kinds[(kinds.index(self.choice.kind) + by) % len(kinds)]))

    def action_side(self, side: str, by: int) -> None:
        """The next column of one side."""
        choice, rows = self.choice, self._rows
        if choice is None or rows is None:
            return
        measured = side == "y" and choice.kind is not Kind.HEAT
        names = numbers_of(rows.schema) if measured else sides_of(rows.schema)
        if side == "x" and choice.kind is not Kind.HEAT:
            names = ["", *names]
        if side == "x" and choice.kind is Kind.SCATTER:
            names = ["", *numbers_of(rows.schema)]
        now = choice.x if side == "x" else choice.y
        name = names[(names.index(now) + by) % len(names)] if now in names else names[0]
        self._choose(replace(choice, x=name) if side == "x" else replace(choice, y=name))

    # -- painting ---------------------------------------------------------------------------------

    @property
    def words(self) -> str:
        """What is plotted, and what of it is not the whole truth."""
        if self.choice is None:
            return "no plot: the answer has no numbers"
        choice, made = self.choice, self.chart
        y, x = visible(choice.y[:40]), visible(choice.x[:40]) or "row"
        parts = [f"{choice.kind}: rows by {y} and {x}" if choice.kind is Kind.HEAT else f"{choice.kind}: {y} over {x}"]
        if made is not None and made.step > 1:
            parts.append(f"every {made.step}th row")
        if made is not None and made.left_out:
            parts.append(f"{made.left_out:,} rows without a value left out")
        return ", ".join(parts)

    def render_line(self, y: int) -> Strip:
        """One line of it."""
        width, height, base = self.size.width, self.size.height, self.rich_style
        key = (width, height, id(self.chart))
        if self._lines_of != key:
            self._lines = drawn(self.chart, width, height) if self.chart is not None else []
            self._lines_of = key
        pieces = self._lines[y] if y < len(self._lines) else []
        roles = {"axis": self.get_component_rich_style("plot--axis"), "mark": self.get_component_rich_style("plot--mark")}
        return Strip([Segment(text, roles.get(role, base)) for text, role in pieces]).adjust_cell_length(width, base)
