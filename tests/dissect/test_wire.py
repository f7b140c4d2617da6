from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from workbench.dissect import wire
from workbench.dissect.wire import WireError, receive, send


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_a_message_and_a_descriptor_arrive(ends: tuple[socket.socket, socket.socket]) -> None:
    readable, writable = os.pipe()
    send(ends[0], {"do": "list", "text": "\udcff€"}, readable)
    message, fd = receive(ends[1])
    assert message == {"do": "list", "text": "\udcff€"}
    assert fd is not None
    assert not os.get_inheritable(fd)
    os.write(writable, b"x")
    assert os.read(fd, 1) == b"x"
    for one in (readable, writable, fd):
        os.close(one)


def test_a_large_message_arrives(ends: tuple[socket.socket, socket.socket]) -> None:
    thread = threading.Thread(target=send, args=(ends[0], "x" * 3_000_000))
    thread.start()
    assert receive(ends[1])[0] == "x" * 3_000_000
    thread.join()


def test_a_message_that_claims_too_much_is_refused(ends: tuple[socket.socket, socket.socket]) -> None:
    ends[0].sendall(struct.pack(">I", wire.LARGEST + 1))
    with pytest.raises(WireError, match="bytes"):
        receive(ends[1])


def test_a_message_too_large_is_not_sent(ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LARGEST", 10)
    with pytest.raises(wire.TooLargeError):
        send(ends[0], "x" * 20)
    send(ends[0], "x")
    assert receive(ends[1])[0] == "x"


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_message_is_refused(ends: tuple[socket.socket, socket.socket], body: bytes) -> None:
    ends[0].sendall(struct.pack(">I", len(body)) + body)
    with pytest.raises(WireError, match="no message"):
        receive(ends[1])


@pytest.mark.parametrize("sent", [b"", b"\0", struct.pack(">I", 10) + b"abc"])
def test_the_end_is_told(ends: tuple[socket.socket, socket.socket], sent: bytes) -> None:
    ends[0].sendall(sent)
    ends[0].close()
    with pytest.raises(WireError, match="gone"):
        receive(ends[1])


def test_the_deadline_is_kept(ends: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(TimeoutError):
        receive(ends[1], time.monotonic() + 0.01)
    ends[0].sendall(struct.pack(">I", 10) + b"abc")
    with pytest.raises(TimeoutError):
        receive(ends[1], time.monotonic() + 0.01)
