"""Compiling policies of 1,000 and 5,000 rules for Open vSwitch and nftables, and proving what was written.

python -m benchmarks.compiling --rules 1000 --kinds prefixes
"""

from __future__ import annotations

import argparse
import time
from types import ModuleType
from typing import Final

from benchmarks import policies
from benchmarks.report import Report, Row
from workbench.policy.loader import load
from workbench.policy.resolved import resolve
from workbench.push import nft, ovs

PART: Final = "compile"
KINDS: Final = ("prefixes", "groups")
_TARGETS: Final[dict[str, ModuleType]] = {"ovs": ovs, "nft": nft}


def measure(report: Report, scale: float, sizes: tuple[int, ...] = (1000, 5000), kinds: tuple[str, ...] = KINDS) -> None:
    """All rows of this part: seconds to compile and to prove, and what it becomes."""
    for kind in kinds:
        for size in sizes:
            rules = max(int(size * scale), 50)
            meant = resolve(load([("made.yaml", policies.text(kind, rules, 1))]).policy)
            for name, target in _TARGETS.items():
                began = time.perf_counter()
                made = target.compile_rules(meant)
                done = time.perf_counter()
                proof = target.prove(made, meant)
                proven = time.perf_counter() - done
                if not proof.equal:
                    raise AssertionError(f"{kind}, {rules} rules, {name}: {proof.problems or proof.examples[0].text()}")
                what = f"{rules:,} rules ({kind}), {name}"
                lines = f"{made.report.lines:,} {'flows' if name == 'ovs' else 'rules'}, {made.report.size / 1e6:.1f} MB"
                report.add(Row(PART, f"{what}: compile", done - began, "s", note=lines))
                report.add(Row(PART, f"{what}: read back and prove", proven, "s"))


def main() -> None:
    """This part by itself."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", type=int, nargs="*", default=[1000, 5000])
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(policies.KINDS))
    asked = parser.parse_args()
    measure(Report(), 1.0, tuple(asked.rules), tuple(asked.kinds))  # which shows them at once


if __name__ == "__main__":
    main()
