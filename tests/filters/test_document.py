"""Every filter of docs/filters.md gives the flows of the SQL beside it, and those that hold the packets Wireshark selects."""

import subprocess

import pytest

from tests import needs
from tests.filters import made
from tests.filters.table import Row, Tried, rows, samples, tried

ROWS = rows()
COMPARED = [row for row in ROWS if row.wireshark is not None]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Tried:
    """All sample captures and a built one, in one."""
    folder = tmp_path_factory.mktemp("filters")
    (folder / "made.pcap").write_bytes(made.capture())
    whole = folder / "whole.pcapng"
    subprocess.run(["mergecap", "-F", "pcapng", "-w", whole, folder / "made.pcap", *samples()], check=True, timeout=120)
    return tried(whole, folder / "case")


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
