from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings

from tests.decode.application import login_wire as wire
from tests.decode.application.damage import conversation, survive
from tests.decode.application.rows import fits, plain
from workbench.decode.application.kerberos import PROTOCOL, KerberosReader
from workbench.decode.application.protocol import MOST_WAITING, Context, Malformed, Message, Signature

TGT = ("krbtgt", "CORP.EXAMPLE")


def reader(transport: str = "udp") -> KerberosReader:
    return KerberosReader(Context(transport, 50000, 88, wire.hashed))  # type: ignore[arg-type]


def said(data: bytes, side: int = 0, ts: int = 0, missing: int = 0) -> Message:
    return Message(ts, side, data, len(data) + missing)


def test_a_request_without_preauthentication_and_then_with() -> None:
    client = reader()
    assert list(client.message(said(wire.kdc_request(10, TGT)))) == []
    (first,) = client.message(said(wire.krb_error(25), 1, 900))
    assert plain(first) == {
        "type": "AS",
        "etypes": "aes256-cts-hmac-sha1-96,aes128-cts-hmac-sha1-96,rc4-hmac",
        "error": "KDC_ERR_PREAUTH_REQUIRED",
        "service": "krbtgt/CORP.EXAMPLE",
        "realm": "CORP.EXAMPLE",
        "client_hash": "hash(alice)",
        "preauth": "PA-PAC-REQUEST",
        "options": "forwardable,renewable,canonicalize,renewable-ok",
        "answered": True,
        "rtt_us": 900,
    }
    list(client.message(said(wire.kdc_request(10, TGT, padata=(2, 128)), 0, 1000)))
    (second,) = client.message(said(wire.kdc_reply(11, TGT), 1, 1500))
    assert plain(second)["preauth"] == "PA-ENC-TIMESTAMP,PA-PAC-REQUEST"
    assert plain(second)["ticket_etype"] == plain(second)["reply_etype"] == "aes256-cts-hmac-sha1-96"
    assert client.services == ["kerberos"]


def test_a_ticket_for_a_service_over_tcp() -> None:
    client = reader("tcp")
    asked = wire.kdc_request(12, ("MSSQLSvc", "db01.corp.example:1433"), client=None, etypes=(23, -135, 99), padata=(1, 1234))
    list(client.message(said(len(asked).to_bytes(4, "big") + asked)))
    told = wire.kdc_reply(13, ("MSSQLSvc", "db01.corp.example:1433"), etype=23)
    (row,) = client.message(said(len(told).to_bytes(4, "big") + told, 1, 5))
    found = plain(row)
    assert (found["type"], found["service"]) == ("TGS", "MSSQLSvc/db01.corp.example:1433")
    assert (found["ticket_etype"], found["reply_etype"]) == ("rc4-hmac", "aes256-cts-hmac-sha1-96")
    assert (found["etypes"], found["preauth"]) == ("rc4-hmac,rc4-hmac-old-exp,etype_99", "PA-TGS-REQ,pa_1234")
    assert found["client_hash"] == "hash(alice)"


def test_what_is_answered_by_nobody_and_answers_to_nothing() -> None:
    client = reader()
    list(client.message(said(wire.kdc_request(12, ("cifs", "fs1")), 0, 7)))
    (alone,) = client.message(said(wire.kdc_reply(11, TGT), 1, 9))
    assert alone[1]["ts"] == 9
    assert plain(alone)["type"] == "AS"
    assert "rtt_us" not in plain(alone)
    (left,) = client.end()
    assert left[1]["ts"] == 7
    assert plain(left)["answered"] is False
    (error,) = client.message(said(wire.krb_error(7777), 1))
    assert (plain(error)["type"], plain(error)["error"]) == ("ERROR", "error_7777")


def test_a_cut_request_says_what_is_there() -> None:
    client = reader("tcp")
    asked = wire.kdc_request(12, ("cifs", "fs1"), padata=(1, 129))
    data = len(asked).to_bytes(4, "big") + asked
    list(client.message(said(data[:80], 0, 0, len(data) - 80)))
    (row,) = client.end()
    assert plain(row)["preauth"] == "PA-TGS-REQ,PA-FOR-USER"
    assert "service" not in plain(row)


def test_no_more_wait_than_may() -> None:
    client = reader()
    rows = [row for n in range(MOST_WAITING + 3) for row in client.message(said(wire.kdc_request(10, TGT), 0, n))]
    assert [row[1]["ts"] for row in rows] == [0, 1, 2]
    assert len(list(client.end())) == MOST_WAITING


@pytest.mark.parametrize(
    "data",
    [
        b"",
        wire.ticket(TGT),  # [APPLICATION 1], no message
        wire.kdc_request(10, TGT).replace(b"\xa1\x03\x02\x01\x05", b"\xa1\x03\x02\x01\x04", 1),  # version 4
        b"\x6b" + wire.kdc_request(10, TGT)[1:],  # the tag says reply
        wire.kdc_request(10, TGT)[:-3],
    ],
)
def test_what_is_not_kerberos_is_malformed(data: bytes) -> None:
    client = reader()
    with pytest.raises(Malformed):
        list(client.message(said(data)))
    assert client.services == []


VALID = (
    wire.kdc_request(10, TGT),
    wire.kdc_reply(11, TGT),
    wire.kdc_request(12, ("http", "web")),
    wire.kdc_reply(13, ("http", "web")),
    wire.ap_request(),
    wire.ap_reply(),
    wire.krb_error(24),
)


@given(conversation(VALID))
@settings(max_examples=60, deadline=None)
def test_damaged_messages(said: list[tuple[int, bytes, int]]) -> None:
    survive(reader(), said, fits)


def agrees(signature: Signature, data: bytes) -> bool:
    known = signature.mask or b""
    return len(data) >= len(known) and bytes(a & b for a, b in zip(data, known, strict=False)) == signature.value


def test_its_signatures_tell_its_messages() -> None:
    for data in VALID:
        framed = len(data).to_bytes(4, "big") + data
        assert sum(agrees(s, data) for s in PROTOCOL.signatures if s.transport == "udp") == 1
        assert sum(agrees(s, framed) for s in PROTOCOL.signatures if s.transport == "tcp") == 1


def test_bytes_at_random_are_seldom_taken_for_it() -> None:
    some = (3, 0x30, 0x81, 0x82)
    tried = [bytes([tag, *rest]) + bytes(8) for tag in range(256) for rest in product(some, repeat=4)]
    taken = sum(any(agrees(s, data) for s in PROTOCOL.signatures if s.transport == "udp") for data in tried)
    assert taken < len(tried) // 64
