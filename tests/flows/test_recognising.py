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


def test_a_request_without_a_target() -> None:
    out = heard([Piece(0, 0, b"OPTIONS HTTP/1.1\r\nHost: x.example\r\n\r\n")])
    (row,) = out["http"].to_pylist()
    assert (row["method"], row["path"], row["version"], row["host"]) == ("OPTIONS", None, "1.1", "x.example")


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
BANNER = b"SSH-2.0-server\r\n"


@pytest.mark.parametrize(
    ("pieces", "service"),
    [
        ([Piece(0, 0, GET), Piece(1, 0, BANNER)], "ssh,http"),
        ([Piece(0, 0, GET), Piece(1, 0, BANNER[:3]), Piece(1, 3, BANNER[3:])], "ssh,http"),
        ([Piece(0, 0, GET), Piece(1, 0, b"SSH is not spoken here\r\n")], "http"),  # no version: it is an answer of no form
        ([Piece(0, 0, b"EHLO x\r\n"), Piece(1, 0, b"220 hello\r\n250 x\r\n")], "smtp"),
        ([Piece(1, 0, b"220 hello\r\n"), Piece(0, 0, GET)], "http"),  # what speaks against a recognised direction must be plain
    ],
    ids=["banner", "in pieces", "almost", "alike", "greeting"],
)
def test_each_direction_is_what_it_says_beyond_doubt(pieces: list[Piece], service: str) -> None:
    assert services(heard(pieces, port=8022)) == [service]


def test_both_sides_of_a_misunderstanding_have_rows() -> None:
    out = heard([Piece(0, 0, GET), Piece(1, 0, BANNER)], port=22)
    assert [(row["method"], row["status"]) for row in out["http"].to_pylist()] == [("GET", None)]
    assert [(row["client"], row["server"]) for row in out["ssh"].to_pylist()] == [(None, "SSH-2.0-server")]


def test_a_long_key_exchange_is_passed_over_and_listened_behind() -> None:
    size = 40_000
    long = (size - 4).to_bytes(4, "big") + bytes([4, 20]) + bytes(16) + (60_000).to_bytes(4, "big") + bytes(size - 26)
    newkeys = bytes.fromhex("0000000c0a15") + bytes(10)
    pieces = [Piece(1, 0, BANNER)]
    pieces += [Piece(1, len(BANNER) + at, (long + newkeys)[at : at + 1400]) for at in range(0, size + 16, 1400)]
    end = len(BANNER) + size + 16
    pieces += [Piece(0, 0, b"SSH-2.0-client\r\n"), Piece(0, 16, newkeys), Piece(0, 32, b"x" * 48), Piece(1, end, b"x" * 48)]
    pieces += [Piece(0, 80, b"x" * 64), Piece(1, end + 48, b"x" * 32)]
    (row,) = heard(pieces, port=22)["ssh"].to_pylist()
    assert (row["server"], row["hassh_server"], row["authenticated"]) == ("SSH-2.0-server", None, True)


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
