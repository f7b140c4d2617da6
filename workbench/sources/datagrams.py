"""Datagrams of a UDP socket, as many at once as have arrived, into one buffer without a copy in between.

The kernel stamps each with the time it came: one that waited is not younger for it.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.sources.listening import TIMESTAMPS

#: No UDP datagram is longer.
_LONGEST: Final = 65536
_ROOM: Final = 4 << 20
#: Taken at once at most: what is read and not yet decoded is lost where the decoder dies.
_MOST: Final = 1024
_TIMESPEC: Final = struct.Struct("@ll")
_CONTROL: Final = socket.CMSG_SPACE(_TIMESPEC.size)
_MAPPED: Final = "::ffff:"


class Datagram(NamedTuple):
    """Bytes start:end of the buffer. ts: ns since 1970; address, port: of whoever sent it."""

    start: int
    end: int
    ts: int
    address: str
    port: int


class Datagrams:
    """Reads a socket that another process may have bound."""

    def __init__(self, fd: int) -> None:
        """fd: is taken over."""
        self._socket = socket.socket(fileno=fd)
        os.set_inheritable(fd, False)
        self._socket.setblocking(False)
        self.buffer: NDArray[np.uint8] = np.empty(_ROOM, np.uint8)
        self._view = memoryview(self.buffer)  # type: ignore[arg-type]  # NumPy does not say that it can
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def take(self, seconds: float) -> list[Datagram]:
        """What has arrived; waits so long for the first. It stands in `buffer` until the next call."""
        found: list[Datagram] = []
        if not self._poll.poll(round(seconds * 1000)):
            return found
        at, receive, view = 0, self._socket.recvmsg_into, self._view
        while len(found) < _MOST and at + _LONGEST <= _ROOM:
            try:
                size, told, _, sender = receive([view[at : at + _LONGEST]], _CONTROL)
            except BlockingIOError:
                break
            except OSError:  # the next call says whether it passes
                break
            address = sender[0].removeprefix(_MAPPED)
            found.append(Datagram(at, at + size, _stamped(told), address.partition("%")[0], sender[1]))
            at += size
        return found

    def close(self) -> None:
        """Read no more; whoever bound the socket still has it."""
        self._socket.close()


def _stamped(told: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in told:
        if level == socket.SOL_SOCKET and kind == TIMESTAMPS and len(data) == _TIMESPEC.size:
            seconds, nanos = _TIMESPEC.unpack(data)
            return int(seconds) * 1_000_000_000 + int(nanos)
    return time.time_ns()
