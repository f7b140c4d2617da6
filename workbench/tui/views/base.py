"""What the frame asks of a view of a case, and what a view may ask of the frame.

The frame (screens/case.py) holds the one filter, the one time range, the status line and the keys that work
everywhere; a view fills the space between. A hidden view does nothing: it is told to `obey` when it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, Protocol, cast

from textual.containers import Container

from workbench.tui.data import CaseData, Span, Summary, View

#: What a note or a bookmark can be on.
Kind = Literal["flow", "host", "pair", "query", "finding", "source", "case"]


#: Keys of the frame, by what a view must have for them to be of use: a flow under the cursor, a value that a filter can
#: name, a timeline, and rows that obey its range.
FLOW_KEYS: Final = frozenset({"case.packets", "case.carve"})
KEEP_KEYS: Final = frozenset({"case.keep", "case.exclude"})
TIMELINE_KEYS: Final = frozenset({"case.time", "case.metric"})
RANGE_KEYS: Final = frozenset({"case.zoom_out", "case.reset", "case.earlier", "case.later", "case.narrower", "case.wider"})


@dataclass(frozen=True, slots=True)
class Subject:
    """What the cursor of a view stands on, for notes, bookmarks and pivots.

    key: names it within its kind for ever (flow_id, address, finding_id, id of a query). words: how a person knows it,
    already visible. kept: the filter that keeps its flows, '' where there is none. flow: its row of `flows`, if it is one.
    """

    kind: Kind
    key: str
    words: str
    kept: str = ""
    flow: Mapping[str, Any] | None = None


class Frame(Protocol):
    """What a view may ask of the screen that it is in. From the event loop only."""

    @property
    def data(self) -> CaseData | None:
        """The case; None while it is not open yet."""

    @property
    def summary(self) -> Summary:
        """Sources, ledger, extent."""

    @property
    def view(self) -> View:
        """The filter and time range that are asked for now. Its order is not the frame's: views have their own."""

    @property
    def outer(self) -> Span | None:
        """The range in which the time window is moved to and fro, an axis for lifelines; None where there is no such window."""

    @property
    def waiting(self) -> str:
        """What stands where nothing can be shown yet, as the case is still being read or indexed; '' when it can."""

    def go(self, number: int, place: Mapping[str, Any] | None = None) -> None:
        """Show the view of that number, at a place that its `restore` understands. The way back is kept."""

    def filter_by(self, text: str, number: int = 0) -> None:
        """Apply a filter; the one before can be had back. number: in the view of that key, as one step of the way."""

    def keep(self, column: str, value: object, *, keep: bool = True) -> None:
        """Add a value of a column of `flows` to the filter, or its exclusion, and apply it."""

    def zoom(self, span: Span | None) -> None:
        """Show another time range; None for all of it."""

    def return_to(self, view: View) -> None:
        """Ask again for what is on the screen: another filter or time range was stopped before it was there."""

    def packets(self, flow: Mapping[str, Any]) -> None:
        """Show the packets of a flow, given as its row of `flows`."""

    def say(self, error: BaseException) -> None:
        """Show an error; what was stopped is none. A FilterError goes to the filter bar, and back to the filter before."""

    def tell(self, title: str, text: str) -> None:
        """A short message that goes away by itself; the text is plain, not markup."""

    def changed(self) -> None:
        """What the view shows, its activity or whether it rests has changed: bar, status line and titles follow."""


class CaseView(Container):
    """One of the nine. Subclasses set the class variables and compose themselves."""

    #: The key, 1 to 9, and what the view is called.
    number: ClassVar[int]
    name_: ClassVar[str]
    #: One sentence for the help.
    about: ClassVar[str]

    @property
    def idle(self) -> frozenset[str]:
        """Ids of the frame's keys that do nothing of use here: the key line and the help leave them out."""
        return frozenset()

    @property
    def frame(self) -> Frame:
        """The screen that it is in."""
        return cast("Frame", self.screen)

    def obey(self, view: View, summary: Summary) -> None:
        """Show this filter and time range of the case as it is now. Called when shown, and when any of them changes."""

    def stop(self) -> bool:
        """Esc: stop what is being asked or close what is open; False where there was nothing, and the frame goes back."""
        return False

    def subject(self) -> Subject | None:
        """What the cursor stands on."""
        return None

    def text(self) -> str:
        """What `y` copies: the value under the cursor, visible; '' for nothing."""
        return ""

    def place(self) -> dict[str, Any]:
        """Where the person is in the view, as JSON has it: kept with the case and on the way back."""
        return {}

    def restore(self, place: Mapping[str, Any]) -> None:
        """Go there. The place may be a stranger's: what makes no sense is passed over."""

    def keep_value(self) -> tuple[str, object] | None:
        """The column of `flows` and the value that `f` keeps and `F` excludes; None where the cursor is on no such thing."""
        return None

    def showing(self) -> View | None:
        """What its content obeys while what was asked for last is on its way; None where that makes no difference."""
        return None

    def wait(self) -> None:
        """What `frame.waiting` says has changed."""

    def noted(self) -> None:
        """The notebook of the case was written, from here or by another person."""

    def leave(self) -> None:
        """The case is let go of: stop every question and free what is held."""
        self.stop()

    @property
    def activity(self) -> str:
        """What is going on, in a few words; '' for nothing."""
        return ""

    @property
    def cost(self) -> tuple[float, int] | None:
        """What the last answer cost: seconds, and the rows there are; None where there was no question."""
        return None

    @property
    def resting(self) -> bool:
        """Whether nothing is being asked or about to be; tests wait for it."""
        return True

    def enter(self) -> None:
        """Take the focus: the view's main part gets it."""
        self.focus()
