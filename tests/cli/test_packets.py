"""`workbench packets` as a person meets it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.capture_files import write_flows
from workbench.cli.app import run
from workbench.workflows.ingest import index_sources
from workbench.workflows.requests import IndexRequest

ROOT = Path(__file__).parents[2]
FLOW = 1 << 40


@pytest.fixture
def case(tmp_path: Path) -> Path:
    index_sources(IndexRequest((str(write_flows(tmp_path / "a.pcap", 5)),), tmp_path / "case"))
    return tmp_path / "case"


def test_a_flow_is_carved_to_a_file(case: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out.pcapng"
    assert run(["packets", "--case", str(case), "--flow", str(FLOW), "-w", str(target)]) == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert err == f"2 packets of 1 flows to {target}, {target.stat().st_size} bytes\n"


def test_stdout_is_data(case: Path, tmp_path: Path) -> None:
    words = ["packets", "--case", str(case), "--filter", "udp.port == 1026", "-w", "-"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-m", "workbench", *words], env=env, capture_output=True, check=True, cwd=tmp_path)
    assert done.stdout[:4] == b"\n\r\r\n"
    assert done.stderr.decode() == f"2 packets of 1 flows, {len(done.stdout)} bytes\n"


def test_packets_are_listed(case: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert (
        run(["packets", "--case", str(case), "--filter", "", "--side", "dst", "--limit", "3", "--format", "json", "--plain"]) == 0
    )
    rows = json.loads(capfd.readouterr().out)
    assert [(r["frame"], r["flow_id"], r["side"]) for r in rows] == [(2, FLOW, "dst"), (4, FLOW + 1, "dst"), (6, FLOW + 2, "dst")]
    assert rows[0] == {
        "frame": 2,
        "ts": "2023-11-14T22:13:20.001000000Z",
        "flow_id": FLOW,
        "side": "dst",
        "captured": 43,
        "length": 43,
        "source_id": 1,
        "record_offset": 24 + 16 + 43,
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "packets of what?"),
        (["--flow", "1", "--filter", "udp"], "packets of what?"),
        (["--flow", "1", "-w", "x.pcapng"], "no flow 1"),
        (["--filter", "udp.prot == 1"], "udp.prot"),
        (["--flow", str(FLOW), "-w", "x.pcapng", "--format", "csv"], "pcapng"),
    ],
)
def test_wrong_usage(case: Path, words: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["packets", "--case", str(case), *words]) == 2
    assert said in capfd.readouterr().err


def test_a_missing_capture_is_told_by_exit_code(case: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["packets", "--case", str(case), "--flow", str(FLOW), "-w", str(tmp_path / "out.pcapng")]
    capture = tmp_path / "a.pcap"
    data = capture.read_bytes()
    capture.write_bytes(data[:-1])
    assert run(words) == 3
    assert str(capture) in capfd.readouterr().err
    capture.unlink()
    assert run(words) == 4
    assert str(capture) in capfd.readouterr().err
    assert not (tmp_path / "out.pcapng").exists()


def test_kernels_are_kept_where_the_program_keeps_them(case: Path, tmp_path: Path) -> None:
    """Not beside the code, where another user of the machine might write them."""
    words = [sys.executable, "-m", "workbench", "packets", "--case", str(case), "--flow", "1", "--plain"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path / "closed")}
    env.pop("NUMBA_CACHE_DIR", None)
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / "workbench").symlink_to("/nowhere")
    done = subprocess.run(words, env=env, capture_output=True, check=False, cwd=tmp_path)
    assert done.returncode == 4
    assert b"/workbench" in done.stderr
