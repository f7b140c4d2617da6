"""Every filter of docs/filters.md gives the flows of the SQL beside it, and those that hold the packets Wireshark selects."""

import datetime as dt
import json
import subprocess
from typing import Any

import pyarrow as pa
import pytest

from tests import needs
from tests.filters import made
from tests.filters.table import Row, Tried, rows, samples, tried
from workbench.records.arrow import arrow_schema
from workbench.store.findings import keep_findings
from workbench.store.migrate import ADDRESS_NUMBERS

ROWS = rows()
COMPARED = [row for row in ROWS if row.wireshark is not None]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Tried:
    """All sample captures and a built one, in one."""
    folder = tmp_path_factory.mktemp("filters")
    (folder / "made.pcap").write_bytes(made.capture())
    whole = folder / "whole.pcapng"
    subprocess.run(["mergecap", "-F", "pcapng", "-w", whole, folder / "made.pcap", *samples()], check=True, timeout=120)
    found = tried(whole, folder / "case")
    behind = found.reader.query("SELECT flow_id FROM flows ORDER BY flow_id LIMIT 3")["flow_id"].to_pylist()
    keep_findings(folder / "case", ["made"], finding("00c0ffee00c0ffee", "high", behind))
    found.reader.refresh()
    return found


def finding(finding_id: str, severity: str, behind: list[int]) -> pa.Table:
    """A finding with its flows."""
    schema = arrow_schema("findings")
    moment = dt.datetime(2026, 11, 22, 18)
    row: dict[str, Any] = dict.fromkeys(schema.names, "")
    row |= {"finding_id": finding_id, "severity": severity, "flow_ids": json.dumps(behind), "flows": len(behind)}
    row |= {"ts_first": moment, "ts_last": moment, "found": moment, "score": 0.5, "detection": "made"}
    return pa.Table.from_pylist([row], schema)


def test_addresses_are_kept_as_numbers_beside_their_bytes(case: Tried) -> None:
    """What a migration reads from the bytes is what indexing writes; of both families."""
    for name, sql in ADDRESS_NUMBERS.items():
        counted = f"count(*) FILTER ({name} IS DISTINCT FROM {sql}) AS wrong, count({name}) AS n, count(DISTINCT {name}) AS kinds"
        found = case.reader.query(f"SELECT {counted}, min({name}) AS least FROM flows").to_pylist()[0]
        assert found["wrong"] == 0
        assert found["n"] > 100
        assert found["kinds"] > 2
        if name == "dst_hi":
            assert found["least"] < 0  # fd.., fe80.., ff..


def test_the_table_has_its_rows() -> None:
    assert len(ROWS) >= 80
    assert len({row.filter for row in ROWS}) == len(ROWS)
    assert len(COMPARED) >= 50


@needs.program("mergecap")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.filter)
def test_the_flows_are_those_of_the_sql(case: Tried, row: Row) -> None:
    found = case.by_filter(row.filter)
    assert found == case.by_sql(row.sql)
    assert 0 < len(found) < len(case.everything())


@pytest.mark.slow
@needs.program("tshark")
@needs.program("mergecap")
@pytest.mark.parametrize("row", COMPARED, ids=lambda row: row.filter)
def test_the_flows_hold_what_wireshark_selects(case: Tried, row: Row) -> None:
    chosen, possible = case.by_wireshark(row)
    assert case.by_filter(row.filter) & possible == chosen
    assert 0 < len(chosen) < len(possible)


@needs.program("mergecap")
def test_every_frame_that_can_be_selected_is_known(case: Tried) -> None:
    packets = case.reader.query("SELECT sum(src_pkts + dst_pkts)::BIGINT AS n FROM flows")["n"][0].as_py()
    assert len(case.frames) == packets > 5000
