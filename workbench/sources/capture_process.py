"""A program whose standard output is a capture: started, read, asked how much it lost, stopped.

What captures on this machine (`dumpcap`, `tcpdump`) and what captures elsewhere (through ssh) differ in their arguments and
in how they say what they dropped; everything else about them is here. The program is in a session of its own: Ctrl-C in
a terminal reaches us alone, and we decide when it stops, so that its last packets are read. It is never given a shell, a
terminal or anything to read.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from workbench.errors import ExternalError
from workbench.records.visible import visible

if TYPE_CHECKING:
    from workbench.sources.bytes import ByteReader

#: Bytes the pipe holds (Linux lets anybody have that much): what a second of a slow moment may bring.
_PIPE_BYTES: Final = 1 << 20
#: Lines of what the program said last, and how much of each.
_LINES: Final = 20
_LINE_LENGTH: Final = 400
#: Seconds a program may take to end after it was asked to, and after it was told to.
_PATIENCE: Final = 3.0


@dataclass(frozen=True, slots=True)
class Drops:
    """What a capturing program says it lost so far. None: it has not said.

    received: packets that reached it or that it asked for; kernel: lost since it was too slow; interface: lost by the card
    or its driver; program: read and given up by the program itself.
    """

    received: int | None = None
    kernel: int | None = None
    interface: int | None = None
    program: int | None = None

    @property
    def lost(self) -> int | None:
        """All that was lost on the way to us, None where nothing was said."""
        said = [n for n in (self.kernel, self.interface, self.program) if n is not None]
        return sum(said) if said else None


class CaptureProcess:
    """A running capture. What it writes is read from `fd`, by this process or by one that the descriptor is passed to.

    words: program and arguments. hear: takes a line of the program's stderr and what was known of its losses, and returns
    what is known now. asks: the signal on which the program says its losses while it runs, if it has one.
    """

    def __init__(
        self,
        name: str,
        words: Sequence[str],
        hear: Callable[[str, Drops], Drops],
        asks: signal.Signals | None = None,
        *,
        hold_input: bool = False,
        behind: float = 0.0,
    ) -> None:
        """Start it. ExternalError where it cannot be started.

        hold_input: its input is a pipe that we hold open. behind: seconds that packets may lie in the kernel before it hears of
        them; asked to stop, it is given that time, or it would leave them there.
        """
        self.name = name
        self._behind = behind
        self.drops = Drops()
        self._hear = hear
        self._asks = asks
        self._said: deque[str] = deque(maxlen=_LINES)
        try:
            self._process = subprocess.Popen(  # noqa: S603  the words are made by the modules of this floor, never by a shell
                list(words),
                stdin=subprocess.PIPE if hold_input else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pipesize=_PIPE_BYTES,
                start_new_session=True,
                env={**os.environ, "LC_ALL": "C"},
            )
        except OSError as error:
            raise ExternalError(f"{name} cannot be started: {error.strerror}", "Check that it is installed.") from error
        self._listening = threading.Thread(target=self._listen, name=f"{name}-stderr", daemon=True)
        self._listening.start()

    @property
    def fd(self) -> int:
        """Where the capture is read from; ValueError once `let_go` was called."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative where a signal ended it."""
        return self._process.poll()

    def reader(self) -> ByteReader:
        """The capture as bytes. Waits for the first of them."""
        from workbench.sources.bytes import open_bytes

        return open_bytes(f"/dev/fd/{self.fd}")

    def let_go(self) -> None:
        """Close this process's end of the pipe: once another reads it, the program must notice when that one is gone."""
        if self._process.stdout is not None:
            self._process.stdout.close()

    def ask_drops(self) -> None:
        """Have it say its losses, where it can; they are in `drops` a moment later."""
        if self._asks is not None and self.exit_code is None and _catches(self.pid, self._asks):
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(self._asks)

    @property
    def said(self) -> list[str]:
        """The last lines of its stderr, as they came."""
        return list(self._said)

    def write_input(self, data: bytes) -> None:
        """Tell it something, where its input is held; it may be gone."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(OSError):
                self._process.stdin.write(data)
                self._process.stdin.flush()

    def close_input(self) -> None:
        """It reads the end of its input."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def ask_to_stop(self) -> None:
        """It writes what it has and ends; the reader sees the end of the capture."""
        if self._behind:
            later = threading.Timer(self._behind, self._interrupt)
            later.daemon = True
            later.start()
        else:
            self._interrupt()

    def _interrupt(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)

    def stop(self, grace: float = 0.0) -> int:
        """Have it end, at last by force, and wait for what it says in the end; its exit code. More than once does no harm.

        grace: seconds in which it may end by itself, for one whose capture is over.
        What it still has to write must be read meanwhile, or be of no interest.
        """
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace)
        for end in (self.ask_to_stop, self._process.terminate, self._process.kill):
            if self.exit_code is not None:
                break
            end()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE)
        self.close_input()
        self.let_go()
        self._listening.join(_PATIENCE)
        return self._process.wait()

    def last_words(self) -> str:
        """What it said last on stderr, safe for a terminal; one line."""
        return visible("; ".join(line for line in self._said if line))

    def ended_how(self) -> str:
        """What ended it, in words: exit code or signal, and what it said."""
        code = self.exit_code
        if code is None:
            return f"{self.name} is running"
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        said = self.last_words()
        return f"{self.name} ended ({how})" + (f": {said}" if said else "")

    def _listen(self) -> None:
        """Read its stderr to the end: unread, it would block. A line without an end is taken in pieces."""
        stderr = self._process.stderr
        assert stderr is not None
        with contextlib.suppress(OSError, ValueError), stderr:
            while raw := stderr.readline(4096):
                line = raw.decode("utf-8", "replace").replace("\r", "").rstrip()
                self._said.append(line[:_LINE_LENGTH])
                self.drops = self._hear(line, self.drops)


def _catches(pid: int, number: signal.Signals) -> bool:
    """Whether the program has got as far as to catch that signal (proc(5): SigCgt): before that it would end it."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False
