"""What the frame asks of a case, whatever view is shown: its summary, and the bars of its timeline.

In worker threads; the latest question wins. Answers come as messages to the screen; failures as WorkFailed, and what
was stopped or overtaken is no failure and says nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from textual.screen import Screen

from workbench.errors import CancelledError, WorkbenchError
from workbench.tui.data import CaseData, Span
from workbench.tui.finding_marks import Marks
from workbench.tui.messages import BinsReady, CaseMoved, LayoutReady, MarksReady, SummaryReady, SummarySeen, WorkFailed

#: The name under which a notebook keeps where the person is.
LAYOUT: Final = "app"
#: A refresh may take at most this share of the time while indexing goes on beside it.
_SHARE: Final = 0.25


class Counting:
    """Summaries and timelines of one case. Its methods are called from the event loop only."""

    def __init__(self, screen: Screen[Any], data: CaseData) -> None:
        self.data = data
        self._screen = screen
        self._serial = 0
        self._summing = False
        self._generation = data.generation
        self._began = 0.0
        self._rest_until = 0.0
        self._met = False
        self._watching = False
        self._version = 0

    @property
    def may_refresh(self) -> bool:
        """Whether the last refresh has ended, and long enough ago for what it cost."""
        return not self._summing and not self._began and time.monotonic() >= self._rest_until

    @property
    def outdated(self) -> bool:
        """Whether the case on disk has changed since it was summed up."""
        return self.data.generation != self._generation

    def sum_up(self) -> None:
        """Ask for a summary."""
        self._began = time.monotonic()
        self._summing = True
        self._work("summary", self._sum_up)

    def peek(self) -> None:
        """Ask for a summary that is counted, not shown: SummarySeen."""
        self._began = time.monotonic()
        self._summing = True
        self._work("summary", self._peek)

    def watch(self) -> None:
        """Look whether someone wrote the case or its notebook meanwhile; told with CaseMoved."""
        if not self._watching and not self._summing:
            self._watching = True
            self._work("watch", self._watch)

    def summed_up(self) -> None:
        """A summary was shown: what is asked from now on is asked of the case as it was then."""
        self._generation = self.data.generation

    def rested(self) -> None:
        """What a refresh made the view ask has been answered; the next may come when it has cost little enough."""
        if self._began and not self._summing:
            now = time.monotonic()
            self._rest_until = now + (now - self._began) * (1 - _SHARE) / _SHARE
            self._began = 0.0

    def count(self, span: Span, bins: int, kept: str) -> None:
        """Ask for a timeline."""
        self._serial += 1
        self._work("bins", partial(self._make_bins, span, bins, kept, self._serial))
        self._mark(kept)

    def _mark(self, kept: str) -> None:
        """Ask where findings lie in time. Beside the bars, which are not to wait for it."""
        self._work("marks", partial(self._make_marks, kept))

    def is_current(self, message: BinsReady | WorkFailed) -> bool:
        """Whether a message answers the latest question of its kind."""
        return message.serial in (0, self._serial)

    def close(self) -> None:
        """Stop everything and let go of the case. The engine must not be left working while the process ends."""
        self.data.interrupt()
        self.data.close()

    # -- in worker threads ------------------------------------------------------------------------

    def _work(self, group: str, what: Any) -> None:
        self._screen.run_worker(what, group=group, exclusive=True, thread=True, exit_on_error=False)

    def _failed(self, error: Exception, serial: int) -> None:
        if not isinstance(error, CancelledError):
            self._screen.post_message(WorkFailed(error, serial))

    def _sum_up(self) -> None:
        try:
            if not self._met:  # ahead of the summary, so that nothing is asked that the person then does not want
                self._met = True
                self._meet()
            summary = self.data.summary()
            self._summing = False  # before it is told: what is told may end the refresh at once
            self._screen.post_message(SummaryReady(summary))
        except Exception as error:  # every failure is shown
            self._failed(error, 0)
        finally:
            self._summing = False

    def _peek(self) -> None:
        try:
            summary = self.data.summary()
            self._summing = False
            self._screen.post_message(SummarySeen(summary))
        except Exception as error:  # every failure is shown
            self._failed(error, 0)
        finally:
            self._summing = False

    def _meet(self) -> None:
        """Where the person left the case. A notebook that cannot be read is no reason not to show the case."""
        notebook = self.data.notebook
        if notebook is None:
            return
        try:
            layout = notebook.layout(LAYOUT)
            self._version = notebook.version()
            text = layout.get("filter")
            if isinstance(text, str) and text and self.data.check(text) is not None:
                layout = {**layout, "filter": ""}
        except WorkbenchError:
            return
        self._screen.post_message(LayoutReady(layout))

    def _watch(self) -> None:
        try:
            notebook = self.data.notebook
            version = 0 if notebook is None else notebook.version()
            grown, noted = self.data.look() != self._generation, version != self._version
            self._version = version
        except (WorkbenchError, OSError):  # said by the next question that a person asks
            return
        finally:
            self._watching = False
        if grown or noted:
            self._screen.post_message(CaseMoved(grown, noted))

    def save(self, layout: Mapping[str, Any]) -> None:
        """Keep where the person is with the case. A case that cannot be written is left as it is."""
        notebook = self.data.notebook
        if notebook is not None:
            with contextlib.suppress(WorkbenchError):
                notebook.save_layout(LAYOUT, dict(layout))

    def _make_marks(self, kept: str) -> None:
        try:
            self._screen.post_message(MarksReady(Marks.of(self.data.moments(kept))))
        except Exception as error:  # every failure is shown
            self._failed(error, self._serial)

    def _make_bins(self, span: Span, bins: int, kept: str, serial: int) -> None:
        try:
            self._screen.post_message(BinsReady(self.data.timeline(span, bins, kept), kept, serial))
        except Exception as error:  # every failure is shown
            self._failed(error, serial)
