"""Protocols that turn into TLS: where they do, both halves of the handshake are heard."""

from __future__ import annotations

import pytest

from tests.decode.application.tls_wire import CHANGE, DATA, client_hello, record, server_hello, sni
from tests.flows.test_streams import Piece, heard, services

CLIENT = record(22, client_hello(sni(b"inner.example.org"))) + CHANGE + DATA
SERVER = record(22, server_hello(cipher=0xC02F)) + CHANGE + DATA

#: What each side says in turn before the hellos: (side, bytes).
BEFORE = {
    "postgresql": [(0, bytes.fromhex("0000000804d2162f")), (1, b"S")],
    "mysql": [(1, b"\x0a\0\0\0\x0a8.0.36\0abc"[:14]), (0, b"\x20\0\0\x01" + bytes(32))],
    "xmpp": [
        (0, b"<stream:stream to='example.org' version='1.0'>"),
        (1, b"<stream:stream from='example.org'><stream:features><starttls/></stream:features>"),
        (0, b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
        (1, b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
    ],
    "imap": [(1, b"* OK ready\r\n"), (0, b"a STARTTLS\r\n"), (1, b"a OK begin\r\n")],
    "pop3": [(1, b"+OK ready\r\n"), (0, b"STLS\r\n"), (1, b"+OK begin\r\n")],
    "ftp": [(1, b"220 (vsFTPd 3.0.3)\r\n"), (0, b"AUTH TLS\r\n"), (1, b"234 go\r\n")],
    "socks": [(0, b"\x05\x01\0"), (1, b"\x05\0"), (0, b"\x05\x01\0\x01\x7f\0\0\x01\x01\xbb"), (1, b"\x05\0\0\x01" + bytes(6))],
}
PORTS = {"socks": 1080}


@pytest.mark.parametrize("name", BEFORE)
def test_both_halves_are_heard_behind_it(name: str) -> None:
    at = [0, 0]
    pieces = []
    for side, data in [*BEFORE[name], (0, CLIENT), (1, SERVER)]:
        pieces.append(Piece(side, at[side], data))
        at[side] += len(data)
    out = heard(pieces, port=PORTS.get(name, 4000))
    assert services(out) == [f"{name},tls"]
    (row,) = out["tls"].to_pylist()
    assert row["sni"] == "inner.example.org"
    assert row["cipher"] == "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
    assert row["established"] is True
    assert row["upgraded_from"] == name
