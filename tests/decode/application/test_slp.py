from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings

from tests.decode.application.feeding import Said, context, feed, survive
from tests.decode.application.mutations import mutated
from tests.decode.application.slp_wire import entry, string, version1, version2
from workbench.decode.application.protocol import Malformed, Message
from workbench.decode.application.slp import PROTOCOL
from workbench.records.columns import BY_NAME

UDP = context("udp", 40000, 427)
ESX = b"service:VMwareInfrastructure"
URL = ESX + b"://esx-1.example.com"
BLOCK = b"\1" + struct.pack(">HHI", 2, 16, 99) + string(b"spi") + b"abc"
OK = struct.pack(">H", 0)

REQUEST = version2("SrvRqst", string(b"192.0.2.1") + string(ESX) + string(b"DEFAULT") + string(b"(x=1)") + string(b""))
REPLY = version2("SrvRply", OK + struct.pack(">H", 2) + entry(URL) + entry(URL, blocks=BLOCK))
REGISTRATION = version2("SrvReg", entry(URL) + string(ESX) + string(b"DEFAULT") + string(b"(product=x)") + b"\0")
ADVERT = version2(
    "DAAdvert", OK + bytes(4) + string(b"service:directory-agent://192.0.2.9") + string(b"A,B") + string(b"") * 2 + b"\0"
)


def row(data: bytes, whole: int | None = None) -> dict[str, Any]:
    (found,) = feed(PROTOCOL, [(0, data) if whole is None else (0, data, whole)], UDP)
    assert set(found) <= set(BY_NAME["slp"].names)
    return {key: value for key, value in found.items() if value is not None and key != "ts"}


def test_who_asks_for_what() -> None:
    assert row(REQUEST) == {
        "function": "SrvRqst",
        "version": "2",
        "length": len(REQUEST),
        "trans_id": 0x1234,
        "service_type": ESX.decode(),
        "scopes": "DEFAULT",
    }


@pytest.mark.parametrize(
    ("data", "function", "service", "scopes", "error", "entries"),
    [
        (REPLY, "SrvRply", ESX, None, "OK", 2),
        (REGISTRATION, "SrvReg", ESX, "DEFAULT", None, None),
        (version2("SrvDeReg", string(b"DEFAULT") + entry(URL) + string(b"")), "SrvDeReg", ESX, "DEFAULT", None, None),
        (version2("SrvAck", struct.pack(">H", 13)), "SrvAck", None, None, "INVALID_UPDATE", None),
        (version2("AttrRqst", string(b"") + string(URL) + string(b"S") + string(b"") * 2), "AttrRqst", ESX, "S", None, None),
        (version2("AttrRqst", string(b"") + string(ESX) + string(b"S") + string(b"") * 2), "AttrRqst", ESX, "S", None, None),
        (version2("AttrRply", struct.pack(">H", 99) + string(b"(a=b)" * 900) + BLOCK), "AttrRply", None, None, "ERROR99", None),
        (ADVERT, "DAAdvert", b"service:directory-agent", "A,B", "OK", None),
        (version2("SAAdvert", string(URL) + string(b"S") + string(b"") + b"\0"), "SAAdvert", ESX, "S", None, None),
        (version2("SrvTypeRqst", string(b"") + b"\xff\xff" + string(b"S")), "SrvTypeRqst", None, "S", None, None),
        (version2("SrvTypeRqst", string(b"") + string(b"iana") + string(b"S")), "SrvTypeRqst", None, "S", None, None),
        (version2("SrvTypeRply", OK + string(b"service:a,service:b")), "SrvTypeRply", b"service:a,service:b", None, "OK", None),
        (version1("SrvRqst", string(b"") + string(b"printer/default/(x=1)/")), "SrvRqst", b"printer", None, None, None),
        (version1("SrvRply", OK + struct.pack(">HH", 1, 9) + string(URL)), "SrvRply", ESX, None, "OK", 1),
        (version1("SrvReg", struct.pack(">H", 9) + string(URL) + string(b"")), "SrvReg", ESX, None, None, None),
        (version1("SrvDeReg", string(URL) + string(b"")), "SrvDeReg", ESX, None, None, None),
        (version1("SrvAck", struct.pack(">H", 5)), "SrvAck", None, None, "CHARSET_NOT_UNDERSTOOD", None),
        (version1("AttrRqst", string(b"") + string(URL) + string(b"S") + string(b"")), "AttrRqst", ESX, "S", None, None),
        (version1("AttrRply", OK + string(b"")), "AttrRply", None, None, "OK", None),
        (version1("DAAdvert", OK + string(URL) + string(b"S")), "DAAdvert", ESX, "S", "OK", None),
        (version1("SrvTypeRqst", string(b"") + b"\xff\xff" + string(b"S")), "SrvTypeRqst", None, "S", None, None),
        (version1("SrvTypeRply", OK + struct.pack(">H", 2) + string(b"a") + string(b"b")), "SrvTypeRply", b"a", None, "OK", None),
    ],
)  # fmt: skip
def test_every_function(
    data: bytes, function: str, service: bytes | None, scopes: str | None, error: str | None, entries: int | None
) -> None:
    found = row(data)
    assert found["function"] == function
    assert found.get("service_type") == (service.decode() if service else None)
    assert (found.get("scopes"), found.get("error"), found.get("url_entries")) == (scopes, error, entries)
    assert "flaw" not in found


@pytest.mark.parametrize(
    ("data", "flaw"),
    [
        (version2("SrvRqst", string(b"") + string(ESX, 4000)), "service type oversized, service type beyond the message"),
        (version2("SrvRqst", string(b"") + string(ESX, 400)), "service type beyond the message"),
        (version2("SrvRqst", string(b"") + b"\0"), "service type length beyond the message"),
        (version2("SrvRply", OK + b"\xff\xff" + entry(URL)), "URL entry beyond the message"),
        (version2("SrvRply", OK + b"\0\2" + entry(URL, 0xFFF0) + entry(URL)), "URL oversized, URL beyond the message"),
        (version2("SrvRply", OK + b"\0\1" + entry(URL, blocks=b"\3\0\2")), "authentication beyond the message"),
        (version2("SrvRply", OK + b"\0\1" + entry(URL, blocks=b"\1\0\2\0\2")), "authentication too short"),
        # the address is only found beyond the URL's end, in the scopes: CVE-2021-21974
        (version2("DAAdvert", OK + bytes(4) + string(b"service:a") + string(b"B" * 400 + b":/") + string(b"") * 2 + b"\0"),
         "URL without address"),
        (version2("DAAdvert", OK + bytes(4) + string(b"http://" + b"\x90" * 9 + b"\x7f" * 1400) + string(b"") * 3 + b"\0"),
         "URL oversized, URL not text"),
        (version2("SrvRqst", string(b"") + string(b"a\0b") + string(b"") * 3), "service type not text"),
        (version2("SrvAck", OK, claim=3000), "length beyond the packet"),
        (version2("SrvAck", OK, claim=7), "length short of the header, language beyond the message"),
        (version2("SrvAck", OK) + b"AAAA", "bytes behind the message"),
        (version2("SrvAck", OK, extension=4000), "extension beyond the message"),
        (version2("SrvAck", OK)[:14] + b"a", "length beyond the packet, language beyond the message"),
        (version1("SrvRqst", string(b"") + string(b"printer//", 80)), "predicate beyond the message"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(data: bytes, flaw: str) -> None:
    assert row(data)["flaw"] == flaw


def test_what_was_not_captured_is_not_wrong() -> None:
    for size in range(14, len(REPLY)):
        assert "flaw" not in row(REPLY[:size], len(REPLY))


@pytest.mark.parametrize("data", [b"", b"\2\1\0", b"\3\1" + bytes(20), b"\2\x0c" + bytes(20), b"\1\0" + bytes(20)])
def test_what_is_not_slp_is_refused(data: bytes) -> None:
    assert PROTOCOL.reader
    reader = PROTOCOL.reader(UDP)
    with pytest.raises(Malformed):
        reader.message(Message(0, 0, data, len(data)))
    assert reader.services == []


@settings(max_examples=80, deadline=None)
@given(mutated([REQUEST, REPLY, REGISTRATION, ADVERT, version1("SrvRply", OK + struct.pack(">HH", 1, 9) + string(URL))]))
def test_nothing_but_malformed_comes_of_any_bytes(said: list[Said]) -> None:
    assert survive(PROTOCOL, said, UDP) <= len(said)
