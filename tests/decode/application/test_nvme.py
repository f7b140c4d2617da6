from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from tests.decode.application.feeding import Said, feed, survive
from tests.decode.application.mutations import mutated
from workbench.decode.application.nvme import PROTOCOL
from workbench.decode.application.protocol import Malformed
from workbench.records.columns import BY_NAME


def little(number: int, size: int) -> bytes:
    return number.to_bytes(size, "little")


def pdu(kind: int, header: bytes, data: bytes = b"", flags: int = 0) -> bytes:
    size = 8 + len(header)
    return bytes([kind, flags, size, size if data else 0]) + little(size + len(data), 4) + header + data


def initialise(kind: int, digests: int) -> bytes:
    return pdu(kind, bytes(3) + bytes([digests]) + bytes(116))


def command(opcode: int, cid: int = 1, data: bytes = b"", more: bytes = b"", flags: int = 0) -> bytes:
    return pdu(4, (bytes([opcode, 0]) + little(cid, 2) + more).ljust(64, b"\0"), data, flags)


def connect(queue: int, cid: int = 9) -> bytes:
    said = bytes(256) + b"nqn.2026-01.org.example:disk".ljust(256, b"\0") + b"nqn.2014-08.org.nvmexpress:host7".ljust(512, b"\0")
    return command(0x7F, cid, said, b"\x01".ljust(38, b"\0") + little(queue, 2))


def answer(cid: int, status: int = 0) -> bytes:
    return pdu(5, bytes(12) + little(cid, 2) + little(status << 1, 2))


def moved(kind: int, size: int) -> bytes:
    return pdu(kind, little(1, 4) + little(0, 4) + little(size, 4) + bytes(4), b"d" * 16)


HELLO: list[Said] = [(0, initialise(0, 3)), (1, initialise(1, 1)), (0, connect(1)), (1, answer(9))]


def one(*said: Said) -> dict[str, Any]:
    [row] = feed(PROTOCOL, said)
    assert set(row) == set(BY_NAME["nvme"].names) - {"flow_id"}
    return row


def test_a_queue_that_reads_and_writes() -> None:
    said: list[Said] = [
        (0, command(2)),
        (1, moved(7, 4096)),
        (1, answer(1)),
        (0, command(1)),
        (1, pdu(9, bytes(16))),
        (0, moved(6, 8192)),
    ]
    assert one(*HELLO, *said) == {
        "ts": 0,
        "host_nqn": "nqn.2014-08.org.nvmexpress:host7",
        "subsystem_nqn": "nqn.2026-01.org.example:disk",
        "queue": 1,
        "status": None,
        "digests": "header",
        "reads": 1,
        "writes": 1,
        "read_bytes": 4096,
        "write_bytes": 8192,
    }


@pytest.mark.parametrize(("flags", "size"), [(0, 512), (2, 508)])
def test_data_within_the_capsule(flags: int, size: int) -> None:
    assert one(*HELLO, (0, command(1, data=bytes(512), flags=flags)))["write_bytes"] == size


def test_the_admin_queue_reads_nothing() -> None:
    row = one((0, initialise(0, 0)), (0, connect(0)), (0, command(2)), (0, command(6)))
    assert (row["queue"], row["reads"], row["digests"]) == (0, 0, "none")


@pytest.mark.parametrize(
    ("status", "name"), [(0x184, "CONNECT_INVALID_HOST"), (0x4182, "CONNECT_INVALID_PARAMETERS"), (0x1FE, "0x1fe")]
)
def test_refusals(status: int, name: str) -> None:
    assert one(*HELLO[:3], (1, answer(3, 0x180)), (1, answer(9, status)))["status"] == name


def test_a_connection_from_the_middle() -> None:
    row = one((1, moved(7, 64)), (0, command(2)), (0, command(9)))
    assert (row["queue"], row["host_nqn"], row["reads"], row["read_bytes"]) == (None, None, 1, 64)
    assert feed(PROTOCOL, []) == feed(PROTOCOL, [(0, pdu(3, bytes(16)))]) == []


@pytest.mark.parametrize(
    "data", [b"", b"\x08" * 20, b"\0\0\x80\0\x80\0\0\0", b"\x04\0\x48\0" + bytes(20), b"\x05\0\x18\0" + bytes(8)]
)
def test_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        feed(PROTOCOL, [(0, data)])


@settings(max_examples=150, deadline=None)
@given(mutated([data for _, data, *_ in HELLO] + [command(1, data=bytes(64)), moved(6, 100), moved(7, 9), answer(9, 0x184)]))
def test_any_bytes(said: list[Said]) -> None:
    assert survive(PROTOCOL, said) <= len(said)
