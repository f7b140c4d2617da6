"""Drafts of policies from what the cursor stands on: asked in a thread, from exact to broad, and to be stopped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from textual.dom import DOMNode
from textual.message import Message

from workbench.errors import CancelledError
from workbench.tui import conditions
from workbench.tui.data import CaseData, View
from workbench.tui.latest import Latest

if TYPE_CHECKING:
    from workbench.store.reader import Question
    from workbench.tui.views.base import Subject

#: In the middle of the dial: names where there are, else prefixes that were seen.
BREADTH: Final = "workloads"


@dataclass(frozen=True, slots=True)
class Origin:
    """What a draft is made from: a finding by its id, or the flows of a filter. words: for people; breadth: of BREADTHS."""

    words: str
    filter: str = ""
    finding: str = ""
    breadth: str = BREADTH

    @property
    def kept(self) -> str:
        """The filter that keeps its flows."""
        return conditions.condition("finding", self.finding, keep=True) if self.finding else self.filter

    def dialled(self, by: int) -> Origin | None:
        """The same, broader or more exact; None at the end of the dial."""
        from workbench.policy.draft_seen import BREADTHS

        at = BREADTHS.index(self.breadth) + by
        return replace(self, breadth=BREADTHS[at]) if 0 <= at < len(BREADTHS) else None

    @property
    def dial(self) -> str:
        """Where the dial stands: `workloads, 2 of 5`."""
        from workbench.policy.draft_seen import BREADTHS

        return f"{self.breadth}, {BREADTHS.index(self.breadth) + 1} of {len(BREADTHS)}"


@dataclass
class Drafted(Message):
    """A draft. again: of the same origin with the dial turned."""

    serial: int
    origin: Origin
    text: str
    again: bool


@dataclass
class NotDrafted(Message):
    """There is no draft, and why."""

    serial: int
    error: Exception


def shown_flows(view: View) -> str:
    """The filter that keeps the flows that a view of the case shows, its time range included."""
    return view.filter if view.span is None else conditions.joined(view.filter, conditions.during(view.span))


def origins(subject: Subject | None, view: View) -> list[Origin]:
    """What could be drafted from: what the cursor stands on, and all flows that are shown; the likeliest first."""
    shown = shown_flows(view)
    every = Origin("all flows that are shown" if shown else "all flows of the case", shown)
    if subject is None:
        return [every]
    if subject.kind == "finding":
        return [Origin(subject.words, finding=subject.key)]
    if subject.kind == "flow":
        return [Origin(subject.words, subject.kept), every] if shown else [Origin(subject.words, subject.kept)]
    if subject.kept:
        return [Origin(subject.words, conditions.joined(shown, subject.kept) if shown else subject.kept)]
    if subject.flow is not None:
        return [Origin(f"flow {subject.flow['flow_id']}", f"flow_id == {subject.flow['flow_id']}")]
    return [every]


class Drafting:
    """One draft at a time; a new one stops the one before."""

    def __init__(self, owner: DOMNode, data: CaseData) -> None:
        self._owner, self._data = owner, data
        self._lane = Latest(owner, "policy drafting")
        self._question: Question | None = None
        self._origin: Origin | None = None
        self.serial = 0

    @property
    def busy(self) -> bool:
        """Whether a draft is being made."""
        return self._lane.busy

    @property
    def words(self) -> str:
        """What it is made from; '' for nothing."""
        return self._origin.words if self._origin is not None and self._question is not None else ""

    def ask(self, origin: Origin, *, again: bool = False) -> None:
        """Make it."""
        self.stop()
        self.serial += 1
        self._origin = origin
        self._question = self._data.question()
        self._lane.ask(partial(self._draft, origin, self._question, self.serial, again))

    def ended(self) -> None:
        """The answer was taken."""
        self._question = None

    def stop(self) -> bool:
        """Stop it; whether there was anything to stop."""
        if self._question is None:
            return False
        self._question.stop()
        self._question = None
        self.serial += 1
        return True

    def _draft(self, origin: Origin, question: Question, serial: int, again: bool) -> None:
        from workbench.tui.policy_work import ready

        answer: Message
        try:
            ready()
            answer = Drafted(serial, origin, self._data.draft(origin.filter, origin.finding, origin.breadth, question), again)
        except CancelledError:
            return
        except Exception as error:  # told on screen, whatever it is
            answer = NotDrafted(serial, error)
        self._owner.post_message(answer)
