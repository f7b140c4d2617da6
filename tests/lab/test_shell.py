from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import dataplane, marks, shell
from tests.lab.traces import traces

pytestmark = marks.LAB
ROOT = Path(__file__).parents[2]


def environment() -> dict[str, str]:
    return {**os.environ, "SHELL": "/bin/sh"}


def told(out: str, name: str) -> str:
    return next(line.removeprefix(f"{name}=") for line in out.splitlines() if line.startswith(f"{name}="))


def test_the_shell_reaches_everything_and_leaves_nothing_behind(tmp_path: Path) -> None:
    asked = f"""
        echo tag=$LAB
        echo vxlan=$(on app1 curl -s -m 5 http://10.20.1.10/lab)
        echo geneve=$(on train-0 curl -s -m 5 http://10.20.2.10/lab)
        echo bridges=$(ssh dpu3 ovs-vsctl list-br)
        echo ports=$(on dpu1 ovs-vsctl list-ports br-phy)
        workbench --version | sed s/^/version=/
        on app2 sleep 600 &
        touch {tmp_path}/reached
        exit 3
    """
    ran = subprocess.run(
        [sys.executable, "-m", "tests.lab.shell"],
        input=asked,
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 3, ran.stderr
    tag = told(ran.stdout, "tag")
    assert told(ran.stdout, "vxlan") == told(ran.stdout, "geneve") == tag
    assert told(ran.stdout, "bridges") == "br-phy ovsbr1 ovsbr2"
    assert told(ran.stdout, "ports") == "mirror0 p0"
    assert told(ran.stdout, "version")
    assert "10.20.1.0/24" in ran.stdout
    assert (tmp_path / "reached").exists()
    assert traces(tag) == []


def test_labs_can_be_put_up_at_the_same_time() -> None:
    command = [sys.executable, "-m", "tests.lab.shell"]
    both = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(), cwd=ROOT, text=True)
        for _ in range(2)
    ]
    said = []
    for one in both:  # the first waits in its shell until the second is up too
        assert one.stdin
        one.stdin.write("echo tag=$LAB; echo got=$(on app1 curl -s -m 5 http://10.20.1.10/lab); read end\n")
        one.stdin.flush()
    for one in both:
        assert one.stdout
        lines = []
        while not lines or not lines[-1].startswith("got="):
            lines.append(one.stdout.readline())
            assert lines[-1], "the shell ended"
        said.append((told("".join(lines), "tag"), told("".join(lines), "got").strip()))
    for one in both:
        one.communicate("end\n", timeout=60)
    assert [one.returncode for one in both] == [0, 0]
    assert said[0][0] != said[1][0]
    assert all(tag == got for tag, got in said)
    assert [traces(tag) for tag, _ in said] == [[], []]


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert shell.main() == 4
    assert "needs root" in capsys.readouterr().err


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()  # where no node can be made
    monkeypatch.setattr(dataplane, "TUN", tmp_path / "file" / "tun")
    assert shell.main() == 4
    assert f"{tmp_path}/file/tun is missing" in capsys.readouterr().err


def _heed_signals() -> None:
    """As a person's shell starts a program: a background job or nohup would hand on signals to be ignored."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)], ids=["term", "hangup", "ctrl-c"]
)
def test_a_shell_that_is_told_to_end_leaves_nothing_behind(number: signal.Signals, code: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.lab.shell"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
        cwd=ROOT,
        text=True,
        preexec_fn=_heed_signals,
    ) as started:
        assert started.stdin
        assert started.stdout
        started.stdin.write("echo tag=$LAB\n")
        started.stdin.flush()
        tag = next(line.strip().removeprefix("tag=") for line in started.stdout if line.startswith("tag="))
        assert traces(tag)
        started.send_signal(number)
        assert started.wait(60) == code
    assert traces(tag) == []
