"""Live sources beside the app: a thread each, all of them into one case, watched by whoever listens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from workbench.errors import UsageError
from workbench.records.visible import visible
from workbench.tui.rates import RateHistory
from workbench.workflows.requests import AttachRequest, AttachStatus
from workbench.workflows.shared_writer import SharedWriter

if TYPE_CHECKING:
    from workbench.store.writer import CaseWriter
    from workbench.workflows.attach import AttachResult

#: How long leaving waits for sources to be settled: what is open is written and the case compacted. What was shown is safe.
SETTLE_SECONDS: Final = 120.0


class LiveRun:
    """One source. All attributes are set by its thread and may be read at any time.

    opened: whether its case can be read. compiling: whether the decoder was not compiled yet when it began.
    """

    def __init__(self, request: AttachRequest, writer: SharedWriter, changed: Callable[[LiveRun], None]) -> None:
        self.request = request
        self.status: AttachStatus | None = None
        self.result: AttachResult | None = None
        self.error: BaseException | None = None
        self.opened = False
        self.compiling = False
        self.told = False  # the screen has said how it ended
        self._writer = writer
        self._changed = changed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"attached to {request.source}", daemon=True)

    @property
    def name(self) -> str:
        """The source as a person would say, visible."""
        return "standard input" if self.request.source == "-" else visible(self.request.source)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Detach: what has been captured is still taken in, and open flows are settled."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop.is_set()

    @property
    def done(self) -> bool:
        """Whether it has ended, one way or another."""
        return self.result is not None or self.error is not None

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for its end; whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            from workbench.workflows.kernels import prepare_kernel_cache, warmed

            self.compiling = not warmed(prepare_kernel_cache())
            from workbench.workflows.attach import attach

            self.result = attach(self.request, self._hear, self._stop, self._opened, self._writer)
        except BaseException as error:  # shown in the app; a thread has nobody else to tell
            self.error = error
        finally:
            self._changed(self)

    def _opened(self, _: CaseWriter) -> None:
        self.opened = True
        self._changed(self)

    def _hear(self, status: AttachStatus) -> None:
        self.status = status
        self._changed(self)


class Attachments:
    """Every source that this app is attached to, all of them into one case. listener is called from their threads."""

    def __init__(self, case: Path) -> None:
        self.case = case
        self.runs: list[LiveRun] = []
        self.rates = RateHistory()
        self.listener: Callable[[], None] | None = None
        self._writer = SharedWriter(case)
        self._lock = threading.Lock()

    def attach(self, request: AttachRequest) -> LiveRun:
        """Begin one more. UsageError where it is attached already."""
        if any(run.request.source == request.source for run in self.going_on):
            raise UsageError(f"{visible(request.source)} is attached already", "Detach it first, or name another source.")
        run = LiveRun(request, self._writer, self._changed)
        self.runs.append(run)
        run.start()
        return run

    @property
    def going_on(self) -> list[LiveRun]:
        """Those that have not ended."""
        return [run for run in self.runs if not run.done]

    @property
    def opened(self) -> bool:
        """Whether the case is there to be read."""
        return any(run.opened for run in self.runs)

    def stop(self) -> None:
        """Detach from all of them."""
        for run in self.runs:
            run.stop()

    def wait(self, seconds: float) -> bool:
        """Wait for the end of all; whether all have ended."""
        until = time.monotonic() + seconds
        for run in self.runs:
            run.wait(max(0.0, until - time.monotonic()))
        return all(run.wait(0) for run in self.runs)

    def _changed(self, run: LiveRun) -> None:
        if run.status is not None and not run.done:
            with self._lock:
                self.rates.feed(time.monotonic(), {r.request.source: _counts(r) for r in self.runs if r.status is not None})
        if self.listener is not None:
            self.listener()


def _counts(run: LiveRun) -> tuple[int, int, int, int]:
    assert run.status is not None
    return run.status.source_id, run.status.packets, run.status.bytes, run.status.flows


def goodbye(runs: list[LiveRun], case: Path) -> list[str]:
    """What is said once the app is gone: a line for each source, and how to see the case again."""
    lines = []
    for run in runs:
        if run.result is None:
            lines.append(f"{run.name}: still being settled; what was shown is in the case" if run.error is None else "")
            continue
        packets = sum(row.get("packets") or 0 for row in run.result.sources)
        flows = sum(row.get("flows") or 0 for row in run.result.sources)
        lines.append(f"Detached from {run.name}: {packets:,} packets, {flows:,} flows.")
    lines = [line for line in lines if line]
    return [*lines, f"Case: {visible(str(case))}"] if lines else []
