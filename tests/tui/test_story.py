"""What a responder does from the first look to the next day, in a real terminal: a scan found, read, followed, noted."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import needs
from tests.tui.conftest import ENVIRONMENT
from tests.tui.terminal import Terminal
from workbench.workflows.hunt import detect
from workbench.workflows.ingest import index_sources
from workbench.workflows.requests import IndexRequest

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "sample_captures" / "esxi-lateral.pcapng"
SCAN = "10.20.1.77 → udp/427"

pytestmark = [pytest.mark.tmux, pytest.mark.slow, needs.program("tmux")]


@pytest.fixture(scope="module")
def detected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample as a case in which the detections ran."""
    root = tmp_path_factory.mktemp("esxi") / "case"
    index_sources(IndexRequest((str(SAMPLE),), root))
    detect(root)
    return root


def cursor(text: str) -> str:
    """The row that is marked as the cursor's, without the scroll bar beside it; '' where none is."""
    return next((line[:76].rstrip() for line in text.split("\n") if line.startswith("▶")), "")


def to_the_scan(terminal: Terminal) -> None:
    """Down through the findings until the cursor is on it."""
    text = terminal.wait(lambda text: cursor(text) != "" and "findings, highest score first" in text)
    while SCAN not in cursor(text):
        before = cursor(text)
        terminal.press("j")
        text = terminal.wait(lambda text: cursor(text) not in ("", before))  # noqa: B023  called before the next round
    terminal.wait_for("● medium: One source tries many hosts", "30 of 34 hosts")


@needs.program("tshark")
def test_a_scan_is_found_read_followed_noted_and_there_the_next_day(start, tmp_path):
    capture, case = tmp_path / "a capture.pcapng", tmp_path / "case"
    shutil.copy(SAMPLE, capture)
    terminal = start("open", str(capture), "--case", str(case))
    terminal.wait_for("193 flows, row 1, by start ▲", " ready")
    terminal.press("5")
    terminal.wait_for("[5 Findings]", "D runs the detections")
    terminal.press("D")
    to_the_scan(terminal)

    terminal.press("Enter")
    terminal.wait_for("━ what it means ━")
    text = terminal.wait_for("state: open")
    while "What else could explain it" not in text:
        terminal.press("NPage")
        text = terminal.wait(lambda now: now != text)  # noqa: B023  called before the next round
    terminal.press("g", "Escape")
    terminal.wait_for("━ 8 findings")

    terminal.press("v")
    terminal.wait_for("[2 Flows]", "● applied", "34 of 193 flows, row 1", "10.20.30.4 ")
    terminal.press("[")
    terminal.wait(lambda text: "[5 Findings]" in text and "applied" not in text and SCAN in cursor(text))
    terminal.press("p")
    terminal.wait_for("[6 Packets]", "packet 1 of", "[SYN]", "10.20.1.77:51820", "Transmission Control Protocol")
    terminal.press("Escape")
    terminal.wait(lambda text: "[5 Findings]" in text and SCAN in cursor(text))

    terminal.press("n")
    terminal.wait_for("No notes on this yet.", f"Note on finding One source tries many hosts: {SCAN}")
    terminal.write("not our scanner, asked the owner")
    terminal.press("C-s")
    terminal.wait_for("Note kept")
    terminal.press("Enter")
    terminal.wait_for("━ what it means ━", "state: open, 1 note")
    terminal.press("Escape")
    terminal.wait_for("━ 8 findings")
    terminal.press("C")
    terminal.wait_for("Confirmed: reason")
    terminal.write("rack 7 denies it")
    terminal.press("Enter")
    terminal.wait(lambda text: " confirmed " in cursor(text))
    terminal.press("q")
    terminal.wait_for("exit code 0")

    for size in ((80, 24), (160, 50)):
        again = start("open", str(case), size=size)
        again.wait(lambda text: "[5 Findings]" in text and SCAN in cursor(text) and " confirmed " in cursor(text))
        again.press("Enter")
        again.wait_for("━ what it means ━", "state: confirmed, 1 note")
        again.press("G")
        again.wait_for("━ what it means ━", "rack 7 denies it")
        again.press("Escape")
        again.wait_for("━ 8 findings")
        again.press("n")
        again.wait_for("not our scanner, asked the owner")
        again.press("Escape")
        again.wait(lambda text: "asked the owner" not in text)
        if size == (160, 50):
            again.press("p")
            again.wait_for("[6 Packets]", "packet 1 of", "[SYN]", "Transmission Control Protocol")
            a_note_of_another_person_appears(again, case)
        again.press("q")
        again.wait_for("exit code 0")


def a_note_of_another_person_appears(terminal: Terminal, case: Path) -> None:
    """Written by another process while the app shows the case."""
    terminal.press("9", ">", ">")
    text = terminal.wait_for("[Notes]", "not our scanner")
    assert "the colleague" not in text
    words = [sys.executable, "-m", "workbench", "note", "--case", os.fspath(case), "the colleague was here"]
    subprocess.run(words, env={**ENVIRONMENT, "PYTHONPATH": str(ROOT)}, check=True, stdout=subprocess.DEVNULL)
    terminal.wait_for("[Notes]", "the colleague was here")


#: Parts of SGR sequences that colour nothing: bold, dim, italic, underlined, reverse, struck, their ends, and the
#: terminal's own colours.
COLOURLESS = {"", "0", "1", "2", "3", "4", "7", "9", "22", "23", "24", "27", "29", "39", "49"}
SIXTEEN = {str(n) for start in (30, 40, 90, 100) for n in range(start, start + 8)}
#: View: what stands in it once it has answered, and says without colour where the cursor is, or what is how bad.
ANSWERED = {
    1: ("▶ high ", "  medium "),
    2: ("start▲", "▶ 18:26:45"),
    3: ("bytes▼", "▶ 10.20."),
    4: ("▶ 10.0.0.0/8", "[████]"),
    5: ("▲  high", "●  medium", "▶"),
    6: ("[6 Packets]",),
    8: ("━ services between", "▶ 10.20."),
    9: ("[Sources]", "▶ /"),
    7: ("━ query",),
}


@pytest.mark.parametrize(
    ("env", "allowed"),
    [
        ({"TERM": "xterm-16color", "COLORTERM": ""}, COLOURLESS | SIXTEEN),
        ({"TERM": "screen", "COLORTERM": ""}, COLOURLESS | SIXTEEN),
        ({"NO_COLOR": "1"}, COLOURLESS),
    ],
    ids=["xterm", "screen", "NO_COLOR"],
)
def test_few_colours_and_none_are_legible_in_every_view(start, detected, tmp_path, env, allowed):
    case = Path(shutil.copytree(detected, tmp_path / "case"))
    terminal = start("open", str(case), **env)
    terminal.wait_for("193 flows, row 1", "? Help")
    for number, signs in ANSWERED.items():
        terminal.press(str(number))
        words = (f"[{number} ", *signs, "━")
        text = terminal.wait(lambda text: all(word in text for word in words))  # noqa: B023  called before the next round
        painted = "\n".join(terminal.screen(escapes=True))
        used = {part for codes in re.findall(r"\x1b\[([\d;]*)m", painted) for part in codes.split(";")}
        assert used <= allowed, (number, used - allowed)
        if number in (1, 2) and "NO_COLOR" in env:  # the cursor's row is turned round
            row = next(line for line in painted.split("\n") if "▶" in line)
            assert re.search(r"\x1b\[[\d;]*7[\d;]*m[^\n]*▶|▶[^\n]*\x1b\[[\d;]*7m", row), text
    terminal.press("C-q")
    terminal.wait_for("exit code 0")
