"""The process that pyshark and tshark live in: `python -m workbench.dissect.child FD`, started by dissector.py only.

It gives up its rights, says which tshark it found, then answers one request at a time on the socket FD until that
closes. A request carries the capture as a file descriptor that becomes tshark's standard input: nothing is written
to disk, and tshark needs no right to open anything.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Final

from workbench.dissect import info, masking, sandbox
from workbench.dissect.allowed import allowed
from workbench.dissect.catalogue import Catalogue, build
from workbench.dissect.reading import Capture, EndedError, Pieces, TooMuchError
from workbench.dissect.wire import TooLargeError, WireError, receive, send

_VERSION: Final = re.compile(rb"\d+\.\d+\.\d+")
_SECONDS: Final = 15.0
#: Lines are sent in this many at most.
MOST_LINES: Final = 50_000
#: The most that a catalogue read from a descriptor may be, bytes.
_CATALOGUE: Final = 64 << 20


def main() -> None:
    """Serve until the other end closes."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    sandbox.watch(sock)
    try:
        serve(sock)
    except WireError:
        return


def serve(sock: socket.socket) -> None:
    """The greeting, then requests."""
    hello, fd = receive(sock)
    allowed()  # files are read and modules loaded while they can be: they may stand where only root can read
    asyncio.new_event_loop().close()
    try:
        who = sandbox.confine()
    except OSError as error:
        send(sock, {"error": "rights", "detail": str(error)})
        return
    for name in [name for name in os.environ if name.startswith("PYTHON")]:
        del os.environ[name]
    try:
        catalogue, made = _catalogue(hello["tshark"], fd)
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        send(sock, {"error": "tshark", "detail": type(error).__name__})
        return
    send(sock, {"version": catalogue.version, "missing": catalogue.missing, "who": who, "made": made})
    while True:
        request, fd = receive(sock)
        answer = _answer(request, fd, hello["tshark"], catalogue, bool(hello["unmask"]))
        try:
            send(sock, answer)
        except TooLargeError:
            send(sock, {"error": "much"})


def _answer(request: Any, fd: int | None, tshark: str, catalogue: Catalogue, unmask: bool) -> dict[str, Any]:
    if fd is None:
        return {"error": "request"}
    sandbox.allot_processor()
    if request["do"] == "list":
        names = [*info.fields(catalogue), *([info.WHOLE] if unmask else [])]
        parser = Pieces(b'{"timestamp"', b"\n", lambda piece: info.row(piece, catalogue, unmask=unmask))
        options = ["-E", "occurrence=a", *(word for name in names for word in ("-e", name))]
        return _run(Capture(fd, tshark, catalogue.version, "ek", parser, options), min(request["limit"], MOST_LINES))
    number = int(request["number"])
    parser = Pieces(b"<packet>", b"</packet>", lambda piece: masking.rows(masking.parse(piece), catalogue, unmask=unmask))
    last = number + min(int(request["count"]), MOST_LINES) - 1
    options = ["-Y", f"frame.number >= {number}", "-c", str(last)]
    return _run(Capture(fd, tshark, catalogue.version, "pdml", parser, options), last - number + 1)


def _run(capture: Capture, most: int) -> dict[str, Any]:
    """What was found; with `error` where tshark or what it said failed."""
    found: list[Any] = []
    problem: dict[str, Any] = {}
    try:
        found.extend(capture.packets(most))
    except TooMuchError:
        problem = {"error": "much"}
    except EndedError as error:
        problem = {"error": "ended", "code": error.code}
    except masking.PacketTooStrangeError:
        problem = {"error": "strange"}
    except (OSError, MemoryError, RuntimeError, ValueError) as error:
        problem = {"error": "child", "detail": type(error).__name__}
    finally:
        capture.close()
    return {"found": found, **problem}


def _catalogue(tshark: str, fd: int | None) -> tuple[Catalogue, str]:
    """The catalogue given by its descriptor, or a new one and its bytes as text (latin-1), for keeping."""
    if fd is not None:
        with os.fdopen(fd, "rb") as file:
            try:
                return Catalogue(file.read(_CATALOGUE)), ""
            except (ValueError, KeyError, TypeError):
                pass
    version = _VERSION.search(b"".join(_lines(tshark, "--version")))
    if version is None:
        raise ValueError("it does not say its version")
    data = build(version.group().decode(), *(_lines(tshark, "-G", about) for about in ("protocols", "fields", "values")))
    return Catalogue(data), data.decode("latin-1")


def _lines(*words: str) -> Iterator[bytes]:
    """What a program prints, line by line. SubprocessError where it fails."""
    with subprocess.Popen(  # noqa: S603  the program is tshark, by its path, with words of our own
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        yield from process.stdout
        if process.wait(_SECONDS):
            raise subprocess.SubprocessError


if __name__ == "__main__":
    main()
