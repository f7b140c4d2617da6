"""Programs that write a capture to a pipe, played by the shell; and what the real ones say of their losses."""

from __future__ import annotations

import os
import signal

import pytest

from workbench.errors import BpfError, CapturePermissionError, ExternalError, UsageError
from workbench.sources.capture_process import CaptureProcess, Drops
from workbench.sources.capture_words import why_ended
from workbench.sources.dumpcap import hear_dumpcap
from workbench.sources.interfaces import check_interface, counters
from workbench.sources.tcpdump import hear_tcpdump


def _shell(script: str, asks: signal.Signals | None = None) -> CaptureProcess:
    return CaptureProcess("program", ["/bin/sh", "-c", script], hear_tcpdump, asks)


def test_its_output_is_read_and_its_end_told() -> None:
    process = _shell("printf 'some bytes of a capture'; echo 'last \033[31mwords' >&2; exit 3")
    into = bytearray(64)
    reader = process.reader()
    got = reader.readinto(memoryview(into))
    assert into[:got] == b"some bytes of a "  # what its kind was told by, first
    assert process.stop(grace=5.0) == 3
    assert "exit code 3" in process.ended_how()
    assert "last" in process.last_words()
    assert "\033" not in process.last_words()


def test_one_that_does_not_listen_is_ended_by_force() -> None:
    process = _shell("trap '' INT; echo ready; exec sleep 1000")
    assert os.read(process.fd, 6) == b"ready\n"
    assert process.stop() == -signal.SIGTERM
    assert "SIGTERM" in process.ended_how()
    assert process.stop() == -signal.SIGTERM


def test_it_is_not_in_our_group_so_that_ctrl_c_reaches_us_alone() -> None:
    process = _shell("exec sleep 1000")
    assert os.getpgid(process.pid) != os.getpgid(0)
    process.stop()


def test_a_flood_of_words_blocks_nobody_and_is_not_kept() -> None:
    process = _shell(
        "i=0; while [ $i -lt 3000 ]; do echo 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' >&2; i=$((i+1)); done; echo end"
    )
    assert os.read(process.fd, 4) == b"end\n"
    process.stop()
    assert len(process.last_words()) < 10_000


def test_what_cannot_be_started_says_so() -> None:
    with pytest.raises(ExternalError, match="cannot be started"):
        CaptureProcess("program", ["/nowhere/program"], hear_tcpdump)


def test_dumpcap_tells_its_losses_in_the_end() -> None:
    line = "Packets received/dropped on interface 'eth0': 1000/7 (pcap:4/dumpcap:2/flushed:1/ps_ifdrop:3) (99.3%)"
    assert hear_dumpcap(line, Drops()) == Drops(1000, 4, 3, 3)
    assert hear_dumpcap("Packets captured: 10", Drops(5)) == Drops(5)
    assert Drops().lost is None
    assert Drops(1000, 4, 3, 3).lost == 10


def test_tcpdump_tells_them_on_one_line_or_on_several() -> None:
    line = "tcpdump: 10 packets captured, 12 packets received by filter, 2 packets dropped by kernel"
    assert hear_tcpdump(line, Drops()) == Drops(12, 2)
    known = Drops()
    for said in (
        "1 packet captured",
        "3 packets received by filter",
        "2 packets dropped by kernel",
        "5 packets dropped by interface",
    ):
        known = hear_tcpdump(said, known)
    assert known == Drops(3, 2, 5)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("You don't have permission to capture on that device", CapturePermissionError),
        ("tcpdump: eth0: You don't have permission (socket: Operation not permitted)", CapturePermissionError),
        ("Invalid capture filter", BpfError),
        ("That device is not up", ExternalError),
    ],
)
def test_why_it_ended_is_told_by_its_words(said: str, error: type[Exception]) -> None:
    process = CaptureProcess("program", ["/bin/sh", "-c", 'echo "$1" >&2; exit 1', "-", said], hear_tcpdump)
    process.stop(grace=10)
    found = why_ended(process)
    assert type(found) is error
    if error is CapturePermissionError:
        assert "setcap" in found.remedy


@pytest.mark.parametrize("name", ["-w", "a b", "a/b", "", "eth0; rm", "x" * 16, "..", "a\nb", "\033[31m"])
def test_what_is_no_name_of_an_interface_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        check_interface(name)


def test_an_interface_that_is_not_there_is_told() -> None:
    with pytest.raises(ExternalError, match="there is no interface"):
        check_interface("nosuch0")
    assert counters("nosuch0") is None


def test_loopback_is_there_and_counts() -> None:
    assert check_interface("lo") == "lo"
    found = counters("lo")
    assert found is not None
    assert found.packets >= 0


def test_a_program_that_does_not_listen_yet_is_not_asked() -> None:
    """The signal that asks for losses would end it."""
    process = _shell("printf ready; exec sleep 60", signal.SIGUSR1)
    assert os.read(process.fd, 5) == b"ready"
    process.ask_drops()
    process.ask_to_stop()
    assert process.stop() == -signal.SIGINT


def test_what_lies_in_the_kernel_is_heard_before_the_end() -> None:
    """A program that hears of packets late is asked to stop that much later, without anybody waiting for it."""
    process = CaptureProcess("sh", ["sh", "-c", "printf ready; exec sleep 60"], lambda _line, drops: drops, behind=0.4)
    assert os.read(process.fd, 5) == b"ready"
    process.ask_to_stop()
    assert process.exit_code is None
    assert process.stop() == -signal.SIGINT
