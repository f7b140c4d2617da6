"""Workloads: lifelines by name where the case knows names, and hosts by address where it knows none or a person wants them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message

from workbench.analysis.workloads import named
from workbench.errors import CancelledError
from workbench.store.reader import Question
from workbench.tui.data import CaseData, Summary, View
from workbench.tui.latest import Latest
from workbench.tui.views.base import FLOW_KEYS, CaseView, Subject
from workbench.tui.views.hosts import HostsView
from workbench.tui.views.lifelines import LifelinesView


class WorkloadsView(CaseView):
    """One of the two is in front; the other does nothing."""

    number = 3
    name_ = "Workloads"
    about = "Workloads by name, or hosts by address, with lifelines."

    SCOPED_CSS: ClassVar[bool] = False
    DEFAULT_CSS = """
    WorkloadsView { layout: vertical; }
    WorkloadsView > CaseView { height: 1fr; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "turn", "Names/hosts", id="workloads.turn", tooltip="Workloads by name, or hosts by address"),
    ]

    @dataclass
    class Known(Message):
        """Whether the case knows names."""

        generation: int
        named: bool
        error: Exception | None = None

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self.hosts, self.lives = HostsView(id="hosts-view"), LifelinesView(id="lives-view")
        self.wanted: bool | None = None  # by name; None: nobody has said
        self._named: bool | None = None
        self._generation = -1
        self._obeyed: tuple[View, Summary] | None = None
        self._place: Mapping[str, Any] | None = None
        self._lane: Latest | None = None
        self._question: Question | None = None

    def compose(self) -> ComposeResult:
        """Both."""
        yield self.hosts
        yield self.lives

    def on_mount(self) -> None:
        """Hosts are in front until the case says that it knows names."""
        self.lives.display = False

    @property
    def by_name(self) -> bool:
        """Which one is in front."""
        return bool(self._named) if self.wanted is None else self.wanted

    @property
    def front(self) -> HostsView | LifelinesView:
        """The one that is shown."""
        return self.lives if self.by_name else self.hosts

    # -- which of the two -------------------------------------------------------------------------

    def obey(self, view: View, summary: Summary) -> None:
        """The one in front; whether the case knows names is asked first, and again where the case has changed."""
        self._obeyed = view, summary
        data = self.frame.data
        if data is not None and data.generation != self._generation:
            self._generation = data.generation
            if self._lane is None:
                self._lane = Latest(self, "names")
            self._question = data.question()
            self._lane.ask(partial(self._look, data, self._question, self._generation))
        if self.wanted is not None or self._named is not None or data is None:
            self._show()

    def _look(self, data: CaseData, question: Question, generation: int) -> None:  # noqa: ARG002  keeps the case open
        """In a worker thread."""
        try:
            self.post_message(self.Known(generation, named(question)))
        except Exception as error:  # every failure is shown
            self.post_message(self.Known(generation, False, error))

    def on_workloads_view_known(self, message: Known) -> None:
        """Show the one or the other."""
        message.stop()
        if message.error is not None and not isinstance(message.error, CancelledError):
            self.frame.say(message.error)
        if message.generation == self._generation or self._named is None:
            self._named = message.named
            self.hosts.nameless = not message.named
            self._show()
        self.frame.changed()

    def _show(self) -> None:
        """The one in front obeys; it takes the focus from the other."""
        front = self.front
        turned = not front.display
        focused = self.has_focus_within
        self.hosts.display, self.lives.display = front is self.hosts, front is self.lives
        if self._obeyed is not None:
            front.obey(*self._obeyed)
        if self._place is not None:
            place, self._place = self._place, None
            front.restore(place)
        if turned and focused:
            front.enter()

    def action_turn(self) -> None:
        """The other one."""
        self.wanted = not self.by_name
        self._show()
        self.frame.changed()

    # -- for the frame, of the one in front ---------------------------------------------------------

    @property
    def idle(self) -> frozenset[str]:
        """No flows are listed."""
        return FLOW_KEYS

    def enter(self) -> None:
        """To the rows."""
        self.front.enter()

    def stop(self) -> bool:
        """Stop looking."""
        return self.front.stop()

    def leave(self) -> None:
        """The case is closed."""
        if self._question is not None:
            self._question.stop()
        self.hosts.leave()
        self.lives.leave()

    def subject(self) -> Subject | None:
        """The workload or host."""
        return self.front.subject()

    def keep_value(self) -> tuple[str, object] | None:
        """Its name or address."""
        return self.front.keep_value()

    def text(self) -> str:
        """What it is called."""
        return self.front.text()

    def showing(self) -> View | None:
        """What the rows obey."""
        return self.front.showing()

    def wait(self) -> None:
        """What is waited for has changed."""
        self.front.wait()

    @property
    def activity(self) -> str:
        """What is going on."""
        return self.front.activity

    @property
    def cost(self) -> tuple[float, int] | None:
        """What the last answer cost."""
        return self.front.cost

    @property
    def resting(self) -> bool:
        """Whether all that was asked has been answered."""
        return (self._lane is None or not self._lane.busy) and self.front.resting

    def place(self) -> dict[str, Any]:
        """Which one is in front, and where in it."""
        return {"names": self.wanted, **self.front.place()}

    def restore(self, place: Mapping[str, Any]) -> None:
        """There again."""
        names = place.get("names")
        self.wanted = names if isinstance(names, bool) else None
        self._place = place
        if self.wanted is not None or self._named is not None:
            self._show()
