"""Signals reach what is running, and nothing is left behind when it ends."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from workbench.cli.interrupt import cancel_on_interrupt, stop_on_interrupt


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_cancels_and_the_second_is_left_to_the_system(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with cancel_on_interrupt() as cancel:
        assert not cancel.is_set()
        os.kill(os.getpid(), number)
        assert cancel.wait(5)
        assert signal.getsignal(number) is signal.SIG_DFL
    assert signal.getsignal(number) is before


def test_a_signal_stops_what_does_not_look() -> None:
    """The main thread sits in a lock, as it would inside the engine: only the other thread can end that."""
    stopped = threading.Event()
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        with stop_on_interrupt(stopped.set):
            assert not stopped.is_set()
            os.kill(os.getpid(), signal.SIGINT)
            assert stopped.wait(5)
    finally:
        signal.signal(signal.SIGINT, before)
    assert signal.set_wakeup_fd(-1) == -1


def test_without_a_signal_nothing_is_stopped_and_nothing_left() -> None:
    called: list[int] = []
    threads, files = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    with stop_on_interrupt(lambda: called.append(1)):
        time.sleep(0.2)
    assert called == []
    assert (threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))) == (threads, files)
