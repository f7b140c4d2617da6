"""The app in a real terminal at 80x24: open, sort, zoom, see details, quit, open again."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests import needs

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "sample_captures" / "esxi-lateral.pcapng"

pytestmark = [
    pytest.mark.tmux,
    pytest.mark.slow,
    needs.program("tmux"),
]


def rows(text):
    """The rows of the flows table: between its heading and the details."""
    lines = text.split("\n")
    top = next(n for n, line in enumerate(lines) if "source ip" in line)
    end = next(n for n, line in enumerate(lines) if " details ──" in line)
    return lines[top + 1 : end]


def amount(cell):
    """`1.2 MB` as a number."""
    number, unit = cell.split()
    return float(number) * {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]


def flows_in(text):
    """How many flows the table has, by its title; -1 while it has none to say."""
    found = re.search(r"(\d+)(?: of \d+)? flows, row", text)
    return int(found[1]) if found else -1


def largest_first(text):
    """Whether the last column, bytes, falls from row to row, and not because nothing is there."""
    if "···" in text:
        return False
    sizes = [amount(row[-8:]) for row in rows(text) if row.strip()]
    return len(sizes) > 5 and sizes == sorted(sizes, reverse=True) and sizes[0] > sizes[-1]


def test_open_sort_zoom_details_quit_and_open_again(start, tmp_path):
    case = tmp_path / "case"
    terminal = start("open", str(SAMPLE), "--case", str(case))
    text = terminal.wait_for("ready", "drops 0", "packets", "▶", "flows, row 1, by start ▲")
    assert re.search(r"▶ \d\d:\d\d:\d\d\.\d{3} ", text)
    assert "esxi-lateral.pcapng" in text
    assert all(len(line) <= 80 for line in text.split("\n"))

    terminal.press("s")
    terminal.wait_for("Sort by", "src_bytes")
    terminal.press("s", "r", "c", "_", "b", "y", "t", "e", "s")
    terminal.wait(lambda text: "src_bytes" in text and "dst_bytes" not in text)
    terminal.press("Enter")
    terminal.wait(lambda text: "by bytes> ▼" in text and "ready" in text and largest_first(text))

    terminal.press("Enter")
    text = terminal.wait_for("Who", "from", "Esc goes back")
    terminal.press("G")
    terminal.wait_for("Where its packets are", "esxi-lateral.pcapng", "community")
    terminal.press("Escape")
    text = terminal.wait(lambda text: "Where its packets are" not in text and "by bytes>" in text)
    before = flows_in(text)

    terminal.press("t")
    terminal.wait_for("Brush", "Zoom in")
    terminal.press("0")
    terminal.wait(lambda text: text.split("\n")[4].startswith("▲"))
    terminal.press("v")
    terminal.press("l", "l", "l", "l", "l", "l")
    terminal.wait_for("┣━━━━━▲")
    terminal.press("Enter")
    text = terminal.wait_for("zoom 2")
    terminal.wait(lambda text: 0 < flows_in(text) < before)
    terminal.press("T")
    terminal.wait(lambda text: flows_in(text) == before and "zoom 2" not in text and "ready" in text)
    terminal.press("Escape")
    terminal.wait_for("Details", "Keep")

    terminal.press("L")
    terminal.wait_for("Ledger: what the answers rest on", "2,678 packets")
    terminal.press("Escape")  # and a key at once would be Alt and that key
    terminal.wait(lambda text: "what the answers rest on" not in text)
    terminal.press("?")
    terminal.wait_for("Keys", "table.up")
    terminal.press("Escape")
    terminal.wait(lambda text: "table.up" not in text)
    terminal.press("q")
    terminal.wait_for("exit code 0")

    exported = {"COLUMNS": "80", "LINES": "24"}  # as some shells and CI do; the terminal knows better
    again = start("open", str(SAMPLE), "--case", str(case), size=(160, 50), **exported)
    text = again.wait_for("ready", f"{before} flows, row 1", "Where its packets are")
    assert all(len(line) <= 160 for line in text.split("\n"))
    again.resize(80, 24)
    again.wait(lambda text: "Where its packets are" not in text and " details ──" in text)
    again.press("q")
    again.wait_for("exit code 0")

    recent = start()
    recent.wait_for("Recent cases", "esxi-lateral.pcapng")
    recent.press("Enter")
    recent.wait_for(f"{before} flows, row 1", "ready")
    recent.press("q")
    recent.wait_for("exit code 0")


@needs.program("tshark")
def test_filter_packets_and_carve(start, tmp_path):
    carved = tmp_path / "carved.pcapng"
    terminal = start("open", str(SAMPLE), "--case", str(tmp_path / "case"))
    before = 193  # all of the sample's: the table follows "ready" by a blink
    terminal.wait_for("ready", f"{before} flows, row 1, by start ▲")

    terminal.press("/", *"ip.adr")
    terminal.press("Space", *"==", "Space", *"10.20.1.10")
    text = terminal.wait_for("✗ wrong", "ip.adr", "did you mean ip.addr")
    assert "^^^^^^" in text.split("\n")[1]
    terminal.press("Enter")
    terminal.wait_for("✗ wrong", f"{before} flows, row")

    terminal.press("C-u", *"tcp.dstp")
    terminal.wait_for("▸ tcp.dstport", "… incomplete")
    terminal.press("Tab")
    terminal.wait(lambda text: re.search(r"✓ valid +tcp\.dstport", text) is not None)
    terminal.press("Space", *"==", "Space", *"443", "Space", *"&&", "Space", *"conn_state", "Space", *"==", "Space", "S")
    terminal.wait_for("▸ SF", "seen in conn_state")
    terminal.press("Tab", "Enter")
    text = terminal.wait_for("● applied", f" of {before} flows, row 1", "filtered", "ready")
    assert 0 < flows_in(text) < before

    terminal.press("p")
    text = terminal.wait_for("packets, packet 1 of", "[SYN]", "Transmission Control Protocol", "Source Port")
    packets = int(re.search(r"(\d+) packets, packet 1", text)[1])
    terminal.press("j", "j", "j")
    terminal.wait_for("packet 4 of", "Transport Layer Security", "·· ·· ··")
    terminal.press("Tab", "g", "j", "l", "l")
    terminal.wait(lambda text: "[" in text and "▾ Ethernet" in text)

    terminal.press("e")
    terminal.wait_for("Packets to a capture file", "this flow")
    terminal.press(*str(carved), "Enter")  # in place of the name that is proposed
    terminal.wait_for(f"✓ {packets} packets of 1 flow", "carved.pcapng")
    terminal.press("Enter")
    terminal.wait(lambda text: "Packets to a capture file" not in text)
    terminal.press("q")
    terminal.wait_for("exit code 0")
    done = subprocess.run(
        ["tshark", "-n", "-r", str(carved), "-T", "fields", "-e", "tcp.port"], capture_output=True, text=True, check=True
    )
    ports = done.stdout.split()
    assert len(ports) == packets
    assert all("443" in pair.split(",") for pair in ports)


def test_a_capture_is_opened_from_the_first_screen(start):
    """Its decoding process is the first that is started, and the app holds stderr by then."""
    terminal = start()
    terminal.wait_for("Open a capture", "No recent cases yet")
    terminal.write(str(SAMPLE))
    terminal.press("Enter")
    terminal.wait_for("ready", "193 flows, row 1, by start ▲", "esxi-lateral.pcapng")
    terminal.press("q")
    terminal.wait_for("exit code 0")


def test_what_cannot_be_opened_says_why_on_stderr(start, tmp_path):
    terminal = start("open", str(tmp_path / "nothing.pcap"))
    terminal.wait_for("No such path", "exit code 2")
