"""Where a policy is written: YAML with coloured words, and a mark in the margin of every line that something is said of.

Characters that could act on a terminal never get in; the rest of the text is shown as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final

from rich.segment import Segment
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widgets import TextArea
from textual.widgets.text_area import Edit, EditResult

from workbench.tui.widgets.sql_editor import clean

#: Characters of a policy at most in the editor; longer ones are for files and the command line.
LONGEST: Final = 1 << 20
#: What stands in the margin, from the worst; letters would be taken for text.
MARKS: Final = {"error": "✗", "warning": "!", "note": "·"}
_WORDS: Final = re.compile(
    r"(?P<comment>(?:(?<=\s)|^)#.*)"
    r"|(?P<string>\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*')"
    r"|(?P<key>[A-Za-z_][\w.-]*(?=:(?:\s|$)))"
    r"|(?P<stop>\b(?:deny|reject|cut)\b)"
    r"|(?P<go>\b(?:allow|pass|keep)\b)"
    r"|(?P<number>(?<![\w./:-])\d[\d.:/a-fA-F]*(?![\w-]))"
)
_KINDS: Final = ("comment", "string", "key", "stop", "go", "number")


class PolicyText(TextArea):
    """The text of a policy. Tab indents; Esc is the way out of it."""

    DEFAULT_CSS = """
    PolicyText, PolicyText:focus { border: none; padding: 0; background: $surface; color: $foreground; height: 1fr; }
    PolicyText:focus { background: $panel; }
    PolicyText > .policy--key { color: $text-primary; }
    PolicyText > .policy--string { color: $text-success; }
    PolicyText > .policy--number { color: $text-accent; }
    PolicyText > .policy--comment { color: $text-muted; text-style: italic; }
    PolicyText > .policy--stop { color: $text-error; text-style: bold; }
    PolicyText > .policy--go { color: $text-success; text-style: bold; }
    PolicyText > .policy--error { color: $text-error; text-style: bold; }
    PolicyText > .policy--warning { color: $text-warning; text-style: bold; }
    PolicyText > .policy--note { color: $text-muted; }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *TextArea.COMPONENT_CLASSES,
        *(f"policy--{kind}" for kind in (*_KINDS, *MARKS)),
    }

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+z", "undo", "Undo", show=False, id="policy.undo", tooltip="Take the last change back"),
        Binding("ctrl+y", "redo", "Redo", show=False, id="policy.redo", tooltip="Make it again"),
        Binding("ctrl+home", "to_edge(0)", "Top", show=False, id="policy.top", tooltip="To the beginning of the text"),
        Binding("ctrl+end", "to_edge(1)", "Bottom", show=False, id="policy.bottom", tooltip="To the end of the text"),
    ]

    class Cleaned(Message):
        """What was pasted had characters that cannot stand in the editor, or was too long."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(
            "", soft_wrap=True, show_line_numbers=True, tab_behavior="indent", compact=True, highlight_cursor_line=False, id=id
        )
        self.indent_width = 2
        self._marks: Mapping[int, str] = {}

    # -- text -------------------------------------------------------------------------------------

    def edit(self, edit: Edit) -> EditResult:
        """Take an edit in, its text made harmless and bounded."""
        if edit.text:
            text = clean(edit.text[: LONGEST + 1])
            room = max(0, LONGEST - len(self.text)) if len(text) > 1 else 1
            if text != edit.text or len(text) > room:
                edit.text = text[:room]
                self.post_message(self.Cleaned())
        return super().edit(edit)

    def load_text(self, text: str) -> None:
        """Another text, made harmless and bounded; what was done to the one before cannot be undone here."""
        super().load_text(clean(text[:LONGEST]))

    def put(self, text: str) -> None:
        """Another text in place of all there is, as a change that can be undone."""
        row = self.cursor_location[0]
        self.replace(clean(text[:LONGEST]), (0, 0), self.document.end)
        self.go_to(row + 1)

    def go_to(self, line: int) -> None:
        """The cursor to a line, from 1, where its text begins."""
        row = max(0, min(line - 1, self.document.line_count - 1))
        content = self.document.get_line(row)
        self.move_cursor((row, len(content) - len(content.lstrip())), center=True)

    def action_to_edge(self, end: int) -> None:
        """To the beginning or the end of the text."""
        self.move_cursor(self.document.end if end else (0, 0))

    @property
    def line(self) -> int:
        """The line of the cursor, from 1."""
        return int(self.cursor_location[0]) + 1

    async def on_key(self, event: events.Key) -> None:
        """Esc is not for moving the focus on: the view knows where it leads."""
        if event.key == "escape":
            event.prevent_default()

    # -- looks ------------------------------------------------------------------------------------

    def set_marks(self, marks: Mapping[int, str]) -> None:
        """What is said of lines (from 1), by severity."""
        if marks != self._marks:
            self._marks = dict(marks)
            self.refresh()

    def notify_style_update(self) -> None:
        """Repaint in the new colours."""
        self._line_cache.clear()
        super().notify_style_update()

    def get_line(self, line_index: int) -> Text:
        """A line with its words coloured."""
        line = super().get_line(line_index)
        for found in _WORDS.finditer(line.plain[:2000]):
            line.stylize(self.get_component_rich_style(f"policy--{found.lastgroup}", partial=True), *found.span())
        return line

    def render_line(self, y: int) -> Strip:
        """The line, with its mark in the margin."""
        strip = super().render_line(y)
        mark = self._mark_at(y) if self._marks else ""
        if not mark:
            return strip
        at = self.gutter_width - 1
        style = self.get_component_rich_style(f"policy--{mark}")
        left, right = strip.crop(0, at), strip.crop(at + 1)
        return Strip.join([left, Strip([Segment(MARKS[mark], style)], 1), right])

    def _mark_at(self, y: int) -> str:
        """The severity of what is said of the line that is painted there; '' for nothing, and for a line that goes on."""
        lines = self.wrapped_document._offset_to_line_info
        at = int(self.scroll_offset.y) + y
        if at >= len(lines):
            return ""
        number, section = lines[at]
        return self._marks.get(number + 1, "") if section == 0 else ""
