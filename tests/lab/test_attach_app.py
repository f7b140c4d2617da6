"""The app on a real interface in a real terminal: what passes is on the screen, what dies is said, leaving settles."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import needs
from tests.lab.test_attach import Wire
from tests.tui.terminal import Terminal
from workbench.store.reader import CaseReader

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.lab,
    pytest.mark.tmux,
    needs.root("for network namespaces"),
    *(needs.program(name) for name in ("ip", "ethtool", "ping", "dumpcap", "tmux")),
]


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire() as found:
        yield found


@pytest.fixture
def terminal(wire: Wire, tmp_path: Path) -> Iterator[Terminal]:
    words = wire.words(0, sys.executable, "-m", "workbench", "attach", "left", "--case", str(tmp_path / "case"))
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "WORKBENCH_CONFIG")}
    found = Terminal(tmp_path, words, {**kept, "XDG_STATE_HOME": str(tmp_path / "state"), "PYTHONPATH": str(ROOT)}, (100, 30))
    yield found
    found.close()


def _dumpcap(case: Path) -> list[int]:
    """Capturing programs of the app that writes this case."""
    app = int((case / "ingest.lock").read_text())
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, _, rest = stat.read_text().partition(" (")
            name, _, rest = rest.rpartition(") ")
        except OSError:
            continue
        parents[int(pid)] = (int(rest.split()[1]), name)
    return [pid for pid, (parent, name) in parents.items() if parent == app and name == "dumpcap"]


def _captures_again(case: Path, dead: int) -> None:
    """Until the successor of what died hears packets: what passes before is the gap's."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for pid in _dumpcap(case):
            if pid != dead and any(line.split()[5:6] == ["1"] for line in _packet_sockets(pid)):  # the column Running
                return
        time.sleep(0.05)
    raise AssertionError("nothing captures again")


def _packet_sockets(pid: int) -> list[str]:
    """Lines of the kernel's list of packet sockets in the network namespace of a process (packet(7))."""
    try:
        return Path(f"/proc/{pid}/net/packet").read_text().splitlines()[1:]
    except OSError:
        return []


def test_a_ping_is_on_the_screen_and_what_dies_is_said(wire: Wire, terminal: Terminal, tmp_path: Path) -> None:
    case = tmp_path / "case"
    terminal.wait_for("live │ left")
    wire.on(0, "ping", "-c", "3", "-i", "0.2", "10.99.0.2")
    terminal.wait_for("10.99.0.1", "10.99.0.2", "icmp", "all decoded")
    terminal.press("/", *"ts", "Space", *">=", "Space", *"-15m", "Space", "&&", "Space", *"icmp", "Enter")
    terminal.wait_for("● applied", "10.99.0.1", "1 of")
    terminal.press("1")
    terminal.wait_for("packets/s", "peak", "talkers")
    (capturing,) = _dumpcap(case)
    os.kill(capturing, signal.SIGKILL)
    terminal.wait_for("1 gap in the capture")
    _captures_again(case, capturing)
    wire.on(0, "ping", "-c", "2", "-i", "0.2", "10.99.0.2")
    terminal.press("q")
    terminal.wait_for("Attached to left", "detach and quit")
    terminal.press("y")
    text = terminal.wait_for("Detached from left", f"Case: {case}", "exit code 0")
    assert "packets" in text
    with CaseReader(case) as reader:
        rows = reader.query(
            "SELECT sum(src_pkts + dst_pkts)::BIGINT AS n, bool_and(end_reason IS NOT NULL) AS ended FROM flows WHERE proto = 1"
        ).to_pylist()
        ledger = reader.query("SELECT reason FROM ledger")["reason"].to_pylist()
    assert rows == [{"n": 10, "ended": True}]
    assert "capture_gap" in ledger
