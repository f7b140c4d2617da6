"""Packets to lines and trees: the program's side of the child process.

The child is started at the first question and again after it was ended: by its time limit, by `cancel` from another
thread, or by itself. Ending it kills its whole process group, tshark included; it ends by itself when this process does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from workbench.dissect import kept, sandbox
from workbench.dissect.lines import Line, Node, line_from, node_from
from workbench.dissect.packets_only import LARGEST, packets_only
from workbench.dissect.tshark import INSTALL, Tshark, tshark_path
from workbench.dissect.wire import WireError, receive, send
from workbench.errors import BadInputError, CancelledError, ExternalError

#: The first start with a new version reads all of tshark's fields and values; seconds on top of the time limit.
_FIRST: Final = 40.0


#: Named here, since `list` is a method below.
Lines = list[Line]
Nodes = list[Node]
Trees = list[list[Node]]
_Rows = list[Any]


class Dissector:
    """Asks tshark about packets, through pyshark in a process of its own. One question at a time; close it.

    unmask: show every field's value (the caller has written the audit entry). timeout: seconds for one question.
    cache: the folder that tshark's catalogue is kept in; None keeps none.
    """

    def __init__(self, *, unmask: bool = False, timeout: float = 20.0, cache: Path | None = None) -> None:
        self._path = tshark_path()
        self.unmask, self._timeout, self._cache = unmask, timeout, cache
        self._asking = threading.Lock()
        self._state = threading.Lock()
        self._cancelled = False
        self._process: subprocess.Popen[bytes] | None = None
        self._sock: socket.socket | None = None
        self._about: Tshark | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def version(self) -> str:
        """tshark's version. Starts the child; ExternalError where it cannot."""
        return self.about().version

    def about(self) -> Tshark:
        """Which tshark answers, and what of the allow-list it lacks."""
        with self._asking:
            self._cancelled = False
            self._child(time.monotonic() + self._timeout)
            assert self._about is not None
            return self._about

    def list(self, pcapng: bytes | Path, limit: int) -> Lines:
        """The first `limit` packets, a line each.

        BadInputError for what is no pcapng; ExternalError where tshark fails or is late; CancelledError.
        """
        found = self._ask({"do": "list", "limit": max(0, limit)}, pcapng)
        return _lines(found)

    def tree(self, pcapng: bytes | Path, number: int) -> Nodes:
        """The tree of one packet, by its place from 1; those before it let tshark put streams together.

        Raises as `list` does; BadInputError too where there is no such packet.
        """
        found = self.trees(pcapng, number, 1)
        if not found:
            raise BadInputError(f"there is no packet {number} to dissect")
        return found[0]

    def trees(self, pcapng: bytes | Path, first: int, count: int) -> Trees:
        """The trees of `count` packets from `first` on, as many as there are."""
        found = self._ask({"do": "tree", "number": max(1, first), "count": max(1, count)}, pcapng)
        return [_nodes(rows) for rows in found]

    def cancel(self) -> None:
        """End what is being asked, from any thread; the question raises CancelledError."""
        self._cancelled = True
        self._kill()

    def close(self) -> None:
        """End the child and all it started."""
        self._kill()
        with self._state:
            sock, self._sock = self._sock, None
            process, self._process = self._process, None
        if sock is not None:
            sock.close()
        if process is not None:
            process.wait()

    # -- the child --------------------------------------------------------------------------------

    def _ask(self, request: dict[str, Any], pcapng: bytes | Path) -> _Rows:
        data = packets_only(pcapng if isinstance(pcapng, bytes) else _read(pcapng))
        with self._asking:
            self._cancelled = False
            deadline = time.monotonic() + self._timeout
            sock = self._child(deadline)
            answer = self._told(sock, request, data, deadline)
        return self._checked(answer)

    def _told(self, sock: socket.socket, request: dict[str, Any], data: bytes, deadline: float) -> Any:
        with _as_file(data) as fd:
            try:
                send(sock, request, fd)
                return receive(sock, deadline)[0]
            except (TimeoutError, WireError) as error:
                raise self._failure(error) from error

    def _child(self, deadline: float) -> socket.socket:
        """The socket of a child that has greeted; started if need be."""
        if self._sock is not None and self._process is not None and self._process.poll() is None:
            return self._sock
        self.close()
        stamp = kept.stamp(self._path)
        with kept.opened(self._cache, stamp) as catalogue:
            sock = self._start()
            try:
                send(sock, {"tshark": self._path, "unmask": self.unmask}, catalogue)
                about = receive(sock, deadline if catalogue is not None else deadline + _FIRST)[0]
            except (TimeoutError, WireError) as error:
                raise self._failure(error) from error
        try:
            if "error" in about:
                raise _refused(about)
            self._about = Tshark(self._path, str(about["version"]), tuple(str(name) for name in about["missing"]))
            made = str(about["made"])
        except (KeyError, TypeError) as error:
            raise self._failure(error) from error
        except ExternalError:
            self.close()
            raise
        if made:
            kept.keep(self._cache, stamp, made.encode("latin-1", "replace"))
        return sock

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        paths = os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path)  # as this process finds modules
        with theirs:
            try:
                process = subprocess.Popen(  # noqa: S603  this interpreter, a module of ours
                    [sys.executable, "-P", "-B", "-m", "workbench.dissect.child", str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env={**sandbox.environment(os.defpath), "PYTHONPATH": paths},
                    pass_fds=[theirs.fileno()],
                    cwd="/",
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise ExternalError(f"the process for tshark cannot be started: {error.strerror}") from error
        with self._state:
            self._process, self._sock = process, ours
        if self._cancelled:
            self._kill()
        return ours

    def _kill(self) -> None:
        """End the child's process group, if it is still there; its leader is not waited for, so the number is its own."""
        with self._state:
            process = self._process
            if process is not None and process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)

    def _failure(self, error: Exception) -> ExternalError | CancelledError:
        """What to raise when the child is late or gone; nothing of it is left."""
        self.close()
        if self._cancelled:
            return CancelledError("dissecting was cancelled")
        if isinstance(error, TimeoutError):
            return ExternalError(
                f"tshark did not answer within {self._timeout:g} s and was ended",
                "Choose fewer packets, or a shorter part of the flow.",
            )
        return ExternalError(
            "the process that dissects packets ended unexpectedly", "Choose fewer packets; see `workbench doctor`."
        )

    def _checked(self, answer: Any) -> _Rows:
        """What was found, or the error that the answer speaks of."""
        if not isinstance(answer, dict):
            raise self._failure(WireError())
        match answer.get("error"):
            case None:
                found = answer.get("found")
                if isinstance(found, list):
                    return found
                raise self._failure(WireError())
            case "ended":
                code = int(answer.get("code", 0))
                how = f"signal {-code}" if code < 0 else f"exit code {code}"
                told = len(answer.get("found", ()))
                raise ExternalError(
                    f"tshark failed ({how}) after {told} packets", "Choose other packets, or another version of tshark."
                )
            case "much":
                raise ExternalError("tshark said more of these packets than is taken", "Choose fewer packets, or an earlier one.")
            case "strange":
                raise ExternalError("what tshark said of this packet cannot be read", "Choose another packet.")
            case _:
                raise self._failure(WireError())


def find_tshark(cache: Path | None = None) -> Tshark:
    """The installed tshark with its version. ExternalError where there is none, or it does not answer."""
    with Dissector(cache=cache) as dissector:
        return dissector.about()


def _lines(found: _Rows) -> Lines:
    try:
        return [line_from(row) for row in found]
    except (ValueError, TypeError) as error:
        raise ExternalError("the process that dissects packets said what cannot be") from error


def _nodes(found: _Rows) -> Nodes:
    try:
        return [node_from(row) for row in found]
    except (ValueError, TypeError, RecursionError) as error:
        raise ExternalError("the process that dissects packets said what cannot be") from error


def _refused(about: dict[str, Any]) -> ExternalError:
    if about["error"] == "rights":
        return ExternalError(
            f"tshark is not run as root, and root's rights cannot be given up here ({about.get('detail')})",
            "Run the command as an ordinary user.",
        )
    return ExternalError("tshark is installed but does not answer", f"Try `tshark --version`. {INSTALL}")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}") from error


@contextlib.contextmanager
def _as_file(data: bytes) -> Any:
    """A descriptor of a file without a name that holds the bytes, at its start; in memory where the system can."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("packets", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    with os.fdopen(fd, "r+b", buffering=0) as handle:
        view = memoryview(data)
        while view:
            view = view[handle.write(view) :]
        handle.seek(0)
        yield fd
