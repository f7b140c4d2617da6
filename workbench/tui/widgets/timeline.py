"""When things happened: bars over time, a cursor, and a brush to zoom with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from workbench.tui import figures
from workbench.tui.data import Bins, Span
from workbench.tui.finding_marks import Marks

_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"


class Metric(StrEnum):
    """What the bars count."""

    FLOWS = "flows"
    BYTES = "bytes"
    PACKETS = "packets"


class Timeline(Widget, can_focus=True):
    """Bars for a span, and marks where findings lie. It asks for data with `Wanted` and for another span with `Zoomed`."""

    DEFAULT_CSS = """
    Timeline { height: 4; background: $background; color: $foreground; }
    Timeline > .timeline--bar { color: $primary; }
    Timeline > .timeline--brush { color: $text-accent; background: $surface-lighten-1; }
    Timeline > .timeline--cursor { color: $block-cursor-foreground; background: $block-cursor-background; }
    Timeline > .timeline--found { color: $text-warning; }
    Timeline > .timeline--axis { color: $text-muted; }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"timeline--{part}" for part in ("bar", "brush", "cursor", "found", "axis")}

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-1)", "Earlier", show=False, id="timeline.left", tooltip="Move the time cursor back"),
        Binding("right,l", "move(1)", "Later", show=False, id="timeline.right", tooltip="Move the time cursor on"),
        Binding("pageup,ctrl+b", "move(-10)", "Much earlier", show=False, id="timeline.far_left", tooltip="Ten bars back"),
        Binding("pagedown,ctrl+f", "move(10)", "Much later", show=False, id="timeline.far_right", tooltip="Ten bars on"),
        Binding("home,g,0", "edge(-1)", "Start", show=False, id="timeline.start", tooltip="To the start of the range"),
        Binding("end,G,dollar_sign", "edge(1)", "End", show=False, id="timeline.end", tooltip="To the end of the range"),
        Binding("space,v", "brush", "Brush", id="timeline.brush", tooltip="Start or drop a brush at the time cursor"),
        Binding("enter,t", "zoom", "Zoom in", id="timeline.zoom", tooltip="Zoom into the brush, or around the time cursor"),
    ]

    cursor: reactive[int] = reactive(0, init=False)
    mark: reactive[int | None] = reactive(None, init=False)
    metric: reactive[Metric] = reactive(Metric.FLOWS, init=False)
    #: A part of the span that all views obey, while it is moved to and fro.
    window: reactive[Span | None] = reactive(None, init=False)

    @dataclass
    class Wanted(Message):
        """It has room for so many bars now."""

        bins: int

    @dataclass
    class Zoomed(Message):
        """The person asks for this span."""

        span: Span

    @dataclass
    class Touched(Message):
        """The cursor or the brush moved, the metric or the data changed: the title says other things."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self.bins: Bins | None = None
        self.marks = Marks()
        self._dragging = False

    # -- data -------------------------------------------------------------------------------------

    @property
    def values(self) -> NDArray[np.int64]:
        """What the bars show."""
        if self.bins is None:
            return np.zeros(0, np.int64)
        value: NDArray[np.int64] = getattr(self.bins, self.metric.value)
        return value

    def set_bins(self, bins: Bins | None) -> None:
        """Show other data; a brush stays on its bars, so that data which comes in does not drop it."""
        self.bins = bins
        if self.mark is not None:
            self.set_reactive(Timeline.mark, max(0, min(self.mark, len(self.values) - 1)))
        self.set_reactive(Timeline.cursor, max(0, min(self.cursor, len(self.values) - 1)))
        self._mark_out()

    def set_marks(self, marks: Marks) -> None:
        """Show findings: a row of marks, where any lies in the span."""
        self.marks = marks
        self._mark_out()

    def _mark_out(self) -> None:
        self.set_class(self.bins is not None and bool(self.marks.touching(self.bins.span).words()), "-marked")
        self._touch()

    def point_at(self, us: int) -> None:
        """Put the cursor on the bar that holds a time, if it is in the span."""
        if self.bins is not None and self.bins.span.start <= us < self.bins.span.end:
            span = self.bins.span
            self.cursor = min(len(self.values) - 1, (us - span.start) * len(self.values) // span.width)

    def edges(self, number: int) -> Span:
        """The time a bar covers."""
        assert self.bins is not None
        span, count = self.bins.span, max(1, len(self.values))
        start = span.start + span.width * number // count
        return Span(start, max(start + 1, span.start + span.width * (number + 1) // count))

    @property
    def brushed(self) -> Span | None:
        """The time under the brush."""
        if self.mark is None or self.bins is None:
            return None
        low, high = sorted((self.mark, self.cursor))
        return Span(self.edges(low).start, self.edges(high).end)

    def describe(self) -> str:
        """What the bar or brush under the cursor says, in words."""
        if self.bins is None or not len(self.values):
            return "time"
        each = figures.duration(self.bins.span.width / len(self.values) / 1e6)
        if self.window is not None and self.mark is None:
            return self._windowed(self.window)
        if not self.has_focus:
            whole = figures.span_text(self.bins.span.start, self.bins.span.end)
            found = self.marks.touching(self.bins.span).words()
            peak = f"{self.metric} per {each}, peak {self._amount(int(self.values.max()))}"
            return f"{whole} UTC, {found}{found and ', '}{peak}"
        low, high = sorted((self.cursor if self.mark is None else self.mark, self.cursor))
        what = self._amount(int(self.values[low : high + 1].sum()))
        span = Span(self.edges(low).start, self.edges(high).end)
        words = self.marks.touching(span).words()
        return f"{figures.span_text(span.start, span.end)}: {what}{words and ', ' + words}"

    def _windowed(self, window: Span) -> str:
        """The window in words, and what is in its bars."""
        low, high = self._bars(window)
        what = self._amount(int(self.values[low : high + 1].sum()))
        words = self.marks.touching(window).words()
        whole = figures.span_text(self.bins.span.start, self.bins.span.end) if self.bins is not None else ""
        return f"window {figures.span_text(window.start, window.end)}: {what}{words and ', ' + words}; of {whole}"

    def _bars(self, window: Span) -> tuple[int, int]:
        """First and last bar that a window touches; (-1, -1) for none."""
        if self.bins is None or not len(self.values):
            return -1, -1
        span, count = self.bins.span, len(self.values)
        if window.end <= span.start or window.start >= span.end:
            return -1, -1
        first = max(0, (window.start - span.start) * count // span.width)
        return first, max(first, min(count, -((span.start - window.end) * count // span.width)) - 1)

    def _amount(self, value: int) -> str:
        if self.metric is Metric.BYTES:
            return figures.words_size(value)
        return f"{figures.count(value)} {self.metric if value != 1 else self.metric[:-1]}"

    # -- keys and mouse ---------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        """Move the cursor by bars."""
        self.cursor = max(0, min(self.cursor + by, len(self.values) - 1))

    def action_edge(self, side: int) -> None:
        """To the first or last bar."""
        self.cursor = 0 if side < 0 else max(0, len(self.values) - 1)

    def action_brush(self) -> None:
        """Start a brush here, or drop it."""
        self.mark = self.cursor if self.mark is None else None

    def action_zoom(self) -> None:
        """Ask for the brush, or for a quarter of the span around the cursor."""
        if self.bins is None or not len(self.values):
            return
        span = self.brushed
        if span is None:
            whole, here = self.bins.span, self.edges(self.cursor)
            quarter = max(2, whole.width // 4)
            start = max(whole.start, min((here.start + here.end - quarter) // 2, whole.end - quarter))
            span = Span(start, min(whole.end, start + quarter))
        if span.width >= 2:
            self.post_message(self.Zoomed(span))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Begin a brush."""
        if self.bins is None or not len(self.values):
            return
        self.capture_mouse()
        self._dragging = True
        self.cursor = self._bar_at(event.x)
        self.mark = None

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Draw the brush."""
        if self._dragging:
            here = self._bar_at(event.x)
            if here != self.cursor and self.mark is None:
                self.mark = self.cursor
            self.cursor = here

    def on_mouse_up(self) -> None:
        """A brush that was drawn is zoomed into."""
        if self._dragging:
            self.release_mouse()
            self._dragging = False
            if self.mark is not None:
                self.action_zoom()

    def _bar_at(self, x: int) -> int:
        return max(0, min(x * len(self.values) // max(1, self.size.width), len(self.values) - 1))

    def watch_cursor(self) -> None:
        """Repaint."""
        self._touch()

    def watch_mark(self) -> None:
        """Repaint."""
        self._touch()

    def watch_metric(self) -> None:
        """Repaint."""
        self._touch()

    def watch_window(self) -> None:
        """Repaint."""
        self._touch()

    def on_focus(self) -> None:
        """The cursor shows."""
        self._touch()

    def on_blur(self) -> None:
        """The cursor hides."""
        self._touch()

    def _touch(self) -> None:
        self.refresh()
        self.post_message(self.Touched())

    def on_resize(self, event: events.Resize) -> None:
        """Another number of bars fits."""
        if event.size.width > 0:
            self.post_message(self.Wanted(event.size.width))

    # -- painting ---------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """Bars from the bottom line up in eighths, then the axis."""
        width, height = self.size
        base = self.rich_style
        if self.bins is None or not len(self.values):
            text = "  No packets yet." if y == max(0, height // 2 - 1) else ""
            return Strip([Segment(text, base + Style(dim=True))]).adjust_cell_length(width, base)
        if y == height - 1:
            return self._axis(width)
        marked = self.has_class("-marked") and height > 2
        if marked and y == height - 2:
            return Strip([Segment(self.marks.line(self.bins.span, width), self._style("found"))], width)
        columns = np.arange(width) * len(self.values) // max(1, width)
        levels = self._levels((height - 1 - marked) * 8)[columns]
        floor = (height - 2 - marked - y) * 8
        shown = np.clip(levels - floor, 0, 8)
        bar, brush, cursor = (self._style(name) for name in ("bar", "brush", "cursor"))
        low, high = self._lit()
        segments = []
        for column, level in zip(columns.tolist(), shown.tolist(), strict=True):
            style = bar
            if self.has_focus and column == self.cursor:
                style = cursor
            elif low <= column <= high and low >= 0:
                style = brush
            segments.append(Segment(_EIGHTHS[level], style))
        return Strip(segments, width).simplify()

    def _lit(self) -> tuple[int, int]:
        """First and last bar of the brush, else of the window; (-1, -1) for none."""
        if self.mark is not None:
            low, high = sorted((self.mark, self.cursor))
            return low, high
        return (-1, -1) if self.window is None else self._bars(self.window)

    def _levels(self, steps: int) -> NDArray[np.int64]:
        """Heights in eighths of a line; what is not zero is never invisible."""
        values = self.values
        peak = max(1, int(values.max()))
        levels: NDArray[np.int64] = np.ceil(values / peak * steps).astype(np.int64)
        return levels

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"timeline--{name}")

    def _axis(self, width: int) -> Strip:
        assert self.bins is not None
        span = self.bins.span
        step = max(len(figures.tick(span.start, span.width)) + 6, width // 8)
        cells = ["─"] * width
        for left in range(0, width - step + 7, step):
            label = figures.tick(span.start + span.width * left // max(1, width), span.width)
            if left + len(label) + 1 >= width:
                break
            cells[left : left + len(label) + 1] = list("╵" + label)
        low, high = self._lit()
        if low >= 0:
            count = len(self.values)
            left, right = -(-low * width // count), max(-(-(high + 1) * width // count) - 1, -(-low * width // count))
            cells[left : right + 1] = ["┃"] if left == right else ["┣", *["━"] * (right - left - 1), "┫"]
        if self.has_focus:
            here = min(width - 1, -(-self.cursor * width // len(self.values)))
            cells[here] = "▲"
        return Strip([Segment("".join(cells)[:width], self._style("axis"))]).adjust_cell_length(width, self._style("axis"))

    def __rich_repr__(self) -> Any:
        yield from super().__rich_repr__()
        yield "metric", self.metric
