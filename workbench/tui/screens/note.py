"""Notes on what the cursor stands on: those that are there, and a new one; and its bookmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen, Screen
from textual.widgets import Static, TextArea

from workbench.records.visible import visible
from workbench.tui import figures
from workbench.tui.messages import BookmarkTurned

if TYPE_CHECKING:
    from workbench.store.notebook import Note, Notebook
    from workbench.tui.views.base import Subject

#: Characters of one note, and notes, that the dialog shows; the view Case and `workbench note` have all.
_SHOWN: Final = 4_000
_MOST: Final = 50


class NoteDialog(ModalScreen[bool]):
    """Writing and reading happen beside the event loop. Dismissed with whether a note was written."""

    DEFAULT_CSS = """
    NoteDialog TextArea { height: 7; border: none; padding: 0 1; background: $panel; }
    NoteDialog TextArea:focus { border: none; }
    NoteDialog .note-old { height: auto; max-height: 1fr; margin-bottom: 1; }
    NoteDialog #note-old { height: auto; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "save", "Keep", id="note.save", tooltip="Keep the note with the case", priority=True),
        Binding("escape", "leave", "Cancel", id="note.leave", tooltip="Close without a note", priority=True),
        Binding("pageup", "scroll(-5)", "Older notes", show=False, id="note.up", tooltip="Scroll the notes up", priority=True),
        Binding(
            "pagedown", "scroll(5)", "Newer notes", show=False, id="note.down", tooltip="Scroll the notes down", priority=True
        ),
    ]

    @dataclass
    class Read(Message):
        """Notes that are there. trouble: why they cannot be read, '' where they can."""

        notes: Sequence[Note]
        trouble: str

    @dataclass
    class Written(Message):
        """A note was written; error: or why not."""

        error: str

    def __init__(self, notebook: Notebook, subject: Subject) -> None:
        super().__init__()
        self._notebook, self._subject = notebook, subject
        self._saving = self._warned = False

    def compose(self) -> ComposeResult:
        """What it is on, what was written, the new text, the keys."""
        with Vertical(classes="dialog wide"):
            yield Static(Text(f"Note on {visible(self._subject.words[:300])}", style="bold"), classes="dialog-title")
            with VerticalScroll(classes="note-old", can_focus=False):
                yield Static(Text("Reading.", style="dim"), id="note-old")
            yield TextArea(soft_wrap=True, show_line_numbers=False, highlight_cursor_line=False, id="note-text")
            yield Static(
                Text("ctrl+s keeps it, for good and for everybody with the case; Esc closes", style="dim"), id="note-keys"
            )

    def on_mount(self) -> None:
        """Read what is there."""
        self.query_one(TextArea).focus()
        self.run_worker(self._read, thread=True, exit_on_error=False)

    def _read(self) -> None:
        found = self._notebook.notes(self._subject.kind, self._subject.key)
        trouble = self._notebook.trouble
        words = f"{trouble.message}. {trouble.remedy}" if trouble is not None else ""
        if not words and self._notebook.readable_only:
            words = "This case is read-only for you: notes can be read, not written."
        self.post_message(self.Read(found, words))

    def on_note_dialog_read(self, message: Read) -> None:
        """Show them, the newest last and in view."""
        self.query_one("#note-old", Static).update(notes_text(message.notes, message.trouble))
        self.query_one(VerticalScroll).scroll_end(animate=False)

    def action_scroll(self, by: int) -> None:
        """Through what was written."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)

    def action_save(self) -> None:
        """Keep it, with every key that was typed before: those wait in the queue of the text, which this one overtakes."""
        self.query_one(TextArea).call_later(self._save)

    def _save(self) -> None:
        text = self.query_one(TextArea).text
        if not text.strip():
            self._say("Nothing is written yet; Esc closes")
        elif not self._saving:
            self._saving = True
            self._say("keeping it")
            self.run_worker(partial(self._write, text), thread=True, exit_on_error=False)

    def _write(self, text: str) -> None:
        subject = self._subject
        try:
            self._notebook.add_note(subject.kind, subject.key, subject.words, text)
        except Exception as error:  # every failure is shown
            remedy = getattr(error, "remedy", "")
            self.post_message(self.Written(f"{error}. {remedy}".strip()))
            return
        self.post_message(self.Written(""))

    def on_note_dialog_written(self, message: Written) -> None:
        """Close, or say why it was not kept: the text stays."""
        self._saving = False
        if message.error:
            self._say(f"✗ {visible(message.error[:600])}", "bold")
            return
        self.app.notify(visible(self._subject.words[:200]), title="Note kept", markup=False, timeout=4)
        self.dismiss(True)

    def action_leave(self) -> None:
        """Close; a text that was typed asks once more."""
        if self.query_one(TextArea).text.strip() and not self._warned:
            self._warned = True
            self._say("The note is not kept yet: ctrl+s keeps it, Esc again throws it away", "bold")
            return
        self.dismiss(False)

    def on_text_area_changed(self) -> None:
        """What is typed after the warning deserves another one."""
        self._warned = False

    def _say(self, words: str, style: str = "dim") -> None:
        self.query_one("#note-keys", Static).update(Text(words, style=style))


def note_dialog(notebook: Notebook, subject: Subject) -> NoteDialog:
    """The dialog for notes on that."""
    return NoteDialog(notebook, subject)


def notes_text(notes: Sequence[Note], trouble: str = "") -> Text:
    """Notes in words, who and when first; hostile text spelled out, line breaks kept."""
    text = Text()
    if trouble:
        text.append(f"! {visible(trouble[:600])}\n", "bold")
    if len(notes) > _MOST:
        text.append(f"{len(notes) - _MOST:,} older ones are in the view Case (9)\n", "dim")
    for note in notes[-_MOST:]:
        when = figures.moment(figures.from_us(note.ts))[:19]
        text.append(f"{when}Z {visible(note.author[:80])}\n", "bold")
        text.append("\n".join("  " + visible(line) for line in note.text[:_SHOWN].split("\n")[:200]) + "\n")
        if len(note.text) > _SHOWN:
            text.append(f"  … {len(note.text) - _SHOWN:,} more characters\n", "dim")
    if not notes and not trouble:
        text.append("No notes on this yet.", "dim")
    text.rstrip()
    return text


def turn_bookmark(screen: Screen[Any], notebook: Notebook, subject: Subject) -> None:
    """Set the bookmark of what the cursor stands on, or take it away; the screen is told with BookmarkTurned."""

    def turn() -> None:
        try:
            there = notebook.turn_bookmark(subject.kind, subject.key, subject.words)
        except Exception as error:  # every failure is shown
            screen.post_message(BookmarkTurned(subject.words, False, error))
            return
        screen.post_message(BookmarkTurned(subject.words, there))

    screen.run_worker(turn, group="bookmark", thread=True, exit_on_error=False)
