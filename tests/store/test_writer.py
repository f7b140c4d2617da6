import os
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from tests.store.rows import batch, flow, flows, index, source
from workbench.errors import CancelledError, CaseBusyError, NotACaseError
from workbench.records.columns import TABLES, Type
from workbench.records.reasons import LedgerLine
from workbench.store.query import run_query
from workbench.store.reader import CaseReader
from workbench.store.schema import WHOLE_TABLES
from workbench.store.writer import CaseWriter


def rows(case: Path, sql: str) -> list[dict[str, object]]:
    with CaseReader(case) as reader:
        return reader.query(sql).to_pylist()


def test_what_goes_in_comes_out_as_it_was(tmp_path: Path) -> None:
    case = tmp_path / "case"
    given = [flow(n, network="vlan:7", vlan=7, src_ip="fe80::1", verdict='it\'s "x"\n', rtt_us=None) for n in range(10)]
    with CaseWriter(case) as writer:
        writer.add_source(source(1))
        writer.append("flows", batch("flows", given))
        writer.update_source(1, state="ok", packets=90, flows=10)
    with CaseReader(case) as reader:
        found = reader.query("SELECT * FROM flows ORDER BY flow_id")
    assert found.equals(pa.Table.from_batches([batch("flows", given)]).cast(found.schema))


def test_every_table_takes_a_row_of_its_types_first_index_and_later(tmp_path: Path) -> None:
    case = tmp_path / "case"
    values = {
        Type.BIGINT: 2**62,
        Type.INTEGER: -(2**31),
        Type.DOUBLE: 0.1,
        Type.BOOLEAN: True,
        Type.VARCHAR: "é\u202e'\"",
        Type.BLOB: b"\0\xff",
        Type.TIMESTAMP: 1_700_000_000_000_001,
    }
    for source_id in (1, 2):
        with CaseWriter(case) as writer:
            writer.add_source(source(source_id))
            for table in TABLES:
                if table.name not in {"sources", "links", *WHOLE_TABLES}:
                    row = {c.name: values[c.type] for c in table.columns} | (
                        {"source_id": source_id} if "source_id" in table.names else {}
                    )
                    if "flow_id" in row:
                        row["flow_id"] = (source_id << 40) + 5
                    writer.append(table.name, batch(table.name, [row]))
    with CaseReader(case) as reader:
        for table in TABLES:
            if table.name in {"sources", "links", "ledger", *WHOLE_TABLES}:
                continue
            found = reader.query(f"SELECT * FROM {table.name}").to_pylist()
            assert len(found) == 2, table.name
            for column in table.columns:
                if column.type in (Type.VARCHAR, Type.BLOB, Type.DOUBLE, Type.BOOLEAN):
                    assert {row[column.name] for row in found} == {values[column.type]}, (table.name, column.name)


def test_rows_without_a_time_are_kept_beside_those_with_one(tmp_path: Path) -> None:
    """Who held an address since ever has no day to be filed under."""
    case = tmp_path / "case"
    times: list[int | None] = [None, 1_700_000_000_000_000, None, 1_700_100_000_000_000]
    for source_id in (1, 2):  # the second time they are segments
        with CaseWriter(case) as writer:
            writer.add_source(source(source_id))
            fixed = {"source_id": source_id, "kind": "pod", "origin": "csv", "confidence": 1.0}
            writer.append("claims", batch("claims", [{**fixed, "uid": f"{n}", "ts_from": at} for n, at in enumerate(times)]))
    with CaseReader(case) as reader:
        found = reader.query("SELECT source_id, uid, epoch_us(ts_from) AS at FROM claims ORDER BY 1, 2").to_pylist()
    assert found == [{"source_id": s, "uid": f"{n}", "at": at} for s in (1, 2) for n, at in enumerate(times)]


def test_dictionary_encoded_and_reordered_columns_are_taken(tmp_path: Path) -> None:
    plain = flows(50)
    odd = pa.RecordBatch.from_pydict(
        {
            name: plain.column(name).dictionary_encode() if name in {"sensor", "conn_state", "history"} else plain.column(name)
            for name in reversed(plain.schema.names)
        }
    )
    for case in (tmp_path / "first", tmp_path / "later"):
        if case.name == "later":
            index(case, 5, 9)
        with CaseWriter(case) as writer:
            writer.add_source(source(1))
            writer.append("flows", odd)
        assert rows(case, "SELECT count(*) n, min(conn_state) s, max(sensor) x FROM flows WHERE source_id = 1") == [
            {"n": 50, "s": "SF", "x": "s1"}
        ]


def test_later_indexes_add_up_and_leave_one_file(tmp_path: Path) -> None:
    case = tmp_path / "case"
    for source_id in (1, 2, 3):
        index(case, 100 * source_id, source_id)
    assert rows(case, "SELECT source_id, count(*) AS n FROM flows GROUP BY 1 ORDER BY 1") == [
        {"source_id": s, "n": 100 * s} for s in (1, 2, 3)
    ]
    assert rows(case, "SELECT source_id, state, flows FROM sources ORDER BY 1") == [
        {"source_id": s, "state": "ok", "flows": 100 * s} for s in (1, 2, 3)
    ]
    assert not list(case.rglob("*.parquet"))
    assert not (case / "case.duckdb.next").exists()
    assert not list(case.glob("*.wal"))


def test_source_ids_count_on_and_known_files_are_found(tmp_path: Path) -> None:
    case, capture = tmp_path / "case", tmp_path / "a.pcap"
    capture.write_bytes(b"x" * 10)
    stat = capture.stat()
    with CaseWriter(case) as writer:
        assert writer.next_source_id() == 1
        writer.add_source(source(1, os.fspath(capture)))
        writer.add_files([{"source_id": 1, "n": 0, "path": os.fspath(capture), "bytes": 10, "first_offset": 0}])
        writer.update_source(1, state="ok")
        assert writer.next_source_id() == 2
    with CaseWriter(case) as writer:
        assert writer.next_source_id() == 2
        known = writer.known_source(os.fspath(capture), 10, stat.st_mtime_ns)
        assert known is not None
        assert known["key_scope"] == "both"
        assert writer.known_source(os.fspath(capture), 11, stat.st_mtime_ns) is None
        assert writer.known_source(os.fspath(capture), 10, stat.st_mtime_ns + 1) is None
        assert writer.known_source("/elsewhere", 10, stat.st_mtime_ns) is None


@pytest.mark.parametrize("later", [False, True])
def test_file_names_that_are_no_utf8_are_stored_and_known_again(tmp_path: Path, later: bool) -> None:
    case = tmp_path / "case"
    if later:
        index(case, 1, 1)
    capture = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9 \xc3\xa9.pcap")
    Path(capture).write_bytes(b"abc")
    stat = Path(capture).stat()
    with CaseWriter(case) as writer:
        writer.add_source(source(2, capture, sensor=Path(capture).stem))
        writer.add_files([{"source_id": 2, "n": 0, "path": capture, "bytes": 3, "first_offset": 0}])
        writer.add_ledger(2, [LedgerLine("read_error", 0, (), f"{capture} is gone")])
        writer.append("flows", flows(3, 2))
        writer.update_source(2, state="ok", path=capture)
    with CaseWriter(case) as writer:
        assert writer.known_source(capture, 3, stat.st_mtime_ns) is not None
    found = rows(
        case,
        "SELECT s.path, f.path AS p, l.detail FROM sources s, source_files f, ledger l"
        " WHERE s.source_id = 2 AND f.source_id = 2 AND l.source_id = 2",
    )
    assert found == [
        {
            "path": f"{tmp_path}/caf\\xe9 é.pcap",
            "p": f"{tmp_path}/caf\\xe9 é.pcap",
            "detail": f"{tmp_path}/caf\\xe9 é.pcap is gone",
        }
    ]


def test_a_refused_source_may_be_tried_again_and_is_replaced(tmp_path: Path) -> None:
    case, capture = tmp_path / "case", tmp_path / "a.pcap"
    capture.write_bytes(b"nothing")
    for source_id in (1, 2):
        with CaseWriter(case) as writer:
            stat = capture.stat()
            assert writer.known_source(os.fspath(capture), stat.st_size, stat.st_mtime_ns) is None
            assert writer.next_source_id() == source_id
            writer.add_source(source(source_id, os.fspath(capture)))
            writer.add_ledger(source_id, [LedgerLine("damaged", 7)])
            writer.update_source(source_id, state="refused")
    assert [r["source_id"] for r in rows(case, "SELECT source_id FROM sources")] == [2]
    assert [r["source_id"] for r in rows(case, "SELECT source_id FROM ledger")] == [2]


@pytest.mark.parametrize("later", [False, True])
def test_an_error_on_the_way_keeps_what_was_stored_and_says_partial(tmp_path: Path, later: bool) -> None:
    case = tmp_path / "case"
    if later:
        index(case, 10, 1)

    def broken() -> None:
        with CaseWriter(case) as writer:
            writer.add_source(source(2))
            writer.append("flows", flows(30, 2))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert rows(case, "SELECT state, flows, packets FROM sources WHERE source_id = 2") == [
        {"state": "partial", "flows": 30, "packets": 270}
    ]
    assert rows(case, "SELECT reason, kind FROM ledger WHERE source_id = 2") == [{"reason": "interrupted", "kind": "unseen"}]


def test_ledger_lines_keep_their_frames(tmp_path: Path) -> None:
    case = tmp_path / "case"
    with CaseWriter(case) as writer:
        writer.add_source(source(1))
        writer.add_ledger(1, [LedgerLine("empty", 3, (1, 22, 333), "x"), LedgerLine("comments", 1)])
        writer.update_source(1, state="ok")
    assert rows(case, "SELECT * EXCLUDE source_id FROM ledger ORDER BY reason") == [
        {"reason": "comments", "kind": "note", "count": 1, "first_frames": None, "detail": None},
        {"reason": "empty", "kind": "undecoded", "count": 3, "first_frames": "1,22,333", "detail": "x"},
    ]


def test_one_writer_at_a_time_and_the_error_names_it(tmp_path: Path) -> None:
    case = tmp_path / "case"
    with CaseWriter(case), pytest.raises(CaseBusyError, match=f"process {os.getpid()}"):
        CaseWriter(case)
    CaseWriter(case).close()


def test_a_folder_with_other_things_is_no_case(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(NotACaseError, match=r"holiday\.jpg"):
        CaseWriter(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["holiday.jpg"]


@pytest.mark.parametrize("later", [False, True])
def test_readers_of_a_writer_see_rows_open_flows_and_then_the_finished_file(tmp_path: Path, later: bool) -> None:
    case = tmp_path / "case"
    if later:
        index(case, 7, 1)
    before = 7 if later else 0
    writer = CaseWriter(case)
    reader = writer.reader()

    def count() -> object:
        return reader.query("SELECT count(*) AS n, count(*) FILTER (end_reason IS NULL) AS o FROM flows").to_pylist()[0]

    assert count() == {"n": before, "o": 0}
    writer.add_source(source(2))
    writer.append("flows", flows(100, 2))
    writer.commit(now=True)
    reader.refresh()
    assert count() == {"n": before + 100, "o": 0}
    writer.set_open(2, batch("flows", [flow(100 + n, 2, end_reason=None) for n in range(5)]))
    assert count() == {"n": before + 105, "o": 5}
    writer.append("flows", batch("flows", [flow(102, 2)]))
    writer.commit(now=True)  # one of them has ended: it is not seen twice
    reader.refresh()
    assert count() == {"n": before + 105, "o": 4}
    writer.append("flows", batch("flows", [flow(103, 2)]))  # not committed: the next snapshot lacks it, readers do not
    writer.set_open(2, batch("flows", [flow(100, 2, end_reason=None)]))
    assert count() == {"n": before + 105, "o": 4}
    writer.commit(now=True)
    reader.refresh()
    assert count() == {"n": before + 103, "o": 1}
    writer.set_open(2, None)
    assert count() == {"n": before + 102, "o": 0}
    writer.close()
    assert count() == {"n": before + 102, "o": 0}
    assert reader.native
    assert reader.query("SELECT state FROM sources WHERE source_id = 2").to_pylist() == [{"state": "partial"}]
    reader.close()


def test_a_reader_in_another_thread_sees_only_growing_counts_until_the_end(tmp_path: Path) -> None:
    case = tmp_path / "case"
    writer = CaseWriter(case)
    reader = writer.reader()
    stop, counts, errors = threading.Event(), [0], []

    def watch() -> None:
        try:
            while not stop.is_set():
                counts.append(reader.query("SELECT count(*) AS n FROM flows").to_pylist()[0]["n"])
        except Exception as error:  # handed to the test
            errors.append(error)

    thread = threading.Thread(target=watch)
    thread.start()
    writer.add_source(source(1))
    for n in range(20):
        writer.append("flows", flows(1000, 1, 1000 * n))
        writer.commit(now=n % 3 == 0)
    writer.update_source(1, state="ok")
    writer.close()
    counts.append(reader.query("SELECT count(*) AS n FROM flows").to_pylist()[0]["n"])
    stop.set()
    thread.join()
    assert not errors
    assert counts == sorted(counts)
    assert counts[-1] == 20_000


def test_nobody_who_reads_holds_up_the_publishing(tmp_path: Path) -> None:
    """Not a result that is half read, not a query that would run for hours: that one is asked again, of the new file."""
    writer = CaseWriter(tmp_path / "case")
    reader = writer.reader()
    writer.add_source(source(1))
    writer.append("flows", flows(200_000))
    writer.commit(now=True)
    half_read = run_query(reader, "SELECT * FROM flows")
    assert next(iter(half_read)).num_rows > 0
    other = CaseReader(tmp_path / "case", _live=reader._presented)
    counts = []

    def ask_slowly() -> None:
        with pytest.raises(CancelledError):
            other.query(slow)

    slow = "SELECT count(*) AS n FROM flows a, flows b WHERE a.ts <> b.ts AND a.src_bytes * b.src_bytes % 7 = 3"
    threads = [
        threading.Thread(target=lambda: counts.append(other.query("SELECT count(*) AS n FROM flows").num_rows)),
        threading.Thread(target=ask_slowly),
    ]
    for thread in threads:
        thread.start()
    writer.update_source(1, state="ok")
    writer.close()
    assert reader.query("SELECT state FROM sources").to_pylist() == [{"state": "ok"}]
    assert sum(batch.num_rows for batch in half_read) > 0
    while threads[1].is_alive():  # it runs again now, on the published file
        other.interrupt()
        threads[1].join(0.05)
    threads[0].join()
    assert counts == [1]
    assert sorted(p.name for p in (tmp_path / "case").iterdir()) == ["case.duckdb", "case.toml", "ingest.lock"]


def test_the_plain_engine_opens_tables_and_views(tmp_path: Path) -> None:
    index(tmp_path / "case", 20)
    con = duckdb.connect(os.fspath(tmp_path / "case" / "case.duckdb"), read_only=True)
    for view in ("zeek_conn", "ecs_flow", "ocsf_network", "conversations", "flows"):
        assert con.execute(f"SELECT count(*) FROM {view}").fetchall() == [(20,)]
    version = con.execute("SELECT tags FROM duckdb_databases() WHERE database_name = 'case'").fetchall()
    assert "v1.2.0" in str(version)
    con.close()


def test_importing_the_writer_does_not_import_the_engine() -> None:
    code = "import sys, workbench.store.writer, workbench.store.query; assert 'duckdb' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
