"""How the view SQL looks, at 80x24 and 160x50: rows, a mistake, each kind of plot, the export. Looked at, one by one."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tui.driving import case_screen, press, settle
from workbench.tui.application import WorkbenchApp
from workbench.tui.case_data import StoredCase
from workbench.tui.views.sql import SqlView

pytestmark = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="snapshots are made by one Python")

SAMPLES = Path(__file__).parents[2] / "sample_captures"
BOTH = pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=["80x24", "160x50"])
HOSTS = """SELECT 'host-' || i AS host, (i * 37) % 90 + 1 AS flows,
  (i * 7919) % 90000 AS src_bytes -- made up
FROM range(14) t(i)"""
WAVE = """SELECT TIMESTAMP '2024-01-31 09:00:00' + i * INTERVAL 30 SECOND AS ts,
  round(100 + 80 * sin(i / 9.0)) AS flows FROM range(200) t(i)"""
PAIRS = "SELECT 'src-' || (i % 9) AS src, 'dst-' || ((i * i) % 7) AS dst, i AS n FROM range(400) t(i)"
CLOUD = "SELECT (i * 7919) % 1000 AS a, (i * i * 31) % 5000 AS src_bytes FROM range(300) t(i)"
EVIL = """SELECT 1 AS n, chr(27) || '[31mred' || chr(8238) || chr(0) AS text,
  '[/b]' AS markup, repeat('x', 65536) AS long, 2 AS last"""


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    from workbench.workflows.ingest import index_sources
    from workbench.workflows.requests import IndexRequest

    folder = tmp_path_factory.mktemp("sql") / "case"
    index_sources(IndexRequest((str(SAMPLES / "names.pcapng"),), folder))
    return folder


@pytest.fixture
def compared(case, snap_compare):
    """Ask, press keys, compare. How long an answer took is fixed."""
    data = StoredCase.open(case)

    def compare(size, sql, *keys):
        async def run_before(pilot):
            await settle(pilot)
            await press(pilot, "7")
            view = case_screen(pilot).query_one(SqlView)
            view.editor.area.cursor_blink = False
            view.editor.put(sql)
            await press(pilot, "f5", *keys)
            if view._ended is not None and view._ended.answered is not None:
                view._ended.answered = replace(view._ended.answered, seconds=0.0123)
            view._titles()
            for line in pilot.app.screen.query("Input"):
                line.cursor_blink = False
            pilot.app.screen.set_focus(pilot.app.screen.focused)
            await settle(pilot)

        return snap_compare(WorkbenchApp(data), terminal_size=size, run_before=run_before)

    yield compare
    data.close()


@BOTH
def test_rows(compared, size):
    assert compared(size, HOSTS, "down", "down", "right")


@BOTH
def test_a_mistake(compared, size):
    assert compared(size, "SELECT src_ip, nonsense\nFROM flows")


@BOTH
def test_hostile_text(compared, size):
    assert compared(size, EVIL)


@BOTH
def test_bars(compared, size):
    assert compared(size, HOSTS, "v")


@BOTH
def test_a_line(compared, size):
    assert compared(size, WAVE, "v")


@BOTH
def test_a_heat_map(compared, size):
    assert compared(size, PAIRS, "v")


@BOTH
def test_a_scatter(compared, size):
    assert compared(size, CLOUD, "v")


@BOTH
def test_the_export(compared, size):
    assert compared(size, HOSTS, "e", "down")
