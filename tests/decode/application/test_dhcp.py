from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decode.application.dhcp_wire import COOKIE, MAC, bootp, ip, lease6, option4, option6, prefix6, relayed, version6
from tests.decode.application.dns_wire import name
from tests.decode.application.feeding import Said, context, feed, survive
from tests.decode.application.mutations import mutated
from workbench.decode.application.dhcp import PROTOCOL
from workbench.decode.application.protocol import Malformed, Message
from workbench.records.columns import BY_NAME

V4 = context("udp", 68, 67)
V6 = context("udp", 546, 547)
DISCOVER = bootp(
    option4(53, b"\1") + option4(50, ip("192.0.2.10")) + option4(12, b"laptop-7\0") + option4(60, b"MSFT 5.0") + b"\0\0"
    + option4(55, bytes([1, 3, 6, 15])) + option4(61, b"\1" + MAC) + b"\xff" + bytes(20)
)  # fmt: skip
OFFER = bootp(
    option4(53, b"\2") + option4(54, ip("192.0.2.1")) + option4(51, b"\xff" * 4) + option4(3, ip("192.0.2.1") + ip("192.0.2.2"))
    + option4(6, ip("192.0.2.3")) + option4(15, b"corp.example") + b"\xff",
    op=2, yours="192.0.2.10", relay="198.51.100.1",
)  # fmt: skip
DUID = b"\0\1\0\1" + b"\x2b\x4d\x00\x00" + MAC
SOLICIT = version6(
    1, option6(1, DUID), option6(6, b"\0\x17\0\x18"), option6(16, b"\0\0\1\x37\0\x08MSFT 5.0"),
    option6(39, b"\0" + name("Laptop-7.corp.example")),
    lease6("2001:db8::7", 0),
)  # fmt: skip
REPLY = version6(
    7, option6(1, b"\0\3\0\1" + MAC), option6(12, ip("2001:db8::1")), option6(23, ip("2001:db8::53") + ip("2001:db8::54")),
    option6(24, name("corp.example") + name("example")), lease6("2001:db8::7", 3600), lease6("2001:db8::8", 60, 4),
)  # fmt: skip


def row(data: bytes, given: Any = V4) -> dict[str, Any]:
    (found,) = feed(PROTOCOL, [(0, data)], given)
    assert set(found) <= set(BY_NAME["dhcp"].names)
    assert found.pop("ts") == 0
    return {key: value for key, value in found.items() if value is not None}


def test_a_client_asks() -> None:
    assert row(DISCOVER) == {
        "version": "4",
        "xid": 0xDEADBEEF,
        "message": "DISCOVER",
        "client_mac": "02:00:5e:00:12:34",
        "client_ip": "192.0.2.10",
        "host_name": "laptop-7",
        "vendor": "MSFT 5.0",
        "parameters": "1,3,6,15",
        "client_id": "01" + MAC.hex(),
    }


def test_a_server_offers() -> None:
    assert row(OFFER) == {
        "version": "4",
        "xid": 0xDEADBEEF,
        "message": "OFFER",
        "client_mac": "02:00:5e:00:12:34",
        "assigned_ip": "192.0.2.10",
        "relay_ip": "198.51.100.1",
        "server_ip": "192.0.2.1",
        "lease": 0xFFFFFFFF,
        "routers": "192.0.2.1,192.0.2.2",
        "dns_servers": "192.0.2.3",
        "domain": "corp.example",
    }


@pytest.mark.parametrize(
    ("options", "column", "value"),
    [
        (option4(81, b"\0\0\0PC.corp.example"), "host_name", "PC"),
        (option4(81, b"\4\0\0" + name("pc.corp.example")), "host_name", "pc"),
        (option4(81, b""), "host_name", None),
        (option4(81, b"\4\0\0\0"), "host_name", None),
        (option4(12, b"a") + option4(81, b"\0\0\0b.c"), "host_name", "a"),
        (option4(12, b"lap") + option4(12, b"top"), "host_name", "laptop"),  # RFC 3396
        (option4(53, b"\x63"), "message", "TYPE99"),
        (option4(53, b""), "message", "BOOTREQUEST"),
        (option4(51, b"\1"), "lease", None),
        (option4(54, b"\1"), "server_ip", None),
        (option4(60, b"\xff\x1b[2J"), "vendor", "\\xff\x1b[2J"),
        (option4(3, b"\1\2\3"), "routers", None),
        (option4(55, b""), "parameters", None),
        (option4(61, bytes(255)), "client_id", "00" * 64),
    ],
)
def test_options_of_version_4(options: bytes, column: str, value: object) -> None:
    assert row(bootp(options + b"\xff")).get(column) == value


def test_options_overflow_into_the_fields_of_bootp() -> None:
    data = bootp(option4(52, b"\3") + b"\xff", sname=option4(12, b"name"), file=option4(53, b"\3") + b"\xff")
    assert (row(data)["message"], row(data)["host_name"]) == ("REQUEST", "name")
    alone = bootp(option4(52, b"\2") + b"\xff", sname=option4(12, b"name"), file=option4(53, b"\3") + b"\xff")
    assert (row(alone)["message"], row(alone)["host_name"]) == ("BOOTREQUEST", "name")


def test_bootp_is_older() -> None:
    assert row(bootp(cookie=b"", client="192.0.2.4"))["client_ip"] == "192.0.2.4"
    assert row(bootp(cookie=b"", op=2)[:44])["message"] == "BOOTREPLY"
    other = bytearray(bootp())
    other[1] = 32  # InfiniBand: no MAC
    assert "client_mac" not in row(bytes(other))


def test_a_client_solicits() -> None:
    assert row(SOLICIT, V6) == {
        "version": "6",
        "xid": 0x123456,
        "message": "SOLICIT",
        "client_id": DUID.hex(),
        "client_mac": "02:00:5e:00:12:34",
        "parameters": "23,24",
        "vendor": "MSFT 5.0",
        "host_name": "Laptop-7",
        "client_ip": "2001:db8::7",
        "lease": 0,
    }


def test_a_server_replies_through_relays() -> None:
    expected = {
        "version": "6",
        "xid": 0x123456,
        "message": "REPLY",
        "client_id": "00030001" + MAC.hex(),
        "client_mac": "02:00:5e:00:12:34",
        "server_ip": "2001:db8::1",
        "dns_servers": "2001:db8::53,2001:db8::54",
        "domain": "corp.example",
        "assigned_ip": "2001:db8::7",
        "lease": 3600,
    }
    assert row(REPLY, V6) == expected
    inner = relayed(13, "2001:db8:5::1", option6(18, b"port-7"), option6(9, REPLY))
    assert row(relayed(13, "::", option6(9, inner)), V6) == expected | {"relay_ip": "2001:db8:5::1"}
    assert row(relayed(12, "2001:db8:5::1"), V6) == {"version": "6", "message": "RELAY-FORW", "relay_ip": "2001:db8:5::1"}


def test_relays_without_end_are_not_followed() -> None:
    data = REPLY
    for _ in range(20):
        data = relayed(13, "2001:db8:5::1", option6(9, data))
    assert row(data, V6)["message"] == "RELAY-REPL"


def test_prefixes_are_given_too() -> None:
    found = row(version6(7, prefix6("2001:db8:1200::", 40, 7200), option6(39, b"\0"), option6(1, b"\0\2\0\0\0\x09abc")), V6)
    assert (found["assigned_ip"], found["lease"], found["client_id"]) == ("2001:db8:1200::/40", 7200, "000200000009616263")
    assert "client_mac" not in found
    assert "assigned_ip" not in row(version6(7, option6(3, bytes(12) + option6(5, bytes(4)) + option6(26, b""))), V6)


@pytest.mark.parametrize(
    ("data", "given", "message"),
    [
        (bootp(option4(53, b"\1") + b"\x0c\x40ab"), V4, "DISCOVER"),
        (bootp(option4(53, b"\1") + b"\x0c"), V4, "DISCOVER"),
        (version6(1) + b"\0\1\0\x50abc", V6, "SOLICIT"),
        (version6(1) + b"\0\1", V6, "SOLICIT"),
        (relayed(12, "::1")[:30], V6, "RELAY-FORW"),
        (relayed(12, "::1", option6(9, b"\1\0")), V6, "SOLICIT"),
    ],
)
def test_what_stands_before_the_damage_is_kept_and_the_damage_counted(data: bytes, given: Any, message: str) -> None:
    assert PROTOCOL.reader
    reader = PROTOCOL.reader(given)
    rows = []
    with pytest.raises(Malformed):
        rows.extend(reader.message(Message(0, 0, data, len(data))))
    cut = list(PROTOCOL.reader(given).message(Message(0, 0, data, len(data) + 1)))
    assert [found["message"] for _, found in cut] == [message]
    assert [found["message"] for _, found in rows or cut] == [message]
    assert reader.services == ["dhcp"]


@pytest.mark.parametrize(
    ("data", "given"), [(b"\1\1\6" + bytes(30), V4), (b"\3" + bytes(300), V4), (b"\1", V6), (b"\x63\0\0\0", V6)]
)
def test_what_is_not_dhcp_is_refused(data: bytes, given: Any) -> None:
    assert survive(PROTOCOL, [(0, data)], given) == 1
    assert PROTOCOL.reader
    assert PROTOCOL.reader(given).services == []


WHOLE = [DISCOVER, OFFER, SOLICIT, REPLY, relayed(13, "2001:db8:5::1", option6(9, REPLY)), COOKIE, bootp()]


@settings(max_examples=80, deadline=None)
@given(mutated(WHOLE), st.sampled_from([V4, V6]))
def test_nothing_but_malformed_comes_of_any_bytes(said: list[Said], given: Any) -> None:
    assert survive(PROTOCOL, said, given) <= len(said)
