from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from tests.decode.application.feeding import Said, context, feed, survive
from tests.decode.application.mutations import mutated
from workbench.decode.application.iscsi import PROTOCOL
from workbench.decode.application.protocol import Malformed
from workbench.records.columns import BY_NAME


def pdu(opcode: int, said: bytes = b"", status: int = 0, size: int | None = None) -> bytes:
    length = (len(said) if size is None else size).to_bytes(3, "big")
    header = bytes([opcode, 0x87, 0, 0, 0]) + length + bytes(28) + status.to_bytes(2, "big") + bytes(10)
    return header + said + bytes(-len(said) % 4)


FIRST = pdu(0x43, b"InitiatorName=iqn.2026-01.org.example:host7\0TargetName=iqn.2026-01.org.example:disk\0AuthMethod=CHAP,None\0")
SECOND = pdu(0x43, b"CHAP_N=alice\0CHAP_R=0x0011\0")
ANSWER = pdu(0x23, b"AuthMethod=CHAP\0")
COMMAND = pdu(0x01, b"\x28" * 32)


def one(*said: Said, end: bool = True) -> dict[str, Any]:
    [row] = feed(PROTOCOL, said, end=end)
    assert set(row) == set(BY_NAME["iscsi"].names) - {"flow_id"}
    return row


def test_a_login() -> None:
    row = one((0, FIRST + SECOND + COMMAND), (1, ANSWER + pdu(0x23, b"", 0) + pdu(0x21)), end=False)
    assert row == {
        "ts": 0,
        "initiator": "iqn.2026-01.org.example:host7",
        "target": "iqn.2026-01.org.example:disk",
        "session": "Normal",
        "auth": "CHAP,None; CHAP",
        "status": "SUCCESS",
        "user_hash": context().hashed("alice"),
    }


def test_a_discovery_that_is_refused() -> None:
    row = one((0, pdu(0x43, b"InitiatorName=a\0SessionType=Discovery\0")), (1, pdu(0x23, status=0x0201)))
    assert (row["session"], row["target"], row["auth"], row["status"]) == ("Discovery", None, None, "AUTHENTICATION_FAILURE")


@pytest.mark.parametrize(("status", "name"), [(0x0101, "TARGET_MOVED_TEMPORARILY"), (0x0399, "0x0399"), (0x0203, "NOT_FOUND")])
def test_results(status: int, name: str) -> None:
    row = one((1, ANSWER + pdu(0x23, status=status)))
    assert (row["status"], row["initiator"]) == (name, None)


def test_one_direction_and_none() -> None:
    assert one((0, FIRST))["status"] is None
    assert feed(PROTOCOL, []) == feed(PROTOCOL, [(0, pdu(0x43)), (0, b"")]) == []


def test_text_that_goes_on_in_the_next_pdu() -> None:
    assert one((0, pdu(0x43, b"InitiatorName=host7\0Targ") + pdu(0x43, b"etName=disk\0")))["target"] == "disk"


def test_what_is_cut_says_what_is_there() -> None:
    assert one((0, FIRST[:90], 300))["initiator"] == "iqn.2026-01.org.example:host"


@pytest.mark.parametrize("data", [COMMAND, FIRST[:90], pdu(0x43, b"a=b\0", size=0xFFFFFF)])
def test_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        feed(PROTOCOL, [(0, data)])


@settings(max_examples=150, deadline=None)
@given(mutated([FIRST + SECOND + COMMAND, ANSWER + pdu(0x23), pdu(0x23, status=0x0201), COMMAND]))
def test_any_bytes(said: list[Said]) -> None:
    assert survive(PROTOCOL, said) <= len(said)
