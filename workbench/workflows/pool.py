"""Worker processes, seen from the parent: start, hand out jobs, notice deaths, try again.

Workers are spawned (never forked: threads and the engine live in the parent), live for the whole run and
take one source after another, so that a thousand small captures cost one start-up.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from dataclasses import dataclass, field, replace
from multiprocessing import connection, reduction
from typing import Any, Final

from workbench.errors import WorkbenchError
from workbench.workflows import worker
from workbench.workflows.kernels import prepare_kernel_cache
from workbench.workflows.worker import Job

#: A source whose worker died is read again this many times before the range it died in is given up.
ATTEMPTS: Final = 2


@dataclass(slots=True)
class Attempt:
    """A job and how far it got: shipments stored, the last source offset heard of, deaths so far.

    sources: those it was given so far, where it is telemetry of several exporters; the first is the job's own.
    """

    job: Job
    stored: int = 0
    offset: int = 0
    deaths: int = 0
    raw: int = 0
    sources: list[int] = field(default_factory=list)

    def again(self) -> Attempt | None:
        """The next attempt after a death: the same bytes, then up to where it died, then none.

        Standard input cannot be read twice.
        """
        if "-" in self.job.paths or self.deaths > ATTEMPTS:
            return None
        stop_at = self.offset if self.deaths == ATTEMPTS else None
        job = replace(self.job, skip=self.stored, stop_at=stop_at)
        return Attempt(job, stored=self.stored, offset=self.offset, deaths=self.deaths, sources=self.sources)


class Worker:
    """One decoding process and the attempt it is on."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.conn, theirs = context.Pipe()
        self.process = context.Process(target=worker.main, args=(theirs,), name="workbench-decode", daemon=True)
        # Ctrl-C reaches the whole foreground group, and a service manager's SIGTERM everything it started; what to do
        # about either is the parent's decision alone.
        # A blocked signal stays blocked in the child, and pthread_sigmask works in any thread.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self.attempt: Attempt | None = None
        self.ready = False
        self.heard = 0.0  # time.monotonic() of its last message

    def give(self, attempt: Attempt) -> None:
        """Hand out a job; BrokenPipeError where the process is already gone."""
        self.attempt = attempt
        self.conn.send(attempt.job)
        if "-" in attempt.job.paths:
            reduction.send_handle(self.conn, 0, self.process.pid)

    def tell(self, message: str) -> None:
        """Send 'stored' or 'cancel'; a worker that is gone is noticed when it is listened to."""
        with contextlib.suppress(OSError):
            self.conn.send(message)

    def dismiss(self) -> None:
        """No more jobs: it may end while the parent does other things."""
        with contextlib.suppress(OSError):
            self.conn.send(None)

    def stop(self) -> None:
        """Let it end by itself; kill it where it does not within a moment."""
        self.dismiss()
        self.process.join(2)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.conn.close()

    def died_how(self) -> str:
        """What ended it, in words."""
        self.process.join(1)
        code = self.process.exitcode
        if code is not None and code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"exit code {code}"


_early: list[Worker] = []


def start_early() -> None:
    """Start the worker that the next run will ask for first: its start is the longest fixed cost of all.

    For a process that knows it will index before it has loaded what it needs to say so. An unused one
    ends with the process.
    """
    with contextlib.suppress(WorkbenchError):  # what is wrong is told by the run itself
        prepare_kernel_cache()
        _early.append(Worker())


def first_worker() -> Worker:
    """The one that was started early, or a new one."""
    return _early.pop() if _early else Worker()


def wait(workers: list[Worker], seconds: float) -> list[Worker]:
    """Workers that have something to say (or died), within that time."""
    by_conn: dict[Any, Worker] = {w.conn: w for w in workers}
    return [by_conn[c] for c in connection.wait(list(by_conn), seconds)]


def processes_for(sources: int) -> int:
    """How many workers: one a source, at most one a core the process may use."""
    return max(1, min(sources, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1))
