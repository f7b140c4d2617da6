from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decode.application.batches import Said, read, rows, rows_of
from workbench.decode.application import http
from workbench.decode.application.http import PROTOCOL
from workbench.decode.application.protocol import MOST_TEXT, MOST_WAITING, BatchReader, Context, text
from workbench.records.columns import BY_NAME

GET = (
    b"GET /a/b.html?token=secret#top HTTP/1.1\r\nHost: www.example.org:8080\r\nUser-Agent: probe/1.0 (x)\r\n"
    b"Cookie: id=1\r\nContent-Length: 0\r\n\r\n"
)
OK = b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 5\r\n\r\n"
POST = b"POST /up HTTP/1.0\r\nhost:up.example\r\ncontent-type: application/json;a=b\r\nTransfer-Encoding: chunked\r\n\r\n"


def reader() -> BatchReader:
    assert PROTOCOL.batch
    return PROTOCOL.batch(Context())


def one(*said: Said, ended: tuple[int, ...] = (1,)) -> dict[str, Any]:
    [row] = rows(read(reader(), said, ended), "http")
    return row


def start(line: bytes, *fields: bytes) -> dict[str, Any]:
    return one(Said(1, 0, 0, 0, b"\r\n".join([line, *fields, b"", b""])))


def test_a_request_and_its_response() -> None:
    made = read(reader(), [Said(1, 0, 0, 0, GET), Said(1, 7, 1, 0, OK), Said(1, 9, 1, 0, body=5)])
    assert rows(made, "http") == [
        {
            "n": 1, "ts": 0, "method": "GET", "host": "www.example.org:8080", "path": "/a/b.html", "status": 200,
            "server": "nginx", "content_type": "text/html", "src_body_bytes": 0, "dst_body_bytes": 5,
            "user_agent": "probe/1.0 (x)", "version": "1.1", "request_type": None, "number": 1, "rtt_us": 7000,
        }
    ]  # fmt: skip
    assert made.seen is not None
    assert made.seen.tolist() == [1, 1, 1]
    assert set(made.tables["http"]) - {"n"} == set(BY_NAME["http"].names) - {"flow_id"}


def test_a_request_with_a_body() -> None:
    row = one(Said(1, 3, 0, 0, POST), Said(1, 4, 0, 0, body=70), ended=(1,))
    assert (row["method"], row["version"], row["request_type"], row["src_body_bytes"]) == ("POST", "1.0", "application/json", 70)
    assert (row["status"], row["rtt_us"], row["dst_body_bytes"], row["server"]) == (None, None, None, None)
    assert row["ts"] == 3000


@pytest.mark.parametrize(
    ("line", "fields", "host", "path"),
    [
        (b"GET http://u:p@a.example:81/x?y HTTP/1.1", [], "a.example:81", "/x"),
        (b"GET http://a.example/x HTTP/1.1", [b"Host: b.example"], "b.example", "/x"),
        (b"GET http://a.example HTTP/1.1", [], "a.example", None),
        (b"CONNECT a.example:443 HTTP/1.1", [], "a.example:443", None),
        (b"OPTIONS * HTTP/1.1", [b"HOST:   c  "], "c", "*"),
        (b"GET /with space HTTP/1.1", [b"Host: u:p@d"], "d", "/with space"),
        (b"GET /r?u=http://x/ HTTP/1.1", [b"Host: e", b"Host: f"], "e", "/r"),
        (b"\r\nGET /late HTTP/1.1", [b"Hostile: x", b"Host:"], None, "/late"),
        (b"GET /fold HTTP/1.1", [b"X: y", b" Host: no", b"Host: yes"], "yes", "/fold"),
        (b"M-SEARCH /m HTTP/1.1", [b"no colon", b"Host: g"], "g", "/m"),
    ],
)
def test_targets(line: bytes, fields: list[bytes], host: str | None, path: str | None) -> None:
    row = start(line, *fields)
    assert (row["host"], row["path"]) == (host, path)


def test_version_nine_has_a_target_only() -> None:
    row = one(Said(1, 0, 0, 0, b"GET /old\r\n"))
    assert (row["method"], row["path"], row["version"]) == ("GET", "/old", "0.9")


def test_texts_are_kept_as_everywhere() -> None:
    odd = b"\xff\xc3\xa9\xe2\x82\xac\xf0\x9f\x92\xa9\xe0\x80\xed\xa0\x80\xf4\x90\x80\x80\x00\xc3"
    assert start(b"GET / HTTP/1.1", b"User-Agent: a" + odd)["user_agent"] == text(b"a" + odd)
    assert len(start(b"GET /" + b"x" * 3000 + b" HTTP/1.1")["path"]) == MOST_TEXT
    assert len(start(b"GET /" + b"\xff" * 3000 + b" HTTP/1.1")["path"]) <= MOST_TEXT


def test_a_head_that_was_cut() -> None:
    row = one(Said(1, 0, 0, 0, b"GET /x HTTP/1.1\r\nHost: a\r\nUser-Ag", whole=9000))
    assert (row["host"], row["user_agent"]) == ("a", None)


def test_interim_answers_are_no_answers() -> None:
    row = one(
        Said(1, 0, 0, 0, GET), Said(1, 1, 1, 0, b"HTTP/1.1 100 Continue\r\n\r\n"), Said(1, 2, 1, 1, OK), Said(1, 3, 1, 1, body=5)
    )
    assert (row["status"], row["rtt_us"], row["dst_body_bytes"]) == (200, 2000, 5)


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204\r\n\r\n"),
        (b"GET", b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
        (b"CONNECT", b"HTTP/1.1 200 Connection established\r\n\r\n"),
        (b"GET", b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_answers_without_body_make_a_row_at_once(method: bytes, answer: bytes) -> None:
    [row] = rows(read(reader(), [Said(1, 0, 0, 0, method + b" /x HTTP/1.1\r\n\r\n"), Said(1, 1, 1, 0, answer)]), "http")
    assert row["dst_body_bytes"] == 0


def test_pipelined_requests_over_many_calls() -> None:
    every = reader()
    assert not read(every, [Said(1, i, 0, i, b"GET /%d HTTP/1.1\r\n\r\n" % i) for i in range(3)]).tables
    assert not read(every, []).tables
    made = []
    for i in range(3):
        answer = b"HTTP/1.1 %d X\r\nServer: s%d\r\n\r\n" % (200 + i, i)
        made += rows(read(every, [Said(1, 10 + i, 1, i, answer)]), "http")
    made += rows(read(every, [], [0, 1, 2]), "http")
    assert [(row["path"], row["status"], row["server"], row["number"]) for row in made] == [
        ("/0", 200, "s0", 1), ("/1", 201, "s1", 2), ("/2", 202, "s2", 3),
    ]  # fmt: skip


def test_a_response_handed_over_before_its_request() -> None:
    row = one(Said(1, 5, 1, 0, OK), Said(1, 5, 1, 0, body=5), Said(1, 4, 0, 0, GET))
    assert (row["path"], row["status"], row["rtt_us"]) == ("/a/b.html", 200, 1000)


def test_a_capture_that_begins_with_an_answer() -> None:
    said = [Said(1, 1, 1, 0, OK), Said(1, 1, 1, 0, body=5), Said(1, 4, 0, 0, GET), Said(1, 6, 1, 1, OK)]
    first, second = rows(read(reader(), said, [1]), "http")
    assert (first["method"], first["status"], first["number"], first["dst_body_bytes"], first["ts"]) == (None, 200, None, 5, 1000)
    assert (second["method"], second["status"], second["rtt_us"], second["dst_body_bytes"]) == ("GET", 200, 2000, None)


def test_the_responder_may_ask() -> None:
    row = one(Said(1, 0, 1, 0, GET), Said(1, 1, 0, 0, OK), Said(1, 2, 0, 0, body=5), ended=())
    assert (row["path"], row["status"], row["dst_body_bytes"]) == ("/a/b.html", 200, 5)


def test_an_answer_late_by_minutes_is_not_waited_for() -> None:
    every = reader()
    read(every, [Said(1, 0, 0, 0, GET)])
    [row] = rows(read(every, [Said(2, 121_000, 0, 0, GET)]), "http")
    assert (row["n"], row["status"]) == (1, None)


def test_waiting_requests_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    every = reader()
    made = read(every, [Said(1, i, 0, i, b"GET / HTTP/1.1\r\n\r\n") for i in range(MOST_WAITING + 40)])
    assert len(rows(made, "http")) == 40
    monkeypatch.setattr(http, "_MOST_OPEN", 10)
    assert len(rows(read(every, [Said(2, 900, 0, 0, GET)]), "http")) == MOST_WAITING + 1
    assert not read(every, [], [1, 2]).tables


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"OPTIONS rtsp://a/ RTSP/1.0\r\n\r\n",
        b"EHLO x\r\n",
        b"GET\r\n",
        b"\xff" * 40,
        b"PUT x\r\n",
        b"PRI * HTTP/2.0\r\n\r\n",
    ],
)
def test_what_is_not_http(data: bytes) -> None:
    made = read(reader(), [Said(1, 0, 0, 0, data)], vouched=0)
    assert made.seen is not None
    assert (made.seen.tolist(), made.malformed, made.tables) == ([0], 0, {})


@pytest.mark.parametrize("line", [b"HTTP/1.1 2000 OK", b"HTTP/1.1 2x0 OK", b"HTTP/1.1", b"HTTP/1.1 0", b"HTTP/1.1 099 X"])
def test_responses_that_are_none_are_counted(line: bytes) -> None:
    assert read(reader(), [Said(1, 0, 1, 0, line + b"\r\n\r\n")], vouched=0).malformed == 1


WHOLE = st.sampled_from([GET, OK, POST, b"HEAD / HTTP/1.1\r\n\r\n", b"HTTP/1.1 100 C\r\n\r\n", b"HTTP/1.0 404 N\r\n\r\n"])
MUTATED = st.tuples(WHOLE, st.integers(0, 200), st.integers(0, 200), st.binary(max_size=6)).map(
    lambda t: t[0][: t[1]] + t[3] + t[0][t[2] :]
)
STREAM = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 1), st.one_of(WHOLE, MUTATED), st.sampled_from([None, None, 7])), max_size=12
)


@settings(max_examples=150, deadline=None)
@given(STREAM, st.integers(1, 12))
def test_any_bytes_in_any_portions(stream: list[tuple[int, int, bytes, int | None]], portion: int) -> None:
    every = reader()
    numbers: dict[tuple[int, int], int] = {}
    said = []
    for ms, (n, side, data, body) in enumerate(stream):
        number = numbers.get((n, side), -1)
        if body is None:
            number = numbers[n, side] = number + 1
        said.append(Said(n, ms, side, max(0, number), data if body is None else b"", body=body))
    made = [read(every, said[at : at + portion]) for at in range(0, len(said), portion)]
    made.append(read(every, [], range(3)))
    heads = sum(int(m.seen.sum()) for m in made if m.seen is not None)
    assert sum(len(rows(m, "http")) for m in made) <= heads
    for m in made:
        for column in m.tables.get("http", {}).values():
            if isinstance(column, pa.Array):
                column.validate(full=True)
    assert not read(every, [], range(3)).tables


def test_messages_that_point_outside_the_arena_are_passed_over() -> None:
    messages, arena = rows_of([Said(1, 0, 0, 0, GET)])
    messages["at"] = 50
    assert not reader().read(messages, arena, np.array([1])).tables
