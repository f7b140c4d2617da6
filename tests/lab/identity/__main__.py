"""``python -m tests.lab.identity [--seeds 20] [--document]`` (root): scenarios played, and how rightly their flows were named.

Prints a line per scenario and every end that was named wrongly; --document writes the table into docs/identity.md.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.lab.identity import scenario, table
from tests.lab.identity.table import Shown

SIZES = ((80, 24), (120, 40), (160, 40), (200, 40))
"""workloads and addresses of a scenario"""


def one(seed: int, folder: Path) -> Shown:
    """Play a seed, and score it."""
    workloads, addresses = random.Random(seed).choice(SIZES)
    made = scenario.play(seed, folder, workloads=workloads, addresses=addresses)
    return made.shown()


def said(shown: Shown) -> str:
    """A scenario in a line."""
    shares = ", ".join(f"{origin} {score.share:.2%}" for origin, score in shown.scores.items())
    return f"{shown.workloads} workloads, {shown.flows} flows: {shares}; late: {shown.late}"


def main() -> int:
    """The command line; 1 where any end was named wrongly."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, default=20, help="how many, from --first")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--document", action="store_true", help="write the table into docs/identity.md")
    options = parser.parse_args()
    total = Shown()
    for seed in range(options.first, options.first + options.seeds):
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="workbench-identity-") as folder:
            shown = one(seed, Path(folder))
        print(f"seed {seed} ({time.monotonic() - began:.0f} s): {said(shown)}", flush=True)
        for origin, score in shown.scores.items():
            for row in score.wrong:
                print(f"  {origin}: {row}")
        total.add(shown)
    print(table.text(total))
    if options.document:
        table.document(total)
    wrong = {origin: score.counts["wrong"] for origin, score in total.scores.items() if origin != "dns"}
    return 1 if any(wrong.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
