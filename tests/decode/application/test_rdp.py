from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from tests.decode.application.feeding import Said, context, feed, survive
from tests.decode.application.mutations import mutated
from workbench.decode.application.protocol import Malformed
from workbench.decode.application.rdp import PROTOCOL
from workbench.records.columns import BY_NAME


def tpkt(x224: bytes) -> bytes:
    return b"\x03\0" + (len(x224) + 5).to_bytes(2, "big") + bytes([len(x224) & 0xFF]) + x224


def request(cookie: bytes = b"", security: int | None = None) -> bytes:
    asked = b"" if security is None else b"\x01\0\x08\0" + security.to_bytes(4, "little")
    return tpkt(b"\xe0\0\0\0\0\0" + cookie + asked)


def confirm(kind: int = 2, value: int | None = None) -> bytes:
    return tpkt(b"\xd0\0\0\x12\x34\0" + (b"" if value is None else bytes([kind]) + b"\0\x08\0" + value.to_bytes(4, "little")))


def core(name: str = "WORKSTATION7", keyboard: int = 0x407, build: int = 2600, length: bytes = b"\x81\x10") -> bytes:
    block = b"\x01\xc0\xd8\0" + b"\x04\0\x08\0" + b"\0\x05\0\x04\x01\xca\x03\xaa"
    block += keyboard.to_bytes(4, "little") + build.to_bytes(4, "little") + name.encode("utf-16-le").ljust(32, b"\0") + bytes(100)
    return tpkt(b"\xf0\x80\x7fe\x82\x01\x94" + b"\x04\x01\x01" * 20 + b"Duca" + length + block)


HELLO = request(b"Cookie: mstshash=alice\r\n", 11)


def one(*said: tuple[int, bytes], end: bool = True) -> dict[str, Any]:
    [row] = feed(PROTOCOL, said, end=end)
    assert set(row) == set(BY_NAME["rdp"].names) - {"flow_id"}
    return row


def test_both_agree_on_more_than_rdp() -> None:
    row = one((0, HELLO), (1, confirm(2, 8)), end=False)
    assert (row["security"], row["selected"], row["result"]) == ("tls,hybrid,hybrid_ex", "hybrid_ex", None)
    assert row["cookie_hash"] == context().hashed(b"alice")
    assert "alice" not in str({**row, "cookie_hash": None})


@pytest.mark.parametrize("length", [b"\x20", b"\x81\x10"])
def test_the_client_in_the_clear(length: bytes) -> None:
    row = one((0, request(security=0)), (1, confirm(2, 0)), (0, core(length=length)), (0, core("LATER")), end=False)
    assert (row["security"], row["selected"]) == ("rdp", "rdp")
    assert (row["client_name"], row["keyboard"], row["client_build"], row["ts"]) == ("WORKSTATION7", "0x00000407", 2600, 0)


def test_core_data_alone_is_enough() -> None:
    row = one((0, core("")))
    assert (row["client_name"], row["security"]) == (None, None)


def test_an_old_client_and_server() -> None:
    row = one((0, request(b"Cookie: msts=123.45.0\r\n")), (1, confirm()))
    assert (row["cookie_hash"], row["security"], row["selected"]) == (None, "rdp", "rdp")


@pytest.mark.parametrize(("code", "name"), [(1, "SSL_REQUIRED_BY_SERVER"), (5, "HYBRID_REQUIRED_BY_SERVER"), (77, "failure_77")])
def test_refusals(code: int, name: str) -> None:
    row = one((0, request(security=0)), (1, confirm(3, code)), end=False)
    assert (row["result"], row["selected"]) == (name, None)


def test_unknown_protocols_are_told_in_hex() -> None:
    assert one((0, request(security=0x101)))["security"] == "tls,0x100"


@pytest.mark.parametrize(
    "said", [[], [(0, request(b"\xc0\x01\x0a\xc1\x02\x01\0")), (1, confirm()), (0, tpkt(b"\xf0\x80\x32\x01"))]]
)
def test_what_only_travels_in_tpkt_too(said: list[Said]) -> None:
    assert feed(PROTOCOL, said) == []


@pytest.mark.parametrize("data", [b"", b"\x03\0\0", b"\x02" * 20, request(b"Cookie: mstshash=endless"), core()[:100]])
def test_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        feed(PROTOCOL, [(0, data)])


@settings(max_examples=150, deadline=None)
@given(mutated([HELLO, confirm(2, 0), confirm(3, 1), confirm(), core(), request(security=1)]))
def test_any_bytes(said: list[Said]) -> None:
    assert survive(PROTOCOL, said) <= len(said)
