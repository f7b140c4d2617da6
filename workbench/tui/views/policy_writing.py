"""The text of a policy while it is written: asked about after every key, its mistakes at their lines, kept as a draft."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any, Final

from rich.text import Text
from textual.widgets import Static, TextArea

from workbench.records.visible import visible
from workbench.tui import figures, policy_looks
from workbench.tui.data import Sorting, Summary, View
from workbench.tui.once import once
from workbench.tui.policy_drafting import Drafting
from workbench.tui.policy_keeping import Kept, PolicyKeeping
from workbench.tui.policy_work import Asked, Examined, Failed, Loads, PolicyWork, Thought, Weighed
from workbench.tui.screens.dialog import PromptDialog
from workbench.tui.views.policy_frame import PolicyFrame
from workbench.tui.widgets.policy_text import PolicyText
from workbench.tui.widgets.rule import TitleRule

#: Seconds after a key until the text is asked about, and until it is kept.
SETTLE: Final = 0.04
KEEP: Final = 1.0


class PolicyWriting(PolicyFrame):
    """One text at a time; every pane follows it while it is typed."""

    # -- the text ---------------------------------------------------------------------------------

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """A key: the text is asked about once it has rested for a moment, and kept a little later."""
        event.stop()
        self._typing = True
        if self._settle is not None:
            self._settle.stop()
        self._settle = once(self, SETTLE, self._settled)
        self._keep_soon(KEEP)

    def action_pane(self, name: str) -> None:
        """Another pane, which may have its own question."""
        super().action_pane(name)
        self._ask()

    def _settled(self) -> None:
        self._typing = False
        self._ask()
        self._titles()

    def on_text_area_selection_changed(self, event: TextArea.SelectionChanged) -> None:
        """The cursor is on another line."""
        event.stop()
        self._tell_line()

    def on_policy_text_cleaned(self, message: PolicyText.Cleaned) -> None:
        """Say that it is not quite what was pasted."""
        message.stop()
        self.frame.tell("Pasted", "Characters that cannot be shown became \N{WHITE SQUARE}, or the text was too long and is cut.")

    @property
    def at(self) -> dt.datetime | None:
        """The time shown: the end of the time range, else of the case; None, now, where nothing was recorded."""
        extent, span = self.frame.summary.extent, self.frame.view.span
        end = (
            min(span.end, extent.end) if span is not None and extent is not None else (extent.end if extent is not None else None)
        )
        return None if end is None else figures.from_us(end - 1).replace(tzinfo=dt.UTC)

    def _question(self) -> Asked | None:
        """What the panes are to be about now."""
        if self.sheet is None or self.frame.data is None or self._work is None:
            return None
        view = replace(self.frame.view, sorting=Sorting())
        about = self.on_trial or self.sheet.origin if self.pane == "then" else None
        against = self.sheet.against
        return Asked(self.editor.text, self.sheet.base_text, against, self.at, view, self.frame.data.generation, about)

    def _ask(self) -> None:
        question = self._question()
        if question is not None and question != self._asked and self._work is not None:
            self._asked = question
            self._work.ask(question)
            self.frame.changed()

    def on_loads(self, message: Loads) -> None:
        """Mistakes at their lines at once; what is behind them is of the text before."""
        message.stop()
        if self._work is None or message.serial != self._work.serial:
            return
        self._read = message.read
        if message.read.loaded is None:
            self._remark(message.read.remarks)
            wrong = Text("The text does not load: what is shown here is of the last one that did.", style="bold")
            for name in ("impact", "proof", "who", "tests"):
                pane = self.panes[name]
                if not pane.said.startswith(wrong.plain):
                    pane.tell(pane.pane, wrong)
        self.frame.changed()
        self.save_read()

    def on_weighed(self, message: Weighed) -> None:
        """What it would have changed."""
        message.stop()
        if self._work is None or message.serial != self._work.serial:
            return
        self.weighed = message
        asked, extent = message.asked, self.frame.summary.extent
        shown = " that are shown" if asked.view.filter or (asked.view.span is not None and extent is not None) else ""
        head = policy_looks.impact_head(message.impact, asked.against, shown)
        nothing = "Nothing that was recorded would be judged otherwise."
        self.panes["impact"].tell("impact on what was recorded", head, nothing)
        self.panes["impact"].show(policy_looks.impact_rows(message.impact))

    def on_thought(self, message: Thought) -> None:
        """What it would have stopped, had it been in force then."""
        message.stop()
        if self._work is None or message.serial != self._work.serial:
            return
        self.thought = message
        head = policy_looks.then_head(message.thens, visible(message.about.words[:120]), message.read.name)
        self.panes["then"].tell("had it been in force then: what gets through is behind Enter", head)
        self.panes["then"].show(policy_looks.then_rows(message.thens))

    def on_examined(self, message: Examined) -> None:
        """Everything that is exact."""
        message.stop()
        if self._work is None or message.serial != self._work.serial:
            return
        self.examined = message
        self._remark(message.remarks)
        against = message.against
        self.panes["proof"].tell(f"proof against {against}", policy_looks.proof_head(message.proof, against), "No packet.")
        self.panes["proof"].show(policy_looks.proof_rows(message.proof))
        self.panes["who"].tell("who is meant", policy_looks.who_head(message.who, message.read.at))
        self.panes["who"].show(policy_looks.who_rows(message.who))
        self.panes["tests"].tell("tests", policy_looks.test_head(message.tried))
        self.panes["tests"].show(policy_looks.test_rows(message.tried))
        self.row.sign("tests", "✗" if any(not one.passed for one in message.tried) else "")
        self.frame.changed()

    def on_failed(self, message: Failed) -> None:
        """Say so."""
        message.stop()
        self.frame.say(message.error)
        self.frame.changed()

    def _remark(self, remarks: tuple[Any, ...]) -> None:
        self._remarks = remarks
        marks: dict[int, str] = {}
        for one in reversed(remarks):  # the worst is first
            marks[one.line] = one.severity
        self.editor.set_marks(marks)
        self._tell_line()

    def _tell_line(self) -> None:
        said = policy_looks.remark_line(self._read, self._remarks, self.editor.line)
        self.query_one("#policy-said", Static).update(said)

    def action_next_remark(self) -> None:
        """To the next line with a remark, from the top again behind the last."""
        lines = sorted({one.line for one in self._remarks})
        if not lines:
            self.frame.tell("Policy", "Nothing is said of any line.")
            return
        self.editor.go_to(next((line for line in lines if line > self.editor.line), lines[0]))
        self.action_edit()

    # -- kept ------------------------------------------------------------------------------------

    def obey(self, view: View, summary: Summary) -> None:  # noqa: ARG002  the frame's words
        """The evidence follows filter and time range; members and impact are of the time shown."""
        data = self.frame.data
        if data is None:
            return
        if self._work is None or self._keeping is None:
            self._work, self._keeping = PolicyWork(self, data), PolicyKeeping(self, data.path)
            self._drafting = Drafting(self, data)
            self._keeping.open_first()
        self._obey_pane()
        self._ask()

    def leave(self) -> None:
        """Keep what is written and stop asking."""
        if self._keeping is not None and self.sheet is not None and self.changed and self._kept != self.editor.text:
            self._keeping.keep_now(self.sheet.slot, self.editor.text)
        for part in (self._work, self._drafting):
            if part is not None:
                part.stop()
        self.evidence.leave()

    def on_hide(self) -> None:
        """Keep what is written; questions of what is not seen wait."""
        self._keep_soon(0.01)
        self.evidence.forget()

    def stop(self) -> bool:
        """Esc: stop asking; else out of the text."""
        if self._drafting is not None and self._drafting.stop():
            self.frame.changed()
            return True
        if self.shown_pane == "evidence" and self.evidence.stop():
            return True
        if self.editor.has_focus:
            self.enter()
            return True
        return self._work is not None and self._work.stop()

    @property
    def resting(self) -> bool:
        """Whether nothing is asked, read, kept, or about to be."""
        parts = [part.busy for part in (self._work, self._keeping, self._drafting) if part is not None]
        return self.evidence.resting and not any(parts) and not self._typing

    def _keep_soon(self, seconds: float) -> None:
        if self._keep is not None:
            self._keep.stop()
        self._keep = once(self, seconds, self._keep_draft)

    def _keep_draft(self) -> None:
        text = self.editor.text
        if self._keeping is not None and self.sheet is not None and self.changed and self._kept != text:
            self._kept = text
            self._keeping.keep(self.sheet.slot, text)

    def on_kept(self, message: Kept) -> None:
        """Where it cannot be kept that is said, once."""
        message.stop()
        why = "" if message.error is None else message.error.message
        if why and why != self._unkept:
            self.frame.tell("Not kept", f"{why}. What you write is lost when you leave.")
        self._unkept = why
        self._titles()

    def action_save(self) -> None:
        """Ask for the reason, then save. It is asked for at once: a person types on, and not into the policy."""
        read = self._current()
        if self.sheet is None or (read is not None and not self._can_be_saved(read)):
            return
        name = "this policy" if read is None else read.name
        title = f"Save {name} as its next version: why?"
        note = "the reason stands in the audit log; Enter saves, Esc does not"
        self.app.push_screen(PromptDialog(title, note, lambda _: ""), self._save)

    def _can_be_saved(self, read: Any) -> bool:
        """Whether this text can be a version; where not, it is said why."""
        if read.loaded is None:
            first = min(self._remarks, key=lambda one: one.line)
            self.editor.go_to(first.line)
            self.frame.tell("Not saved", f"A version must load. Line {first.line}: {first.text}")
        elif not self.changed and self.sheet is not None:
            self.frame.tell("Not saved", f"Nothing has changed since version {self.sheet.base}.")
        else:
            return True
        return False

    def _save(self, why: str | None) -> None:
        self.reason = why or ""
        self.save_read()

    def save_read(self) -> None:
        """Save, where a reason was given, as soon as the text is read."""
        read = self._current()
        if not self.reason or self.sheet is None or self._keeping is None:
            return
        if read is None:
            self._ask()  # and once it is read, this goes on
            return
        why, self.reason = self.reason, ""
        if self._can_be_saved(read):
            if self._keep is not None:
                self._keep.stop()
            self._keeping.save(self.sheet, read.name, read.text, why)

    def _current(self) -> Any:
        """What was read, if it is the text that stands there; else None."""
        return self._read if self._read is not None and self._read.text == self.editor.text else None

    def _titles(self) -> None:
        sheet = self.sheet
        if sheet is None:
            return
        state = f"version {sheet.base}" if sheet.base else "not saved yet"
        if sheet.base and self.changed:
            state = f"changed since version {sheet.base}"
        if sheet.origin is not None:
            state += f", drafted: {sheet.origin.dial}"
        lost = ", CANNOT BE KEPT" if self._unkept else ""
        self.query_one("#policy-title", TitleRule).title = f"policy {sheet.slot}: {state}{lost}"
