"""The case itself: its sources, ledger, notes and bookmarks, audit log, and what is known of the folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message

from workbench.records.visible import visible
from workbench.tui import audit_rows, case_sections
from workbench.tui.case_sections import SECTIONS, Held, Line
from workbench.tui.conditions import condition
from workbench.tui.data import Summary, View
from workbench.tui.latest import Latest
from workbench.tui.looks import Look
from workbench.tui.table_source import ArrowSource
from workbench.tui.views.base import FLOW_KEYS, KEEP_KEYS, RANGE_KEYS, TIMELINE_KEYS, CaseView, Subject
from workbench.tui.widgets.prose import Prose
from workbench.tui.widgets.rule import TitleRule
from workbench.tui.widgets.virtual_table import VirtualTable

if TYPE_CHECKING:
    from workbench.tui.views.base import Kind
    from workbench.workflows.trail import Standing


class SectionTable(VirtualTable):
    """Rows; what is wrong with the audit log is red, and has a ✗ before it."""

    def _role(self, look: Look, text: str, base: Style) -> Style:
        return base + self.get_component_rich_style("table--bad") if text.startswith("✗ ") else super()._role(look, text, base)


class WholeCaseView(CaseView):
    """One section at a time: a table, and everything about its row."""

    number = 9
    name_ = "Case"
    about = "Sources, ledger, notes, bookmarks, audit log and facts of the case."

    DEFAULT_CSS = """
    WholeCaseView #section-box, WholeCaseView #line-box { height: 1fr; }
    WholeCaseView #section, WholeCaseView #line { height: 1fr; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("greater_than_sign", "section(1)", "Next section", id="folder.next", tooltip="To the next section of the case"),
        Binding("less_than_sign", "section(-1)", "Section before", id="folder.previous", tooltip="To the section before"),
        Binding("V", "verify", "Verify", id="folder.verify", tooltip="Check that nobody changed the audit log"),
    ]

    @dataclass
    class Arrived(Message):
        """What the case holds; error: or why that cannot be read."""

        serial: int
        held: Held
        error: Exception | None = None

    @dataclass
    class Verified(Message):
        """What verifying the audit log found."""

        standing: Standing | None
        error: Exception | None = None

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self._reading = Latest(self, "case sections")
        self._asked = self._got = 0
        self._summary = Summary()
        self._held = Held()
        self._section, self._shown = 0, -1
        self._rows: dict[int, int] = {}
        self._lines: Sequence[Line] = ()
        self._verifying = False
        self._checked: Standing | None = None

    def compose(self) -> ComposeResult:
        """The section, and its row in words."""
        with Vertical(id="section-box"):
            yield TitleRule(id="section-title")
            looks = case_sections.looks_of_section(SECTIONS[0])
            yield SectionTable(looks, empty="Reading the case.", id="section")
        with Vertical(id="line-box"):
            yield TitleRule("this row in full", id="line-title")
            yield Prose(id="line")

    @property
    def idle(self) -> frozenset[str]:
        """Whole files are listed, whatever is asked for."""
        return FLOW_KEYS | KEEP_KEYS | TIMELINE_KEYS | RANGE_KEYS

    @property
    def table(self) -> VirtualTable:
        """The rows."""
        return self.query_one("#section", VirtualTable)

    @property
    def prose(self) -> Prose:
        """The words."""
        return self.query_one("#line", Prose)

    def enter(self) -> None:
        """To the rows."""
        self.screen.set_focus(self.table)

    def on_prose_left(self, message: Prose.Left) -> None:
        """Tab goes back and forth between the two."""
        message.stop()
        self.enter()

    # -- reading ----------------------------------------------------------------------------------

    def obey(self, view: View, summary: Summary) -> None:  # noqa: ARG002  base's signature
        """All of the case, whatever the filter and the time range."""
        self._summary = summary
        self.noted()

    def noted(self) -> None:
        """Read the files again: somebody wrote."""
        if self.frame.data is not None:
            self._asked += 1
            self._reading.ask(partial(self._read, self._summary, self._asked))
            self.frame.changed()

    def _read(self, summary: Summary, serial: int) -> None:
        data = self.frame.data
        if data is None:
            return
        try:
            found = case_sections.held(data, summary)
        except Exception as error:  # every failure is shown
            self.post_message(self.Arrived(serial, Held(summary), error))
            return
        self.post_message(self.Arrived(serial, found))

    def on_whole_case_view_arrived(self, message: Arrived) -> None:
        """Show it; the cursor stays."""
        message.stop()
        if message.serial < self._asked:
            return
        self._got = message.serial
        if message.held.trouble and message.held.trouble != self._held.trouble:
            self.frame.tell("Notes", message.held.trouble)
        self._held = message.held
        self._show()
        if message.error is not None:
            self.frame.say(message.error)
        self.frame.changed()

    def _show(self) -> None:
        section = SECTIONS[self._section]
        before, self._lines = self._lines, section.lines(self._held)
        if self._shown == self._section and before == self._lines and self._lines:
            self._explain()
            return  # nothing flickers
        self._shown = self._section
        table = self.table
        table.set_looks(case_sections.looks_of_section(section))
        table.set_empty(section.empty)
        row = min(self._rows.get(self._section, 0), max(0, len(self._lines) - 1))
        table.set_source(ArrowSource(case_sections.table_of_section(section, self._lines)), None, row)
        names = [f"[{one.name}]" if n == self._section else one.name for n, one in enumerate(SECTIONS)]
        self.query_one("#section-title", TitleRule).title = "  ".join(names)
        self._explain()

    def _line(self) -> Line | None:
        row = self.table.cursor_row
        return self._lines[row] if row < len(self._lines) else None

    def _explain(self) -> None:
        line = self._line()
        words = list(line.words) if line is not None else []
        if SECTIONS[self._section].name == "Audit":
            words = [*audit_rows.standing_words(self._standing, self._elsewhere), "", *words]
        if SECTIONS[self._section].name in ("Notes", "Bookmarks") and self._held.trouble:
            words = [f"! {self._held.trouble}", *words]
        bad = self.table.get_component_rich_style("table--bad", partial=True)
        text = Text()
        for one in words:
            text.append(visible(one[:4_000]) + "\n", bad if one.startswith("✗") else "")
        text.rstrip()
        self.prose.show(text)

    @property
    def _standing(self) -> Standing | None:
        """How the audit log stands: as it was checked, where it is still the same log."""
        checked, now = self._checked, self._held.standing
        return checked if checked is not None and (now is None or checked.verdict.hashes == now.verdict.hashes) else now

    @property
    def _elsewhere(self) -> str:
        """Where the log of pushes without a case is, if there is one."""
        from workbench.workflows.push_log import folder

        return str(folder()) if (folder() / "audit.jsonl").exists() else ""

    def on_virtual_table_moved(self, message: VirtualTable.Moved) -> None:
        """The words follow the cursor."""
        message.stop()
        self._rows[self._section] = message.row
        self._explain()
        self.frame.changed()

    def on_virtual_table_failed(self, message: VirtualTable.Failed) -> None:
        """Say so."""
        message.stop()
        self.frame.say(message.error)

    # -- what the cursor stands on ------------------------------------------------------------------

    def subject(self) -> Subject | None:
        """The source, or what the note or bookmark is on."""
        line = self._line()
        if line is None or not line.kind:
            return None
        return Subject(cast("Kind", line.kind), line.key, visible(line.name[:400]))

    def text(self) -> str:
        """What the pane says."""
        return self.prose.plain[:20_000]

    def place(self) -> dict[str, Any]:
        """Which section, and where in it."""
        return {"section": self._section, "row": self._rows.get(self._section, 0)}

    def restore(self, place: Mapping[str, Any]) -> None:
        """There again."""
        section, row = place.get("section"), place.get("row")
        if isinstance(section, int) and 0 <= section < len(SECTIONS):
            self._section = section
            self._rows[section] = row if isinstance(row, int) and 0 <= row < 1 << 31 else 0
            self._shown = -1
            if self._got:
                self._show()

    # -- keys -------------------------------------------------------------------------------------

    def action_section(self, by: int) -> None:
        """Another section."""
        self._section = (self._section + by) % len(SECTIONS)
        self._show()
        self.enter()

    def on_virtual_table_chosen(self, message: VirtualTable.Chosen) -> None:
        """Where the note or bookmark is; else to the words."""
        message.stop()
        line = self._line()
        if line is None:
            return
        if line.record is not None:
            from workbench.tui.screens.row import RowDialog

            self.app.push_screen(RowDialog(line.record))
        elif line.kind == "flow" and line.key.isascii() and line.key.isdigit():
            self.frame.filter_by(f"flow_id == {line.key}", 2)
        elif line.kind == "host":
            # After its network, if it has one; a value, whatever a stranger wrote there.
            self.frame.filter_by(condition("addr", line.key.rpartition(" ")[2], keep=True), 2)
        elif line.kind == "finding":
            self.frame.go(5, {"finding": line.key})
        else:
            self.screen.set_focus(self.prose)

    def action_verify(self) -> None:
        """Check the audit log."""
        data = self.frame.data
        if data is not None and not self._verifying:
            self._verifying = True
            self.run_worker(partial(self._verify, data.path), group="verify", thread=True, exit_on_error=False)
            self.frame.changed()

    def _verify(self, path: Any) -> None:
        from workbench.workflows.trail import audit_standing

        try:
            standing = audit_standing(path, check=True)
        except Exception as error:  # every failure is shown
            self.post_message(self.Verified(None, error))
            return
        self.post_message(self.Verified(standing))

    def on_whole_case_view_verified(self, message: Verified) -> None:
        """Show the verdict above the log."""
        message.stop()
        self._verifying = False
        if message.error is not None:
            self.frame.say(message.error)
        elif message.standing is not None:
            self._checked, self._held = message.standing, replace(self._held, standing=message.standing)
            self._section = next(n for n, one in enumerate(SECTIONS) if one.name == "Audit")
            self._show()
        self.frame.changed()

    @property
    def activity(self) -> str:
        """What is going on."""
        if self._verifying:
            return "verifying the audit log"
        return "" if self._got == self._asked else "reading the case"

    @property
    def resting(self) -> bool:
        """Whether nothing is asked."""
        return self._got == self._asked and not self._verifying
