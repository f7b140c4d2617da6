"""``python -m tests.lab.identity [--seeds 20] [--document]`` (root): scenarios played, and how rightly their flows were named.

Prints a line per scenario and every end that was named wrongly; --document writes the table into docs/identity.md.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.lab.identity import scenario, table
from tests.lab.identity.table import Shown

SIZES = ((80, 24), (120, 40), (160, 40), (200, 40))
"""workloads and addresses of a scenario"""


def one(seed: int) -> Shown:
    """Play a seed, score it, say so."""
    workloads, addresses = random.Random(seed).choice(SIZES)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="workbench-identity-") as folder:
        shown = scenario.play(seed, Path(folder), workloads=workloads, addresses=addresses).shown()
    lines = [f"seed {seed} ({time.monotonic() - began:.0f} s): {said(shown)}"]
    for origin, score in shown.scores.items():
        lines += [f"  {origin}: {row}" for row in score.wrong if origin != "dns"]  # a name outlives its holder on purpose
    print("\n".join(lines), flush=True)
    return shown


def said(shown: Shown) -> str:
    """A scenario in a line."""
    shares = ", ".join(f"{origin} {score.share:.2%}" for origin, score in shown.scores.items())
    return f"{shown.workloads} workloads, {shown.flows} flows: {shares}; late: {shown.late}"


def main() -> int:
    """The command line; 1 where any end was named wrongly."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, default=20, help="how many, from --first")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="scenarios at the same time; they wait for most of theirs")
    parser.add_argument("--document", action="store_true", help="write the table into docs/identity.md")
    options = parser.parse_args()
    total = Shown()
    with ThreadPoolExecutor(options.jobs) as jobs:
        for shown in jobs.map(one, range(options.first, options.first + options.seeds)):
            total.add(shown)
    print(table.text(total))
    if options.document:
        table.document(total)
    wrong = {origin: score.counts["wrong"] for origin, score in total.scores.items() if origin != "dns"}
    return 1 if any(wrong.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
