"""Collectors as they are run: exporters on a UDP port, each a source; what is open is seen, what dies is begun again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.capture_files import pcap, udp_frame
from tests.decode.telemetry.messages import BASIC, SENT, a_set, basic, ipfix, netflow5, netflow5_record
from tests.decode.telemetry.messages import template as templates
from workbench.errors import WorkbenchError
from workbench.store.reader import CaseReader

#: Exporters are addresses of loopback.
ONE, TWO, THREE, STRANGER = "127.0.0.11", "127.0.0.12", "127.0.0.13", "127.9.9.9"
_COLUMNS = "src_ip, dst_ip, src_port, dst_port, src_pkts, dst_pkts, src_bytes, dst_bytes, ts, ts_end, end_reason, conn_state"


class Collecting:
    """`workbench attach ipfix://...`, and what it says."""

    def __init__(self, case: Path, *more: str) -> None:
        words = [sys.executable, "-m", "workbench", "attach", "ipfix://127.0.0.1:0", "--case", str(case), "--headless"]
        words += ["--status", "json", "--status-every", "0.5", "--format", "json", *more]
        self.case = case
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said: list[dict[str, Any]] = []
        self.heard = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()
        self.until(lambda now: now["state"] == "capturing")
        place = _asked(case, "SELECT path FROM sources WHERE source_id = 1")[0]["path"]
        self.port = int(place.rpartition(":")[2])

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

    def worker(self) -> int:
        for pid in (p for p in Path("/proc").iterdir() if p.name.isdigit()):
            with contextlib.suppress(OSError):
                parent = int((pid / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.process.pid and b"spawn_main" in (pid / "cmdline").read_bytes():
                    return int(pid.name)
        raise AssertionError("no worker")

    def stop(self, number: int = signal.SIGTERM) -> dict[str, Any]:
        self.process.send_signal(number)
        assert self.process.stdout is not None
        out = self.process.stdout.read()
        assert self.process.wait(60) == 0
        shown: dict[str, Any] = json.loads(out)
        return shown


class Exporter:
    """Sends from an address of its own, always from the same port."""

    def __init__(self, address: str, to: int) -> None:
        self.end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.end.bind((address, 0))
        self.to = to

    def send(self, *messages: bytes) -> None:
        for message in messages:
            self.end.sendto(message, ("127.0.0.1", self.to))


def _asked(case: Path, sql: str) -> list[dict[str, Any]]:
    with contextlib.suppress(WorkbenchError), CaseReader(case) as reader:
        return reader.query(sql).to_pylist()
    return []


def _seen(case: Path, sql: str) -> list[dict[str, Any]]:
    start = time.monotonic()
    while not (found := _asked(case, sql)):
        assert time.monotonic() < start + 60, sql
        time.sleep(0.05)
    return found


def record(n: int, **more: int) -> bytes:
    return basic("192.0.2.1", "198.51.100.2", 40_000 + n, 443, **more)


def answer(n: int, **more: int) -> bytes:
    return basic("198.51.100.2", "192.0.2.1", 443, 40_000 + n, start=SENT * 1000 + 1, **more)


FLOWS = ipfix(a_set(256, record(1, packets=3) + answer(1, packets=2) + record(2)), sequence=0)
MORE = ipfix(a_set(256, record(3)), sequence=5)
OLD = netflow5(netflow5_record("192.0.2.7", "192.0.2.8", 1, 2), netflow5_record("192.0.2.8", "192.0.2.7", 2, 1))


@pytest.fixture
def collecting(tmp_path: Path) -> Iterator[Collecting]:
    found = Collecting(tmp_path / "case", "--exporter", "127.0.0.0/24", "--exporter", "2001:db8::/32")
    yield found
    found.process.kill()
    found.process.wait()


def test_exporters_are_sources_and_open_flows_are_seen(collecting: Collecting, tmp_path: Path) -> None:
    case = collecting.case
    one, two, other = (Exporter(address, collecting.port) for address in (ONE, TWO, STRANGER))
    one.send(ipfix(templates(256, BASIC)), FLOWS, MORE)
    two.send(OLD, b"nothing we know")
    other.send(FLOWS, FLOWS)
    found = _seen(case, f"SELECT {_COLUMNS} FROM flows WHERE sensor = '{ONE}' AND src_port = 40001")
    assert [(f["src_pkts"], f["dst_pkts"], f["end_reason"]) for f in found] == [(3, 2, None)]
    now = collecting.until(lambda now: now["refused"] == 2 and now["packets"] == 7 and now["exporters"] == 2)
    assert (now["records"], now["lost"], now["dropped"], now["flows"], now["open_flows"]) == (6, 2, 0, 4, 4)
    shown = collecting.stop()
    assert [(s["kind"], s["sensor"], s["state"], s["packets"], s["flows"]) for s in shown["sources"]] == [
        ("live", f"ipfix://127.0.0.1:{collecting.port}", "ok", 0, 0),
        ("ipfix", ONE, "ok", 7, 3),
        ("netflow5", TWO, "ok", 2, 1),
    ]
    counts = {(line["source_id"], line["reason"]): (line["count"], line["detail"]) for line in shown["ledger"]}
    assert counts[1, "exporter_refused"] == (2, STRANGER)
    assert counts[1, "not_telemetry"][0] == 1
    assert counts[2, "telemetry_lost"] == (2, "records of domain 1")
    assert counts[2, "records_unpaired"][0] == 2
    capture = tmp_path / "same.pcap"
    sent = ((1, ipfix(templates(256, BASIC))), (1, FLOWS), (1, MORE), (2, OLD))
    frames = [udp_frame(who, 9, 5000, 4739, data) for who, data in sent]
    capture.write_bytes(pcap([(SENT + n, frame) for n, frame in enumerate(frames)]))
    words = [sys.executable, "-m", "workbench", "import", "ipfix", str(capture), "--case", str(tmp_path / "imported")]
    subprocess.run(words, check=True, capture_output=True)
    sql = f"SELECT {_COLUMNS} FROM flows ORDER BY ALL"
    assert _asked(case, sql) == _asked(tmp_path / "imported", sql)


def test_a_worker_that_dies_loses_nothing_shown_and_the_next_one_knows_what_it_knew(collecting: Collecting) -> None:
    case = collecting.case
    one, two, three = (Exporter(address, collecting.port) for address in (ONE, TWO, THREE))
    one.send(ipfix(templates(256, BASIC)), FLOWS)
    two.send(OLD)
    three.send(ipfix(templates(256, BASIC)), FLOWS)
    _seen(case, "SELECT 1 FROM flows HAVING count(*) = 5")
    os.kill(collecting.worker(), signal.SIGKILL)
    one.send(MORE)  # waits in the kernel, and its template came before; two records were numbered and never sent
    two.send(netflow5(netflow5_record("192.0.2.7", "192.0.2.9", 5, 6), sequence=2))
    now = collecting.until(lambda now: now["gaps"] == 1 and now["exporters"] == 2 and now["records"] == 2)
    assert (now["source_id"], now["lost"]) == (5, 2)
    assert len(_seen(case, "SELECT 1 FROM flows HAVING count(*) = 7")) == 1
    shown = collecting.stop()
    assert [(s["sensor"], s["state"], s["packets"], s["flows"]) for s in shown["sources"] if s["kind"] != "live"] == [
        (ONE, "partial", 6, 2),
        (TWO, "partial", 2, 1),
        (THREE, "partial", 6, 2),
        (ONE, "ok", 1, 1),
        (TWO, "ok", 1, 1),
    ]
    reasons = {(line["source_id"], line["reason"]): line["count"] for line in shown["ledger"]}
    assert {(1, "worker_died"), (5, "capture_gap")} <= reasons.keys()
    assert [reasons[n, "open_lost"] for n in (2, 3, 4)] == [2, 1, 2]
    assert reasons[6, "telemetry_lost"] == 2
    sql = "SELECT source_id, count(*) AS n, bool_and(end_reason IS NOT NULL) AS over FROM flows GROUP BY 1 ORDER BY 1"
    rows = [(row["source_id"], row["n"], row["over"]) for row in _asked(case, sql)]
    assert rows == [(2, 2, True), (3, 1, True), (4, 2, True), (6, 1, True), (7, 1, True)]


def _refused(case: Path, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "attach", *words, "--case", str(case), "--headless"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stderr


def test_what_cannot_be_is_said_before_a_case_is_made(tmp_path: Path) -> None:
    case = tmp_path / "case"
    code, told = _refused(case, "ipfix://:4739", "--bpf", "tcp")
    assert (code, "--bpf is for packets" in told) == (2, True)
    code, told = _refused(case, "ipfix://:0", "--exporter", "everyone")
    assert (code, "'everyone' is no address" in told) == (2, True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.bind(("127.0.0.1", 0))
        code, told = _refused(case, f"netflow://127.0.0.1:{end.getsockname()[1]}")
    assert (code, "another program listens there" in told) == (4, True)
    assert not case.exists()
