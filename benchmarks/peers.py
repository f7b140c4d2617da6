"""The tools we are measured beside: how each is called on one capture, and which are here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NFSTREAM = "import sys\nfrom nfstream import NFStreamer\nprint(sum(1 for _ in NFStreamer(source=sys.argv[1])))\n"


@dataclass(frozen=True, slots=True)
class Contender:
    """One way of reading a capture. ``command(capture, folder)`` gives its arguments; it writes only under ``folder``."""

    name: str
    command: Callable[[Sequence[Path], Path], list[str]]
    slow: bool = False
    """runs once, not in every round"""
    ours: bool = False
    single: bool = True
    """takes one capture only"""


def workbench(*words: str) -> list[str]:
    """Our own command line, from this tree, under the interpreter that runs the benchmark."""
    return [sys.executable, "-m", "workbench", *words]


def _index(hashing: str) -> Callable[[Sequence[Path], Path], list[str]]:
    def command(captures: Sequence[Path], folder: Path) -> list[str]:
        return workbench("index", *map(str, captures), "--case", str(folder / "case"), "--hash", hashing, "--format", "json")

    return command


def _nfpcapd(captures: Sequence[Path], folder: Path) -> list[str]:
    (folder / "nf").mkdir(exist_ok=True)
    return ["nfpcapd", "-r", str(captures[0]), "-w", str(folder / "nf")]


def _softflowd(captures: Sequence[Path], _folder: Path) -> list[str]:
    # exported to the discard port of this host: softflowd has no way to write a file
    return ["softflowd", "-d", "-r", str(captures[0]), "-m", "1000000", "-n", "127.0.0.1:9", "-c", "none", "-p", "none"]


def _nfstream(captures: Sequence[Path], _folder: Path) -> list[str]:
    return [os.environ.get("NFSTREAM_PYTHON", sys.executable), "-c", NFSTREAM, str(captures[0])]


OURS = (
    Contender("workbench index --hash off", _index("off"), ours=True, single=False),
    Contender("workbench index --hash sha256", _index("sha256"), ours=True, single=False),
)
PEERS = (
    Contender("nfpcapd", _nfpcapd),
    Contender("softflowd", _softflowd),
    Contender("argus", lambda captures, folder: ["argus", "-r", str(captures[0]), "-w", str(folder / "argus.out")]),
    Contender("tcpdump -w /dev/null", lambda captures, _: ["tcpdump", "-n", "-r", str(captures[0]), "-w", "/dev/null"]),
    Contender("capinfos -c", lambda captures, _: ["capinfos", "-c", str(captures[0])]),
    Contender("sha256sum", lambda captures, _: ["sha256sum", str(captures[0])]),
    Contender("openssl dgst -sha256", lambda captures, _: ["openssl", "dgst", "-sha256", str(captures[0])]),
    Contender("nfstream", _nfstream, slow=True),
    Contender(
        "tshark -z conv",
        lambda captures, _: ["tshark", "-n", "-q", "-r", str(captures[0]), "-z", "conv,tcp", "-z", "conv,udp"],
        slow=True,
    ),
)


def present(contender: Contender) -> bool:
    """True where the contender can be run here."""
    if contender.ours:
        return True
    if contender.name == "nfstream":
        python = os.environ.get("NFSTREAM_PYTHON", sys.executable)
        return subprocess.run([python, "-c", "import nfstream"], capture_output=True, check=False).returncode == 0
    return shutil.which(contender.name.split()[0]) is not None


def environment() -> dict[str, str]:
    """What every contender runs with: this tree importable from any folder."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}
