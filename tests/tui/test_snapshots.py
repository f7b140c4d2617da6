"""How it looks: SVG snapshots at 80x24 and 160x50 over a fixed case. Looked at, one by one, when they change."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.tui.driving import settle
from tests.tui.synthetic import LEDGER, RowCase, rack_case
from workbench.errors import SourceError
from workbench.tui.application import WorkbenchApp
from workbench.tui.folders import Entry, Listing
from workbench.tui.screens.dialog import ErrorDialog
from workbench.tui.widgets import file_picker

pytestmark = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="snapshots are made by one Python")

SMALL, LARGE = (80, 24), (160, 50)
BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "160x50"])


@pytest.fixture(autouse=True)
def _no_clock(monkeypatch):
    """What an answer cost is not the same twice."""
    monkeypatch.setattr("workbench.tui.inquiry.monotonic", lambda: 0.0)


def after(*keys):
    async def run_before(pilot):
        for widget in pilot.app.screen.query("Input"):
            widget.cursor_blink = False
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)
            for widget in pilot.app.screen.query("Input"):
                widget.cursor_blink = False
        pilot.app.screen.set_focus(pilot.app.screen.focused)
        await settle(pilot)

    return run_before


@BOTH
def test_case(snap_compare, size):
    assert snap_compare(WorkbenchApp(rack_case()), terminal_size=size, run_before=after("j", "j"))


@BOTH
def test_sorted_and_scrolled(snap_compare, size):
    keys = (*["greater_than_sign"] * 7, "g", *["l"] * 3)
    assert snap_compare(WorkbenchApp(rack_case()), terminal_size=size, run_before=after(*keys))


@BOTH
def test_brush(snap_compare, size):
    keys = ("m", "t", "0", "l", "l", "space", *["l"] * 6)
    assert snap_compare(WorkbenchApp(rack_case()), terminal_size=size, run_before=after(*keys))


@BOTH
def test_zoomed(snap_compare, size):
    assert snap_compare(WorkbenchApp(rack_case()), terminal_size=size, run_before=after("t", "enter", "escape"))


@BOTH
def test_flow(snap_compare, size):
    assert snap_compare(WorkbenchApp(rack_case()), terminal_size=size, run_before=after("enter"))


@BOTH
def test_ledger(snap_compare, size):
    assert snap_compare(WorkbenchApp(rack_case()), terminal_size=size, run_before=after("L"))


@BOTH
def test_help(snap_compare, size):
    assert snap_compare(WorkbenchApp(rack_case()), terminal_size=size, run_before=after("question_mark"))


@BOTH
def test_sort_picker(snap_compare, size):
    assert snap_compare(WorkbenchApp(rack_case()), terminal_size=size, run_before=after("s"))


@BOTH
def test_filter_completed(snap_compare, size):
    keys = ("slash", *"conn_state == S")
    names = {" ": "space", "=": "equals_sign", "_": "underscore"}
    keys = [names.get(key, key) for key in keys]
    assert snap_compare(WorkbenchApp(rack_case()), terminal_size=size, run_before=after(*keys))


@BOTH
def test_filter_wrong(snap_compare, size):
    async def show(pilot):
        await after("slash")(pilot)
        pilot.app.screen.query_one("FilterInput").value = "src_bytes > 1MB && (ip.adr == 10.0.0.0/8 || dst_port == 443)"
        await after()(pilot)

    assert snap_compare(WorkbenchApp(rack_case()), terminal_size=size, run_before=show)


@BOTH
def test_filtered(snap_compare, size):
    assert snap_compare(WorkbenchApp(rack_case()), terminal_size=size, run_before=after(*["l"] * 6, "f", "j"))


@BOTH
def test_packets(snap_compare, size):
    keys = ("j", "p", "j", "tab", "j", "l", "l")
    assert snap_compare(WorkbenchApp(rack_case()), terminal_size=size, run_before=after(*keys))


@BOTH
def test_unmasked(snap_compare, size):
    keys = ("p", "U", *"ticket", "enter")
    assert snap_compare(WorkbenchApp(rack_case()), terminal_size=size, run_before=after(*keys))


def test_packets_without_tshark(snap_compare):
    case = rack_case()
    case.without_tshark = True
    assert snap_compare(WorkbenchApp(case), terminal_size=SMALL, run_before=after("p"))


@BOTH
def test_carve(snap_compare, size):
    assert snap_compare(WorkbenchApp(rack_case()), terminal_size=size, run_before=after(*["l"] * 6, "f", "e", "up"))


@BOTH
def test_start(snap_compare, size, monkeypatch):
    found = [Entry("rack-7", "case"), Entry("rack-7.pcapng.zst", "capture", 1_234_567), Entry("older", "folder")]
    monkeypatch.setattr(
        file_picker, "listing", lambda folder, **_: Listing(Path("/captures"), (*found, Entry("a[b]\x1b.txt", "file", 7)))
    )
    assert snap_compare(WorkbenchApp(), terminal_size=size, run_before=after())


@BOTH
def test_empty_case(snap_compare, size):
    assert snap_compare(WorkbenchApp(RowCase([], ledger=LEDGER[:1])), terminal_size=size, run_before=after())


def test_error(snap_compare):
    async def show(pilot):
        await settle(pilot)
        error = SourceError("rack-7.pcapng ends inside a packet at byte 1,234,567,074", "Copy the file again.")
        pilot.app.push_screen(ErrorDialog.of(error))
        await settle(pilot)

    assert snap_compare(WorkbenchApp(rack_case()), terminal_size=SMALL, run_before=show)


@pytest.mark.parametrize("theme", ["workbench-light", "workbench-contrast"])
def test_themes(snap_compare, theme):
    assert snap_compare(WorkbenchApp(rack_case(), theme=theme), terminal_size=SMALL, run_before=after("j"))
