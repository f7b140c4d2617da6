"""How long until the app shows the first flow: it runs in a pseudo terminal of 80x24 and what it paints is watched."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ADDRESS = re.compile(rb"(?<![\d.])\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\d.])")
"""an IPv4 address on the screen: only rows of flows show one before anything is selected"""
LINES, COLUMNS = 24, 80


def first_row(command: Sequence[str], folder: Path, env: Mapping[str, str], timeout: float = 60.0) -> tuple[float, float]:
    """Seconds from start until anything, and until a flow's address, is painted; TimeoutError with the last screen bytes."""
    began = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execvpe(command[0], list(command), {**env, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(LINES)})
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    try:
        return _watch(terminal, began, timeout)
    finally:
        _end(pid, terminal)


def _watch(terminal: int, began: float, timeout: float) -> tuple[float, float]:
    seen, painted = b"", 0.0
    while (now := time.perf_counter() - began) < timeout:
        ready, _, _ = select.select([terminal], [], [], 0.2)
        if not ready:
            continue
        try:
            data = os.read(terminal, 65536)
        except OSError:
            break
        if not data:
            break
        now = time.perf_counter() - began
        painted = painted or now
        seen = (seen + data)[-200_000:]
        if ADDRESS.search(re.sub(rb"\x1b\[[0-9;:?]*[A-Za-z]", b"", seen)):
            return painted, now
    tail = re.sub(rb"\x1b\[[0-9;:?]*[A-Za-z]", b"", seen)[-500:].decode(errors="replace")
    raise TimeoutError(f"no flow on screen after {now:.1f} s: {tail!r}")


def _end(pid: int, terminal: int) -> None:
    """End the app: Ctrl-C by signal, then insist; its workers go with it."""
    for number, patience in ((signal.SIGINT, 3.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, number)
        end = time.monotonic() + patience
        while time.monotonic() < end:
            done, _ = os.waitpid(pid, os.WNOHANG)
            if done:
                os.close(terminal)
                return
            if select.select([terminal], [], [], 0.05)[0]:  # a full terminal would block its exit
                with contextlib.suppress(OSError):
                    os.read(terminal, 65536)
    os.close(terminal)
