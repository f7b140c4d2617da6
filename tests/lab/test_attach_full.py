"""A disk that fills up while packets arrive: attach says so, and what was shown is there afterwards."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from tests import needs
from tests.capture_files import pcap, udp_frame
from workbench.errors import WorkbenchError
from workbench.store.reader import CaseReader

pytestmark = [pytest.mark.lab, needs.root("for a small disk"), needs.program("mount")]

_SMALL, _LARGE = "size=9m", "size=200m"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", _SMALL, "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _speak(out: IO[bytes], seen: threading.Event) -> None:
    """Flows that end a minute later, by their own clock; once some were seen, more until nobody reads any more."""
    out.write(pcap([]))
    n = 0
    with contextlib.suppress(BrokenPipeError):
        while True:
            frames = [
                (1_700_000_000 + (n + i) / 20, udp_frame((n + i) % 65_536, 9, 1000 + (n + i) % 60_000, 53)) for i in range(2000)
            ]
            out.write(pcap(frames)[24:])
            out.flush()
            n += len(frames)
            seen.wait()


def _flows(case: Path) -> int:
    with contextlib.suppress(WorkbenchError), CaseReader(case) as reader:
        return int(reader.query("SELECT count(*) AS n FROM flows WHERE end_reason IS NOT NULL")["n"][0].as_py())
    return 0


def test_what_was_shown_before_the_disk_was_full_is_there_when_there_is_room(disk: Path) -> None:
    case = disk / "case"
    words = [sys.executable, "-m", "workbench", "attach", "-", "--case", str(case), "--headless", "--status", "off"]
    attached = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert attached.stdin is not None
    shown, seen = threading.Event(), 0
    threading.Thread(target=_speak, args=(attached.stdin, shown), daemon=True).start()
    while attached.poll() is None:
        seen = max(seen, _flows(case))
        if seen:
            shown.set()
        with contextlib.suppress(subprocess.TimeoutExpired):
            attached.wait(0.3)
    _, told = attached.communicate()
    assert attached.returncode == 4, told.decode()
    assert b"Disk full" in told
    assert b"Free some space" in told
    assert seen
    subprocess.run(["mount", "-o", f"remount,{_LARGE}", str(disk)], check=True)
    assert _flows(case) >= seen
    with CaseReader(case) as reader:
        ledger = {row["reason"] for row in reader.query("FROM ledger").to_pylist()}
        (source,) = reader.query("SELECT state FROM sources").to_pylist()
    assert source["state"] == "partial"
    assert "interrupted" in ledger
