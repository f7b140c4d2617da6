"""The program as people and scripts meet it: real processes, their exit codes, stdout and stderr."""

import contextlib
import csv
import io
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from workbench.__main__ import main
from workbench.cli.app import run
from workbench.errors import CaseBusyError
from workbench.workflows.requests import OpenRequest

ROOT = Path(__file__).parents[1]
START = 1_700_000_000


def packet(n: int, source: str = "10.0.0.1", data: bytes = b"") -> bytes:
    """A UDP packet to 10.9.9.9:53 from a port made of n, as an Ethernet frame with correct lengths."""
    udp = struct.pack(">HHHH", 1024 + n % 60000, 53, 8 + len(data), 0) + data
    addresses = bytes(map(int, source.split("."))) + bytes([10, 9, 9, 9])
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), n & 0xFFFF, 0, 64, 17, 0) + addresses
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack(">H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF) + head[12:]
    return bytes(6) + b"\x02\x00\x00\x00\x00\x01" + b"\x08\x00" + head + udp


def pcap(packets: list[bytes]) -> bytes:
    """A classic capture with microsecond stamps, a packet every millisecond from START on."""
    records = [pcap_head()]
    for n, data in enumerate(packets):
        records.append(struct.pack("<IIII", START + n // 1000, n % 1000 * 1000, len(data), len(data)) + data)
    return b"".join(records)


def pcap_head() -> bytes:
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment with a home of its own, but the kernels compiled before."""
    root = tmp_path_factory.mktemp("home")
    caches = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    homes = {"HOME": str(root), "XDG_STATE_HOME": str(root / "state"), "XDG_CACHE_HOME": caches}
    return {**{k: v for k, v in os.environ.items() if k != "WORKBENCH_CONFIG"}, **homes, "PYTHONPATH": str(ROOT)}


def workbench(home: dict[str, str], *words: str | Path, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "workbench", *map(str, words)]
    return subprocess.run(command, env=home, input=given, capture_output=True, timeout=180, check=False)


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "ten.pcap"
    path.write_bytes(pcap([packet(n) for n in range(10)]))
    return path


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory, home: dict[str, str]) -> Path:
    """A case of ten flows that is only read."""
    root = tmp_path_factory.mktemp("indexed")
    (root / "ten.pcap").write_bytes(pcap([packet(n) for n in range(10)]))
    done = workbench(home, "index", root / "ten.pcap", "--case", root / "case")
    assert done.returncode == 0, done.stderr.decode()
    return root / "case"


@pytest.fixture
def own_case(tmp_path: Path, case: Path) -> Path:
    """A copy that a test may change."""
    shutil.copytree(case, tmp_path / "case")
    return tmp_path / "case"


@contextlib.contextmanager
def running(home: dict[str, str], *words: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """The program at work, with pipes to all its streams; killed where a test fails.

    Run from a script's background job, the tests inherit an ignored Ctrl-C, which a person's shell never hands on.
    """
    listening = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.executable, sys.argv[1:])"
    command = [sys.executable, "-c", listening, sys.executable, "-m", "workbench", *map(str, words)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=home, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            yield process
        finally:
            process.kill()


def rows(done: subprocess.CompletedProcess[bytes]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    found = json.loads(done.stdout)
    assert isinstance(found, list)
    return found


def test_index_summary_is_json_on_stdout_alone(tmp_path: Path, capture: Path, home: dict[str, str]) -> None:
    done = workbench(home, "index", capture, "--case", tmp_path / "case", "--format", "json")
    assert (done.returncode, done.stderr) == (0, b"")
    found = json.loads(done.stdout)
    assert list(found) == ["case", "sources", "ledger", "seconds"]
    (source,) = found["sources"]
    assert (source["packets"], source["flows"], source["state"]) == (10, 10, "ok")
    assert source["path"] == str(capture)
    assert source["ts_first"] == "2023-11-14T22:13:20.000000Z"
    assert len(source["sha256"]) == 64


def test_flows_in_every_format_say_the_same(case: Path, home: dict[str, str], tmp_path: Path) -> None:
    as_json = rows(workbench(home, "flows", "--case", case, "--format", "json"))
    piped = workbench(home, "flows", "--case", case)
    assert b"\r\n" in piped.stdout
    as_csv = list(csv.DictReader(io.StringIO(piped.stdout.decode(), newline="")))
    assert len(as_json) == len(as_csv) == 10
    for one, other in zip(as_json, as_csv, strict=True):
        assert list(one) == list(other)
        assert {k: v if isinstance(v, str) else json.dumps(v) if v is not None else "" for k, v in one.items()} == dict(other)
    done = workbench(home, "flows", "--case", case, "-o", tmp_path / "f.parquet")
    assert (done.returncode, done.stdout) == (0, b"")
    as_parquet = parquet.read_table(tmp_path / "f.parquet")
    assert as_parquet["flow_id"].to_pylist() == [row["flow_id"] for row in as_json]
    assert as_parquet["src_addr"].to_pylist()[0].hex() == as_json[0]["src_addr"] == "0" * 20 + "ffff0a000001"
    stdout = workbench(home, "flows", "--case", case, "--format", "parquet").stdout
    assert parquet.read_table(io.BytesIO(stdout)).equals(as_parquet)


def test_flows_are_ordered_limited_and_selected(case: Path, home: dict[str, str]) -> None:
    found = rows(workbench(home, "flows", "--case", case, "--columns", "src_port, ts", "--limit", "3", "--format", "json"))
    assert found == [{"src_port": 1024 + n, "ts": f"2023-11-14T22:13:20.00{n}000Z"} for n in range(3)]
    assert workbench(home, "flows", "--case", case, "--limit", "0").stdout.count(b"\n") == 1


def test_an_unknown_column_names_the_nearest(case: Path, home: dict[str, str]) -> None:
    done = workbench(home, "flows", "--case", case, "--columns", "src_prt")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"src_prt" in done.stderr
    assert b"src_port" in done.stderr


def test_a_table_is_written_where_it_is_asked_for(case: Path, home: dict[str, str]) -> None:
    done = workbench(home, "flows", "--case", case, "--format", "table", "--limit", "2")
    lines = done.stdout.decode().splitlines()
    assert lines[0].split()[:5] == ["ts", "src_ip", "src_port", "dst_ip", "dst_port"]
    assert lines[1].split()[:5] == ["2023-11-14T22:13:20.000000Z", "10.0.0.1", "1024", "10.9.9.9", "53"]
    assert len(lines) == 3


def test_query(case: Path, home: dict[str, str]) -> None:
    sql = "SELECT dst_port, count(*) AS n, sum(src_bytes) AS total, NULL AS nothing FROM flows GROUP BY ALL"
    assert rows(workbench(home, "query", "--case", case, sql, "--format", "json")) == [
        {"dst_port": 53, "n": 10, "total": 280, "nothing": None}
    ]
    assert rows(workbench(home, "query", "--case", case, "EXPLAIN SELECT 1", "--format", "json"))


def test_hostile_text_does_nothing_in_a_table(case: Path, home: dict[str, str]) -> None:
    sql = "SELECT chr(27) || ']52;c;aGk=' || chr(7) AS \"a\x1b[2J\", chr(8238) || '[/bold]' || chr(155) AS b"
    done = workbench(home, "query", "--case", case, sql, "--format", "table")
    text = done.stdout.decode()
    assert done.returncode == 0
    assert not set(text) & {"\x1b", "\x07", "\u202e", "\x9b"}
    assert "[/bold]" in text


@pytest.mark.parametrize(
    "sql",
    [
        "SELEC 1",
        "DROP TABLE flows",
        "SELECT 1; SELECT 2",
        "COPY flows TO '/tmp/x'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT nonesuch FROM flows",
        "PRAGMA database_list",
        "ATTACH 'x.db'",
        "SET memory_limit='1TB'",
        "",
    ],
)
def test_a_wrong_or_forbidden_query_is_2(sql: str, case: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Without a process for each: test_a_folder_that_is_no_case_is_2 has what comes of a code that `run` gives."""
    assert run(["query", "--case", str(case), sql]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert err.startswith("Wrong query: ")


@pytest.mark.parametrize("words", [("flows",), ("query", "SELECT 1"), ("audit", "show"), ("audit", "verify")])
def test_a_folder_that_is_no_case_is_2(words: tuple[str, ...], tmp_path: Path, home: dict[str, str]) -> None:
    for folder, said in ((tmp_path, b"Not a case: "), (tmp_path / "absent", b"No such path: ")):
        done = workbench(home, *words, "--case", folder)
        assert (done.returncode, done.stdout) == (2, b""), done.stderr
        assert done.stderr.startswith(said)
    assert not (tmp_path / "absent").exists()


def test_missing_and_refused_files(tmp_path: Path, capture: Path, home: dict[str, str]) -> None:
    done = workbench(home, "index", tmp_path / "absent.pcap", "--case", tmp_path / "a")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"absent.pcap" in done.stderr
    text = tmp_path / "notes.txt"
    text.write_text("no capture at all, just words\n")
    done = workbench(home, "index", text, capture, "--case", tmp_path / "b", "--format", "json")
    assert done.returncode == 3
    assert b"notes.txt" in done.stderr
    assert b"Traceback" not in done.stderr
    states = {Path(s["path"]).name: (s["state"], s["packets"]) for s in json.loads(done.stdout)["sources"]}
    assert states == {"notes.txt": ("refused", 0), "ten.pcap": ("ok", 10)}
    assert len(rows(workbench(home, "flows", "--case", tmp_path / "b", "--format", "json"))) == 10


def test_a_cut_capture_is_partial_and_fine(tmp_path: Path, capture: Path, home: dict[str, str]) -> None:
    capture.write_bytes(capture.read_bytes()[:-7])
    done = workbench(home, "index", capture, "--case", tmp_path / "case", "--format", "json")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert (found["sources"][0]["state"], found["sources"][0]["packets"]) == ("partial", 9)
    assert [line["reason"] for line in found["ledger"]] == ["cut"]


def test_what_is_indexed_is_skipped_and_another_key_scope_is_2(own_case: Path, case: Path, home: dict[str, str]) -> None:
    capture, case = case.parent / "ten.pcap", own_case
    again = workbench(home, "index", capture, "--case", case)
    assert again.returncode == 0
    assert b"already" in again.stderr
    assert len(rows(workbench(home, "flows", "--case", case, "--format", "json"))) == 10
    for option in (("--key-scope", "none"), ("--bpf", "udp")):
        other = workbench(home, "index", capture, "--case", case, *option)
        assert (other.returncode, other.stdout) == (2, b"")


def test_standard_input(tmp_path: Path, capture: Path, home: dict[str, str]) -> None:
    done = workbench(home, "index", "-", "--case", tmp_path / "c", "--format", "json", given=capture.read_bytes())
    assert done.returncode == 0, done.stderr
    (source,) = json.loads(done.stdout)["sources"]
    assert (source["path"], source["packets"]) == ("-", 10)


def test_a_reader_that_leaves_is_fine(case: Path, home: dict[str, str]) -> None:
    sql = "SELECT f.*, range AS n FROM range(200000), (FROM flows LIMIT 1) f"
    with running(home, "query", "--case", case, sql) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr.read() == b""


def test_ctrl_c_while_a_query_runs(case: Path, home: dict[str, str]) -> None:
    sql = "SELECT count(*) FROM range(1000000000) a, range(1000000) b WHERE (a.range * b.range) % 7 = 3"
    with running(home, "query", "--case", case, sql) as process:
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == b""
    assert b"Traceback" not in err


def test_ctrl_c_while_indexing_leaves_a_usable_case(tmp_path: Path, home: dict[str, str]) -> None:
    """An endless capture on standard input: it can only end by the signal."""
    fed = threading.Event()

    def feed(sink: Any) -> None:
        block = pcap([packet(n) for n in range(20_000)])[24:]
        with contextlib.suppress(OSError, ValueError):
            sink.write(pcap_head())
            while True:
                sink.write(block)
                fed.set()
        with contextlib.suppress(OSError):
            sink.close()  # what is left in its buffer has no reader

    with running(home, "index", "-", "--case", tmp_path / "case", "--format", "json") as process:
        assert process.stdout is not None
        feeder = threading.Thread(target=feed, args=(process.stdin,), daemon=True)
        feeder.start()
        assert fed.wait(60)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        out = process.stdout.read()
        assert process.wait(60) == 130
        feeder.join(10)
    (source,) = json.loads(out)["sources"]
    assert source["state"] == "partial"
    assert source["packets"] > 0
    assert "cancelled" in [line["reason"] for line in json.loads(out)["ledger"]]
    sql = "SELECT sum(src_pkts) AS n FROM flows"
    (counted,) = rows(workbench(home, "query", "--case", tmp_path / "case", sql, "--format", "json"))
    assert counted["n"] == source["packets"]


@pytest.mark.parametrize("count", [5, 0])
def test_ctrl_c_while_standard_input_is_silent(count: int, tmp_path: Path, home: dict[str, str]) -> None:
    """With and without a first byte: the latter is a worker that can only be ended."""
    with running(home, "index", "-", "--case", tmp_path / "case", "--format", "json") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(pcap([packet(n) for n in range(count)]) if count else b"")
        process.stdin.flush()
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        found = json.loads(process.stdout.read())
    assert [(s["state"], s["packets"]) for s in found["sources"]] == [("partial", count)]
    assert "cancelled" in [line["reason"] for line in found["ledger"]]
    assert len(rows(workbench(home, "flows", "--case", tmp_path / "case", "--format", "json"))) == count


def test_a_case_that_is_being_written_is_4_and_survives_a_kill(tmp_path: Path, capture: Path, home: dict[str, str]) -> None:
    case = tmp_path / "case"
    with running(home, "index", "-", "--case", case) as process:
        assert process.stdin is not None
        process.stdin.write(pcap([packet(n) for n in range(5)]))
        process.stdin.flush()
        lock = case / "ingest.lock"
        for _ in range(600):
            if lock.exists() and lock.read_bytes().strip():
                break
            time.sleep(0.1)
        for words in (("index", capture), ("flows",)):
            done = workbench(home, *words, "--case", case)
            assert (done.returncode, done.stdout) == (4, b"")
            assert str(process.pid).encode() in done.stderr
        process.kill()
    assert workbench(home, "index", capture, "--case", case).returncode == 0
    sql = "SELECT count(*) AS n FROM flows JOIN sources USING (source_id) WHERE path LIKE '%ten.pcap'"
    assert rows(workbench(home, "query", "--case", case, sql, "--format", "json")) == [{"n": 10}]


def test_audit_tells_of_the_indexing_and_finds_an_edit(own_case: Path, home: dict[str, str]) -> None:
    case = own_case
    assert rows(workbench(home, "audit", "show", "--case", case, "--format", "json"))
    assert workbench(home, "audit", "verify", "--case", case).returncode == 0
    log = case / "audit.jsonl"
    log.write_bytes(log.read_bytes().replace(b"ten.pcap", b"two.pcap"))
    done = workbench(home, "audit", "verify", "--case", case)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr


def test_doctor_is_content_here(home: dict[str, str]) -> None:
    done = workbench(home, "doctor", "--format", "json")
    assert done.returncode == 0
    assert {check["area"] for check in json.loads(done.stdout)} == {"program", "package", "settings", "cache", "terminal", "tool"}


def test_doctor_is_4_where_something_required_is_wrong(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("nonsense = [")
    done = workbench({**home, "WORKBENCH_CONFIG": str(tmp_path / "s.toml")}, "doctor")
    assert done.returncode == 4
    assert b"wrong" in done.stdout


def test_the_app_is_not_started_without_a_terminal(home: dict[str, str], capture: Path) -> None:
    assert workbench(home).returncode == 2
    assert workbench(home, "open", capture).returncode == 2


@pytest.mark.parametrize(("outcome", "code"), [(0, 0), (7, 7), (CaseBusyError("busy"), 4), (ZeroDivisionError("bug"), 5)])
def test_the_app_is_started_and_its_failures_are_told(
    outcome: int | Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked: list[OpenRequest] = []

    def run_app(request: OpenRequest) -> int:
        asked.append(request)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("workbench.tui.app.run_app", run_app)
    monkeypatch.setattr("workbench.cli.indexing.need_terminal", lambda: None)
    monkeypatch.setattr("sys.argv", ["workbench"])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == code
    assert asked == [OpenRequest()]
    assert ("busy" in capsys.readouterr().err) is (code == 4)


@pytest.mark.parametrize("words", [("--version",), ("flows", "--format", "json"), ("flows", "--format", "parquet")])
def test_a_full_disk_is_said(words: tuple[str, ...], case: Path, home: dict[str, str]) -> None:
    command = [sys.executable, "-m", "workbench", *words, *(["--case", str(case)] if "flows" in words else [])]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, env=home, stdout=full, stderr=subprocess.PIPE, timeout=180, check=False)
    assert done.returncode == 4
    assert done.stderr.startswith(b"Disk full: ")
    assert b"Exception ignored" not in done.stderr


def test_a_file_whose_name_is_no_text_is_indexed_once(tmp_path: Path, capture: Path, home: dict[str, str]) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\x1b[2J.pcap"))
    capture.rename(odd)
    first = workbench(home, "index", os.fspath(odd), "--case", tmp_path / "case", "--format", "json")
    again = workbench(home, "index", os.fspath(odd), "--case", tmp_path / "case")
    assert (first.returncode, again.returncode) == (0, 0), again.stderr
    assert json.loads(first.stdout)["sources"][0]["path"].endswith("caf\\xe9\x1b[2J.pcap")
    assert b"already" in again.stderr
    assert b"\x1b" not in again.stdout + again.stderr
