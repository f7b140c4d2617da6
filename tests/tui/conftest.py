"""What every test of the app needs: no settings, no recent cases, no environment of the person who runs it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.workflows.ingest import index_sources
from workbench.workflows.requests import IndexRequest

SAMPLES = Path(__file__).parents[2] / "sample_captures"


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
def no_stopwatch(monkeypatch):
    """What an answer cost is not the same twice, and stands in the status line."""
    monkeypatch.setattr("workbench.tui.stopwatch.monotonic", lambda: 0.0)
