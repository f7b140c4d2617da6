"""Directions put in order and cut: whatever way the same bytes come, the same is heard."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.flows.stream_rows import BUFFERS, MOST_HOLDING
from workbench.flows.table import FlowTable
from workbench.records.packet import PACKET
from workbench.settings import FlowSettings

MAPPED = 0xFFFF << 32
SYN, ACK, FIN = 2, 16, 1
SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND

REQUESTS = (
    b"GET /a?secret=1 HTTP/1.1\r\nHost: one.example\r\nUser-Agent: test\r\n\r\n"
    b"POST /b HTTP/1.1\r\nHost: one.example\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello"
    b"HEAD /c HTTP/1.1\r\nHost: one.example\r\n\r\n"
)
ANSWERS = (
    b"HTTP/1.1 200 OK\r\nServer: s\r\nContent-Type: text/html; charset=x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nabcde\r\n3;x=y\r\nfgh\r\n0\r\nTrailer: 1\r\n\r\n"
    b"HTTP/1.1 100 Continue\r\n\r\n"
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nnothing"
    b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
)
HEARD = [("GET", "/a", 200, 0, 8), ("POST", "/b", 404, 5, 7), ("HEAD", "/c", 200, 0, 0)]


@dataclass(frozen=True)
class Piece:
    """Payload of one packet. side 1: the responder. seq: offset in its direction; wire: bytes by the headers."""

    side: int
    seq: int
    data: bytes
    flags: int = ACK
    wire: int | None = None


def table_of(
    pieces: Sequence[Piece], *, isn: tuple[int, int] = (1000, 2000), handshake: bool = True, port: int = 80, proto: int = 6
) -> FlowTable:
    """A flow table that was given the packets, one microsecond apart."""
    if handshake and proto == 6:
        pieces = [Piece(0, -1, b"", SYN), Piece(1, -1, b"", SYN | ACK), Piece(0, 0, b""), *pieces]
    data = bytearray(b"\0")
    packets = np.zeros(len(pieces), PACKET)
    for i, (row, piece) in enumerate(zip(packets, pieces, strict=True)):
        ends = ((0x0A000001, 40000), (0x0A000002, port))
        src, dst = ends if piece.side == 0 else ends[::-1]
        row["ts"], row["src_lo"], row["dst_lo"] = START + 1000 * i, MAPPED | src[0], MAPPED | dst[0]
        row["src_port"], row["dst_port"], row["proto"], row["version"] = src[1], dst[1], proto, 4
        row["flags"], row["window"] = piece.flags if proto == 6 else 0, 1000
        row["seq"] = (isn[piece.side] + 1 + piece.seq) % 2**32
        row["ack"] = (isn[1 - piece.side] + 1) % 2**32
        row["pay"], row["pay_cap"] = len(data), len(piece.data)
        row["payload"] = len(piece.data) if piece.wire is None else piece.wire
        row["ip_bytes"], row["wire"] = row["payload"] + 40, row["payload"] + 54
        row["vlan"], row["inner_vlan"], row["outer_vlan"], row["vni"], row["marks"] = -1, -1, -1, -1, 32
        data += piece.data
    table = FlowTable(1, "here", FlowSettings())
    table.update(np.frombuffer(data, np.uint8), packets, len(packets), 0)
    return table


def heard(pieces: Sequence[Piece], **how: Any) -> dict[str, pa.RecordBatch]:
    """What comes out of such a table."""
    return table_of(pieces, **how).finish()


def split(side: int, data: bytes, cuts: Sequence[int], start: int = 0) -> list[Piece]:
    """A direction's bytes in pieces."""
    edges = [0, *sorted({c % (len(data) + 1) for c in cuts}), len(data)]
    return [Piece(side, start + a, data[a:b]) for a, b in itertools.pairwise(edges) if a < b]


def requests(out: dict[str, pa.RecordBatch]) -> list[tuple[Any, ...]]:
    columns = ("method", "path", "status", "src_body_bytes", "dst_body_bytes")
    return [tuple(row[c] for c in columns) for row in out["http"].to_pylist()] if "http" in out else []


def services(out: dict[str, pa.RecordBatch]) -> list[str | None]:
    return [row["service"] for row in out["flows"].to_pylist()]


def test_requests_and_answers_are_heard_in_order() -> None:
    out = heard([Piece(0, 0, REQUESTS), Piece(1, 0, ANSWERS)])
    assert requests(out) == HEARD
    assert services(out) == ["http"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=12), st.lists(st.integers(0, 400), max_size=12), st.data())
def test_however_the_bytes_come_the_same_is_heard(one: list[int], two: list[int], data: st.DataObject) -> None:
    there, back = split(0, REQUESTS, one), split(1, ANSWERS, two)
    pieces = there + back
    for _ in range(data.draw(st.integers(0, 6))):  # neighbours change places, and some come twice
        at = data.draw(st.integers(0, max(0, len(pieces) - 2)))
        pieces[at : at + 2] = pieces[at : at + 2][::-1]
        pieces.insert(at, pieces[data.draw(st.integers(0, len(pieces) - 1))] if data.draw(st.booleans()) else pieces[at])
    requests_first = [p for p in pieces if p.side == 0] + [p for p in pieces if p.side == 1]
    isn = data.draw(st.sampled_from([(1000, 2000), (2**32 - 100, 2**32 - 7)]))
    assert requests(heard(requests_first, isn=isn)) == HEARD


def test_overlapping_segments_are_heard_once() -> None:
    pieces = [Piece(0, 0, REQUESTS[:40]), Piece(0, 20, REQUESTS[20:90]), Piece(0, 10, REQUESTS[10:])]
    assert requests(heard([*pieces, Piece(1, 0, ANSWERS)])) == HEARD


def test_a_hole_inside_a_body_is_passed_over() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    after = b"HTTP/1.1 204 No Content\r\n\r\n"
    asked = b"GET /x HTTP/1.1\r\n\r\nGET /y HTTP/1.1\r\n\r\n"
    far = [Piece(1, len(head) + 50_000 + 1000 * i, bytes(1000)) for i in range(50)]
    out = heard([Piece(0, 0, asked), Piece(1, 0, head), *far, Piece(1, len(head) + 100_000, after)])
    assert requests(out) == [("GET", "/x", 200, 0, 100_000), ("GET", "/y", 204, 0, 0)]


def test_a_hole_in_a_head_ends_the_listening_and_is_told() -> None:
    pieces = [Piece(0, 0, REQUESTS[:30])] + [Piece(0, 200 + 100 * i, b"x" * 100) for i in range(2 * MOST_HOLDING)]
    table = table_of(pieces)
    out = table.finish()
    assert [line.count for line in table.ledger() if line.reason == "application_gap"] == [1]
    assert services(out) == ["http"]


def test_a_snapped_body_is_counted_whole() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    out = heard([Piece(0, 0, b"GET /x HTTP/1.1\r\n\r\n"), Piece(1, 0, head + b"z" * 20, wire=len(head) + 1000)])
    assert requests(out) == [("GET", "/x", 200, 0, 1000)]


def test_a_body_up_to_the_end_is_counted_to_the_end() -> None:
    out = heard([Piece(0, 0, b"GET / HTTP/1.0\r\n\r\n"), Piece(1, 0, b"HTTP/1.0 200 OK\r\n\r\n"), Piece(1, 19, b"abc")])
    assert requests(out) == [("GET", "/", 200, 0, 3)]


def hello(kind: int) -> bytes:
    """A record with a hello, as short as one can be."""
    body = b"\x03\x03" + bytes(32) + b"\0" + (b"\x00\x02\x13\x01\x01\x00" if kind == 1 else b"\x13\x01\x00")
    message = bytes([kind]) + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


def test_behind_connect_another_protocol_is_recognised() -> None:
    asked, told = b"CONNECT a.example:443 HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 Connection established\r\n\r\n"
    sealed = b"\x17\x03\x03\x00\x02zz"
    out = heard(
        [
            Piece(0, 0, asked),
            Piece(1, 0, told),
            Piece(0, len(asked), hello(1) + sealed),
            Piece(1, len(told), hello(2) + sealed),
        ]
    )
    assert services(out) == ["http,tls"]
    assert out["tls"].num_rows == 1


def test_a_text_protocol_turns_into_tls() -> None:
    told, asked = b"220 mail.example ESMTP Postfix\r\n", b"EHLO a.example\r\nSTARTTLS\r\n"
    more = b"250-mail.example\r\n250 STARTTLS\r\n220 go\r\n"
    out = heard(
        [
            Piece(1, 0, told),
            Piece(0, 0, asked),
            Piece(1, len(told), more),
            Piece(0, len(asked), hello(1) + b"\x17\x03\x03\x00\x02zz"),
            Piece(1, len(told) + len(more), hello(2) + b"\x17\x03\x03\x00\x02zz"),
        ],
        port=25,
    )
    assert services(out) == ["smtp,tls"]
    assert out["tls"].to_pylist()[0]["upgraded_from"] in ("smtp", None)


def test_content_counts_and_not_the_port() -> None:
    assert services(heard([Piece(0, 0, REQUESTS)], port=22)) == ["http"]
    assert services(heard([Piece(0, 0, b"\x00\x01\x02\x03 nothing known" * 9)], port=80)) == [None]


def test_joined_in_the_middle_it_is_heard_from_where_a_message_begins() -> None:
    out = heard([Piece(0, 500, REQUESTS), Piece(1, 900, ANSWERS)], handshake=False)
    assert requests(out) == HEARD


def test_datagrams_are_messages() -> None:
    query = bytes.fromhex("123401000001000000000000076578616d706c6503636f6d0000010001")
    answer = bytes.fromhex("123481800001000100000000076578616d706c6503636f6d0000010001c00c000100010000003c0004c0000201")
    out = heard([Piece(0, 0, query), Piece(1, 0, answer)], proto=17, port=53)
    assert [(r["query"], r["answers"], r["rcode"]) for r in out["dns"].to_pylist()] == [("example.com", "192.0.2.1", "NOERROR")]
    assert services(out) == ["dns"]


def test_listening_can_be_turned_off() -> None:
    table = FlowTable(1, "here", FlowSettings(application=False))
    assert "http" not in table.finish()


@pytest.mark.parametrize("count", [BUFFERS + 200])
def test_more_open_heads_than_buffers_are_told_not_stored(count: int) -> None:
    """Every flow leaves a request's head unfinished: what finds no buffer is counted, and nothing grows."""
    packets = np.zeros(count, PACKET)
    data = b"\0GET /unfinished HTTP/1.1\r\nHost: a"
    packets["ts"] = START + np.arange(count)
    packets["src_lo"], packets["dst_lo"] = MAPPED | np.arange(1, count + 1), MAPPED | 0x0B000001
    packets["src_port"], packets["dst_port"], packets["proto"], packets["version"] = 40000, 80, 6, 4
    packets["flags"], packets["seq"], packets["ack"], packets["window"] = ACK, 5, 5, 1000
    packets["pay"], packets["pay_cap"], packets["payload"], packets["ip_bytes"] = 1, len(data) - 1, len(data) - 1, 90
    for name in ("vlan", "inner_vlan", "outer_vlan", "vni"):
        packets[name] = -1
    packets["marks"] = 32
    table = FlowTable(1, "here", FlowSettings())
    table.update(np.frombuffer(bytearray(data), np.uint8), packets, count, 0)
    out = table.finish()
    assert [line.count for line in table.ledger() if line.reason == "application_full"] == [200]
    assert out["http"].num_rows == BUFFERS
