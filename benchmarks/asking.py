"""What every view asks of a case of 20 million flows, by the app's own calls: median and worst of each, its budget beside it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import numpy as np

from benchmarks.report import Report, Row
from workbench.analysis.arrivals import arrivals
from workbench.analysis.east_west import paths, verdicts
from workbench.analysis.grouping import group_flows
from workbench.analysis.hosts import Range, hosts
from workbench.analysis.leads import leads
from workbench.analysis.matrix import first_level, matrix
from workbench.analysis.mix import split, states
from workbench.analysis.talkers import services, talkers
from workbench.detections.runner import run_question
from workbench.store.pages import EVERYTHING, Order, Where, extent, timeline
from workbench.store.reader import CaseReader
from workbench.tui.looks import flow_looks
from workbench.tui.widgets.columns import Columns
from workbench.workflows.hunt import library
from workbench.workflows.show import case_filter

PART: Final = "interactive"
#: Rows the app asks for at a time, bins of the timeline at 160 columns, lifelines likewise; cells of a screen.
PAGE, BINS, LIFELINE, WIDTH = 512, 160, 60, 160
#: Seconds that are spent on one question at most, after its first time.
PATIENCE: Final = 8.0

#: What people type most: an address, a prefix, a port, a state, a size, a time, several of them.
FILTERS: Final = (
    "ip.addr == 10.0.0.5",
    "ip.addr == 10.0.0.0/24",
    "tcp.dstport == 22",
    "port in {22, 445, 3389}",
    'conn_state == "S0"',
    "src_bytes > 100000",
    "tcp.dstport == 443 && duration > 30",
    "!(ip.addr == 10.0.0.0/8)",
)
ORDERS: Final = (("ts", False), ("ts", True), ("src_bytes", True), ("duration", True), ("src_ip", False), ("dst_port", False))

Timed = tuple[str, list[float], float | None]


def _timed(action: Callable[[], object], times: int) -> list[float]:
    """Milliseconds of each time; fewer times where they take long."""
    found: list[float] = []
    began = time.perf_counter()
    while not found or (len(found) < times and time.perf_counter() - began < PATIENCE):
        start = time.perf_counter()
        action()
        found.append((time.perf_counter() - start) * 1000)
    return found


def _pages(case: CaseReader) -> Iterator[Timed]:
    """A page at the start, the middle, the end and at random depths, of several orders."""
    rng = np.random.default_rng(4)
    for column, down in ORDERS:
        name = f"{column} {'down' if down else 'up'}"
        yield f"order by {name}: the first page", _timed(partial(_first_page, case, column, down), 3), None
        order = Order(case, column, descending=down)
        began = time.perf_counter()
        order.wait()
        yield f"order by {name}: every row numbered", [(time.perf_counter() - began) * 1000], None
        last = max(order.total - PAGE, 0)
        starts = [0, last // 2, last, *map(int, rng.integers(0, last + 1, 20))]
        shown = partial(order.page, count=PAGE, columns=_in_view())
        yield f"order by {name}: a page at any depth", [_timed(partial(shown, s), 1)[0] for s in starts], 50.0
        whole = [_timed(partial(order.page, s, PAGE), 1)[0] for s in starts]
        yield f"order by {name}: the rest of that page's columns behind it", whole, None
        order.close()


def _in_view() -> list[str]:
    """The columns that Flows shows first at 160 cells: what has to come before a page is painted."""
    columns = Columns(flow_looks(dates=True))
    columns.room = WIDTH
    return ["flow_id", *(columns.looks[number].name for number in sorted(columns.in_view()))]


def _first_page(case: CaseReader, column: str, down: bool) -> None:
    order = Order(case, column, descending=down)
    order.page(0, PAGE)
    order.close()


def _filtered(case: CaseReader, text: str) -> None:
    """From the text of a filter to the first page of what it keeps."""
    made = case_filter(case, text)
    order = Order(case, where=Where(made.sql, made.params))
    order.page(0, PAGE)
    order.close()


def _filters(case: CaseReader, rounds: int) -> Iterator[Timed]:
    for text in FILTERS:
        yield f"filter {text}", _timed(partial(_filtered, case, text), rounds), 500.0


def _flows(case: CaseReader, start: int, end: int, rounds: int) -> Iterator[Timed]:
    third = start + (end - start) // 3
    yield "timeline of everything", _timed(partial(timeline, case, start, end, BINS), rounds), 200.0
    part = partial(timeline, case, third, third + (end - start) // 24, BINS)
    yield "timeline of a twenty-fourth", _timed(part, rounds), 200.0
    made = case_filter(case, FILTERS[2])
    kept = partial(timeline, case, start, end, BINS, Where(made.sql, made.params))
    yield "timeline under a filter", _timed(kept, rounds), 200.0
    for keys in (("dst_port",), ("src_ip",), ("src_ip", "dst_ip")):
        yield f"flows grouped by {' and '.join(keys)}", _timed(partial(group_flows, case, keys), rounds), None


def _views(case: CaseReader, start: int, end: int, rounds: int) -> Iterator[Timed]:
    """Overview, Workloads, Matrix, Policy."""
    lifelines = Range(start, end, LIFELINE)
    for what, action, budget in (
        ("overview: top talkers by bytes and by flows", partial(talkers, case), 1000.0),
        ("overview: services", partial(services, case), 1000.0),
        ("overview: how connections ended", partial(states, case), None),
        ("overview: inside and outside", partial(split, case), None),
        ("overview: new and vanished hosts", partial(arrivals, case, start, end), None),
        ("overview: what to look at first", partial(leads, case), None),
        ("workloads: hosts with lifelines, by bytes", partial(hosts, case, EVERYTHING, lifelines), None),
        ("workloads: the same by peers", partial(hosts, case, EVERYTHING, lifelines, by="peers"), None),
        ("matrix: the level to begin with", partial(first_level, case, EVERYTHING), None),
        *((f"matrix: level {level}", partial(matrix, case, EVERYTHING, level), None) for level in range(4)),
        ("policy: verdicts", partial(verdicts, case), None),
        ("policy: paths", partial(paths, case), None),
    ):
        yield what, _timed(action, rounds), budget


def _questions(case: CaseReader) -> Iterator[Timed]:
    for kind in ("detection", "hunt"):
        for name, question in library().of_kind(kind).items():
            yield f"{kind} {name}", _timed(partial(run_question, case, question), 1), None


def measure(case: CaseReader, rounds: int, report: Report) -> None:
    """A row for each; the median is judged, the worst is said. Seconds of every time go to the report."""
    span = extent(case)
    if span is None:
        raise ValueError("a case without flows cannot be measured")
    start, end = span[0], span[1] + 1
    parts = (_pages(case), _filters(case, rounds), _flows(case, start, end, rounds), _views(case, start, end, rounds))
    for part in (*parts, _questions(case)):
        for what, took, budget in part:
            report.times.setdefault(PART, {})[what] = [one / 1000 for one in took]
            note = f"worst {max(took):,.0f} ms of {len(took)}"
            report.add(Row(PART, what, statistics.median(took), "ms", budget, note=note))
