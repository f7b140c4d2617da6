"""The screen while a case is being filled: rows appear, progress shows, leaving asks first."""

from __future__ import annotations

import sys
import threading
import types
from pathlib import Path

import pytest

from tests.tui.driving import case_screen, flows_view, press, screen_text, settle
from tests.tui.synthetic import SOURCE, RowCase, flow
from workbench.errors import BadInputError, CaseBusyError
from workbench.tui.application import WorkbenchApp
from workbench.tui.indexing import IndexRun
from workbench.tui.screens.dialog import ConfirmDialog, ErrorDialog
from workbench.tui.screens.index_watch import indexing_words
from workbench.workflows.requests import IndexRequest, IndexResult, Progress

REQUEST = IndexRequest(("rack-7.pcapng",), Path("/cases/rack-7"))


class Indexer:
    """Stands where `index_sources` stands and does what the test says, step by step."""

    def __init__(self):
        self.case = RowCase([], sources=[SOURCE | {"state": "indexing", "packets": 0, "dropped": None}], ledger=[])
        self.steps = threading.Semaphore(0)
        self.script = []
        self.cancelled = False

    def index_sources(self, request, progress, cancel, on_writer):
        on_writer(types.SimpleNamespace(reader=lambda: self.case))
        for step in self.script:
            while not self.steps.acquire(timeout=0.01):
                if cancel.is_set():
                    self.cancelled = True
                    return IndexResult(request.case, [], [], 1.0, cancelled=True)
            found = step(progress)
            if isinstance(found, IndexResult):
                return found
        raise AssertionError("the script has an end")


@pytest.fixture
def indexer(monkeypatch):
    made = Indexer()
    module = types.ModuleType("workbench.workflows.ingest")
    module.index_sources = made.index_sources
    monkeypatch.setitem(sys.modules, "workbench.workflows.ingest", module)
    stored = types.ModuleType("workbench.tui.case_data")
    stored.StoredCase = lambda reader: reader
    monkeypatch.setitem(sys.modules, "workbench.tui.case_data", stored)
    return made


def told(done, phase="read"):
    return lambda progress: progress(Progress(done, 1000, done * 10, done, "rack-7.pcapng", phase))


async def until(pilot, seen):
    for _ in range(400):
        await pilot.pause(0.01)
        if seen():
            return
    raise AssertionError("\n".join(screen_text(pilot)))


def shows(pilot, *words):
    return lambda: all(word in "\n".join(screen_text(pilot)) for word in words)


async def test_rows_appear_while_indexing_and_everything_is_there_at_the_end(indexer):
    result = IndexResult(REQUEST.case, [], [], 2.0)
    indexer.script = [told(0, "compile"), told(430), lambda _: result]
    run = IndexRun(REQUEST)
    run.start()
    app = WorkbenchApp(None, run)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = case_screen(pilot)
        await until(pilot, shows(pilot, "starting", "Reading: flows appear here"))
        indexer.steps.release()
        await until(pilot, shows(pilot, "compiling kernels", "This happens once"))
        indexer.case.rows = [flow(n) for n in range(5)]
        indexer.steps.release()
        await until(pilot, shows(pilot, "indexing 43%", "4,300 packets", "drops: at the end", "undecoded: at the end"))
        screen._tick()
        await until(pilot, shows(pilot, "5 flows"))
        await pilot.press("j", "j")
        kept = flows_view(pilot).table.record["flow_id"]
        indexer.case.rows = [flow(n, flow_id=(9 << 40) | n) for n in range(3)] + indexer.case.rows
        indexer.case.rows.sort(key=lambda row: (row["ts"], row["flow_id"]))
        indexer.case.sources = [SOURCE | {"dropped": 0}]
        indexer.steps.release()
        await until(pilot, shows(pilot, "8 flows", "ready", "drops 0", "all decoded"))
        await until(pilot, lambda: (flows_view(pilot).table.record or {}).get("flow_id") == kept)
        await pilot.press("q")
        await pilot.pause()
    assert app.return_code == 0


async def test_leaving_while_indexing_asks_and_stops(indexer):
    indexer.script = [told(100), told(200), told(300)]
    run = IndexRun(REQUEST)
    run.start()
    app = WorkbenchApp(None, run)
    async with app.run_test(size=(80, 24)) as pilot:
        indexer.steps.release()
        await until(pilot, shows(pilot, "indexing 10%"))
        await pilot.press("q")
        await pilot.pause()
        assert isinstance(app.screen, ConfirmDialog)
        await pilot.press("n")
        await pilot.pause()
        assert not run.cancelling
        await pilot.press("q")
        await pilot.pause()
        await pilot.press("y")
        await until(pilot, lambda: not app.is_running or app._exit)
    assert run.cancelling
    assert run.wait(5)
    assert indexer.cancelled


async def test_what_yielded_nothing_is_said(indexer):
    refused = [BadInputError("a.txt is no capture", "Name a capture."), BadInputError("b.txt is no capture", "Name a capture.")]
    indexer.script = [lambda _: IndexResult(REQUEST.case, [], [], 2.0, refused=refused)]
    indexer.steps.release()
    run = IndexRun(REQUEST)
    run.start()
    app = WorkbenchApp(None, run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, ErrorDialog))
        await until(pilot, shows(pilot, "2 files yielded nothing", "a.txt is no capture", "b.txt is no capture"))


async def test_a_failed_run_is_said(indexer, monkeypatch):
    def busy(*_):
        raise CaseBusyError("process 4711 is writing this case", "Wait until it is done.")

    monkeypatch.setattr(sys.modules["workbench.workflows.ingest"], "index_sources", busy)
    run = IndexRun(REQUEST)
    run.start()
    app = WorkbenchApp(None, run)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, shows(pilot, "Case is being written", "process 4711", "Wait until it is done."))
        await press(pilot, "escape")
        await settle(pilot)
        assert any("no case" in line for line in screen_text(pilot))


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (None, "starting"),
        (Progress(0, 10, 0, 0, "", "compile"), "compiling kernels, once"),
        (Progress(5, 10, 0, 0, "", "read"), "indexing 50%"),
        (Progress(5_000_000, None, 0, 0, "", "read"), "indexing, 5.0 MB"),
        (Progress(10, 10, 0, 0, "", "finish"), "finishing"),
    ],
)
def test_progress_in_words(progress, words):
    run = IndexRun(REQUEST)
    run.progress = progress
    assert indexing_words(run) == words
