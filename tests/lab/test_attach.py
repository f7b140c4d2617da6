"""A live interface of a real network: what passes is there within two seconds, nothing is lost, and nothing stays lost."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import needs
from workbench.errors import WorkbenchError
from workbench.store.reader import CaseReader

pytestmark = [
    pytest.mark.lab,
    needs.root("for network namespaces"),
    *(needs.program(name) for name in ("ip", "ethtool", "ping", "dumpcap", "tcpdump", "curl")),
]

_HTTP = "import http.server as s; s.test(s.SimpleHTTPRequestHandler, port=8000, bind='10.99.0.2')"


class Wire:
    """Two hosts and the cable between them: left (10.99.0.1, interface `left`) and right (10.99.0.2)."""

    def __init__(self) -> None:
        tag = "wb" + secrets.token_hex(3)
        self.names = (f"{tag}l", f"{tag}r")

    def __enter__(self) -> Wire:
        left, right = self.names
        for name in self.names:
            _do("ip", "netns", "add", name)
        _do("ip", "link", "add", "left", "netns", left, "type", "veth", "peer", "name", "right", "netns", right)
        for n, (name, end) in enumerate(((left, "left"), (right, "right")), 1):
            self.on(n - 1, "ip", "addr", "add", f"10.99.0.{n}/24", "dev", end)
            self.on(n - 1, "ip", "link", "set", end, "up")
            self.on(n - 1, "ethtool", "-K", end, "tx", "off")
            assert name
        return self

    def __exit__(self, *_: object) -> None:
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], check=False)

    def words(self, side: int, *words: str) -> list[str]:
        return ["ip", "netns", "exec", self.names[side], *words]

    def on(self, side: int, *words: str) -> None:
        _do(*self.words(side, *words))


def _do(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=60)


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire() as found:
        yield found


class Attached:
    """`workbench attach` on the left end, and what it says."""

    def __init__(self, wire: Wire, case: Path, *more: str) -> None:
        words = [sys.executable, "-m", "workbench", "attach", "left", "--case", str(case), "--headless"]
        words += ["--status", "json", "--status-every", "0.5", "--format", "json", *more]
        self.case = case
        self.process = subprocess.Popen(wire.words(0, *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said: list[dict[str, Any]] = []
        self.heard = threading.Condition()
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()
        self.until(lambda now: now["state"] == "capturing" and now["bytes"] > 0)

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self.heard, contextlib.suppress(ValueError):
                self.said.append(json.loads(line))
                self.heard.notify_all()

    def until(self, right: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        with self.heard:
            assert self.heard.wait_for(lambda: bool(self.said) and right(self.said[-1]), 120), self.said[-3:]
            return self.said[-1]

    def children(self, word: str) -> list[int]:
        found = []
        for pid in (p for p in Path("/proc").iterdir() if p.name.isdigit()):
            with contextlib.suppress(OSError):
                parent = int((pid / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.process.pid and word in (pid / "cmdline").read_bytes().decode("utf-8", "replace"):
                    found.append(int(pid.name))
        return found

    def stop(self, number: int = signal.SIGTERM) -> dict[str, Any]:
        self.process.send_signal(number)
        assert self.process.stdout is not None
        out = self.process.stdout.read()
        assert self.process.wait(60) == 0
        shown: dict[str, Any] = json.loads(out)
        return shown


def _asked(case: Path, sql: str) -> list[dict[str, Any]]:
    with contextlib.suppress(WorkbenchError), CaseReader(case) as reader:
        return reader.query(sql).to_pylist()
    return []


def _seen(case: Path, sql: str) -> float:
    """Seconds until it has rows."""
    start = time.monotonic()
    while not _asked(case, sql):
        assert time.monotonic() < start + 60, sql
        time.sleep(0.05)
    return time.monotonic() - start


def _gone(pid: int) -> bool:
    """Whether a process ends within ten seconds; one that nobody has asked after is over, too."""
    start = time.monotonic()
    while time.monotonic() < start + 10:
        try:
            if (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_traffic_is_there_while_it_goes_on_and_agrees_with_tcpdump(wire: Wire, tmp_path: Path) -> None:
    case, beside = tmp_path / "case", tmp_path / "beside.pcap"
    server = subprocess.Popen(wire.words(1, sys.executable, "-c", _HTTP), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    other = subprocess.Popen(wire.words(0, "tcpdump", "-i", "left", "-U", "-w", str(beside)), stderr=subprocess.PIPE, text=True)
    assert other.stderr is not None
    other.stderr.readline()  # it listens
    attached = Attached(wire, case)
    wire.on(0, "ping", "-c", "1", "10.99.0.2")
    _seen(case, "FROM flows WHERE proto = 1 AND end_reason IS NULL")
    wire.on(0, "curl", "-s", "--retry", "20", "--retry-connrefused", "-o", os.devnull, "http://10.99.0.2:8000/what/we/asked")
    _seen(case, "FROM http WHERE path = '/what/we/asked'")
    wire.on(0, "ping", "-q", "-i", "0.002", "-c", "500", "-s", "1000", "10.99.0.2")
    attached.until(lambda now: now["packets"] >= 1000)
    shown = attached.stop()
    other.send_signal(signal.SIGINT)
    told = other.stderr.read()
    other.wait(10)
    server.kill()
    server.wait()
    assert "0 packets dropped by kernel" in told
    (source,) = shown["sources"]
    assert (source["state"], source["dropped"]) == ("ok", 0)
    counted = {
        row["proto"]: row["n"]
        for row in _asked(case, "SELECT proto, sum(src_pkts + dst_pkts)::BIGINT AS n FROM flows GROUP BY 1")
    }
    assert counted[1] == 1002
    whole = tmp_path / "whole"
    done = subprocess.run([sys.executable, "-m", "workbench", "index", str(beside), "--case", str(whole)], check=False)
    assert done.returncode == 0
    sql = (
        "SELECT src_ip, src_port, dst_port, src_pkts, dst_pkts, src_bytes, history FROM flows WHERE proto IN (1, 6) ORDER BY ALL"
    )
    assert _asked(whole, sql) == _asked(case, sql)


def test_what_dies_is_begun_again_and_the_ledger_says_when(wire: Wire, tmp_path: Path) -> None:
    case = tmp_path / "case"
    attached = Attached(wire, case)
    wire.on(0, "ping", "-c", "2", "-i", "0.2", "10.99.0.2")
    attached.until(lambda now: now["flows"] >= 1)
    _seen(case, "FROM flows WHERE proto = 1")
    for pid in attached.children("dumpcap"):
        os.kill(pid, signal.SIGKILL)
    attached.until(lambda now: now["gaps"] == 1 and now["state"] == "capturing")
    (worker,) = attached.children("spawn_main")[:1]
    os.kill(worker, signal.SIGKILL)
    attached.until(lambda now: now["source_id"] == 2 and now["bytes"] > 0)
    wire.on(0, "ping", "-c", "2", "-i", "0.2", "10.99.0.2")
    attached.until(lambda now: now["packets"] >= 4)
    shown = attached.stop(signal.SIGINT)
    reasons = {(line["source_id"], line["reason"]) for line in shown["ledger"]}
    assert {(1, "capture_gap"), (1, "worker_died"), (1, "open_lost"), (2, "capture_gap")} <= reasons
    rows = _asked(case, "SELECT source_id, src_pkts, end_reason FROM flows WHERE proto = 1 ORDER BY 1")
    assert [row["source_id"] for row in rows] == [1, 2]
    assert all(row["end_reason"] is not None for row in rows)
    balance = """
        SELECT packets - (SELECT coalesce(sum(src_pkts + dst_pkts), 0) FROM flows f WHERE f.source_id = s.source_id)
            - (SELECT count(*) FROM arp a WHERE a.source_id = s.source_id)
            - (SELECT coalesce(sum(count), 0) FROM ledger l WHERE l.source_id = s.source_id AND l.kind = 'undecoded') AS off
        FROM sources s ORDER BY source_id
    """
    assert [int(row["off"]) for row in _asked(case, balance)] == [0, 0]


def test_kill_9_keeps_what_was_shown(wire: Wire, tmp_path: Path) -> None:
    case = tmp_path / "case"
    attached = Attached(wire, case)
    wire.on(0, "ping", "-c", "3", "-i", "0.2", "10.99.0.2")
    _seen(case, "FROM flows WHERE proto = 1 AND src_pkts = 3")
    (capture,) = attached.children("dumpcap")
    attached.process.kill()
    attached.process.wait()
    assert _gone(capture)  # although no packet comes that would tell it that nobody reads
    rows = _asked(case, "SELECT src_pkts, end_reason FROM flows WHERE proto = 1")
    assert rows == [{"src_pkts": 3, "end_reason": 4}]
    assert [row["reason"] for row in _asked(case, "FROM ledger WHERE reason = 'interrupted'")] == ["interrupted"]


_UNWANTED = """import socket
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind(("right", 0))
for n in range(20):
    out.send(b"\\xff" * 6 + b"\\x02" * 6 + b"\\x88\\xb5" + bytes(60))
"""
_COUNTED = """from pathlib import Path
from workbench.sources.interfaces import counters
found = counters("left")
print(found.packets, found.dropped, Path("/sys/class/net/left/statistics/rx_dropped").read_text())
"""


def test_what_nobody_wants_is_not_lost(wire: Wire) -> None:
    """The kernel counts frames of a protocol that it does not speak as dropped, after captures have seen them."""
    wire.on(1, sys.executable, "-c", _UNWANTED)
    words = wire.words(0, sys.executable, "-c", _COUNTED)
    packets, lost, unwanted = map(int, subprocess.run(words, check=True, capture_output=True, text=True).stdout.split())
    assert packets >= 20
    assert unwanted >= 20
    assert lost == 0
