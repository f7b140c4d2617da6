"""Ctrl-C: the first one asks what is running to stop and keep what it has."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

#: Seconds between calls of `stop` once a signal came: the first may fall just before the work begins.
_AGAIN: Final = 0.1
#: What tells the watching thread that no signal will come; signal numbers start at 1.
_OVER: Final = b"\0"


@contextmanager
def cancel_on_interrupt() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C (or SIGTERM) sets; a second one ends the program at once."""
    cancel = threading.Event()

    def stop(number: int, _frame: FrameType | None) -> None:
        cancel.set()
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield cancel
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stop_on_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop`, from another thread, when a signal arrives; the signal's own handler runs as ever.

    Python handles signals between bytecodes of the main thread, so a query that computes for minutes inside the engine
    would not notice Ctrl-C. The interpreter's low-level handler writes to a pipe at once; a thread waits for that.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    done = threading.Event()

    def watch() -> None:
        if os.read(reading, 1) == _OVER:
            return
        while not done.wait(_AGAIN):
            stop()

    watcher = threading.Thread(target=watch, name="interrupt", daemon=True)
    watcher.start()
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        done.set()
        os.write(writing, _OVER)
        watcher.join()
        os.close(reading)
        os.close(writing)
