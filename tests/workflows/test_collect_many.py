"""Many exporters: what ends a collector costs a few files, not some for each of them."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.store.rows import batch, flow, source
from workbench.store.reader import CaseReader
from workbench.store.writer import CaseWriter
from workbench.workflows.collect import Collect
from workbench.workflows.collected import Collected

_EXPORTERS = 50


def test_the_end_of_many_exporters_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody can be a thousand of them: files for each took more than a minute, in which nobody read the port."""
    monkeypatch.setattr(Collect, "_describe", lambda _: None)
    monkeypatch.setattr(Collect, "_port_lines", lambda _: [])
    told: list[int] = []
    run: Collect = object.__new__(Collect)
    run.audit = SimpleNamespace(append=lambda _, **said: told.append(said["source"]))  # type: ignore[assignment]
    with CaseWriter(tmp_path / "case", live=True) as writer:
        run.writer, run.tick, run.here = writer, None, {}
        run._port = Collected(source(1, "live:ipfix://:4739", kind="live"))
        writer.add_source(run._port.row)
        for n in range(2, 2 + _EXPORTERS):
            run.here[n] = Collected(source(n, f"exporter {n}", kind="ipfix"))
            writer.add_source(run.here[n].row)
            writer.set_open(n, batch("flows", [flow(n, n, end_reason=None)]))
        before = writer.live._files.written
        run._settle()
        assert writer.live._files.written - before <= 3
    assert told == list(range(1, 2 + _EXPORTERS))
    with CaseReader(tmp_path / "case") as reader:
        assert reader.query("SELECT count(*) AS n FROM sources")["n"].to_pylist() == [1 + _EXPORTERS]
        assert reader.query("SELECT count(*) AS n FROM flows")["n"].to_pylist() == [0]


def test_a_worker_that_dies_while_the_run_ends_has_no_successor(monkeypatch: pytest.MonkeyPatch) -> None:
    """After --seconds nobody set `stop`: another one was never told to finish, and the next after it, for good."""
    monkeypatch.setattr(Collect, "_broken_off", lambda *_: None)
    run: Collect = object.__new__(Collect)
    run._port = Collected(source(1, "live:ipfix://:4739", kind="live"))
    run.stop, run.state, run.deaths, run.error, run.over = threading.Event(), "stopping", [], None, False
    run.worker = SimpleNamespace(stop=lambda: None)  # type: ignore[assignment]
    run._worker_died("killed")
    assert run.over
    assert run.error is None
