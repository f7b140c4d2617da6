from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.decode.application import quic_plain
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
from workbench.decode.application.held import Held
from workbench.decode.application.protocol import Context
from workbench.decode.application.quic import PROTOCOL
from workbench.decode.application.quic_hello import AT, MOST_PIECES, SIZE, WHOLE_BY, join_hellos
from workbench.decode.application.quic_kernels import LEAST, PACKET, find_packets
from workbench.decode.application.quic_keys import BLOCK, CELLS, WORK
from workbench.decode.application.quic_opening import Keys
from workbench.decode.application.quic_packets import INITIAL, salt, version_name
from workbench.decode.application.quic_reader import _BLANK, QuicReader

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


def test_a_google_hello_that_ends_anywhere_says_whole_values_or_none() -> None:
    values = [(b"PAD\0", bytes(9)), (b"SNI\0", b"www.example.org"), (b"UAID", b"Browser/1.0")]
    body = b"".join(value for _, value in values)
    ends = [sum(len(value) for _, value in values[: place + 1]) for place in range(len(values))]
    index = b"".join(tag + end.to_bytes(4, "little") for (tag, _), end in zip(values, ends, strict=True))
    chlo = b"CHLO\3\0\0\0" + index + body
    heard = [quic_google.hello(chlo[:end]) for end in range(len(chlo) + 1)]
    whole = len(chlo) - len(body)
    assert heard[: whole + ends[1]] == [(None, None)] * (whole + ends[1])
    assert heard[whole + ends[1] : -1] == [("www.example.org", None)] * 11
    assert heard[-1] == ("www.example.org", "Browser/1.0")
    backwards = index[:20] + (5).to_bytes(4, "little")  # the last value would end ahead of where it begins
    assert quic_google.hello(b"CHLO\3\0\0\0" + backwards + body) == ("www.example.org", None)
    assert quic_google.hello(bytes(260) + chlo) == (None, None)  # too far in


def test_versions_in_the_clear() -> None:
    assert quic_google.version(b"\x09" + bytes(8) + b"Q039" + bytes(9)) == int.from_bytes(b"Q039", "big")
    assert quic_google.version(b"\x09" + bytes(8) + b"Qxyz") is None
    assert quic_google.version(b"\xc3T051") == int.from_bytes(b"T051", "big")
    assert quic_google.version(b"\xc3Tabc") is quic_google.version(b"\xc3T05") is quic_google.version(b"") is None


def test_a_client_s_name_that_ends_early_is_none() -> None:
    for sized in (b"\x0b", b"\x40\x0b"):
        named = b"hello\x71\x29" + sized + b"Browser/1.0"
        assert quic_google.user_agent(named) == "Browser/1.0"
        assert {quic_google.user_agent(named[:end]) for end in range(len(named))} == {None}


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
    with pytest.raises(quic_plain.Lie):
        list(quic_plain.headers(data))
    assert QuicReader().read(*messages((1, 0, data)), flows([1])).malformed == 1


def joined(*payloads: bytes) -> tuple[bytes, list[int]]:
    """The hello that the kernel makes of one connection's payloads, and which of them lie."""
    data = b"".join(payloads)
    ends = np.cumsum([len(payload) for payload in payloads])
    pieces, out, lies = np.empty((MOST_PIECES, 3), np.int64), np.empty(len(data), np.uint8), np.zeros(len(ends), np.uint8)
    found = np.empty((1, 4), np.int64)
    join_hellos(np.frombuffer(data, np.uint8), ends, np.array([len(ends)]), pieces, out, lies, found)
    at, size = int(found[0, AT]), int(found[0, SIZE])
    assert (size > 0) == (found[0, WHOLE_BY] >= 0)
    return out[at : at + size].tobytes(), np.flatnonzero(lies).tolist()


def test_frames_end_where_they_must() -> None:
    assert joined(b"\x1c" + crypto(0, HELLO)) == (b"", [])
    assert joined(b"\x06\0\x05ab", crypto(0, HELLO)) == (HELLO, [0])
    assert joined(b"\x02\x01\x01\x7f\xff\x01" + crypto(0, HELLO)) == (b"", [0])
    assert joined(b"\x06\0\1a" * 511 + crypto(0, HELLO)) == (HELLO, [])
    assert joined(b"\x06\0\1a" * 512 + crypto(0, HELLO)) == (b"", [])


def packets(*datagrams: bytes) -> list[tuple[object, ...]]:
    """The Initial packets that the kernel finds, one flow a datagram: place, keys, and the header without its protection."""
    rows, arena = messages(*[(n, 0, data) for n, data in enumerate(datagrams)])
    held = Held(_BLANK)
    places = held.places(rows["n"])
    found, heads = np.empty(len(arena) // LEAST + 1, PACKET), np.empty(len(arena), np.uint8)
    room = (np.zeros(BLOCK, np.uint8), np.zeros(CELLS, np.uint8), np.zeros(WORK, np.uint32))
    numbers = [np.empty(len(rows), kind) for kind in (np.uint8, np.int64, np.int64)]
    count = find_packets(rows, arena, places, held.rows, found, heads, *numbers, *room)
    made = []
    for one in found[:count]:
        at, connection = int(rows["at"][one["place"]]), held.rows[one["connection"]]
        keys = tuple(connection[name].tobytes().hex() for name in ("secret", "iv", "hp"))
        head = heads[one["head_at"] : one["head_at"] + one["head_size"]].tobytes()
        made.append((*(int(one[name]) - at for name in ("start", "number_at", "end")), keys, head, one["nonce"].tobytes()))
    return made


def test_a_packet_is_that_of_rfc_9001() -> None:
    """Appendix A.2: the client's Initial packet, its beginning; the rest of it does not matter for the header."""
    begin = "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9b"
    [(_, _, _, keys, head, nonce)] = packets(bytes.fromhex(begin).ljust(1200, b"\0"))
    assert keys == ("1f369613dd76d5467730efcbe3b1a22d", "fa044b2f42a3fd3b46fb255c", "9f50449e04a0e810283a1e9933adedd2")
    assert head.hex() == "c300000001088394c8f03e5157080000449e00000002"  # type: ignore[attr-defined]
    assert nonce.hex() == "fa044b2f42a3fd3b46fb255e"  # type: ignore[attr-defined]


def test_a_packet_is_that_of_rfc_9369() -> None:
    """Appendix A.1 and A.2: the same of version 2."""
    begin = "d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485dd04de806071bf03"
    [(_, _, _, keys, head, _)] = packets(bytes.fromhex(begin).ljust(1200, b"\0"))
    assert keys == ("8b1a0bc121284290a29e0971b5cd045d", "91f73e2351d8fa91660e909f", "45b95e15235d6f45a6b19cbcb0294ba9")
    assert head.hex() == "d36b3343cf088394c8f03e5157080000449e00000002"  # type: ignore[attr-defined]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([V1, V2, DRAFT_29, DRAFT_27]), st.binary(max_size=20)), min_size=1, max_size=6))
def test_keys_are_those_that_a_library_makes(ids: list[tuple[int, bytes]]) -> None:
    found = packets(*[initial(b"", version=version, dcid=dcid) for version, dcid in ids])
    assert [one[3] for one in found] == [tuple(key.hex() for key in client_keys(version, dcid)) for version, dcid in ids]
    for version, dcid in ids:
        data = initial(b"said", version=version, dcid=dcid)
        assert Keys(version, dcid).open(data, len(data) - 60) == b"said".ljust(40, b"\0")


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


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(VALID),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=4),
    st.integers(0, 300),
)
def test_packets_are_those_that_plain_python_finds(valid: bytes, flips: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(valid + valid)
    for at, value in flips:
        data[at % len(data)] = value
    said = bytes(data[: len(data) - cut])
    wanted: list[tuple[int, int, int]] = []
    try:
        for one in quic_plain.headers(said):
            wanted += [(one.start, one.number_at, one.end)] if one.kind == INITIAL and one.end - one.number_at >= 20 else []
    except quic_plain.Lie:
        pass
    assert [one[:3] for one in packets(said)] == (wanted if said[1:5] != bytes(4) else [])


PIECES = st.builds(lambda at, size: crypto(at, HELLO[at : at + size]), st.integers(0, len(HELLO)), st.integers(0, len(HELLO)))
PAYLOAD = st.one_of(
    st.lists(st.one_of(PIECES, PIECES, PIECES, st.binary(max_size=4), st.just(b"\x02\x05\0\1\0\1\1")), max_size=8).map(b"".join),
    st.binary(max_size=200),
)


@settings(max_examples=250, deadline=None)
@given(st.lists(PAYLOAD, min_size=1, max_size=5))
def test_hellos_are_those_that_plain_python_makes(payloads: list[bytes]) -> None:
    assert joined(*payloads) == quic_plain.hello(payloads)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 12)), st.permutations(range(8)))
def test_rows_are_the_same_however_datagrams_come_together(cuts: list[int], order: list[int]) -> None:
    parts = [initial(crypto(at, HELLO[at : at + 20]), number=at) for at in range(0, len(HELLO), 20)]
    said = [(n, 0, part) for part in parts for n in (1, 2)] + [(1, 1, SERVER), (2, 1, SERVER)]
    said = [said[place] for place in order] + said[8:]
    reader, rows, at = QuicReader(), [], 0
    for cut in [*sorted(cuts), len(said)]:
        if cut > at:
            rows += listed(reader.read(*messages(*said[at:cut]), flows([])).tables.get("quic", {"n": np.empty(0)}))
            at = cut
    assert sorted((row["n"], row["sni"], row["server_version"]) for row in rows) == [
        (1, "www.example.org", "1"),
        (2, "www.example.org", "1"),
    ]


def test_bytes_that_are_not_there_are_not_read() -> None:
    rows, arena = messages((1, 0, VALID[0]))
    rows["at"] = 10**9
    assert QuicReader().read(rows, arena, np.empty(0, np.int64)).tables == {}
