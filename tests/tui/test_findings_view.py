"""Findings on the screen over a real capture: run, explained, judged, noted; their flows and packets; what others do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tui.driving import case_screen, press, screen_text, settle
from tests.tui.synthetic import rack_case
from workbench.audit.log import AuditLog
from workbench.errors import ForeignCaseError
from workbench.store.notebook import Notebook
from workbench.tui.application import WorkbenchApp
from workbench.tui.case_data import StoredCase
from workbench.tui.screens.note import NoteDialog
from workbench.tui.views.findings import FindingsView
from workbench.workflows.hunt import detect

SIZES = pytest.mark.parametrize("size", [(80, 24), (160, 50)])
HOSTILE = "\x1b[2J\x1b]52;c;eA==\x07[red]x[/]\u202e\0"


@pytest.fixture
def case(own: Callable[[str], Path]) -> Path:
    return own("esxi-lateral")


def text_of(pilot) -> str:
    return "\n".join(screen_text(pilot))


def findings_view(pilot) -> FindingsView:
    shown = case_screen(pilot).shown
    assert isinstance(shown, FindingsView)
    return shown


@SIZES
async def test_detected_explained_and_followed_to_flows_and_packets(case: Path, size: tuple[int, int]) -> None:
    async with WorkbenchApp(StoredCase.open(case)).run_test(size=size) as pilot:
        await settle(pilot)
        await press(pilot, "5")
        assert "D runs the detections" in text_of(pilot)
        await press(pilot, "D")
        view = findings_view(pilot)
        while view.table.total == 0 or view.table.record is None:  # rows may be read anew meanwhile: the case has grown
            await settle(pilot)
        assert "▾ Hypervisor" in text_of(pilot)
        assert "What else could explain it" in view.prose.plain
        await press(pilot, "j")
        assert "network = untagged  (tenant scope)" in view.prose.plain
        assert "10.20.1.77 → 10.20.30.0/24" in text_of(pilot)
        for part in ("Why it matters", "Evidence", "What else could explain it", "ATT&CK", "state: open"):
            assert part in view.prose.plain
        subject = view.subject()
        assert subject is not None
        await press(pilot, "v")
        screen = case_screen(pilot)
        assert (screen.shown.number, screen.view.filter) == (2, f'finding == "{subject.key}"')
        assert screen.shown.table.total == 38
        await press(pilot, "5", "p")
        assert case_screen(pilot).shown.number == 6


async def test_judged_with_a_reason_and_its_history(case: Path) -> None:
    detect(case)
    async with WorkbenchApp(StoredCase.open(case)).run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        await press(pilot, "5", "j", "C")
        await press(pilot, "enter")  # without a reason nothing happens
        assert Notebook(case).states() == {}
        await press(pilot, "C", *"seen", "enter")
        await press(pilot, "B", *"ours", "enter")
        view = findings_view(pilot)
        key = view.subject().key
        assert [(was.state, was.reason) for was in Notebook(case).history(key)] == [("confirmed", "seen"), ("benign", "ours")]
        assert view.prose.plain.index(": ours") < view.prose.plain.index(": seen")
        assert "state: benign" in view.prose.plain
        total = view.table.total
        await press(pilot, "o")
        assert view.table.total < total
        await press(pilot, "o", "o")
        assert view.table.total == 2


def test_closed_findings_and_those_of_other_flows_are_not_marked_in_time(case: Path) -> None:
    assert StoredCase.open(case).moments("") == []
    detect(case)
    data = StoredCase.open(case)
    rows = data.question().query("SELECT finding_id, severity, epoch_us(ts_first) AS first FROM findings").to_pylist()
    assert sorted((severity, first) for severity, first, _ in data.moments("")) == sorted(
        (row["severity"], row["first"]) for row in rows
    )
    assert data.moments("tcp.dstport == 1") == []
    assert len(data.moments(f'finding == "{rows[0]["finding_id"]}"')) >= 1
    for state, left in (("confirmed", len(rows)), ("benign", len(rows) - 1)):
        Notebook(case).set_state(rows[0]["finding_id"], state, "seen")
        assert len(data.moments("")) == left


async def test_others_are_seen_and_their_text_stays_in_its_place(case: Path) -> None:
    detect(case)
    async with WorkbenchApp(StoredCase.open(case)).run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        await press(pilot, "5", "j")
        view = findings_view(pilot)
        Notebook(case).set_state(view.subject().key, "done", HOSTILE + "x" * 60_000)
        for _ in range(50):  # a look that is under way already may be from before
            case_screen(pilot)._watch()
            await settle(pilot)
            if "state: done" in view.prose.plain:
                break
        assert "state: done" in view.prose.plain
        assert "␛[2J␛]52;c;eA==␇[red]x[/]<U+202E>␀" in view.prose.plain
        assert not any(char in line for line in screen_text(pilot) for char in "\x1b\x07\u202e\0")


async def test_a_note_is_written_and_there_again(case: Path) -> None:
    detect(case)
    Notebook(case).add_note("finding", "other", "other", "not this")
    async with WorkbenchApp(StoredCase.open(case)).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "5", "j", "n")
        assert "No notes on this yet." in text_of(pilot)
        await press(pilot, *"it was", "enter", *"mallory", "escape")
        assert "Esc again throws it away" in text_of(pilot)
        await press(pilot, "ctrl+s")
        assert not isinstance(pilot.app.screen, NoteDialog)
        key = findings_view(pilot).subject().key
        [note] = Notebook(case).notes("finding", key)
        assert note.text == "it was\nmallory"
        assert AuditLog(case).read()[-1].detail["note"] == note.note_id
        await press(pilot, "n")
        assert "mallory" in text_of(pilot)
        await press(pilot, "escape", "b")
        assert [mark.key for mark in Notebook(case).bookmarks()] == [key]
        await press(pilot, "b")
        assert Notebook(case).bookmarks() == []


async def test_stopped_detections_leave_what_was_there(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.errors import CancelledError
    from workbench.workflows.hunt import HuntProgress

    def slow(self, progress, cancel):
        progress(HuntProgress(0, 9, "scan", "One source"))
        assert cancel.wait(20)
        raise CancelledError("stopped")

    monkeypatch.setattr(StoredCase, "detect", slow)
    async with WorkbenchApp(StoredCase.open(case)).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "5")
        view = findings_view(pilot)
        await pilot.press("D")
        while "detection 1 of 9" not in view.activity:
            await pilot.pause(0.01)
        await press(pilot, "escape")
        assert view.activity == ""
        assert "No findings." in text_of(pilot)


async def test_groups_fold(case: Path) -> None:
    detect(case)
    async with WorkbenchApp(StoredCase.open(case)).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "5")
        table = findings_view(pilot).table
        total = table.total
        await press(pilot, "enter")
        assert table.total == total - 1
        await press(pilot, "enter", "z")
        assert table.total < total - 1
        assert "▸" in text_of(pilot)


async def test_a_case_without_a_notebook_takes_no_notes() -> None:
    async with WorkbenchApp(rack_case()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "n")
        assert any("can have a note" in told.message for told in pilot.app._notifications)


def test_findings_that_lack_what_ours_have_are_refused_in_words(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa

    from workbench.records.arrow import arrow_schema
    from workbench.store import findings as kept
    from workbench.store import segments

    loose = pa.schema([pa.field(one.name, one.type) for one in arrow_schema("findings")])
    found = detect(case).findings.to_pylist()
    rows = [*found, found[0] | {"finding_id": "x", "subject": None}, found[0] | {"finding_id": "y", "ts_first": None}]
    for module in (kept, segments):
        monkeypatch.setattr(module, "arrow_schema", lambda name: loose if name == "findings" else arrow_schema(name))
    kept.keep_findings(case, [row["detection"] for row in found], pa.Table.from_pylist(rows, loose))
    with pytest.raises(ForeignCaseError, match="rows without ts_first, which every row of findings has"):
        StoredCase.open(case)


async def test_tab_goes_from_the_words_back_to_the_list(case: Path) -> None:
    detect(case)
    async with WorkbenchApp(StoredCase.open(case)).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "5", "j", "tab")
        view = findings_view(pilot)
        assert view.prose.has_focus
        assert "tab To the list" in screen_text(pilot)[-1]
        await press(pilot, "tab")
        assert view.table.has_focus
        await press(pilot, "v")
        assert case_screen(pilot).shown.number == 2


@SIZES
async def test_the_list_has_room_and_the_words_say_how_parameters_are_given(case: Path, size: tuple[int, int]) -> None:
    detect(case)
    async with WorkbenchApp(StoredCase.open(case)).run_test(size=size) as pilot:
        await settle(pilot)
        await press(pilot, "5", "j")
        view = findings_view(pilot)
        assert view.table.visible_rows >= 7
        assert "give their prefixes as parameter management" in view.prose.plain
        assert "management = []  (who may manage them, beside their own /24 or /64)" in view.prose.plain
        assert "workbench detect --case CASE -p hypervisors=VALUE" in view.prose.plain
