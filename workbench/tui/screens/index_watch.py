"""An index run as the screen of its case sees it: what it is doing, and when to look at the rows again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from textual.screen import Screen
from textual.timer import Timer

from workbench.tui import figures
from workbench.tui.indexing import IndexRun
from workbench.tui.messages import IndexingChanged

if TYPE_CHECKING:
    from workbench.workflows.requests import Progress

#: While indexing, rows are put in order again this often (seconds), and never more than a fifth of the time.
_REFRESH: Final = 1.0
_COMPILING: Final = "Compiling the decoder for this machine.\nThis happens once and takes about a minute."
_WAITING: Final = "Reading: flows appear here as they come."


class IndexWatch:
    """Tells the screen with IndexingChanged, now and then with a tick; without a run it says that none is on."""

    def __init__(self, run: IndexRun | None) -> None:
        self.run = run
        self._ended = False
        self._timer: Timer | None = None
        self._screen: Screen[Any] | None = None

    def begin(self, screen: Screen[Any], tick: Any) -> None:
        """Listen to the run, if there is one; tick is called while it goes on."""
        if self.run is None:
            return
        self._screen = screen
        self.run.listener = self._told
        self._timer = screen.set_interval(_REFRESH, tick)
        screen.post_message(IndexingChanged())

    def _told(self) -> None:
        assert self._screen is not None
        self._screen.post_message(IndexingChanged())

    @property
    def going_on(self) -> bool:
        """Whether indexing goes on."""
        return self.run is not None and not self.run.done

    @property
    def progress(self) -> Progress | None:
        """How far it is; None when nothing goes on."""
        return self.run.progress if self.run is not None and self.going_on else None

    @property
    def empty(self) -> str:
        """What a table without rows says while it goes on."""
        progress = self.progress
        return _COMPILING if progress is not None and progress.phase == "compile" else _WAITING

    @property
    def has_flows(self) -> bool:
        """Whether it has found any."""
        progress = self.progress
        return progress is not None and progress.flows > 0

    def just_ended(self) -> bool:
        """True once, when it has ended."""
        if self.run is None or not self.run.done or self._ended:
            return False
        self._ended = True
        if self._timer is not None:
            self._timer.stop()
        return True

    def words(self) -> str:
        """What it is doing; '' when nothing goes on."""
        if self.run is None or not self.going_on:
            return ""
        return "stopping" if self.run.cancelling else indexing_words(self.run)


def indexing_words(run: IndexRun) -> str:
    """`indexing 43%`, `compiling kernels`, `starting`."""
    progress = run.progress
    if progress is None:
        return "starting"
    if progress.phase == "compile":
        return "compiling kernels, once"
    if progress.phase == "finish":
        return "finishing"
    if progress.phase == "name":
        return "naming flows"
    if not progress.total_bytes:
        return f"indexing, {figures.words_size(progress.done_bytes)}"
    return f"indexing {100 * progress.done_bytes // progress.total_bytes}%"
