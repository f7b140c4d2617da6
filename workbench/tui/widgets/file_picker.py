"""A folder at a time: into it, out of it, and what was looked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from workbench.records.visible import visible
from workbench.tui import figures
from workbench.tui.folders import Entry, Kind, Listing, listing
from workbench.tui.latest import Latest

#: A word for each kind, so that colour need not say it.
_WORDS: Final[dict[Kind, str]] = {"case": "case", "capture": "capture", "folder": "folder", "file": ""}


class FilePicker(OptionList):
    """Reads folders beside the event loop; tells with `Picked` and, of the folder it shows, with `Entered`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h,backspace", "out", "Out", id="picker.out", tooltip="To the folder around this one"),
        Binding("right,l", "select", "Into", id="picker.into", tooltip="Into the folder, or open the capture", show=False),
        Binding("full_stop", "hidden", "Hidden", id="picker.hidden", tooltip="Show or leave out names that begin with a dot"),
    ]

    @dataclass
    class Picked(Message):
        """A capture, a case or another file was chosen."""

        path: Path

    @dataclass
    class Entered(Message):
        """Another folder is shown."""

        listing: Listing

    @dataclass
    class _Read(Message):
        """A folder was read; back: the name that the cursor goes to."""

        listing: Listing
        back: str

    def __init__(self, folder: Path, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id, markup=False)
        self.folder = folder
        self.hidden = False
        self._shown = Listing(folder)
        self._lane = Latest(self, "folder")

    @property
    def resting(self) -> bool:
        """Whether no folder is being read."""
        return not self._lane.busy

    def on_mount(self) -> None:
        """Read the first folder."""
        self.look(self.folder)

    def look(self, folder: Path, back: str = "") -> None:
        """Show a folder; it may lie on a slow disk, so what is shown stays until it is read."""
        hidden = self.hidden
        self._lane.ask(lambda: self._post(self._Read(listing(folder, hidden=hidden), back)))

    def _post(self, message: Message) -> None:
        self.post_message(message)

    def on_file_picker__read(self, message: _Read) -> None:
        """Show it, if it can be read at all."""
        message.stop()
        if not message.listing.trouble:
            self.folder, self._shown = message.listing.folder, message.listing
            self.clear_options()
            self.add_options([Option(_line(entry)) for entry in self._shown.entries])
            names = [entry.name for entry in self._shown.entries]
            if names:
                self.highlighted = names.index(message.back) if message.back in names else 0
        self.post_message(self.Entered(message.listing))

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        """Into a folder; a case or a file is what was looked for."""
        message.stop()
        entry = self._shown.entries[message.option_index]
        path = self.folder / entry.name
        if entry.kind == "folder":
            self.look(path)
        else:
            self.post_message(self.Picked(path))

    def action_out(self) -> None:
        """The folder around."""
        if self.folder.parent != self.folder:
            self.look(self.folder.parent, self.folder.name)

    def action_hidden(self) -> None:
        """Names with a dot, too, or not."""
        self.hidden = not self.hidden
        at = self.highlighted
        back = self._shown.entries[at].name if at is not None and at < len(self._shown.entries) else ""
        self.look(self.folder, back)


def _line(entry: Entry) -> Text:
    """Kind, name, size."""
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{_WORDS[entry.kind]:<8} ", "dim")
    text.append(
        visible(entry.name[:300]) + ("/" if entry.kind in ("folder", "case") else ""),
        "bold" if entry.kind in ("case", "capture") else "",
    )
    if entry.bytes:
        text.append(f"  {figures.words_size(entry.bytes)}", "dim")
    return text
