"""Log-ins and pipes of one SMB connection: who is told of what, and how many are kept."""

from __future__ import annotations

import pytest

from tests.decode.application import dcerpc_wire as rpc
from tests.decode.application import login_wire as wire
from workbench.decode.application.protocol import Context, Malformed
from workbench.decode.application.smb_connection import _MOST_SESSIONS, Connection
from workbench.decode.application.smb_rows import MOST_PIPES
from workbench.decode.application.smb_seen import MORE_PROCESSING

NEGOTIATE = wire.offer(wire.ntlm_negotiate())
CHALLENGE = wire.answer(wire.ntlm_challenge(), state=1, mechanism=wire.NTLMSSP)
DENIED = 0xC000006D


def connection() -> Connection:
    return Connection(Context(hashed=wire.hashed))


def said(rows: list[tuple[str, dict[str, object]]]) -> list[tuple[object, object]]:
    return [(row["host"], row["success"]) for _, row in rows]


def log_in(one: Connection, session: int, host: str, status: int | None = 0) -> list[tuple[str, dict[str, object]]]:
    """Two turns of NTLM; status: None where the last answer is not seen."""
    assert one.asked(1, 1, 0, NEGOTIATE) == []
    assert one.told(2, 1, session, MORE_PROCESSING, CHALLENGE) == []
    assert one.asked(3, 2, session, wire.answer(wire.ntlm_authenticate("Bob", host=host))) == []
    return [] if status is None else one.told(4, 2, session, status, None)


@pytest.mark.parametrize(("status", "success"), [(0, True), (DENIED, False)])
def test_the_status_says_how_a_log_in_ended(status: int, success: bool) -> None:
    assert said(log_in(connection(), 7, "PC1", status)) == [("PC1", success)]


def test_an_answer_to_nothing_is_no_log_in() -> None:
    one = connection()
    assert one.told(1, None, 9, 0, None) == []
    assert one.told(1, 5, 9, 0, NEGOTIATE) == []
    assert one.end(0) == []


def test_a_fault_in_the_servers_token_leaves_its_status() -> None:
    one = connection()
    log_in(one, 7, "PC2", None)
    assert said(one.told(4, 2, 7, DENIED, b"NTLMSSP\0\3")) == [("PC2", False)]
    with pytest.raises(Malformed):
        one.asked(5, 3, 8, b"NTLMSSP\0\3")


def test_what_is_not_waited_for_any_more_is_not_judged_by_a_later_answer() -> None:
    one = connection()
    assert one.asked(1, 1, 0, NEGOTIATE) == []
    one.lost(1)
    one.lost(1)
    assert one.told(2, 1, 7, 0, None) == []


def test_log_ins_without_an_answer_come_at_the_end_and_the_oldest_session_goes() -> None:
    one = connection()
    for session in range(1, _MOST_SESSIONS + 2):
        log_in(one, session, f"PC{session}", None)
    one.lost(2)
    hosts = [host for host, _ in said(one.end(0))]
    assert hosts == [f"PC{session}" for session in range(2, _MOST_SESSIONS + 2)]


def test_a_closed_pipe_hears_what_comes_late_while_few_are_closed() -> None:
    one = connection()
    assert one.closed(1) == []
    bind = rpc.bind((0, rpc.NETLOGON, 1))
    for number in range(1, MOST_PIPES + 2):
        one.opened(number, "netlogon")
        one.closed(number)
    assert one.fed(99_999, 1, 0, bind, len(bind)) == ([], False)
    assert one.fed(MOST_PIPES + 1, 1, 0, bind, len(bind))[1]
    assert one.fed(1, 1, 0, bind, len(bind)) == ([], False)  # the oldest closed one has made room
