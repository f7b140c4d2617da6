"""Run a command and measure it: wall time, peak resident memory by the kernel's account, and peak private memory of its whole
process tree.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Run:
    """One run: seconds, exit code, what it printed, and memory in bytes (0 where it wasn't sampled)."""

    seconds: float
    cpu: float
    """user and system seconds of the process and everything it waited for"""
    code: int
    stdout: str
    stderr: str
    max_rss: int
    """peak resident set of the largest process, mapped files included"""
    peak_private: int
    """peak of RssAnon + RssShmem, summed over the process tree"""


def descendants(pid: int) -> list[int]:
    """``pid`` and everything under it, by /proc/PID/task/TID/children; those that vanish meanwhile are left out."""
    found, queue = [], [pid]
    while queue:
        current = queue.pop()
        found.append(current)
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{current}/task").iterdir():
                with contextlib.suppress(OSError):
                    queue += [int(word) for word in (task / "children").read_text().split()]
    return found


def private_bytes(pid: int) -> int:
    """RssAnon + RssShmem of one process; 0 once it is gone. Shared memory counts in each process that maps it: an upper bound."""
    total = 0
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(("RssAnon:", "RssShmem:")):
                total += int(line.split()[1]) * 1024
    return total


def tree_bytes(pid: int) -> int:
    """Private memory of a process tree at this moment."""
    return sum(private_bytes(each) for each in descendants(pid))


class Sampler:
    """Samples a process tree's private memory beside its run; ``peak`` is the largest sum seen."""

    def __init__(self, pid: int) -> None:
        self.pid, self.peak = pid, 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def _loop(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            self.peak = max(self.peak, tree_bytes(self.pid))

    def stop(self) -> int:
        """Stop sampling; the peak."""
        self._done.set()
        self._thread.join()
        return self.peak


def run(
    command: Sequence[str], *, folder: Path, memory: bool = False, env: Mapping[str, str] | None = None, timeout: float = 1800.0
) -> Run:
    """Run ``command`` in ``folder`` to its end. ``memory`` samples the tree, at a few percent of a core: not for timed rounds."""
    out_path, err_path = folder / "stdout.txt", folder / "stderr.txt"
    with out_path.open("wb") as out, err_path.open("wb") as err:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env, start_new_session=True
        )
        sampler = Sampler(process.pid) if memory else None
        killer = threading.Timer(timeout, os.killpg, (process.pid, signal.SIGKILL))
        killer.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        killer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
    peak = sampler.stop() if sampler else 0
    text = [path.read_bytes().decode(errors="replace") for path in (out_path, err_path)]
    return Run(seconds, usage.ru_utime + usage.ru_stime, process.returncode, text[0], text[1], usage.ru_maxrss * 1024, peak)


def warm(path: Path) -> None:
    """Read a file once so that every contender finds it in the page cache."""
    with path.open("rb", buffering=0) as file:
        block = bytearray(8 << 20)
        while file.readinto(block):
            pass
