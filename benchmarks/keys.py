"""Key presses on a case of 20 million flows, while a slow query runs: the app in a pseudo terminal, from key to paint.

The clock runs from the write of the key into the terminal until the bytes that show it were read from there. What they
show is told by a terminal emulator (pyte), so that a clock that ticks or rows that arrive are not taken for an answer: a
number key has brought its view when the row of views says so, a letter typed into the filter when it stands there, and
the cursor has moved when a line of the view between row of views and status line is another one.
"""

from __future__ import annotations

import fcntl
import math
import os
import pty
import select
import shutil
import statistics
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import pyte

from benchmarks.measure import Sampler
from benchmarks.peers import environment, workbench
from benchmarks.report import Report, Row
from benchmarks.screen import _end

PART: Final = "interactive"
COLUMNS, LINES = 160, 50
VIEWS: Final = range(1, 10)
#: Reads every flow thousands of times and holds nothing: it ends when it is stopped.
SLOW: Final = "SELECT sum(hash(a.src_addr, b.range) % 7) FROM flows a, range(100000) b "
#: Sorts all flows: what costs most memory.
SORT: Final = "SELECT src_ip, dst_ip, src_bytes FROM flows ORDER BY src_bytes DESC "
#: Milliseconds from key to paint at the 99th percentile; bytes of private memory.
KEY_MS, MEMORY = 100.0, 1e9
#: Seconds after which a key counts as never answered, and within which a stopped engine must be idle.
PATIENCE: Final = 30.0
#: Seconds of looking on between keys; and at a time over which a processor at rest is told, with the share that is rest.
PAUSE, IDLE, AT_REST = 0.3, 0.25, 0.15
ESCAPE, TAB, F5, DOWN, UP, RUB_OUT = "\x1b", "\t", "\x1b[15~", "\x1b[B", "\x1b[A", "\x7f"


class Watched:
    """The app in a terminal of 160x50, its screen as a person sees it."""

    def __init__(self, command: Sequence[str], folder: Path, env: Mapping[str, str]) -> None:
        self.screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self.screen)
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(command[0], list(command), {**env, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(LINES)})
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))

    def read(self, seconds: float) -> float | None:
        """Take in what is painted within that time; when it was read, None where nothing was."""
        if not select.select([self._terminal], [], [], max(seconds, 0.0))[0]:
            return None
        data = os.read(self._terminal, 1 << 16)
        when = time.perf_counter()
        self._stream.feed(data)
        return when

    def rest(self, seconds: float) -> None:
        """Look on for that long."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self.read(left)

    def until(self, seen: Callable[[], bool], patience: float = PATIENCE) -> float:
        """When the bytes were read that made it so; TimeoutError with the screen."""
        end = time.perf_counter() + patience
        while (left := end - time.perf_counter()) > 0:
            when = self.read(left)
            if when is not None and seen():
                return when
        shown = [line.rstrip() for line in self.screen.display if line.strip()]
        raise TimeoutError("\n".join([*shown, f"what a key should bring was not on the screen after {patience:g} s"]))

    def press(self, keys: str) -> float:
        """Write them; when."""
        while self.read(0) is not None:  # what came before is no answer
            pass
        when = time.perf_counter()
        os.write(self._terminal, keys.encode())
        return when

    def key(self, keys: str, seen: Callable[[], bool]) -> float:
        """Milliseconds from key to paint."""
        pressed = self.press(keys)
        return (self.until(seen) - pressed) * 1000

    def shows(self, number: int) -> bool:
        """Whether the row of views marks this one."""
        return any(f"[{number}" in line and "]" in line for line in self.screen.display[:12])

    def body(self) -> list[tuple[object, ...]]:
        """Cells with their colours between the row of views and the status line; a cursor is a colour."""
        top = next((n for n, line in enumerate(self.screen.display[:12]) if any(f"[{v} " in line for v in VIEWS)), 0)
        return [tuple(self.screen.buffer[y][x] for x in range(COLUMNS)) for y in range(top + 1, LINES - 2)]

    def cpu(self) -> float:
        """Seconds of processor that the app has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End it."""
        _end(self.pid, self._terminal)


def run_sql(app: Watched, sql: str) -> None:
    """In the view SQL: in the place of what is in the editor, run it, and leave the editor, so that keys are keys again."""
    app.key("7", lambda: app.shows(7))
    app.rest(1.0)
    app.press(DOWN * 20 + "\x1b[F" + RUB_OUT * 300)  # to the end, and all that is there away
    app.rest(1.0)
    app.press(sql)
    app.rest(1.0)
    app.press(F5)
    app.rest(0.5)
    app.press(TAB)
    app.rest(PAUSE)


def _typed(app: Watched) -> list[float]:
    """Two letters into the filter, which is left again: milliseconds of each."""
    app.press("/")
    app.rest(PAUSE)
    took = [app.key(letter, lambda t=text: f" {t}" in app.screen.display[0]) for letter, text in (("z", "z"), ("q", "zq"))]  # type: ignore[misc]
    app.press(RUB_OUT * 2)
    app.rest(PAUSE)
    while "Apply" in app.screen.display[-1]:  # the bar's keys; a list that is open takes the first Escape
        app.press(ESCAPE)
        app.rest(PAUSE)
    return took


def walk(app: Watched, rounds: int) -> dict[str, list[float]]:
    """Through all nine views, a few letters and steps in each: milliseconds of every key by what was pressed."""
    took: dict[str, list[float]] = {"a view's number": [], "a letter of a filter": [], "a letter of SQL": [], "the cursor": []}
    for _ in range(rounds):
        for number in VIEWS:
            took["a view's number"].append(app.key(str(number), lambda n=number: app.shows(n)))  # type: ignore[misc]
            app.rest(PAUSE)
            if number == 7:  # the editor has the focus, as there are no rows yet; Escape would stop the query
                before = app.body()
                took["a letter of SQL"].append(app.key(" ", lambda b=before: app.body() != b))  # type: ignore[misc]
                app.press(RUB_OUT + TAB)
                app.rest(PAUSE)
                continue
            took["a letter of a filter"] += _typed(app)
            if number == 2:
                for step in (DOWN, DOWN, UP, DOWN, UP):
                    before = app.body()
                    took["the cursor"].append(app.key(step, lambda b=before: app.body() != b))  # type: ignore[misc]
    return took


def stopped_after(app: Watched) -> float:
    """Escape in the view SQL: milliseconds until the app's processors rest."""
    app.press("7")
    app.rest(1.0)
    app.press(TAB)
    app.rest(PAUSE)
    pressed = app.press(ESCAPE)
    while (now := time.perf_counter()) < pressed + PATIENCE:
        used = app.cpu()
        app.rest(IDLE)
        if app.cpu() - used < AT_REST * IDLE:
            return (now - pressed) * 1000
    raise TimeoutError(f"the engine was still working {PATIENCE:.0f} s after Escape")


def _report(took: Mapping[str, Sequence[float]], report: Report) -> None:
    everything = sorted(one for each in took.values() for one in each)
    for what, each in (("any key", everything), *took.items()):
        ordered = sorted(each)
        late = ordered[math.ceil(0.99 * len(ordered)) - 1]
        note = f"median {statistics.median(ordered):.0f} ms, worst {ordered[-1]:.0f} ms of {len(ordered)}"
        report.add(Row(PART, f"key to paint beside a slow query: {what}, p99", late, "ms", KEY_MS, note=note))
        report.times.setdefault(PART, {})[f"key to paint: {what}"] = [one / 1000 for one in each]


def measure(case: Path, scratch: Path, rounds: int, report: Report) -> None:
    """Keys, Escape, memory. case: a case folder, into which the app writes nothing: it sees it through one of its own."""
    mine = scratch / "case"
    mine.mkdir()
    (mine / "case.duckdb").symlink_to(case / "case.duckdb")
    shutil.copy(case / "case.toml", mine)
    env = {**environment(), "XDG_STATE_HOME": str(scratch / "state"), "XDG_CONFIG_HOME": str(scratch / "config")}
    app = Watched(workbench("open", str(mine)), scratch, env)
    sampler = Sampler(app.pid)
    try:
        app.until(lambda: any("10." in line for line in app.screen.display[12:40]))
        run_sql(app, SLOW)
        app.until(lambda: any("query runs" in line for line in app.screen.display))
        _report(walk(app, rounds), report)
        walked = sampler.peak
        report.add(Row(PART, "Escape until the engine rests", stopped_after(app), "ms"))
        report.add(Row(PART, "the app in all views beside a slow query: peak private memory", walked, "B", MEMORY))
        run_sql(app, SORT)
        app.until(lambda: any("10." in line for line in app.screen.display[12:40]), 120.0)
        report.add(Row(PART, "the same after a sort of all flows in SQL", sampler.peak, "B", MEMORY))
    except TimeoutError as late:
        report.fail(PART, "the app", str(late))
    finally:
        sampler.stop()
        app.close()
