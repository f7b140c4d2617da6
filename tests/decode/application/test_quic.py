from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.decode.application.quic_wire import (
    DRAFT_27,
    DRAFT_29,
    V1,
    V2,
    client_keys,
    crypto,
    initial,
    long_packet,
    negotiation,
)
from tests.decode.application.tls_wire import alpn, client_hello, extension, flows, listed, messages, sni, versions
from workbench.decode.application import quic_google
from workbench.decode.application.protocol import Context, Malformed
from workbench.decode.application.quic import PROTOCOL
from workbench.decode.application.quic_packets import crypto as frames
from workbench.decode.application.quic_packets import headers, salt, varint, version_name
from workbench.decode.application.quic_reader import QuicReader

HELLO = client_hello(sni(b"www.example.org"), alpn(b"h3"), versions(0x0304), ciphers=(0x1301, 0x1302))
SERVER = long_packet(2, bytes(40))


def told(*said: tuple[int, bytes]) -> list[dict[str, object]]:
    """Rows of one flow of which (side, datagram) were seen."""
    got = QuicReader().read(*messages(*[(5, side, data) for side, data in said]), flows([5]))
    assert got.malformed == 0
    return listed(got.tables["quic"]) if got.tables else []


def test_the_keys_are_those_of_rfc_9001() -> None:
    """Appendix A.1: what the encoder of these tests derives is what the specification prints."""
    key, iv, hp = client_keys(V1, bytes.fromhex("8394c8f03e515708"))
    assert key.hex() == "1f369613dd76d5467730efcbe3b1a22d"
    assert iv.hex() == "fa044b2f42a3fd3b46fb255c"
    assert hp.hex() == "9f50449e04a0e810283a1e9933adedd2"


@pytest.mark.parametrize(("version", "name"), [(V1, "1"), (V2, "2"), (DRAFT_29, "draft-29"), (DRAFT_27, "draft-27")])
def test_a_hello_is_opened(version: int, name: str) -> None:
    (row,) = told((0, initial(crypto(0, HELLO), version=version)), (1, long_packet(2, bytes(40), version=version)))
    assert row.pop("ja3")
    assert str(row.pop("ja4")).startswith("q13d0203h3_")
    assert row == {
        "n": 5,
        "ts": 1_000_000,
        "version": name,
        "sni": "www.example.org",
        "alpn": "h3",
        "server_version": name,
    }


def test_pieces_are_put_in_order_over_packets() -> None:
    half = len(HELLO) // 2
    first = initial(b"\x01" + crypto(half, HELLO[half:]) + bytes(20) + crypto(4, HELLO[4:30]), number=0)
    ack = b"\x02\x05\x00\x01\x00\x01\x01" + b"\x03\x05\x00\x00\x00\x01\x02\x03"
    second = initial(ack + crypto(20, HELLO[20 : half + 5]) + crypto(0, HELLO[:8]) + crypto(0, HELLO[:20]), number=1)
    (row,) = told((0, first), (0, second))
    assert row["sni"] == "www.example.org"
    assert "server_version" not in row


def test_packets_that_share_a_datagram_are_told_apart() -> None:
    both = initial(crypto(0, HELLO[:50])) + initial(crypto(50, HELLO[50:]), number=1) + long_packet(1, bytes(30)) + bytes(100)
    assert told((0, both))[0]["sni"] == "www.example.org"


def test_after_a_retry_the_keys_are_new() -> None:
    retry = long_packet(3, b"token" + bytes(16), scid=b"newnewid")
    again = initial(crypto(0, HELLO), dcid=b"newnewid", token=b"token", number=1)
    (row,) = told((0, initial(crypto(0, HELLO[:20]))), (1, retry), (0, again))
    assert (row["sni"], row["server_version"]) == ("www.example.org", "1")


def test_later_packets_carry_the_server_s_id_under_the_first_keys() -> None:
    later = initial(crypto(20, HELLO[20:]), dcid=b"serverid", secret=b"12345678", number=2)
    assert told((0, initial(crypto(0, HELLO[:20]))), (0, later))[0]["sni"] == "www.example.org"


def test_a_negotiation_lists_what_the_server_offers() -> None:
    (row,) = told((0, initial(crypto(0, HELLO), version=DRAFT_29)), (1, negotiation(V1, V2, 0x51303436, 0x0A0A0A0A)))
    assert row["server_version"] == "1,2,Q046,0x0a0a0a0a"
    (row,) = told((1, negotiation(V1)))
    assert row == {"n": 5, "ts": 1_000_000, "server_version": "1"}


def test_what_no_key_opens_says_its_version() -> None:
    (row,) = told(*[(0, initial(crypto(0, HELLO), secret=b"somebody"))] * 12)
    assert row == {"n": 5, "ts": 1_000_000, "version": "1"}


def test_google_s_hello_is_in_the_clear() -> None:
    values = [(b"SNI\0", b"www.example.org"), (b"UAID", b"Browser/1.0"), (b"VER\0", b"Q043")]
    index, body = b"", b""
    for tag, value in values:
        body += value
        index += tag + len(body).to_bytes(4, "little")
    chlo = b"CHLO" + len(values).to_bytes(2, "little") + bytes(2) + index + body
    (row,) = told((0, b"\x0d" + bytes(8) + b"Q043" + bytes(20) + chlo), (1, bytes(30)))
    assert row == {"n": 5, "ts": 1_000_000, "version": "Q043", "sni": "www.example.org", "user_agent": "Browser/1.0"}
    (row,) = told((0, b"\xc3Q046\x50" + bytes(20) + chlo[:30]))
    assert row["version"] == "Q046"
    assert quic_google.hello(b"CHLO") == (None, None)
    assert quic_google.version(b"\x09" + bytes(20)) is None


def test_a_client_may_name_itself() -> None:
    def named(parameter: bytes) -> str | None:
        return quic_google.user_agent(client_hello(extension(0xFFA5, parameter)))

    assert named(b"\x71\x29\x0bBrowser/1.0") == "Browser/1.0"
    assert named(b"\x71\x29\x40\x41" + b"x" * 65) == "x" * 65
    assert named(b"\x71\x29\x0bshort") is None
    assert named(b"\x71\x29\x04\1\2\3\4") is None
    assert named(b"nothing") is None


def test_a_connection_is_told_once() -> None:
    reader = QuicReader()
    first = reader.read(*messages((1, 0, initial(crypto(0, HELLO[:30]))), ts=1), flows([]))
    assert first.tables == {}
    second = reader.read(*messages((1, 0, initial(crypto(30, HELLO[30:]), number=1)), (1, 1, SERVER), ts=2), flows([]))
    assert [row["sni"] for row in listed(second.tables["quic"])] == ["www.example.org"]
    third = reader.read(*messages((1, 0, initial(crypto(0, HELLO), number=2)), (1, 1, b"\x40" + bytes(40)), ts=3), flows([1]))
    assert third.tables == {}
    assert third.seen is not None
    assert third.seen.tolist() == [1, 1]


def test_a_connection_waits_half_a_minute_and_not_in_a_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = QuicReader()
    assert not reader.read(*messages((1, 0, initial(crypto(0, HELLO))), ts=1), flows([])).tables
    assert [r["n"] for r in listed(reader.read(*messages((2, 0, SERVER), ts=40), flows([])).tables["quic"])] == [1]
    assert [r["n"] for r in listed(reader.read(*messages(), flows([])).tables["quic"])] == [2]  # the source is over
    monkeypatch.setattr("workbench.decode.application.quic_reader.MOST_CONNECTIONS", 3)
    crowd = [(n, 0, SERVER) for n in range(10, 20)]
    assert len(listed(reader.read(*messages(*crowd, ts=41), flows([])).tables["quic"])) == 7


def test_what_is_remembered_of_told_connections_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.decode.application.quic_reader._MOST_TOLD", 2)
    reader = QuicReader()
    said = [(n, side, data) for n in range(5) for side, data in enumerate((initial(crypto(0, HELLO)), SERVER))]
    assert len(listed(reader.read(*messages(*said), flows([])).tables["quic"])) == 5
    assert len(reader._told) == 2


def test_a_hello_beyond_every_bound_is_not_kept() -> None:
    assert "sni" not in told((0, initial(crypto(16_300, HELLO))))[0]
    holes = b"".join(crypto(8 * i, b"\1") for i in range(1, 160))
    row = told((0, initial(holes)), (0, initial(crypto(0, HELLO), number=1)))[0]
    assert "sni" not in row


def test_other_datagrams_are_passed_over() -> None:
    got = QuicReader().read(*messages((1, 0, b"\x40" + bytes(40)), (2, 0, b"\xff\xff"), (3, 0, b"")), flows([1, 2, 3]))
    assert got.tables == {}
    assert got.seen is not None
    assert got.seen.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "data",
    [
        b"\xc3\0\0\0\1\x15" + bytes(40),
        b"\xc3\0\0\0\1\x08" + bytes(3),
        b"\xc3\0\0\0\1\0\0\0\x7f\xff" + bytes(20),
        b"\xc3\0\0\0\1\0\0\0\x80",
    ],
)
def test_headers_that_lie_are_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        list(headers(data))
    assert QuicReader().read(*messages((1, 0, data)), flows([1])).malformed == 1


def test_frames_end_where_they_must() -> None:
    assert list(frames(b"\x1c\x06\0\x01x")) == []
    with pytest.raises(Malformed):
        list(frames(b"\x06\0\x05ab"))
    with pytest.raises(Malformed):
        list(frames(b"\x02\x01\x01\x7f\xff\x01"))
    with pytest.raises(Malformed):
        varint(b"", 0, 0)
    assert len(list(frames(b"\x06\0\1a" * 2000))) == 512


def test_versions_have_names_and_salts() -> None:
    assert version_name(0x54303531) == "T051"
    assert version_name(0x51414141) == "0x51414141"
    assert salt(0xFF000022) == salt(V1)
    assert salt(0xFF000016) is None
    assert salt(0xFACEB002) == salt(DRAFT_27)


def test_the_protocol_makes_its_reader() -> None:
    assert PROTOCOL.batch is not None
    assert isinstance(PROTOCOL.batch(Context()), QuicReader)


VALID = [
    initial(crypto(0, HELLO)),
    initial(crypto(0, HELLO[:40])) + initial(crypto(40, HELLO[40:]), number=1),
    negotiation(V1),
    SERVER,
]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(VALID),
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=4),
    st.integers(0, 600),
    st.binary(max_size=30),
)
def test_any_bytes_are_read_without_harm(valid: bytes, flips: list[tuple[int, int]], cut: int, spliced: bytes) -> None:
    data = bytearray(valid)
    for at, value in flips:
        data[at % len(data)] = value
    at = cut % (len(data) + 1)
    for mutant in (bytes(data), bytes(data[:at]), bytes(data[:at]) + spliced + bytes(data[at:])):
        QuicReader().read(*messages((1, 0, mutant), (1, 0, VALID[0]), (1, 1, mutant)), flows([1]))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_payload_is_walked_without_harm(payload: bytes) -> None:
    try:
        assert sum(len(piece) for _, piece in frames(payload)) <= len(payload)
    except Malformed:
        assert payload


def test_bytes_that_are_not_there_are_not_read() -> None:
    rows, arena = messages((1, 0, VALID[0]))
    rows["at"] = 10**9
    assert QuicReader().read(rows, arena, np.empty(0, np.int64)).tables == {}
