"""A real terminal for tests: a program in tmux, keys in, screen out."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

#: Long enough for a machine that compiles kernels beside eight other jobs; a test that passes never waits so long.
PATIENCE = 120.0


class Terminal:
    """A tmux server of its own with one window and exactly this environment; close it."""

    def __init__(self, folder: Path, command: Sequence[str], env: Mapping[str, str], size: tuple[int, int] = (80, 24)) -> None:
        self._socket = str(folder / "tmux")
        self._env = {name: value for name, value in env.items() if not name.startswith("TMUX")}
        script = folder / "run.sh"
        words = " ".join(f"'{word}'" for word in command)
        term = env.get("TERM", "screen-256color")  # tmux sets its own
        script.write_text(f"#!/bin/sh\nTERM={term} {words}\necho exit code $?\nexec sleep 1000\n")
        script.chmod(0o755)
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(size[0]), "-y", str(size[1]), str(script))
        self._tmux("set-option", "-g", "escape-time", "0")

    def _tmux(self, *words: str) -> str:
        tmux = shutil.which("tmux") or "tmux"
        done = subprocess.run([tmux, "-S", self._socket, *words], env=self._env, capture_output=True, text=True, check=True)
        return done.stdout

    def press(self, *keys: str) -> None:
        """Keys by tmux's names."""
        for key in keys:
            self._tmux("send-keys", "-t", "0", key)

    def write(self, text: str) -> None:
        """Text as it is."""
        self._tmux("send-keys", "-l", "-t", "0", text)

    def resize(self, width: int, height: int) -> None:
        """Make the window another size."""
        self._tmux("resize-window", "-t", "0", "-x", str(width), "-y", str(height))

    def screen(self, *, escapes: bool = False) -> list[str]:
        """The lines as they stand."""
        return self._tmux("capture-pane", "-p", *(["-e"] if escapes else []), "-t", "0").split("\n")

    def wait(self, seen: Callable[[str], bool]) -> str:
        """The screen once it satisfies the condition; AssertionError with the screen where it never does.

        A condition that cannot read the screen has not come true: tmux may be asked in the middle of a painting.
        """
        deadline = time.monotonic() + PATIENCE
        trouble = ""
        while time.monotonic() < deadline:
            text = "\n".join(self.screen())
            try:
                if seen(text):
                    return text
                trouble = ""
            except (LookupError, StopIteration, ValueError, TypeError, AttributeError) as error:
                trouble = f" ({error!r})"
            time.sleep(0.05)
        raise AssertionError(f"never came{trouble}:\n{text}")

    def wait_for(self, *words: str) -> str:
        """The screen once it shows all of these and no row is on its way."""
        return self.wait(lambda text: all(word in text for word in words) and "···" not in text)

    def close(self) -> None:
        """End the program and the server."""
        self._tmux("kill-server")
