"""How live sources look: rates, the status line, a capture that is gone, a screen held still. Looked at when they change."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.rows import flows, source
from tests.tui.driving import case_screen, press, settle
from tests.tui.test_live import until
from workbench.store.writer import CaseWriter
from workbench.tui.application import WorkbenchApp
from workbench.tui.attaching import Attachments, LiveRun
from workbench.tui.case_data import StoredCase
from workbench.tui.rates import RateHistory
from workbench.tui.screens.attach import AttachDialog
from workbench.workflows.interfaces import FoundInterface
from workbench.workflows.requests import AttachRequest, AttachStatus
from workbench.workflows.shared_writer import SharedWriter

pytestmark = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="snapshots are made by one Python")

SMALL, LARGE = (80, 24), (160, 50)
BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "160x50"])
FOUND = [FoundInterface("p0", True, 8_123_456), FoundInterface("pf0hpf", False, 0), FoundInterface("lo", True, 812)]


@pytest.fixture(autouse=True)
def _same_each_time(monkeypatch):
    """No clocks."""
    monkeypatch.setattr("workbench.tui.inquiry.monotonic", lambda: 0.0)
    monkeypatch.setattr("workbench.tui.screens.live.monotonic", lambda: 0.0)
    monkeypatch.setattr("workbench.tui.live_words.clock", lambda: "09:26:53Z")
    monkeypatch.setattr("workbench.tui.screens.attach.found_interfaces", lambda: FOUND)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[CaseWriter]:
    """A case that somebody is attached to: 120 flows so far."""
    with CaseWriter(tmp_path / "case", live=True) as made:
        made.add_source(source(1, "live:p0", kind="live", sensor="p0", packets=1_080, flows=120))
        made.append("flows", flows(120))
        made.commit(now=True)
        yield made


def rates() -> RateHistory:
    """Five minutes: quiet, a steep rise, a plateau with a hole in it."""
    made = RateHistory()
    packets = octets = begun = 0
    for second in range(280):
        made.feed(float(second + 10), {"1": (1, packets, octets, begun)})
        now = 40 if second < 100 else 0 if 180 < second < 190 else min(21_300, (second - 100) * 700)
        packets, octets, begun = packets + now, octets + now * 900, begun + now // 60 + second % 3
    return made


def following(writer: CaseWriter, *keys: str):
    async def run_before(pilot):
        screen = case_screen(pilot)
        screen._others = rates()
        await settle(pilot)
        await press(pilot, *keys)
        screen._second()
        for plot in screen.query("RatePlots"):
            plot._look()
        await settle(pilot)

    return WorkbenchApp(StoredCase.open(writer.case.root)), run_before


@BOTH
def test_following(snap_compare, size, writer):
    app, run_before = following(writer, "j", "j")
    assert snap_compare(app, terminal_size=size, run_before=run_before)


@BOTH
def test_rates(snap_compare, size, writer):
    app, run_before = following(writer, "1")
    assert snap_compare(app, terminal_size=size, run_before=run_before)


def attached(case: Path, **status) -> Attachments:
    """A source as it tells of itself; it has no thread."""
    live = Attachments(case)
    run = LiveRun(AttachRequest("p0", case), SharedWriter(case), lambda _: None)
    run.status = AttachStatus("p0", 1, **({"state": "capturing", "packets": 1_080, "flows": 120, "lag": 0.4} | status))
    live.runs.append(run)
    live.rates = rates()
    return live


@BOTH
def test_nothing_is_captured(snap_compare, size, writer):
    writer.update_source(1, dropped=4_711)
    writer.commit(now=True)
    why = "dumpcap: The interface \x1b[1mp0\x1b[0m went down"
    live = attached(writer.case.root, state="waiting", note=why, gaps=3, interface_dropped=12, behind=1_300_000, lag=41.0)
    app = WorkbenchApp(StoredCase.open(writer.case.root), None, live)

    async def run_before(pilot):
        await settle(pilot)
        case_screen(pilot)._second()
        await settle(pilot)

    assert snap_compare(app, terminal_size=size, run_before=run_before)


def test_paused(snap_compare, writer):
    live = attached(writer.case.root)
    app = WorkbenchApp(StoredCase.open(writer.case.root), None, live)

    async def run_before(pilot):
        await settle(pilot)
        await press(pilot, "Z")
        writer.append("flows", flows(40, first=120))
        writer.update_source(1, packets=2_345)
        writer.commit(now=True)
        await until(pilot, lambda: "1,265 packets and 40 flows" in case_screen(pilot).status.activity)
        pilot.app.clear_notifications()
        await settle(pilot)

    assert snap_compare(app, terminal_size=SMALL, run_before=run_before)


@BOTH
def test_attach(snap_compare, size, writer):
    app = WorkbenchApp(StoredCase.open(writer.case.root), None, attached(writer.case.root))

    async def run_before(pilot):
        await settle(pilot)
        await press(pilot, "a")
        await until(
            pilot, lambda: isinstance(pilot.app.screen, AttachDialog) and pilot.app.screen.query_one("OptionList").option_count
        )
        for line in pilot.app.screen.query("Input"):
            line.cursor_blink = False
        await settle(pilot)

    assert snap_compare(app, terminal_size=size, run_before=run_before)
