"""Reading and writing the policies of a case for the editor, in threads, one thing after the other."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from textual.dom import DOMNode
from textual.message import Message

from workbench.errors import CancelledError, WorkbenchError
from workbench.tui.latest import Latest
from workbench.tui.policy_drafting import Origin
from workbench.workflows.policy_versions import NO_TIME, UNNAMED, PolicyVersions, Version

#: Policies whose versions are listed at once; nobody reads more.
_MOST: Final = 500


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is open in the editor. slot: the policy that its draft is kept under.

    base: the version that it was made from, 0 for none; base_text: that version's text. origin: what it was drafted from.
    """

    slot: str
    base: int = 0
    base_text: str = ""
    origin: Origin | None = None

    @property
    def against(self) -> str:
        """What it is compared with, in words."""
        return f"version {self.base}" if self.base else "no policy at all"


@dataclass
class Opened(Message):
    """A text to be edited; sheet: None where the case has no policy yet. words: what to tell the person, '' for nothing."""

    sheet: Sheet | None
    text: str = ""
    words: str = ""
    asked: bool = False


@dataclass
class Listed(Message):
    """Versions and drafts of the case, newest last. left_out: older versions that are not listed."""

    versions: Sequence[Version]
    drafts: Sequence[tuple[str, dt.datetime]]
    left_out: int = 0


@dataclass
class Kept(Message):
    """The draft is on the disk; error: or why not."""

    text: str
    error: WorkbenchError | None = None


@dataclass
class Saved(Message):
    """A version was saved; error: or why not. slot: where what is written from here on is kept."""

    version: Version | None
    text: str = ""
    slot: str = ""
    error: WorkbenchError | None = None


@dataclass
class Compared(Message):
    """A version's text, to be compared with what is in the editor."""

    version: str
    text: str


@dataclass
class Refused(Message):
    """Something could not be read."""

    error: Exception


@dataclass
class PolicyKeeping:
    """One case's policies. Answers come as messages to the owner."""

    owner: DOMNode
    root: Path
    versions: PolicyVersions = field(init=False)

    def __post_init__(self) -> None:
        self.versions = PolicyVersions(self.root)
        self._reading = Latest(self.owner, "policy files")
        self._drafting = Latest(self.owner, "policy draft")
        #: What is to be kept and is not on the disk yet, by slot: of one text the latest, of no other text nothing is lost.
        self._due: dict[str, str] = {}
        #: A lane does the latest only; a version that a person asked for is never the one that is passed over.
        self._saves: deque[Callable[[], None]] = deque()
        self._written: set[str] = set()

    @property
    def busy(self) -> bool:
        """Whether anything is being read or written."""
        return self._reading.busy or self._drafting.busy

    def open_first(self) -> None:
        """What the person was at: the last draft, else the newest version; else nothing."""
        self._ask(self._first)

    def open(self, name: str, number: int) -> None:
        """A version (0: the draft) into the editor."""
        self._ask(partial(self._open, name, number))

    def open_file(self, path: Path) -> None:
        """A file of the person's."""
        self._ask(partial(self._file, path))

    def open_text(self, name: str, text: str, words: str, origin: Origin | None = None) -> None:
        """A text that was made here, under the name that it gives itself, if it is no draft's yet."""
        self._ask(partial(self._new, name, text, words, origin))

    def list(self) -> None:
        """Versions and drafts."""
        self._ask(lambda: self._list())

    def compare(self, name: str, number: int) -> None:
        """A version's text."""
        self._ask(lambda: Compared(f"{name} {number or 'draft'}", self._text(name, number)))

    def keep(self, slot: str, text: str) -> None:
        """The draft to the disk."""
        self._due[slot] = text
        self._written.add(slot)
        self._drafting.ask(self._keep)

    def save(self, sheet: Sheet, name: str, text: str, why: str) -> None:
        """The next version; the draft that it was goes."""
        self._due.pop(sheet.slot, None)
        self._saves.append(partial(self._save, sheet, name, text, why))
        self._drafting.ask(self._keep)

    def keep_now(self, slot: str, text: str) -> None:
        """The draft to the disk before the case is let go of; where that fails there is nobody left to tell."""
        self._due[slot] = text
        for _ in self._kept():
            pass

    # -- in threads -----------------------------------------------------------------------------------

    def _ask(self, work: Callable[[], Message]) -> None:
        self._reading.ask(partial(self._answer, work))

    def _answer(self, work: Callable[[], Message]) -> None:
        try:
            answer: Any = work()
        except CancelledError:  # something else is wanted by now
            return
        except Exception as error:  # told on screen, whatever it is
            answer = Refused(error)
        self.owner.post_message(answer)

    def _first(self) -> Message:
        lost = ""
        for name, at in self.versions.drafts()[:_MOST]:
            try:
                text = self._text(name, 0)
            except WorkbenchError as error:  # the next one, then: what cannot be read keeps nobody from the rest
                lost = lost or f" {error.message}."
                continue
            since = "" if at == NO_TIME else f": as it was at {at:%H:%M} UTC"
            return self._sheet(name, text, f"Not saved as a version yet{since}.{lost}")
        newest = self.versions.newest()
        return Opened(None) if newest is None else self._open(newest.name, newest.number, asked=False)

    def _open(self, name: str, number: int, *, asked: bool = True) -> Message:
        text = self._text(name, number)
        if not number:
            return self._sheet(name, text, "", asked=asked)
        return Opened(Sheet(self._free(name), number, text), text, asked=asked)

    def _free(self, name: str) -> str:
        """A slot where no other draft and no other policy is, for a text of that name."""
        taken = {slot for slot, _ in self.versions.drafts()} | set(self._due) | self._written
        taken |= set(self.versions.names()) - {name}
        slot, n = name, 1
        while slot in taken:
            n += 1
            slot = f"{name[:56]}-{n}"
        return slot

    def _file(self, path: Path) -> Message:
        from workbench.policy.reading import read_texts

        texts = read_texts(path.expanduser())
        text = texts[0][1] if len(texts) == 1 else ""
        if not text:
            return Refused(
                WorkbenchError(f"{path} is a folder of {len(texts)} files", "The editor takes one file; join them first.")
            )
        return self._new("", text, "")

    def _new(self, name: str, text: str, words: str, origin: Origin | None = None) -> Message:
        name = name or _said_name(text)
        return self._sheet(self._free(name), text, words, origin, of=name, asked=True)

    def _sheet(
        self, slot: str, text: str, words: str, origin: Origin | None = None, of: str = "", *, asked: bool = False
    ) -> Message:
        """A text that is no version, compared with the latest version of its name."""
        latest = self.versions.latest(of or slot)
        if latest is None and not of:  # a second draft of a policy is in a slot of its own
            latest = self.versions.latest(_said_name(text))
        base_text = "" if latest is None or latest.sha256 == "" else self.versions.read(latest.name, latest.number)
        base = 0 if latest is None else latest.number
        return Opened(Sheet(slot, base, base_text, origin), text, words, asked)

    def _list(self) -> Message:
        found, left_out = self.versions.listed(self.versions.names()[:_MOST], lambda: self._reading.overtaken)
        return Listed(found, self.versions.drafts(), left_out)

    def _text(self, name: str, number: int) -> str:
        if number:
            return self.versions.read(name, number)
        return self.versions.draft(name) or ""

    def _kept(self) -> Iterator[Kept]:
        """Keep all that is due, with what became of each."""
        while self._due:
            try:
                slot, text = self._due.popitem()
            except KeyError:  # kept from the other thread meanwhile
                return
            try:
                self.versions.keep_draft(slot, text)
            except WorkbenchError as error:
                yield Kept(text, error)
            else:
                yield Kept(text)

    def _keep(self) -> None:
        for told in self._kept():
            self.owner.post_message(told)
        while self._saves:
            self._saves.popleft()()

    def _save(self, sheet: Sheet, name: str, text: str, why: str) -> None:
        try:
            version = self.versions.save(name, text, why, sheet.base)
            self.versions.drop_draft(sheet.slot)  # and no other: what else is being written under that name is not saved
            self._written.discard(sheet.slot)
            slot = self._free(name)
        except WorkbenchError as error:
            self.owner.post_message(Saved(None, error=error))
        else:
            self.owner.post_message(Saved(version, text, slot))


def _said_name(text: str) -> str:
    """The name that a text gives its policy, as far as it can be told; `untitled` where it cannot."""
    from workbench.errors import PolicyError
    from workbench.policy.loader import load

    try:
        return load([("policy", text)]).policy.metadata.name
    except PolicyError:
        return UNNAMED
