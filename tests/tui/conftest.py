"""What every test of the app needs: no settings, no recent cases, no environment of the person who runs it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tui.quiet import wait_for_idle
from tests.tui.terminal import Terminal
from workbench.workflows.ingest import index_sources
from workbench.workflows.requests import IndexRequest

SAMPLES = Path(__file__).parents[2] / "sample_captures"
ROOT = Path(__file__).parents[2]
#: As it was before a fixture made it a test's: compiled kernels are the machine's.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "WORKBENCH_CONFIG")}


@pytest.fixture(autouse=True)
def quiet_home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("WORKBENCH_CONFIG", "NO_COLOR", "TEXTUAL_ANIMATIONS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The case of a sample by its name, indexed once; nobody may write to it."""
    cases: dict[str, Path] = {}

    def case_of(name: str) -> Path:
        if name not in cases:
            cases[name] = tmp_path_factory.mktemp(name) / "case"
            index_sources(IndexRequest((str(SAMPLES / f"{name}.pcapng"),), cases[name]))
        return cases[name]

    return case_of


@pytest.fixture
def own(indexed: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy of such a case for this test alone: where a person left a case is kept in it."""
    return lambda name: Path(shutil.copytree(indexed(name), tmp_path / "case"))


@pytest.fixture(autouse=True)
def no_sleep(monkeypatch):
    """A pilot goes on once nothing is left to run."""
    monkeypatch.setattr("textual.pilot.wait_for_idle", wait_for_idle)
    monkeypatch.setattr("textual.app.wait_for_idle", wait_for_idle)


@pytest.fixture(autouse=True)
def no_stopwatch(monkeypatch):
    """What an answer cost is not the same twice, and stands in the status line."""
    monkeypatch.setattr("workbench.tui.stopwatch.monotonic", lambda: 0.0)


@pytest.fixture(autouse=True)
def kernels_here(monkeypatch):
    """What judges policies is compiled for all tests; no process is needed to see to it."""
    monkeypatch.setattr("workbench.tui.policy_work.compile_aside", lambda *_: None)


@pytest.fixture
def start(tmp_path):
    """Start `workbench ...` in a terminal; all are closed at the end."""
    terminals = []

    def begin(*words, size=(80, 24), **env):
        folder = tmp_path / f"terminal{len(terminals)}"
        folder.mkdir()
        state = {
            "XDG_STATE_HOME": str(tmp_path / "state"),
            "PYTHONPATH": str(ROOT),
            "TERM": "screen-256color",
            "COLORTERM": "truecolor",
        }
        terminal = Terminal(folder, [sys.executable, "-m", "workbench", *words], {**ENVIRONMENT, **state, **env}, size)
        terminals.append(terminal)
        return terminal

    yield begin
    for terminal in terminals:
        terminal.close()
