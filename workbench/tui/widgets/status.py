"""The line that is always there: what this is, what it rests on, and what is going on."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from workbench.tui import coverage, figures
from workbench.tui.data import Span, Summary
from workbench.tui.live_words import LiveNow, rate_words
from workbench.workflows.requests import Progress

_GAP = " │ "
#: Columns from which on the cost of an answer is said in full.
_WIDE = 110


class StatusLine(Widget):
    """Two lines: what the case holds and what is going on; what is missing from it."""

    DEFAULT_CSS = """
    StatusLine { height: 2; background: $panel; color: $foreground; }
    StatusLine > .status--state { text-style: bold; color: $text-accent; background: $panel; }
    StatusLine > .status--warn { text-style: bold; color: $text-warning; background: $panel; }
    StatusLine > .status--bad { text-style: bold; color: $text-error; background: $panel; }
    StatusLine > .status--quiet { color: $text-muted; background: $panel; }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"status--state", "status--warn", "status--bad", "status--quiet"}

    summary: reactive[Summary] = reactive(Summary(), init=False, always_update=True)
    activity: reactive[str] = reactive("", init=False)
    progress: reactive[Progress | None] = reactive(None, init=False)
    span: reactive[Span | None] = reactive(None, init=False)
    cost: reactive[tuple[float, int] | None] = reactive(None, init=False)
    live: reactive[LiveNow | None] = reactive(None, init=False)
    drift: reactive[tuple[str, ...]] = reactive((), init=False)
    ledger_key: reactive[str] = reactive("L", init=False)

    def parts(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Both lines as (text, role) in order of importance; those that do not fit are cut from the end."""
        cover = coverage.coverage(self.summary)
        first = [(self._state(), "state"), (coverage.sources_words(self.summary.sources), "")]
        if self.live is not None:
            return self._live_parts(self.live), self._lost_parts(cover)
        packets = max(cover.packets, self.progress.packets if self.progress is not None else 0)
        first.append((f"{figures.count(packets)} packets", ""))
        extent = self.span or self.summary.extent
        if extent is not None:
            when = figures.span_text(extent.start, extent.end)
            first.append((when, "") if self.span is None else (f"zoom {when}", "warn"))
        if sum(cell_len(text) + len(_GAP) for text, _ in first) - 1 > self.size.width:  # what the cost is of matters more
            first[0] = (self.activity or "ready", "state")
        return first, self._lost_parts(cover)

    def _live_parts(self, live: LiveNow) -> list[tuple[str, str]]:
        """What is going on, which source, how fast, the clock; in a narrow terminal that is all."""
        busy = self.activity not in ("", "ready")
        state = (self.activity, "state") if busy else (live.state, "state")
        parts = [(live.state, "bad") if live.bad else state, (live.names, "")]
        if rate := rate_words(live.rate):
            parts.append((rate, ""))
        parts.append((live.clock, ""))
        if live.waits:
            parts.append((f"{figures.words_size(live.waits)} behind", "warn"))
        if live.newest:
            parts.append((live.newest, ""))
        packets = coverage.coverage(self.summary).packets
        return [*parts, (f"{figures.count(packets)} packets", ""), *([("zoomed", "warn")] if self.span is not None else [])]

    def _lost_parts(self, cover: coverage.Coverage) -> list[tuple[str, str]]:
        """What was dropped, not decoded, not seen."""
        unseen = any(reason != "dropped" for reason, _ in cover.unseen)
        drops = cover.dropped or (cover.silent and not cover.counting and not cover.live)
        losing = self.live is not None and bool(cover.dropped)
        second = [(words, "warn" if words.endswith("unknown") else "bad") for words in self.drift]
        second += [(words, "bad") for words in (self.live.losses if self.live is not None else ())]
        second += [
            (coverage.drops_words(cover), "bad" if losing else "warn" if drops else ""),
            (coverage.undecoded_words(cover), "warn" if cover.undecoded else ""),
            (coverage.unseen_words(cover), "warn" if unseen else ""),
        ]
        if cover.notes:
            second.append((f"{cover.notes} ledger note{'s' * (cover.notes > 1)}", ""))
        second.append((f"{self.ledger_key} ledger", "quiet"))
        return second

    def _state(self) -> str:
        """What is going on; while nothing is, what the last answer cost: `ready, 300 rows in 12 ms`, or `ready 12 ms`."""
        state = self.activity or "ready"
        if state != "ready" or self.cost is None:
            return state
        seconds, rows = self.cost
        took = figures.duration(round(seconds, 3))
        return f"ready {took}" if self.size.width < _WIDE else f"ready, {figures.count(rows)} rows in {took}"

    def render_line(self, y: int) -> Strip:
        """One of the two lines."""
        width = self.size.width
        base = self.rich_style
        lines = self.parts()
        parts = lines[y] if y < len(lines) else []
        segments = [Segment(" ", base)]
        used = 1
        for number, (text, role) in enumerate(parts):
            gap = _GAP if number else ""
            room = width - used - len(gap) - 1
            if room < min(8, cell_len(text)):
                break
            if cell_len(text) > room:
                text = set_cell_size(text, room - 1) + "…"
            style = self.get_component_rich_style(f"status--{role}") if role else base
            segments += [Segment(gap, base + Style(dim=True)), Segment(text, style)]
            used += len(gap) + cell_len(text)
        return Strip(segments).adjust_cell_length(width, base)

    def watch_summary(self) -> None:
        """Repaint."""
        self.refresh()

    def watch_live(self) -> None:
        """Repaint."""
        self.refresh()

    def watch_drift(self) -> None:
        """Repaint."""
        self.refresh()

    def watch_cost(self) -> None:
        """Repaint."""
        self.refresh()

    def watch_activity(self) -> None:
        """Repaint."""
        self.refresh()

    def watch_progress(self) -> None:
        """Repaint."""
        self.refresh()

    def watch_span(self) -> None:
        """Repaint."""
        self.refresh()
