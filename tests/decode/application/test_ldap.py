from __future__ import annotations

import pytest
from hypothesis import given, settings

from tests.decode.application import ldap_wire as ldap
from tests.decode.application import login_wire as login
from tests.decode.application.ber_wire import integer, octets, seq, tlv
from tests.decode.application.damage import conversation, survive
from tests.decode.application.rows import fits, plain
from workbench.decode.application.ldap import PROTOCOL, LdapReader
from workbench.decode.application.protocol import MOST_WAITING, Context, Malformed, Message, Row


def reader() -> LdapReader:
    return LdapReader(Context("tcp", 50000, 389, login.hashed))


def talk(*said: bytes) -> list[Row]:
    """Hands over messages, 10 us apart; all rows."""
    end = reader()
    rows = [row for n, data in enumerate(said) for row in end.message(Message(10 * n, 0, data, len(data)))]
    assert end.services == ["ldap"]
    return rows + list(end.end())


def test_a_search() -> None:
    (row,) = talk(
        ldap.search(4, "DC=corp,DC=example", attributes=("cn", "servicePrincipalName")),
        ldap.entry(4),
        ldap.entry(4),
        ldap.message(4, tlv(0x73, octets("ldap://other"))),
        ldap.done(4, 0x65),
    )
    assert row[1]["ts"] == 0
    assert plain(row) == {
        "operation": "search",
        "base": "DC=corp,DC=example",
        "scope": "sub",
        "result": "success",
        "entries": 2,
        "attributes": "cn,servicePrincipalName",
        "rtt_us": 40,
    }
    assert "hidden" not in str(row)


@pytest.mark.parametrize(
    ("name", "password", "mechanism", "user"),
    [
        ("", b"", "anonymous", None),
        ("cn=Admin,dc=corp", b"secret", "simple", "hash(admin)"),
        ("CORP\\Bob", b"", "unauthenticated", "hash(bob)"),
        ("bob@corp.example", b"x", "simple", "hash(bob)"),
    ],
)
def test_simple_binds(name: str, password: bytes, mechanism: str, user: str | None) -> None:
    (row,) = talk(ldap.bind(1, name, password), ldap.done(1, 0x61, 49))
    found = plain(row)
    assert (found["operation"], found["mechanism"], found["result"]) == ("bind", mechanism, "invalidCredentials")
    assert found.get("user_hash") == user
    assert "secret" not in str(row)


def test_a_bind_with_tokens() -> None:
    rows = talk(
        ldap.sasl(1, "GSS-SPNEGO", login.offer(login.ntlm_negotiate())),
        ldap.done(1, 0x61, 14, tlv(0x87, login.answer(login.ntlm_challenge(), state=1))),
        ldap.sasl(2, "GSS-SPNEGO", login.answer(login.ntlm_authenticate("Bob"))),
        ldap.done(2, 0x61),
    )
    first, who, second = rows
    assert (plain(first)["mechanism"], plain(first)["result"]) == ("GSS-SPNEGO", "saslBindInProgress")
    assert (plain(who)["user_hash"], plain(who)["carrier"], plain(who)["success"]) == ("hash(bob)", "ldap", True)
    assert plain(second)["result"] == "success"


def test_binds_in_other_ways() -> None:
    rows = talk(
        ldap.sasl(1, "DIGEST-MD5"),
        ldap.sasl(2, "GSSAPI", b"\x60\x80"),
        ldap.message(3, tlv(0x60, integer(3), octets(""), tlv(0x8A, login.ntlm_negotiate()))),
        ldap.message(4, tlv(0x60, integer(3), octets("NTLM"))),
        ldap.message(5, tlv(0x60, integer(3), octets(""), tlv(0xA3, b""))),
        ldap.done(3, 0x61, 50),
    )
    assert [plain(row).get("mechanism") for row in rows] == ["sicily", "DIGEST-MD5", "GSSAPI", None, None]


def test_changes() -> None:
    rows = talk(
        ldap.modify(1, "CN=pc7,DC=corp", "msDS-KeyCredentialLink", "description"),
        ldap.done(1, 0x67, 50),
        ldap.add(2, "CN=new,DC=corp", "objectClass", "cn", "cn"),
        ldap.done(2, 0x69, 68),
        ldap.message(3, tlv(0x4A, b"CN=old,DC=corp")),
        ldap.done(3, 0x6B, 99),
        ldap.message(4, tlv(0x6C, octets("CN=a"), octets("CN=b"), tlv(1, b"\xff"))),
        ldap.message(5, tlv(0x6E, octets("CN=a"), seq(octets("cn"), octets("b")))),
        ldap.extended(6, "1.3.6.1.4.1.1466.20037"),
        ldap.done(6, 0x78),
        ldap.message(7, tlv(0x77, tlv(0x81, b"?"))),
        ldap.message(8, b"\x50\1\7"),
        ldap.message(9, b"\x42\0"),
        ldap.message(10, tlv(0x66, octets("CN=c"), seq(seq(tlv(10, b"\2"))))),
    )
    assert [(plain(row)["operation"], plain(row).get("result"), plain(row).get("attributes")) for row in rows] == [
        ("modify", "insufficientAccessRights", "msDS-KeyCredentialLink,description"),
        ("add", "entryAlreadyExists", "objectClass,cn"),
        ("delete", "result_99", None),
        ("extended", "success", None),
        ("abandon", None, None),
        ("unbind", None, None),
        ("modifyDN", None, None),
        ("compare", None, None),
        ("extended", None, None),
        ("modify", None, None),
    ]
    assert plain(rows[2])["base"] == "CN=old,DC=corp"
    assert plain(rows[3])["extended"] == "1.3.6.1.4.1.1466.20037"
    assert "value" not in str(rows)


def test_a_number_used_again_and_too_many_open() -> None:
    rows = talk(ldap.search(1, "a", 0), ldap.search(1, "b", 9), *(ldap.search(n, "c") for n in range(2, MOST_WAITING + 3)))
    assert len(rows) == MOST_WAITING + 3
    assert [(plain(row)["base"], plain(row)["scope"]) for row in rows[:2]] == [("a", "base"), ("b", "9")]
    assert not any("result" in plain(row) for row in rows)


def test_a_cut_search_says_what_is_there() -> None:
    end = reader()
    data = ldap.search(1, "DC=corp", secret="x" * 3000, attributes=("cn",))
    assert list(end.message(Message(0, 0, data[:200], len(data)))) == []
    (row,) = end.end()
    assert plain(row)["base"] == "DC=corp"
    assert "attributes" not in plain(row)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x31\0",
        seq(integer(1)),
        seq(octets("a"), tlv(0x60)),
        seq(integer(1), tlv(0x65, octets(""))),
        seq(integer(1), tlv(0x7F - 0x20, b"")),
        seq(integer(1), tlv(0x63)),
        seq(integer(1), tlv(0x60, integer(3))),
        seq(integer(1), tlv(0x72)),
    ],
)
def test_what_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        list(reader().message(Message(0, 0, data, len(data))))


VALID = (
    ldap.bind(1, "cn=Admin,dc=corp", b"secret"),
    ldap.sasl(2, "GSS-SPNEGO", login.offer(login.gss_kerberos(login.ap_request()), login.KERBEROS)),
    ldap.done(2, 0x61, 14, tlv(0x87, login.answer(login.ntlm_challenge(), state=1))),
    ldap.search(3, "DC=corp", attributes=("cn", "mail")),
    ldap.entry(3),
    ldap.done(3, 0x65),
    ldap.modify(4, "CN=pc7", "description"),
    ldap.add(5, "CN=new", "cn"),
    ldap.extended(6, "1.3.6.1.4.1.1466.20037"),
)


@given(conversation(VALID))
@settings(max_examples=80, deadline=None)
def test_damaged_messages(said: list[tuple[int, bytes, int]]) -> None:
    survive(reader(), said, fits)


def test_its_signatures_tell_its_messages() -> None:
    long = (b"\x30\x84\0\0\0" + bytes([len(VALID[0]) - 2]) + VALID[0][2:], ldap.search(7, "x" * 300))
    for data in (*VALID, *long, ldap.bind(70_000), ldap.bind(5_000_000)):
        found = [
            each
            for each in PROTOCOL.signatures
            if each.transport == "tcp" and each.mask and bytes(a & b for a, b in zip(data, each.mask, strict=False)) == each.value
        ]
        assert found, data[:10].hex()
    snmp = bytes.fromhex("302602010104067075626c6963a019")
    for each in PROTOCOL.signatures:
        assert each.mask
        assert bytes(a & b for a, b in zip(snmp, each.mask, strict=False)) != each.value
