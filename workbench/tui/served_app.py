"""One app for one browser tab: a process that is started without a shell, fed, read, and never left behind.

What crosses the two pipes is textual-serve's protocol: a kind (D data, M meta, P packed), four bytes of length, the rest.
Everything from the tab is bounded before it gets to the app, and nothing that hangs, be it the tab or the app, holds up
the end of the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from typing import Any, Final

from textual_serve.app_service import AppService

from workbench.records.visible import visible

#: Seconds that an app has to leave before it is killed, and a tab to take its goodbye before it is cut off.
LEAVE: Final = 10.0
#: Cells of a terminal's side at most: each cell is memory of the app.
SIDE: Final = 1000
#: Bytes kept of what an app says on its standard error: the end, where the reason stands.
_COMPLAINT: Final = 8192
#: Lines before the protocol begins at most.
_PRELUDE: Final = 10
#: Of the terminal that serves, not of the browser.
_NOT_OURS: Final = ("NO_COLOR", "TEXTUAL")


class ServedApp(AppService):
    """An app process and what it says to its tab."""

    def __init__(self, words: tuple[str, ...], **rest: Any) -> None:
        super().__init__("workbench", **rest)
        self._words = words
        self._complaints: asyncio.Task[bytes] | None = None
        self._ending: asyncio.Task[None] | None = None

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        environment = self._build_environment(width=width, height=height)
        for name in _NOT_OURS:
            environment.pop(name, None)
        environment["TEXTUAL_DRIVER"] = "workbench.tui.web_driver:TabDriver"
        process = await asyncio.create_subprocess_exec(*self._words, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment)
        assert process.stdin is not None
        assert process.stderr is not None
        self._process, self._stdin = process, process.stdin
        self._complaints = asyncio.create_task(_tail(process.stderr))
        return process

    async def take(self, envelope: Any) -> None:
        """What the tab sent: keys, a size, whether it has the focus. ValueError, TypeError, KeyError for nonsense."""
        kind, *rest = envelope
        if kind == "stdin":
            await self.send_bytes(rest[0].encode("utf-8"))
        elif kind == "resize":
            await self.set_terminal_size(side(rest[0]["width"]), side(rest[0]["height"]))
        elif kind == "blur":
            await self.blur()
        elif kind == "focus":
            await self.focus()

    async def run(self) -> None:
        """Pass on what the app says until it ends; then the tab ends, too."""
        process = self._process
        assert process is not None
        assert process.stdout is not None
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ValueError):
            for _ in range(_PRELUDE):
                if await process.stdout.readline() in (b"__GANGLION__\n", b""):
                    break
            while True:
                head = await process.stdout.readexactly(5)
                payload = await process.stdout.readexactly(int.from_bytes(head[1:], "big"))
                if head[:1] == b"D":
                    await self.on_data(payload)
                elif head[:1] == b"M":
                    await self.on_meta(payload)
        await self.remote_close()

    async def stop(self) -> None:
        """Ask it to leave; kill it where it does not. However many ask, it ends once, and all of them wait for it."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end())
        await asyncio.shield(self._ending)

    async def _end(self) -> None:
        process, task = self._process, self._task
        if process is None or task is None:
            return
        task.cancel()  # it may wait for a tab that takes nothing
        await asyncio.gather(task, return_exceptions=True)
        assert process.stdout is not None
        drained = asyncio.create_task(_tail(process.stdout))  # a full pipe would keep the app, and its end from us
        try:
            await asyncio.wait_for(self._leave(process), LEAVE)
        except TimeoutError:
            process.kill()
            await process.wait()
        assert self._complaints is not None
        complaint, _ = await asyncio.gather(self._complaints, drained)
        for line in complaint.decode("utf-8", "replace").splitlines():
            sys.stderr.write(visible(line) + "\n")  # it may quote the wire
        await self.remote_close()

    async def _leave(self, process: Process) -> None:
        await self.send_meta({"type": "quit"})
        await process.wait()


async def _tail(stream: asyncio.StreamReader) -> bytes:
    """Read to the end; the last bytes of it."""
    kept = b""
    while data := await stream.read(1 << 16):
        kept = (kept + data)[-_COMPLAINT:]
    return kept


def side(value: object) -> int:
    """Cells of a terminal's side as the page has them. ValueError where that is no sensible number."""
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 5 else value
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number <= SIDE:
        raise ValueError(f"no side of a terminal: {str(value)[:20]!r}")
    return number
