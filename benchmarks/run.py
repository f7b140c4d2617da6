"""Measure ourselves beside our peers: ``python -m benchmarks.run [--only PART,...] [--rounds N] [--large]``, or ``make bench``.

Contenders run alternately on the same file in the page cache; each row is a median, its budget and a verdict. Captures are
generated once into ``--cache`` (git-ignored). The table goes to stdout, everything behind it to ``--json``.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from benchmarks.parts import LARGE, PARTS, Bench
from benchmarks.report import Report, table


def main(argv: list[str] | None = None) -> int:
    """The command line; 0 where every run worked, 1 where one failed. A missed budget is a verdict, not a failure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help=f"parts, comma separated: {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", action="store_true", help="also the 10 GB capture")
    parser.add_argument("--no-peers", action="store_true", help="measure ourselves only")
    parser.add_argument("--scale", type=float, default=1.0, help="shrink the captures, to try the benchmark itself")
    parser.add_argument("--realtime", action="store_true", help="go before everything else on a busy machine (root)")
    parser.add_argument("--cache", type=Path, default=Path("bench"))
    parser.add_argument("--flows-case", type=Path, help="a case folder that is there, for flows20m and interactive")
    parser.add_argument("--json", type=Path, default=Path("bench/results.json"))
    options = parser.parse_args(argv)
    named = [word for word in options.only.split(",") if word]
    unknown = [word for word in named if word not in PARTS]
    if unknown:
        parser.error(f"no part {unknown[0]}; there are {', '.join(PARTS)}")
    if options.realtime:  # inherited by every contender; nice alone has no effect between sessions
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(5))
    cache = options.cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    bench = Bench(cache, options.rounds, options.scale, not options.no_peers, Report(), flows_case=options.flows_case)
    for name in named or [part for part in PARTS if options.large or part not in LARGE]:
        print(f"== {name}: {PARTS[name].__doc__}", flush=True)
        PARTS[name](bench)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    bench.report.write(options.json)
    print(f"\n{table(bench.report)}\n\nwritten: {options.json}")
    return 1 if bench.report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
