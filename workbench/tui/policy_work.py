"""What the policy view asks of the text that is being written: one thread, the latest text wins.

In the order in which people look: whether it loads, what it would change in what was recorded, then what is exact but takes
longer: remarks, members, tests and the proof.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final

from textual.dom import DOMNode
from textual.message import Message

from workbench.errors import CancelledError
from workbench.tui.data import CaseData, View
from workbench.tui.latest import Latest
from workbench.workflows.kernels import compile_aside

if TYPE_CHECKING:
    from workbench.policy.impact import Impact, Session
    from workbench.policy.members import Resolver
    from workbench.policy.model import Policy
    from workbench.policy.recorded import History
    from workbench.store.reader import Question
    from workbench.tui.policy_drafting import Origin
    from workbench.workflows import policy_desk as desk
    from workbench.workflows.policy_then import Thens

#: Seconds for which what was recorded is not read again while a case grows.
_FRESH: Final = 15.0


def ready() -> None:
    """Have what judges policies compiled, which the first use would do while every other thread stands still."""
    compile_aside("policy", "decision diagrams")


@dataclass(frozen=True, slots=True)
class Asked:
    """A text, and what it is looked at with. base_text: what it was made from, '' for nothing in force; at: the time shown.

    about: the flows that the time machine is asked of; None where it is not seen.
    """

    text: str
    base_text: str
    against: str
    at: dt.datetime | None
    view: View
    generation: int
    about: Origin | None = None


@dataclass
class Loads(Message):
    """Whether a text loads, and its mistakes where not."""

    serial: int
    read: desk.Read


@dataclass
class Weighed(Message):
    """What a text would have changed in what was recorded."""

    serial: int
    impact: Impact
    asked: Asked


@dataclass
class Thought(Message):
    """What a text would have stopped, had it been in force then."""

    serial: int
    read: desk.Read
    thens: Thens
    about: Origin


@dataclass
class Examined(Message):
    """Remarks, members, tests, and the proof against what it was made from."""

    serial: int
    read: desk.Read
    remarks: tuple[desk.Remark, ...]
    who: tuple[desk.Who, ...]
    tried: tuple[desk.Tried, ...]
    proof: desk.Proof
    against: str


@dataclass
class Failed(Message):
    """A question failed."""

    serial: int
    error: Exception


class PolicyWork:
    """Questions on one text. Called from the event loop; answers are messages to the owner."""

    def __init__(self, owner: DOMNode, data: CaseData) -> None:
        self.data = data
        self.serial = 0
        self._owner = owner
        self._lane = Latest(owner, "policy text")
        self._question: Question | None = None
        self._base: tuple[tuple[str, dt.datetime | None, int], desk.Read] | None = None
        self._held: tuple[tuple[int, dt.datetime | None], list[tuple[str, int]]] | None = None
        self._known: tuple[int, Resolver] | None = None
        self._history: tuple[tuple[int, View], float, History] | None = None
        self._whole: tuple[int, History] | None = None
        self._session: tuple[tuple[int, str, dt.datetime | None], Session] | None = None

    @property
    def busy(self) -> bool:
        """Whether anything is being asked."""
        return self._lane.busy

    def _overtaken(self) -> bool:
        return self._lane.overtaken

    def ask(self, asked: Asked) -> None:
        """Ask of a text."""
        self.serial += 1
        self._lane.ask(partial(self._work, asked, self.serial))

    def stop(self) -> bool:
        """Stop asking; whether anything was."""
        self._lane.drop()
        if self._question is None or not self._lane.busy:
            return False
        self.serial += 1
        self._question.stop()
        self._question = None
        if self._session is not None:
            self._session[1].stop()
        return True

    # -- in a thread ------------------------------------------------------------------------------

    def _work(self, asked: Asked, serial: int) -> None:
        try:
            compile_aside("policy")
            self._examine(asked, serial)
        except CancelledError:
            return
        except Exception as error:  # told on screen, whatever it is
            self._owner.post_message(Failed(serial, error))

    def _examine(self, asked: Asked, serial: int) -> None:
        from workbench.workflows import policy_desk as desk

        question = self._asking()
        resolver = self._resolver(question, asked.generation)
        read = desk.read(asked.text, resolver, asked.at)
        self._owner.post_message(Loads(serial, read))
        if read.loaded is None or read.resolved is None or self._overtaken():
            return
        base = self._base_of(asked, resolver)
        session = self._weighing(question, asked, base, resolver)
        self._owner.post_message(Weighed(serial, session.update(read.loaded.policy), asked))
        if self._overtaken():
            return
        if asked.about is not None:
            self._owner.post_message(
                Thought(serial, read, self._then(question, asked, read.loaded.policy, resolver), asked.about)
            )
        ready()
        remarks = desk.remarks(read, resolver)
        who = desk.who(read, resolver, self._names(question, asked))
        if self._overtaken():
            return
        tried = desk.tried(read, resolver)
        if self._overtaken():
            return
        proof = desk.proof(base, read, resolver, known=True)
        self._owner.post_message(Examined(serial, read, remarks, who, tried, proof, asked.against))

    def _asking(self) -> Question:
        if self._question is None or self._question.stopped:
            self._question = self.data.question()
        return self._question

    def _resolver(self, question: Question, generation: int) -> Resolver:
        if self._known is None or self._known[0] != generation:
            from workbench.policy.history import resolver_of

            self._known = generation, resolver_of(question)
        return self._known[1]

    def _base_of(self, asked: Asked, resolver: Resolver) -> desk.Read:
        from workbench.workflows import policy_desk as desk

        key = asked.base_text, asked.at, asked.generation
        if self._base is None or self._base[0] != key:
            self._base = key, desk.read(asked.base_text, resolver, asked.at) if asked.base_text else desk.Read("", asked.at)
        return self._base[1]

    def _weighing(self, question: Question, asked: Asked, base: desk.Read, resolver: Resolver) -> Session:
        """What judges every state of the text; made anew where flows, base or time are others."""
        from workbench.policy.impact import Session

        history = self._recorded(question, asked)
        key = id(history), asked.base_text, asked.at
        if self._session is None or self._session[0] != key:
            before: Policy | None = base.loaded.policy if base.loaded is not None else None
            self._session = key, Session(history, before, resolver, asked.at)
        return self._session[1]

    def _then(self, question: Question, asked: Asked, policy: Policy, resolver: Resolver) -> Thens:
        """Over all flows of the case, whatever is shown: a cost that a filter hides is none that goes away."""
        from workbench.policy.history import read_history
        from workbench.workflows.policy_then import flows_in_question, had_been

        assert asked.about is not None
        view, span = View(), asked.view.span
        history = self._recorded(question, asked) if not asked.view.filter and span is None else None
        if history is None:
            if self._whole is None or self._whole[0] != asked.generation:
                self._whole = asked.generation, read_history(question, self.data.where(view))
            history = self._whole[1]
        ids = flows_in_question(question, self.data.where(View(filter=asked.about.kept)))
        chosen = [(span.start, "the time range's start")] if span is not None else []
        return had_been(history, policy, resolver, ids, chosen)

    def _recorded(self, question: Question, asked: Asked) -> History:
        """The flows that are shown; of a case that grows, as they were a moment ago."""
        from workbench.policy.history import read_history

        key = asked.generation, asked.view
        if self._history is not None:
            (generation, view), when, history = self._history
            if view == asked.view and (generation == asked.generation or monotonic() - when < _FRESH):
                return history
        history = read_history(question, self.data.where(asked.view))
        self._history = key, monotonic(), history
        return history

    def _names(self, question: Question, asked: Asked) -> list[tuple[str, int]]:
        from workbench.workflows import policy_desk as desk

        key = asked.generation, asked.at
        if self._held is None or self._held[0] != key:
            self._held = key, desk.held_at(question, asked.at)
        return self._held[1]
