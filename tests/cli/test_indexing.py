"""`index`: the request it builds, the summary it prints, the code it ends with."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench.cli import app as cli
from workbench.errors import BadInputError, CancelledError, CaseBusyError, MissingPathError, WorkbenchError
from workbench.workflows import ingest
from workbench.workflows.requests import IndexRequest, IndexResult

SOURCE = {
    "source_id": 1,
    "kind": "pcap",
    "path": "/captures/a.pcap",
    "sensor": "a",
    "bytes": 1234,
    "packets": 10,
    "flows": 3,
    "ts_first": dt.datetime(2024, 1, 31, 12, 0, 0, 5),
    "ts_last": dt.datetime(2024, 1, 31, 12, 0, 1),
    "state": "ok",
    "key_scope": "both",
}
LINE = {"source_id": 1, "reason": "llc", "kind": "undecoded", "count": 2, "first_frames": "3,7", "detail": "0x42"}


def result(request: IndexRequest, **changes: Any) -> IndexResult:
    fields: dict[str, Any] = {"sources": [SOURCE], "ledger": [LINE], "seconds": 0.25, **changes}
    return IndexResult(request.case, **fields)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[IndexRequest]:
    requests: list[IndexRequest] = []
    answering(monkeypatch, lambda request: requests.append(request) or result(request))
    return requests


def answering(monkeypatch: pytest.MonkeyPatch, answer: Callable[[IndexRequest], IndexResult]) -> None:
    monkeypatch.setattr(ingest, "index_sources", lambda request, _progress, _cancel: answer(request))


def test_the_request_has_the_documented_defaults(asked: list[IndexRequest]) -> None:
    assert cli.run(["index", "a.pcap", "b", "--case", "case"]) == 0
    assert asked == [IndexRequest(("a.pcap", "b"), Path("case"), hash=True, join="auto", key_scope=None)]


def test_options_reach_the_request(asked: list[IndexRequest]) -> None:
    words = ["index", "-", "--case", "c", "--hash", "off", "--join", "never", "--key-scope", "vni", "--bpf", "udp"]
    assert cli.run(words) == 0
    assert asked == [IndexRequest(("-",), Path("c"), hash=False, join="never", key_scope="vni", bpf="udp")]


def test_json_is_one_object(asked: list[IndexRequest], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.run(["index", "a.pcap", "--case", str(tmp_path / "c"), "--format", "json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert list(found) == ["case", "sources", "ledger", "seconds"]
    assert found["case"] == str(tmp_path / "c")
    assert found["seconds"] == 0.25
    assert found["ledger"] == [LINE]
    (source,) = found["sources"]
    assert source["ts_first"] == "2024-01-31T12:00:00.000005Z"
    assert source["sha256"] is None
    assert source["packets"] == 10
    assert err == ""


def test_the_table_shows_sources_ledger_and_totals(asked: list[IndexRequest], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["index", "a.pcap", "--case", "c"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0].split() == ["id", "path", "state", "packets", "flows", "bytes", "span", "from"]
    assert lines[1].split() == ["1", "/captures/a.pcap", "ok", "10", "3", "1234", "1.0", "s", "2024-01-31T12:00:00.000005Z"]
    assert lines[4].split() == ["1", "llc", "undecoded", "2", "3,7", "0x42"]
    assert lines[-1].startswith("10 packets, 3 flows")


def test_an_empty_ledger_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answering(monkeypatch, lambda request: result(request, ledger=[]))
    assert cli.run(["index", "a.pcap", "--case", "c"]) == 0
    assert "Ledger: empty" in capsys.readouterr().out


def test_paths_in_the_summary_are_made_visible(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = {**SOURCE, "path": "/tmp/\x1b]0;owned\x07.pcap"}
    answering(monkeypatch, lambda request: result(request, sources=[hostile], skipped=["\x1b[2J"]))
    assert cli.run(["index", "a.pcap", "--case", "\x1b[31m"]) == 0
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert "\u241b]0;owned\u2407.pcap" in out
    assert "\u241b[2J: already in the case" in err


def test_a_refused_file_is_3_and_the_summary_stays(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answering(monkeypatch, lambda request: result(request, refused=[BadInputError("x.txt is no capture", "Name a capture.")]))
    assert cli.run(["index", "a.pcap", "x.txt", "--case", "c", "--format", "json"]) == 3
    out, err = capsys.readouterr()
    assert json.loads(out)["sources"][0]["packets"] == 10
    assert err == "Bad input: x.txt is no capture\n  Name a capture.\n"


def test_a_cancelled_run_is_130_and_says_what_is_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(monkeypatch, lambda request: result(request, cancelled=True, refused=[BadInputError("x")]))
    assert cli.run(["index", "a.pcap", "--case", "c", "--format", "json"]) == 130
    out, err = capsys.readouterr()
    assert json.loads(out)["sources"]
    assert "holds what was indexed" in err


@pytest.mark.parametrize("error", [MissingPathError("x"), CaseBusyError("x"), CancelledError("x")])
def test_errors_end_with_their_code_and_no_output(
    error: WorkbenchError, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_request: IndexRequest) -> IndexResult:
        raise error

    answering(monkeypatch, fail)
    assert cli.run(["index", "a.pcap", "--case", "c"]) == error.exit_code
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("seconds", "span"),
    [(0, "0.0 s"), (59.94, "59.9 s"), (60, "00:01:00"), (3_723, "01:02:03"), (93_784, "1 d 02:03:04"), (-2, "-2.0 s")],
)
def test_spans_are_said_as_people_do(
    seconds: float, span: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = SOURCE["ts_first"]
    assert isinstance(first, dt.datetime)
    row = {**SOURCE, "ts_last": first + dt.timedelta(seconds=seconds), "dropped": 7, "path": str(Path.cwd() / "x" / "y.pcap")}
    answering(monkeypatch, lambda request: result(request, sources=[row, {**SOURCE, "ts_first": None, "dropped": None}]))
    assert cli.run(["index", "a.pcap", "--case", "c"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f" 7  {span} " in lines[1]
    assert " x/y.pcap " in lines[1]
    assert lines[2].split() == ["1", "/captures/a.pcap", "ok", "10", "3", "1234"]


def test_of_what_is_skipped_it_is_said_whether_it_is_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [SOURCE | {"path": "/a.pcap", "state": "partial"}, SOURCE | {"source_id": 2, "path": "/b.pcap"}]
    answering(monkeypatch, lambda request: result(request, sources=rows, skipped=["/a.pcap", "/b.pcap"]))
    assert cli.run(["index", "a.pcap", "--case", "c"]) == 0
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("/a.pcap: already in the case, partial there")
    assert told[1].startswith("/b.pcap: already in the case, not indexed")
