from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from tests.decode.application import rpc_wire as rpc
from tests.decode.application.feeding import Said, context, feed, survive
from tests.decode.application.mutations import mutated
from tests.decode.application.rpc_wire import call, compound, denied, opaque, operation, record, reply, word
from workbench.decode.application.nfs import PROTOCOL, procedure_name
from workbench.decode.application.nfs_compound import MOST_OPERATIONS, operations
from workbench.decode.application.protocol import MOST_WAITING, Malformed
from workbench.records.columns import BY_NAME

UDP = context("udp", dst_port=2049)
NFS, MOUNT, PORTMAP, NLM = 100003, 100005, 100000, 100021


def rows(*said: Said, udp: bool = True) -> list[dict[str, Any]]:
    return feed(PROTOCOL, said, UDP if udp else context(dst_port=2049))


def one(asked: bytes, answer: bytes | None = None) -> dict[str, Any]:
    [row] = rows((0, asked), *([(1, answer)] if answer is not None else []))
    return row


def test_a_call_and_its_reply() -> None:
    row = one(call(7, NFS, 3, 1, opaque(b"handle"), rpc.sys_auth()), reply(7, word(0) + bytes(84)))
    assert row == {
        "ts": 0, "program": "nfs", "version": "3", "procedure": "GETATTR", "status": "NFS3_OK", "machine": "node7",
        "export": None, "auth": "sys", "count": 1,
    }  # fmt: skip
    assert set(row) == set(BY_NAME["nfs"].names) - {"flow_id"}


def test_what_repeats_is_counted() -> None:
    said: list[Said] = []
    for xid in range(10):
        said += [(0, call(xid, NFS, 3, 3, opaque(b"dir") + opaque(b"name"))), (1, reply(xid, word(2 if xid == 4 else 0)))]
    assert [(row["procedure"], row["status"], row["count"]) for row in rows(*said)] == [
        ("LOOKUP", "NFS3_OK", 9), ("LOOKUP", "NFS3ERR_NOENT", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "answer", "program", "procedure", "status"),
    [
        (call(1, NFS, 2, 4), reply(1, word(70)), "nfs", "LOOKUP", "NFSERR_STALE"),
        (call(1, NFS, 3, 0), reply(1), "nfs", "NULL", "SUCCESS"),
        (call(1, NFS, 3, 99), reply(1, accepted=3), "nfs", "99", "PROC_UNAVAIL"),
        (call(1, NFS, 9, 1), reply(1, word(2, 3, 4), 2), "nfs", "1", "PROG_MISMATCH"),
        (call(1, NFS, 3, 6), reply(1, word(77)), "nfs", "READ", "NFS3ERR_77"),
        (call(1, NFS, 4, 1, compound(operation(10))), reply(1, word(10052)), "nfs", "GETFH", "NFS4ERR_BADSESSION"),
        (call(1, PORTMAP, 2, 3, word(NFS, 3, 6, 0)), reply(1, word(2049)), "portmap", "GETPORT", "SUCCESS"),
        (call(1, MOUNT, 3, 5), denied(1), "mount", "EXPORT", "AUTH_ERROR"),
        (call(1, NLM, 4, 2), reply(1, opaque(b"cook") + word(3)), "nlm", "LOCK", "BLOCKED"),
        (call(1, NFS, 3, 1, b"", rpc.gss_auth(3)), reply(1, b"sealed"), "nfs", "GETATTR", "SUCCESS"),
        (call(1, NFS, 3, 1), None, "nfs", "GETATTR", None),
    ],
)  # fmt: skip
def test_names_of_results(asked: bytes, answer: bytes | None, program: str, procedure: str, status: str | None) -> None:
    row = one(asked, answer)
    assert (row["program"], row["procedure"], row["status"]) == (program, procedure, status)


def test_a_mount_says_its_path() -> None:
    row = one(call(1, MOUNT, 3, 1, opaque(b"/srv/data"), rpc.sys_auth()), reply(1, word(13)))
    assert (row["export"], row["status"], row["procedure"]) == ("/srv/data", "MNT3ERR_ACCES", "MNT")


def test_every_operation_that_can_be_walked_over() -> None:
    assert operations(compound(*rpc.OPERATIONS.values()), 0) == list(rpc.OPERATIONS)


@pytest.mark.parametrize(
    "claim", [(word(0), opaque(b"n")), (word(1, 4),), (word(2), rpc.STATE, opaque(b"n")), (word(4),), (word(5), rpc.STATE)]
)
@pytest.mark.parametrize("how", [word(0), word(1, 1) + rpc.FATTR, word(1, 2, 8, 8), word(1, 3, 8, 8) + rpc.FATTR])
def test_every_way_to_open(how: bytes, claim: tuple[bytes, ...]) -> None:
    opened = operation(18, word(0, 1, 0, 0, 5), opaque(b"owner"), how, *claim)
    assert operations(compound(opened, rpc.OPERATIONS["GETFH"]), 0) == ["OPEN", "GETFH"]


def test_more_to_walk_over() -> None:
    device = operation(6, word(3, 8, 1), opaque(b"sda"), rpc.FATTR)
    known = operation(12, bytes(24), word(0), rpc.STATE, word(2))
    assert operations(compound(device, known, operation(16)), 0) == ["CREATE", "LOCK", "LOOKUPP"]
    session = operation(43, bytes(16), bytes(24), word(0), bytes(24), word(1, 5), word(9))
    assert operations(compound(session, operation(10)), 0) == ["CREATE_SESSION"]
    assert operations(compound(operation(18, word(0, 1, 0, 0, 5), opaque(b"o"), word(0, 7))), 0) == ["OPEN"]


def test_an_unknown_operation_ends_the_list() -> None:
    assert operations(compound(operation(10), operation(200), operation(10)), 0) == ["GETFH", "op_200"]
    assert len(operations(compound(*[operation(10)] * 200), 0)) == MOST_OPERATIONS
    assert operations(b"\xff\xff\xff\xff", 0) == operations(b"", 5) == []


@pytest.mark.parametrize(("service", "name"), [(1, "GETFH"), (2, "GETFH"), (3, "COMPOUND")])
def test_what_kerberos_leaves_to_read(service: int, name: str) -> None:
    args = compound(operation(10))
    row = one(call(1, NFS, 4, 1, word(len(args), 1) + args if service == 2 else args, rpc.gss_auth(service)))
    assert (row["procedure"], row["auth"]) == (name, "gss")


def test_records_of_several_fragments() -> None:
    said = [
        (0, record(call(1, NFS, 3, 7), last=False)), (0, record(b"content")), (0, record(call(2, NFS, 3, 21))),
        (1, record(reply(2, word(0)))), (1, record(reply(1, word(28)))),
    ]  # fmt: skip
    assert {(row["procedure"], row["status"]) for row in rows(*said, udp=False)} == {
        ("WRITE", "NFS3ERR_NOSPC"),
        ("COMMIT", "NFS3_OK"),
    }


def test_what_waits_is_bounded() -> None:
    assert sum(row["count"] for row in rows(*[(0, call(xid, NFS, 3, 1)) for xid in range(MOST_WAITING + 9)])) == MOST_WAITING + 9


def test_callbacks_and_other_programs() -> None:
    assert procedure_name(0x40000000, 1, 1) == "CB_COMPOUND"
    assert rows((0, call(1, 100004, 2, 1)), (1, reply(1)), (1, reply(2))) == []


@pytest.mark.parametrize(
    "data",
    [b"", word(1), word(1, 2, 2), word(1, 0, 3, NFS, 3, 1, 0, 0), call(1, NFS, 3, 1)[:27], word(1, 0, 2, NFS, 3, 1, 1, 401)],
)
def test_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        rows((0, data))


def test_a_cut_reply_is_malformed() -> None:
    with pytest.raises(Malformed):
        rows((0, call(1, NFS, 3, 1)), (1, reply(1)[:20]))


VALID = [
    call(1, NFS, 3, 1, opaque(b"handle"), rpc.sys_auth()), reply(1, word(0)), call(1, MOUNT, 3, 1, opaque(b"/srv")), denied(1),
    call(1, NFS, 4, 1, compound(*rpc.OPERATIONS.values())), call(1, NLM, 4, 2), reply(1, opaque(b"cook") + word(3)),
    call(1, NFS, 4, 1, compound(operation(10)), rpc.gss_auth(2)),
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(mutated(VALID + [record(data) for data in VALID]))
def test_any_bytes(said: list[Said]) -> None:
    assert survive(PROTOCOL, said, UDP) <= len(said)
    assert survive(PROTOCOL, said, context(dst_port=2049)) <= len(said)
