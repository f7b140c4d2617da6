"""UDP ports for telemetry: where they are, who is heard, what the kernel had no room for."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator

import pytest

from workbench.errors import ExitCode, PortError, UsageError
from workbench.sources.allowed import Allowed
from workbench.sources.datagrams import Datagrams
from workbench.sources.listening import Listener, Place, is_place, read_place

HERE = "127.0.0.1"


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("ipfix://:4739", Place("ipfix", "", 4739)),
        ("netflow://", Place("netflow", "", 2055)),
        ("sflow://192.0.2.1", Place("sflow", "192.0.2.1", 6343)),
        ("ipfix://[2001:db8::1]:5000/", Place("ipfix", "2001:db8::1", 5000)),
    ],
)
def test_places(source: str, place: Place) -> None:
    assert is_place(source)
    assert read_place(source) == place


@pytest.mark.parametrize(
    "source",
    [
        "ipfix://:70000",
        "ipfix://2001:db8::1:5000",
        "netflow://[192.0.2.1]:1",
        "sflow://host:1",
        "ipfix://:-1",
        "ipfix://\x1b[2J:1",
    ],
)
def test_no_places(source: str) -> None:
    assert is_place(source)
    with pytest.raises(UsageError) as error:
        read_place(source)
    assert "\x1b" not in error.value.message


def test_what_is_no_collector() -> None:
    assert not any(map(is_place, ("eth0", "-", "ssh://user@dpu/p0", "ipfix")))


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener(Place("ipfix", HERE, 0))
    yield found
    found.close()


def test_a_port_that_is_taken_or_not_ours_is_refused_and_says_why(listener: Listener) -> None:
    with pytest.raises(PortError, match="another program listens there") as taken:
        Listener(listener.place)
    assert taken.value.exit_code is ExitCode.EXTERNAL
    assert str(listener.place.port) in taken.value.remedy
    with pytest.raises(PortError, match="no interface of this machine has that address"):
        Listener(Place("sflow", "192.0.2.77", 0))


def test_a_privileged_port_names_the_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", bind)
    with pytest.raises(PortError, match="CAP_NET_BIND_SERVICE"):
        Listener(Place("netflow", HERE, 99))


def test_datagrams_come_whole_in_order_with_sender_and_time(listener: Listener) -> None:
    reader = Datagrams(os.dup(listener.fd))
    before = time.time_ns()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.bind(("127.0.0.5", 0))
        sent = [b"one", b"", b"x" * 60_000]
        for data in sent:
            end.sendto(data, (HERE, listener.place.port))
        port = end.getsockname()[1]
    assert listener.waiting > 60_000
    after = time.time_ns()
    found = reader.take(1)
    assert [reader.buffer[d.start : d.end].tobytes() for d in found] == sent
    assert {(d.address, d.port) for d in found} == {("127.0.0.5", port)}
    assert all(before <= d.ts <= after for d in found)
    assert reader.take(0) == []
    assert listener.waiting == 0
    reader.close()


def test_both_families_are_heard_where_no_address_is_given() -> None:
    listener = Listener(Place("sflow", "", 0))
    reader = Datagrams(os.dup(listener.fd))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.sendto(b"four", (HERE, listener.place.port))
    assert [d.address for d in reader.take(1)] == [HERE]
    reader.close()
    listener.close()


def test_what_the_kernel_drops_is_known_and_nothing_is_taken_after_the_end(listener: Listener) -> None:
    reader = Datagrams(os.dup(listener.fd))
    assert listener.dropped == 0
    listener._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        for _ in range(100):
            end.sendto(bytes(1000), (HERE, listener.place.port))
        listener.take_no_more()
        taken = len(reader.take(0))
        assert taken
        assert listener.dropped == 100 - taken
        end.sendto(b"late", (HERE, listener.place.port))
    assert reader.take(0) == []
    reader.close()


def test_who_may_send() -> None:
    some = Allowed(["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"])
    assert all(address in some for address in ("192.0.2.200", "2001:db8::5", "198.51.100.7"))
    assert not any(address in some for address in ("192.0.3.1", "2001:db9::5", "198.51.100.8"))
    assert "203.0.113.1" in Allowed([])
    with pytest.raises(UsageError, match="no address or network"):
        Allowed(["192.0.2.0/33"])
