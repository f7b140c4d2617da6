"""Live rows: seen by everybody while they are written, each once, and dropped in whole files."""

from __future__ import annotations

import contextlib
import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.store.rows import T0, batch, flow, source
from workbench.errors import ForeignCaseError
from workbench.records.claims import Claim, claims_batch
from workbench.records.reasons import LedgerLine
from workbench.store.case import CaseFolder
from workbench.store.live import LiveSink
from workbench.store.notebook import Notebook
from workbench.store.reader import CaseReader
from workbench.store.segments import list_open, list_segments
from workbench.store.writer import CaseWriter


def flow_batch(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    return batch("flows", rows)


def _ids(case: Path) -> list[int]:
    with CaseReader(case) as reader:
        return [i & 0xFFFFFFFF for i in reader.query("SELECT flow_id FROM flows ORDER BY flow_id")["flow_id"].to_pylist()]


@pytest.fixture
def writer(tmp_path: Path) -> CaseWriter:
    writer = CaseWriter(tmp_path / "case", live=True)
    writer.add_source(source(1, "live:eth0", kind="live"))
    writer.commit(now=True)
    return writer


def test_others_read_from_the_first_second_on(tmp_path: Path, writer: CaseWriter) -> None:
    assert _ids(tmp_path / "case") == []
    writer.append("flows", flow_batch([flow(0)]))
    writer.set_open(1, flow_batch([flow(1, end_reason=None)]))
    assert _ids(tmp_path / "case") == [0, 1]
    writer.close()
    assert _ids(tmp_path / "case") == [0]


def test_a_flow_that_ends_is_there_once_at_every_moment(tmp_path: Path, writer: CaseWriter) -> None:
    writer.set_open(1, flow_batch([flow(0, end_reason=None), flow(1, end_reason=None)]))
    with CaseReader(tmp_path / "case") as reader:
        sql = "SELECT flow_id & 4294967295 AS n, end_reason FROM flows ORDER BY 1"
        assert reader.query(sql).to_pylist() == [{"n": 0, "end_reason": None}, {"n": 1, "end_reason": None}]
        writer.append("flows", flow_batch([flow(0, end_reason=3)]))
        writer.commit(now=True)  # its end is written, the snapshot still has it
        reader.refresh()
        assert reader.query(sql).to_pylist() == [{"n": 0, "end_reason": 3}, {"n": 1, "end_reason": None}]
        writer.set_open(1, flow_batch([flow(1, end_reason=None)]))
        reader.refresh()
        assert reader.query(sql).to_pylist() == [{"n": 0, "end_reason": 3}, {"n": 1, "end_reason": None}]
    writer.close()


def test_what_was_open_when_the_writer_died_is_kept_as_forced(tmp_path: Path, writer: CaseWriter) -> None:
    writer.append("flows", flow_batch([flow(0, end_reason=3)]))
    writer.set_open(1, flow_batch([flow(0, end_reason=None), flow(1, end_reason=None)]))
    writer._lock.release()  # as death does
    with CaseReader(tmp_path / "case") as reader:
        rows = reader.query("SELECT flow_id & 4294967295 AS n, end_reason FROM flows ORDER BY 1").to_pylist()
        state = reader.query("SELECT state FROM sources")["state"].to_pylist()
    assert rows == [{"n": 0, "end_reason": 3}, {"n": 1, "end_reason": 4}]
    assert state == ["partial"]
    case = CaseFolder.open(tmp_path / "case")
    assert list_segments(case) == []
    assert list_open(case) == []


def test_small_files_become_one_and_nobody_sees_a_row_twice(tmp_path: Path, writer: CaseWriter) -> None:
    for n in range(31):
        writer.append("flows", flow_batch([flow(n)]))
        writer.commit(now=True)
    case = CaseFolder.open(tmp_path / "case")
    before = sum(s.table == "flows" for s in list_segments(case))
    writer.tidy()
    after = [s for s in list_segments(case) if s.table == "flows"]
    assert (before, len(after)) == (31, 1)
    assert len(list((tmp_path / "case" / "segments" / "flows").rglob("*.parquet"))) == 32  # the old ones go later
    assert _ids(tmp_path / "case") == list(range(31))
    writer.append("flows", flow_batch([flow(31)]))
    writer.close()
    assert _ids(tmp_path / "case") == list(range(32))


def test_files_beyond_the_millionth_are_joined_in_order(tmp_path: Path, writer: CaseWriter) -> None:
    """A second's files of a few tables: there after two days."""
    writer.live._files._n = 999_985
    for n in range(30):
        writer.append("flows", flow_batch([flow(n)]))
        writer.commit(now=True)
    writer.tidy()
    case = CaseFolder.open(tmp_path / "case")
    (joined,) = [s for s in list_segments(case) if s.table == "flows"]  # the old ones, still there, count no more
    assert (joined.n, joined.last) == (999_985, 1_000_014)
    assert _ids(tmp_path / "case") == list(range(30))
    writer.close()
    assert _ids(tmp_path / "case") == list(range(30))


def test_rows_of_many_days_do_not_make_a_file_each(tmp_path: Path, writer: CaseWriter) -> None:
    """An exporter tells what times it likes."""
    day = 86_400_000_000
    rows = [flow(n, ts=T0 + n * day, ts_end=T0 + n * day) for n in range(300)]
    writer.append("flows", flow_batch([*rows, flow(300, ts=T0, ts_end=T0)]))
    writer.commit(now=True)
    files = [s.name for s in list_segments(CaseFolder.open(tmp_path / "case")) if s.table == "flows"]
    assert len(files) == 64
    assert sum(name.count("/") == 1 for name in files) == 1
    assert _ids(tmp_path / "case") == list(range(301))
    writer.close()
    assert _ids(tmp_path / "case") == list(range(301))


def test_a_flow_that_ended_behind_the_last_snapshot_is_not_kept_as_open_too(tmp_path: Path, writer: CaseWriter) -> None:
    """Whoever decodes may die between the two."""
    shown = flow_batch([flow(0, end_reason=None), flow(1, end_reason=None)])
    writer.append("flows", flow_batch([flow(2, end_reason=3)]))
    writer.set_open(1, shown)
    assert writer.still_open(1, shown) is shown
    writer.append("flows", flow_batch([flow(0, end_reason=3)]))
    left = writer.still_open(1, shown)
    assert left is not None
    assert left.num_rows == 1
    writer.keep_open(1, left)
    assert _ids(tmp_path / "case") == [0, 1, 2]
    assert writer.still_open(1, None) is None
    writer.close()
    assert _ids(tmp_path / "case") == [0, 1, 2]


def test_old_files_go_but_never_those_of_a_marked_flow(tmp_path: Path, writer: CaseWriter) -> None:
    for n in range(3):
        writer.append("flows", flow_batch([flow(n)]))
        writer.commit(now=True)
    notebook = Notebook(tmp_path / "case")
    notebook.turn_bookmark("flow", str((1 << 40) + 1), "the second")
    notebook.close()
    late = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=T0) + dt.timedelta(days=1000)
    dropped = writer.retain(late, None)
    assert dropped.rows == {"flows": 2}
    assert _ids(tmp_path / "case") == [1]
    assert writer.retain(None, 0).files == 0
    writer.close()
    assert _ids(tmp_path / "case") == [1]


def test_claims_stay_however_long_ago_they_began(tmp_path: Path, writer: CaseWriter) -> None:
    began = dt.datetime(2024, 11, 5, 10)
    writer.append("claims", claims_batch([Claim("u", "pod", "kubernetes", 0.9, "w-1", ip="10.0.0.1", ts_from=began)], 1))
    writer.append("flows", flow_batch([flow(0)]))
    writer.commit(now=True)
    assert writer.retain(dt.datetime(2100, 1, 1), 0).rows == {"flows": 1}
    with CaseReader(tmp_path / "case") as reader:
        assert reader.query("SELECT name FROM claims").to_pylist() == [{"name": "w-1"}]
    writer.close()


def test_the_ledger_of_a_live_source_says_what_is_so_now(tmp_path: Path, writer: CaseWriter) -> None:
    writer.set_ledger(1, [LedgerLine("dropped", 1)])
    writer.set_ledger(1, [LedgerLine("dropped", 5), LedgerLine("capture_gap", 1, (), "why")])
    writer.commit(now=True)
    with CaseReader(tmp_path / "case") as reader:
        rows = reader.query("SELECT reason, count FROM ledger ORDER BY reason").to_pylist()
    assert rows == [{"reason": "capture_gap", "count": 1}, {"reason": "dropped", "count": 5}]
    writer.close()


def test_only_a_live_writer_can_do_what_is_live(tmp_path: Path) -> None:
    with CaseWriter(tmp_path / "case") as writer, pytest.raises(TypeError):
        writer.tidy()
    assert LiveSink.__mro__[1].__name__ == "SegmentSink"


def test_rows_never_go_through_a_link(tmp_path: Path) -> None:
    """Of a case that somebody handed over: what is written elsewhere, no reader would find."""
    case, elsewhere = tmp_path / "case", tmp_path / "elsewhere"
    CaseWriter(case, live=True).close()
    elsewhere.mkdir()
    with contextlib.suppress(FileNotFoundError):
        (case / "segments").rmdir()
    (case / "segments").symlink_to(elsewhere)
    with pytest.raises(ForeignCaseError):
        CaseWriter(case, live=True)
    (case / "segments").unlink()
    CaseWriter(case, live=True).close()  # the lock was given back
    assert list(elsewhere.iterdir()) == []
