from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decode.application.batches import Said, read, rows, rows_of
from workbench.decode.application import rdma
from workbench.decode.application.protocol import BatchReader, Context
from workbench.decode.application.rdma import PROTOCOL
from workbench.records.columns import BY_NAME

WRITE_FIRST, WRITE_ONLY, READ, ACK, SEND_ONLY, UD_SEND, CNP = 0x06, 0x0A, 0x0C, 0x11, 0x04, 0x64, 0x81


def bth(opcode: int, qp: int = 0x11, psn: int = 1, behind: bytes = b"", pad: int = 0, version: int = 0) -> bytes:
    head = bytes([opcode, pad << 4 | version]) + b"\xff\xff\0" + qp.to_bytes(3, "big") + b"\0" + psn.to_bytes(3, "big")
    return head + behind + b"ICRC"


def reth(length: int) -> bytes:
    return bytes(12) + length.to_bytes(4, "big")


def aeth(syndrome: int) -> bytes:
    return bytes([syndrome, 0, 0, 1])


def reader() -> BatchReader:
    assert PROTOCOL.batch
    return PROTOCOL.batch(Context(transport="udp"))


def made(*packets: bytes, whole: int | None = None) -> list[dict[str, Any]]:
    said = [Said(1, 1 + i, 0, i, data[:64], len(data) if whole is None else whole) for i, data in enumerate(packets)]
    return rows(read(reader(), said, [1]), "rdma")


def one(*packets: bytes, whole: int | None = None) -> dict[str, Any]:
    [row] = made(*packets, whole=whole)
    return row


def test_writes_and_reads_by_what_is_asked_for() -> None:
    row = one(bth(WRITE_FIRST, psn=7, behind=reth(9000) + bytes(99)), bth(READ, psn=8, behind=reth(70_000)), bth(0x08, psn=9))
    assert row == {
        "n": 1, "ts": 1000, "side": 0, "dst_qp": 0x11, "transport": "rc", "opcodes": "write_first,write_last,read_request",
        "packets": 3, "read_bytes": 70_000, "write_bytes": 9000, "send_bytes": 0, "psn_first": 7, "psn_last": 9, "acks": 0,
        "naks": 0, "nak": None, "partition": "0xffff", "ts_last": datetime(1970, 1, 1, 0, 0, 0, 3000),
    }  # fmt: skip
    assert set(row) - {"n"} == set(BY_NAME["rdma"].names) - {"flow_id"}


@pytest.mark.parametrize(
    ("opcode", "pad", "transport", "size"),
    [(SEND_ONLY, 0, "rc", 1000), (SEND_ONLY, 3, "rc", 997), (0x05, 0, "rc", 996), (0x17, 0, "rc", 996), (UD_SEND, 0, "ud", 992),
     (0xA4, 0, "xrc", 996), (0x44, 0, "rd", 988), (0x24, 0, "uc", 1000)],
)  # fmt: skip
def test_bytes_sent(opcode: int, pad: int, transport: str, size: int) -> None:
    row = one(bth(opcode, pad=pad, behind=bytes(1000)))
    assert (row["transport"], row["send_bytes"]) == (transport, size)


def test_acknowledgements() -> None:
    row = one(
        *[bth(ACK, behind=aeth(code)) for code in (0x1F, 0x00, 0x62, 0x60, 0x2E)],
        bth(0x10, behind=aeth(0)),
        bth(0x12, behind=aeth(3)),
    )
    assert (row["acks"], row["naks"], row["nak"]) == (3, 3, "remote_access_error")
    assert one(bth(ACK, behind=aeth(0x2E)))["nak"] == "receiver_not_ready"
    assert one(bth(ACK, behind=aeth(0x7F)))["nak"] == "nak_31"
    assert one(bth(ACK, behind=aeth(0x4F)))["naks"] == 0


def test_congestion_notifications_are_their_own() -> None:
    assert [(row["transport"], row["opcodes"]) for row in made(bth(CNP, behind=bytes(16)), bth(ACK, behind=aeth(0)))] == [
        ("cnp", "cnp"), ("rc", "ack"),
    ]  # fmt: skip


def test_flows_sides_and_queue_pairs_are_apart_over_many_calls() -> None:
    every = reader()
    packet = bth(SEND_ONLY, behind=bytes(10))
    for call in range(3):
        said = [
            Said(n, 10 * call + side, side, call, bth(SEND_ONLY, qp, behind=bytes(10)))
            for n in (1, 2)
            for side in (0, 1)
            for qp in (5, 6)
        ]
        assert not read(every, said).tables
    first = rows(read(every, [Said(3, 90, 0, 0, packet)], [0, 1]), "rdma")
    assert [(row["n"], row["side"], row["dst_qp"], row["packets"], row["send_bytes"]) for row in first] == [
        (1, 0, 5, 3, 30), (1, 0, 6, 3, 30), (1, 1, 5, 3, 30), (1, 1, 6, 3, 30),
    ]  # fmt: skip
    assert [row["packets"] for row in rows(read(every, [Said(2, 95, 0, 4, bth(ACK, 5, behind=aeth(0)))], [2, 3]), "rdma")] == [
        4,
        3,
        3,
        3,
        1,
    ]
    assert not read(every, [], [1, 2, 3]).tables


def test_queue_pairs_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rdma, "_MOST_QUEUES", 8)
    every = reader()
    told = rows(read(every, [Said(1, i, 0, i, bth(SEND_ONLY, i)) for i in range(20)]), "rdma")
    assert len(told) == 16
    assert len(rows(read(every, [], [1]), "rdma")) == 4


@pytest.mark.parametrize(
    "data", [b"", bth(SEND_ONLY)[:11], bth(0x1F), bth(0x6A), bth(0x2C), bth(0x80), bth(0xE0), bth(SEND_ONLY, version=1)]
)
def test_malformed(data: bytes) -> None:
    told = read(reader(), [Said(1, 0, 0, 0, data)], [1])
    assert (told.malformed, told.tables) == (1, {})
    assert told.seen is not None
    assert told.seen.tolist() == [0]


def test_headers_that_are_cut_are_counted_without_what_is_missing() -> None:
    row = one(bth(WRITE_ONLY, behind=reth(5))[:20], bth(ACK)[:12], whole=60)
    assert (row["packets"], row["write_bytes"], row["acks"]) == (2, 0, 0)


def test_messages_that_point_outside_the_arena_are_passed_over() -> None:
    messages, arena = rows_of([Said(1, 0, 0, 0, bth(SEND_ONLY))])
    messages["at"] = 50
    assert not reader().read(messages, arena, np.array([1])).tables


VALID = st.sampled_from(
    [bth(WRITE_FIRST, behind=reth(9)), bth(READ, behind=reth(8)), bth(ACK, behind=aeth(0)), bth(UD_SEND), bth(CNP)]
)
DATA = st.one_of(VALID, st.binary(max_size=40), st.tuples(VALID, st.integers(0, 40)).map(lambda t: t[0][: t[1]]))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), DATA), max_size=12), st.integers(1, 12))
def test_any_bytes_in_any_portions(stream: list[tuple[int, int, bytes]], portion: int) -> None:
    every = reader()
    said = [Said(n, ms, side, ms, data) for ms, (n, side, data) in enumerate(stream)]
    told = [read(every, said[at : at + portion]) for at in range(0, len(said), portion)]
    told.append(read(every, [], range(3)))
    assert sum(row["packets"] for each in told for row in rows(each, "rdma")) + sum(each.malformed for each in told) == len(said)
    for each in told:
        for column in each.tables.get("rdma", {}).values():
            if isinstance(column, pa.Array):
                column.validate(full=True)
