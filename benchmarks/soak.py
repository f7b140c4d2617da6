"""Index the same capture again and again in one process and watch memory and descriptors: ``make soak``.

Prints a line a round and, at the end, the slope of both over the rounds after the first quarter (warm-up).
Exit 1 where memory grows by more than a MiB a round or a descriptor is lost a round.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.generate import main as generate
from workbench.workflows.ingest import index_sources
from workbench.workflows.requests import IndexRequest


def resident() -> int:
    """Anonymous and shared memory of this process, bytes (proc(5): RssAnon, RssShmem)."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return sum(int(fields[name].split()[0]) << 10 for name in ("RssAnon", "RssShmem"))


def descriptors() -> int:
    """Open descriptors of this process."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def slope(values: list[int]) -> float:
    """Least-squares growth a round."""
    return float(np.polyfit(np.arange(len(values)), values, 1)[0]) if len(values) > 1 else 0.0


def soak(minutes: float, capture: Path) -> int:
    """Index until the time is up; 0 where neither memory nor descriptors grow."""
    memory: list[int] = []
    files: list[int] = []
    end = time.monotonic() + minutes * 60
    while time.monotonic() < end or len(memory) < 8:
        with tempfile.TemporaryDirectory() as folder:
            result = index_sources(IndexRequest((str(capture),), Path(folder) / "case", hash=False))
        memory.append(resident())
        files.append(descriptors())
        print(f"round {len(memory)}: {result.seconds:.2f} s, {memory[-1] >> 20} MiB, {files[-1]} descriptors", flush=True)
    settled = len(memory) // 4
    growth, lost = slope(memory[settled:]), slope(files[settled:])
    print(f"growth a round: {growth / (1 << 20):.3f} MiB, {lost:.3f} descriptors")
    return int(growth > 1 << 20 or lost >= 0.5)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--capture", type=Path, help="default: a generated one of 50 MB")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        capture = words.capture
        if capture is None:
            capture = Path(folder) / "mixed.pcap"
            generate([str(capture), "--size", "50MB"])
        return soak(words.minutes, capture)


if __name__ == "__main__":
    sys.exit(main())
