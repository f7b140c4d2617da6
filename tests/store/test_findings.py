"""Findings are a segment that stands for all findings there were: for every reader, through reruns, indexing and crashes."""

import datetime as dt
import json
import os
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from tests.store.rows import flows, index, source, without_numbers
from workbench.errors import CaseBusyError
from workbench.filters import compile_filter
from workbench.records.application import APPLICATION
from workbench.records.arrow import arrow_schema
from workbench.records.columns import SCHEMA_VERSION
from workbench.store.case import CaseFolder
from workbench.store.findings import flow_ids, keep_findings
from workbench.store.reader import CaseReader
from workbench.store.schema_seven import SCHEMA_7
from workbench.store.schema_six import SCHEMA_6
from workbench.store.segments import list_segments
from workbench.store.writer import CaseWriter

MOMENT = dt.datetime(2026, 11, 22, 18, 0, 0)


def rows(detection: str, *ids: str, evidence: tuple[int, ...] = (1,)) -> pa.Table:
    made: list[dict[str, Any]] = []
    for one in ids:
        row = dict.fromkeys(arrow_schema("findings").names, "")
        row |= {"finding_id": one, "detection": detection, "severity": "high", "ts_first": MOMENT, "ts_last": MOMENT}
        row |= {"score": 0.5, "flows": len(evidence), "found": MOMENT, "flow_ids": json.dumps(evidence), "state": "open"}
        made.append(row)
    return pa.Table.from_pylist(made, arrow_schema("findings"))


def kept(reader: CaseReader) -> list[tuple[str, str]]:
    found = reader.query("SELECT detection, finding_id FROM findings ORDER BY ALL").to_pylist()
    return [(row["detection"], row["finding_id"]) for row in found]


@pytest.fixture
def case(tmp_path: Path) -> Path:
    index(tmp_path / "case", 20)
    return tmp_path / "case"


def test_a_rerun_replaces_the_findings_of_that_detection_alone(case: Path) -> None:
    keep_findings(case, ["scan", "beacon"], pa.concat_tables([rows("scan", "a", "b"), rows("beacon", "c")]))
    with CaseReader(case) as reader:
        assert kept(reader) == [("beacon", "c"), ("scan", "a"), ("scan", "b")]
        keep_findings(case, ["scan"], rows("scan", "b"))
        reader.refresh()
        assert kept(reader) == [("beacon", "c"), ("scan", "b")]
        keep_findings(case, ["beacon"], rows("beacon"))
        reader.refresh()
        assert kept(reader) == [("scan", "b")]


def test_the_index_is_not_copied_for_findings_and_its_rows_keep_their_numbers(case: Path) -> None:
    before = (case / "case.duckdb").stat().st_ino
    keep_findings(case, ["scan"], rows("scan", "a"))
    with CaseReader(case) as reader:
        assert reader.native
        assert reader.settled
        assert kept(reader) == [("scan", "a")]
    assert (case / "case.duckdb").stat().st_ino == before
    assert sorted(s.table for s in list_segments(CaseFolder(case))) == ["finding_flows", "findings"]


def test_the_next_index_takes_findings_in_and_a_rerun_still_replaces_them(case: Path) -> None:
    keep_findings(case, ["scan"], rows("scan", "a", "b"))
    with CaseWriter(case) as writer:
        writer.add_source(source(2))
        writer.append("flows", flows(5, 2))
    assert list_segments(CaseFolder(case)) == []
    with duckdb.connect(os.fspath(case / "case.duckdb"), read_only=True) as con:
        assert con.execute("SELECT finding_id FROM findings ORDER BY 1").fetchall() == [("a",), ("b",)]
        assert con.execute("SELECT count(*) FROM finding_flows").fetchall() == [(2,)]
    keep_findings(case, ["scan"], rows("scan"))
    with CaseReader(case) as reader:
        assert kept(reader) == []
        assert reader.query("SELECT * FROM finding_flows").num_rows == 0


def test_flows_behind_a_finding_are_a_filter(case: Path) -> None:
    with CaseReader(case) as reader:
        ids = reader.query("SELECT flow_id FROM flows ORDER BY flow_id")["flow_id"].to_pylist()
        keep_findings(case, ["scan"], rows("scan", "ab12", evidence=tuple(ids[3:6])))
        reader.refresh()
        for text, wanted in (('finding == "ab12"', ids[3:6]), ("findings.severity == high", ids[3:6]), ("finding == other", [])):
            made = compile_filter(text)
            found = reader.query(f"SELECT flow_id FROM flows WHERE {made.sql} ORDER BY 1", made.params)
            assert found["flow_id"].to_pylist() == wanted, text
        for wrong in ("findings.score > 0.4", "finding", "!finding"):
            made = compile_filter(wrong)
            assert reader.query(f"SELECT flow_id FROM flows WHERE {made.sql}", made.params).num_rows in (3, 17)


def test_half_a_set_does_not_count(case: Path) -> None:
    keep_findings(case, ["scan"], rows("scan", "a"))
    (segment,) = [s for s in list_segments(CaseFolder(case)) if s.table == "finding_flows"]
    (case / "segments" / segment.name.replace("-000000.", "-000001.")).write_bytes(b"cut short by a crash")
    with CaseReader(case) as reader:
        assert kept(reader) == [("scan", "a")]
        assert reader.query("SELECT * FROM finding_flows").num_rows == 1
    keep_findings(case, ["scan"], rows("scan", "b"))
    with CaseReader(case) as reader:
        assert kept(reader) == [("scan", "b")]
    assert len(list(case.rglob("*.parquet"))) == 2


def test_a_case_that_is_being_written_keeps_none(case: Path) -> None:
    with CaseWriter(case) as writer, pytest.raises(CaseBusyError):
        keep_findings(writer.case.root, ["scan"], rows("scan", "a"))


def test_a_strangers_flow_ids_are_read_with_care() -> None:
    assert flow_ids("[1, 2, 2.5, true, null, 1e300, 99999999999999999999]") == [1, 2]
    assert flow_ids("{") == flow_ids('{"a": 1}') == flow_ids("7") == []
    assert flow_ids("[" * 100_000) == []
    assert len(flow_ids(json.dumps(list(range(5000))))) == 1000


def test_a_case_of_version_2_gets_the_tables_of_findings(case: Path) -> None:
    with duckdb.connect(os.fspath(case / "case.duckdb")) as con:
        for name in ("findings", "finding_flows", "interface_counters", *SCHEMA_6, *SCHEMA_7, *(t.name for t in APPLICATION)):
            con.execute(f"DROP TABLE {name}")
        without_numbers(con)
        con.execute("UPDATE case_meta SET value = '2' WHERE key = 'schema_version'")
    CaseFolder(case).note_schema_version(2)
    with CaseReader(case) as reader:
        assert kept(reader) == []
        assert reader.query("SELECT count(*) AS n FROM flows")["n"].to_pylist() == [20]
    assert CaseFolder(case).describe()["schema_version"] == SCHEMA_VERSION
    keep_findings(case, ["scan"], rows("scan", "a"))
    with CaseReader(case) as reader:
        assert kept(reader) == [("scan", "a")]
