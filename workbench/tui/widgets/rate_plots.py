"""How fast it comes: packets, bits and flows a second over the last minutes, as bars; nothing at all while nothing is live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from workbench.tui import figures
from workbench.tui.live_words import bits_words
from workbench.tui.rates import SERIES, RateHistory, Series

_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
#: Seconds that are shown.
SHOWN: Final = 300
#: From this width on the three stand side by side.
_WIDE: Final = 120
_GAP: Final = 2
#: Cells of a title and of its figures in a narrow plot.
_NAME: Final = 10
_FIGURES: Final = 29


class RatePlots(Widget):
    """Three plots: below each other, a line each; or side by side, several lines high. The newest second is on the right."""

    DEFAULT_CSS = """
    RatePlots { height: 3; background: $background; color: $foreground; display: none; }
    RatePlots.-live { display: block; }
    RatePlots > .rates--bar { color: $primary; }
    RatePlots > .rates--name { color: $text-muted; }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"rates--bar", "rates--name"}

    def on_mount(self) -> None:
        """Follow the screen's rates; it knows when there are any."""
        self.set_interval(1.0, self._look)
        self._look()

    @property
    def rates(self) -> RateHistory | None:
        """What is plotted; None while nothing is live. Held still while the screen is."""
        screen: Any = self.screen
        return getattr(screen, "rates", None)

    def _look(self) -> None:
        live = self.rates is not None
        if live != self.has_class("-live"):
            self.set_class(live, "-live")
            self.styles.height = 4 if self.app.size.width >= _WIDE else 3
        if live and not getattr(self.screen, "paused", False):
            self.refresh()

    def on_resize(self) -> None:
        """Perhaps side by side, perhaps not."""
        self.styles.height = 4 if self.app.size.width >= _WIDE else 3

    def render_line(self, y: int) -> Strip:
        """One line of all plots, or one plot."""
        width, height = self.size
        base = self.rich_style
        rates = self.rates
        if rates is None:
            return Strip.blank(width, base)
        if height < 4:
            segments = self._line(rates, SERIES[y], width, base) if y < len(SERIES) else []
        else:
            segments = []
            for n, series in enumerate(SERIES):
                right = (width + _GAP) * (n + 1) // len(SERIES) - _GAP
                left = (width + _GAP) * n // len(SERIES)
                segments += [*self._block(rates, series, right - left, y, height, base), Segment(" " * _GAP, base)]
        return Strip(segments).adjust_cell_length(width, base)

    def _line(self, rates: RateHistory, series: Series, width: int, base: Style) -> list[Segment]:
        room = max(1, width - _NAME - _FIGURES - 2)
        cells = rates.cells(series, SHOWN, room)
        told = _told(rates, series, cells)
        return [
            Segment(f" {series + '/s':<{_NAME}}", base + self._style("name")),
            Segment(_bars(cells, 1, 0), base + self._style("bar")),
            Segment(f" {told}", base),
        ]

    def _block(self, rates: RateHistory, series: Series, width: int, y: int, height: int, base: Style) -> list[Segment]:
        cells = rates.cells(series, SHOWN, width)
        if y:
            return [Segment(_bars(cells, height - 1, height - 1 - y), base + self._style("bar"))]
        title = f" {series}/s, last {SHOWN // 60} min: {_told(rates, series, cells)}"
        return [Segment(title[:width] + " " * max(0, width - cell_len(title)), base + self._style("name"))]

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"rates--{name}", partial=True)


def _told(rates: RateHistory, series: Series, cells: Sequence[float | None]) -> str:
    """`21.3k now, peak 40.1k`."""
    words = bits_words if series == "bits" else lambda value: figures.count(round(value))
    last = rates.last
    if last is None:
        return "not known yet"
    peak = max((value for value in cells if value is not None), default=0.0)
    return f"{words(getattr(last, series))}, peak {words(peak)}"


def _bars(cells: Sequence[float | None], lines: int, floor: int) -> str:
    """One line of bars that are so many lines high, `floor` lines from the bottom; what is not nought is never invisible."""
    most = max((value for value in cells if value), default=0.0) or 1.0
    out = []
    for value in cells:
        if value is None:
            out.append(" " if floor else "╌")
            continue
        level = -int(-value / most * lines * 8 // 1)
        out.append(_EIGHTHS[max(0, min(8, level - 8 * floor))])
    return "".join(out)
