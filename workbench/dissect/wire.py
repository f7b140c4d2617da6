"""The pipe between the program and its child: a length, then JSON; with a request may come a file descriptor.

Both ends bound what they take: the child is fed by wire bytes through a large C program, so what it says is hostile too.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from typing import Any, Final

#: The largest message taken, bytes. A catalogue of tshark's fields is about 15 MB.
LARGEST: Final = 48 << 20
_HEADER: Final = struct.Struct(">I")


class WireError(Exception):
    """The other end is gone, is late, or said what cannot be."""


class TooLargeError(WireError):
    """A message that the other end would not take; nothing of it was sent."""


def send(sock: socket.socket, message: Any, fd: int | None = None) -> None:
    """One message, with a descriptor if given. TooLargeError; WireError where the other end is gone."""
    body = json.dumps(message, separators=(",", ":"), ensure_ascii=True).encode()
    if len(body) > LARGEST:
        raise TooLargeError(f"a message of {len(body)} bytes")
    try:
        if fd is None:
            sock.sendall(_HEADER.pack(len(body)))
        else:
            socket.send_fds(sock, [_HEADER.pack(len(body))], [fd])
        sock.sendall(body)
    except OSError as error:
        raise WireError("the other end is gone") from error


def receive(sock: socket.socket, deadline: float | None = None) -> tuple[Any, int | None]:
    """The next message and its descriptor. deadline: of time.monotonic(); TimeoutError once it has passed.

    WireError at the end, or for what is no message.
    """
    header, fd = b"", None
    while len(header) < _HEADER.size:
        _wait(sock, deadline)
        try:
            got, fds, _flags, _address = socket.recv_fds(sock, _HEADER.size - len(header), 1)
        except TimeoutError:
            raise
        except OSError as error:
            raise WireError("the other end is gone") from error
        for new in fds:
            fd = _keep(fd, new)
        if not got:
            raise WireError("the other end is gone")
        header += got
    (size,) = _HEADER.unpack(header)
    if size > LARGEST:
        raise WireError(f"a message of {size} bytes")
    try:
        return json.loads(_body(sock, size, deadline)), fd
    except (ValueError, RecursionError) as error:
        raise WireError("what came is no message") from error


def _keep(old: int | None, new: int) -> int:
    os.set_inheritable(new, False)
    if old is not None:
        os.close(old)
    return new


def _body(sock: socket.socket, size: int, deadline: float | None) -> bytearray:
    body = bytearray(size)
    view, done = memoryview(body), 0
    while done < size:
        _wait(sock, deadline)
        try:
            got = sock.recv_into(view[done : done + (1 << 20)])
        except TimeoutError:
            raise
        except OSError as error:
            raise WireError("the other end is gone") from error
        if not got:
            raise WireError("the other end is gone")
        done += got
    return body


def _wait(sock: socket.socket, deadline: float | None) -> None:
    if deadline is None:
        sock.settimeout(None)
        return
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    sock.settimeout(left)
