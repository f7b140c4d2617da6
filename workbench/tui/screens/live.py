"""A case while packets come: rows that follow, a screen that can be held still, attaching and detaching."""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, cast

from workbench.tui import figures
from workbench.tui.attaching import Attachments, LiveRun
from workbench.tui.data import CaseData, Summary
from workbench.tui.indexing import IndexRun
from workbench.tui.live_words import LiveNow, live_now, live_sources, waiting_words
from workbench.tui.messages import CaseOpened, DriftChanged, LiveChanged, SummaryReady, SummarySeen
from workbench.tui.rates import RateHistory
from workbench.tui.screens.asking import AskingScreen
from workbench.tui.screens.dialog import ErrorDialog
from workbench.tui.target_drift import DriftLine
from workbench.tui.views import FIRST
from workbench.workflows.requests import AttachRequest

if TYPE_CHECKING:
    from workbench.tui.application import WorkbenchApp

_SECOND: Final = 1.0


class LiveScreen(AskingScreen):
    """What the frame of a case does with live sources, ours and those of other processes."""

    def __init__(
        self,
        data: CaseData | None,
        run: IndexRun | None = None,
        *,
        first: int = FIRST,
        live: Attachments | None = None,
    ) -> None:
        """live: sources that the app is attached to already; the case is opened once they have made it."""
        super().__init__(data, run, first=first)
        self.attached = live
        self.paused = False
        self._seen: Summary | None = None  # what the case held when it was last looked at, while paused
        self._others = RateHistory()  # by sources that other processes are attached to
        self._opening = data is not None or run is not None
        self._drift: DriftLine | None = None

    def on_mount(self) -> None:
        """Listen, and look at the clock."""
        if self.attached is not None:
            self.attached.listener = self._heard
            self.post_message(LiveChanged())
        self.set_interval(_SECOND, self._second)

    def on_unmount(self) -> None:
        """No target is asked any more."""
        if self._drift is not None:
            self._drift.end()

    def _watch_drift(self, wanted: bool) -> None:
        """While attached, ask the targets of the settings whether somebody changed their rules."""
        if wanted and self._drift is None and self.attached is not None:
            self._drift = DriftLine(self, cast("WorkbenchApp", self.app).polling, self.attached.case)
            self._drift.begin()
        elif not wanted and self._drift is not None:
            self._drift.end()
            self._drift = None
            self.status.drift = ()

    def on_drift_changed(self, message: DriftChanged) -> None:
        """The status line has what holds; what is new is told."""
        if self._drift is not None:
            self.status.drift = tuple(self._drift.now)
            if message.news is not None:
                self.tell("Targets", message.news.text())

    def _heard(self) -> None:
        """From a source's thread."""
        self.post_message(LiveChanged())

    # -- how they are doing -----------------------------------------------------------------------

    @property
    def runs(self) -> list[LiveRun]:
        """Sources that we are attached to."""
        return self.attached.going_on if self.attached is not None else []

    @property
    def rates(self) -> RateHistory | None:
        """How fast packets come; None while none can."""
        if self.runs and self.attached is not None:
            return self.attached.rates
        return self._others if live_sources(self._newest) else None

    @property
    def _newest(self) -> Summary:
        return self._seen or self.summary

    def live_now(self) -> LiveNow | None:
        """How the live sources are doing; None where there are none."""
        rates = self.rates
        return live_now(self.runs, live_sources(self._newest), None if rates is None else rates.last)

    @property
    def waiting(self) -> str:
        """While nothing came yet, what is waited for."""
        rows = live_sources(self.summary)
        if not self.summary.flows and (self.runs or rows):
            return waiting_words(self.runs, rows)
        return super().waiting

    def activity(self) -> str:
        """While paused, what came since; otherwise what is being asked, if anything is."""
        if self.paused:
            return self._since()
        if self.counting is None and self.runs:
            return "ready"
        return super().activity()

    def _since(self) -> str:
        packets = max(0, _packets(self._newest) - _packets(self.summary))
        flows = max(0, self._newest.flows - self.summary.flows)
        return f"PAUSED, {figures.count(packets)} packets and {figures.count(flows)} flows since"

    def _second(self) -> None:
        """The clock, the rates, and how old the newest packet is."""
        now = self.live_now()
        if now is not None or self.status.live is not None:
            self.status.live = now

    def on_live_changed(self, _message: LiveChanged) -> None:
        """Show how it goes; open the case once it is there; say what ended."""
        attached = self.attached
        if attached is None:
            return
        if attached.opened and not self._opening:
            self._opening = True
            self.run_worker(partial(self._open_case, attached), group="open", thread=True, exit_on_error=False)
        self._watch_drift(bool(attached.going_on))
        for run in attached.runs:
            if run.done and not run.told:
                run.told = True
                self._ended(run)
        self.shown.wait()
        self._second()
        self._tell_activity()

    def _open_case(self, attached: Attachments) -> None:
        from workbench.tui.case_data import StoredCase

        try:
            data = StoredCase.open(attached.case)
        except Exception as error:  # every failure is shown
            self.app.call_from_thread(self.say, error)
            return
        self.post_message(CaseOpened(data))

    def on_case_opened(self, message: CaseOpened) -> None:
        """Show the case that the first source made."""
        self._open(message.data)

    def _ended(self, run: LiveRun) -> None:
        error = run.error or (run.result.error if run.result is not None else None)
        if error is not None:
            self.app.push_screen(ErrorDialog.of(error))
        elif run.result is not None:
            packets = sum(row.get("packets") or 0 for row in run.result.sources)
            self.tell("Detached", f"{run.name}: {figures.count(packets)} packets. Its flows are settled.")
        if self.counting is not None and not self.paused:
            self.counting.sum_up()

    # -- rows that follow -------------------------------------------------------------------------

    def grown(self) -> None:
        """The case has more: it is shown, or while paused only counted. While live, not more often than is cheap."""
        if self.counting is None or (self.rates is not None and not self.counting.may_refresh):
            return  # asked again with the next look, in a second
        if not self.paused:
            super().grown()
        elif self.counting.may_refresh:
            self.counting.peek()

    def on_summary_ready(self, message: SummaryReady) -> None:
        """What is shown is what there is."""
        self._seen = message.summary if self.paused else None
        self._feed(message.summary)

    def on_summary_seen(self, message: SummarySeen) -> None:
        """While paused: what came since is said, not shown."""
        if self.counting is not None:
            self.counting.rested()
        if self.paused:
            self._seen = message.summary
            self._feed(message.summary)
            self._tell_activity()

    def _feed(self, summary: Summary) -> None:
        rows = live_sources(summary)
        if rows:
            self._others.feed(monotonic(), {str(row["source_id"]): _counts(row) for row in rows})

    # -- keys -------------------------------------------------------------------------------------

    def action_pause(self) -> None:
        """Hold the screen still, or show what came meanwhile. Nothing is lost: sources go on."""
        self.paused = not self.paused
        if self.paused:
            self.tell("Paused", "What comes is taken in, but not shown. The same key goes on.")
        else:
            self._seen = None
            if self.counting is not None:
                self.counting.sum_up()
        self._tell_activity()

    def action_attach(self) -> None:
        """Ask for what to attach to."""
        from workbench.tui.screens.attach import AttachDialog

        data = self.data
        case = self.attached.case if self.attached is not None else data.path if data is not None else None
        if case is not None:
            taken = [run.request.source for run in self.runs]
            self.app.push_screen(AttachDialog(case, taken), self._begin)

    def _begin(self, request: AttachRequest | None) -> None:
        if request is None:
            return
        if self.attached is None:
            self.attached = Attachments(request.case)
            self.attached.listener = self._heard
        try:
            run = self.attached.attach(request)
        except Exception as error:  # every failure is shown
            self.say(error)
            return
        self.tell("Attaching", f"{run.name}: its flows appear as packets come.")
        self._watch_drift(True)
        self._second()
        self._tell_activity()

    def action_detach(self) -> None:
        """Detach from the one source; of several, from one that is chosen."""
        from workbench.tui.screens.attach import DetachMenu

        runs = [run for run in self.runs if not run.stopping]
        if not runs:
            self.tell("Detach", "This app is attached to nothing.")
        elif len(runs) == 1:
            self.detach(runs[0])
        else:
            self.app.push_screen(DetachMenu(runs), lambda run: self.detach(run) if run is not None else None)

    def detach(self, run: LiveRun) -> None:
        """Stop it: what has been captured is taken in."""
        run.stop()
        self.tell("Detaching", f"{run.name}: what is open is being written.")
        self._second()


def _packets(summary: Summary) -> int:
    return sum(row.get("packets") or 0 for row in summary.sources)


def _counts(row: dict[str, Any]) -> tuple[int, int, int, int]:
    packets, octets, flows = (int(row.get(name) or 0) for name in ("packets", "bytes", "flows"))
    return int(row["source_id"]), packets, octets, flows
