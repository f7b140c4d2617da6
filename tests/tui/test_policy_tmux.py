"""A responder's whole path in a real terminal: from a finding a draft, edited, its impact watched, proven, saved as a version."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests import needs

SAMPLE = Path(__file__).parents[2] / "sample_captures" / "esxi-lateral.pcapng"

pytestmark = [pytest.mark.tmux, pytest.mark.slow, needs.program("tmux")]


def denied(text):
    """Flows that the impact pane says are newly denied; -1 while it says nothing."""
    found = re.search(r"newly denied: ([\d,]+) flows", " ".join(text.split()))
    return int(found[1].replace(",", "")) if found else -1


def test_from_a_finding_to_a_version(start, tmp_path):
    case = tmp_path / "case"
    terminal = start("open", str(SAMPLE), "--case", str(case), size=(160, 50))
    terminal.wait_for("ready", "193 flows, row 1, by start ▲")
    terminal.press("5", "D")
    terminal.wait_for("Hypervisor management reached from elsewhere", "ready")
    terminal.press("g", "j")
    terminal.wait_for("38 flows", "10.20.1.77")
    terminal.press("d")
    text = terminal.wait(lambda text: "policy contain-10.20.1.77" in text and denied(text) > 0)
    assert "would have stopped 38 of 38 flows of the finding" in " ".join(text.split())
    before = denied(text)

    terminal.press("F8")
    terminal.wait_for("38 stopped", "0 got through")
    terminal.press("F3")
    terminal.wait_for("proof against no policy at all", "nothing else changes")

    terminal.press("C-s")
    terminal.wait_for("as its next version: why?")
    terminal.write("contain the scanner")
    terminal.press("Enter")
    terminal.wait_for("policy contain-10.20.1.77: version 1")
    terminal.wait_for("every packet is judged as by version 1")

    terminal.press("#", "4", "2")  # a digit is text here
    terminal.wait_for("#42", "changed since version 1")
    terminal.wait_for("every packet is judged as by version 1")  # a comment changes nothing, proven
    terminal.press("C-End")
    terminal.wait_for("defaults: {east_west: allow}")
    terminal.write("internal: 10.0.0.0/9x")
    text = terminal.wait_for("internal: 10.0.0.0/9x", "is no address or prefix")
    assert "✗" in text
    terminal.press("BSpace", "BSpace")
    terminal.wait(lambda text: "10.0.0.0/ " in text)
    terminal.write("8")
    terminal.press("F2")
    terminal.wait(lambda text: "against version 1" in text and "is no address" not in text)
    terminal.press("F3", "C-s")
    terminal.wait_for("as its next version: why?")
    terminal.write("only inside")
    terminal.press("Enter")
    terminal.wait_for("policy contain-10.20.1.77: version 2")
    terminal.press("Escape")
    terminal.wait(lambda text: "Out of the text" not in text)
    terminal.press("F6")
    terminal.wait_for("contain the scanner", "only inside")
    terminal.press("q")
    terminal.wait_for("exit code 0")

    folder = case / "policies" / "contain-10.20.1.77"
    assert sorted(path.name for path in folder.iterdir()) == ["0001.yaml", "0002.yaml"]
    lines = [json.loads(line) for line in (case / "audit.jsonl").read_text().splitlines()]
    assert [one["detail"]["why"] for one in lines if one["action"] == "policy_saved"] == ["contain the scanner", "only inside"]
    assert before > 0
