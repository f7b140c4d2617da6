from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.dissect.allowed import allowed, fits
from workbench.dissect.shapes import LONGEST, SHAPES, shown


@pytest.mark.parametrize(
    ("shape", "text", "result"),
    [
        ("", "10.0.0.1", "10.0.0.1"),
        ("", "0x0800", "0x0800"),
        ("", "Nov 22, 2026 21:27:41.498248000 UTC", "Nov 22, 2026 21:27:41.498248000 UTC"),
        ("", "pass;word", None),
        ("name", "www.corp.example", "www.corp.example"),
        ("name", "FILES<20>", "FILES<20>"),
        ("name", "a b", None),
        ("path", "/login?token=x", "/login"),
        ("path", "/a;jsessionid=1", "/a"),
        ("path", "/a#b", "/a"),
        ("path", "/a&token=x", "/a"),
        ("path", "/a/token=x", "/a/token"),
        ("path", "/a%3Ftoken%3Dx", "/a"),
        ("path", "/a%253ftoken", "/a"),
        ("path", "/a%20b%2Fc", "/a%20b%2Fc"),
        ("path", "http://u:p@host/a", None),
        ("path", "/x@y", None),
        ("path", "secret", None),
        ("mediatype", "multipart/form-data; boundary=secret", "multipart/form-data"),
        ("mediatype", "secret words", None),
        ("method", "POST", "POST"),
        ("method", "hunter2", None),
        ("ftpverb", "user", "USER"),
        ("ftpverb", "hunter2", None),
        ("smtpverb", "aHVudGVyMg==", None),
        ("pipe", "\\PIPE\\svcctl", "\\PIPE\\svcctl"),
        ("pipe", "lsarpc", "lsarpc"),
        ("pipe", "salaries.xlsx", None),
        ("pipe", "home\\alice\\svcctl", None),
        ("share", "\\\\10.0.0.1\\IPC$", "\\\\10.0.0.1\\IPC$"),
        ("share", "words", None),
        ("spn", "cifs", "cifs"),
        ("spn", "files.corp.example", "files.corp.example"),
        ("spn", "alice", None),
        ("spn", "alice.jones", None),
        ("sshversion", "SSH-2.0-OpenSSH_9.2p1 Debian-2", "SSH-2.0-OpenSSH_9.2p1 Debian-2"),
        ("sshversion", "hunter2", None),
        ("service", "service:VMwareInfrastructure", "service:VMwareInfrastructure"),
        ("service", "words", None),
        ("pgtype", "Simple query", "Simple query"),
        ("pgtype", "select", None),
        ("popstatus", "+OK", "+OK"),
        ("token", "gzip, deflate", "gzip, deflate"),
        ("token", "a b", None),
        ("version", "HTTP/1.1", "HTTP/1.1"),
        ("version", "hunter2", None),
        ("count", "123", "123"),
        ("count", "x", None),
    ],
)
def test_a_text_is_shown_only_if_it_looks_as_it_should(shape: str, text: str, result: str | None) -> None:
    assert shown(shape, text) == result


@given(st.sampled_from(["", *SHAPES]), st.text(max_size=400))
def test_no_text_breaks_a_shape_and_no_control_character_is_shown(shape: str, text: str) -> None:
    found = shown(shape, text)
    assert found is None or (found.isprintable() and len(found) <= LONGEST + 1)


@given(
    st.sampled_from([s for s in SHAPES if s.endswith(("verb", "method", "status", "type")) and s not in ("status", "mediatype")]),
    st.text(),
)
def test_closed_lists_show_nothing_but_their_words(shape: str, text: str) -> None:
    found = shown(shape, text)
    assert found is None or found.upper() == text.upper()


def test_a_long_text_is_cut() -> None:
    assert shown("algorithms", "a," * 1000) == ("a," * 1000)[:LONGEST] + "…"


def test_the_allow_list_names_known_shapes_and_nothing_that_is_content() -> None:
    names = allowed()
    assert len(names) > 900
    content = (
        "password",
        "passwd",
        "cookie",
        "authorization",
        "payload",
        "query",
        "user",
        "acct",
        "body",
        "secret",
        "credential",
    )
    assert [
        n
        for n in names
        if any(word in n.lower().split(".")[-1] for word in content) and not n.endswith(("length", "_len", "proto_id", "_size"))
    ] == []
    for name in (
        "http.cookie",
        "http.request.full_uri",
        "http.file_data",
        "tcp.payload",
        "smb2.acct",
        "ntlmssp.auth.username",
        "data.data",
    ):
        assert name not in names


def test_a_number_that_became_a_text_is_no_longer_shown() -> None:
    assert fits("", frozenset({"FT_UINT16"}))
    assert not fits("", frozenset({"FT_UINT16", "FT_STRING"}))
    assert not fits("", frozenset({"FT_BYTES"}))
    assert not fits("name", frozenset())
    assert fits("name", frozenset({"FT_STRING"}))
