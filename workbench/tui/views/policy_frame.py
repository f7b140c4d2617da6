"""The policy view without what its keys do: its parts, which pane is shown, and what the frame of the case asks of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.timer import Timer
from textual.widgets import Static

from workbench.tui import policy_looks
from workbench.tui.policy_drafting import Drafting, Origin
from workbench.tui.policy_keeping import PolicyKeeping, Sheet
from workbench.tui.policy_work import Asked, Examined, PolicyWork, Thought, Weighed
from workbench.tui.push_work import PushWork
from workbench.tui.views.base import FLOW_KEYS, KEEP_KEYS, TIMELINE_KEYS, CaseView, Subject
from workbench.tui.widgets.name_row import NameRow
from workbench.tui.widgets.policy_evidence import PolicyEvidence
from workbench.tui.widgets.policy_pane import PolicyPane
from workbench.tui.widgets.policy_text import PolicyText
from workbench.tui.widgets.rule import TitleRule

#: By pane its key and its name.
PANES: Final = {
    "impact": ("F2", "Impact"),
    "proof": ("F3", "Proof"),
    "who": ("F4", "Who"),
    "tests": ("F5", "Tests"),
    "versions": ("F6", "Versions"),
    "evidence": ("F7", "Evidence"),
    "then": ("F8", "Then"),
}
_ABOUT_NOTHING: Final = "W on a finding, a flow or a pair asks whether this policy would have stopped it."
_EMPTY: Final = (
    "No policy is open. d on a flow, finding, workload or pair drafts one from it; ctrl+o opens a version, a file, or an"
    " example to begin with. Below: what there is to draft from."
)


class PolicyFrame(CaseView):
    """The text on one side, panes on the other; with nothing open only the evidence."""

    number = 8
    name_ = "Policy"
    about = "A policy being written: its mistakes at the line, what it would change, what is proven, who it means, its versions."

    SCOPED_CSS: ClassVar[bool] = False  # how wide the screen is, is a class of the screen
    DEFAULT_CSS = """
    PolicyView { layout: vertical; }
    PolicyView #policy-body { height: 1fr; layout: vertical; }
    PolicyView #policy-writing { height: 1fr; display: none; }
    PolicyView #policy-panes { height: 1fr; }
    PolicyView #policy-said { height: 1; color: $foreground; background: $panel; padding: 0 1; }
    PolicyView #policy-empty { height: auto; padding: 0 1; color: $foreground; }
    PolicyView PolicyEvidence { display: none; height: 1fr; }
    PolicyView #policy-panes .-shown { display: block; }
    PolicyView.-open #policy-writing { display: block; }
    PolicyView.-open #policy-empty { display: none; }
    .-wide PolicyView.-open #policy-body { layout: horizontal; }
    .-wide.-tall PolicyView.-open #policy-impact { display: block; }
    .-wide PolicyView.-open #policy-writing, .-wide PolicyView.-open #policy-panes { width: 1fr; height: 100%; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self.editor = PolicyText(id="policy-text")
        self.evidence = PolicyEvidence(id="policy-evidence")
        self.row = NameRow(PANES, id="policy-row")
        self.panes = {
            name: PolicyPane(name, title, looks, empty)
            for name, title, looks, empty in (
                ("impact", "impact", policy_looks.IMPACT, "Reading what was recorded."),
                ("proof", "proof", policy_looks.PROOF, "Nothing changes, or it is not proven yet."),
                ("who", "who is meant", policy_looks.WHO, "The policy has no groups."),
                ("tests", "tests", policy_looks.TESTS, "The policy has no tests."),
                ("then", "had it been in force then", policy_looks.THEN, _ABOUT_NOTHING),
                ("versions", "versions", policy_looks.VERSIONS, "No version yet: ctrl+s saves the first."),
            )
        }
        self.sheet: Sheet | None = None
        self.pane = "impact"
        self.examined: Examined | None = None
        self.weighed: Weighed | None = None
        self.thought: Thought | None = None
        self.on_trial: Origin | None = None  # what the time machine is asked of
        self._work: PolicyWork | None = None
        self._drafting: Drafting | None = None
        self._keeping: PolicyKeeping | None = None
        self._read: Any = None
        self._remarks: tuple[Any, ...] = ()
        self._asked: Asked | None = None
        self.reason = ""  # why the text is to be saved as soon as it is read
        self._typing = False  # a key came and the text is about to be asked about
        self._kept = ""
        self._unkept = ""
        self._settle: Timer | None = None
        self._keep: Timer | None = None
        self._wanted: Mapping[str, Any] = {}
        self._pushing: PushWork | None = None  # what was last on its way to a DPU

    def compose(self) -> ComposeResult:
        """The text; the panes."""
        yield Static(Text(_EMPTY), id="policy-empty", markup=False)
        with Container(id="policy-body"):
            with Vertical(id="policy-writing"):
                yield TitleRule(id="policy-title")
                yield self.editor
                yield Static("", id="policy-said", markup=False)
            with Vertical(id="policy-panes"):
                yield self.row
                yield from self.panes.values()
                yield self.evidence

    # -- parts ------------------------------------------------------------------------------------

    @property
    def open(self) -> bool:
        """Whether a policy is open."""
        return self.sheet is not None

    @property
    def shown_pane(self) -> str:
        """The pane that is shown; while nothing is open there is only the evidence."""
        return self.pane if self.open else "evidence"

    @property
    def changed(self) -> bool:
        """Whether the text is another one than the version that it was made from."""
        return self.sheet is not None and self.editor.text != self.sheet.base_text

    @property
    def idle(self) -> frozenset[str]:
        """No flows are listed; values that a filter can name are only in the evidence."""
        found = FLOW_KEYS | TIMELINE_KEYS
        return found if self.shown_pane == "evidence" else found | KEEP_KEYS

    def on_mount(self) -> None:
        """The evidence, until there is more."""
        self._show_pane()

    def enter(self) -> None:
        """To the pane that is shown: keys are keys there."""
        self.screen.set_focus(self.evidence.table if self.shown_pane == "evidence" else self.panes[self.pane].table)

    def _show_pane(self) -> None:
        for name, part in (*self.panes.items(), ("evidence", self.evidence)):
            part.set_class(name == self.shown_pane, "-shown")
        self.row.current = self.shown_pane
        self.row.display = self.open
        self.set_class(self.open, "-open")

    def action_pane(self, name: str) -> None:
        """Another pane; the cursor stays in the text where it is there."""
        if not self.open:
            self.frame.tell("Policy", "Open or draft a policy first: the panes are about it.")
            return
        writing = self.editor.has_focus
        self.pane = name
        self._show_pane()
        if not writing:
            self.enter()
        self._obey_pane()
        self.frame.changed()

    def on_name_row_chosen(self, message: NameRow.Chosen) -> None:
        """Clicked."""
        message.stop()
        self.action_pane(message.name)

    # -- the frame --------------------------------------------------------------------------------

    def _obey_pane(self) -> None:
        """The pane that is seen asks for what it shows; the others rest."""
        if self.shown_pane == "evidence":
            self.evidence.obey(self.frame.view, self.frame.summary)
        else:
            self.evidence.forget()
        if self.shown_pane == "versions" and self._keeping is not None:
            self._keeping.list()

    def wait(self) -> None:
        """What stands where there are no rows yet."""
        self.evidence.wait()

    @property
    def activity(self) -> str:
        """What is being asked."""
        if self.shown_pane == "evidence" and self.evidence.activity:
            return self.evidence.activity
        words = self._drafting.words if self._drafting is not None else ""
        return f"drafting from {words[:60]}, Esc stops" if words else ""

    @property
    def cost(self) -> tuple[float, int] | None:
        """What the last answer cost."""
        return self.evidence.cost if self.shown_pane == "evidence" else None

    def subject(self) -> Subject | None:
        """In the evidence the two networks."""
        return self.evidence.subject() if self.shown_pane == "evidence" else None

    def keep_value(self) -> tuple[str, object] | None:
        """In the evidence what is under the cursor."""
        return self.evidence.keep_value() if self.shown_pane == "evidence" else None

    def text(self) -> str:
        """The cell under the cursor, as it is shown."""
        if self.shown_pane == "evidence":
            return self.evidence.text()
        table = self.panes[self.pane].table
        return "" if table.record is None else table.column.text(table.record[table.column.name]).strip()

    def place(self) -> dict[str, Any]:
        """The pane; the evidence's order and row. The text is kept as a draft."""
        return {"pane": self.pane, **self.evidence.place()}

    def restore(self, place: Mapping[str, Any]) -> None:
        """Both again, where they make sense."""
        if isinstance(place.get("pane"), str) and place["pane"] in PANES:
            self.pane = place["pane"]
            self._show_pane()
        self.evidence.restore(place)

    async def action_out(self) -> None:
        """What Esc does everywhere; it is named here, since digits and letters are text until then."""
        await self.run_action("screen.back")

    def action_edit(self) -> None:
        """Into the text."""
        self.screen.set_focus(self.editor)
