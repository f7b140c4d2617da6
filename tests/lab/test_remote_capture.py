"""`workbench attach ssh://dpu/port` in the lab: packets come, ours stay out, the way may break, nothing is left there."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sample_captures.make.lab import wait_for
from tests.lab import building, marks
from tests.lab.dataplane import DpuLab
from tests.lab.test_mirror import WEB, Responder
from workbench.store.reader import CaseReader

pytestmark = marks.SHARED
#: Seconds that a condition may take on a machine that does other things.
PATIENCE = 120


def capturing(lab: DpuLab) -> list[str]:
    """Capturing programs on dpu1, and what watches them."""
    return [pid for pid, words in processes(lab, "dpu1") if re.match(r"\S*(dumpcap|tcpdump|sh -c i=)", words)]


def processes(lab: DpuLab, host: str) -> list[tuple[str, str]]:
    """Pid and words of everything that runs in a host."""
    found = []
    for pid in subprocess.run(
        ["ip", "netns", "pids", lab.space(host)], capture_output=True, text=True, check=True
    ).stdout.split():
        with contextlib.suppress(OSError):
            found.append((pid, Path(f"/proc/{pid}/cmdline").read_bytes().decode().replace("\0", " ")))
    return found


class Watch:
    """A running `workbench attach`, and what its status lines say."""

    def __init__(self, process: subprocess.Popen[str], case: Path) -> None:
        self.process = process
        self.case = case
        self.said: list[dict[str, Any]] = []
        self._heard = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    @classmethod
    def at(cls, responder: Responder, source: str, case: Path, *more: str) -> Watch:
        return cls(responder.popen("attach", source, *cls.words(case), *more), case)

    @staticmethod
    def words(case: Path) -> list[str]:
        return ["--case", str(case), "--headless", "--status", "json", "--status-every", "0.5", "--format", "json"]

    def until(self, what: str, right: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        with self._heard:
            assert self._heard.wait_for(lambda: bool(self.said) and right(self.said[-1]), PATIENCE), (what, self.said[-3:])
            return self.said[-1]

    def begun(self) -> Watch:
        """Wait until the program there captures: from its first bytes on every packet counts."""
        self.until("the capture there", lambda now: now["state"] == "capturing" and now["bytes"] > 0)
        return self

    def stop(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """End it as a person would: the ledger's details and counts by reason."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.stdout is not None
        out = self.process.stdout.read()
        assert self.process.wait(PATIENCE) == 0, self.said[-3:]
        rows = json.loads(out)["ledger"]
        return {row["reason"]: row["detail"] for row in rows}, {row["reason"]: row["count"] for row in rows}

    def flows(self, where: str = "true") -> list[dict[str, Any]]:
        with CaseReader(self.case) as reader:
            return reader.query(f"SELECT * FROM flows WHERE {where}").to_pylist()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._heard, contextlib.suppress(ValueError):
                self.said.append(json.loads(line))
                self._heard.notify_all()


@contextlib.contextmanager
def pinging(lab: DpuLab, host: str, to: str) -> Iterator[None]:
    """Packets for as long as it takes."""
    process = lab.start(host, ["ping", "-q", "-i", "0.05", to], f"ping-{host}.out")
    try:
        yield
    finally:
        lab.end(process, signal.SIGINT)


@pytest.fixture
def responder(dpu_lab: DpuLab, tmp_path: Path) -> Responder:
    return Responder(dpu_lab, tmp_path)


@pytest.fixture
def mirrored(responder: Responder) -> Iterator[str]:
    """The port where a mirror of pf0vf0 comes out."""
    yield responder.json("mirror", "setup", "dpu1", "--ports", "pf0vf0")["interface"]
    responder.ask("mirror", "teardown", "dpu1")


@pytest.mark.parametrize("program", ["dumpcap", "tcpdump"])
def test_what_crosses_a_port_there_is_indexed_here(dpu_lab: DpuLab, responder: Responder, tmp_path: Path, program: str) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(f'[attach]\nprogram = "{program}"\n')
    responder.more = {"WORKBENCH_CONFIG": str(settings)}
    # oob_net0 is where our own ssh runs
    watch = Watch.at(responder, "ssh://root@dpu1/oob_net0", tmp_path / "case")
    with pinging(dpu_lab, "admin", dpu_lab.plan.management("dpu1")):
        told = watch.until("packets, and what they cost", lambda now: now["packets"] >= 20 and now["far_capture_cpu"] is not None)
    assert told["far_bits_per_second"] > 0
    assert "oob_net0 is no port of Open vSwitch" in told["unseen"][0]
    details, counts = watch.stop()
    assert watch.flows("src_port = 22 OR dst_port = 22") == []
    assert watch.flows(f"src_ip = '{dpu_lab.plan.management('dpu1')}' OR dst_ip = '{dpu_lab.plan.management('dpu1')}'")
    assert "of a core" in details["far_cost"]
    assert "own_connection" in details
    assert details["far_unseen"] == told["unseen"][0]
    assert "our own connection counts there" in details["coverage"]
    assert counts["coverage"] > told["packets"]
    wait_for("nothing left there", lambda: not capturing(dpu_lab))


def test_a_mirror_is_measured_against_the_port_it_copies(
    dpu_lab: DpuLab, responder: Responder, tmp_path: Path, mirrored: str
) -> None:
    watch = Watch.at(responder, f"ssh://root@dpu1/{mirrored}", tmp_path / "case").begun()
    dpu_lab.run("app1", ["ping", "-qc", "300", "-i", "0.002", "10.20.1.10"])
    watch.until("both ways of 300 pings", lambda now: now["packets"] >= 600)
    details, counts = watch.stop()
    arrived, share = re.match(r"(\d+) packets are here, ([\d.]+)% of", details["coverage"]).groups()  # type: ignore[union-attr]
    assert int(arrived) >= 600
    assert float(share) == pytest.approx(100 * int(arrived) / counts["coverage"], abs=0.1)
    assert 95 <= float(share) <= 100  # what passed before dumpcap was ready is missing
    assert "(pf0vf0, as the switch has them)" in details["coverage"]


def test_a_broken_connection_is_a_gap_and_nothing_is_left_there(dpu_lab: DpuLab, responder: Responder, tmp_path: Path) -> None:
    watch = Watch.at(responder, "ssh://root@dpu1/pf0vf0", tmp_path / "case").begun()
    dpu_lab.run("app1", ["curl", "-sf", WEB])
    before = watch.until("the first connection", lambda now: now["packets"] > 8)
    first = capturing(dpu_lab)
    known = dpu_lab.folder / "known_dpus"
    was = known.read_text()
    # its host key isn't the one we know: nobody is asked, nothing is accepted
    known.write_text(was.replace(was.splitlines()[0].split()[2], was.splitlines()[1].split()[2], 1))
    try:
        (ours,) = [pid for pid, words in processes(dpu_lab, "admin") if re.match(r"\S*ssh -F", words)]
        os.kill(int(ours), signal.SIGKILL)
        watch.until("a refusal", lambda now: now["state"] == "waiting" and not set(first) & set(capturing(dpu_lab)))
    finally:
        known.write_text(was)
    watch.until("the second capture", lambda now: now["gaps"] > 0 and now["bytes"] > before["bytes"])
    dpu_lab.run("app1", ["curl", "-sf", WEB])
    watch.until("the second connection", lambda now: now["packets"] >= before["packets"] + 8)
    details, _ = watch.stop()
    assert len(watch.flows("dst_port = 80")) == 2
    assert "capture on ssh://root@dpu1" in details["capture_gap"] or "ssh" in details["capture_gap"]
    wait_for("nothing left there", lambda: not capturing(dpu_lab))


def test_a_switch_that_dies_is_a_gap_and_its_mirror_is_captured_again(
    dpu_lab: DpuLab, responder: Responder, tmp_path: Path, mirrored: str
) -> None:
    watch = Watch.at(responder, f"ssh://root@dpu1/{mirrored}", tmp_path / "case").begun()
    dpu_lab.run("app1", ["curl", "-sf", WEB])
    before = watch.until("the first connection", lambda now: now["packets"] > 8)
    dpu_lab.end(dpu_lab.switches["dpu1"], signal.SIGKILL)
    watch.until("nothing that comes", lambda now: "its switch is gone" in now["note"])
    building.start_switch(dpu_lab, "dpu1")
    building.settle(dpu_lab, ["dpu1"])
    watch.until("the switch's return", lambda now: now["note"] == "" and now["gaps"] == 1)
    dpu_lab.run("app1", ["curl", "-sf", WEB])
    watch.until("the second connection", lambda now: now["packets"] >= before["packets"] + 8)
    details, _ = watch.stop()
    assert len(watch.flows("dst_port = 80")) == 2
    assert "its switch is gone" in details["capture_gap"]


def test_a_namespace_is_captured_in_without_ssh(dpu_lab: DpuLab, tmp_path: Path) -> None:
    case = tmp_path / "case"
    words = [sys.executable, "-m", "workbench", "attach", f"netns:{dpu_lab.space('app1')}/eth0", *Watch.words(case)]
    watch = Watch(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True), case).begun()
    dpu_lab.run("app1", ["curl", "-sf", WEB])
    told = watch.until("the connection", lambda now: now["packets"] > 8 and now["far_capture_cpu"] is not None)
    assert "Open vSwitch there says nothing" in told["unseen"][0]
    details, _ = watch.stop()
    assert len(watch.flows("dst_port = 80")) == 1
    assert "own_connection" not in details


def test_nothing_is_left_there_by_a_workbench_that_was_killed(dpu_lab: DpuLab, responder: Responder, tmp_path: Path) -> None:
    watch = Watch.at(responder, "ssh://root@dpu1/pf0vf0", tmp_path / "case").begun()
    watch.process.kill()
    wait_for("nothing left there", lambda: not capturing(dpu_lab))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        pytest.param("ssh://root@dpu1/nosuch0", "there is no interface nosuch0", id="interface"),
        pytest.param("ssh://nobody@dpu1/p0", "Permission denied", id="login"),
    ],
)
def test_what_cannot_begin_says_why(responder: Responder, tmp_path: Path, source: str, said: str) -> None:
    assert said in responder.ask("attach", source, "--case", str(tmp_path / "case"), "--headless", code=4)[1]
