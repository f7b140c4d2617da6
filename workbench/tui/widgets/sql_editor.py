"""Where SQL is written: coloured words, and a list of what could stand at the cursor."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.document._document import Document
from textual.message import Message
from textual.widgets import TextArea
from textual.widgets.text_area import Edit, EditResult

from workbench.records.visible import visible
from workbench.store.known import Known
from workbench.tui.sql_words import Word, completions, words_of
from workbench.tui.widgets.completions import CompletionList

#: Characters of a query at most; a question in queries/ has a few thousand.
LONGEST: Final = 65_536
_COLOURED: Final = ("keyword", "function", "string", "quoted", "number", "comment", "parameter")
#: Keys of the list while it is open.
_LIST_KEYS: Final = frozenset({"up", "down", "tab", "enter", "escape"})


def clean(text: str) -> str:
    """Text that the editor takes: line ends and tabs plain, everything that could act on a terminal a white square."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ")
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "\n".join("".join(map(_shown, line)) for line in text.split("\n"))


def _shown(char: str) -> str:
    stand_in = visible(char)
    return char if stand_in == char and cell_len(char) else "\N{WHITE SQUARE}"


class SqlText(TextArea):
    """The text. Its keys are the editor's while the list is open."""

    DEFAULT_CSS = """
    SqlText, SqlText:focus { border: none; padding: 0 0 0 1; background: $surface; color: $foreground; height: 1fr; }
    SqlText:focus { background: $panel; }
    SqlText > .sql--keyword { color: $text-primary; text-style: bold; }
    SqlText > .sql--function { color: $secondary; }
    SqlText > .sql--string, SqlText > .sql--quoted { color: $text-success; }
    SqlText > .sql--number, SqlText > .sql--parameter { color: $text-accent; }
    SqlText > .sql--comment { color: $text-muted; text-style: italic; }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {*TextArea.COMPONENT_CLASSES, *(f"sql--{kind}" for kind in _COLOURED)}

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+space,ctrl+@", "offer", "Offer", show=False, id="sql.offer", tooltip="What could stand at the cursor"),
        Binding("ctrl+up", "recall(-1)", "Earlier", show=False, id="sql.earlier", tooltip="The query before, of this case"),
        Binding("ctrl+down", "recall(1)", "Later", show=False, id="sql.later", tooltip="The query after"),
    ]

    @dataclass
    class Recalled(Message):
        """An earlier (-1) or later (1) query is wanted."""

        by: int

    class Cleaned(Message):
        """What was pasted had characters that cannot stand in the editor, or was too long."""

    def __init__(self, keys: Callable[[str], bool], offer: Callable[[bool], None]) -> None:
        """keys: told of a key of the list, says whether it was taken. offer: offer completions, True where asked for."""
        super().__init__(
            "", soft_wrap=True, show_line_numbers=False, tab_behavior="focus", compact=True, highlight_cursor_line=False
        )
        self._keys, self._offer = keys, offer
        self._lexed = ""
        self._lines: list[list[tuple[int, int, str]]] = [[]]

    def edit(self, edit: Edit) -> EditResult:
        """Take an edit in, its text made harmless and bounded."""
        text = clean(edit.text[: LONGEST + 1])
        room = max(0, LONGEST - len(self.text))
        if text != edit.text or len(text) > room:
            edit.text = text[:room]
            self.post_message(self.Cleaned())
        return super().edit(edit)

    def load_text(self, text: str) -> None:
        """Another text, made harmless and bounded."""
        super().load_text(clean(text[:LONGEST]))

    def notify_style_update(self) -> None:
        """Repaint in the new colours."""
        self._line_cache.clear()
        super().notify_style_update()

    # -- colours ----------------------------------------------------------------------------------

    def get_line(self, line_index: int) -> Text:
        """A line with its words coloured."""
        line = super().get_line(line_index)
        self._lex()
        if line_index < len(self._lines):
            for start, end, kind in self._lines[line_index]:
                line.stylize(self.get_component_rich_style(f"sql--{kind}", partial=True), start, end)
        return line

    def _lex(self) -> None:
        text = self.text
        if text == self._lexed:
            return
        self._lexed = text
        self._lines = [[] for _ in range(text.count("\n") + 1)]
        number = begin = 0
        for word in words_of(text):
            if word.kind in _COLOURED:
                gap = text.count("\n", begin, word.start)
                number += gap
                if gap:
                    begin = text.rfind("\n", 0, word.start) + 1
                self._colour(word, number, word.start - begin)

    def _colour(self, word: Word, number: int, at: int) -> None:
        """A word may go over lines."""
        for more, piece in enumerate(word.text.split("\n")):
            start = at if more == 0 else 0
            self._lines[number + more].append((start, start + len(piece), word.kind))

    # -- keys -------------------------------------------------------------------------------------

    async def on_key(self, event: events.Key) -> None:
        """The list has its keys first."""
        if event.key in _LIST_KEYS and self._keys(event.key):
            event.stop()
            event.prevent_default()

    @property
    def _plain_document(self) -> Document:
        assert isinstance(self.document, Document)
        return self.document

    def place_of(self, index: int) -> tuple[int, int]:
        """Row and column of a character."""
        return self._plain_document.get_location_from_index(max(0, min(index, len(self.text))))

    def action_offer(self) -> None:
        """Ask for completions."""
        self._offer(True)

    def action_recall(self, by: int) -> None:
        """Ask for another query."""
        self.post_message(self.Recalled(by))

    @property
    def position(self) -> int:
        """Where the cursor is, in characters from the beginning."""
        return int(self._plain_document.get_index_from_location(self.cursor_location))


class SqlEditor(Container):
    """The text and its list."""

    DEFAULT_CSS = """
    SqlEditor { height: 1fr; }
    SqlEditor CompletionList { dock: top; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self.known: Known | None = None
        self._picked = False
        self._put = ""

    def compose(self) -> ComposeResult:
        """Text, list."""
        yield SqlText(self._press, self._offer)
        yield CompletionList()

    @property
    def area(self) -> SqlText:
        """The text's widget."""
        return self.query_one(SqlText)

    @property
    def offers(self) -> CompletionList:
        """The list."""
        return self.query_one(CompletionList)

    @property
    def text(self) -> str:
        """The query."""
        return self.area.text

    @property
    def asked(self) -> str:
        """What is to be run: what is selected, else all."""
        return self.area.selected_text.strip() or self.text.strip()

    def put(self, text: str, *, top: bool = False) -> None:
        """Another text, the cursor at its end, or at its beginning."""
        self.offers.close()
        self._put = clean(text[:LONGEST])
        self.area.load_text(self._put)
        self.area.move_cursor((0, 0) if top else self.area.document.end)

    def settle(self) -> None:
        """What is written is asked now: the list goes, also the one that the last key is still to open."""
        self.offers.close()
        self._put = self.text

    def point_at(self, at: str) -> tuple[int, int] | None:
        """The cursor to where the engine points; line and column from 1, None where that is not in the text."""
        at = at.rstrip()
        word = rf"(?<!\w){re.escape(at)}(?!\w)"
        found = (re.search(word, self.text) or re.search(re.escape(at), self.text)) if at else None
        if found is None:
            return None
        row, column = self.area.place_of(found.start())
        self.area.move_cursor((row, column))
        return row + 1, column + 1

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Something was typed."""
        event.stop()
        if self.text != self._put:
            self._put = ""
            self._offer(False)

    def on_descendant_blur(self, _event: events.DescendantBlur) -> None:
        """No list without the focus."""
        self.offers.close()

    def on_completion_list_clicked(self) -> None:
        """Taken by mouse."""
        self._take()

    def _offer(self, asked: bool) -> None:
        """Show what could stand at the cursor, under it or above."""
        self._picked = False
        if self.known is None or not self.area.has_focus:
            return
        found = completions(self.text, self.area.position, self.known, asked=asked)
        if not found:
            self.offers.close()
            return
        at = self.area.cursor_screen_offset - self.region.offset
        self.offers.show(found, max(0, at.x - (self.area.position - found[0].start)))
        height = min(8, len(found))
        below = at.y + 1
        fits = self.region.y + below + height <= self.screen.size.height - 2
        self.offers.styles.offset = (int(self.offers.styles.offset.x.value), below if fits else at.y - height)

    def _press(self, key: str) -> bool:
        offers = self.offers
        if not offers.is_open:
            return False
        if key in ("up", "down"):
            if self._picked or key == "up":
                offers.step(1 if key == "down" else -1)
            self._picked = True
        elif key == "tab" or (key == "enter" and self._picked):
            self._take()
        else:
            offers.close()
            return key == "escape"
        return True

    def _take(self) -> None:
        offer, area = self.offers.chosen, self.area
        if offer is None:
            return
        self.offers.close()
        self._put = self.text[: offer.start] + offer.text + self.text[offer.end :]
        result = area.replace(offer.text, area.place_of(offer.start), area.place_of(offer.end), maintain_selection_offset=False)
        area.move_cursor(result.end_location)
