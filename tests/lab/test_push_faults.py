"""Faults on a real DPU: ssh cut at any moment, the daemon killed, two at once, the switch restarted, ssh given nonsense."""

from __future__ import annotations

import io
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import marks
from tests.lab.dataplane import DpuLab
from tests.lab.pushing import Desk
from tests.push.resident.people import People
from workbench.errors import PushRefusedError, WorkbenchError
from workbench.push import channel
from workbench.push.enrolment import forced
from workbench.push.plans import read_plan
from workbench.push.resident import workbench_dpu as dpu
from workbench.push.targets import target_of
from workbench.settings import load_settings
from workbench.sources import ssh
from workbench.workflows import push_policy

pytestmark = marks.SHARED


class Box(Desk):
    lab: DpuLab

    def ports(self) -> set[int]:
        """The ports that our flows close on ovsbr1."""
        said = self.lab.ofctl("dpu1", "--no-stats", "dump-flows", "ovsbr1")
        return {port for port in (80, 443, 8080) if f"tp_dst={port} " in said}

    def waited(self, what: Callable[[], bool], seconds: float = 30) -> None:
        until = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < until
            time.sleep(0.05)


@pytest.fixture
def box(dpu_lab: DpuLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    (tmp_path / "keys").mkdir()
    one = Box(tmp_path, People(tmp_path / "keys"), monkeypatch, 'kind = "ovs"\naddress = "ssh://root@dpu1"\nbridge = "ovsbr1"')
    one.lab = dpu_lab
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "ssh"
    inside = f"ip netns exec {dpu_lab.space('admin')} {shutil.which('ssh')} -F {dpu_lab.folder}/ssh_config"
    script.write_text(f'#!/bin/sh\nexec {inside} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    before = dpu_lab.ofctl("dpu1", "--no-stats", "dump-flows", "ovsbr1")
    yield one
    one.end()
    dpu_lab.add_flows("dpu1", "ovsbr1", "delete cookie=0x5742433100000000/0xffffffff00000000\n")
    assert dpu_lab.ofctl("dpu1", "--no-stats", "dump-flows", "ovsbr1") == before


def cut(box: Box, plan: Path, after: float) -> None:
    """Send an apply as the workbench does, and kill ssh so many seconds later."""
    target, made, frame = target_of(load_settings(), "dpu"), read_plan(plan), io.BytesIO()
    given = {"bundle": made.bundle, "signature": made.signature, "approval": made.approval, "window": 2}
    dpu.write_frame(frame, {"protocol": dpu.PROTOCOL, "ask": "apply", **given})
    words = ["python3", "-I", f"{target.home}/workbench_dpu.py", "serve", target.home]
    with subprocess.Popen(
        target.far.command(ssh.as_root(words)), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    ) as process:
        assert process.stdin
        process.stdin.write(frame.getvalue())
        process.stdin.flush()
        time.sleep(after)
        os.killpg(process.pid, signal.SIGKILL)


def test_whatever_breaks_the_old_rules_or_the_new_ones_run(box: Box) -> None:
    box.enrol()
    box.keep(80)
    assert box.ports() == {80}
    # ssh dies, sooner or later
    for delay in (0.0, 0.4):
        cut(box, box.plan(443), delay)
        assert box.ports() in ({80}, {443})
        box.waited(lambda: box.said()["pending"] is None and box.ports() == {80})
    # the daemon is killed; the one that starts it again sees to the deadline
    box.apply(443, window=2)
    child = subprocess.run(
        ["pgrep", "-P", (box.home / "watch.pid").read_text().strip()], capture_output=True, text=True, check=True
    )
    os.kill(int(child.stdout.split()[0]), signal.SIGKILL)
    assert box.ports() == {443}
    box.waited(lambda: box.ports() == {80})
    # two push at once: one is taken
    plans = [box.plan(443), box.plan(8080)]
    said: list[str] = []

    def push(plan: Path) -> None:
        try:
            push_policy.apply_plan(plan, 60)
            said.append("runs")
        except WorkbenchError as error:
            said.append(error.code if isinstance(error, PushRefusedError) else error.message)

    both = [threading.Thread(target=push, args=(plan,)) for plan in plans]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert max(said) == "runs"
    assert min(said) in ("busy", "replayed")
    assert box.ports() in ({443}, {8080})
    assert push_policy.roll_back("dpu", "")[1] is False
    assert box.ports() == {80}
    # the switch restarts: what was confirmed is there again, and for how long it was not is told
    box.lab.restart_switch("dpu1")
    box.waited(lambda: box.ports() == {80})
    box.waited(lambda: bool(box.said()["gaps"]))
    assert 0 < box.said()["gaps"][-1]["seconds"] < 60


def test_a_key_that_may_only_push_can_do_nothing_else(box: Box) -> None:
    box.enrol()
    people = box.people
    target = target_of(load_settings(), "dpu")
    box.lab.authorize("dpu1", (people.folder / "eve.pub").read_text(), forced(target))
    config = ["-F", str(box.lab.folder / "ssh_keyless"), "-i", str(people.folder / "eve")]
    line = ["ip", "netns", "exec", box.lab.space("admin"), "ssh", *config, "dpu1"]
    mark = box.folder / "mark"

    def ask(given: bytes, *words: str) -> bytes:
        done = subprocess.run([*line, *words], input=given, capture_output=True, timeout=60, check=False)
        assert done.stdout, done.stderr
        return done.stdout

    for words in ((f"touch {mark}",), ("sh", "-c", f"touch {mark}"), (f"serve; touch {mark}",)):
        assert ask(f"touch {mark}\n".encode(), *words)[8:].startswith(b'{"code":"malformed"')
    assert not mark.exists()
    chance = random.Random(3)
    noise = b"".join(bytes([chance.randrange(256)]) for _ in range(4096))
    assert ask(noise)[8:].startswith(b'{"code":"malformed"')
    frame = io.BytesIO()
    dpu.write_frame(frame, {"protocol": dpu.PROTOCOL, "ask": "status"})
    dpu.write_frame(frame, {"protocol": dpu.PROTOCOL + 1, "ask": "status"})
    out = io.BytesIO(ask(frame.getvalue()))
    found = [dpu.read_frame(out), dpu.read_frame(out)]
    assert [one and one.get("ok") for one in found] == [True, False]
    assert channel.ask(target, "status")["sequence"] == 0


def test_a_bridge_that_others_have_the_say_on_gets_no_rules_unless_it_was_enrolled_so(box: Box) -> None:
    def refused(code: str, word: str) -> None:
        """By the plan; by the DPU itself, for a plan of before; and told by status."""
        for what in (lambda: box.plan(443), lambda: push_policy.apply_plan(plan, 60)):
            with pytest.raises(PushRefusedError, match=word) as caught:
                what()
            assert caught.value.code == code
        assert word in box.said()["occupied" if code == "occupied" else "owner"]
        assert box.ports() == set()

    box.enrol()
    plan = box.plan(80)
    assert [box.said()[name] for name in ("occupied", "owner")] == ["", ""]
    lab = box.lab
    try:
        lab.vsctl("dpu1", "set-controller", "ovsbr1", "tcp:127.0.0.1:1")  # where nobody listens
        refused("owned", "controller")
        box.enrol()  # the settings name the bridge: it is taken as it is now
        assert box.said()["owner"] == ""
        lab.vsctl("dpu1", "set", "Open_vSwitch", ".", "external_ids:ovn-bridge=ovsbr1")
        refused("owned", "ovn")
        lab.vsctl("dpu1", "remove", "Open_vSwitch", ".", "external_ids", "ovn-bridge")
        lab.vsctl("dpu1", "set", "Bridge", "ovsbr1", "external_ids:ct-zone-x=1")
        refused("owned", "ovn")
        lab.vsctl("dpu1", "remove", "Bridge", "ovsbr1", "external_ids", "ct-zone-x")
        lab.add_flows("dpu1", "ovsbr1", "cookie=0x77,table=205,priority=7,ip,actions=drop\n")
        refused("occupied", "table 205")
        lab.ofctl("dpu1", "del-flows", "ovsbr1", "cookie=0x77/-1")
        push_policy.apply_plan(plan, 60)
        assert box.ports() == {80}
        push_policy.roll_back("dpu", "")
    finally:
        lab.vsctl("dpu1", "del-controller", "ovsbr1")
        lab.vsctl("dpu1", "remove", "Open_vSwitch", ".", "external_ids", "ovn-bridge")
        lab.vsctl("dpu1", "remove", "Bridge", "ovsbr1", "external_ids", "ct-zone-x")
