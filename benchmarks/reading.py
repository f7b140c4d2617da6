"""What reading a case of 20 million flows costs: pages at any depth, filter, timeline, top talkers, by the app's own calls."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.measure import warm
from benchmarks.report import Report, Row
from benchmarks.synthetic_case import make_case
from workbench.store.pages import Order, Where, extent, timeline, top
from workbench.store.reader import CaseReader

PAGE = 512
"""rows the app asks for at a time"""
FILTER = Where("dst_port = ? AND src_bytes > ?", (22, 5_000))


def case_of(cache: Path, flows: int) -> Path:
    """A synthetic case of that many flows, made once: some minutes for 20 million."""
    folder = cache / f"case-{flows}"
    if not (folder / "case.duckdb").exists():
        print(f"making {folder.name} ...", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        make_case(folder, flows)
    return folder


def _median_ms(times: int, action: Callable[[], object]) -> float:
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds) * 1000


def _pages(order: Order) -> tuple[float, float]:
    """Median and worst ms of twenty pages at random depths."""
    rng = np.random.default_rng(4)
    seconds = []
    for start in rng.integers(0, max(order.total - PAGE, 1), 20):
        began = time.perf_counter()
        order.page(int(start), PAGE)
        seconds.append((time.perf_counter() - began) * 1000)
    return statistics.median(seconds), max(seconds)


def _ordered(case: CaseReader, column: str, *, descending: bool = False) -> Iterator[tuple[str, float, float | None]]:
    """(what, ms, budget) of sorting by a column: the first page, the whole order, pages of it."""
    began = time.perf_counter()
    order = Order(case, column, descending=descending)
    order.page(0, PAGE)
    yield f"sort by {column}: first page", (time.perf_counter() - began) * 1000, None
    order.wait()
    yield f"sort by {column}: every row numbered", (time.perf_counter() - began) * 1000, None
    median, worst = _pages(order)
    order.close()
    yield f"sort by {column}: a page at any depth, median of 20", median, 50.0
    yield f"sort by {column}: the slowest of those pages", worst, None


def measures(case: CaseReader, rounds: int) -> Iterator[tuple[str, float, float | None]]:
    """(what, ms, budget in ms) of what the app asks of a large case; the file in the page cache, nothing in the engine's."""
    yield from _ordered(case, "ts")
    yield from _ordered(case, "src_bytes", descending=True)
    yield from _ordered(case, "dst_ip")
    yield "filter: first page", _median_ms(rounds, lambda: _first_page(case, FILTER)), 500.0
    span = extent(case)
    assert span is not None
    start, end = span[0], span[1] + 1
    yield "timeline of everything, 160 bins", _median_ms(rounds, lambda: timeline(case, start, end, 160)), 200.0
    hour = start + (end - start) // 3, start + (end - start) // 3 + (end - start) // 24
    yield "timeline of a twenty-fourth", _median_ms(rounds, lambda: timeline(case, *hour, 160)), 200.0
    yield "timeline with a filter", _median_ms(rounds, lambda: timeline(case, start, end, 160, FILTER)), None
    yield "top talkers by bytes", _median_ms(rounds, lambda: top(case, "src_ip", "bytes")), 1000.0
    yield "top ports by flows", _median_ms(rounds, lambda: top(case, "dst_port", "flows")), 1000.0


def _first_page(case: CaseReader, where: Where) -> None:
    order = Order(case, where=where)
    order.page(0, PAGE)
    order.close()


def measure(folder: Path, rounds: int, report: Report) -> None:
    """Rows for a case; see `case_of`."""
    warm(folder / "case.duckdb")
    with CaseReader(folder) as case:
        flows = int(case.query("SELECT count(*) AS n FROM flows")["n"][0].as_py())
        for what, value, budget in measures(case, rounds):
            report.add(Row("flows20m", f"{flows / 1e6:g}M flows: {what}", value, "ms", budget))
