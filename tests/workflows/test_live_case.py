"""Folders of live cases, one writer for several, and what relative times count from."""

from __future__ import annotations

import datetime as dt
import stat
import threading
from pathlib import Path

import pytest

from tests.store.rows import flows, source
from workbench.store.reader import CaseReader
from workbench.store.writer import CaseWriter
from workbench.workflows.live_case import live_case, live_root
from workbench.workflows.shared_writer import SharedWriter
from workbench.workflows.show import case_filter

NOW = dt.datetime(2026, 3, 14, 9, 26, 53, tzinfo=dt.UTC)


def test_a_live_case_has_a_folder_of_its_own_that_is_closed_to_others(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    first = live_case("eth0", NOW)
    assert first == tmp_path / "data" / "workbench" / "live" / "eth0-20260314T092653Z"
    assert stat.S_IMODE(live_root().stat().st_mode) == 0o700
    first.mkdir()
    assert live_case("eth0", NOW).name == "eth0-20260314T092653Z-2"
    assert live_case("-", NOW).name.startswith("stdin-")
    odd = live_case("ipfix://[2001:db8::1]:4739/../..", NOW)
    assert odd.parent == live_root()


def test_the_last_who_leaves_closes_the_writer(tmp_path):
    shared = SharedWriter(tmp_path / "case")
    with shared.joined() as one, shared.turn:
        with shared.joined() as other:
            assert one is other
        one.commit(now=True)  # still open
    with CaseWriter(tmp_path / "case"):
        pass  # the lock is free


def test_turns_are_passed_on_while_one_waits(tmp_path):
    shared = SharedWriter(tmp_path / "case")
    seen = []

    def other():
        with shared.turn:
            seen.append("other")

    thread = threading.Thread(target=other)
    with shared.turn:
        thread.start()
        assert not seen
        with shared.turn.passed():
            thread.join(60)
        assert seen == ["other"]


@pytest.mark.parametrize(
    ("path", "kind", "from_now"), [("live:eth0", "live", True), ("-", "live", False), ("a.pcap", "pcap", False)]
)
def test_relative_times_count_from_now_while_an_interface_is_attached(tmp_path: Path, path, kind, from_now):
    case = tmp_path / "case"
    with CaseWriter(case, live=True) as writer:
        writer.add_source(source(1, path, kind=kind, state="indexing"))
        writer.append("flows", flows(3))
        writer.commit(now=True)
        with CaseReader(case) as reader:
            made = case_filter(reader, "ts >= -15m")
            last = reader.query("SELECT epoch_us(max(ts_end)) AS t FROM flows")["t"][0].as_py()
        times = [value for value in made.params if isinstance(value, int)]
        assert times, made
        late = times[0] > last
        assert late == from_now
    with CaseReader(case) as reader:  # it has ended
        settled = [value for value in case_filter(reader, "ts >= -15m").params if isinstance(value, int)]
        assert settled[0] <= last
