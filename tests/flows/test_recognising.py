"""What the engine takes first bytes for, where a signature asks for more than bytes, and what it makes of them."""

from __future__ import annotations

import pytest

from tests.decode.application import dcerpc_wire as rpc
from tests.flows.test_streams import Piece, heard, services

#: An answer whose id begins as RTCP does.
LIKE_RTCP = bytes.fromhex("99cc8180000100010000000007") + b"example\3com\0\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\5\0\4\xc0\0\2\1"


@pytest.mark.parametrize(
    ("line", "version"),
    [
        (b"GET /old\r\n", "0.9"),
        (b"GET /old\r\n\r\n", "0.9"),
        (b"TRACE /old HTTP/1.\nHost: x\n\n", "1."),
        (b"POST /old\r\n\r\n", None),
        (b"OPTIONS\r\n\r\n", None),
        (b"GET nothing\r\n\r\n", None),
    ],
)
def test_requests_without_a_whole_version(line: bytes, version: str | None) -> None:
    out = heard([Piece(0, 0, line), Piece(1, 0, b"<html>answer</html>\n")])
    rows = out["http"].to_pylist() if "http" in out else []
    assert [(row["path"], row["version"], row["status"]) for row in rows] == ([("/old", version, None)] if version else [])


@pytest.mark.parametrize(
    ("side", "data", "port", "proto", "service"),
    [
        (0, b"USER someone 8 * :Some One\r\n", 8000, 6, "irc"),
        (0, b"USER someone\r\n", 8000, 6, None),
        (1, b":irc.example.org NOTICE * :*** Looking up\r\n", 8000, 6, "irc"),
        (1, b":irc.example.org 001 someone :Welcome\r\n", 8000, 6, "irc"),
        (1, b":irc.example.org PRIVATE thing\r\n", 8000, 6, None),
        (1, b":nothing-behind-it\r\n", 8000, 6, None),
        (1, b"SSH-1.99-server-1.24 " + bytes(40) + b"\n", 22, 6, "ssh"),
        (1, b"SSH-x server\r\n", 22, 6, None),
        (0, b"<167>2016-05-24T09:50:52 host slapd: done\n", 514, 6, "syslog"),
        (0, b"<167>2016-05-24T09:50:52 host slapd: done\n", 2514, 6, None),
        (0, bytes.fromhex("81c9000701932db4") + bytes(24) + bytes.fromhex("81ca000101932db4"), 5005, 17, "rtcp"),
        (0, bytes.fromhex("81c9000701932db4") + bytes(20), 5005, 17, None),
        (1, LIKE_RTCP, 53, 17, "dns"),
    ],
)
def test_first_bytes(side: int, data: bytes, port: int, proto: int, service: str | None) -> None:
    assert services(heard([Piece(side, 0, data)], port=port, proto=proto)) == [service]


@pytest.mark.parametrize("opcode", [5, 6, 7, 8, 15])
def test_every_opcode_of_netbios_names(opcode: int) -> None:
    name = b"\x20" + b"CK" + b"CA" * 15 + b"\0"
    data = b"\x12\x34" + bytes([opcode << 3, 0]) + b"\0\1\0\0\0\0\0\0" + name + b"\0\x20\0\1"
    assert services(heard([Piece(0, 0, data)], port=137, proto=17)) == ["nbns"]


@pytest.mark.parametrize("order", ["<", ">"])
def test_calls_in_either_byte_order(order: str) -> None:
    there = rpc.bind((0, rpc.NETLOGON, 1), order=order) + rpc.request(4, b"n" * 80, call=2, order=order)
    out = heard([Piece(0, 0, there[:50]), Piece(0, 50, there[50:])], port=49668)
    assert [row["opnum"] for row in out["dcerpc"].to_pylist()] == [None, 4]
    assert services(out) == ["dcerpc"]
