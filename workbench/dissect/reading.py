"""tshark through pyshark, bounded: pyshark starts it and runs its event loop, our parsers take what it prints.

pyshark's own parsers keep all that comes in memory, search it from the start for every 64 KiB, flatten the tree and
lose lines of summaries; its end-of-capture check mistakes a signal for success. So the capture class is used with
parsers of ours and says how tshark ended. Imported by the child only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from asyncio.subprocess import Process
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from packaging import version
from pyshark.capture.pipe_capture import PipeCapture
from pyshark.tshark.output_parser.base_parser import BaseTsharkOutputParser

#: The most that tshark may print of one packet, bytes; about 30 times what a full-size packet takes.
PACKET: Final = 24 << 20
#: And of all packets of a request.
TOTAL: Final = 256 << 20
_READ: Final = 1 << 18
#: How long tshark may take to end once it has said all, seconds.
_ENDING: Final = 5.0
_KILLED: Final = 1.0

#: What tshark is told besides: bodies are masked anyway, so they are neither put together nor unpacked (zip bombs).
PREFERENCES: Final = ("http.desegment_body:FALSE", "http.decompress_body:FALSE")


class TooMuchError(Exception):
    """tshark printed more of a packet, or of all, than is taken."""


class EndedError(Exception):
    """tshark ended otherwise than well. code: its exit code, negative for a signal."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Pieces(BaseTsharkOutputParser):
    """Cuts what tshark prints at an end mark and makes a packet of each piece by `make` (None = not one)."""

    def __init__(self, start: bytes, end: bytes, make: Callable[[bytes], Any]) -> None:
        super().__init__()
        self._start, self._end, self._make = start, end, make
        self._buffer = bytearray()
        self._searched = 0
        self._total = 0

    async def get_packets_from_stream(
        self,
        stream: Any,
        existing_data: bytes,  # noqa: ARG002  pyshark's
        got_first_packet: bool = True,  # noqa: ARG002  pyshark's
    ) -> tuple[Any, bytes]:
        """The next packet, or None where more must be read. EOFError at the end."""
        while (at := self._buffer.find(self._end, self._searched)) >= 0:
            piece = bytes(self._buffer[: at + len(self._end)])
            del self._buffer[: at + len(self._end)]
            self._searched = 0
            begin = piece.find(self._start)
            made = self._make(piece[begin:]) if begin >= 0 else None
            if made is not None:
                return made, b""
        self._searched = max(0, len(self._buffer) - len(self._end))
        more = await stream.read(_READ)
        if not more:
            raise EOFError
        self._total += len(more)
        self._buffer += more
        if len(self._buffer) > PACKET or self._total > TOTAL:
            raise TooMuchError
        return None, b""


class Capture(PipeCapture):
    """One run of tshark over a file that it gets as its standard input."""

    def __init__(self, fd: int, tshark: str, said: str, form: str, parser: Pieces, options: Sequence[str]) -> None:
        """fd: the capture, at its start; closed by `close`. form: `ek` or `pdml`. said: tshark's version."""
        self._parser = parser
        self._path, self._said = tshark, said
        self._process: Process | None = None
        words = [word for preference in PREFERENCES for word in ("-o", preference)]
        super().__init__(  # type: ignore[no-untyped-call]
            fd, tshark_path=tshark, eventloop=asyncio.new_event_loop(), custom_parameters=[*words, *options], use_json=False
        )
        self._use_ek = form == "ek"

    def packets(self, count: int | None) -> Iterator[Any]:
        """What the parser makes of each packet, at most `count`.

        TooMuchError; EndedError where tshark failed before it had said all.
        """
        for found, packet in enumerate(self._packets_from_tshark_sync(), 1):  # type: ignore[no-untyped-call]
            yield packet
            if found == count:
                return
        code = self._process.returncode if self._process is not None else -1
        if code:
            raise EndedError(code)

    def close(self) -> None:
        """End tshark and give everything back."""
        with contextlib.suppress(Exception):
            self.eventloop.run_until_complete(self._end())
        self._running_processes.clear()
        os.close(self._pipe)
        with contextlib.suppress(Exception):
            self.eventloop.close()

    async def _end(self) -> None:
        """pyshark's own waits for the end of stderr, which whatever tshark started may hold open for ever."""
        for process in list(self._running_processes):
            await self._cleanup_subprocess(process)
        for task in self._stderr_handling_tasks:
            task.cancel()
        await asyncio.gather(*self._stderr_handling_tasks, return_exceptions=True)

    # -- what pyshark calls -----------------------------------------------------------------------

    def _get_tshark_path(self) -> str:
        """Its own looks for a settings file first: in the working folder, and where nobody may read."""
        return self._path

    def _get_tshark_version(self) -> Any:
        return version.parse(self._said)

    def _setup_tshark_output_parser(self) -> Pieces:
        return self._parser

    def _created_new_process(self, parameters: Any, process: Process, process_name: str = "TShark") -> None:  # noqa: ARG002
        self._process = process
        self._running_processes.add(process)

    async def _handle_process_stderr_forever(self, stderr: Any) -> None:
        """Read and drop: what tshark complains of can quote the packet."""
        while await stderr.read(_READ):
            pass

    async def _cleanup_subprocess(self, process: Process) -> None:
        """Wait for it a moment where it has said all, else end it."""
        if process.returncode is None and self._eof_reached:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(process.wait(), _ENDING)
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(process.wait(), _KILLED)
