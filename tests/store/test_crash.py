"""kill -9 at any moment: the case opens afterwards, keeps what was committed, and says that it is partial."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.store.rows import flows, index, source
from workbench.errors import NotACaseError
from workbench.store import compact as compaction
from workbench.store.case import CaseFolder, IngestLock
from workbench.store.engine import attach, connect
from workbench.store.reader import CaseReader
from workbench.store.segments import SegmentFiles, list_segments
from workbench.store.writer import CaseWriter

ROOT = Path(__file__).parents[2]

#: Writes 12 batches of 5,000 flows, telling after each commit how many flows are safe, and closes.
CHILD = """
import sys
from pathlib import Path
from tests.store.rows import flows, source
from workbench.store.writer import CaseWriter

source_id = int(sys.argv[2])
batches = [flows(5000, source_id, 5000 * n) for n in range(12)]
writer = CaseWriter(Path(sys.argv[1]))
writer.add_source(source(source_id))
writer.commit(now=True)
print("open", flush=True)
for n, rows in enumerate(batches):
    writer.append("flows", rows)
    writer.commit(now=True)
    print(5000 * (n + 1), flush=True)
writer.update_source(source_id, state="ok", packets=9 * 60000, flows=60000)
print("closing", flush=True)
writer.close()
print("closed", flush=True)
"""


def killed(case: Path, source_id: int, after: str, delay: float) -> list[str]:
    """Run the child, kill it `delay` seconds after it said `after`; what it had said by then."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, os.fspath(case), str(source_id)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert child.stdout is not None
    said = []
    for line in child.stdout:
        said.append(line.strip())
        if line.strip() == after:
            time.sleep(delay)
            child.send_signal(signal.SIGKILL)
    child.wait()
    return said


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_kill_9_at_any_moment_keeps_what_was_committed(tmp_path: Path, later: bool, seed: int) -> None:
    chance = random.Random(seed * 2 + later)
    case = tmp_path / "case"
    if later:
        index(case, 1000, 1)
    after = chance.choice(["open", "5000", "30000", "60000", "closing", "closing"])
    said = killed(case, 2, after, chance.random() * 0.3)
    safe = max((int(word) for word in said if word.isdecimal()), default=0)
    assert after in said
    with CaseReader(case) as reader:
        found = reader.query("SELECT count(*) AS n, count(DISTINCT flow_id) AS d FROM flows WHERE source_id = 2").to_pylist()[0]
        sources = {r["source_id"]: r for r in reader.query("SELECT * FROM sources").to_pylist()}
        ledger = reader.query("SELECT reason FROM ledger WHERE source_id = 2").to_pylist()
        before = reader.query("SELECT count(*) AS n FROM flows WHERE source_id = 1").to_pylist()[0]["n"]
    assert found["n"] == found["d"]
    assert found["n"] >= safe
    assert before == (1000 if later else 0)
    if later:
        assert sources[1]["state"] == "ok"
    if "closed" in said or sources[2]["state"] == "ok":
        assert (sources[2]["state"], found["n"], ledger) == ("ok", 60_000, [])
    else:
        assert sources[2]["state"] == "partial"
        assert sources[2]["flows"] == found["n"]
        assert sources[2]["packets"] == 9 * found["n"]
        assert ledger == [{"reason": "interrupted"}]
    left = {p.name for p in case.rglob("*") if p.is_file()}
    assert left == {"case.duckdb", "case.toml", "ingest.lock"}
    index(case, 10, 3)
    with CaseReader(case) as reader:
        assert reader.query("SELECT count(*) AS n FROM flows WHERE source_id = 3").to_pylist() == [{"n": 10}]


def test_a_crash_between_publishing_and_removing_segments_counts_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = tmp_path / "case"
    index(case, 10, 1)
    with monkeypatch.context() as patch:
        patch.setattr(compaction, "remove_segments", lambda *_: None)
        index(case, 20, 2)
    folder = CaseFolder.open(case)
    assert list_segments(folder)
    with IngestLock(folder), CaseReader(case) as reader:  # somebody writes, so nothing may be tidied
        assert reader.query("SELECT count(*) AS n FROM flows").to_pylist() == [{"n": 30}]
        assert reader.query("SELECT count(*) AS n FROM sources").to_pylist() == [{"n": 2}]
    with CaseReader(case) as reader:
        assert reader.query("SELECT count(*) AS n FROM flows").to_pylist() == [{"n": 30}]
    assert not list_segments(folder)


def test_a_crash_while_compacting_leaves_the_old_file_and_the_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = tmp_path / "case"
    index(case, 10, 1)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(compaction, "publish_database", dies)
        with pytest.raises(KeyboardInterrupt):
            index(case, 20, 2)
    assert list_segments(CaseFolder.open(case))
    (case / "case.duckdb.next").write_bytes(b"half a copy")
    with CaseReader(case) as reader:
        assert reader.query("SELECT count(*) AS n FROM flows").to_pylist() == [{"n": 30}]
        assert reader.query("SELECT state FROM sources WHERE source_id = 2").to_pylist() == [{"state": "ok"}]
    assert not (case / "case.duckdb.next").exists()


def test_half_written_segments_are_cleared_and_never_read(tmp_path: Path) -> None:
    case = tmp_path / "case"
    index(case, 10, 1)
    part = case / "segments" / "flows" / "day=2023-11-14" / "sensor=s1" / "20231114T000000-00000000-000000.tmp"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"PAR1")
    index(case, 10, 2)
    assert not list(case.rglob("*.tmp"))


def test_a_first_index_that_died_before_its_first_commit_leaves_an_empty_case(tmp_path: Path) -> None:
    folder = CaseFolder.create(tmp_path / "case")
    for scrap in (b"", b"no database", os.urandom(20_000)):
        folder.database_next.write_bytes(scrap)
        with pytest.raises(NotACaseError, match="holds nothing yet"):
            CaseReader(folder.root)
        assert not folder.database_next.exists()
    index(folder.root, 5)


def test_a_torn_log_costs_the_last_commit_only(tmp_path: Path) -> None:
    case = tmp_path / "case"
    writer = CaseWriter(case)
    writer.add_source(source(1))
    for n in range(3):
        writer.append("flows", flows(1000, 1, 1000 * n))
        writer.commit(now=True)
    log = case / "case.duckdb.next.wal"
    torn = log.read_bytes()[:-5000]
    whole = (case / "case.duckdb.next").read_bytes()
    writer.close()
    other = CaseFolder.create(tmp_path / "other")
    other.database_next.write_bytes(whole)
    (other.root / "case.duckdb.next.wal").write_bytes(torn)
    with CaseReader(other.root) as reader:
        assert reader.query("SELECT count(*) AS n FROM flows").to_pylist() == [{"n": 2000}]
        assert reader.query("SELECT state FROM sources").to_pylist() == [{"state": "partial"}]


def test_spill_folders_of_the_dead_are_removed_and_of_the_living_kept(tmp_path: Path) -> None:
    case = tmp_path / "case"
    index(case, 5)
    dead, alive = case / "tmp-999999999-abc", case / f"tmp-{os.getpid()}-abc"
    for folder in (dead, alive):
        folder.mkdir(parents=True)
        (folder / "x").write_bytes(b"")
    index(case, 5, 2)
    assert not dead.exists()
    assert alive.exists()


def test_segments_of_a_killed_run_are_seen_by_another_process_while_it_runs(tmp_path: Path) -> None:
    case = tmp_path / "case"
    index(case, 10, 1)
    folder = CaseFolder.open(case)
    with IngestLock(folder):
        files = SegmentFiles(folder, {2: "s2"})
        files.rewrite("sources", [source(2) | {"detail": None}])
        files.write("flows", [flows(50, 2)])
        with CaseReader(case) as reader:
            assert not reader.native
            assert reader.query("SELECT count(*) AS n FROM flows").to_pylist() == [{"n": 60}]
            assert reader.query("SELECT state FROM sources ORDER BY source_id").to_pylist()[1] == {"state": "indexing"}
            files.rewrite("sources", [source(2, state="ok", flows=50)])
            files.write("flows", [flows(5, 2, 50)])
            reader.refresh()
            assert reader.query("SELECT count(*) AS n FROM flows").to_pylist() == [{"n": 65}]
            assert reader.query("SELECT state FROM sources ORDER BY source_id").to_pylist()[1] == {"state": "ok"}


def test_a_rewritten_segment_whose_old_version_was_left_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = tmp_path / "case"
    index(case, 10, 1)
    folder = CaseFolder.open(case)
    files = SegmentFiles(folder, {2: "s2"})
    with monkeypatch.context() as patch:
        patch.setattr("workbench.store.segments.remove_segments", lambda *_: None)  # killed each time before it could
        for state in ("indexing", "indexing", "ok"):
            files.rewrite("sources", [source(2, state=state)])
    assert len(list((case / "segments" / "sources").iterdir())) == 3
    for _ in range(2):
        with CaseReader(case) as reader:
            found = reader.query("SELECT source_id, state FROM sources ORDER BY 1").to_pylist()
            assert found == [{"source_id": 1, "state": "ok"}, {"source_id": 2, "state": "ok"}]
    assert not list(case.rglob("*.parquet"))


def test_a_file_beside_it_is_not_mistaken_for_ours(tmp_path: Path) -> None:
    """A database of another program under our name is no first index of ours: it is not published."""
    folder = CaseFolder.create(tmp_path / "case")
    con = connect(folder.temp_for_process())
    attach(con, folder.database_next, "x", read_only=False)
    con.execute("CREATE TABLE x.main.flows (a INTEGER)")
    con.close()
    with pytest.raises(NotACaseError):
        CaseReader(folder.root)
