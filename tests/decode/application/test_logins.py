from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decode.application import login_wire as wire
from tests.decode.application.damage import damaged
from tests.decode.application.rows import fits, plain
from workbench.decode.application import ntlm
from workbench.decode.application.logins import Logins, header_token, unwrap
from workbench.decode.application.protocol import Context, Malformed


def logins(carrier: str = "smb") -> Logins:
    return Logins(Context(hashed=wire.hashed), carrier)


def test_ntlm_in_spnego() -> None:
    follow = logins()
    assert follow.token(10, wire.offer(wire.ntlm_negotiate())) == []
    assert follow.token(11, wire.answer(wire.ntlm_challenge(), state=1, mechanism=wire.NTLMSSP)) == []
    assert follow.token(12, wire.answer(wire.ntlm_authenticate("Bob"))) == []
    (row,) = follow.token(13, wire.answer(state=0))
    assert row[1]["ts"] == 10
    assert plain(row) == {
        "domain": "CORP",
        "host": "PC7",
        "user_hash": "hash(bob)",
        "server_name": "DC01",
        "server_domain": "corp.example",
        "version": "NTLMv2",
        "success": True,
        "carrier": "smb",
    }
    assert follow.mechanism == "ntlm"
    assert follow.end() == []


@pytest.mark.parametrize(
    ("user", "nt", "lm", "flags", "version"),
    [("Bob", 24, 24, 1, "NTLMv1"), ("Bob", 24, 24, 0, "NTLMv1"), ("Bob", 180, 24, 1, "NTLMv2"), ("", 0, 1, 1, "anonymous")],
)
def test_versions_by_the_size_of_the_answers(user: str, nt: int, lm: int, flags: int, version: str) -> None:
    said = ntlm.token(wire.ntlm_authenticate(user, nt=nt, lm=lm, flags=flags))
    assert (said.version, said.user or "", said.host) == (version, user, "PC7")


def test_a_refused_login_and_one_that_nobody_judged() -> None:
    follow = logins("http")
    follow.token(1, wire.ntlm_negotiate())
    follow.token(2, wire.ntlm_challenge())
    follow.token(3, wire.ntlm_authenticate("eve"))
    (refused,) = follow.verdict(accepted=False)
    assert (plain(refused)["success"], plain(refused)["server_name"]) == (False, "DC01")
    follow.token(4, wire.ntlm_authenticate("eve"))
    (overtaken,) = follow.token(5, wire.ntlm_authenticate("eve2"))
    assert "success" not in plain(overtaken)
    (left,) = follow.end()
    assert plain(left)["user_hash"] == "hash(eve2)"


def test_a_server_that_was_only_asked_for_its_name() -> None:
    follow = logins("http")
    follow.token(1, wire.ntlm_negotiate())
    follow.token(2, wire.ntlm_challenge("WEB9"))
    (row,) = follow.end()
    assert plain(row) == {"server_name": "WEB9", "server_domain": "corp.example", "carrier": "http"}
    assert follow.end() == []


def test_a_kerberos_ticket() -> None:
    follow = logins()
    token = wire.gss_kerberos(wire.ap_request(etype=23))
    assert follow.token(100, wire.offer(token, wire.KERBEROS, wire.NTLMSSP)) == []
    (row,) = follow.token(160, wire.answer(wire.gss_kerberos(wire.ap_reply(), b"\2\0"), state=0))
    assert plain(row) == {
        "type": "AP",
        "service": "cifs/dc01",
        "realm": "CORP.EXAMPLE",
        "ticket_etype": "rc4-hmac",
        "reply_etype": "aes256-cts-hmac-sha1-96",
        "answered": True,
        "rtt_us": 60,
    }
    assert follow.mechanism == "kerberos"


def test_kerberos_refused_alone_twice_and_unwrapped() -> None:
    follow = logins("dcerpc")
    follow.token(1, wire.ap_request())
    (error,) = follow.token(2, wire.gss_kerberos(wire.krb_error(37), b"\3\0"))
    assert plain(error)["error"] == "KRB_AP_ERR_SKEW"
    assert follow.token(3, wire.ap_reply()) == []
    follow.token(4, wire.ap_request(("host", "a")))
    (first,) = follow.token(5, wire.ap_request(("host", "b")))
    assert (plain(first)["service"], plain(first)["answered"]) == ("host/a", False)
    (second,) = follow.verdict(accepted=True)
    assert (plain(second)["service"], plain(second)["answered"]) == ("host/b", True)


def test_what_is_wrapped_in_nothing_known() -> None:
    assert unwrap(b"something").inner == b"something"
    assert unwrap(wire.gss("1.2.3", b"xyz")).mechanism is None
    assert unwrap(wire.answer(state=2)).state == 2
    for bad in (wire.gss(wire.SPNEGO, b"\x30\x00"), b"\x60\x80", b"\xa1\x02\x04\x00"):
        with pytest.raises(Malformed):
            unwrap(bad)


@pytest.mark.parametrize(
    "data", [b"NTLMSSP\0", b"NTLMSSP\0\x09\0\0\0", b"NTLMSSP\0\x03\0\0\0", b"NTLMSSP\0\x03\0\0\0" + b"\0" * 30]
)
def test_ntlm_that_is_cut_off_or_unknown(data: bytes) -> None:
    with pytest.raises(Malformed):
        ntlm.token(data)


def test_headers() -> None:
    token = wire.ntlm_negotiate()
    for scheme in (b"NTLM", b"Negotiate"):
        assert header_token(b" " + scheme + b" " + base64.b64encode(token)) == token
    for other in (b"Basic dXNlcg==", b"NTLM", b"Negotiate !", b"NTLM " + b"A" * 70_000):
        assert not header_token(other)


VALID = (
    wire.offer(wire.ntlm_negotiate()),
    wire.answer(wire.ntlm_challenge(), state=1),
    wire.answer(wire.ntlm_authenticate("Bob")),
    wire.ntlm_challenge(),
    wire.ntlm_authenticate("x", flags=0),
    wire.offer(wire.gss_kerberos(wire.ap_request()), wire.KERBEROS),
    wire.answer(wire.gss_kerberos(wire.ap_reply()), state=0),
)


@given(st.lists(damaged(VALID), max_size=8), st.booleans())
@settings(max_examples=60, deadline=None)
def test_damaged_tokens(said: list[bytes], cut: bool) -> None:
    follow = logins()
    for number, blob in enumerate(said):
        try:
            for row in follow.token(number, blob, cut=cut):
                fits(row)
        except Malformed:
            pass
    for row in follow.end():
        fits(row)
