"""How findings, the case itself, notes, saved questions and the themes look. Looked at, one by one, when they change."""

from __future__ import annotations

import datetime as dt
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tui.driving import press, settle
from tests.tui.synthetic import rack_case
from workbench.audit.log import GENESIS, Entry
from workbench.detections.loader import load_library
from workbench.store.notebook import Bookmark, Note, Notebook
from workbench.tui import case_sections
from workbench.tui.application import WorkbenchApp
from workbench.tui.case_data import StoredCase
from workbench.tui.case_sections import SECTIONS, Held
from workbench.tui.folders import Entry as FileEntry
from workbench.tui.folders import Listing
from workbench.tui.widgets import file_picker
from workbench.workflows import hunt
from workbench.workflows.hunt import detect
from workbench.workflows.ingest import index_sources
from workbench.workflows.requests import IndexRequest

pytestmark = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="snapshots are made by one Python")

SAMPLES = Path(__file__).parents[2] / "sample_captures"
SMALL, LARGE = (80, 24), (160, 50)
BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "160x50"])
MOMENT = 1_706_702_400_000_000  # 2024-01-31 12:00:00 UTC


@pytest.fixture(autouse=True)
def _same_each_time(monkeypatch):
    """No clock, and nobody's name."""
    monkeypatch.setattr("workbench.tui.inquiry.monotonic", lambda: 0.0)
    monkeypatch.setattr("workbench.store.notebook._now", lambda: MOMENT)
    monkeypatch.setattr("workbench.store.notebook.actor", lambda: "analyst@station")


QUESTION = """/*
id: {id}
title: {title}
description: >
  {title} in a short time may be looking for what answers. The score grows with the number of connections.
severity: high
attack: [T1046]
parameters:
  least: {{type: integer, default: 20, help: connections at least}}
  within: {{type: duration, default: 10m, help: how near each other in time}}
columns: {{hosts: hosts that were asked}}
references: [A paper]
false_positives: [Monitoring, a backup that begins]
*/
SELECT
    src_ip AS subject, NULL::VARCHAR AS object, least(1.0, count(*) / 200.0) AS score, min(ts) AS ts_first,
    max(ts_end) AS ts_last, list(flow_id ORDER BY ts)[1:1000] AS flow_ids, count(*) AS flows,
    count(*) || ' connections to ' || count(DISTINCT dst_ip) || ' hosts' AS why, count(DISTINCT dst_ip) AS hosts
FROM flows WHERE $within > 0 GROUP BY src_ip HAVING count(*) >= $least
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Two detections, two hunts, and a file that is refused: those that are shipped change."""
    root = tmp_path_factory.mktemp("questions")
    for kind, names in (("detections", ("loud", "quick")), ("hunts", ("many", "nobody"))):
        (root / kind).mkdir()
        for name in names:
            text = QUESTION.format(id=name, title=f"Hosts that are {name}").replace("high", "high" if name == "loud" else "low")
            text = text if kind == "detections" else text.replace("severity: low\n", "")
            (root / kind / f"{name}.sql").write_text(text)
    (root / "hunts" / "wrong.sql").write_text("SELECT 1")
    found = load_library([root])
    own = {name: one for name, one in found.questions.items() if one.path.is_relative_to(root)}
    assert len(own) == 4, found.refused
    return replace(found, questions=own, refused=[one for one in found.refused if one.path.is_relative_to(root)])


@pytest.fixture(autouse=True)
def _those_questions(library, monkeypatch):
    monkeypatch.setattr(hunt, "library", lambda folders=(): library)


@pytest.fixture(scope="module")
def indexed(tmp_path_factory, library):
    """A case with findings, all of one moment."""
    folder = tmp_path_factory.mktemp("esxi") / "case"
    index_sources(IndexRequest((str(SAMPLES / "esxi-lateral.pcapng"),), folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hunt, "library", lambda folders=(): library)
        patch.setattr(hunt, "dt", Clock)
        result = detect(folder)
        assert result.findings.num_rows, result.ran
    return folder


class Clock:
    """`datetime` of one moment."""

    UTC = dt.UTC

    class datetime:  # noqa: N801  the standard library's name
        now = staticmethod(lambda zone: dt.datetime(2024, 1, 31, 12, tzinfo=zone))


@pytest.fixture
def case(indexed, tmp_path):
    data = StoredCase.open(shutil.copytree(indexed, tmp_path / "case"))
    yield data
    data.close()


def after(view, *keys):
    """A view first; then keys, and once they are handled the screen."""

    async def run_before(pilot):
        await settle(pilot)
        await press(pilot, view)
        for key in keys:
            await pilot.press(key)
            await settle(pilot) if key in PATIENT else None
        for widget in (*pilot.app.screen.query("Input"), *pilot.app.screen.query("TextArea")):
            widget.cursor_blink = False
        pilot.app.clear_notifications()
        pilot.app.screen.set_focus(pilot.app.screen.focused)
        await settle(pilot)

    return run_before


#: Keys after which something opens.
PATIENT = ("n", "ctrl+o", "enter")


class TestFindings:
    @BOTH
    def test_one(self, snap_compare, case, size):
        [row] = case.question().query("SELECT finding_id FROM findings WHERE detection = 'loud'").to_pylist()
        Notebook(case.path).set_state(row["finding_id"], "confirmed", "Not a job of ours: nobody works at this time.")
        assert snap_compare(WorkbenchApp(case), terminal_size=size, run_before=after("5", "j"))

    @BOTH
    def test_note(self, snap_compare, case, size):
        [row] = case.question().query("SELECT finding_id FROM findings WHERE detection = 'loud'").to_pylist()
        Notebook(case.path).add_note("finding", row["finding_id"], "it", "Asked the owner of 10.20.1.77.\nNo answer yet.")
        keys = ("j", "n", *"Still", "space", *"none")
        assert snap_compare(WorkbenchApp(case), terminal_size=size, run_before=after("5", *keys))


NOTES = (
    Note(2, MOMENT, "analyst@station", "host", "10.20.1.77", "10.20.1.77", "A jump host; ask its owner.\nNo answer yet."),
    Note(1, MOMENT - 90_000_000, "second@station", "case", "1", "the case", "Mirror of both uplinks of rack 7."),
)
MARKS = (Bookmark(MOMENT, "analyst@station", "host", "10.20.1.77", "10.20.1.77"),)
TRAIL = (
    Entry(2, "2024-01-31T12:00:00.000000Z", "analyst@station", "note_added", {"note": 2, "on": "host"}, "a" * 64, "b" * 64),
    Entry(1, "2024-01-31T11:58:30.000000Z", "analyst@station", "case_created", {"version": "1"}, GENESIS, "a" * 64),
)
FACTS = (("folder", "/cases/rack-7"), ("schema_version", "3"), ("on disk", "1.2 MB"), ("flows", "300"))


@BOTH
@pytest.mark.parametrize("number", range(len(SECTIONS)), ids=[one.name.lower() for one in SECTIONS])
def test_case_itself(snap_compare, monkeypatch, number, size):
    monkeypatch.setattr(case_sections, "held", lambda _, summary: Held(summary, NOTES, MARKS, TRAIL, FACTS))
    keys = ["greater_than_sign"] * number
    assert snap_compare(WorkbenchApp(rack_case()), terminal_size=size, run_before=after("9", *keys))


class TestSaved:
    @BOTH
    def test_list(self, snap_compare, case, size):
        assert snap_compare(WorkbenchApp(case), terminal_size=size, run_before=after("7", "ctrl+o", "down"))

    @BOTH
    def test_form(self, snap_compare, case, size):
        keys = ("ctrl+o", "enter", "down", *["backspace"] * 5, "x", "enter")
        assert snap_compare(WorkbenchApp(case), terminal_size=size, run_before=after("7", *keys))


def test_file_picker(snap_compare, monkeypatch):
    found = [FileEntry("rack-7", "case"), FileEntry("rack-7.pcapng.zst", "capture", 1_234_567), FileEntry("older", "folder")]
    monkeypatch.setattr(file_picker, "listing", lambda folder, **_: Listing(Path("/captures"), tuple(found)))
    assert snap_compare(WorkbenchApp(), terminal_size=SMALL, run_before=after("escape", "down"))


@pytest.mark.parametrize("theme", ["workbench-16", "workbench-contrast"])
@pytest.mark.parametrize(("number", "key"), [("1", "down"), ("4", "down"), ("5", "j")], ids=["overview", "matrix", "findings"])
def test_themes(snap_compare, case, theme, number, key):
    assert snap_compare(WorkbenchApp(case, theme=theme), terminal_size=SMALL, run_before=after(number, key))
