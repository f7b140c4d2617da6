from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decode.application import dcerpc_wire as rpc
from tests.decode.application import login_wire as login
from tests.decode.application.damage import conversation, survive
from tests.decode.application.rows import fits, plain
from workbench.decode.application import dcerpc_names as names
from workbench.decode.application.dcerpc import PROTOCOL
from workbench.decode.application.dcerpc_calls import Association, Pieces, tally
from workbench.decode.application.protocol import MOST_WAITING, Context, Malformed, Message, Reader, Row
from workbench.decode.application.tally import MOST_KINDS, Tally


def reader(transport: str = "tcp") -> Reader:
    assert PROTOCOL.reader
    return PROTOCOL.reader(Context(transport, 50000, 49668, login.hashed))  # type: ignore[arg-type]


def talk(*said: bytes, transport: str = "tcp") -> list[Row]:
    """Hands over messages, 10 us apart; all rows, those of the end too."""
    end = reader(transport)
    rows = [row for n, data in enumerate(said) for row in end.message(Message(10 * n, 0, data, len(data)))]
    assert end.services == ["dcerpc"]
    return rows + list(end.end())


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_service_is_created(order: str) -> None:
    ok = b"\0" * 24
    rows = talk(
        rpc.bind((0, rpc.SVCCTL, 2), order=order),
        rpc.bound(0, order=order),
        rpc.request(15, b"x" * 40, call=2, order=order),
        rpc.response(ok, call=2, order=order),
        rpc.request(12, b"x" * 100, call=3, order=order, flags=rpc.FIRST | rpc.LAST | rpc.OBJECT),
        rpc.response(b"\0" * 20 + (1073).to_bytes(4, "little" if order == "<" else "big"), call=3, order=order),
    )
    same = {"interface": "svcctl", "uuid": rpc.SVCCTL, "version": "2.0", "count": 1}
    assert [plain(row) for row in rows] == [
        {**same, "result": "accepted", "request_bytes": 0, "response_bytes": 0},
        {**same, "operation": "OpenSCManagerW", "opnum": 15, "result": "answered", "status": "SUCCESS", "request_bytes": 40,
         "response_bytes": 24},
        {**same, "operation": "CreateServiceW", "opnum": 12, "result": "answered", "status": "SERVICE_EXISTS",
         "request_bytes": 100, "response_bytes": 24},
    ]  # fmt: skip
    assert [row[1]["ts"] for row in rows] == [0, 20, 40]


def test_calls_that_are_alike_are_one_row() -> None:
    said = [rpc.bind((0, rpc.NETLOGON, 1)), rpc.bound(0)]
    for call in range(50):
        said += [rpc.request(26, call=call), rpc.response((0xC0000022).to_bytes(4, "little"), call=call)]
    said += [rpc.request(26, call=99), rpc.response(b"\0" * 4, call=99)]
    _, refused, taken = talk(*said)
    assert plain(refused)["operation"] == "NetrServerAuthenticate3"
    assert (plain(refused)["status"], plain(refused)["count"]) == ("ACCESS_DENIED", 50)
    assert (plain(taken)["status"], plain(taken)["count"]) == ("SUCCESS", 1)


def test_contexts_that_were_rejected_and_altered() -> None:
    rows = talk(
        rpc.bind((0, rpc.SVCCTL, 2), (1, rpc.SVCCTL, 2), (2, "6cb71c2c-9812-4540-0300-000000000000", 1)),
        rpc.bound(2, 0, 3),
        rpc.bind((5, rpc.NETLOGON, 1), kind=14, call=2),
        rpc.bound(2, kind=15, call=2, address=b""),
        rpc.bind((6, "deadbeef-0000-0000-0000-000000000000", 1), kind=14, call=3),
        rpc.pdu(13, b"\0" * 4, call=3),
        rpc.bind((7, rpc.SVCCTL, 2), kind=14, call=4),
        rpc.request(200, context=1, call=9),
        rpc.request(5, context=77, call=10),
    )
    found = [(plain(row).get("interface"), plain(row).get("operation"), plain(row).get("result")) for row in rows]
    assert found == [
        ("svcctl", None, "accepted"),
        ("6cb71c2c-9812-4540-0300-000000000000", None, "rejected"),
        ("netlogon", None, "rejected"),
        ("deadbeef-0000-0000-0000-000000000000", None, "rejected"),
        ("svcctl", None, None),
        ("svcctl", "opnum_200", None),
        (None, "opnum_5", None),
    ]


def test_faults() -> None:
    rows = talk(
        rpc.bind((0, rpc.SVCCTL, 2)), rpc.bound(0),
        rpc.request(12, call=2), rpc.fault(5, call=2),
        rpc.request(12, call=3), rpc.fault(0x1C010003, call=3),
        rpc.request(12, call=4), rpc.fault(0x12345678, call=4),
    )  # fmt: skip
    assert [plain(row)["result"] for row in rows] == ["accepted", "access_denied", "unk_if", "0x12345678"]


def test_fragments_are_one_call() -> None:
    _, row = talk(
        rpc.bind((0, rpc.SVCCTL, 2)),
        rpc.bound(0),
        rpc.request(12, b"a" * 10, call=2, flags=rpc.FIRST),
        rpc.request(12, b"a" * 10, call=2, flags=0),
        rpc.request(12, b"a" * 10, call=2, flags=rpc.LAST),
        rpc.response(b"b" * 7, call=2, flags=rpc.FIRST),
        rpc.response(b"b" * 7 + b"\0" * 4, call=2, flags=rpc.LAST),
    )
    assert (plain(row)["count"], plain(row)["request_bytes"], plain(row)["response_bytes"]) == (1, 30, 18)
    assert plain(row)["status"] == "SUCCESS"


def test_ntlm_and_sealed_calls() -> None:
    rows = talk(
        rpc.bind((0, rpc.SVCCTL, 2), token=login.ntlm_negotiate()),
        rpc.bound(0, token=login.ntlm_challenge()),
        rpc.pdu(16, b"\0" * 4, token=login.ntlm_authenticate("Carol")),
        rpc.request(12, b"s" * 60, call=2, token=b"k" * 16, pad=4),
        rpc.response(b"\0" * 28, call=2, token=b"k" * 16, pad=4),
    )
    who, _, call = rows
    assert who[0] == "ntlm"
    assert (plain(who)["user_hash"], plain(who)["success"], plain(who)["carrier"]) == ("hash(carol)", True, "dcerpc")
    found = plain(call)
    assert (found["auth"], found["request_bytes"], found["response_bytes"]) == ("ntlm/privacy", 64, 32)
    assert "status" not in found, "what is encrypted is not a status"


def test_signed_calls_return_in_the_clear_and_kerberos() -> None:
    rows = talk(
        rpc.bind((0, rpc.SVCCTL, 2), token=login.offer(login.gss_kerberos(login.ap_request()), login.KERBEROS), auth=(9, 5)),
        rpc.bound(0, token=login.answer(login.ap_reply()), auth=(9, 5)),
        rpc.request(12, call=2, token=b"k" * 16, auth=(9, 5)),
        rpc.response(b"\0" * 20 + b"\5\0\0\0" + b"\xaa" * 4, call=2, token=b"k" * 16, auth=(9, 5), pad=0),
        rpc.response(b"", call=2),
        rpc.request(12, call=3, token=b"k" * 16, auth=(9, 5)),
        rpc.response(b"\0" * 20 + b"\5\0\0\0", call=3, token=b"k" * 16, auth=(9, 5), pad=8),
    )
    assert [row[0] for row in rows] == ["kerberos", "dcerpc", "dcerpc", "dcerpc"]
    assert plain(rows[0])["service"] == "cifs/dc01"
    unread, read = (plain(row) for row in rows[2:])
    assert "status" not in unread, "0xAAAAAAAA is no status"
    assert (read["status"], read["auth"]) == ("ACCESS_DENIED", "kerberos/integrity")


def test_others_security_is_named() -> None:
    *_, row = talk(
        rpc.bind((0, rpc.NETLOGON, 1), token=b"whatever", auth=(68, 6)),
        rpc.bound(0, token=b"whatever", auth=(68, 6)),
        rpc.request(45, call=2),
    )
    assert plain(row)["auth"] == "netlogon/privacy"


def test_waiting_calls_and_kinds_are_bounded() -> None:
    end = reader()
    early = []
    for call in range(MOST_WAITING + MOST_KINDS + 20):
        early += list(end.message(Message(call, 0, data := rpc.request(call, call=call), len(data))))
        list(end.message(Message(call, 0, data := rpc.bind((call % 65536, rpc.SVCCTL, 2), call=call), len(data))))
    assert early
    counts = Tally("dcerpc", ("opnum",))
    rows = [row for n in range(MOST_KINDS + 1) for row in counts.add(n, (n,))]
    assert len(rows) == MOST_KINDS
    assert len(counts.end()) == 1


def test_a_pipe_cut_into_pdus() -> None:
    said = rpc.bind((0, rpc.SVCCTL, 2)) + rpc.request(15, b"x" * 5000, call=2) + rpc.request(16, call=3)
    for step in (1, 7, 100, len(said)):
        cut = Pieces()
        found = [each for at in range(0, len(said), step) for each in cut.feed(said[at : at + step], len(said[at : at + step]))]
        assert [(data[2], whole) for data, whole in found] == [(11, 72), (0, 5024), (0, 24)]
        assert all(len(data) <= 2048 for data, _ in found)


def test_a_pipe_with_bytes_missing() -> None:
    big = rpc.request(15, b"x" * 5000, call=2)
    after = rpc.request(16, call=3)
    cut = Pieces()
    assert list(cut.feed(big[:2000], len(big))) == [(big[:2000], len(big))]
    assert [whole for _, whole in cut.feed(after, len(after))] == [24]
    assert list(cut.feed(big[:2000], len(big) + 10)) != []  # the next header is in what is missing
    assert [whole for _, whole in cut.feed(after, len(after))] == [24]
    assert list(cut.feed(b"no pdu at all, and long enough", 30)) == []
    assert [whole for _, whole in cut.feed(after, len(after))] == [24]


def test_a_pipe_whose_bind_was_not_seen() -> None:
    counts = tally()
    pipe = Association(Context(hashed=login.hashed), counts, pipe="svcctl")
    data = rpc.request(12, call=2)
    assert pipe.pdu(1, data, len(data)) == []
    assert pipe.end() == []
    (row,) = counts.end()
    assert (plain(row)["operation"], plain(row)["pipe"]) == ("CreateServiceW", "svcctl")


def test_datagrams() -> None:
    rows = talk(
        rpc.datagram(0, 4, b"x" * 30),
        rpc.datagram(0, 4, b"x" * 30),
        rpc.datagram(0, 4, b"x" * 30, fragment=1),
        rpc.datagram(2, 4, b"y" * 12),
        rpc.datagram(0, 26, b"", sequence=2, order=">"),
        rpc.datagram(3, 26, (0x1C010002).to_bytes(4, "big"), sequence=2, order=">"),
        rpc.datagram(0, 26, b"", sequence=3),
        rpc.datagram(7, 26, b"", sequence=3),
        rpc.datagram(2, 26, b"", sequence=9),
        transport="udp",
    )
    found = [(plain(row)["operation"], plain(row).get("result"), plain(row)["request_bytes"]) for row in rows]
    assert found == [
        ("NetrServerReqChallenge", "answered", 30),
        ("NetrServerAuthenticate3", "op_rng_error", 0),
        ("NetrServerAuthenticate3", None, 0),
    ]


def test_datagrams_wait_bounded() -> None:
    said = [rpc.datagram(0, 4, b"", sequence=n) for n in range(MOST_WAITING + 5)]
    assert sum(plain(row)["count"] for row in talk(*said, transport="udp")) == MOST_WAITING + 5


@pytest.mark.parametrize(
    ("transport", "data"),
    [
        ("tcp", b""),
        ("tcp", b"\x04" + rpc.bind((0, rpc.SVCCTL, 2))[1:]),
        ("tcp", rpc.bind((0, rpc.SVCCTL, 2))[:20]),
        ("tcp", rpc.request(3)[:18]),
        ("tcp", rpc.pdu(11, b"")[:10] + b"\xff\xff" + rpc.pdu(11, b"")[12:]),
        ("udp", b"\x04" * 79),
        ("udp", rpc.datagram(0, 3, b"abc")[:-1]),
        ("udp", rpc.datagram(3, 3, b"abc")),
    ],
)
def test_what_is_malformed(transport: str, data: bytes) -> None:
    with pytest.raises(Malformed):
        list(reader(transport).message(Message(0, 0, data, len(data))))


def test_names() -> None:
    for uuid, name in names.INTERFACES.items():
        assert len(uuid) == 36
        assert names.operation(uuid, 0)
        assert names.interface(uuid) == name
        assert names.operation(uuid, 60_000) == "opnum_60000"
    by_name = {name: uuid for uuid, name in names.INTERFACES.items()}
    for name, opnum, operation in (
        ("drsuapi", 3, "DRSGetNCChanges"),
        ("netlogon", 30, "NetrServerPasswordSet2"),
        ("ITaskSchedulerService", 1, "SchRpcRegisterTask"),
        ("samr", 64, "SamrConnect5"),
        ("lsarpc", 77, "LsarLookupNames4"),
        ("srvsvc", 15, "NetrShareEnum"),
        ("spoolss", 89, "RpcAddPrinterDriverEx"),
        ("winreg", 35, "BaseRegDeleteKeyEx"),
        ("wkssvc", 30, "NetrEnumerateComputerNames"),
        ("IWbemServices", 24, "ExecMethod"),
        ("IRemoteSCMActivator", 4, "RemoteCreateInstance"),
    ):
        assert names.operation(by_name[name], opnum) == operation


STREAM = (
    rpc.bind((0, rpc.SVCCTL, 2), (1, rpc.NETLOGON, 1), token=login.ntlm_negotiate()),
    rpc.bound(0, 2, token=login.ntlm_challenge()),
    rpc.pdu(16, b"\0" * 4, token=login.ntlm_authenticate("Carol")),
    rpc.request(12, b"stub" * 9),
    rpc.response(b"stub" * 9 + b"\0" * 4),
    rpc.request(12, b"stub", order=">", flags=rpc.FIRST),
    rpc.fault(5),
    rpc.pdu(13, b"\0" * 4),
    rpc.bind((3, rpc.SVCCTL, 2), kind=14, order=">"),
)
DATAGRAMS = (rpc.datagram(0, 4, b"abc"), rpc.datagram(2, 4, b"abc", order=">"), rpc.datagram(3, 4, b"abcd"))


@given(conversation(STREAM))
@settings(max_examples=60, deadline=None)
def test_damaged_pdus(said: list[tuple[int, bytes, int]]) -> None:
    survive(reader(), said, fits)


@given(conversation(DATAGRAMS))
@settings(max_examples=60, deadline=None)
def test_damaged_datagrams(said: list[tuple[int, bytes, int]]) -> None:
    survive(reader("udp"), said, fits)


@given(st.lists(st.tuples(st.sampled_from(STREAM), st.integers(0, 100), st.integers(0, 3000)), max_size=12))
@settings(max_examples=60, deadline=None)
def test_any_pieces_stay_bounded(said: list[tuple[bytes, int, int]]) -> None:
    cut = Pieces()
    for data, at, missing in said:
        for held, whole in cut.feed(data[at:], len(data[at:]) + missing):
            assert len(held) <= min(whole, 2048)
