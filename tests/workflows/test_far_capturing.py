"""What an attach run makes of a capture elsewhere: coverage, gaps without an end of the capture, and how long it waits."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from workbench.cli.attach import as_text
from workbench.settings import AttachSettings
from workbench.sources.capture_process import Drops
from workbench.sources.remote_capture import RemoteCapture, Watched
from workbench.workflows import attach
from workbench.workflows.far_capturing import FarCapturing
from workbench.workflows.metrics import page
from workbench.workflows.mirror import View
from workbench.workflows.requests import AttachRequest, AttachStatus


def remote(*lines: str, watched: Watched) -> RemoteCapture:
    """A capture of which these lines came, and that is over."""
    capture = RemoteCapture.__new__(RemoteCapture)
    capture.watched, capture._ports, capture.drops = watched, {"before": {}, "after": {}}, Drops()
    capture.first = capture.before_last = capture.last = None
    for line in lines:
        capture._hear_far(line, Drops())
    capture.stop = capture.ask_drops = lambda *_: 0  # type: ignore[method-assign,assignment]
    return capture


def far(monkeypatch: pytest.MonkeyPatch, bpf: str | None = None) -> FarCapturing:
    monkeypatch.setattr("workbench.workflows.far_capturing.view_at", lambda _: View(("A part is not seen.",)))
    return FarCapturing(AttachRequest("ssh://dpu1/p0", Path("case"), bpf), AttachSettings())


def went(capturing: FarCapturing, *lines: str) -> None:
    capturing._program = capturing._remote = remote(*lines, watched=Watched())
    capturing.put_away()


def said(capturing: FarCapturing, frames: int) -> dict[str, tuple[int, str]]:
    return {line.reason: (line.count, line.detail or "") for line in capturing.ledger(frames)}


def test_what_crossed_in_a_gap_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    capturing = far(monkeypatch)
    assert said(capturing, 0).keys() == {"own_connection", "far_unseen"}
    went(capturing, "workbench-port before 10 0 p0", "workbench-port after 20 0 p0")
    went(capturing, "workbench-port before 70 0 p0", "workbench-port after 110 0 p0")
    count, detail = said(capturing, 50)["coverage"]
    assert (count, "50.0% of 100" in detail) == (100, True)


@pytest.mark.parametrize(
    ("lines", "bpf"),
    [
        pytest.param(["workbench-port before 10 0 p0"], None, id="broke-off"),
        pytest.param(["workbench-port before 10 0 p0", "workbench-port after 4 0 p0"], None, id="counters-began-anew"),
        pytest.param(["workbench-port before 10 0 p0", "workbench-port after 40 0 p0"], "port 80", id="filter"),
    ],
)
def test_what_cannot_be_compared_has_no_coverage(monkeypatch: pytest.MonkeyPatch, lines: list[str], bpf: str | None) -> None:
    capturing = far(monkeypatch, bpf)
    went(capturing, *lines)
    assert "coverage" not in said(capturing, 5)


def test_a_port_without_a_carrier_is_a_gap_until_it_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    capturing = far(monkeypatch)
    line = "workbench-cost 100 10.00 5 7 1000 3 3 3 3 3 3"
    assert capturing.look() is None
    assert capturing.never_worked
    capturing._remote = remote(f"{line} 0", watched=Watched())
    assert capturing.look() is None
    assert capturing.look() is None
    assert not capturing.never_worked
    assert "no carrier" in capturing.gap_why
    capturing._remote = remote(f"{line} 1", watched=Watched())
    assert re.fullmatch(r"\S+Z to \S+Z: the port there has no carrier.*", capturing.look() or "")
    assert (capturing.look(), capturing.gap_why) == (None, "")


def test_what_the_far_end_takes_is_told_where_people_and_machines_look() -> None:
    status = AttachStatus("ssh://dpu1/p0", 1, "capturing", far_capture_cpu=0.034, far_ssh_cpu=0.01, far_bits_per_second=2.5e6)
    assert "3.4% of a core there · 2.5 Mbit/s from there" in as_text(status)
    assert 'workbench_far_capture_cpu_cores{source="ssh://dpu1/p0"} 0.034' in page(status, 0.0)
    assert "workbench_far" not in page(AttachStatus("p0", 1, "capturing"), 0.0)


def run(*, ready: bool, streaming: bool, moved: float) -> tuple[Any, list[str]]:
    done: list[str] = []
    worker = SimpleNamespace(ready=ready, process=SimpleNamespace(kill=lambda: done.append("worker killed")))
    one = SimpleNamespace(worker=worker, streaming=streaming, moved=moved, forced=False)
    one._put_away_capture = lambda: done.append("capture ended")
    return one, done


@pytest.mark.parametrize(
    ("ready", "streaming", "moved", "now", "does"),
    [
        pytest.param(False, True, 0, 131, [], id="loads-on-a-busy-machine"),
        pytest.param(False, True, 0, 401, ["capture ended"], id="loads-for-ever"),
        pytest.param(True, True, 180, 200, [], id="has-a-backlog"),
        pytest.param(True, True, 100, 131, ["capture ended"], id="capture-hangs"),
        pytest.param(True, True, 400, 401, ["capture ended"], id="capture-never-ends"),
        pytest.param(True, False, 100, 131, ["worker killed"], id="worker-hangs"),
    ],
)
def test_nobody_is_killed_who_comes_on(*, ready: bool, streaming: bool, moved: float, now: float, does: list[str]) -> None:
    one, done = run(ready=ready, streaming=streaming, moved=moved)
    attach._Attach._hurry(one, now, 100)
    assert done == does
    attach._Attach._hurry(one, now + 1, 100)  # what was done gets its time
    assert done == does
