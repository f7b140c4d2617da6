from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sample_captures.make import leftovers
from sample_captures.make.lab import Lab
from tests.lab import building, marks
from tests.lab.dataplane import DpuLab
from tests.lab.traces import traces

pytestmark = marks.LAB
ROOT = Path(__file__).parents[2]
WEB = "http://10.20.1.10/lab"
BUILDER = """
import sys
from {module} import {name} as Made
with Made() as lab:
    {more}
    print(lab.tag, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def own_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Records that nobody else sweeps by meanwhile."""
    monkeypatch.setattr(leftovers, "RECORDS", tmp_path)
    monkeypatch.setenv("WORKBENCH_LAB_RECORDS", str(tmp_path))
    return tmp_path


def killed_builder(module: str, name: str, more: str = "pass") -> str:
    """The tag of a lab whose maker got SIGKILL in its midst."""
    with subprocess.Popen(
        [sys.executable, "-c", BUILDER.format(module=module, name=name, more=more)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    ) as maker:
        assert maker.stdout
        tag = maker.stdout.readline().strip()
        maker.kill()
    return tag


def test_two_labs_at_once_do_not_meet() -> None:
    with DpuLab() as one, DpuLab() as two:
        for lab in (one, two):
            assert lab.run("app1", ["curl", "-s", "-m", "5", WEB]) == f"{lab.tag}\n"
        one.ip("web", "link set eth0 down")
        assert two.run("app1", ["curl", "-s", "-m", "5", WEB]) == f"{two.tag}\n"
        assert one.run("app1", ["curl", "-s", "-m", "1", WEB], check=False) == ""
        one.add_flows("dpu1", "ovsbr1", "cookie=0x77,priority=9,actions=drop")
        assert "cookie=0x77" not in two.ofctl("dpu1", "dump-flows", "ovsbr1")
        assert one.ssh("dpu1", "cat /run/openvswitch/ovs-vswitchd.pid") != two.ssh(
            "dpu1", "cat /run/openvswitch/ovs-vswitchd.pid"
        )
    assert traces(one.tag) == traces(two.tag) == []


def test_nothing_is_left_after_an_exception() -> None:
    made: list[DpuLab] = []

    def fail() -> None:
        with DpuLab() as lab:
            made.append(lab)
            lab.start("app1", ["sleep", "600"], "sleep.log")
            lab.run("dpu1", ["sh", "-c", "sleep 600 >/dev/null 2>&1 & echo no such luck >&2; exit 7"])

    with pytest.raises(RuntimeError, match="no such luck"):
        fail()
    assert traces(made[0].tag) == []


def test_nothing_is_left_when_building_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[DpuLab] = []

    def fail(lab: DpuLab, _dpus: object) -> None:
        made.append(lab)
        assert traces(lab.tag)
        raise TimeoutError("half way")

    monkeypatch.setattr(building, "settle", fail)
    with pytest.raises(TimeoutError, match="half way"):
        DpuLab().__enter__()
    assert traces(made[0].tag) == []


def test_a_killed_makers_lab_is_swept_up_and_no_other(own_records: Path) -> None:
    with Lab() as alive:
        alive.add_space("host")
        process = alive.start("host", ["sleep", "600"], "sleep.log")
        tag = killed_builder("tests.lab.dataplane", "DpuLab", "lab.start('app1', ['setsid', 'sleep', '600'], 'sleep.log')")
        left = traces(tag)
        assert any("dpu1" in line for line in left)
        assert any("process" in line for line in left)
        assert leftovers.sweep() == [tag]
        assert list(own_records.iterdir()) == [own_records / f"{alive.tag}.json"]
        assert traces(tag) == []
        assert process.poll() is None
        assert alive.run("host", ["cat", "/proc/sys/kernel/ostype"]) == "Linux\n"
        assert leftovers.sweep() == []


def test_the_next_lab_sweeps_up_before_it_begins(own_records: Path) -> None:
    tag = killed_builder("sample_captures.make.lab", "Lab", "lab.add_space('host'); lab.start('host', ['sleep', '9'], 'log')")
    assert traces(tag)
    with Lab():
        assert traces(tag) == []


def test_a_maker_is_known_by_when_it_started_too(own_records: Path) -> None:
    with Lab() as lab:
        note = own_records / f"{lab.tag}.json"
        owner = note.read_text()
        assert f'"pid": {os.getpid()},' in owner
        note.write_text(owner.replace(f'"started": {leftovers.started(os.getpid())}', '"started": 1'))
        assert lab.tag in leftovers.sweep()  # that pid is another process's now
        assert traces(lab.tag) == []


def test_another_containers_labs_are_left_alone_and_another_boots_are_not(own_records: Path) -> None:
    with Lab() as lab:
        note = own_records / f"{lab.tag}.json"
        mine = note.read_text()
        machine = leftovers.machine()
        note.write_text(mine.replace(machine["pid_space"], "pid:[1]").replace(f'"pid": {os.getpid()}', '"pid": 999999999'))
        assert lab.tag not in leftovers.sweep()
        note.write_text(mine.replace(machine["boot"], "another"))
        assert lab.tag in leftovers.sweep()
    assert traces(lab.tag) == []
