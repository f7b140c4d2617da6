"""The app while packets come: real workers that read pipes, a real case, a second app that follows."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from textual.widgets import Input, OptionList

from tests.tui.driving import case_screen, flows_view, press, screen_text, settle
from tests.tui.live_feed import Feed
from workbench.errors import UsageError
from workbench.store.reader import CaseReader
from workbench.tui.application import WorkbenchApp
from workbench.tui.attaching import Attachments, goodbye
from workbench.tui.case_data import StoredCase
from workbench.tui.screens.attach import AttachDialog, DetachMenu
from workbench.tui.screens.dialog import ConfirmDialog, ErrorDialog
from workbench.workflows.requests import AttachRequest


async def until(pilot, seen, patience=60.0):
    """The screen follows threads and other processes; as long as they take."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        await pilot.pause(0.05)
        if seen():
            return
    raise AssertionError("\n".join(screen_text(pilot)))


def shows(pilot, *words):
    return lambda: all(word in "\n".join(screen_text(pilot)) for word in words)


def asked(case: Path, sql: str):
    with CaseReader(case) as reader:
        return reader.query(sql).to_pylist()


def piped(case: Path, feed: Feed, name: str = "-") -> AttachRequest:
    return AttachRequest(name, case, stdin=feed.end)


async def test_flows_grow_pause_holds_still_and_leaving_settles(tmp_path):
    case, feed = tmp_path / "case", Feed()
    live = Attachments(case)
    live.attach(piped(case, feed))
    app = WorkbenchApp(None, None, live)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, shows(pilot, "Waiting for the first packet on standard input…"))
        feed.write(0.5)
        await until(pilot, lambda: flows_view(pilot).table.total > 20)
        await until(pilot, shows(pilot, "live │ standard input", "all decoded"))
        await press(pilot, "j", "j", "j", "space")
        table = flows_view(pilot).table
        kept, marked = table.record["flow_id"], set(table.marked)
        await press(pilot, "Z")
        before, first = table.total, screen_text(pilot)[8:12]
        feed.write(0.9)
        await until(pilot, lambda: "PAUSED" in (text := "\n".join(screen_text(pilot))) and "PAUSED, 0 packets" not in text)
        assert table.total == before
        assert screen_text(pilot)[8:12] == first
        await press(pilot, "Z")
        await until(pilot, lambda: table.total > before and table.record is not None)
        assert table.record["flow_id"] == kept
        assert set(table.marked) == marked
        await press(pilot, "1")
        await until(pilot, shows(pilot, "packets/s", "flows/s", "peak"))
        feed.write(1.0)
        await press(pilot, "q")
        assert isinstance(app.screen, ConfirmDialog)
        await press(pilot, "n")
        assert not live.runs[0].stopping
        await pilot.press("q")
        await pilot.pause()
        await pilot.press("y")
        await until(pilot, lambda: not app.is_running or app._exit)
    feed.close()
    assert live.wait(30)
    assert asked(case, "SELECT count(*) AS n FROM flows WHERE end_reason IS NULL") == [{"n": 0}]
    (source,) = asked(case, "SELECT packets, flows, state FROM sources")
    assert source["state"] == "ok"
    assert source["packets"] > 100
    assert goodbye(live.runs, case) == [
        f"Detached from standard input: {source['packets']:,} packets, {source['flows']:,} flows.",
        f"Case: {case}",
    ]


async def test_two_sources_at_once_share_a_case_and_one_can_be_left(tmp_path, monkeypatch):
    case, feeds = tmp_path / "case", (Feed(), Feed())
    live = Attachments(case)
    first = live.attach(piped(case, feeds[0]))
    with pytest.raises(UsageError, match="attached already"):
        live.attach(piped(case, feeds[1]))
    app = WorkbenchApp(None, None, live)
    async with app.run_test(size=(130, 30)) as pilot:
        await until(pilot, lambda: case_screen(pilot).data is not None)
        # what the dialog would hand over: a second pipe cannot be named there, as standard input is one
        monkeypatch.setattr(type(first), "name", property(lambda run: f"pipe {live.runs.index(run) + 1}"))
        first.request = AttachRequest("first", case)
        case_screen(pilot)._begin(piped(case, feeds[1]))
        feeds[0].write(1.0)
        feeds[1].write(1.0)
        await until(pilot, shows(pilot, "2 live sources", "422 packets"))
        await press(pilot, "ctrl+x")
        assert isinstance(app.screen, DetachMenu)
        await press(pilot, "j", "enter")
        await until(pilot, lambda: live.runs[1].done)
        await until(pilot, shows(pilot, "live │ pipe 1"))
        assert asked(case, "SELECT state FROM sources ORDER BY source_id") == [{"state": "indexing"}, {"state": "ok"}]
        await press(pilot, "ctrl+x")
        await until(pilot, lambda: not live.going_on)
        await until(pilot, lambda: case_screen(pilot).summary.flows == 190)
    for feed in feeds:
        feed.close()
    assert asked(case, "SELECT source_id, packets, state FROM sources ORDER BY 1") == [
        {"source_id": 1, "packets": 211, "state": "ok"},
        {"source_id": 2, "packets": 211, "state": "ok"},
    ]
    left = {path.relative_to(case / "segments").parts[0] for path in (case / "segments").rglob("*.parquet")}
    assert left <= {"workloads", "flow_identity"}  # names, which wait for the next compaction, as findings do


async def test_another_app_follows_and_may_not_attach(tmp_path):
    case, feed = tmp_path / "case", Feed()
    live = Attachments(case)
    run = live.attach(piped(case, feed))
    feed.write(0.4)
    while not (run.opened and run.status is not None and run.status.flows):
        assert not run.done, run.error
        time.sleep(0.02)
    app = WorkbenchApp(StoredCase.open(case))
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, shows(pilot, "following │ standard input"))
        table = flows_view(pilot).table
        await until(pilot, lambda: table.total > 0)
        await press(pilot, "N")
        before, newest = table.total, table.record["ts"]
        feed.write(1.0)
        await until(pilot, lambda: table.total > before and table.record is not None and table.record["ts"] > newest)
        assert table.cursor_row == 0
        await press(pilot, "j")
        assert not flows_view(pilot).newest
        case_screen(pilot)._begin(AttachRequest("lo", case))
        await until(pilot, shows(pilot, "Case is being written"))
        assert isinstance(app.screen, ErrorDialog)
        await press(pilot, "escape")
        live.stop()
        feed.close()
        await until(pilot, lambda: live.runs[0].done)
        await until(pilot, shows(pilot, "ready", "drops"))


async def test_the_dialog_lists_interfaces_and_says_what_is_wrong(own):
    app = WorkbenchApp(StoredCase.open(own("names")))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "a")
        assert isinstance(app.screen, AttachDialog)
        await until(pilot, lambda: app.screen.query_one(OptionList).option_count > 0)
        assert shows(pilot, "lo ", "packets so far")()
        app.screen.query_one("#attach-source", Input).value = "not there/at all"
        await press(pilot, "enter")
        await until(pilot, shows(pilot, "✗", "is no name of an interface", "Name one as"))
        app.screen.query_one("#attach-source", Input).value = "lo"
        app.screen.query_one("#attach-bpf", Input).value = "prot 80"
        await press(pilot, "enter")
        await until(pilot, lambda: not shows(pilot, "is no name of an interface")() and shows(pilot, "✗")())
        await press(pilot, "escape")
        assert not isinstance(app.screen, AttachDialog)
        await press(pilot, "ctrl+x")
        assert [one.message for one in app._notifications] == ["This app is attached to nothing."]
