from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings

from tests.decode.application.feeding import Said, context, feed, messages, survive
from tests.decode.application.mutations import mutated
from workbench.decode.application.ntp import PROTOCOL
from workbench.records.columns import BY_NAME

UDP = context("udp", 40000, 123)


def packet(mode: int, version: int = 4, stratum: int = 0, reference: bytes = bytes(4), origin: int = 0, sent: int = 0) -> bytes:
    head = bytes([version << 3 | mode, stratum, 6, 0xEC]) + bytes(8) + reference
    return head + struct.pack(">QQQQ", 0, origin, 0, sent)


def control(opcode: int, response: int = 0, sequence: int = 1, version: int = 2) -> bytes:
    return struct.pack(">BBHHHHH", version << 3 | 6, response << 7 | opcode, sequence, 0, 0, 0, 0)


def private(request: int, response: int = 0) -> bytes:
    return bytes([response << 7 | 2 << 3 | 7, 0, 3, request]) + bytes(4)


def rows(*said: Said) -> list[dict[str, Any]]:
    found = feed(PROTOCOL, said, UDP)
    assert all(set(row) <= set(BY_NAME["ntp"].names) for row in found)
    return found


def test_a_client_and_its_server() -> None:
    ask, tell = packet(3, sent=77), packet(4, stratum=2, reference=b"\xc0\0\2\5", origin=77)
    client, server = rows((0, ask), (1, packet(4, origin=76)), (1, tell), (0, ask), (1, tell))
    assert client == {
        "ts": 0, "version": "4", "mode": "client", "request": None, "count": 2, "answers": 0, "stratum": 0, "reference": None,
        "rtt_us": 2000,
    }  # fmt: skip
    assert (server["mode"], server["count"], server["answers"], server["stratum"]) == ("server", 3, 3, 2)
    assert server["reference"] == "192.0.2.5"


@pytest.mark.parametrize(
    ("data", "mode", "version", "stratum", "reference"),
    [
        (packet(1, 3, 1, b"GPS\0"), "symmetric", "3", 1, "GPS"),
        (packet(2, 4, 16), "symmetric", "4", 16, None),
        (packet(5, 4, 0, b"RATE"), "broadcast", "4", 0, "RATE"),
        (packet(4, 1, 1, b"\xff\0\0\0"), "server", "1", 1, "\\xff"),
        (packet(4) + bytes(20), "server", "4", 0, None),  # with a key's digest
    ],
)
def test_modes(data: bytes, mode: str, version: str, stratum: int, reference: str | None) -> None:
    (row,) = rows((0, data))
    assert (row["mode"], row["version"], row["stratum"], row["reference"]) == (mode, version, stratum, reference)


def test_monlist_is_named_and_its_answers_counted() -> None:
    (row,) = rows((0, private(42)), *[(1, private(42, 1))] * 5, (0, private(20)))
    assert (row["mode"], row["request"], row["count"], row["answers"], row["rtt_us"]) == ("private", "monlist", 7, 5, 1000)
    assert [row["request"] for row in rows((0, private(2)), (0, private(99)))] == ["peer_info", "request_99"]


def test_control_messages_are_answered_by_sequence_number() -> None:
    (row,) = rows((0, control(2, sequence=5)), (1, control(2, 1, 4)), (1, control(2, 1, 5)))
    assert (row["mode"], row["request"], row["version"], row["count"], row["answers"]) == ("control", "readvar", "2", 3, 2)
    assert row["rtt_us"] == 2000
    assert "stratum" not in row
    assert rows((0, control(30)))[0]["request"] == "opcode_30"


def test_a_flow_of_every_request_is_counted_in_bounded_memory() -> None:
    said: list[Said] = [(0, private(k)) for k in range(256)]
    found = rows(*said)
    assert sum(row["count"] for row in found) == 256
    assert PROTOCOL.reader
    reader = PROTOCOL.reader(UDP)
    early = [list(reader.message(message)) for message in messages(said)]
    assert max(map(len, early)) == 64
    assert reader.services == ["ntp"]


@pytest.mark.parametrize("data", [b"", packet(3)[:47], packet(0), packet(3, 0), packet(3, 5), control(2)[:11], private(42)[:3]])
def test_what_is_not_ntp_is_refused(data: bytes) -> None:
    assert survive(PROTOCOL, [(0, data)], UDP) == 1


@settings(max_examples=80, deadline=None)
@given(mutated([packet(3, sent=7), packet(4, stratum=1, reference=b"PPS\0", origin=7), control(2), control(2, 1), private(42)]))
def test_nothing_but_malformed_comes_of_any_bytes(said: list[Said]) -> None:
    assert survive(PROTOCOL, said, UDP) <= len(said)
