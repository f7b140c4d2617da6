"""Where commands run and how they are quoted; failures in words. The system's ssh itself is tried in tests/lab."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.errors import FarError, UsageError
from workbench.sources import ssh
from workbench.sources.capture_process import Drops
from workbench.sources.capture_words import CaptureWords
from workbench.sources.dumpcap import hear_dumpcap
from workbench.sources.remote_capture import (
    ITSELF,
    FarCounts,
    RemoteCapture,
    Watched,
    cost_between,
    coverage_words,
    parse_counts,
    shell_line,
)
from workbench.sources.tcpdump import hear_tcpdump


@pytest.mark.parametrize(
    ("text", "far"),
    [
        ("local", ssh.Far("local")),
        ("netns:dpu1", ssh.Far("netns", "dpu1")),
        ("dpu1", ssh.Far("ssh", "dpu1")),
        ("ubuntu@dpu1", ssh.Far("ssh", "dpu1", "ubuntu")),
        ("ssh://ubuntu@dpu1.example:2222/", ssh.Far("ssh", "dpu1.example", "ubuntu", 2222)),
        ("ssh://[fe80::1%oob_net0]:22", ssh.Far("ssh", "fe80::1%oob_net0", "", 22)),
        ("a@b@dpu1", ssh.Far("ssh", "dpu1", "a@b")),
    ],
)
def test_hosts_are_read(text: str, far: ssh.Far) -> None:
    assert ssh.parse_far(text) == far
    assert ssh.parse_far(str(far)) == far


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "-oProxyCommand=x",
            "ssh://-oProxyCommand=x",
            "-l@dpu1",
            "dpu1;reboot",
            "dpu1 x",
            "dpu1\n",
            "ssh://",
            "ssh://dpu1:0",
        ),
        *("ssh://dpu1:70000", "netns:../x", "netns:", "$(x)@dpu1", "[::1", "ssh://[-x]", "http://dpu1", "dpu1/p0"),
    ],
)
def test_hostile_hosts_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"is no DPU|names a port"):
        ssh.parse_far(text)


def test_sources_name_a_host_and_an_interface() -> None:
    assert ssh.parse_capture("ssh://u@[fd00::1]:22/pf0vf0") == (ssh.Far("ssh", "fd00::1", "u", 22), "pf0vf0")
    assert ssh.parse_capture("netns:dpu1/any") == (ssh.Far("netns", "dpu1"), "any")
    for text in ("ssh://dpu1", "ssh://dpu1/", "ssh://dpu1/-x", "ssh://dpu1/a b", "ssh://dpu1/p0'", "ssh://dpu1/" + "x" * 16):
        with pytest.raises(UsageError):
            ssh.parse_capture(text)


def test_every_word_arrives_as_it_was_given() -> None:
    words = [sys.executable, "-c", "import sys; print(sys.argv[1:])", "a b", "$(id)", "`x`", "'", '"', "*", "\\", "", "-x", ";"]
    assert ssh.run(ssh.Far("local"), words) == f"{words[3:]}\n"
    assert ssh.run(ssh.Far("local"), words, root=os.geteuid() == 0) == f"{words[3:]}\n"


def test_ssh_gets_one_word_for_a_shell_there() -> None:
    words = ssh.Far("ssh", "dpu1", "u", 22).command("echo 'a b'")
    assert words[-3:] == ["--", "dpu1", f"exec sh -c {shlex.quote(chr(39).join(['echo ', 'a b', '']))}"]
    assert {"-oBatchMode=yes", "-T"} <= set(words)
    assert not any("HostKey" in word for word in words)


def test_failures_say_what_failed_and_what_to_do() -> None:
    far = ssh.Far("ssh", "dpu1")
    with pytest.raises(FarError, match=r"sh on local failed \(exit code 7\): no such luck") as caught:
        ssh.run(ssh.Far("local"), ["sh", "-c", "echo no such luck >&2; exit 7"])
    assert (caught.value.code, caught.value.said) == (7, "no such luck")
    with pytest.raises(FarError, match="isn't there") as caught:
        ssh.run(ssh.Far("local"), ["no-such-program"])
    with pytest.raises(FarError, match=r"more than 0\.2 s"):
        ssh.run(ssh.Far("local"), ["sleep", "60"], seconds=0.2)
    assert "fingerprint" in ssh.failure(far, "x", 255, b"Host key verification failed.\r\n").remedy
    assert "without a word" in ssh.failure(far, "x", 255, b"").message
    assert ssh.failure(far, "x", 255, b"").code is None
    assert "sudo without a password" in ssh.failure(far, "x", 1, b"sudo: a password is required\n").remedy


def counts(**more: int | float) -> FarCounts:
    base = {"hz": 100, "at": 10.0, "capture_ticks": 5, "ssh_ticks": 7, "written": 1000}
    ports = dict.fromkeys(("rx_packets", "tx_packets", "rx_bytes", "tx_bytes", "rx_dropped", "rx_missed"), 3)
    return FarCounts(**{**base, **ports, **more})  # type: ignore[arg-type]


def test_the_far_ends_cost_is_what_was_counted_between() -> None:
    first = parse_counts("workbench-cost 100 10.00 5 7 1000 3 3 3 3 3 3 -1")
    assert first == counts()
    cost = cost_between(counts(), counts(at=14.0, capture_ticks=105, ssh_ticks=57, written=501_000, rx_packets=10, rx_missed=4))
    assert (cost.capture_cpu, cost.ssh_cpu, cost.bandwidth, cost.packets, cost.dropped) == (0.25, 0.125, 1e6, 7, 1)
    gone = cost_between(counts(ssh_ticks=-1), counts(at=14.0, written=0, ssh_ticks=-1, rx_packets=-1))
    assert (gone.ssh_cpu, gone.bandwidth, gone.packets) == (None, None, None)
    assert cost_between(counts(), counts()).bandwidth is None


@pytest.mark.parametrize(
    "line", ["", "workbench-cost", "workbench-cost 100 1.2.3 5 7 1 3 3 3 3 3 3 1", "workbench-cost 1 1 1 1 1"]
)
def test_other_lines_of_the_far_end_are_no_counts(line: str) -> None:
    assert parse_counts(line) is None


def test_numbers_that_no_ledger_can_hold_are_not_believed() -> None:
    """The DPU may be somebody else's by now: 2**63 packets would end the run when they are written."""
    told = "workbench-cost 100 10.00 5 7 1000 3 3 3 3 3 3 -1"
    assert parse_counts(told) is not None
    assert parse_counts(told.replace(" 3 3 3", f" 3 {2**64} 3", 1)) is None
    known = Drops(kernel=3)
    assert hear_tcpdump(f"{2**64} packets dropped by kernel", known) == known
    said = "Packets received/dropped on interface 'p0': 7/{0} (pcap:{0}/dumpcap:0/flushed:0/ps_ifdrop:0)"
    assert hear_dumpcap(said.format(9), known).kernel == 9
    assert hear_dumpcap(said.format(2**64), known) == known


def test_what_a_mirror_on_this_machine_is_captured_with_is_a_source() -> None:
    """`mirror setup local` says: workbench attach local/wbm..."""
    from workbench.workflows.attach import is_far

    for far in (ssh.Far("local"), ssh.Far("netns", "dpu1"), ssh.Far("ssh", "dpu")):
        assert is_far(f"{far}/wbm0c8f3a91d2")
        assert ssh.parse_capture(f"{far}/wbm0c8f3a91d2") == (far, "wbm0c8f3a91d2")
    assert not is_far("local")


def far_words(tmp_path: Path, connection: str, bpf: str | None = None) -> list[str]:
    """What SCRIPT runs in place of dumpcap, with `connection` as sshd says it."""
    fake = tmp_path / "dumpcap"
    fake.write_text('#!/bin/sh\nfor w in "$@"; do echo "$w"; done\n')
    fake.chmod(0o755)
    (tmp_path / "sudo").write_text('#!/bin/sh\nshift; exec "$@"\n')
    (tmp_path / "sudo").chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SSH_CONNECTION": connection}
    line = shell_line(CaptureWords("lo", bpf, 96, promiscuous=False), "dumpcap")
    with subprocess.Popen(
        ["sh", "-c", line], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as run:  # its input stays open until it has ended: the end of that would end it
        assert run.stdout
        return run.stdout.read().splitlines()


@pytest.mark.parametrize(
    ("connection", "client"),
    [("198.51.100.7 40000 198.51.100.1 22", "198.51.100.7"), ("fe80::7%oob0 40000 fe80::1%oob0 22", "fe80::7")],
    ids=["ipv4", "ipv6-zone"],
)
def test_our_connection_is_left_out_whatever_else_is_asked(tmp_path: Path, connection: str, client: str) -> None:
    words = far_words(tmp_path, connection, "port 80 or '$(x)'")
    chosen = words[words.index("-f") + 1]
    assert chosen.startswith("(port 80 or '$(x)') and not (host ")
    assert f"host {client} and host" in chosen
    assert chosen.count("tcp port 40000 and tcp port 22") == 2
    assert "%" not in chosen
    assert words[words.index("-s") + 1] == "96"
    assert "-p" in words


#: What sudo does with signals: those of its own process group don't reach the command (sudo(8), "Signal handling").
SUDO = """#!{python}
import os, signal, subprocess, sys
assert sys.argv[1] == "-n"
caught = {{signal.SIGINT, signal.SIGTERM, signal.SIGCHLD}}
signal.pthread_sigmask(signal.SIG_BLOCK, caught)
child = subprocess.Popen(sys.argv[2:], preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, caught))
while True:
    heard = signal.sigwaitinfo(caught)
    if heard.si_signo == signal.SIGCHLD:
        if child.poll() is not None:
            sys.exit(child.returncode)
        continue
    try:
        ours = os.getpgid(heard.si_pid) == os.getpgrp()
    except ProcessLookupError:
        ours = False
    if not ours:
        child.send_signal(heard.si_signo)
"""


def test_through_sudo_a_capture_ends_with_its_input_too(tmp_path: Path) -> None:
    programs = {
        "id": "#!/bin/sh\necho 1000\n",
        "sudo": SUDO.format(python=sys.executable),
        "dumpcap": "#!/bin/sh\ntrap 'echo ended; exit' INT\necho begun\nwhile :; do sleep 0.05; done\n",
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    line = shell_line(CaptureWords("lo"), "dumpcap")
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with subprocess.Popen(
        ["sh", "-c", line], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout
        assert run.stdout.readline() == "begun\n"
        out, said = run.communicate(timeout=60)  # closes its input
    assert (out, run.returncode) == ("ended\n", 0)
    assert "workbench-port after" in said


def test_without_ssh_nothing_is_left_out(tmp_path: Path) -> None:
    words = far_words(tmp_path, "")
    assert words[words.index("-f") + 1] == ""


def told(*lines: str, watched: Watched = ITSELF) -> tuple[int | None, int | None]:
    """What a capture makes of these lines of the far end."""
    capture = RemoteCapture.__new__(RemoteCapture)
    capture.watched, capture._ports = watched, {"before": {}, "after": {}}
    for line in lines:
        capture._hear_far(line, Drops())
    return capture.port_counts


def test_what_should_arrive_is_what_the_ports_have_counted() -> None:
    lines = ["workbench-port before 5 6 p0", "workbench-port before 1 2 pf0vf0", "workbench-port before 90 90 wbm0123456789"]
    assert told("workbench-port before 5 6 p0", "workbench-port after 8 7 p0") == (11, 15)
    assert told(*lines, watched=Watched("br0", ("p0",)))[0] == 11  # both ways of the ports that are copied
    assert told(*lines, watched=Watched("br0", ("p0", "pf0vf0")))[0] == 14
    assert told(*lines, watched=Watched("br0", (), ("wbm0123456789",)))[0] == 6  # each packet enters once
    assert told(*lines, watched=Watched("br0", ("p0", "p1")))[0] is None
    assert told("workbench-port after x 7 p0", f"workbench-port after 1 1 {'p' * 65}", "workbench-port then 1 1 p0") == (
        None,
        None,
    )


def test_coverage_is_a_share_and_says_what_bends_it() -> None:
    assert "75 packets are here, 75.0% of 100" in coverage_words(75, 100, ITSELF)
    assert "our own connection" in coverage_words(75, 100, ITSELF)
    assert "counts twice" in coverage_words(1, 3, Watched("br0", ("p0", "p1")))
    assert "all ports of br0" in coverage_words(1, 3, Watched("br0"))
