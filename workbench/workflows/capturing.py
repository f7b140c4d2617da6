"""The program that captures for an attach run: begun, begun again where it ends, and every time without one remembered."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from workbench.errors import ExternalError, WorkbenchError
from workbench.records.reasons import LedgerLine
from workbench.settings import AttachSettings
from workbench.workflows.requests import AttachRequest

if TYPE_CHECKING:
    from workbench.sources.capture_process import CaptureProcess
    from workbench.sources.interfaces import Counters

#: Seconds until a capture that ended is tried again, first and at most.
_AGAIN: Final = (0.5, 30.0)


@dataclass(frozen=True, slots=True)
class FarFigures:
    """What the far end of a capture on a DPU says of itself; None: not told.

    unseen: what a capture there can't show, in words. capture_cpu, ssh_cpu: share of a core there; bits_per_second: sent here.
    """

    unseen: tuple[str, ...] = ()
    capture_cpu: float | None = None
    ssh_cpu: float | None = None
    bits_per_second: float | None = None


class Capturing:
    """Gives streams of packets, one after another. Standard input is one stream without a program.

    counted, counted_first: the interface's own counters, now and when capturing began; None where it has none.
    """

    def __init__(self, request: AttachRequest, settings: AttachSettings) -> None:
        self._request = request
        self._settings = settings
        self._program: CaptureProcess | None = None
        self._pause = _AGAIN[0]
        self._gap_since: dt.datetime | None = None
        self._gap_why = ""
        self.again_at: float | None = None
        self.counted: Counters | None = None
        self.counted_first: Counters | None = None

    @property
    def stdin(self) -> bool:
        """Whether the packets come from standard input."""
        return self._request.source == "-"

    @property
    def gap_why(self) -> str:
        """Why nothing is captured just now; '' where something is."""
        return self._gap_why if self._gap_since is not None else ""

    @property
    def dropped(self) -> int | None:
        """What the present capture says it has lost; None where there is none or it has not said."""
        return self._program.drops.lost if self._program is not None else None

    @property
    def pid(self) -> int | None:
        """Of the program that captures; None where there is none."""
        return self._program.pid if self._program is not None else None

    @property
    def interface_counts(self) -> tuple[int, int] | tuple[None, None]:
        """Packets that the interface has counted since capturing began, and those it dropped."""
        now, first = self.counted, self.counted_first
        if now is None or first is None:
            return None, None
        return now.packets - first.packets, now.dropped - first.dropped

    @property
    def far(self) -> FarFigures:
        """What the far end says; nothing where the capture is made here."""
        return FarFigures()

    @property
    def never_worked(self) -> bool:
        """Whether it is sure that no capture has begun yet, however long that took."""
        return False

    def ledger(self, frames: int) -> list[LedgerLine]:  # noqa: ARG002  what those that are elsewhere say of theirs
        """What is to be said of how it was captured. frames: packets that have come, of all captures of the run."""
        return []

    def open(self) -> int:
        """Begin to capture: the descriptor to read from. ExternalError, UsageError where that cannot be."""
        if self.stdin:
            return self._request.stdin
        from workbench.sources.capture_words import CaptureWords, start_capture
        from workbench.sources.interfaces import check_interface, counters

        name = check_interface(self._request.source)
        words = CaptureWords(name, self._request.bpf, self._request.snaplen, self._settings.promiscuous)
        self._program = start_capture(words, self._settings.program)
        self.counted = counters(name)
        self.counted_first = self.counted_first or self.counted
        return self._program.fd

    def handed_over(self) -> None:
        """Another process reads the stream now: this one must not keep it alive."""
        self.again_at = None
        if self._program is not None:
            self._program.let_go()

    def begin_gap(self, why: str) -> None:
        """Nothing is captured from now on."""
        if self._gap_since is None:
            self._gap_since, self._gap_why = dt.datetime.now(dt.UTC), why

    def end_gap(self) -> str | None:
        """Something is captured again: when nothing was, and why; None where there was no gap."""
        if self._gap_since is None:
            return None
        since, now = self._gap_since, dt.datetime.now(dt.UTC)
        self._gap_since = None
        return f"{since:%Y-%m-%dT%H:%M:%SZ} to {now:%Y-%m-%dT%H:%M:%SZ}: {self._gap_why}"

    def try_later(self, why: str) -> None:
        """It cannot be now: again in a while, which doubles."""
        self.begin_gap(why)
        self.again_at = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _AGAIN[1])

    def went_well(self) -> None:
        """Packets came: the next time it ends, it is tried again soon."""
        self._pause = _AGAIN[0]

    def ask_to_stop(self) -> bool:
        """Have the program write what it has and end; whether there is one."""
        if self._program is None:
            return False
        self._program.ask_to_stop()
        return True

    def why_ended(self) -> WorkbenchError:
        """What is wrong with a capture that ended by itself."""
        from workbench.sources.capture_words import why_ended

        if self._program is None:
            return ExternalError("the capture ended", "Start again.")
        self._program.stop(grace=1.0)
        return why_ended(self._program)

    def put_away(self) -> int | None:
        """End the program, if there is one; what it says it lost."""
        program, self._program = self._program, None
        if program is None:
            return None
        program.stop()
        return program.drops.lost

    def look(self) -> str | None:
        """Ask the program what it dropped, and the interface what it counted; a gap that is over, in words."""
        if self._program is None:
            return None
        self._program.ask_drops()
        from workbench.sources.interfaces import counters

        self.counted = counters(self._request.source) or self.counted
        return None
