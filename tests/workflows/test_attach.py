"""A capture on standard input as a live source: the same flows as when indexed, its packets there but not what they said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.capture_files import pcap, udp_frame
from workbench.store.reader import CaseReader

_SAMPLES = Path(__file__).parents[2] / "sample_captures"
_COLUMNS = (
    "flow_id, src_ip, dst_ip, src_port, dst_port, proto, src_pkts, dst_pkts, src_bytes, history, conn_state, service, ts, ts_end"
)


def _run(*words: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    words = (sys.executable, "-m", "workbench", *map(str, words))
    return subprocess.run([str(w) for w in words], input=stdin, capture_output=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def attached(tmp_path_factory: pytest.TempPathFactory) -> Path:
    case = tmp_path_factory.mktemp("attached") / "case"
    data = (_SAMPLES / "story.pcapng" if (_SAMPLES / "story.pcapng").exists() else _SAMPLES / "names.pcapng").read_bytes()
    done = _run("attach", "-", "--case", case, "--headless", "--status", "json", "--format", "json", stdin=data)
    assert done.returncode == 0, done.stderr.decode()
    shown = json.loads(done.stdout)
    assert [source["state"] for source in shown["sources"]] == ["ok"]
    (case.parent / "in.pcapng").write_bytes(data)
    return case


def test_its_flows_are_those_of_indexing(attached: Path) -> None:
    other = attached.parent / "indexed"
    assert _run("index", attached.parent / "in.pcapng", "--case", other).returncode == 0
    sql = f"SELECT {_COLUMNS} FROM flows ORDER BY flow_id"
    with CaseReader(attached) as live, CaseReader(other) as indexed:
        found = live.query(sql).to_pylist()
        assert found
        assert found == indexed.query(sql).to_pylist()
        for table in ("dns", "http", "tls"):
            count = f"SELECT count(*) AS n FROM {table}"
            assert live.query(count).to_pylist() == indexed.query(count).to_pylist()


def test_every_packet_can_be_shown_again_and_says_nothing(attached: Path) -> None:
    out = attached.parent / "carved.pcapng"
    done = _run("packets", "--case", attached, "--filter", "", "-w", out)
    assert done.returncode == 0, done.stderr.decode()
    with CaseReader(attached) as reader:
        packets = reader.query("SELECT sum(src_pkts + dst_pkts)::BIGINT AS n FROM flows")["n"][0].as_py()
        names = [row["query"] for row in reader.query("SELECT DISTINCT query FROM dns WHERE length(query) > 6").to_pylist()]
    assert f"{packets:,} packets".encode() in done.stderr
    evidence = b"".join(path.read_bytes() for path in sorted((attached / "evidence").glob("*.pcapng")))
    assert names
    for name in names:  # what the index knows of them was heard before it was blanked
        longest = max(name.split("."), key=len).encode()
        assert longest not in evidence


def test_payload_is_kept_for_a_reason_which_is_logged(tmp_path: Path) -> None:
    data = (_SAMPLES / "names.pcapng").read_bytes()
    case = tmp_path / "case"
    words = ("attach", "-", "--case", case, "--headless", "--status", "off")
    assert _run(*words, "--keep-payload", " ", stdin=data).returncode == 2
    assert _run(*words, "--keep-payload", "order 17", stdin=data).returncode == 0
    lines = [json.loads(line) for line in (case / "audit.jsonl").read_text().splitlines()]
    assert [line["detail"]["keep_payload"] for line in lines if line["action"] == "attached"] == ["order 17"]
    with CaseReader(case) as reader:
        names = [row["query"] for row in reader.query("SELECT DISTINCT query FROM dns WHERE length(query) > 6").to_pylist()]
    evidence = b"".join(path.read_bytes() for path in (case / "evidence").glob("*.pcapng"))
    assert any(max(name.split("."), key=len).encode() in evidence for name in names)


def test_what_is_no_capture_is_refused_and_said(tmp_path: Path) -> None:
    done = _run("attach", "-", "--case", tmp_path / "case", "--headless", "--status", "off", stdin=b"no capture at all")
    assert done.returncode == 3
    assert b"not a capture" in done.stderr


def test_a_clock_that_jumps_a_day_ends_flows_once_and_loses_no_packet(tmp_path: Path) -> None:
    """Forward for one packet, back; then forward for good, and the same hosts speak on."""
    day, start = 86_400.0, 1_700_000_000.0
    times = [start, start + 1, start + day, start + 2, start + 3, start + day + 4, start + day + 5]
    frames = [(at, udp_frame(9 if n == 2 else 1, 2, 1000, 53)) for n, at in enumerate(times)]
    case = tmp_path / "case"
    done = _run("attach", "-", "--case", case, "--headless", "--status", "off", "--format", "json", stdin=pcap(frames))
    assert done.returncode == 0, done.stderr.decode()
    shown = json.loads(done.stdout)
    assert shown["sources"][0]["packets"] == len(times)
    assert [line["count"] for line in shown["ledger"] if line["reason"] == "clock_back"] == [1]
    with CaseReader(case) as reader:
        rows = reader.query("SELECT src_port, src_pkts, end_reason, ts FROM flows ORDER BY flow_id").to_pylist()
    assert sum(row["src_pkts"] for row in rows) == len(times)
    assert [row["src_pkts"] for row in rows] == [4, 1, 2]
    assert all(row["end_reason"] is not None for row in rows)
