"""When a key was handled: once nothing is left to run, which takes as long as it takes.

Textual's pilot sleeps twice 20 ms after each key and again in each pause, and looks at the process' clock whether
something still happens: a walk of a hundred keys slept half a minute. The event loop knows better: it has
callbacks that can run now, or timers that are due soon, or it waits for threads.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import process_time
from typing import Any

from textual._context import active_app

#: Seconds: a timer due that soon belongs to what is waited for (Textual paints 60 times a second), and a thread
#: that is held up for that long, seen by the CPU time it takes of it, is one that waits for the test.
_SOON = 1 / 50
_AT_REST = 1 / 1000


async def wait_for_idle(min_sleep: float = 0.0, max_sleep: float = 1.0) -> None:
    """In place of Textual's function of that name: until nothing runs, at most max_sleep seconds; min_sleep has no use."""
    loop: Any = asyncio.get_running_loop()
    begun = loop.time()
    while loop.time() < begun + max_sleep:
        await asyncio.sleep(0)
        if loop._ready:
            continue
        if tasks := at_work():
            spent = process_time()
            done, _ = await asyncio.wait(tasks, timeout=_SOON, return_when=asyncio.FIRST_COMPLETED)
            if not done and process_time() - spent < _AT_REST and not held_up():
                return
            continue
        due = min((timer.when() for timer in loop._scheduled if not timer.cancelled()), default=begun + max_sleep)
        if due >= begun + _SOON:
            return
        await asyncio.sleep(max(due - loop.time(), 0))


def at_work() -> list[asyncio.Task[Any]]:
    """The tasks of the app's workers that have not ended."""
    app = active_app.get(None)
    workers = app.workers._workers if app is not None else ()
    return [worker._task for worker in workers if worker._task is not None and not worker._task.done()]


def held_up() -> bool:
    """Whether a thread would run if the machine were not busy with others: its time stands still, but it waits for nobody."""
    states = [path.read_text().rpartition(")")[2].split()[0] for path in Path("/proc/self/task").glob("*/stat")]
    return states.count("R") > 1 or "D" in states
