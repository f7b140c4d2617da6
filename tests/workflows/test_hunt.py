"""Detections over a case: found, kept, replaced, stopped; and what cannot be kept is shown all the same."""

import json
import os
import threading
from pathlib import Path

import pytest

from tests.store.rows import flows, index, source
from workbench.audit.log import AuditLog
from workbench.errors import CancelledError, QueryError, UsageError
from workbench.store.reader import CaseReader
from workbench.store.writer import CaseWriter
from workbench.workflows.hunt import HuntProgress, detect, library, named_query

HEADER = """/*
id: {id}
title: Busy sources
description: Sources with many flows.
kind: {kind}
severity: medium
attack: [T1046]
parameters:
  least: {{type: integer, default: 2, help: flows at least}}
columns:
  sent: bytes
references: [none]
false_positives: [all of them]
*/
"""
BUSY = """
SELECT src_ip AS subject, dst_ip AS object, least(1, count(*) / 10) AS score, min(ts) AS ts_first, max(ts_end) AS ts_last,
       list(flow_id ORDER BY ts)[1:1000] AS flow_ids, count(*) AS flows, count(*) || ' flows' AS why,
       sum(src_bytes)::BIGINT AS sent
FROM flows GROUP BY ALL HAVING count(*) >= $least ORDER BY subject
"""


@pytest.fixture
def case(tmp_path: Path) -> Path:
    index(tmp_path / "case", 400)
    return tmp_path / "case"


@pytest.fixture(autouse=True)
def nobodys_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_CONFIG", str(tmp_path / "home" / "settings.toml"))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "queries"
    folder.mkdir()
    (folder / "busy.sql").write_text(HEADER.format(id="busy", kind="detection") + BUSY)
    (folder / "broken.sql").write_text(HEADER.format(id="broken", kind="detection") + BUSY.replace("flows GROUP", "flws GROUP"))
    (folder / "sent.sql").write_text(
        HEADER.format(id="sent", kind="hunt") + "SELECT max(src_bytes) AS sent FROM flows HAVING $least > 0"
    )
    return folder


def test_what_is_found_is_kept_and_replaced_by_the_next_run(case: Path, own: Path) -> None:
    result = detect(case, ["busy"], folders=[own])
    assert result.kept
    assert not result.notes
    assert [(one.id, one.count, one.error) for one in result.ran] == [("busy", 150, None)]
    with CaseReader(case) as reader:
        rows = reader.query("SELECT * FROM findings ORDER BY subject").to_pylist()
        assert rows[0]["subject"] == "10.0.0.0"
        assert json.loads(rows[0]["evidence"]) == {"sent": 850}
        assert json.loads(rows[0]["parameters"]) == {"least": 2}
        assert rows[0]["attack"] == "T1046"
        behind = reader.query("SELECT count(*) AS n FROM finding_flows JOIN flows USING (flow_id)")["n"].to_pylist()
        assert behind == [300]
        narrower = detect(reader, ["busy"], {"least": "3"}, [own])
        assert narrower.findings.num_rows == 0
        assert narrower.kept
        reader.refresh()
        assert reader.query("SELECT * FROM findings").num_rows == 0
    again = detect(case, ["busy"], folders=[own])
    assert again.findings["finding_id"].to_pylist() == result.findings["finding_id"].to_pylist()
    assert [e.detail for e in AuditLog(case).read() if e.action == "detections_run"][-1] == {"found": {"busy": 150}}


def test_one_that_fails_is_named_and_the_others_run(case: Path, own: Path) -> None:
    detect(case, ["busy"], folders=[own])
    shown: list[HuntProgress] = []
    result = detect(case, ["broken", "busy"], folders=[own], progress=shown.append)
    assert [(one.id, one.error is None) for one in result.ran] == [("broken", False), ("busy", True)]
    assert "broken: " in str(result.ran[0].error)
    assert "flws" in str(result.ran[0].error)
    assert result.kept
    assert [(one.done, one.total, one.id) for one in shown] == [(0, 2, "broken"), (1, 2, "busy"), (2, 2, "")]


def test_a_case_that_is_being_written_is_asked_and_keeps_nothing(case: Path, own: Path) -> None:
    with CaseWriter(case) as writer:
        writer.add_source(source(2))
        writer.append("flows", flows(10, 2))
        with writer.reader() as reader:
            result = detect(reader, ["busy"], folders=[own])
    assert result.findings.num_rows == 150
    assert not result.kept
    assert any("not kept in the case" in note and "is being written" in note for note in result.notes)
    with CaseReader(case) as reader:
        assert reader.query("SELECT * FROM findings").num_rows == 0


def test_a_case_that_cannot_be_written_keeps_nothing(case: Path, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: object, flags: int, *rest: object, **more: object) -> int:
        if str(path).endswith("ingest.lock") and flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied")
        return real(path, flags, *rest, **more)  # type: ignore[arg-type]

    real = os.open
    with CaseReader(case) as reader:
        monkeypatch.setattr(os, "open", refused)
        result = detect(reader, ["busy"], folders=[own])
    assert result.findings.num_rows == 150
    assert not result.kept
    assert "cannot be written: Permission denied" in result.notes[0]


def test_a_stop_ends_the_engines_work_and_keeps_nothing(case: Path, own: Path) -> None:
    endless = BUSY.replace("FROM flows", "FROM flows, range(1000000000) r(x), range(1000000000) s(y)")
    (own / "busy.sql").write_text(HEADER.format(id="busy", kind="detection") + endless)
    cancel = threading.Event()

    def begun(_now: HuntProgress) -> None:
        cancel.set()

    with pytest.raises(CancelledError):
        detect(case, ["busy"], folders=[own], progress=begun, cancel=cancel)
    with CaseReader(case) as reader:
        assert reader.query("SELECT * FROM findings").num_rows == 0


def test_wrong_words_are_told_before_anything_runs(case: Path, own: Path) -> None:
    for only, params, reason in (
        (["bussy"], {}, "there is no question bussy"),
        (["sent"], {}, "sent is a hunt"),
        (["busy"], {"most": "1"}, "has a parameter most"),
        (["busy"], {"least": "many"}, "'many' is no value of parameter least"),
    ):
        with pytest.raises(UsageError, match=reason):
            detect(case, only, params, [own])


def test_rows_that_are_no_findings_are_told(case: Path, own: Path) -> None:
    for old, new, reason in (
        ("least(1, count(*) / 10) AS score", "count(*) AS score", "scores 2, and scores lie between 0 and 1"),
        ("src_ip AS subject", "nullif(src_ip, '10.0.0.9') AS subject", "has no subject"),
        ("dst_ip AS object,", "dst_ip AS object, 'awful' AS severity,", "severity 'awful' is none"),
    ):
        (own / "busy.sql").write_text(HEADER.format(id="busy", kind="detection") + BUSY.replace(old, new))
        (ran,) = detect(case, ["busy"], folders=[own]).ran
        assert isinstance(ran.error, QueryError)
        assert reason in ran.error.message


def test_findings_have_bounds_and_none_is_there_twice(case: Path, own: Path) -> None:
    long = BUSY.replace("count(*) || ' flows' AS why", "repeat('x', 5000) AS why").replace("dst_ip AS object", "NULL AS object")
    twice = long.replace("GROUP BY ALL", "GROUP BY src_ip, src_bytes")
    (own / "busy.sql").write_text(HEADER.format(id="busy", kind="detection") + twice)
    result = detect(case, ["busy"], {"least": 1}, [own])
    assert len(set(result.findings["finding_id"].to_pylist())) == result.findings.num_rows == 250
    assert "more than once" in result.notes[0]
    assert {len(why) for why in result.findings["why"].to_pylist()} == {1000}


def test_a_hunt_is_asked_by_name_under_a_filter(case: Path, own: Path) -> None:
    with CaseReader(case) as reader:
        with named_query(reader, "sent", {}, [own]) as rows:
            assert [batch.to_pydict() for batch in rows] == [{"sent": [699]}]
        with named_query(reader, "sent", {}, [own], "src_bytes < 310") as rows:
            assert [batch.to_pydict() for batch in rows] == [{"sent": [309]}]
        with pytest.raises(UsageError, match="sent has no parameter x"):
            named_query(reader, "sent", {"x": "1"}, [own])
    assert library([own]).find("sent").kind == "hunt"
