from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decode.application.batches import Said, read, rows
from tests.decode.application.login_wire import hashed, ntlm_authenticate, ntlm_challenge, ntlm_negotiate
from workbench.decode.application import http_logins
from workbench.decode.application.http import PROTOCOL
from workbench.decode.application.http_logins import status_of, tokens
from workbench.decode.application.protocol import BatchReader, Context
from workbench.records.columns import BY_NAME


def reader() -> BatchReader:
    assert PROTOCOL.batch
    return PROTOCOL.batch(Context(hashed=hashed))


def asked(token: bytes, field: bytes = b"Authorization", scheme: bytes = b"NTLM") -> bytes:
    return b"GET /x HTTP/1.1\r\nHost: a\r\n" + field + b": " + scheme + b" " + base64.b64encode(token) + b"\r\n\r\n"


def answered(status: bytes, token: bytes = b"") -> bytes:
    field = b"www-authenticate: NTLM " + base64.b64encode(token) + b"\r\n" if token else b""
    return b"HTTP/1.1 " + status + b" X\r\nContent-Length: 0\r\n" + field + b"\r\n"


def login(status: bytes, n: int = 1) -> list[Said]:
    return [
        Said(n, 1, 0, 0, asked(ntlm_negotiate())),
        Said(n, 2, 1, 0, answered(b"401", ntlm_challenge())),
        Said(n, 3, 0, 1, asked(ntlm_authenticate("alice"), b"authorization", b"Negotiate")),
        Said(n, 4, 1, 1, answered(status)),
    ]


@pytest.mark.parametrize(("status", "success"), [(b"200", True), (b"401", False), (b"403", True)])
@pytest.mark.parametrize("portion", [1, 4])
def test_a_login_is_followed_to_the_answer_that_judges_it(status: bytes, success: bool, portion: int) -> None:
    every, said = reader(), login(status)
    told = [row for at in range(0, 4, portion) for row in rows(read(every, said[at : at + portion]), "ntlm")]
    assert told == [
        {
            "n": 1, "ts": 1000, "domain": "CORP", "host": "PC7", "user_hash": hashed("alice"), "server_name": "DC01",
            "server_domain": "corp.example", "version": "NTLMv2", "success": success, "carrier": "http",
        }
    ]  # fmt: skip
    assert set(told[0]) - {"n"} == set(BY_NAME["ntlm"].names) - {"flow_id"}
    assert not read(every, [], [1]).tables


def test_flows_that_end_before_they_are_judged() -> None:
    every = reader()
    read(every, [*login(b"200", 1)[:3], *login(b"200", 2)[:3]])
    assert [(row["n"], row["success"]) for row in rows(read(every, [], [2]), "ntlm")] == [(2, None)]
    assert [(row["n"], row["success"]) for row in rows(read(every, [Said(1, 5, 1, 1, answered(b"200"))], [1]), "ntlm")] == [
        (1, True)
    ]


def test_what_is_followed_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_logins, "MOST_LOGINS", 3)
    said = [message for n in range(9) for message in login(b"200", n)[:3]]
    assert [row["n"] for row in rows(read(reader(), said), "ntlm")] == list(range(6))


def test_what_is_no_token_is_none() -> None:
    head = b"HTTP/1.1 401 X\r\nWWW-Authenticate: Basic YWI=\r\nWWW-Authenticate: NTLM\r\nX: NTLM YWI=\r\n\r\n"
    assert tokens(head) == []
    assert [status_of(line) for line in (head, b"GET / HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1 2000", b"HTTP/1.1 2xx")] == [
        401,
        0,
        0,
        0,
        0,
    ]
    assert read(reader(), [Said(1, 1, 0, 0, asked(b"NTLMSSP\0short"))]).malformed == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(login(b"200")), st.integers(0, 300), st.binary(max_size=3)), max_size=6))
def test_any_bytes(stream: list[tuple[Said, int, bytes]]) -> None:
    every = reader()
    for i, (said, at, put) in enumerate(stream):
        read(every, [Said(1, i, said.side, i, said.data[:at] + put + said.data[at + len(put) :])])
    read(every, [], [1])
    assert not read(every, [], [1]).tables
