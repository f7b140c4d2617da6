from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings

from tests.decode.application import dcerpc_wire as rpc
from tests.decode.application import login_wire as login
from tests.decode.application import smb_wire as smb
from tests.decode.application.damage import conversation, survive
from tests.decode.application.rows import fits, plain
from tests.decode.application.smb_batch import OneFlow
from workbench.decode.application.nt_status import returned, status
from workbench.decode.application.protocol import MOST_WAITING, Context, Malformed, Message, Row

Said = tuple[int, bytes]


def reader() -> OneFlow:
    return OneFlow(Context("tcp", 50000, 445, login.hashed))


def talk(*said: bytes, end: OneFlow | None = None) -> dict[str, list[Row]]:
    """Hands over messages, 10 us apart; the rows by table."""
    end = end or reader()
    rows = [row for n, data in enumerate(said) for row in end.message(Message(10 * n, 0, data, len(data)))]
    rows += end.end()
    found: dict[str, list[Row]] = {}
    for row in rows:
        fits(row)
        found.setdefault(row[0], []).append(row)
    return found


def told(rows: list[Row], *names: str) -> list[tuple[object, ...]]:
    return [tuple(row[1].get(name) for name in names) for row in rows]


OPENED = (
    smb.ask(smb.NEGOTIATE, b"\x24\0" + b"\0" * 34, 0),
    smb.tell(smb.NEGOTIATE, smb.negotiated(0x0311), 0),
    smb.ask(smb.SETUP, smb.setup(login.offer(login.ntlm_negotiate())), 1, session=0),
    smb.tell(smb.SETUP, smb.set_up(login.answer(login.ntlm_challenge(), state=1)), 1, smb.MORE),
    smb.ask(smb.SETUP, smb.setup(login.answer(login.ntlm_authenticate("Bob"))), 2),
    smb.tell(smb.SETUP, smb.set_up(login.answer(state=0)), 2),
    smb.ask(smb.TREE, smb.tree("\\\\fs1\\IPC$"), 3, tree=0),
    smb.tell(smb.TREE, struct.pack("<HBB", 16, 2, 0), 3),
    smb.ask(smb.CREATE, smb.create("svcctl"), 4),
    smb.tell(smb.CREATE, smb.created(), 4),
)
CREATED = (
    smb.ask(smb.WRITE, smb.write(rpc.bind((0, rpc.SVCCTL, 2))), 5, flags=smb.SIGNED),
    smb.tell(smb.WRITE, b"\x11\0" + b"\0" * 14, 5),
    smb.ask(smb.READ, smb.read(), 6),
    smb.tell(smb.READ, b"\x09\0" + b"\0" * 7, 6, smb.PENDING, smb.ASYNC),
    smb.tell(smb.READ, smb.was_read(rpc.bound(0)), 6, 0, smb.ASYNC),
    smb.ask(smb.IOCTL, smb.ioctl(rpc.request(12, b"n" * 80, call=2)), 7),
    smb.tell(smb.IOCTL, smb.ioctl_done(rpc.response(b"\0" * 24, call=2)), 7),
    smb.ask(smb.CLOSE, smb.close(), 8),
    smb.tell(smb.CLOSE, b"\x3c\0" + b"\0" * 58, 8),
)


def test_a_service_is_created_through_a_pipe() -> None:
    end = reader()
    found = talk(*OPENED, *CREATED, end=end)
    assert end.services == ["smb", "dcerpc"]
    (who,) = found["ntlm"]
    assert (plain(who)["user_hash"], plain(who)["success"], plain(who)["carrier"]) == ("hash(bob)", True, "smb")
    pipe = "\\\\fs1\\IPC$"
    assert told(found["smb"], "command", "share", "pipe", "status", "count", "src_data_bytes", "dst_data_bytes") == [
        ("NEGOTIATE", None, None, "SUCCESS", 1, 0, 0),
        ("SESSION_SETUP", None, None, "MORE_PROCESSING_REQUIRED", 1, 0, 0),
        ("SESSION_SETUP", None, None, "SUCCESS", 1, 0, 0),
        ("TREE_CONNECT", pipe, None, "SUCCESS", 1, 0, 0),
        ("CREATE", pipe, "svcctl", "SUCCESS", 1, 0, 0),
        ("WRITE", pipe, "svcctl", "SUCCESS", 1, 72, 0),
        ("READ", pipe, "svcctl", "SUCCESS", 1, 0, len(rpc.bound(0))),
        ("IOCTL", pipe, "svcctl", "SUCCESS", 1, 104, 48),
        ("CLOSE", pipe, "svcctl", "SUCCESS", 1, 0, 0),
    ]
    assert set(told(found["smb"], "dialect", "version", "encrypted")) == {("3.1.1", "3", False)}
    assert [row[1]["signed"] for row in found["smb"]].count(True) == 1
    assert told(found["dcerpc"], "interface", "operation", "pipe", "result", "status") == [
        ("svcctl", None, "svcctl", "accepted", None),
        ("svcctl", "CreateServiceW", "svcctl", "answered", "SUCCESS"),
    ]


def test_kinds_are_counted_and_answers_matched() -> None:
    said = [message for n in range(20, 30) for message in (smb.ask(13, b"\4\0\0\0", n), smb.tell(13, b"\4\0\0\0", n))]
    said += [smb.ask(13, b"\4\0\0\0", 40), smb.tell(13, b"\x09\0", 41, smb.DENIED), smb.ask(smb.CANCEL, b"\4\0\0\0", 40)]
    found = told(talk(*said)["smb"], "command", "status", "count", "version")
    assert sorted(found, key=str) == [
        ("CANCEL", None, 1, "2"),
        ("ECHO", "ACCESS_DENIED", 1, "2"),
        ("ECHO", "SUCCESS", 10, "2"),
        ("ECHO", None, 1, "2"),
    ]


def test_commands_in_one_message() -> None:
    said = smb.chain(
        (smb.CREATE, smb.create("plans\\secret.txt"), 10, 0), (smb.READ, smb.read(), 11, smb.RELATED), (99, b"", 12, 4)
    )
    found = talk(*OPENED[:6], smb.ask(smb.TREE, smb.tree("\\\\fs1\\data"), 3, tree=0), smb.tell(smb.TREE, b"\x10\0\1\0", 3), said)
    rows = [row for row in found["smb"] if row[1]["status"] is None]
    assert told(rows, "command", "share", "pipe") == [
        ("CREATE", "\\\\fs1\\data", None),
        ("READ", "\\\\fs1\\data", None),
        ("command_99", "\\\\fs1\\data", None),
    ]
    assert "secret" not in str(found)


def test_a_pipe_whose_share_was_not_seen() -> None:
    found = talk(*OPENED[8:], *CREATED)
    assert told(found["dcerpc"], "operation")[1] == ("CreateServiceW",)
    assert "dcerpc" not in talk(
        smb.ask(smb.CREATE, smb.create("letter.doc"), 4), smb.tell(smb.CREATE, smb.created(), 4), *CREATED
    )


def test_a_tap_that_hears_the_client_only() -> None:
    said = [data for data in (*OPENED, *CREATED) if not data[4 + 16] & smb.RESPONSE]
    found = talk(*said)
    assert told(found["dcerpc"], "interface", "operation", "pipe", "result") == [
        ("svcctl", None, "svcctl", None),
        ("svcctl", "CreateServiceW", "svcctl", None),
    ]
    assert ("WRITE", "svcctl", None) in told(found["smb"], "command", "pipe", "status")


def test_what_is_written_to_files_is_no_pipe() -> None:
    alone = talk(smb.ask(smb.WRITE, smb.write(b"\x05\0\0" + b"\0" * 60), 5))
    both = talk(*OPENED[:2], smb.ask(smb.WRITE, smb.write(rpc.bind((0, rpc.SVCCTL, 2))), 5))
    assert "dcerpc" not in alone
    assert "dcerpc" not in both


def test_a_refused_login() -> None:
    found = talk(*OPENED[:5], smb.tell(smb.SETUP, smb.set_up(b""), 2, 0xC000006D))
    (who,) = found["ntlm"]
    assert plain(who)["success"] is False
    assert told(found["smb"], "status")[-1] == ("LOGON_FAILURE",)


def test_encrypted_and_compressed() -> None:
    found = talk(*OPENED[:2], *(smb.packet(b"\xfdSMB" + b"\0" * 60) for _ in range(3)), smb.packet(b"\xfcSMB" + b"\0" * 20))
    assert told(found["smb"], "command", "encrypted", "count")[1:] == [("ENCRYPTED", True, 3), ("COMPRESSED", False, 1)]


def test_a_reopened_tree_and_many_handles() -> None:
    said = list(OPENED[:8])
    for n in range(100):
        handle = b"h%015d" % n
        said += [smb.ask(smb.CREATE, smb.create("\\PIPE\\samr"), 50 + n), smb.tell(smb.CREATE, smb.created(handle), 50 + n)]
        said.append(smb.ask(smb.WRITE, smb.write(rpc.request(5, call=n), handle), 500 + n))
    said += [smb.ask(smb.UNTREE, b"\4\0", 700), smb.tell(smb.UNTREE, b"\4\0", 700), smb.ask(13, b"", 701)]
    found = talk(*said)
    assert sum(row[1]["count"] for row in found["dcerpc"]) == 100
    assert found["smb"][-1][1]["share"] is None


def test_requests_wait_bounded() -> None:
    found = talk(*(smb.ask(13, b"\4\0", n) for n in range(MOST_WAITING + 10)), smb.ask(13, b"\4\0", MOST_WAITING + 9))
    assert sum(row[1]["count"] for row in found["smb"]) == MOST_WAITING + 11


def wide(value: str) -> bytes:
    return value.encode("utf-16-le")


def test_smb1_with_extended_security_and_a_pipe() -> None:
    token, challenge, user = login.ntlm_negotiate(), login.ntlm_challenge(), login.ntlm_authenticate("Dora")
    path = b"\0" + wide("\\\\old\\IPC$") + b"\0\0" + b"IPC\0"  # behind a password of one byte
    bind, call = rpc.bind((0, rpc.SVCCTL, 2)), rpc.request(15, call=2)
    done = rpc.response(b"\0" * 24, call=2)
    trans = struct.pack("<HHHHBBHIHHHHHBBHH", 0, len(call), 0, 1024, 0, 0, 0, 0, 0, 0, 0, len(call), 67, 2, 0, 0x26, 0x4001)
    found = talk(
        smb.one(0x72, b"", b"\2PC NETWORK PROGRAM 1.0\0\2NT LM 0.12\0"),
        smb.one(0x72, struct.pack("<H", 1) + b"\0" * 32, reply=True),
        smb.one(0x73, smb.andx(struct.pack("<HHHIHII", 4356, 10, 0, 0, len(token), 0, 0)), token, mid=2, uid=0),
        smb.one(0x73, smb.andx(struct.pack("<HH", 0, len(challenge))), challenge, mid=2, status=smb.MORE, reply=True),
        smb.one(0x73, smb.andx(struct.pack("<HHHIHII", 4356, 10, 0, 0, len(user), 0, 0)), user, mid=3),
        smb.one(0x73, smb.andx(struct.pack("<HH", 0, 0)), mid=3, reply=True),
        smb.one(0x75, smb.andx(struct.pack("<HH", 0, 1)), path, mid=4, tid=0xFFFF),
        smb.one(0x75, smb.andx(struct.pack("<H", 0)), b"IPC\0", mid=4, reply=True),
        smb.one(0xA2, smb.andx(struct.pack("<BH", 0, 14) + b"\0" * 41), b"\0" + wide("\\svcctl") + b"\0\0", mid=5),
        smb.one(0xA2, smb.andx(struct.pack("<BH", 0, 0x4001) + b"\0" * 61), mid=5, reply=True),
        smb.one(0x2F, smb.andx(struct.pack("<HIIHHHHHI", 0x4001, 0, 0, 8, 0, 0, len(bind), 63, 0)), bind, mid=6),
        smb.one(0x2F, smb.andx(b"\0" * 8), mid=6, reply=True),
        smb.one(0x2E, smb.andx(struct.pack("<HIHHIH", 0x4001, 0, 1024, 0, 0, 0)), mid=7),
        smb.one(
            0x2E,
            smb.andx(struct.pack("<HHHHHHHHHH", 0, 0, 0, len(rpc.bound(0)), 59, 0, 0, 0, 0, 0)),
            rpc.bound(0),
            mid=7,
            reply=True,
        ),
        smb.one(0x25, trans, call, mid=8),
        smb.one(0x25, struct.pack("<HHHHHHHHHBB", 0, len(done), 0, 0, 0, 0, len(done), 55, 0, 0, 0), done, mid=8, reply=True),
        smb.one(0x04, struct.pack("<HI", 0x4001, 0), mid=9),
        smb.one(0x04, b"", mid=9, reply=True),
        smb.one(0xA4, b"", mid=9),
    )
    assert told(found["smb"], "command", "share", "pipe", "status") == [
        ("NEGOTIATE", None, None, "SUCCESS"),
        ("SESSION_SETUP_ANDX", None, None, "MORE_PROCESSING_REQUIRED"),
        ("SESSION_SETUP_ANDX", None, None, "SUCCESS"),
        ("TREE_CONNECT_ANDX", "\\\\old\\IPC$", None, "SUCCESS"),
        ("NT_CREATE_ANDX", "\\\\old\\IPC$", "svcctl", "SUCCESS"),
        ("WRITE_ANDX", "\\\\old\\IPC$", "svcctl", "SUCCESS"),
        ("READ_ANDX", "\\\\old\\IPC$", "svcctl", "SUCCESS"),
        ("TRANSACTION", "\\\\old\\IPC$", "svcctl", "SUCCESS"),
        ("CLOSE", "\\\\old\\IPC$", "svcctl", "SUCCESS"),
        ("NT_CANCEL", "\\\\old\\IPC$", None, None),
    ]
    assert set(told(found["smb"], "dialect", "version")) == {("NT LM 0.12", "1")}
    assert told(found["dcerpc"], "operation", "result", "status") == [
        (None, "accepted", None),
        ("OpenSCManagerW", "answered", "SUCCESS"),
    ]
    assert told(found["ntlm"], "user_hash", "success") == [("hash(dora)", True)]


def test_smb1_chained_and_without_tokens() -> None:
    names = b"L" * 24 + b"N" * 24 + b"ERIN\0HOME\0Unix\0Samba\0"
    words = struct.pack("<HHHIHHII", 4356, 10, 0, 0, 24, 24, 0, 0)
    path = b"\0\\\\OLD\\MUSIC\0?????\0"
    setup = smb.one(
        0x73,
        smb.andx(words, 0x75, 32 + 1 + 26 + 2 + len(names)),
        names,
        flags=0,
        after=smb.block(smb.andx(struct.pack("<HH", 0, 1)), path),
    )
    found = talk(
        setup,
        smb.one(0x73, smb.andx(b"\0\0"), reply=True, status=5 << 16 | 1, flags=0),
        smb.one(0x70, b"", b"\4\\\\OLD\\DOCS\0\4\0\4A:\0", mid=2, flags=0),
        smb.one(0x70, struct.pack("<HH", 4096, 7), mid=2, reply=True, flags=0),
        smb.one(0x2D, smb.andx(b"\0" * 26), b"song.mp3\0", mid=3, flags=0),
        smb.one(0x2D, smb.andx(b"\0" * 26), mid=3, reply=True, flags=0),
        smb.one(0xEE, b"", mid=4, reply=True),
    )
    assert told(found["smb"], "command", "share", "status", "pipe") == [
        ("SESSION_SETUP_ANDX", "\\\\OLD\\MUSIC", "DOS_1_5", None),
        ("TREE_CONNECT_ANDX", "\\\\OLD\\MUSIC", "DOS_1_5", None),
        ("TREE_CONNECT", "\\\\OLD\\DOCS", "SUCCESS", None),
        ("OPEN_ANDX", "\\\\OLD\\DOCS", "SUCCESS", None),
        ("command_0xee", "\\\\OLD\\DOCS", "SUCCESS", None),
    ]
    assert told(found["ntlm"], "user_hash", "domain", "version", "success") == [("hash(erin)", "HOME", "NTLMv1", False)]
    assert "song" not in str(found)


def test_smb1_that_becomes_smb2() -> None:
    found = talk(smb.one(0x72, b"", b"\2NT LM 0.12\0\2SMB 2.???\0"), smb.tell(smb.NEGOTIATE, smb.negotiated(0x02FF), 0))
    assert sorted(told(found["smb"], "version", "dialect", "status"), key=str) == [("1", None, None), ("2", "2.???", "SUCCESS")]


def test_sessions_of_netbios_are_passed_over() -> None:
    end = reader()
    for kind in (0x81, 0x82, 0x85):
        assert list(end.message(Message(0, 0, bytes([kind, 0, 0, 0]), 4))) == []
    assert end.services == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x07\0\0\0",
        smb.packet(b"HTTP/1.1"),
        smb.packet(b"\xffSMB\x72"),
        smb.one(0x75, b"", b"x"),
        smb.packet(smb.two(0, b"", 1, next_=64) + b"x" * 64),
        smb.ask(smb.SETUP, b"\x19\0", 1),
        smb.ask(smb.WRITE, b"\x31\0", 1),
    ],
)
def test_what_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        list(reader().message(Message(0, 0, data, len(data))))


def test_statuses() -> None:
    assert (status(0), status(0xC0000022), status(0xCAFE0000)) == ("SUCCESS", "ACCESS_DENIED", "0xCAFE0000")
    found = [returned(code) for code in (0, 5, 77, 0xC000006D, 0x80070005, 0x80070077, 0x80041318, 0x12345678)]
    assert found == ["SUCCESS", "ACCESS_DENIED", "error_77", "LOGON_FAILURE", "ACCESS_DENIED", "0x80070077", "0x80041318", None]


VALID = (
    *OPENED,
    *CREATED,
    smb.chain((smb.CREATE, smb.create("samr"), 10, 0), (smb.READ, smb.read(), 11, smb.RELATED)),
    smb.one(0x72, b"", b"\2NT LM 0.12\0"),
    smb.one(0x73, smb.andx(struct.pack("<HHHIHHII", 4356, 10, 0, 0, 24, 24, 0, 0)), b"L" * 48 + b"ERIN\0HOME\0"),
    smb.one(0x75, smb.andx(struct.pack("<HH", 0, 1)), b"\0" + wide("\\\\old\\IPC$") + b"\0\0IPC\0"),
    smb.one(0xA2, smb.andx(struct.pack("<BH", 0, 14) + b"\0" * 41), b"\0" + wide("\\svcctl")),
    smb.one(0xA2, smb.andx(struct.pack("<BH", 0, 0x4001) + b"\0" * 61), reply=True),
    smb.one(0x2F, smb.andx(struct.pack("<HIIHHHHHI", 0x4001, 0, 0, 8, 0, 0, 24, 63, 0)), rpc.request(12)),
    smb.packet(b"\xfdSMB" + b"\0" * 60),
)


@given(conversation(VALID))
@settings(max_examples=80, deadline=None)
def test_damaged_messages(said: list[tuple[int, bytes, int]]) -> None:
    survive(reader(), said, fits)
