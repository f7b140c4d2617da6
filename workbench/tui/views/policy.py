"""A policy and what it would do: its text, and beside it what changes, what is proven, who is meant, tests, versions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Final

from rich.text import Text
from textual.binding import Binding, BindingType

from workbench.records.visible import visible
from workbench.tui import policy_looks
from workbench.tui.copying import as_filter
from workbench.tui.policy_drafting import Drafted, NotDrafted, Origin
from workbench.tui.policy_example import EXAMPLE
from workbench.tui.policy_keeping import Compared, Listed, Opened, Refused, Saved, Sheet
from workbench.tui.push_course import Course, Keys, Stage
from workbench.tui.push_work import PushWork
from workbench.tui.screens.dialog import PromptDialog
from workbench.tui.screens.policy_open import PolicyPicker
from workbench.tui.views.policy_frame import PANES
from workbench.tui.views.policy_writing import PolicyWriting
from workbench.tui.widgets.virtual_table import VirtualTable

#: Flows of a change that a filter names; the filter bar is for people.
_MOST_FLOWS: Final = 1000


class PolicyView(PolicyWriting):
    """One text at a time; every pane follows it while it is typed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "out", "Out of the text", id="policy.out", tooltip="Out of the text: keys are keys again"),
        Binding("ctrl+s", "save", "Save", id="policy.save", tooltip="Keep the text as the next version, with a reason"),
        Binding("ctrl+o", "load", "Open", id="policy.load", tooltip="A version, a draft, a file, or an example"),
        Binding("i", "edit", "Edit", id="policy.edit", tooltip="Into the text; Esc leads out again"),
        Binding("ctrl+n", "next_remark", "Next remark", id="policy.next", tooltip="To the next line that something is said of"),
        Binding("ctrl+up", "dial(1)", "Broader", id="policy.broader", tooltip="Draft anew, broader: prefixes, port ranges"),
        Binding("ctrl+down", "dial(-1)", "More exact", id="policy.exacter", tooltip="Draft anew, closer to what was seen"),
        Binding(
            "v", "compare", "Compare", id="policy.compare", tooltip="The version under the cursor against the text", show=False
        ),
        Binding("f9", "push", "Push", id="policy.push", tooltip="To a DPU: plan, sign, apply, confirm", priority=True),
        *(
            Binding(
                key.lower(), f"pane('{name}')", title, id=f"policy.{name}", tooltip=f"The pane {title}", show=False, priority=True
            )
            for name, (key, title) in PANES.items()
        ),
    ]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002  Textual's signature
        """Keys that lead into and out of the text are keys only outside and inside of it."""
        if action == "out":
            return self.editor.has_focus
        if action in ("edit", "compare"):
            return self.open and not self.editor.has_focus and (action == "edit" or self.pane == "versions")
        if action == "dial":
            return self.sheet is not None and self.sheet.origin is not None
        if action == "push":
            return self.open or self._pushing is not None
        return self.open if action in ("save", "next_remark") else True

    # -- files ------------------------------------------------------------------------------------

    def on_opened(self, message: Opened) -> None:
        """Another text in the editor."""
        message.stop()
        if message.sheet is None:
            if self.on_trial is not None:
                self._nothing_open()
            self.frame.changed()
            return
        self._keep_draft()
        self.sheet, self._asked, self._read, self.examined = message.sheet, None, None, None
        self._kept = message.text if message.text != message.sheet.base_text else ""
        if message.asked:
            self._kept = ""
        self.editor.load_text(message.text)
        self._remark(())
        self._show_pane()
        self._titles()
        if message.words:
            self.frame.tell(message.sheet.slot, message.words)
        if message.asked and self.display:  # who went elsewhere meanwhile has its keys there
            self.action_edit()
        elif self.screen.focused is self.evidence.table:
            self.enter()
        self._obey_pane()
        self._ask()

    def action_load(self) -> None:
        """Choose what to open."""
        if self._keeping is None:
            return
        self._wanted = {"open": True}
        self._keeping.list()

    def on_listed(self, message: Listed) -> None:
        """Versions for the pane, or to choose from."""
        message.stop()
        wanted, self._wanted = self._wanted, {}
        names = {one.name for one in message.versions}
        told = f"Versions of the case: {len(message.versions)}, policies: {len(names)}. Enter opens one, v compares it."
        if message.left_out:
            told += f" {message.left_out:,} older ones are not listed."
        self.panes["versions"].tell("versions", Text(told))
        self.panes["versions"].show(policy_looks.version_rows(message.versions, message.drafts))
        if wanted.get("open"):
            self.app.push_screen(PolicyPicker(message.versions, message.drafts), self._picked)
        self.frame.changed()

    def _picked(self, picked: tuple[str, str, int] | None) -> None:
        if picked is None or self._keeping is None:
            return
        self._keep_draft()  # first, so that its place is known to be taken
        kind, name, number = picked
        if kind == "example":
            self._keeping.open_text("", EXAMPLE, "An example. Change it, and watch the panes.")
        elif kind == "file":
            self.app.push_screen(PromptDialog("Open a policy from a file", "its path; Esc closes", _no_file), self._file)
        else:
            self._keeping.open(name, number)

    def _file(self, path: str | None) -> None:
        if path and self._keeping is not None:
            self._keep_draft()
            self._keeping.open_file(Path(path))

    def on_refused(self, message: Refused) -> None:
        """Say so."""
        message.stop()
        self.frame.say(message.error)
        self.frame.changed()

    def on_saved(self, message: Saved) -> None:
        """It is a version now: from here on changes are against it."""
        message.stop()
        if message.error is not None or message.version is None:
            if message.error is not None and not self._push_kept(f"Not kept as a version: {message.error.message}."):
                self.frame.say(message.error)
            return
        version = message.version
        self.sheet, self._kept = Sheet(message.slot, version.number, message.text), ""
        words = f"{version.words}, with a line in the audit log."
        if not self._push_kept(f"Kept as {words}"):
            self.frame.tell("Saved", words)
        self._titles()
        self._ask()
        self._obey_pane()
        self.frame.changed()

    # -- push -------------------------------------------------------------------------------------

    def action_push(self) -> None:
        """From this text to rules in force; back to a push that is on its way."""
        from workbench.tui.screens.push import PushScreen

        before = self._pushing.course if self._pushing is not None else None
        under_way = before is not None and (before.stage is Stage.WAITING or bool(before.busy))
        if not under_way and not self._may_be_pushed():
            return
        text = self.editor.text
        same = before is not None and before.text == text and before.stage not in (Stage.TARGET, Stage.OVER)
        if self._pushing is None or not (under_way or same):
            data, read = self.frame.data, self._current()
            if data is None or self.sheet is None:
                return
            keys = before.keys if before is not None else Keys()
            course = Course(read.name if read is not None else self.sheet.slot, text, data.path, keys)
            course.wrong = before.wrong if before is not None else {}
            self._pushing = PushWork(self.app, course, self._push_signed)
        self.app.clear_notifications()  # what was told here would lie over the countdown
        self.app.push_screen(PushScreen(self._pushing), lambda _: self.frame.changed())

    def _push_kept(self, words: str) -> bool:
        """Say on the push screen what became of the text; False where that is not seen."""
        from workbench.tui.screens.push import PushScreen

        if self._pushing is None or not isinstance(self.app.screen, PushScreen):
            return False
        self._pushing.course.version = words
        self._pushing.seen()
        return True

    def _may_be_pushed(self) -> bool:
        read = self._current()
        if self.sheet is None:
            self.frame.tell("Push", "Open or draft a policy first (ctrl+o, d).")
        elif read is not None and read.loaded is None:
            first = min(self._remarks, key=lambda one: one.line)
            self.editor.go_to(first.line)
            self.frame.tell("Push", f"What is pushed must load. Line {first.line}: {first.text}")
        else:
            return True
        return False

    def _push_signed(self, digest: str) -> None:
        """What was signed is kept as a version, so that what runs can be found again; without asking, since time counts."""
        read, course = self._current(), self._pushing.course if self._pushing is not None else None
        if course is None or read is None or self.sheet is None or self._keeping is None or read.text != course.text:
            return
        if read.loaded is not None and self.changed:
            self._keeping.save(self.sheet, read.name, read.text, f"signed for {course.target}, plan {digest}")

    # -- drafts -----------------------------------------------------------------------------------

    def draft(self, origin: Origin) -> None:
        """Draft from this, and open it."""
        if self._drafting is not None:
            self._drafting.ask(origin)
            self.frame.changed()

    def action_dial(self, by: int) -> None:
        """The same draft, broader or more exact."""
        if self.sheet is None or self.sheet.origin is None or self._drafting is None:
            return
        turned = self.sheet.origin.dialled(by)
        if turned is None:
            self.frame.tell("Draft", f"It is as {'broad' if by > 0 else 'exact'} as it gets.")
            return
        self.sheet = replace(self.sheet, origin=turned)  # at once: the next turn goes on from here
        self._drafting.ask(turned, again=True)
        self.frame.changed()

    def on_drafted(self, message: Drafted) -> None:
        """Into the editor: a new policy, or in place of the draft that the dial was turned on."""
        message.stop()
        if self._drafting is None or message.serial != self._drafting.serial or self._keeping is None:
            return
        self._drafting.ended()
        if message.again and self.sheet is not None:
            self.editor.put(message.text)
            self._titles()
            self.frame.tell("Drafted anew", f"{message.origin.dial}. ctrl+z brings back what was there.")
        else:
            words = f"Drafted from {message.origin.words}. ctrl+up is broader, ctrl+down more exact."
            self._keep_draft()
            self._keeping.open_text("", message.text, words, message.origin)
        self.frame.changed()

    def on_not_drafted(self, message: NotDrafted) -> None:
        """Say why."""
        message.stop()
        if self._drafting is not None and message.serial == self._drafting.serial:
            self._drafting.ended()
            self.frame.say(message.error)
            self.frame.changed()

    # -- rows -------------------------------------------------------------------------------------

    def on_virtual_table_moved(self, message: VirtualTable.Moved) -> None:
        """The subject is another one."""
        message.stop()
        self.frame.changed()

    def on_virtual_table_failed(self, message: VirtualTable.Failed) -> None:
        """Say so."""
        message.stop()
        self.frame.say(message.error)

    def on_virtual_table_chosen(self, message: VirtualTable.Chosen) -> None:
        """To the line of a group or test; a version into the editor."""
        message.stop()
        record = message.record
        if message.table is self.panes["impact"].table:
            self._to_flows(record["place"])
        elif self.pane == "then":
            self._to_passed(record["place"])
        elif self.pane in ("who", "tests") and record.get("line"):
            self.editor.go_to(record["line"])
            self.action_edit()
        elif self.pane == "versions" and self._keeping is not None:
            self._keep_draft()
            self._keeping.open(record["policy"], record["number"])

    def _to_flows(self, place: int) -> None:
        """The flows of a change, in the view Flows."""
        if self.weighed is None:
            return
        impact = self.weighed.impact
        ids = impact.new.history.flows_of(impact.rows_of(policy_looks.changes_of(impact)[place]))
        if len(ids) > _MOST_FLOWS:
            self.frame.tell("Flows", f"The first {_MOST_FLOWS:,} of {len(ids):,}.")
        self.frame.filter_by(as_filter([int(one) for one in ids[:_MOST_FLOWS]]), 2)

    def _to_passed(self, place: int) -> None:
        """What gets through, in the view Flows."""
        found = self.thought.thens.rows[place].passed if self.thought is not None else ()
        if found:
            self.frame.filter_by(as_filter(found), 2)
        else:
            self.frame.tell("Then", "Nothing gets through that begins later.")

    def had_been(self, origin: Origin) -> None:
        """Ask whether the policy would have stopped this, had it been in force then."""
        self.on_trial, self.pane = origin, "then"
        if self.open:
            self.action_pane("then")
            self.enter()
        elif self._keeping is None or not self._keeping.busy:  # else it goes on once what was open last is there
            self._nothing_open()

    def _nothing_open(self) -> None:
        self.on_trial = None
        self.frame.tell("Then", "Open or draft a policy first (ctrl+o, d): it is asked what it would have stopped.")

    def action_compare(self) -> None:
        """The version under the cursor against the text."""
        record = self.panes["versions"].record
        if record is not None and self._keeping is not None:
            self._keeping.compare(record["policy"], record["number"])

    def on_compared(self, message: Compared) -> None:
        """Show what differs."""
        message.stop()
        from workbench.tui.screens.policy_difference import DifferenceDialog

        self.app.push_screen(
            DifferenceDialog(message.version, message.text, visible(self.sheet.slot if self.sheet else ""), self.editor.text)
        )
        self.frame.changed()


def _no_file(text: str) -> str:
    return "" if Path(text).expanduser().exists() else f"{visible(text[:200])} is not there"
