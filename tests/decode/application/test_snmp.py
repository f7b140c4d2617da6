from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from tests.decode.application.ber_wire import integer, octets, oid, seq, tlv
from tests.decode.application.feeding import Said, context, feed, messages, survive
from tests.decode.application.mutations import mutated
from workbench.decode.application.snmp import PROTOCOL
from workbench.records.columns import BY_NAME

UDP = context("udp", 40000, 161)
NAME = "1.3.6.1.2.1.1.5.0"
ENGINE = bytes.fromhex("80001f8804")


def pdu(tag: int, *objects: str, error: int = 0) -> bytes:
    bindings = seq(*(seq(oid(name), octets("secret")) for name in objects))
    return tlv(tag, integer(1), integer(error), integer(0), bindings)


def v2(tag: int, *objects: str, community: str = "public", version: int = 1, error: int = 0) -> bytes:
    return seq(integer(version), octets(community), pdu(tag, *objects, error=error))


def v3(flags: int, rest: bytes, user: str = "admin", model: int = 3) -> bytes:
    security = seq(octets(ENGINE), integer(1), integer(2), octets(user), octets(""), octets(""))
    return seq(integer(3), seq(integer(9), integer(65507), octets(bytes([flags])), integer(model)), octets(security), rest)


TRAP1 = seq(
    integer(0), octets("c"),
    tlv(0xA4, oid("1.3.6.1.4.1.6876"), tlv(0x40, b"\xc0\0\2\1"), integer(6), integer(7), tlv(0x43, b"\1"), seq()),
)  # fmt: skip
SCOPED = seq(octets(ENGINE), octets("context"), pdu(0xA0, NAME))


def rows(*data: bytes) -> list[dict[str, Any]]:
    found = feed(PROTOCOL, [(0, one) for one in data], UDP)
    assert all(set(row) <= set(BY_NAME["snmp"].names) for row in found)
    assert "secret" not in str(found)
    return found


def test_messages_are_counted_by_kind() -> None:
    first, second, third = rows(
        v2(0xA1, NAME),
        v2(0xA2, NAME),
        v2(0xA1, "1.3.6.1.2.1.2"),
        v2(0xA2, error=2),
        v2(0xA2, error=5),
        v2(0xA0, NAME, community="x"),
    )
    assert first == {
        "ts": 0, "version": "2c", "community_hash": "#b'public'", "pdu": "getnext", "count": 2, "first_oid": NAME,
    }  # fmt: skip
    assert (second["pdu"], second["count"], second["error"], second["ts"]) == ("response", 3, "noSuchName", 1000)
    assert (third["pdu"], third["community_hash"], third["count"]) == ("get", "#b'x'", 1)


@pytest.mark.parametrize(
    ("data", "version", "kind", "first"),
    [
        (v2(0xA0, NAME, version=0), "1", "get", NAME),
        (v2(0xA3, NAME), "2c", "set", NAME),
        (v2(0xA5, NAME, error=10), "2c", "getbulk", NAME),
        (v2(0xA6, NAME), "2c", "inform", NAME),
        (v2(0xA7, NAME), "2c", "trap", NAME),
        (v2(0xA8), "2c", "report", None),
        (TRAP1, "1", "trap", "1.3.6.1.4.1.6876"),
        (v2(0xA0, *[NAME] * 40), "2c", "get", NAME),
    ],
)
def test_kinds(data: bytes, version: str, kind: str, first: str | None) -> None:
    (row,) = rows(data)
    assert (row["version"], row["pdu"], row.get("first_oid")) == (version, kind, first)
    assert "error" not in row


def test_version_3_names_level_and_engine() -> None:
    row, sealed, empty, other = rows(v3(5, SCOPED), v3(7, octets(b"\x8a" * 40)), v3(4, SCOPED, user=""), v3(1, SCOPED, model=99))
    assert row == {
        "ts": 0, "version": "3", "community_hash": "#b'admin'", "level": "authNoPriv", "engine": ENGINE.hex(), "pdu": "get",
        "count": 1, "first_oid": NAME,
    }  # fmt: skip
    assert (sealed["level"], sealed.get("pdu")) == ("authPriv", None)
    assert (empty["level"], empty["community_hash"]) == ("noAuthNoPriv", None)
    assert (other["level"], other["community_hash"], other.get("engine")) == ("authNoPriv", None, None)


def test_an_error_without_a_name_is_a_number() -> None:
    assert rows(v2(0xA2, NAME, error=99))[0]["error"] == "error99"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x31\x00",
        seq(),
        seq(integer(7), octets("x")),
        seq(octets("x")),
        seq(integer(1), integer(1)),
        seq(integer(1), octets("x")),
        seq(integer(1), octets("x"), tlv(0x30)),
        seq(integer(3), octets("x")),
        v2(0xA0, NAME)[:-3],
        v3(4, SCOPED)[:-3],
    ],
)
def test_what_is_not_snmp_is_refused(data: bytes) -> None:
    assert survive(PROTOCOL, [(0, data)], UDP) == 1


@pytest.mark.parametrize("whole", [v2(0xA1, NAME), v2(0xA2, NAME, error=1), v3(5, SCOPED), v3(7, octets(bytes(40))), TRAP1])
def test_what_is_cut_gives_what_is_there(whole: bytes) -> None:
    kinds = set()
    for size in range(len(whole)):
        assert PROTOCOL.reader
        reader = PROTOCOL.reader(UDP)
        for message in messages([(0, whole[:size], len(whole))]):
            try:
                list(reader.message(message))
            except Exception as error:
                assert type(error).__name__ == "Malformed"  # noqa: PT017
        kinds |= {row.get("pdu") for _, row in reader.end()}
    assert len(kinds) > (1 if whole[4] != 3 else 0)


def test_many_communities_are_counted_in_bounded_memory() -> None:
    said: list[Said] = [(0, v2(0xA0, NAME, community=f"guess{k}")) for k in range(300)]
    assert len({row["community_hash"] for row in feed(PROTOCOL, said, UDP)}) == 300
    assert PROTOCOL.reader
    reader = PROTOCOL.reader(UDP)
    assert max(len(list(reader.message(message))) for message in messages(said)) == 64
    assert reader.services == ["snmp"]


@settings(max_examples=80, deadline=None)
@given(mutated([v2(0xA1, NAME), v2(0xA2, NAME, error=2), v3(5, SCOPED), v3(7, octets(bytes(40))), TRAP1]))
def test_nothing_but_malformed_comes_of_any_bytes(said: list[Said]) -> None:
    assert survive(PROTOCOL, said, UDP) <= len(said)
