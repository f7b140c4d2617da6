"""Who talks to whom: the sums are those of the flows, at every level."""

from __future__ import annotations

import ipaddress
from collections import Counter
from pathlib import Path

import pytest

from workbench.analysis.matrix import HOSTS, LEVELS, between, first_level, matrix, within
from workbench.errors import CancelledError
from workbench.store.pages import EVERYTHING, Where
from workbench.store.reader import CaseReader
from workbench.workflows.ingest import index_sources
from workbench.workflows.requests import IndexRequest

SAMPLES = Path(__file__).parents[2] / "sample_captures"


@pytest.fixture(scope="module")
def lateral(tmp_path_factory: pytest.TempPathFactory) -> CaseReader:
    at = tmp_path_factory.mktemp("lateral") / "case"
    index_sources(IndexRequest((str(SAMPLES / "esxi-lateral.pcapng"),), at))
    return CaseReader(at)


def network(text: str, level: int) -> str:
    address = ipaddress.ip_address(text)
    length = LEVELS[level][address.version == 6]
    made = ipaddress.ip_network((address, length), strict=False)
    return str(address) if made.num_addresses == 1 else str(made)


@pytest.mark.parametrize("level", range(len(LEVELS)))
def test_cells_are_the_flows_between_two_prefixes(lateral: CaseReader, level: int) -> None:
    flows = lateral.query(
        "SELECT src_ip, dst_ip, dst_pkts, src_bytes + dst_bytes AS b FROM flows WHERE src_ip IS NOT NULL"
    ).to_pylist()
    expected = Counter((network(f["src_ip"], level), network(f["dst_ip"], level)) for f in flows)
    bytes_ = Counter[tuple[str, str]]()
    for flow in flows:
        bytes_[network(flow["src_ip"], level), network(flow["dst_ip"], level)] += flow["b"]
    made = matrix(lateral.question(), EVERYTHING, level, most=1000)
    found = {(str(made.rows[r]), str(made.columns[c])): cell for (r, c), cell in made.cells.items()}
    assert {pair: cell.flows for pair, cell in found.items()} == expected
    assert {pair: cell.bytes for pair, cell in found.items()} == bytes_
    assert sum(cell.unanswered for cell in found.values()) == sum(not f["dst_pkts"] for f in flows)
    assert made.rows_in_all == len(made.rows)


@pytest.mark.parametrize("by", ["flows", "bytes", "packets"])
def test_the_rest_is_summed_as_others_and_nothing_is_lost(lateral: CaseReader, by: str) -> None:
    whole, few = (matrix(lateral.question(), EVERYTHING, HOSTS, by=by, most=most) for most in (1000, 3))  # type: ignore[arg-type]
    assert few.rows[:3] == whole.rows[:3]
    assert few.rows[3:] == (None,) == few.columns[3:]
    assert (few.rows_in_all, few.columns_in_all) == (len(whole.rows), len(whole.columns))
    for one in ("flows", "bytes", "packets", "unanswered"):
        assert sum(getattr(c, one) for c in few.cells.values()) == sum(getattr(c, one) for c in whole.cells.values())


def test_a_cell_holds_what_its_filter_keeps(lateral: CaseReader) -> None:
    made = matrix(lateral.question(), EVERYTHING, 2)
    (row, column), cell = max(made.cells.items(), key=lambda item: item[1].flows)
    where = within(made.rows[row], made.columns[column])
    inner = matrix(lateral.question(), where, HOSTS)
    assert sum(c.flows for c in inner.cells.values()) == cell.flows
    more = between(lateral.question(), where)
    assert more.pairs == len(inner.cells)
    assert more.services
    assert more.first < more.last


def test_levels_that_show_nothing_are_passed_over(lateral: CaseReader) -> None:
    assert first_level(lateral.question(), EVERYTHING) == 0
    assert first_level(lateral.question(), Where("src_ip LIKE '10.20.%' AND dst_ip LIKE '10.20.%'")) == 2
    assert first_level(lateral.question(), Where("false")) == HOSTS


def test_no_flows_no_matrix(lateral: CaseReader) -> None:
    made = matrix(lateral.question(), Where("false"), 0)
    assert (made.rows, made.columns, made.cells, made.rows_in_all) == ((), (), {}, 0)
    assert between(lateral.question(), Where("false")).pairs == 0


def test_a_question_that_was_stopped_answers_nothing(lateral: CaseReader) -> None:
    question = lateral.question()
    question.stop()
    with pytest.raises(CancelledError):
        matrix(question, EVERYTHING, 0)
