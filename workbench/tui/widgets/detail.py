"""The flow under the cursor, in words, and what was said in it.

What was said lies in other tables: it is looked up in a thread once the cursor has rested, so that scrolling costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Final

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from workbench.analysis.decided import Decided, decided_on
from workbench.analysis.flow_names import ends_of
from workbench.analysis.hops import hops_of
from workbench.analysis.metadata import Said, said_in
from workbench.errors import CancelledError
from workbench.store.reader import Question
from workbench.tui import words
from workbench.tui.data import CaseData
from workbench.tui.decision_words import decisions_group
from workbench.tui.hop_words import hops_group
from workbench.tui.latest import Latest
from workbench.tui.looks import text_cell
from workbench.tui.once import once
from workbench.tui.wrapping import broken

#: Given fewer lines than this, it shows a few dense lines instead of groups.
_GROUPS_FROM: Final = 5
#: Cells of the labels' column.
_LABELS: Final = 13
#: Seconds that the cursor rests on a flow before what was said in it is looked up.
_REST: Final = 0.15

#: A line: its label, its text, and whether it is a heading.
_Line = tuple[str, str, bool]


class FlowDetail(Widget, can_focus=True):
    """Groups of facts; a few dense lines where it is given less than five.

    It scrolls by itself: a scroll view would lay the whole screen out anew for each flow of another length.
    """

    DEFAULT_CSS = """
    FlowDetail { background: $background; color: $foreground; height: 1fr; }
    FlowDetail > .detail--label { color: $text-muted; }
    FlowDetail > .detail--heading { text-style: bold; }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"detail--label", "detail--heading"}

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "by(-1)", "Up", show=False, id="detail.up", tooltip="Scroll up"),
        Binding("down,j", "by(1)", "Down", show=False, id="detail.down", tooltip="Scroll down"),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False, id="detail.page_up", tooltip="One screen up"),
        Binding("pagedown,ctrl+f,space", "page(1)", "Page down", show=False, id="detail.page_down", tooltip="One screen down"),
        Binding("g,home", "by(-9999)", "Top", show=False, id="detail.top", tooltip="To the beginning"),
        Binding("G,end", "by(9999)", "Bottom", show=False, id="detail.bottom", tooltip="To the end"),
    ]

    top: reactive[int] = reactive(0, init=False)

    @dataclass
    class _Heard(Message):
        flow: Mapping[str, Any]
        said: Sequence[Said]
        failed: str = ""
        ends: words.Ends = (None, None)
        hops: Sequence[Mapping[str, Any]] = ()
        decided: Sequence[Decided] = ()

    def __init__(
        self,
        *,
        most: int = 3,
        more: str = "",
        hops: bool = False,
        id: str | None = None,  # noqa: A002  Textual's name for it
    ) -> None:
        """most: rows of a table that are shown. more: what to say behind their count where there are more.

        hops: whether other sensors that saw the conversation are looked up, too.
        """
        super().__init__(id=id)
        self._with_hops = hops
        self._hops: Sequence[Mapping[str, Any]] = ()
        self._decisions: Sequence[Decided] = ()
        self.data: CaseData | None = None
        self.named = False  # whether flows of the case have names
        self.decided = hops  # whether devices may have told what they decided
        self._most, self._more = most, more
        self._flow: Mapping[str, Any] | None = None
        self._path = ""
        self._said: Sequence[Said] = ()
        self._ends: words.Ends = (None, None)
        self._failed = ""
        self._lines: list[_Line] = []
        self._lane = Latest(self, "what was said")
        self._timer: Timer | None = None
        self._question: Question | None = None

    def show_flow(self, flow: Mapping[str, Any] | None, path: str) -> None:
        """Show another flow; None for none. path: of its source."""
        if flow != self._flow or path != self._path:
            self._flow, self._path = flow, path
            self._said, self._failed, self._ends, self._hops, self._decisions = (), "", (None, None), (), ()
            self.set_reactive(FlowDetail.top, 0)
            self._write()
            self._listen()

    # -- what was said ----------------------------------------------------------------------------

    @property
    def resting(self) -> bool:
        """Whether nothing is being looked up or about to be; tests wait for it."""
        return self._timer is None and not self._lane.busy

    def _listen(self) -> None:
        """Look up what was said, soon; what was being looked up is stopped."""
        self.stop_listening()
        wanted = self.named or self.decided or (self._flow is not None and self._flow.get("service"))
        if self.data is not None and self._flow is not None and wanted:
            self._timer = once(self, _REST, partial(self._rested, self.data, self._flow))

    def stop_listening(self) -> None:
        """Nobody waits for it any more."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        self._lane.drop()
        if self._question is not None:
            self._question.stop()
            self._question = None

    def on_unmount(self) -> None:
        """Stop with the screen."""
        self.stop_listening()

    def _rested(self, data: CaseData, flow: Mapping[str, Any]) -> None:
        self._timer = None
        self._question = data.question()
        self._lane.ask(partial(self._look, self._question, flow))

    def _look(self, question: Question, flow: Mapping[str, Any]) -> None:
        """In a thread."""
        try:
            said = said_in(question, int(flow["flow_id"]), flow.get("service"), self._most)
            ends = ends_of(question, int(flow["flow_id"])) if self.named else (None, None)
            hops = hops_of(question, int(flow["flow_id"])) if self._with_hops else ()
            decided = decided_on(question, int(flow["flow_id"])) if self.decided else ()
        except CancelledError:
            return
        except Exception as error:  # the rest of the details stands: it is said there
            self.post_message(self._Heard(flow, (), f"cannot be read: {error}"))
        else:
            self.post_message(self._Heard(flow, said, ends=ends, hops=hops, decided=decided))

    def on_flow_detail__heard(self, message: _Heard) -> None:
        """Show it, where the flow is still the one that is shown; whoever has scrolled to the end stays there."""
        message.stop()
        told = message.said or message.failed or message.hops or message.decided or any(message.ends)
        if message.flow is self._flow and told:
            self._said, self._failed, self._decisions = message.said, message.failed, message.decided
            self._ends, self._hops = message.ends, message.hops
            at_end = 0 < self.top == self.validate_top(len(self._lines))
            self._write()
            if at_end:
                self.top = len(self._lines)

    def on_resize(self) -> None:
        """Perhaps the other form, and other line breaks."""
        self._write()

    def _write(self) -> None:
        width, height = self.size
        if self._flow is None or not width:
            self._lines = []
        elif height < _GROUPS_FROM:
            self._lines = [("", line, False) for line in words.brief(self._flow, self._path, self._said, self._ends)]
        else:
            groups = words.groups(self._flow, self._path, self._said, self._more, self._ends)
            if (seen := hops_group(self._hops)) is not None:
                groups.insert(2, seen)
            if (decided := decisions_group(self._decisions)) is not None:
                groups.insert(2, decided)
            if self._failed:
                groups.insert(2, ("What was said", [("", text_cell(self._failed))]))
            self._lines = _wrapped(groups, max(8, width - _LABELS - 3))
        self.refresh()

    @property
    def brief(self) -> bool:
        """Whether it shows the dense form."""
        return self.size.height < _GROUPS_FROM

    def validate_top(self, top: int) -> int:
        """Not beyond the last screenful."""
        return max(0, min(top, len(self._lines) - self.size.height))

    def action_by(self, lines: int) -> None:
        """Scroll by lines."""
        self.top += lines

    def action_page(self, pages: int) -> None:
        """Scroll by screens."""
        self.top += pages * max(1, self.size.height - 1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll down."""
        event.stop()
        self.top += 3

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll up."""
        event.stop()
        self.top -= 3

    def render_line(self, y: int) -> Strip:
        """One line; the last one says whether there is more below."""
        width, height = self.size
        base = self.rich_style
        number = self.top + y
        if number >= len(self._lines):
            return Strip.blank(width, base)
        label, text, heading = self._lines[number]
        if self.brief:
            return Strip([Segment(" " + _cut(text, width - 2), base)]).adjust_cell_length(width, base)
        label_style = self.get_component_rich_style("detail--label")
        style = self.get_component_rich_style("detail--heading") if heading else base
        segments = [Segment(f" {label:>{_LABELS}} ", label_style), Segment(text, style)]
        strip = Strip(segments).adjust_cell_length(width, base)
        if y == height - 1 and number < len(self._lines) - 1:
            strip = Strip([*strip.crop(0, width - 7), Segment(" more ↓", label_style)])
        return strip


def _wrapped(groups: list[words.Group], room: int) -> list[_Line]:
    """Groups as lines no wider than the room, cut between words where there are some."""
    lines: list[_Line] = []
    for title, rows in groups:
        if lines:
            lines.append(("", "", False))
        lines.append(("", title, True))
        for label, value in rows:
            for n, part in enumerate(broken(value, room)):
                lines.append((label if n == 0 else "", part, False))
    return lines


def _cut(text: str, room: int) -> str:
    return text if cell_len(text) <= room else set_cell_size(text, max(0, room - 1)) + "…"
