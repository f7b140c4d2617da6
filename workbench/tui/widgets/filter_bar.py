"""The one filter of the screen: a line to type in, whether it can be applied, and what is wrong with it under it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.highlighter import Highlighter
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

from workbench.filters import Completion
from workbench.filters.grammar import LONGEST
from workbench.records.visible import visible
from workbench.tui.data import Wrong
from workbench.tui.widgets.completions import CompletionList
from workbench.tui.wrapping import broken

#: Lines that a message may take under the caret.
_MESSAGE_LINES: Final = 2


_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class State(StrEnum):
    """Whether what is in the line can be applied; the word is shown, the colour only says it again."""

    APPLIED = "applied"
    VALID = "valid"
    CHECKING = "checking"
    INCOMPLETE = "incomplete"
    WRONG = "wrong"


_MARKS: Final = {State.APPLIED: "●", State.VALID: "✓", State.CHECKING: "·", State.INCOMPLETE: "…", State.WRONG: "✗"}


def shown(text: str) -> str:
    """Text as it may stand in a line that is edited: every character that could act on a terminal as one that cannot.

    As long as the text itself, so that positions hold; `visible` would spell them out.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(char) for char in text)


def _shown(char: str) -> str:
    stand_in = visible(char)
    return stand_in if len(stand_in) == 1 and cell_len(stand_in) else "\N{WHITE SQUARE}"


class _Painter(Highlighter):
    """Text of the line as it may be painted, the wrong part underlined."""

    wrong: Wrong | None = None

    def highlight(self, text: Text) -> None:
        """In place, as Rich wants it."""
        text.plain = shown(text.plain)
        if self.wrong is not None and self.wrong.length:
            text.stylize(Style(underline=True), self.wrong.position, self.wrong.position + self.wrong.length)


class FilterInput(Input):
    """The line. Its keys are the bar's; it paints what was pasted without obeying it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "bar('enter')", "Apply", id="filter.apply", tooltip="Apply the filter; an empty one shows all flows"),
        Binding("tab", "bar('tab')", "Complete", id="filter.complete", tooltip="Take the completion; without one, the next part"),
        Binding("down", "bar('down')", "Next", show=False, id="filter.next", tooltip="Next completion, or a later filter"),
        Binding(
            "up", "bar('up')", "Previous", show=False, id="filter.previous", tooltip="Previous completion, or an earlier filter"
        ),
        Binding("ctrl+space,ctrl+@", "bar('ask')", "Offer", show=False, id="filter.offer", tooltip="What could stand here"),
        Binding("escape", "bar('escape')", "Back", id="filter.back", tooltip="Close the list; stop a filter; back to the flows"),
    ]

    def __init__(self, pressed: Callable[[str], None]) -> None:
        """pressed: told of keys that mean something to the bar."""
        self._pressed = pressed
        super().__init__(
            placeholder="all flows; press / to filter",
            highlighter=_Painter(),
            select_on_focus=False,
            compact=True,
            max_length=LONGEST,
        )

    def validate_value(self, value: str) -> str:
        """A pasted control character becomes what the language writes for it."""
        return value if value.isprintable() else _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", value)

    def show_wrong(self, wrong: Wrong | None) -> None:
        """Underline what is wrong."""
        assert isinstance(self.highlighter, _Painter)
        self.highlighter.wrong = wrong
        self.refresh()

    def action_bar(self, key: str) -> None:
        """Hand it to the bar."""
        self._pressed(key)

    async def on_key(self, event: events.Key) -> None:
        """Keys of the line act in their turn: by way of the app's bindings they would come behind text typed after them."""
        active = None if event.is_printable else self.screen.active_bindings.get(event.key)
        if active is not None and active.node is self:
            event.stop()
            event.prevent_default()
            await self.run_action(active.binding.action)

    def cell_of(self, position: int) -> int:
        """Where a character stands in the line, in cells from its left edge; the line may be scrolled."""
        return cell_len(shown(self.value)[:position]) - self.scroll_offset.x


class FilterMessage(Widget):
    """A caret under the word that is wrong, and the words about it."""

    DEFAULT_CSS = """
    FilterMessage { height: 2; background: $background; color: $foreground; display: none; }
    FilterMessage > .message--wrong { color: $text-error; }
    FilterMessage > .message--quiet { color: $text-muted; }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"message--wrong", "message--quiet"}

    def __init__(self) -> None:
        super().__init__()
        self._caret = ""
        self._words = ""
        self._lines: list[str] = []
        self._bad = False

    def say(self, text: str, *, caret: str = "", bad: bool = False) -> None:
        """Show a text, and a caret above it; both painted as they are."""
        self._caret, self._words, self._bad = caret, text, bad
        self._break()

    def on_resize(self) -> None:
        """While the line has no focus there is no width to break lines at."""
        self._break()

    def _break(self) -> None:
        self._lines = broken(self._words, max(20, self.size.width - 2))[:_MESSAGE_LINES]
        self.styles.height = 1 + max(1, len(self._lines))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """The caret, then the words."""
        style = self.get_component_rich_style("message--wrong" if self._bad else "message--quiet")
        line = self._caret if y == 0 else " " + self._lines[y - 1] if y <= len(self._lines) else ""
        return Strip([Segment(line, style)]).adjust_cell_length(self.size.width, self.rich_style)


class FilterBar(Widget):
    """Tells of every change with `Edited`, of Enter with `Wanted`, of Esc with `Left`; is told what to show."""

    DEFAULT_CSS = """
    FilterBar { height: auto; background: $background; layout: vertical; }
    FilterBar > Horizontal { height: 1; }
    FilterBar FilterMark { width: 21; height: 1; }
    FilterBar FilterInput, FilterBar FilterInput:focus { width: 1fr; background: $surface; padding: 0; color: $foreground; }
    FilterBar:focus-within FilterMessage { display: block; }
    FilterBar:focus-within FilterInput { background: $panel; }
    """

    @dataclass
    class Edited(Message):
        """Another text or another place of the cursor. offer: whether completions were asked for by a key."""

        text: str
        cursor: int
        offer: bool

    @dataclass
    class Wanted(Message):
        """The person wants this filter applied."""

        text: str

    @dataclass
    class Recalled(Message):
        """The person wants an earlier (-1) or later (1) filter in the line."""

        by: int

    class Left(Message):
        """The person goes back to the flows."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self.applied = ""
        self.state = State.APPLIED
        self._picked = False
        self._quiet: str | None = None

    def compose(self) -> ComposeResult:
        """Mark and line; the message; the list."""
        with Horizontal():
            yield FilterMark()
            yield FilterInput(self._press)
        yield FilterMessage()
        yield CompletionList()

    # -- parts ------------------------------------------------------------------------------------

    @property
    def line(self) -> FilterInput:
        """The line."""
        return self.query_one(FilterInput)

    @property
    def offers(self) -> CompletionList:
        """The list."""
        return self.query_one(CompletionList)

    @property
    def text(self) -> str:
        """What is in the line."""
        return self.line.value

    def enter(self) -> None:
        """Take the focus, the cursor at the end; at once, for the next key is the first of the text."""
        self.screen.set_focus(self.line)
        self.line.cursor_position = len(self.text)

    def put(self, text: str, cursor: int | None = None) -> None:
        """Put a text into the line; whoever does that looks after the rest."""
        self.offers.close()
        if text != self.text:
            self._quiet = text
            self.line.value = text
        self.line.cursor_position = len(text) if cursor is None else cursor

    # -- what it is told --------------------------------------------------------------------------

    def show_applied(self, text: str) -> None:
        """This filter is what the rows obey now."""
        self.applied = text
        self.set_class(bool(text), "-filtered")
        self.line.placeholder = "all flows; press / to filter"
        if self.text == text:
            self.show_state(State.APPLIED)

    def show_state(self, state: State, wrong: Wrong | None = None) -> None:
        """Whether what is in the line can be applied, and what is wrong."""
        self.state = state
        self.line.show_wrong(wrong if state is State.WRONG else None)
        for other in State:
            self.set_class(other is state, f"-{other}")
        mark = self.query_one(FilterMark)
        mark.say(state, self.text)
        message = self.query_one(FilterMessage)
        if wrong is None:
            message.say(_encouragement(state, self.text))
        else:
            start = self.line.cell_of(wrong.position) + mark.size.width
            words = "; ".join(part for part in (wrong.message, wrong.remedy) if part)
            caret = " " * max(0, start) + "^" * max(1, min(wrong.length, 60)) if start >= mark.size.width else ""
            message.say(f"{state}: {visible(words[:600])}", caret=caret, bad=state is State.WRONG)

    def offer(self, offers: Sequence[Completion]) -> None:
        """What could stand at the cursor; nothing while the line has no focus."""
        self._picked = False
        if not self.line.has_focus or not offers:
            self.offers.close()
            return
        self.offers.show(offers, self.query_one(FilterMark).size.width + self.line.cell_of(offers[0].start))

    # -- keys -------------------------------------------------------------------------------------

    def on_input_changed(self, event: Input.Changed) -> None:
        """Another text."""
        event.stop()
        put, self._quiet = event.value == self._quiet, None
        if not put:
            self.post_message(self.Edited(event.value, self.line.cursor_position, True))

    def _press(self, key: str) -> None:
        """Keys that are not text."""
        offers = self.offers
        if key in ("up", "down"):
            by = 1 if key == "down" else -1
            if offers.is_open:
                if self._picked or by < 0:  # the first one has the mark already: the first arrow down takes hold of it
                    offers.step(by)
                self._picked = True
            else:
                self.post_message(self.Recalled(by))
        elif key == "ask":
            self.post_message(self.Edited(self.text, self.line.cursor_position, True))
        elif key == "escape":
            if offers.is_open:
                offers.close()
            else:
                self.post_message(self.Left())
        elif key == "tab" and not offers.is_open:
            self.screen.focus_next()
        elif key == "tab" or (key == "enter" and offers.is_open and self._picked):
            self._take()
        else:
            offers.close()
            self.post_message(self.Wanted(self.text))

    def on_completion_list_clicked(self) -> None:
        """Taken by mouse."""
        self._take()

    def _take(self) -> None:
        """Put the chosen completion into the line; what may follow it is asked at once."""
        offer = self.offers.chosen
        if offer is None:
            return
        text, end = self.text, offer.end
        self.put(text[: offer.start] + offer.text + text[end:], offer.start + len(offer.text))
        self.post_message(self.Edited(self.text, self.line.cursor_position, offer.kind in ("field", "operator")))

    def on_descendant_blur(self, _event: events.DescendantBlur) -> None:
        """No list without the focus."""
        self.offers.close()


class FilterMark(Widget):
    """` filter ✓ valid`: the state in a mark and a word."""

    DEFAULT_CSS = """
    FilterMark { background: $background; color: $text-muted; }
    FilterBar.-filtered.-applied FilterMark { color: $text-accent; text-style: bold; }
    FilterBar.-valid FilterMark { color: $text-success; text-style: bold; }
    FilterBar.-wrong FilterMark { color: $text-error; text-style: bold; }
    FilterBar.-incomplete FilterMark { color: $text-warning; text-style: bold; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._text = " filter"

    def say(self, state: State, text: str) -> None:
        """Show a state; all flows need no mark."""
        self._text = " filter" if state is State.APPLIED and not text else f" filter {_MARKS[state]} {state}"
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line."""
        style = self.rich_style
        return Strip([Segment(self._text if y == 0 else "", style)]).adjust_cell_length(self.size.width, style)


def _encouragement(state: State, text: str) -> str:
    if state is State.VALID:
        return "valid: Enter applies it" if text.strip() else "empty: Enter shows all flows"
    if state is State.APPLIED:
        if text:
            return "applied; empty and Enter: all flows; up: earlier ones"
        return "such as ip.addr == 10.0.0.0/8 && tcp.dstport in {22, 445}; src_bytes > 1MB; conn_state in {S0, REJ}"
    return ""
