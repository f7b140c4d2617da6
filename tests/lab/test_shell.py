from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import marks
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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=["term", "hangup", "ctrl-c"])
def test_a_shell_that_is_told_to_end_leaves_nothing_behind(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.lab.shell"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
        cwd=ROOT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # as a person's shell starts it
    ) as shell:
        assert shell.stdin
        assert shell.stdout
        shell.stdin.write("echo tag=$LAB\n")
        shell.stdin.flush()
        tag = next(line.strip().removeprefix("tag=") for line in shell.stdout if line.startswith("tag="))
        assert traces(tag)
        shell.send_signal(number)
        assert shell.wait(60) != 0
    assert traces(tag) == []
