"""What a benchmark says: rows with budget, measurement and verdict; a table for people, JSON for comparing."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Better = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement. Without a ``budget`` it is reported and not judged."""

    part: str
    what: str
    value: float
    unit: str
    budget: float | None = None
    better: Better = "lower"
    note: str = ""

    @property
    def verdict(self) -> str:
        """met, missed, or - where there is no budget."""
        if self.budget is None:
            return "-"
        good = self.value <= self.budget if self.better == "lower" else self.value >= self.budget
        return "met" if good else "missed"


@dataclass(slots=True)
class Report:
    """All rows of a run, every single time behind them, and what was missing."""

    rows: list[Row] = field(default_factory=list)
    times: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """part -> contender -> seconds of each round"""
    cpu: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """the same for CPU seconds, which other load on the machine disturbs less"""
    missing: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Keep a row and show it at once: a long benchmark should not be silent."""
        self.rows.append(row)
        print(line(row), flush=True)

    def fail(self, part: str, what: str, why: str) -> None:
        """A run that did not end well: said, never left out."""
        text = f"{part}: {what}: {why.strip().splitlines()[-1] if why.strip() else 'no message'}"
        self.failures.append(text)
        print(f"FAILED {text}", flush=True)

    def median(self, part: str, contender: str) -> float | None:
        """Median seconds of a contender, None where it didn't run."""
        seconds = self.times.get(part, {}).get(contender)
        return statistics.median(seconds) if seconds else None

    def write(self, path: Path) -> None:
        """Everything as JSON."""
        document: dict[str, Any] = {
            "machine": machine(),
            "rows": [{**asdict(row), "verdict": row.verdict} for row in self.rows],
            "seconds": self.times,
            "cpu_seconds": self.cpu,
            "missing": self.missing,
            "failures": self.failures,
        }
        path.write_text(json.dumps(document, indent=1) + "\n")


def machine() -> dict[str, Any]:
    """What the figures depend on: cores, memory, interpreter, load when the run began, revision."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
        "revision": revision,
    }


def number(value: float, unit: str) -> str:
    """A measurement for people, three significant digits or so."""
    if unit == "B":
        return f"{value / 1e6:,.0f} MB"
    if unit == "/s":
        return f"{value / 1e6:.2f} M/s"
    if unit == "x":
        return f"{value:.3g}x"
    if unit == "ms":
        return f"{value:.0f} ms"
    return f"{value:.2f} {unit}"


def line(row: Row) -> str:
    """One row of the table."""
    sign = "<=" if row.better == "lower" else ">="
    budget = "" if row.budget is None else f"{sign} {number(row.budget, row.unit)}"
    return f"{row.part:<12} {row.what:<58} {number(row.value, row.unit):>12} {budget:>14} {row.verdict:>7}  {row.note}".rstrip()


def table(report: Report) -> str:
    """The whole table, missed budgets first, then what was missing and what failed."""
    heading = f"{'part':<12} {'what':<58} {'measured':>12} {'budget':>14} {'verdict':>7}  note"
    order = {"missed": 0, "met": 1, "-": 2}
    rows = sorted(report.rows, key=lambda row: order[row.verdict])
    lines = [heading, "-" * len(heading), *map(line, rows)]
    lines += [f"missing: {name}" for name in report.missing]
    lines += [f"FAILED: {text}" for text in report.failures]
    return "\n".join(lines)
